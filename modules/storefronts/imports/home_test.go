package imports_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sharedpostgres"
	"smartseller/backends/sqlite"
	"smartseller/modules/customers"
	"smartseller/modules/storefronts"
	"smartseller/modules/storefronts/imports"
	"smartseller/modules/storefronts/orders"
	"smartseller/modules/storefronts/products"
	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
	"smartseller/platform/crypto"
	"smartseller/platform/pgserver/pgtest"
)

const (
	patience = 3 * time.Minute
	glance   = 20 * time.Millisecond
)

// home is an installation without a server.
type home struct {
	db     *control.DB
	shops  *storefronts.Service
	stores *backends.Stores
	router *backends.Router
	tables *backends.Catalog
	folder string
	*imports.Service
}

func TestMain(m *testing.M) { pgtest.Main(m) }

// newHome keeps everything in files.
func newHome(t *testing.T) *home {
	t.Helper()
	return furnish(t, controltest.Open(t), backends.Config{Name: "place", Kind: backends.SQLite, Path: t.TempDir()})
}

// newPostgresHome keeps everything in databases of Postgres.
func newPostgresHome(t *testing.T) *home {
	t.Helper()
	db, err := control.Open(context.Background(), pgtest.Database(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	admin := pgtest.Database(t)
	return furnish(t, db, backends.Config{Name: "place", Kind: backends.SharedPostgres, AdminDSN: admin, DSN: pgtest.Role(t, admin, "")})
}

func furnish(t *testing.T, db *control.DB, place backends.Config) *home {
	t.Helper()
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	h := &home{db: db, folder: filepath.Join(t.TempDir(), "spool[1")}
	h.tables, err = backends.NewCatalog(slices.Concat(customers.Tables(), products.Tables(), orders.Tables())...)
	require.NoError(t, err)
	directory := backends.NewDirectory(h.db, keys, h.tables, map[backends.Kind]backends.Opener{
		backends.SQLite: sqlite.Opener(h.tables), backends.SharedPostgres: sharedpostgres.Opener(h.tables),
	})
	h.stores = backends.NewStores(directory, 8)
	h.router = backends.NewRouter(directory, h.stores, backends.RouterOptions{})
	h.shops = storefronts.NewService(h.db, directory, h.stores)
	t.Cleanup(func() { require.NoError(t, directory.Close()) })
	t.Cleanup(func() { require.NoError(t, h.stores.Close()) })
	require.NoError(t, h.shops.AddBackend(context.Background(), place))
	h.start(t, h.router)
	return h
}

// start makes a service on a store, as a process does that begins.
func (h *home) start(t *testing.T, store backends.TenantStore) {
	t.Helper()
	s := imports.NewService(imports.Options{Folder: h.folder, Limit: 1 << 20}, h.db, h.shops, store, slog.New(slog.NewTextHandler(t.Output(), nil)))
	require.NoError(t, s.Start())
	t.Cleanup(s.Stop)
	h.Service = s
}

func (h *home) shop(t *testing.T, slug, currency string) backends.StorefrontID {
	t.Helper()
	made, err := h.shops.Create(context.Background(), storefronts.NewStorefront{Slug: slug, Name: slug, Currency: currency, TimeZone: "UTC", Backend: "place"})
	require.NoError(t, err)
	return made.ID
}

// file is one of an export.
type file struct {
	kind    imports.Kind
	name    string
	content io.Reader
}

func text(kind imports.Kind, content string) file {
	return file{kind, string(kind) + ".csv", strings.NewReader(content)}
}

func source(files ...file) imports.Source {
	return func() (imports.Kind, string, io.Reader, error) {
		if len(files) == 0 {
			return "", "", nil, io.EOF
		}
		next := files[0]
		files = files[1:]
		return next.kind, next.name, next.content, nil
	}
}

// run imports and waits for the end.
func (h *home) run(t *testing.T, slug string, files ...file) *imports.Import {
	t.Helper()
	begun, err := h.Begin(context.Background(), slug, imports.Shopify, "somebody", source(files...))
	require.NoError(t, err)
	require.Equal(t, imports.Checking, begun.State)
	ended := h.wait(t, slug, begun.ID)
	left, err := os.ReadDir(h.folder)
	require.NoError(t, err)
	require.Empty(t, left, "spools are left")
	return ended
}

func (h *home) wait(t *testing.T, slug, id string) (found *imports.Import) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		found, err = h.Get(context.Background(), slug, id)
		return err == nil && found.EndedAt != nil
	}, patience, glance)
	return found
}

func (h *home) last(t *testing.T, slug string) *imports.Import {
	t.Helper()
	found, err := h.List(context.Background(), slug, "", 1)
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0]
}

// omissions reads all of them, page by page.
func (h *home) omissions(t *testing.T, slug, id string) (all []imports.Omission) {
	t.Helper()
	for after := int64(0); ; after = all[len(all)-1].Seq {
		page, err := h.Omissions(context.Background(), slug, id, after, 7)
		require.NoError(t, err)
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
}

// rows are all of a storefront, by table.
func (h *home) rows(t *testing.T, shop backends.StorefrontID) map[string][]backends.Row {
	t.Helper()
	ctx := context.Background()
	at, err := h.router.Placement(ctx, shop)
	require.NoError(t, err)
	store, release, err := h.stores.Acquire(ctx, at.Place)
	require.NoError(t, err)
	defer release()
	found := map[string][]backends.Row{}
	require.NoError(t, store.Read(ctx, func(r backends.Reader) error {
		for _, table := range h.tables.Moving() {
			for after, more := "", true; more; {
				var page []backends.Row
				var err error
				if page, more, err = r.Scan(table, after, "", 1000); err != nil {
					return err
				}
				if found[table.Name] = append(found[table.Name], page...); len(page) > 0 {
					after = page[len(page)-1].Key()
				}
			}
		}
		return nil
	}))
	return found
}

// column is the values of one column.
func (h *home) column(t *testing.T, rows map[string][]backends.Row, table, column string) (values []any) {
	t.Helper()
	at := h.tables.Table(table).Column(column)
	for _, row := range rows[table] {
		values = append(values, row[at])
	}
	return values
}
