package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/e2e/load"
)

// crowd makes a load on a storefront whose every answer is held against the contract.
func (p *program) crowd(t *testing.T, storefront string, change ...func(*load.Options)) *load.Load {
	t.Helper()
	o := load.Options{URL: p.url(), Storefront: storefront, Workers: 4, Customers: 3, Rate: 60, Client: p.contract.client()}
	for _, fn := range change {
		fn(&o)
	}
	l, err := load.New(context.Background(), o)
	require.NoError(t, err)
	t.Cleanup(l.Stop)
	return l
}

// reached waits until the load has seen that many acknowledged writes more.
func reached(t *testing.T, l *load.Load, writes int) {
	t.Helper()
	begin := time.Now()
	require.Eventually(t, func() bool {
		r := l.Since(begin)
		return r.Writes >= writes || r.Failures > 0
	}, patience, glance, "the load does not get on")
}

// liar answers some requests itself, as a server that lies would.
type liar struct {
	next   http.RoundTripper
	method string
	suffix string // of the path
	status int
	body   string
	lies   atomic.Int64
}

func (l *liar) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != l.method || !strings.HasSuffix(r.URL.Path, l.suffix) {
		return l.next.RoundTrip(r)
	}
	l.lies.Add(1)
	return &http.Response{
		StatusCode: l.status, Header: http.Header{"Etag": {`"v1"`}}, Body: io.NopCloser(strings.NewReader(l.body)), Request: r, ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// TestLoadNoticesLies: a checker that accepts everything looks the same as a
// server that loses nothing.
func TestLoadNoticesLies(t *testing.T) {
	t.Parallel()
	p := install(t)
	p.create(t, "toys", "files-1")
	p.offers(t, "toys", item{handle: "s", inventory: 1000, sizes: []string{"S", "M"}})
	shortage := `{"code":"out_of_stock","errors":[{"pointer":"/lines/0/quantity","detail":"must be at most %d"}]}`
	for name, c := range map[string]struct {
		lie   *liar
		wants string
	}{
		"a write that is acknowledged and lost": {&liar{method: "PUT", suffix: "/profile", status: 200, body: "{}"}, "acknowledged was"},
		"an address that comes back":            {&liar{method: "DELETE", suffix: "", status: 204}, "acknowledged was \"\""},
		"a session that outlives its end":       {&liar{method: "POST", suffix: "/auth/logout", status: 204}, "lives again"},
		"an order that was never taken":         {&liar{method: "POST", suffix: "/orders", status: 201, body: `{"id":"x","number":1,"total":1}`}, "acknowledged was"},
		"a shelf that was never full":           {&liar{method: "POST", suffix: "/orders", status: 409, body: fmt.Sprintf(shortage, 0)}, "in the beginning"},
		"a shelf that is still full":            {&liar{method: "POST", suffix: "/orders", status: 409, body: fmt.Sprintf(shortage, 7)}, "although 7 are left"},
		"a server that gives up":                {&liar{method: "GET", suffix: "/profile", status: 503, body: `{"code":"storefront_busy"}`}, "status 503 storefront_busy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.lie.next = http.DefaultTransport
			l := p.crowd(t, "toys", func(o *load.Options) { o.Client = &http.Client{Transport: c.lie} })
			l.Start(context.Background())
			require.Eventually(t, func() bool { return l.Report().Failures > 0 }, patience, glance, "nobody notices") // of a rival that is noticed later
			l.Stop()
			require.Positive(t, c.lie.lies.Load())
			require.ErrorContains(t, l.Verify(context.Background()), c.wants)
		})
	}
}

// careless lets everybody overwrite what they have not seen.
type careless struct {
	next  http.RoundTripper
	swept atomic.Int64 // writes of what had changed
}

func (c *careless) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, "/profile") {
		return c.next.RoundTrip(r)
	}
	look, err := http.NewRequestWithContext(r.Context(), http.MethodGet, r.URL.String(), nil)
	if err != nil {
		return nil, err
	}
	look.Header.Set("Authorization", r.Header.Get("Authorization"))
	now, err := c.next.RoundTrip(look)
	if err != nil {
		return nil, err
	}
	if err := now.Body.Close(); err != nil {
		return nil, err
	}
	if version := now.Header.Get("ETag"); version != r.Header.Get("If-Match") {
		r.Header.Set("If-Match", version)
		c.swept.Add(1)
	}
	return c.next.RoundTrip(r)
}

// TestLoadNoticesLostUpdates, which nobody meets who is alone with their account.
func TestLoadNoticesLostUpdates(t *testing.T) {
	t.Parallel()
	p := install(t)
	server := &careless{next: http.DefaultTransport}
	l := p.crowd(t, "demo", func(o *load.Options) { o.Client = &http.Client{Transport: server} })
	l.Start(context.Background())
	require.Eventually(t, func() bool { return server.swept.Load() > 0 }, patience, glance, "rivals do not meet")
	l.Stop()
	require.ErrorContains(t, l.Verify(context.Background()), "no order of its")
}

// TestLoadVerifiesAnHonestServer, killed once while it is busy.
func TestLoadVerifiesAnHonestServer(t *testing.T) {
	t.Parallel()
	p := install(t)
	p.create(t, "toys", "files-1")
	p.offers(t, "toys", item{handle: "s", inventory: 30, sizes: []string{"S", "M", "L"}}) // the last ones are sold after the restart
	l := p.crowd(t, "toys", func(o *load.Options) { o.Restarts = true })
	l.Start(context.Background())
	reached(t, l, 50)
	p.kill()
	require.Eventually(t, func() bool { return l.Report().Unanswered > 5 }, patience, glance)
	p.serve(t)
	reached(t, l, 50)
	require.Eventually(t, func() bool { return l.Report().Refusals > 3 }, patience, glance, "nothing runs out of stock")
	l.Stop()
	require.NoError(t, l.Verify(context.Background()))
	r := l.Report()
	require.Greater(t, r.Verified, r.Writes)
	t.Logf("%+v", r)
}
