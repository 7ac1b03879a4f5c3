package auth

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"smartseller/backends"
	"smartseller/backends/sharedpostgres"
	"smartseller/backends/sqlite"
	"smartseller/modules/customers"
	"smartseller/modules/storefronts"
	"smartseller/platform/control/controltest"
	"smartseller/platform/crypto"
	"smartseller/platform/identity"
	"smartseller/platform/ids"
	"smartseller/platform/pgserver/pgtest"
)

// doorway is a storefront "toys", and another one, whose customers come and go.
type doorway struct {
	*Sessions
	t    *testing.T
	toys backends.StorefrontID
}

const correct = "correct horse battery"

// newDoorway keeps its storefronts in files.
func newDoorway(t *testing.T) *doorway {
	t.Helper()
	return doorwayAt(t, backends.Config{Name: "place", Kind: backends.SQLite, Path: t.TempDir()})
}

// everywhere runs a test at doorways of either engine.
func everywhere(t *testing.T, test func(t *testing.T, d *doorway)) {
	t.Helper()
	for name, open := range map[string]func(*testing.T) *doorway{"files": newDoorway, "Postgres": func(t *testing.T) *doorway {
		admin := pgtest.Database(t)
		return doorwayAt(t, backends.Config{Name: "place", Kind: backends.SharedPostgres, AdminDSN: admin, DSN: pgtest.Role(t, admin, "")})
	}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func doorwayAt(t *testing.T, place backends.Config) *doorway {
	t.Helper()
	ctx := context.Background()
	db := controltest.Open(t)
	keys, err := crypto.New(make([]byte, crypto.MasterKeySize))
	require.NoError(t, err)
	catalog, err := backends.NewCatalog(append(Tables(), customers.Tables()...)...)
	require.NoError(t, err)
	directory := backends.NewDirectory(db, keys, catalog, map[backends.Kind]backends.Opener{
		backends.SQLite: sqlite.Opener(catalog), backends.SharedPostgres: sharedpostgres.Opener(catalog),
	})
	stores := backends.NewStores(directory, 4)
	t.Cleanup(func() { require.NoError(t, stores.Close()) })
	shops := storefronts.NewService(db, directory, stores)
	require.NoError(t, shops.AddBackend(ctx, place))
	passwords, err := NewCheapPasswords()
	require.NoError(t, err)
	d := &doorway{Sessions: NewSessions(Options{}, backends.NewRouter(directory, stores, backends.RouterOptions{}), shops, db, keys, passwords), t: t}
	for _, slug := range []string{"other", "toys"} {
		made, err := shops.Create(ctx, storefronts.NewStorefront{Slug: slug, Name: slug, Currency: "EUR", TimeZone: "UTC", Backend: "place"})
		require.NoError(t, err)
		d.toys = made.ID
	}
	return d
}

// change writes what no operation does yet, or time would.
func (d *doorway) change(s *backends.Statement, args ...any) {
	d.t.Helper()
	require.NoError(d.t, d.store.Update(context.Background(), d.toys, func(_ context.Context, tx backends.Tx) error {
		n, err := tx.Exec(s, args...)
		require.NotZero(d.t, n)
		return err
	}))
}

func (d *doorway) register(email string) *Granted {
	d.t.Helper()
	g, err := d.Register(context.Background(), "toys", Registration{Email: email, Password: correct}, Client{Address: "192.0.2.77"})
	require.NoError(d.t, err)
	return g
}

func (d *doorway) refresh(token string) (*Granted, error) {
	return d.Refresh(context.Background(), "toys", token, Client{})
}

// in says whether an access token lets its holder in.
func (d *doorway) in(slug, token string) error {
	ctx, err := d.Authenticate(context.Background(), slug, token)
	if err == nil {
		require.NotEmpty(d.t, identity.CustomerOf(ctx).ID)
	}
	return err
}

// expired is an access token of the same session that has expired.
func (d *doorway) expired(g *Granted) string {
	d.t.Helper()
	key, err := d.signers.of(context.Background(), d.toys)
	require.NoError(d.t, err)
	held, err := key.verify(d.toys, g.Access, false)
	require.NoError(d.t, err)
	token, err := key.seal(claims{
		RegisteredClaims: registered(issuer(d.toys), audience(d.toys), g.Customer.ID, time.Now().Add(-time.Hour), accessLife),
		Tenant:           string(d.toys), Session: held.Session, Cred: held.Cred,
	})
	require.NoError(d.t, err)
	return token
}

var (
	rotatedAt   = backends.Write(sessionsTable, `UPDATE sessions SET rotated_at = rotated_at - $2 WHERE storefront_id = $1`)
	idleUntil   = backends.Write(sessionsTable, `UPDATE sessions SET idle_expires_at = $2 WHERE storefront_id = $1`)
	endedAt     = backends.Write(sessionsTable, `UPDATE sessions SET expires_at = $3 WHERE storefront_id = $1 AND id = $2`)
	listIDs     = backends.Read(`SELECT id FROM sessions WHERE storefront_id = $1 ORDER BY id`)
	listAudit   = backends.Read(`SELECT id FROM security_audit WHERE storefront_id = $1 ORDER BY id`)
	raiseCred   = backends.Write(customers.Tables()[0], `UPDATE customers SET cred = cred + 1 WHERE storefront_id = $1`)
	setStatus   = backends.Write(customers.Tables()[0], `UPDATE customers SET status = $2 WHERE storefront_id = $1`)
	setHash     = backends.Write(customers.Tables()[0], `UPDATE customers SET password_hash = $2 WHERE storefront_id = $1`)
	listPlaces  = backends.Read(`SELECT ip_prefix FROM security_audit WHERE storefront_id = $1`)
	countEvents = backends.Read(`SELECT count(*) FROM security_audit WHERE storefront_id = $1 AND event = $2`)
)

// TestRefreshTokenIsGoodOnce, and once more only for whoever lost the answer just now.
func TestRefreshTokenIsGoodOnce(t *testing.T) {
	t.Parallel()
	d := newDoorway(t)
	first := d.register("ada@example.com")
	second, err := d.refresh(first.Refresh)
	require.NoError(t, err)
	require.NotEqual(t, first.Refresh, second.Refresh)
	again, err := d.refresh(first.Refresh)
	require.NoError(t, err)
	require.Equal(t, second.Refresh, again.Refresh)

	d.change(rotatedAt, (refreshGrace + time.Second).Microseconds())
	_, err = d.refresh(first.Refresh)
	require.ErrorIs(t, err, ErrInvalidToken)
	_, err = d.refresh(second.Refresh)
	require.ErrorIs(t, err, ErrInvalidToken, "the session has ended with it")
	require.ErrorIs(t, d.in("toys", second.Access), ErrInvalidToken)
	var reuses int64
	require.NoError(t, d.store.View(context.Background(), d.toys, func(_ context.Context, tx backends.Tx) error {
		return tx.Get(&reuses, countEvents, "refresh_reuse")
	}))
	require.EqualValues(t, 1, reuses)
}

func TestRefreshTokensThatAreNoGood(t *testing.T) {
	t.Parallel()
	d := newDoorway(t)
	g := d.register("ada@example.com")
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(g.Refresh, refreshPrefix))
	require.NoError(t, err)
	raw[len(raw)-1] ^= 1
	forged := refreshPrefix + base64.RawURLEncoding.EncodeToString(raw)
	for _, token := range []string{"", "garbage", forged, g.Refresh + "A", strings.TrimPrefix(g.Refresh, refreshPrefix)} {
		_, err := d.refresh(token)
		require.ErrorIs(t, err, ErrInvalidToken, token)
		require.ErrorIs(t, d.Logout(context.Background(), "toys", Parting{Refresh: token}, Client{}), ErrInvalidToken, token)
	}
	_, err = d.Refresh(context.Background(), "other", g.Refresh, Client{})
	require.ErrorIs(t, err, ErrInvalidToken)

	d.change(setStatus, "disabled")
	_, err = d.refresh(g.Refresh)
	require.ErrorIs(t, err, ErrInvalidToken, "a disabled customer")
	require.ErrorIs(t, d.in("toys", g.Access), ErrInvalidToken)
	_, err = d.Login(context.Background(), "toys", "ada@example.com", correct, Client{})
	require.ErrorIs(t, err, errCredentials)
	d.change(setStatus, "active")
	require.NoError(t, d.in("toys", g.Access), "none of it ended the session")

	d.change(idleUntil, time.Now().UnixMicro())
	_, err = d.refresh(g.Refresh)
	require.ErrorIs(t, err, ErrInvalidToken, "an idle session")
	require.ErrorIs(t, d.in("toys", g.Access), ErrInvalidToken)
}

// TestAccessTokensThatAreNoGood: each is wrong in one thing, and signed by the right key.
func TestAccessTokensThatAreNoGood(t *testing.T) {
	t.Parallel()
	d := newDoorway(t)
	ctx := context.Background()
	g, eve := d.register("ada@example.com"), d.register("eve@example.com")
	key, err := d.signers.of(ctx, d.toys)
	require.NoError(t, err)
	admins, err := d.signers.of(ctx, platformKey)
	require.NoError(t, err)
	held, err := key.verify(d.toys, g.Access, false)
	require.NoError(t, err)
	other, err := d.storefront(ctx, "other")
	require.NoError(t, err)
	now := time.Now()
	good := claims{
		RegisteredClaims: registered(issuer(d.toys), audience(d.toys), g.Customer.ID, now, accessLife), Tenant: string(d.toys), Session: held.Session, Cred: held.Cred,
	}
	for name, wrong := range map[string]func(c *claims){
		"nothing":             func(*claims) {},
		"issuer":              func(c *claims) { c.Issuer = issuer(other) },
		"audience":            func(c *claims) { c.Audience = jwt.ClaimStrings{audience(other)} },
		"storefront":          func(c *claims) { c.Tenant = string(other) },
		"time":                func(c *claims) { c.ExpiresAt = jwt.NewNumericDate(now.Add(-leeway - time.Second)) },
		"no end":              func(c *claims) { c.ExpiresAt = nil },
		"not yet":             func(c *claims) { c.NotBefore = jwt.NewNumericDate(now.Add(leeway + time.Minute)) },
		"another customer":    func(c *claims) { c.Subject = eve.Customer.ID },
		"no such session":     func(c *claims) { c.Session = eve.Customer.ID },
		"credentials' number": func(c *claims) { c.Cred++ },
	} {
		c := good
		wrong(&c)
		token, err := key.seal(c)
		require.NoError(t, err)
		if name == "nothing" {
			require.NoError(t, d.in("toys", token))
			continue
		}
		require.ErrorIs(t, d.in("toys", token), ErrInvalidToken, name)
	}
	for name, header := range map[string]map[string]any{"type": {"typ": "JWT"}, "key": {"kid": admins.id}} {
		token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, good)
		token.Header["typ"], token.Header["kid"] = accessType, key.id
		for k, v := range header {
			token.Header[k] = v
		}
		text, err := token.SignedString(key.private)
		require.NoError(t, err)
		require.ErrorIs(t, d.in("toys", text), ErrInvalidToken, name)
	}
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, good).SignedString(jwt.UnsafeAllowNoneSignatureType)
	require.NoError(t, err)
	require.ErrorIs(t, d.in("toys", unsigned), ErrInvalidToken)
	require.ErrorIs(t, d.in("other", g.Access), ErrInvalidToken)

	d.change(raiseCred)
	require.ErrorIs(t, d.in("toys", g.Access), ErrInvalidToken, "the password was changed")
}

