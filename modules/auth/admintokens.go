package auth

import (
	"time"

	"github.com/golang-jwt/jwt/v5"

	"smartseller/backends"
)

// platformKey stands for the storefront where the platform's own key is meant: no
// storefront has this id.
const platformKey backends.StorefrontID = "platform"

const (
	adminLife     = 15 * time.Minute
	adminIssuer   = "smartseller"
	adminAudience = "admin"
)

// adminClaims of an admin's access token.
type adminClaims struct {
	jwt.RegisteredClaims
	Cred int64 `json:"cred"`
}

func (k *signingKey) signAdmin(a *admin, now time.Time) (token string, err error) {
	return k.seal(adminClaims{
		RegisteredClaims: registered(adminIssuer, adminAudience, a.ID, now, adminLife), Cred: a.Cred,
	})
}

func (k *signingKey) verifyAdmin(token string) (*adminClaims, error) {
	var c adminClaims
	if err := k.parse(token, &c, adminIssuer, adminAudience); err != nil {
		return nil, ErrInvalidToken.Because(err)
	}
	return &c, nil
}
