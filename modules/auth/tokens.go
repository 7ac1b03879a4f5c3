package auth

import (
	"crypto/ed25519"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"smartseller/backends"
)

const (
	accessLife = 10 * time.Minute
	leeway     = 10 * time.Second
)

// signingKey signs one storefront's access tokens: another storefront's token
// fails at the signature, whatever its claims say.
type signingKey struct {
	id      string
	private ed25519.PrivateKey
}

// claims of an access token, RFC 9068 with ours.
type claims struct {
	jwt.RegisteredClaims
	Tenant  string `json:"tid"`
	Session string `json:"sid"`
	Cred    int64  `json:"cred"`
}

func (k *signingKey) sign(storefront backends.StorefrontID, customer, session string, cred int64, now time.Time) (token string, life time.Duration, err error) {
	life = accessLife - rand.N(accessLife/20) // so that a crowd does not refresh at once
	token, err = k.seal(claims{
		RegisteredClaims: registered(issuer(storefront), audience(storefront), customer, now, life),
		Tenant:           string(storefront), Session: session, Cred: cred,
	})
	return token, life, err
}

func registered(issuer, audience, subject string, now time.Time, life time.Duration) jwt.RegisteredClaims {
	return jwt.RegisteredClaims{
		Issuer: issuer, Audience: jwt.ClaimStrings{audience}, Subject: subject,
		IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
	}
}

const accessType = "at+jwt" // RFC 9068

// seal makes a signed token of claims.
func (k *signingKey) seal(c jwt.Claims) (string, error) {
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c)
	t.Header["typ"], t.Header["kid"] = accessType, k.id
	return t.SignedString(k.private)
}

func issuer(s backends.StorefrontID) string   { return "smartseller/" + string(s) }
func audience(s backends.StorefrontID) string { return "storefront:" + string(s) }

// verify checks signature and claims, not yet the session. expiredToo lets an
// expired token through, for logging out.
func (k *signingKey) verify(storefront backends.StorefrontID, token string, expiredToo bool) (*claims, error) {
	var c claims
	err := k.parse(token, &c, issuer(storefront), audience(storefront))
	if err != nil && (!expiredToo || !errors.Is(err, jwt.ErrTokenExpired)) || c.Tenant != string(storefront) {
		return nil, ErrInvalidToken.Because(err)
	}
	return &c, nil
}

// parse checks an access token's signature and registered claims.
func (k *signingKey) parse(token string, c jwt.Claims, issuer, audience string) error {
	_, err := jwt.ParseWithClaims(token, c, func(t *jwt.Token) (any, error) {
		if t.Header["typ"] != accessType || t.Header["kid"] != k.id {
			return nil, errors.New("not an access token by this key")
		}
		return k.private.Public(), nil
	}, jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithLeeway(leeway))
	return err
}
