package seller

import (
	"context"
	"database/sql"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/migrations"
	"smartseller/platform/control"
	"smartseller/platform/database"
	"smartseller/platform/fault"
	"smartseller/platform/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// onBoth runs a test on both engines that a control database may be.
func onBoth(t *testing.T, test func(t *testing.T, d *desk)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newDesk(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newDeskOn(t, openOn(t, pgtest.Database(t))))
	})
}

func openOn(t *testing.T, dsn string) *control.DB {
	t.Helper()
	db, err := control.Open(context.Background(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// asks asks for no cutover between two times from now.
func (d *desk) asks(from, until time.Duration, reason string) NotNow {
	d.t.Helper()
	now := time.Now()
	n, err := d.Ask(context.Background(), toys, NotNow{From: now.Add(from), Until: now.Add(until), Reason: reason})
	require.NoError(d.t, err)
	return n
}

func (d *desk) asked(of backends.StorefrontID) []NotNow {
	d.t.Helper()
	all, err := d.NotNows(context.Background(), of)
	require.NoError(d.t, err)
	return all
}

// TestEveryNotNowHolds: next month's sale takes nothing of what holds today; each is withdrawn
// by itself, and by its own storefront.
func TestEveryNotNowHolds(t *testing.T) { onBoth(t, everyNotNowHolds) }

func everyNotNowHolds(t *testing.T, d *desk) {
	ctx := context.Background()
	sale := d.asks(30*24*time.Hour, 31*24*time.Hour, "sale")
	today := d.asks(-time.Hour, 24*time.Hour, "")
	require.Equal(t, []NotNow{today, sale}, d.asked(toys), "by when they begin")
	require.Empty(t, d.asked("books"))
	require.NoError(t, d.Withdraw(ctx, "books", today.ID))
	require.NoError(t, d.Withdraw(ctx, toys, sale.ID))
	require.NoError(t, d.Withdraw(ctx, toys, sale.ID), "repeating it is no error")
	require.Equal(t, []NotNow{today}, d.asked(toys))
}

// TestThereAreOnlySoManyNotNows, however many are asked for at once. What is over does not
// count, and is forgotten a day later.
func TestThereAreOnlySoManyNotNows(t *testing.T) { onBoth(t, onlySoManyNotNows) }

func onlySoManyNotNows(t *testing.T, d *desk) {
	d.asks(-time.Hour, time.Hour, "over a day ago")
	d.asks(-time.Hour, time.Hour, "over just now")
	d.exec(`UPDATE blackouts SET begins_at = 1, ends_at = ends_at - $1 WHERE reason LIKE 'over%'`, (2 * time.Hour).Microseconds())
	d.exec(`UPDATE blackouts SET ends_at = ends_at - $1 WHERE reason = 'over a day ago'`, kept.Microseconds())
	var all sync.WaitGroup
	var taken atomic.Int64
	for range most + 3 {
		all.Go(func() {
			_, err := d.Ask(context.Background(), toys, NotNow{Until: time.Now().Add(time.Hour)})
			if err == nil {
				taken.Add(1)
			} else if fault.Of(err).Code != "limit_reached" {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, most, taken.Load())
	require.Len(t, d.asked(toys), most)
	var over []string
	require.NoError(t, d.db.View(context.Background(), func(_ context.Context, tx control.Tx) error {
		return tx.Select(&over, `SELECT reason FROM blackouts WHERE reason <> ''`)
	}))
	require.Equal(t, []string{"over just now"}, over)
}

// TestNotNowsOutliveTheMigration from the time when a storefront had one at most.
func TestNotNowsOutliveTheMigration(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "control.db")
	t.Run("sqlite", func(t *testing.T) {
		outliveTheMigration(t, migrations.SQLite, goose.DialectSQLite3, "sqlite3", file, "sqlite:"+file)
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := pgtest.Database(t)
		outliveTheMigration(t, migrations.Postgres, goose.DialectPostgres, "postgres", dsn, dsn)
	})
}

func outliveTheMigration(t *testing.T, engine migrations.Engine, dialect goose.Dialect, driver, source, dsn string) {
	ctx := context.Background()
	files, err := migrations.Control(engine)
	require.NoError(t, err)
	before, err := sql.Open(driver, source)
	require.NoError(t, err)
	defer func() { require.NoError(t, before.Close()) }()
	require.NoError(t, database.MigrateAlone(ctx, before, dialect, olderThan(t, files, "00016")))
	until := time.Now().Add(time.Hour).Truncate(time.Microsecond).UTC()
	_, err = before.ExecContext(ctx, `INSERT INTO blackouts (storefront_id, begins_at, ends_at, reason) VALUES ('toys', 1, $1, 'sale')`, until.UnixMicro())
	require.NoError(t, err)

	d := newDeskOn(t, openOn(t, dsn))
	kept := d.asked(toys)
	require.Len(t, kept, 1)
	require.Equal(t, NotNow{ID: kept[0].ID, From: time.UnixMicro(1).UTC(), Until: until, Reason: "sale"}, kept[0])
	d.asks(0, time.Hour, "another")
	require.NoError(t, d.Withdraw(ctx, toys, kept[0].ID))
	require.Len(t, d.asked(toys), 1)
}

// olderThan are the migrations whose names sort before one.
func olderThan(t *testing.T, files fs.FS, name string) fs.FS {
	t.Helper()
	older := fstest.MapFS{}
	all, err := fs.Glob(files, "*.sql")
	require.NoError(t, err)
	for _, one := range all {
		if one < name {
			text, err := fs.ReadFile(files, one)
			require.NoError(t, err)
			older[one] = &fstest.MapFile{Data: text}
		}
	}
	return older
}

// TestOperatorsSeeEveryNotNow that is not over, page by page, or those of one storefront.
func TestOperatorsSeeEveryNotNow(t *testing.T) { onBoth(t, operatorsSeeEveryNotNow) }

func operatorsSeeEveryNotNow(t *testing.T, d *desk) {
	ctx := context.Background()
	d.exec(`INSERT INTO storefronts (id, slug, name, currency, time_zone, status, settings, created_at, updated_at, version) VALUES ('books', 'books-shop', 'Books', 'EUR', 'UTC', 'active', '{}', 0, 0, 1)`)
	var want []Listed // newest first
	for n, of := range []backends.StorefrontID{toys, "books", toys} {
		asked, err := d.Ask(ctx, of, NotNow{Until: time.Now().Add(time.Hour), Reason: strings.Repeat("a", n)})
		require.NoError(t, err)
		want = append([]Listed{{NotNow: asked, Storefront: of, Slug: map[backends.StorefrontID]string{toys: "toys", "books": "books-shop"}[of]}}, want...)
	}
	d.exec(`INSERT INTO blackouts (id, storefront_id, begins_at, ends_at, reason) VALUES ('0', 'toys', 1, 2, 'over')`)
	for _, c := range []struct {
		of    backends.StorefrontID
		limit int
		pages [][]Listed
	}{
		{"", 10, [][]Listed{want}},
		{"", 2, [][]Listed{want[:2], want[2:]}},
		{toys, 1, [][]Listed{want[:1], want[2:], nil}},
		{"nobody", 1, [][]Listed{nil}},
	} {
		cursor := ""
		for _, page := range c.pages {
			got, err := d.List(ctx, c.of, cursor, c.limit)
			require.NoError(t, err)
			require.Equal(t, page, append([]Listed(nil), got...))
			if len(got) > 0 {
				cursor = got[len(got)-1].ID
			}
		}
	}
}
