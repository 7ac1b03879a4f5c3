package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// errDiffers says that something is not what was acknowledged. It is in the journal.
var errDiffers = errors.New("not what was acknowledged")

const password = "correct horse battery"

// customer is one account and all that it was told. Its worker alone uses it.
type customer struct {
	load  *Load
	email string
	id    string

	doubt   bool      // the outcome of some request is unknown
	doubted time.Time // the last time that one was lost on its way back

	session *session
	came    time.Time           // when it was granted
	ended   map[string]*session // logged out, by refresh token: must never work again
	proved  lookedAt            // of what Verify looks at, by token and by id
	knocked bool                // Verify came in by password before

	profile fact
	etag    string

	addresses collection

	orders  collection
	details map[string]*fact // of orders, by id
	pending *pending         // an order without an answer

	writes int // makes every value written a new one
}

type session struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Expires int64  `json:"expires_in"`
}

// aged says that half of an access token's life is over.
func (s *session) aged(since time.Time) bool {
	return time.Since(since) > time.Duration(s.Expires)*time.Second/2
}

type granted struct {
	Customer struct{ ID, Email string }
	Session  session
}

// profile is what a customer writes of themselves.
type profile struct {
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Phone     string `json:"phone"`
	Locale    string `json:"locale"`
	Marketing bool   `json:"marketing"`
}

func newCustomer(l *Load, email string) *customer {
	return &customer{load: l, email: email, details: map[string]*fact{}, ended: map[string]*session{}, proved: lookedAt{}}
}

func canonical(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // a struct of strings and numbers
	}
	return string(text)
}

// compare checks what was read against what the journal knows.
func (c *customer) compare(f *fact, object, read string) error {
	known, maybe := f.known, f.maybe
	if f.observe(read) {
		c.load.journal.checked("")
		return nil
	}
	c.load.journal.checked(fmt.Sprintf("%s of %s is %q, acknowledged was %q (possible too: %q)", object, c.email, read, known, maybe))
	return errDiffers
}

// expect notes a comparison that is either right or not.
func (c *customer) expect(right bool, format string, args ...any) error {
	if right {
		c.load.journal.checked("")
		return nil
	}
	c.load.journal.checked(c.email + ": " + fmt.Sprintf(format, args...))
	return errDiffers
}

func (c *customer) credentials() map[string]any {
	return map[string]any{"email": c.email, "password": password}
}

func (c *customer) register(ctx context.Context) error {
	_, _, err := c.come(ctx, Register, "/auth/register", c.credentials(), http.StatusCreated)
	if err != nil {
		return fmt.Errorf("register %s: %w", c.email, err)
	}
	c.profile.acknowledge(canonical(profile{}))
	return nil
}

// come asks for a session and holds it.
func (c *customer) come(ctx context.Context, kind Kind, path string, body any, want int) (int, http.Header, error) {
	var g granted
	status, header, err := c.load.send(ctx, c, request{
		kind: kind, method: http.MethodPost, path: path, body: body, want: []int{want}, object: "session",
	}, &g)
	if err != nil {
		return status, header, err
	}
	c.id = g.Customer.ID
	c.session, c.came = &g.Session, time.Now()
	return status, header, nil
}

// login comes in by password: the account must be the one that was registered.
func (c *customer) login(ctx context.Context) error {
	id := c.id
	if _, _, err := c.come(ctx, Login, "/auth/login", c.credentials(), http.StatusOK); err != nil {
		return err
	}
	return c.expect(c.id == id, "logged in as customer %s, was registered as %s", c.id, id)
}

// relogin ends the session and begins another one. The old one must be dead at once.
func (c *customer) relogin(ctx context.Context) error {
	old := c.session
	_, _, err := c.load.send(ctx, c, request{
		kind: Logout, method: http.MethodPost, path: "/auth/logout", token: old.Access, body: struct{}{},
		want: []int{http.StatusNoContent}, object: "session",
	}, nil)
	if err == nil {
		c.ended[old.Refresh] = old
		err = c.isDead(ctx, old)
	}
	c.session = nil // also when no answer came: it may be dead or alive
	return errors.Join(err, c.login(ctx))
}

// refresh exchanges the token that is held. When the answer is lost, the same token
// asked again yields the successor.
func (c *customer) refresh(ctx context.Context) error {
	if c.session == nil {
		return c.login(ctx)
	}
	_, _, err := c.come(ctx, Refresh, "/auth/refresh", map[string]any{"refresh_token": c.session.Refresh}, http.StatusOK)
	return err
}