// TestPasswordsAreComparedWhole: bcrypt looks at 72 bytes and no further.
func TestPasswordsAreComparedWhole(t *testing.T) {
	t.Parallel()
	d := newDoorway(t)
	ctx := context.Background()
	longest := strings.Repeat("x", longestPassword)
	_, err := d.Register(ctx, "toys", Registration{Email: "ada@example.com", Password: longest + "x"}, Client{})
	require.Error(t, err)
	_, err = d.Register(ctx, "toys", Registration{Email: "ada@example.com", Password: longest}, Client{})
	require.NoError(t, err)
	for password, want := range map[string]error{longest: nil, longest + "x": errCredentials, longest[1:]: errCredentials, "": errCredentials} {
		_, err := d.Login(ctx, "toys", "ADA@example.com", password, Client{})
		require.ErrorIs(t, err, want, "%d bytes", len(password))
	}
	d.change(setHash, nil)
	for _, password := range []string{longest, ""} {
		_, err := d.Login(ctx, "toys", "ada@example.com", password, Client{})
		require.ErrorIs(t, err, errCredentials)
	}
	d.passwords.dummy, err = bcrypt.GenerateFromPassword([]byte("guessed"), bcrypt.MinCost)
	require.NoError(t, err)
	same, err := d.passwords.matches(ctx, d.toys, nil, "guessed")
	require.NoError(t, err)
	require.False(t, same, "what the unknown are compared with lets nobody in")
}

