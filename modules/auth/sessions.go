package auth

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"net/netip"
	"time"

	"smartseller/backends"
	"smartseller/modules/customers"
	"smartseller/modules/storefronts"
	"smartseller/platform/clock"
	"smartseller/platform/control"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
	"smartseller/platform/identity"
	"smartseller/platform/ids"
)

// How long a session lasts, and how long the token before the current one still
// yields the current one: a client whose answer was lost asks again.
const (
	sessionIdle  = 14 * 24 * time.Hour
	sessionLife  = 30 * 24 * time.Hour
	refreshGrace = 30 * time.Second
)

var errCredentials = fault.New(fault.Unauthorized, "invalid_credentials", "E-mail address and password do not match.")

// Sessions lets customers in and out. Safe for concurrent use.
type Sessions struct {
	store     backends.TenantStore
	shops     *storefronts.Service
	passwords *Passwords
	signers   *signers
	limits    *limits
	keys      *crypto.Keyring
	options   Options
}

// Options are what an installation decides.
type Options struct {
	KeepAudit time.Duration // how long it is known what happened to a customer's account; 0: for ever
}

// NewSessions makes the service.
func NewSessions(o Options, store backends.TenantStore, shops *storefronts.Service, db *control.DB, keys *crypto.Keyring, p *Passwords) *Sessions {
	return &Sessions{options: o, store: store, shops: shops, passwords: p, limits: newLimits(db, keys), keys: keys, signers: newSigners(db, keys)}
}

// Client is what is remembered of where a session came from.
type Client struct {
	UserAgent string
	Address   string // IP; only its prefix is stored
}

