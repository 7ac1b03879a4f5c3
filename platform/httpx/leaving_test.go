package httpx_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"smartseller/platform/fault"
	"smartseller/platform/httpx"
)

// TestClientWhoLeft is counted apart and no error of ours, unlike the same failure
// while somebody waits.
func TestClientWhoLeft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		leaves bool
		status int
		level  string
	}{
		"left":  {true, 499, "level=INFO"},
		"waits": {false, 500, "level=ERROR"},
	} {
		var log bytes.Buffer
		s := httpx.New(httpx.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		ctx, leave := context.WithCancel(context.Background())
		defer leave()
		httpx.Register(s, huma.Operation{OperationID: "slow", Method: http.MethodGet, Path: "/slow"}, func(context.Context, *struct{}) (*struct{}, error) {
			if c.leaves {
				leave()
			}
			return nil, context.Canceled
		})
		var seen []int
		s.Observe(func(_, _ string, status int, _ time.Duration) { seen = append(seen, status) })
		s.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/slow", nil))
		require.Equal(t, []int{c.status}, seen, name)
		require.Contains(t, log.String(), c.level, name)
	}
}

// patient is a client's connection that notes until when it may be written to.
type patient struct {
	*httptest.ResponseRecorder
	until  time.Time
	writes []time.Time // the deadline of each
}

func (p *patient) SetWriteDeadline(t time.Time) error {
	p.until = t
	return nil
}

func (p *patient) Write(b []byte) (int, error) {
	p.writes = append(p.writes, p.until)
	return p.ResponseRecorder.Write(b)
}

// TestNobodyTakesForEverToReceive an answer, whole or in parts.
func TestNobodyTakesForEverToReceive(t *testing.T) {
	t.Parallel()
	s := newServer()
	part := 0
	events := func(context.Context, int64) ([]httpx.StreamEvent, bool, error) {
		part++
		return []httpx.StreamEvent{{ID: int64(part), Kind: "part", Data: "{}"}}[:min(1, 3-part)], true, nil
	}
	httpx.Register(s, huma.Operation{OperationID: "story", Method: http.MethodGet, Path: "/story"}, func(_ context.Context, in *httpx.StreamInput) (*huma.StreamResponse, error) {
		return s.Stream(*in, events)
	})
	for _, path := range []string{"/docs", "/openapi.json", "/nowhere", "/story"} {
		began := time.Now()
		p := &patient{ResponseRecorder: httptest.NewRecorder()}
		s.Handler().ServeHTTP(p, httptest.NewRequest(http.MethodGet, path, nil))
		require.NotEmpty(t, p.writes, path)
		for i, until := range p.writes {
			require.True(t, until.After(began), "%s, part %d", path, i)
			if i > 0 && path == "/story" {
				require.True(t, until.After(p.writes[i-1]), "each part has its own time")
			}
		}
	}
}

// TestBrokenStreamIsLogged: the client is told nothing and comes again.
func TestBrokenStreamIsLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := httpx.New(httpx.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	httpx.Register(s, huma.Operation{OperationID: "story", Method: http.MethodGet, Path: "/story"}, func(_ context.Context, in *httpx.StreamInput) (*huma.StreamResponse, error) {
		return s.Stream(*in, func(context.Context, int64) ([]httpx.StreamEvent, bool, error) {
			return nil, false, errors.New("the well is dry")
		})
	})
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/story", nil))
	require.Contains(t, log.String(), "the well is dry")
	require.NotContains(t, w.Body.String(), "dry")
}

// TestStreamEndsWithItsToken: who was locked out, or whose token ended, learns of nothing more. A
// check that cannot be made says nothing about that.
func TestStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		err  error
		ends bool
	}{
		{"the token ended", fault.New(fault.Unauthorized, "bad_token", "No."), true},
		{"it may do less", fault.New(fault.Forbidden, "not_yours", "No."), true},
		{"nobody can tell", fault.New(fault.Unavailable, "away", "Later."), false},
		{"it is good", nil, false},
	} {
		s := httpx.New(httpx.Options{Log: slog.New(slog.DiscardHandler), AdmitAgain: time.Nanosecond})
		asked, told := 0, 0
		s.Authenticate(httpx.AdminScheme, func(ctx context.Context, _ httpx.Credentials) (context.Context, error) {
			if asked++; asked > 3 {
				return nil, c.err
			}
			return ctx, nil
		})
		httpx.Register(s, huma.Operation{OperationID: "story", Method: http.MethodGet, Path: "/story", Security: httpx.Admin}, func(_ context.Context, in *httpx.StreamInput) (*huma.StreamResponse, error) {
			return s.Stream(*in, func(context.Context, int64) ([]httpx.StreamEvent, bool, error) {
				told++
				return []httpx.StreamEvent{{ID: int64(told), Kind: "part", Data: "{}"}}[:min(1, max(0, 10-told))], true, nil
			})
		})
		r := httptest.NewRequest(http.MethodGet, "/story", nil)
		r.Header.Set("Authorization", "Bearer any")
		s.Handler().ServeHTTP(httptest.NewRecorder(), r)
		if c.ends {
			require.Equal(t, 2, told, c.name)
		} else {
			require.Equal(t, 10, told, c.name)
		}
	}
}
