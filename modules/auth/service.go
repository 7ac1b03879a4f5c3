package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"os"

	"smartseller/platform/control"
	"smartseller/platform/identity"
	"smartseller/platform/ids"
)

// Service knows the admins. Safe for concurrent use.
type Service struct{ db *control.DB }

// NewService makes the service.
func NewService(db *control.DB) *Service { return &Service{db: db} }

// Bootstrap makes the first admin, with a token in a file that only its owner can
// read. It does nothing, and says so, when there is an admin already.
func (s *Service) Bootstrap(ctx context.Context, email, tokenFile string) (made bool, err error) {
	token := "ssa_" + rand.Text() + rand.Text()
	err = s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		made = false
		n, err := countAdmins(tx)
		if err != nil || n > 0 {
			return err
		}
		// No password: "!" is no hash, so none matches.
		admin := ids.New()
		if err := errors.Join(insertAdmin(tx, admin, email, "!"), insertToken(tx, ids.New(), admin, digest(token), "first start")); err != nil {
			return err
		}
		// Before the commit: an admin whose token nobody has could never come in.
		made = true
		return writeSecret(tokenFile, token)
	})
	return made && err == nil, err
}

func writeSecret(path, secret string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, []byte(secret+"\n"), 0o600)
}

// digest is what is stored of a token. It is random and long: no salt is needed.
func digest(token string) []byte {
	d := sha256.Sum256([]byte(token))
	return d[:]
}

// Authenticate checks an admin's token; ErrInvalidToken when it is no good.
func (s *Service) Authenticate(ctx context.Context, _, token string) (context.Context, error) {
	var admin string
	err := s.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		admin, err = adminOfToken(tx, digest(token))
		return err
	})
	if err != nil {
		return nil, err
	}
	if admin == "" {
		return nil, ErrInvalidToken
	}
	return identity.WithAdmin(ctx, admin), nil
}
