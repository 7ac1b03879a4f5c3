package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"smartseller/platform/control"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
	"smartseller/platform/identity"
	"smartseller/platform/ids"
)

// Roles of admins.
const (
	PlatformAdmin = "platform-admin" // may do everything
	Auditor       = "auditor"        // may read everything
	Seller        = "seller"         // sees the moves of one storefront, and nothing else
)

// ErrReadOnly says that an admin is known, and may not change anything.
var ErrReadOnly = &fault.Error{
	Kind: fault.Forbidden, Code: "insufficient_scope", Detail: "An auditor may read and change nothing: ask a platform-admin.",
	Header: map[string]string{"WWW-Authenticate": `Bearer error="insufficient_scope"`},
}

// ErrSeller and ErrSellersOnly say that an account has nothing to do where it knocked: a
// seller at the platform's operations, or an admin at a seller's.
var (
	ErrSeller = &fault.Error{
		Kind: fault.Forbidden, Code: "insufficient_scope", Detail: "A seller sees the moves of one storefront, under /api/seller, and nothing else: ask a platform-admin.",
		Header: map[string]string{"WWW-Authenticate": `Bearer error="insufficient_scope"`},
	}
	ErrSellersOnly = &fault.Error{
		Kind: fault.Forbidden, Code: "insufficient_scope", Detail: "This is the view of a storefront's seller: log in as one; admins see moves under /api/admin.",
		Header: map[string]string{"WWW-Authenticate": `Bearer error="insufficient_scope"`},
	}
)

// Service knows the admins. Safe for concurrent use.
type Service struct {
	db        *control.DB
	passwords *Passwords
	limits    *limits
	signers   *signers
}

// NewService makes the service.
func NewService(db *control.DB, keys *crypto.Keyring, p *Passwords) *Service {
	return &Service{db: db, passwords: p, limits: newLimits(db, keys), signers: newSigners(db, keys)}
}

// noPassword is no hash, so none matches.
const noPassword = "!"

const tokenPrefix = "ssa_" // of tokens that are kept in a file

// Bootstrap gives the first platform admin a token in a file that only its owner can
// read, and makes that admin where there is none. It does nothing where a token was
// made before.
func (s *Service) Bootstrap(ctx context.Context, by, email, tokenFile string) error {
	token := tokenPrefix + rand.Text() + rand.Text()
	draft, err := draftSecret(tokenFile, token)
	if err != nil {
		return err
	}
	defer os.Remove(draft)
	return s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		n, err := countTokens(tx)
		if err != nil || n > 0 {
			return err
		}
		a, err := firstPlatformAdmin(tx)
		if err != nil {
			return err
		}
		if a == nil {
			a = &admin{ID: ids.New(), Email: email, EmailKey: email, PasswordHash: noPassword, Role: PlatformAdmin}
			if err := errors.Join(insertAdmin(tx, a), insertRecord(tx, done(by, "create-admin", a))); err != nil {
				return err
			}
		}
		if err := errors.Join(insertToken(tx, ids.New(), a.ID, digest(token), by), insertRecord(tx, done(by, "create-token", a))); err != nil {
			return err
		}
		// Before the commit: an admin whose token nobody has could never come in.
		err = os.Rename(draft, tokenFile)
		if errors.Is(err, fs.ErrNotExist) { // a first try, whose commit met another's, has done it
			return nil
		}
		return err
	})
}

// First is the e-mail address of the platform admin who was made first; "": there is none.
func (s *Service) First(ctx context.Context) (email string, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		a, err := firstPlatformAdmin(tx)
		if a != nil {
			email = a.Email
		}
		return err
	})
	return email, err
}

// draftSecret writes what a file is to hold, for its owner alone, to one beside it, which
// takes the file's name whole.
func draftSecret(path, secret string) (draft string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".token-*")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(secret + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// digest is what is stored of a token. It is random and long: no salt is needed.
func digest(token string) []byte {
	d := sha256.Sum256([]byte(token))
	return d[:]
}

// Authenticate checks an admin's token, out of a file or from Login: ErrInvalidToken
// when it is no good, ErrReadOnly when it is an auditor's and changes is asked.
func (s *Service) Authenticate(ctx context.Context, token string, changes bool) (context.Context, error) {
	a, err := s.adminOf(ctx, token)
	switch {
	case err != nil:
		return nil, err
	case a == nil:
		return nil, ErrInvalidToken
	case a.Role == Seller:
		return nil, ErrSeller
	case changes && a.Role != PlatformAdmin:
		return nil, ErrReadOnly
	}
	return identity.WithAdmin(ctx, a.ID), nil
}

// AuthenticateSeller checks a seller's token: ErrInvalidToken when it is no good,
// ErrSellersOnly when it is an admin's. The context says whose seller asks.
func (s *Service) AuthenticateSeller(ctx context.Context, token string) (context.Context, error) {
	a, err := s.adminOf(ctx, token)
	switch {
	case err != nil:
		return nil, err
	case a == nil:
		return nil, ErrInvalidToken
	case a.Role != Seller || a.Storefront == "":
		return nil, ErrSellersOnly
	}
	return identity.WithSeller(identity.WithAdmin(ctx, a.ID), a.Storefront), nil
}

// adminOf finds whose token this is; nil when it is nobody's.
func (s *Service) adminOf(ctx context.Context, token string) (a *admin, err error) {
	if strings.HasPrefix(token, tokenPrefix) {
		err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
			a, err = adminOfToken(tx, digest(token))
			return err
		})
		return a, err
	}
	key, err := s.signers.of(ctx, platformKey)
	if err != nil {
		return nil, err
	}
	c, err := key.verifyAdmin(token)
	if err != nil {
		return nil, err
	}
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		a, err = adminByID(tx, c.Subject)
		return err
	})
	if a != nil && a.Cred != c.Cred {
		a = nil // the password was changed since
	}
	return a, err
}