// TestOnlyThePrefixOfAnAddressIsKept.
func TestOnlyThePrefixOfAnAddressIsKept(t *testing.T) {
	t.Parallel()
	d := newDoorway(t)
	d.register("ada@example.com")
	var kept []string
	require.NoError(t, d.store.View(context.Background(), d.toys, func(_ context.Context, tx backends.Tx) error {
		return tx.Select(&kept, listPlaces)
	}))
	require.Equal(t, []string{"192.0.2.0/24"}, kept)
	for address, prefix := range map[string]string{
		"2001:db8:1:2:3::4": "2001:db8:1::/48", "::ffff:192.0.2.9": "192.0.2.0/24", "": "", "unix": "",
	} {
		require.Equal(t, prefix, Client{Address: address}.prefix(), address)
	}
}

// TestEndedSessionsAreForgotten, and those that have just ended are not.
func TestEndedSessionsAreForgotten(t *testing.T) {
	t.Parallel()
	d := newDoorway(t)
	const ended, ending, last = "0190a000-0000-7000-8000-000000000001", "0190a000-0000-7000-8000-000000000002", "0190a000-0000-7000-8000-000000000100"
	begin := func(id string) {
		require.NoError(t, d.store.Update(context.Background(), d.toys, func(_ context.Context, tx backends.Tx) error {
			return insertSession(tx, &session{ID: id, Customer: "c", Key: []byte{}})
		}))
	}
	begin(ended)
	begin(ending)
	d.change(endedAt, ended, time.Now().Add(-2*time.Hour).UnixMicro())
	d.change(endedAt, ending, time.Now().Add(-time.Minute).UnixMicro())
	begin(last)
	var left []string
	require.NoError(t, d.store.View(context.Background(), d.toys, func(_ context.Context, tx backends.Tx) error {
		return tx.Select(&left, listIDs)
	}))
	require.Equal(t, []string{ending, last}, left)
}

// TestOldAuditIsForgotten, when that is asked, and what is newer is not.
func TestOldAuditIsForgotten(t *testing.T) {
	t.Parallel()
	d := newDoorway(t)
	const keep = 24 * time.Hour
	at := func(age time.Duration, last string) string {
		return ids.First(time.Now().Add(-age)) + "-7000-8000-0000000000" + last
	}
	old, recent, last := at(keep+time.Minute, "01"), at(keep-time.Minute, "02"), at(0, "00")
	note := func(keep time.Duration, ids ...string) (left []string) {
		require.NoError(t, d.store.Update(context.Background(), d.toys, func(_ context.Context, tx backends.Tx) error {
			for _, id := range ids {
				if err := audit(tx, keep, id, "c", "login", Client{}); err != nil {
					return err
				}
			}
			left = nil
			return tx.Select(&left, listAudit)
		}))
		return left
	}
	require.Equal(t, []string{old, recent}, note(keep, old, recent), "one in 256 forgets")
	require.Len(t, note(0, at(time.Minute, "00")), 3, "for ever")
	left := note(keep, last)
	require.NotContains(t, left, old)
	require.Contains(t, left, recent)
	require.Contains(t, left, last)
}
