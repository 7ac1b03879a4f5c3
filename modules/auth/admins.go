package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"smartseller/modules/customers"
	"smartseller/platform/control"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

// shortestAdminPassword in characters.
const shortestAdminPassword = 12

// Errors of operations on admins.
var (
	ErrNoAdmin    = fault.New(fault.NotFound, "admin_not_found", "There is no admin with this e-mail address.")
	ErrAdminTaken = fault.New(fault.Conflict, "admin_exists", "There is an admin with this e-mail address already: reset the password instead.")

	errChoosePassword = fault.New(fault.Forbidden, "password_change_required", "This password was good for coming in once: send a new_password of your own along.")
)

// admin is a row of the admins.
type admin struct {
	ID           string `db:"id"`
	Email        string `db:"email"`
	EmailKey     string `db:"email_key"`
	PasswordHash string `db:"password_hash"`
	MustChange   bool   `db:"must_change"`
	Role         string `db:"role"`
	Cred         int64  `db:"cred"`
	Storefront   string `db:"storefront_id"` // a seller's
}

// Create makes an admin and returns a password that is good for one login. by says
// who does it, for the audit.
func (s *Service) Create(ctx context.Context, by, email, role string) (password string, err error) {
	if role != PlatformAdmin && role != Auditor {
		return "", fault.InvalidField("/role", "unknown_role", "must be "+PlatformAdmin+" or "+Auditor+"; a "+Seller+" needs a storefront")
	}
	return s.create(ctx, by, email, &admin{Role: role})
}

// CreateSeller makes an account that sees the moves of one storefront, given by id or
// slug, and nothing else. Its password is good for one login.
func (s *Service) CreateSeller(ctx context.Context, by, email, storefront string) (password string, err error) {
	a := &admin{Role: Seller}
	if err := s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		a.Storefront, err = storefrontID(tx, storefront)
		return err
	}); err != nil {
		return "", err
	}
	return s.create(ctx, by, email, a)
}

func (s *Service) create(ctx context.Context, by, email string, a *admin) (password string, err error) {
	key, err := customers.EmailKey(email)
	if err != nil {
		return "", err
	}
	password, hash, err := s.oneTimePassword(ctx)
	if err != nil {
		return "", err
	}
	a.ID, a.Email, a.EmailKey, a.PasswordHash, a.MustChange = ids.New(), email, key, hash, true
	return password, s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		if err := insertAdmin(tx, a); err != nil {
			return err
		}
		return insertRecord(tx, done(by, "create-admin", a))
	})
}

// ResetPassword gives an admin a password that is good for one login, ends what they
// logged in to, and forgets failed attempts. Tokens in files stay good.
func (s *Service) ResetPassword(ctx context.Context, by, email string) (password string, err error) {
	key, err := customers.EmailKey(email)
	if err != nil {
		return "", err
	}
	password, hash, err := s.oneTimePassword(ctx)
	if err != nil {
		return "", err
	}
	return password, s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		a, err := lockAdmin(tx, key)
		if err != nil {
			return err
		}
		if a == nil {
			return ErrNoAdmin
		}
		return errors.Join(savePassword(tx, a.ID, hash, true), dropLimit(tx, s.limits.key(platformKey, key)),
			insertRecord(tx, done(by, "reset-admin-password", a)))
	})
}

// RevokeTokens makes the tokens void that an admin has in files, and says how many. Who
// has none can log in by password.
func (s *Service) RevokeTokens(ctx context.Context, by, email string) (revoked int64, err error) {
	key, err := customers.EmailKey(email)
	if err != nil {
		return 0, err
	}
	err = s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		a, err := lockAdmin(tx, key)
		if err != nil {
			return err
		}
		if a == nil {
			return ErrNoAdmin
		}
		if revoked, err = revokeTokens(tx, a.ID); err != nil {
			return err
		}
		return insertRecord(tx, done(by, "revoke-admin-tokens", a))
	})
	return revoked, err
}

func (s *Service) oneTimePassword(ctx context.Context) (password, hash string, err error) {
	password = rand.Text()
	hash, err = s.passwords.hash(ctx, platformKey, password)
	return password, hash, err
}

// Attempt is an admin's attempt to log in.
type Attempt struct {
	Email, Password string
	NewPassword     string // replaces Password; "" keeps it
	Address         string // the client's IP
}

// AdminSession is what a login gives. Life is how long the token is good.
type AdminSession struct {
	Token           string
	Life            time.Duration
	ID, Email, Role string
}

// Login lets an admin in by password. A one-time password must be replaced at once.
// Unknown addresses and wrong passwords have one answer and one cost.
func (s *Service) Login(ctx context.Context, t Attempt) (*AdminSession, error) {
	key, err := customers.EmailKey(t.Email)
	if err != nil {
		return nil, err
	}
	try, err := s.limits.begin(ctx, s.limits.key(platformKey, key))
	if err != nil {
		return nil, err
	}
	a, err := s.comeIn(ctx, key, t)
	try.end(ctx, err)
	if err != nil {
		return nil, err
	}
	signer, err := s.signers.of(ctx, platformKey)
	if err != nil {
		return nil, err
	}
	token, err := signer.signAdmin(a, time.Now())
	return &AdminSession{Token: token, Life: adminLife, ID: a.ID, Email: a.Email, Role: a.Role}, err
}

// comeIn proves an admin's password, and replaces it if that is asked.
func (s *Service) comeIn(ctx context.Context, key string, t Attempt) (*admin, error) {
	a, err := s.prove(ctx, key, t.Password)
	if err != nil {
		return nil, err
	}
	if err := checkChange(a, t); err != nil {
		return nil, err
	}
	fresh := ""
	if t.NewPassword != "" {
		if fresh, err = s.passwords.hash(ctx, platformKey, t.NewPassword); err != nil {
			return nil, err
		}
	}
	return s.enter(ctx, a, fresh, t.Address)
}

// prove finds the admin who has this address and this password.
func (s *Service) prove(ctx context.Context, key, password string) (a *admin, err error) {
	if err := s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		a, err = adminByKey(tx, key)
		return err
	}); err != nil {
		return nil, err
	}
	var hash *string // nil takes as long as any other
	if a != nil && a.PasswordHash != noPassword {
		hash = &a.PasswordHash
	}
	same, err := s.passwords.matches(ctx, platformKey, hash, password)
	if err == nil && !same {
		err = errCredentials
	}
	return a, err
}

func checkChange(a *admin, t Attempt) error {
	switch {
	case t.NewPassword == "" && a.MustChange:
		return errChoosePassword
	case t.NewPassword == "":
		return nil
	case t.NewPassword == t.Password:
		return fault.InvalidField("/new_password", "same_password", "must differ from the password that it replaces")
	}
	return checkPassword("/new_password", t.NewPassword, shortestAdminPassword)
}

// enter writes the login down, and the new password, if there is one. The password
// that was proved must still be in force: a one-time password is good once, also for
// two who use it at the same time.
func (s *Service) enter(ctx context.Context, proved *admin, fresh, address string) (a *admin, err error) {
	err = s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		a, err = lockAdmin(tx, proved.EmailKey)
		if err != nil {
			return err
		}
		if a == nil || a.PasswordHash != proved.PasswordHash {
			return errCredentials
		}
		record := done(a.ID, "login", a)
		record.Address = address
		if fresh != "" {
			a.Cred++
			record.Action = "change-password"
			err = savePassword(tx, a.ID, fresh, false)
		}
		return errors.Join(err, insertRecord(tx, record))
	})
	return a, err
}