func (c Client) prefix() string {
	a, err := netip.ParseAddr(c.Address)
	if err != nil {
		return ""
	}
	bits := 24
	if a.Is6() && !a.Is4In6() {
		bits = 48
	}
	p, err := a.Unmap().Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// Granted is what a client holds after it came in.
type Granted struct {
	Customer      *customers.Customer
	Access        string
	AccessSeconds int64
	Refresh       string
}

// storefront finds who is asked; a suspended one lets nobody in.
func (s *Sessions) storefront(ctx context.Context, slug string) (backends.StorefrontID, error) {
	found, err := s.shops.Open(ctx, slug)
	return found.ID, err
}

// Registration is what a new customer tells.
type Registration struct {
	Email, Password, FirstName, LastName string
	Marketing                            bool
	Key                                  string // names the request, if it comes again; or ""
}

// request is how a registration is known again. It leaves out the password: that
// is verified instead.
func (r Registration) request(keys *crypto.Keyring, emailKey string, from Client) (*customers.Request, error) {
	return customers.NewRequest(keys, from.Address, "register", r.Key, []any{emailKey, r.FirstName, r.LastName, r.Marketing})
}

// Register makes an account and lets its owner in. A request with a key that made
// the account before lets its owner in as a login does.
func (s *Sessions) Register(ctx context.Context, slug string, r Registration, from Client) (*Granted, error) {
	key, err := customers.EmailKey(r.Email)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(customers.CheckName("/first_name", r.FirstName), customers.CheckName("/last_name", r.LastName)); err != nil {
		return nil, err
	}
	shop, err := s.storefront(ctx, slug)
	if err != nil {
		return nil, err
	}
	if err := checkPassword("/password", r.Password, shortestPassword); err != nil {
		return nil, err
	}
	hash, err := s.passwords.hash(ctx, shop, r.Password)
	if err != nil {
		return nil, err
	}
	c := &customers.Customer{ID: ids.New(), Email: r.Email, EmailKey: key, PasswordHash: &hash, FirstName: r.FirstName, LastName: r.LastName, Marketing: r.Marketing}
	request, err := r.request(s.keys, key, from)
	if err != nil {
		return nil, err
	}
	session := newSession(c.ID, from)
	made := c
	err = s.store.Update(ctx, shop, func(_ context.Context, tx backends.Tx) error {
		id, err := customers.Once(tx, request, c.ID, func() error {
			if err := customers.Insert(tx, c); err != nil {
				return err
			}
			return errors.Join(insertSession(tx, session), s.audit(tx, c.ID, "registered", from))
		})
		if err != nil {
			return err
		}
		made, err = customers.ByID(tx, id)
		return err
	})
	switch {
	case errors.Is(err, customers.ErrNotFound):
		return nil, customers.ErrMadeGone
	case err != nil:
		return nil, err
	case made.ID != c.ID:
		again := func(tx backends.Tx) (*customers.Customer, error) { return customers.ByID(tx, made.ID) }
		return s.comeIn(ctx, shop, made.EmailKey, again, r.Password, from)
	}
	return s.grant(ctx, shop, made, session)
}

// Login lets a customer in by password. Unknown, disabled and passwordless
// accounts and a wrong password have one answer and one cost.
func (s *Sessions) Login(ctx context.Context, slug, email, password string, from Client) (*Granted, error) {
	key, err := customers.EmailKey(email)
	if err != nil {
		return nil, err
	}
	shop, err := s.storefront(ctx, slug)
	if err != nil {
		return nil, err
	}
	account := func(tx backends.Tx) (*customers.Customer, error) { return customers.ByEmailKey(tx, key) }
	return s.comeIn(ctx, shop, key, account, password, from)
}

// lookUp finds an account; customers.ErrNotFound when there is none.
type lookUp func(tx backends.Tx) (*customers.Customer, error)

// comeIn verifies an account's password, within the limits of guessing at its
// address, and begins a session.
func (s *Sessions) comeIn(ctx context.Context, shop backends.StorefrontID, key string, account lookUp, password string, from Client) (*Granted, error) {
	try, err := s.limits.begin(ctx, s.limits.key(shop, key))
	if err != nil {
		return nil, err
	}
	c, session, err := s.enter(ctx, shop, account, password, from)
	try.end(ctx, err)
	if err != nil {
		return nil, err
	}
	return s.grant(ctx, shop, c, session)
}

// enter begins a session for whoever knows an account's password.
func (s *Sessions) enter(ctx context.Context, shop backends.StorefrontID, account lookUp, password string, from Client) (*customers.Customer, *session, error) {
	c, err := s.find(ctx, shop, account)
	if err != nil {
		return nil, nil, err
	}
	same, err := s.passwords.matches(ctx, shop, c.PasswordHash, password)
	if err != nil {
		return nil, nil, err
	}
	if !same || !c.Active() {
		return nil, nil, errCredentials
	}
	session := newSession(c.ID, from)
	tried := c.PasswordHash
	err = s.store.Update(ctx, shop, func(_ context.Context, tx backends.Tx) error {
		c, err = customers.Hold(tx, session.Customer) // or a logout of all sessions could miss this one
		if err != nil {
			return err
		}
		if !c.Active() || c.PasswordHash == nil || *c.PasswordHash != *tried {
			return errCredentials // changed while the hash was computed
		}
		return errors.Join(insertSession(tx, session), s.audit(tx, c.ID, "login", from))
	})
	return c, session, err
}

// find reads an account; one that does not exist is empty, not an error.
func (s *Sessions) find(ctx context.Context, shop backends.StorefrontID, account lookUp) (c *customers.Customer, err error) {
	err = s.store.View(ctx, shop, func(_ context.Context, tx backends.Tx) error {
		c, err = account(tx)
		return err
	})
	if errors.Is(err, customers.ErrNotFound) {
		return &customers.Customer{}, nil
	}
	return c, err
}

func (s *Sessions) audit(tx backends.Tx, customer, event string, from Client) error {
	return audit(tx, s.options.KeepAudit, ids.New(), customer, event, from)
}

func newSession(customer string, from Client) *session {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // crypto/rand never fails
	return &session{ID: ids.New(), Customer: customer, Counter: 1, Key: key, UserAgent: cut(from.UserAgent, 200), Prefix: from.prefix()}
}

// cut shortens text that came from outside to n bytes of valid UTF-8.
func cut(text string, n int) string {
	if len(text) > n {
		text = text[:n]
	}
	clean := make([]rune, 0, len(text))
	for _, r := range text {
		if r != 0 && r != '\uFFFD' {
			clean = append(clean, r)
		}
	}
	return string(clean)
}

func (s *Sessions) grant(ctx context.Context, shop backends.StorefrontID, c *customers.Customer, held *session) (*Granted, error) {
	key, err := s.signers.of(ctx, shop)
	if err != nil {
		return nil, err
	}
	access, life, err := key.sign(shop, c.ID, held.ID, c.Cred, time.Now())
	if err != nil {
		return nil, err
	}
	token, err := newRefresh(shop, held.ID, held.Counter, held.Key)
	return &Granted{Customer: c, Access: access, AccessSeconds: int64(life / time.Second), Refresh: token}, err
}

// Refresh exchanges a refresh token for a new pair. One that was used before
// revokes the session: it was stolen, or its thief came first.
func (s *Sessions) Refresh(ctx context.Context, slug, token string, from Client) (*Granted, error) {
	shop, err := s.storefront(ctx, slug)
	if err != nil {
		return nil, err
	}
	r, err := parseRefresh(token)
	if err != nil || r.storefront != shop {
		return nil, ErrInvalidToken
	}
	if err := s.gaveOut(ctx, shop, &r); err != nil {
		return nil, err
	}
	var held *session
	var c *customers.Customer
	err = s.store.Update(ctx, shop, func(_ context.Context, tx backends.Tx) error {
		c = nil
		held, err = lockSession(tx, r.session)
		if err != nil || held == nil || !r.signedBy(held.Key) || !held.alive(tx.Now()) {
			return err
		}
		owner, err := customers.ByID(tx, held.Customer)
		if err != nil || !owner.Active() {
			return err
		}
		recent := tx.Now().Sub(time.UnixMicro(held.RotatedAt)) <= refreshGrace
		switch {
		case r.counter == held.Counter:
			held.Counter++
			c = owner
			return rotateSession(tx, held)
		case r.counter == held.Counter-1 && recent:
			c = owner
			return nil
		}
		return errors.Join(revokeSession(tx, held.ID, byReuse), s.audit(tx, held.Customer, byReuse, from))
	})
	if err != nil && !errors.Is(err, customers.ErrNotFound) {
		return nil, err
	}
	if c == nil {
		return nil, ErrInvalidToken
	}
	return s.grant(ctx, shop, c, held)
}

// gaveOut refuses a refresh token that no session gave out. It only reads: made-up tokens
// must not queue with those who write.
func (s *Sessions) gaveOut(ctx context.Context, shop backends.StorefrontID, r *refresh) error {
	var held session
	err := s.store.Get(ctx, shop, &held, findSessionText, r.session)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !r.signedBy(held.Key) {
		return ErrInvalidToken
	}
	return err
}

// Authenticate checks an access token at the storefront in the path: signature,
// claims, and in the storefront's own data the session and the credential version.
func (s *Sessions) Authenticate(ctx context.Context, slug, token string) (context.Context, error) {
	shop, err := s.storefront(ctx, slug)
	if err != nil {
		return nil, err
	}
	key, err := s.signers.of(ctx, shop)
	if err != nil {
		return nil, err
	}
	c, err := key.verify(shop, token, false)
	if err != nil {
		return nil, err
	}
	var held sessionOwner
	err = s.store.Get(ctx, shop, &held, selectSessionOwner, c.Session, c.Subject)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrInvalidToken
	}
	if err != nil {
		return nil, err
	}
	if !held.alive(clock.System()) || !held.Active() || held.Cred != c.Cred {
		return nil, ErrInvalidToken
	}
	return identity.WithCustomer(ctx, identity.Customer{Storefront: string(shop), ID: c.Subject, Session: c.Session}), nil
}