// isDead proves that a session that was ended lets nobody in, by either token.
func (c *customer) isDead(ctx context.Context, s *session) error {
	for _, r := range []request{
		{kind: Refresh, method: http.MethodPost, path: "/auth/refresh", body: map[string]any{"refresh_token": s.Refresh}},
		{kind: ReadProfile, method: http.MethodGet, path: "/profile", token: s.Access},
	} {
		r.want, r.object = []int{http.StatusOK, http.StatusUnauthorized}, "ended session"
		status, _, err := c.load.send(ctx, c, r, nil)
		if err == nil {
			err = c.expect(status == http.StatusUnauthorized, "a session that was ended lives again (%s)", r.kind)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// getProfile reads the profile, which must be one's own, and its version.
func (c *customer) getProfile(ctx context.Context) (value, version string, err error) {
	var read struct {
		ID, Email string
		profile
	}
	_, header, err := c.load.send(ctx, c, request{
		kind: ReadProfile, method: http.MethodGet, path: "/profile", token: c.session.Access, want: []int{http.StatusOK}, object: "profile",
		read: func() string { return canonical(read.profile) },
	}, &read)
	if err != nil {
		return "", "", err
	}
	return canonical(read.profile), header.Get("ETag"), c.expect(read.ID == c.id && read.Email == c.email, "the profile is that of %s", read.ID)
}

// putProfile replaces the profile where it has a version still.
func (c *customer) putProfile(ctx context.Context, version string, next profile, want ...int) (status int, nextVersion string, err error) {
	status, header, err := c.load.send(ctx, c, request{
		kind: WriteProfile, method: http.MethodPut, path: "/profile", token: c.session.Access, match: version, body: next,
		want: want, object: "profile", value: canonical(next),
	}, nil)
	return status, header.Get("ETag"), err
}

func (c *customer) readProfile(ctx context.Context) error {
	value, version, err := c.getProfile(ctx)
	if err != nil {
		return err
	}
	c.etag = version
	return c.compare(&c.profile, "profile", value)
}

// writeProfile replaces the profile and reads it back.
func (c *customer) writeProfile(ctx context.Context) error {
	if c.etag == "" {
		if err := c.readProfile(ctx); err != nil {
			return err
		}
	}
	c.writes++
	next := profile{FirstName: fmt.Sprintf("Name %d", c.writes), LastName: "Ångström 李", Phone: "+4930123456", Locale: "de-AT", Marketing: c.writes%2 == 0}
	value := canonical(next)
	_, version, err := c.putProfile(ctx, c.etag, next, http.StatusOK)
	if err != nil {
		c.profile.doubt(value)
		return err
	}
	c.profile.acknowledge(value)
	c.etag = version
	return c.readProfile(ctx)
}

// verify compares what is there with what must be, that the password and the last refresh token work, and
// that what was ended stays so: everything, when it is asked for the first time.
func (c *customer) verify(ctx context.Context) {
	if !c.load.patiently(ctx, func() bool {
		c.do(ctx, activity{act: (*customer).look})
		return !c.doubt
	}) {
		c.load.journal.checked(c.email + ": the server does not answer, or refuses what is right")
	}
}

// look ends with the first thing that is wrong, which is in the journal.
func (c *customer) look(ctx context.Context) error {
	for _, look := range []func(context.Context) error{
		c.readProfile, c.listAddresses, c.listOrders, c.readSomeOrders, c.refresh, c.readProfile, c.loginAtTimes, c.someAreDead,
	} {
		if err := look(ctx); err != nil {
			return err
		}
	}
	return nil
}

// someAreDead asks for the sessions that were ended and not verified yet, and some of the others.
func (c *customer) someAreDead(ctx context.Context) error {
	return c.proved.some(ctx, slices.Collect(maps.Keys(c.ended)), func(ctx context.Context, token string) error {
		return c.isDead(ctx, c.ended[token])
	})
}

// loginAtTimes comes in by password: the first time, and later one time in four, since it costs the
// server a password hash.
func (c *customer) loginAtTimes(ctx context.Context) error {
	if c.knocked && rand.N(4) > 0 {
		return nil
	}
	err := c.login(ctx)
	c.knocked = c.knocked || err == nil
	return err
}
