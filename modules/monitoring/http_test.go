package monitoring_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sqlite"
	"smartseller/modules/monitoring"
	"smartseller/modules/storefronts"
	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
	"smartseller/platform/crypto"
	"smartseller/platform/httpx"
)

// instance is a server with the module's routes and nothing else.
type instance struct {
	server  *httpx.Server
	db      *control.DB
	shops   *storefronts.Service
	known   *backends.Directory
	service *monitoring.Service
	stopped atomic.Bool
	now     time.Time
}

func newInstance(t *testing.T, collectors ...prometheus.Collector) *instance {
	t.Helper()
	i := &instance{db: controltest.Open(t), now: time.Unix(0, 0)}
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	catalog, err := backends.NewCatalog()
	require.NoError(t, err)
	directory := backends.NewDirectory(i.db, keys, catalog, map[backends.Kind]backends.Opener{backends.SQLite: sqlite.Opener(catalog)})
	stores := backends.NewStores(directory, 4)
	t.Cleanup(func() { require.NoError(t, stores.Close()) })
	i.known = directory
	i.shops = storefronts.NewService(i.db, directory, stores)
	log := slog.New(slog.DiscardHandler)
	i.server = httpx.New(httpx.Options{Version: "test", Log: log})
	s, err := monitoring.NewService(monitoring.Options{
		DB: i.db, Directory: directory, Stores: stores, Serving: func() bool { return !i.stopped.Load() },
		Collectors: collectors, Log: log, Clock: func() time.Time { return i.now },
	})
	require.NoError(t, err)
	i.service = s
	monitoring.Routes(i.server, s)
	return i
}

func (i *instance) ask(t *testing.T, method, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	i.server.Handler().ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Code, w.Body.String()
}

// failing are the checks that the instance says do not hold.
func (i *instance) failing(t *testing.T) (names []string) {
	t.Helper()
	status, body := i.ask(t, http.MethodGet, "/readyz")
	if status == http.StatusOK {
		return nil
	}
	require.Equal(t, http.StatusServiceUnavailable, status)
	var p httpx.Problem
	require.NoError(t, json.Unmarshal([]byte(body), &p))
	require.Equal(t, "not_ready", p.Code)
	for _, e := range p.Errors {
		require.NotEmpty(t, e.Detail)
		names = append(names, e.Check)
	}
	return names
}

// TestReadinessSeesThatTheFileIsGone, though what is open still answers.
func TestReadinessSeesThatTheFileIsGone(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	require.Empty(t, i.failing(t))
	require.NoError(t, os.RemoveAll(i.db.Folder()))
	i.now = i.now.Add(time.Minute)
	require.Equal(t, []string{"control_database"}, i.failing(t))
}

func TestReadinessNamesWhatDoesNotHold(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	require.Empty(t, i.failing(t))

	i.stopped.Store(true)
	require.Equal(t, []string{"serving"}, i.failing(t), "at once")
	i.stopped.Store(false)
	require.Empty(t, i.failing(t))

	version := func(is int64) {
		require.NoError(t, i.db.Update(context.Background(), func(_ context.Context, tx control.Tx) error {
			_, err := tx.Exec(`UPDATE goose_db_version SET version_id = $1 WHERE id = (SELECT max(id) FROM goose_db_version)`, is)
			return err
		}))
		i.now = i.now.Add(time.Second)
	}
	schema, err := i.db.Schema(context.Background())
	require.NoError(t, err)
	version(0)
	require.Equal(t, []string{"migrations"}, i.failing(t))
	version(schema.Newest)
	require.Empty(t, i.failing(t))

	require.NoError(t, i.db.Close())
	require.Empty(t, i.failing(t), "for a second the last answer is good")
	i.now = i.now.Add(time.Second)
	require.Equal(t, []string{"control_database", "migrations"}, i.failing(t))
	status, _ := i.ask(t, http.MethodGet, "/healthz")
	require.Equal(t, http.StatusOK, status, "the process is alive whatever its databases do")
}

func TestMetricsNameRoutesAndBackendsButNobody(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newInstance(t)
	require.NoError(t, i.shops.AddBackend(ctx, backends.Config{Name: "files", Kind: backends.SQLite, Path: t.TempDir()}))
	made, err := i.shops.Create(ctx, storefronts.NewStorefront{Slug: "toys", Name: "Toys", Currency: "EUR", TimeZone: "UTC", Backend: "files"})
	require.NoError(t, err)
	httpx.Register(i.server, huma.Operation{OperationID: "shop", Method: http.MethodGet, Path: "/shop/{slug}"}, func(context.Context, *struct {
		Slug string `path:"slug"`
	},
	) (*struct{}, error) {
		return nil, errors.New("broken")
	})
	for range 3 {
		i.ask(t, http.MethodGet, "/shop/toys")
	}
	i.ask(t, http.MethodGet, "/shop")
	i.ask(t, "BREW", "/shop/toys")

	status, text := i.ask(t, http.MethodGet, "/metrics")
	require.Equal(t, http.StatusOK, status)
	for _, line := range []string{
		`http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="500",http_route="/shop/:slug"} 3`,
		`http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="404",http_route=""} 1`,
		`http_server_request_duration_seconds_count{http_request_method="_OTHER",http_response_status_code="405",http_route="/shop/:slug"} 1`,
		`smartseller_storefronts{backend="files"} 1`,
		`smartseller_stores{backend="files",state="idle"} 1`,
		`db_client_connection_max{db_client_connection_pool_name="files"} 13`,
		`db_client_connection_count{db_client_connection_pool_name="control database",db_client_connection_state="used"}`,
	} {
		require.Contains(t, text, line)
	}
	require.NotContains(t, text, "toys")
	require.NotContains(t, text, string(made.ID))
}

// TestMetricsWithoutControlDatabase: what can be had is shown.
func TestMetricsWithoutControlDatabase(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	i.ask(t, http.MethodGet, "/healthz")
	require.NoError(t, i.db.Close())
	status, text := i.ask(t, http.MethodGet, "/metrics")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, text, `http_route="/healthz"`)
	require.NotContains(t, text, "smartseller_storefronts{")
}

// TestExaminationWithoutControlDatabase is an answer, no error.
func TestExaminationWithoutControlDatabase(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newInstance(t)
	require.NoError(t, i.shops.AddBackend(ctx, backends.Config{Name: "files", Kind: backends.SQLite, Path: t.TempDir()}))
	found := i.service.Examine(ctx)
	require.Len(t, found, 2)
	for _, e := range found {
		require.True(t, e.Well(), "%+v", e)
	}
	require.NoError(t, i.db.Close())
	found = i.service.Examine(ctx)
	require.Len(t, found, 1)
	require.False(t, found[0].Well())
	for _, f := range found[0].Findings {
		require.NotEmpty(t, f.Problem)
		require.NotEmpty(t, f.Fix)
	}
}

// TestExaminationOfAnotherHostsFolder says where to ask, and nothing of what has the same path here.
func TestExaminationOfAnotherHostsFolder(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newInstance(t)
	require.NoError(t, i.known.Register(ctx, backends.Config{Name: "far", Kind: backends.SQLite, Path: t.TempDir(), Host: "another"}))
	found := i.service.Examine(ctx)
	require.Len(t, found, 2)
	require.Equal(t, []backends.Finding{{Check: "folder", Found: "on host another: a server there examines it"}}, found[1].Findings)
	require.True(t, found[1].Well())
}
