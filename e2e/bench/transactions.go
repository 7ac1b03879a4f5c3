package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	"smartseller/app"
	"smartseller/backends"
	"smartseller/backends/sharedpostgres"
	"smartseller/platform/database"
	"smartseller/platform/ids"
	"smartseller/platform/pgserver"
)

const plainDatabase = "plain"

var (
	benchCounters = &backends.Table{Name: "counters", Columns: []backends.Column{backends.T("id"), backends.I("value")}}
	readCounter   = backends.Read(readText)
	bumpCounter   = backends.Write(benchCounters, bumpText)
)

const (
	readText = `SELECT value FROM counters WHERE storefront_id = $1 AND id = $2`
	bumpText = `UPDATE counters SET value = value + 1 WHERE storefront_id = $1 AND id = $2 RETURNING value`
)

// measureTransactions compares transactions of one row with the same transactions by
// bare database/sql and prepared statements, on a table without row-level security
// and without a fence. Both make the same round trips, on one server.
func measureTransactions(ctx context.Context, w *world, r *report) (err error) {
	t, err := newTransactions(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	const (
		plainUpdate = "BEGIN, UPDATE, COMMIT without fence and row-level security"
		byHand      = "the same fenced update, written by hand"
		plainTrips  = "BEGIN, SELECT, COMMIT without fence and row-level security"
		plainSelect = "one plain unprepared SELECT"
	)
	updates, err := medians(ctx, 2000,
		operation{plainUpdate, t.plain.update},
		operation{byHand, t.fencedByHand},
		operation{"update", t.update(t.store)},
		operation{"captured", t.update(t.captured)},
	)
	if err != nil {
		return err
	}
	reads, err := medians(ctx, 8000,
		operation{plainTrips, t.plain.view},
		operation{plainSelect, t.plain.read},
		operation{"view", t.view},
		operation{"get", t.get},
	)
	if err != nil {
		return err
	}
	r.micros("update of one row", updates["update"], plainUpdate, updates[plainUpdate], 1.15)
	r.micros("update, capture off", updates["update"], byHand, updates[byHand], 1.05)
	r.micros("update, capture on", updates["captured"], "capture off", updates["update"], 1.25)
	r.micros("read of one row, three trips", reads["view"], plainTrips, reads[plainTrips], 1.40)
	r.micros("read of one row, one trip", reads["get"], plainSelect, reads[plainSelect], 1.00)
	return nil
}

// applicationDSN leads into a database as the role that row-level security holds.
func applicationDSN(w *world, name string) string {
	dsn, _ := url.Parse(w.server.DSN(name, pgserver.Superuser)) // the server's own
	dsn.User = url.UserPassword("shop", w.server.Password())
	return dsn.String()
}

// fillCounters makes each caller's rows of a storefront.
func fillCounters(storefront string) string {
	return fmt.Sprintf(`INSERT INTO counters (storefront_id, id, value)
		SELECT '%s', 'row-' || lpad(c::text, 2, '0') || '-' || lpad(n::text, 3, '0'), 0 FROM generate_series(0, %d) c, generate_series(0, %d) n`,
		storefront, callers-1, rowsOfCaller-1)
}

// micros adds the ratio of two durations of one operation each.
func (r *report) micros(name string, ours time.Duration, peerIs string, peer time.Duration, target float64) {
	r.add(figure{Name: name, Ours: float64(ours.Nanoseconds()) / 1000, Peer: float64(peer.Nanoseconds()) / 1000, Unit: "us", Target: target, PeerIs: peerIs})
}

// transactions are two storefronts in the shared database, one with capture on, and
// the same rows in a plain one.
type transactions struct {
	backend         backends.Backend
	store, captured backends.Store
	entered         *sql.DB // the application's pool, for what is written by hand
	plain           *plain
}

func newTransactions(ctx context.Context, w *world) (*transactions, error) {
	catalog, err := app.NewCatalog()
	if err != nil {
		return nil, err
	}
	t := &transactions{}
	if t.plain, err = newPlain(ctx, w); err != nil {
		return nil, err
	}
	dsn := applicationDSN(w, sharedDatabase)
	if t.entered, err = database.OpenEntered(dsn, 10, 0, nil, "SET statement_timeout = 5000; SET lock_timeout = 5000"); err != nil {
		return nil, err
	}
	t.entered.SetMaxIdleConns(callers)
	t.backend, err = sharedpostgres.Opener(catalog)(backends.Config{Name: "shared", Kind: backends.SharedPostgres, DSN: dsn, AdminDSN: w.sharedOwner})
	if err != nil {
		return nil, err
	}
	if t.store, err = t.found(ctx, w); err != nil {
		return nil, err
	}
	if t.captured, err = t.found(ctx, w); err != nil {
		return nil, err
	}
	if err := t.captured.Enlist(ctx, backends.Token{Move: ids.New(), Gen: 1}); err != nil {
		return nil, err
	}
	return t, w.sql(ctx, w.sharedOwner, "VACUUM ANALYZE counters, fence", "CHECKPOINT")
}

func (t *transactions) close() error {
	return errors.Join(t.plain.pool.Close(), t.entered.Close(), t.backend.Close())
}

func (t *transactions) found(ctx context.Context, w *world) (backends.Store, error) {
	id := ids.New()
	store, err := t.backend.Open(ctx, backends.Place{Backend: "shared", Storefront: backends.StorefrontID(id), Epoch: 1})
	if err != nil {
		return nil, err
	}
	return store, errors.Join(store.Found(ctx, 1), w.sql(ctx, w.sharedOwner, fillCounters(id)))
}

func (t *transactions) update(s backends.Store) func(context.Context, string) error {
	return func(ctx context.Context, row string) error {
		return s.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error {
			var v int64
			return tx.Get(&v, bumpCounter, row)
		})
	}
}

func (t *transactions) view(ctx context.Context, row string) error {
	return t.store.View(ctx, 1, func(_ context.Context, tx backends.Tx) error {
		var v int64
		return tx.Get(&v, readCounter, row)
	})
}

func (t *transactions) get(ctx context.Context, row string) error {
	var v int64
	return t.store.Get(ctx, 1, &v, readCounter, row)
}

// fencedByHand is an update as the store makes it, without whatever the store does
// for a capture that is off.
func (t *transactions) fencedByHand(ctx context.Context, row string) error {
	id := string(t.store.Place().Storefront)
	tx, err := t.entered.BeginTx(database.WithEntry(ctx, &database.Entry{Steps: []database.Step{
		{Text: "BEGIN ISOLATION LEVEL READ COMMITTED"},
		{Text: "SELECT smartseller_enter($1, $2, $3)", Args: []string{id, "1", "0"}},
	}}), nil)
	if err != nil {
		return err
	}
	var v int64
	if err := tx.QueryRowContext(ctx, bumpText, id, row).Scan(&v); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// plain is the peer.
type plain struct {
	pool      *sql.DB
	one, bump *sql.Stmt
	id        string
}

func newPlain(ctx context.Context, w *world) (*plain, error) {
	owner := w.server.DSN(plainDatabase, pgserver.Superuser)
	p := &plain{id: ids.New()}
	if err := w.sql(ctx, w.server.AdminDSN(), "CREATE DATABASE "+plainDatabase); err != nil {
		return nil, err
	}
	err := w.sql(ctx, owner, `CREATE TABLE counters (storefront_id TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, value BIGINT NOT NULL, PRIMARY KEY (storefront_id, id))`,
		"GRANT SELECT, UPDATE ON counters TO shop", fillCounters(p.id), "VACUUM ANALYZE", "CHECKPOINT")
	if err != nil {
		return nil, err
	}
	if p.pool, err = database.OpenPostgres(applicationDSN(w, plainDatabase), 0); err != nil {
		return nil, err
	}
	p.pool.SetMaxOpenConns(24)
	p.pool.SetMaxIdleConns(24)
	if p.one, err = p.pool.PrepareContext(ctx, readText); err != nil {
		return nil, err
	}
	p.bump, err = p.pool.PrepareContext(ctx, bumpText)
	return p, err
}

func (p *plain) update(ctx context.Context, row string) error { return p.trips(ctx, nil, p.bump, row) }

func (p *plain) view(ctx context.Context, row string) error {
	return p.trips(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, p.one, row)
}

func (p *plain) trips(ctx context.Context, o *sql.TxOptions, s *sql.Stmt, row string) error {
	tx, err := p.pool.BeginTx(ctx, o)
	if err != nil {
		return err
	}
	own := tx.StmtContext(ctx, s)
	defer own.Close()
	var v int64
	if err := own.QueryRowContext(ctx, p.id, row).Scan(&v); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (p *plain) read(ctx context.Context, row string) error {
	var v int64
	return p.pool.QueryRowContext(ctx, readText, p.id, row).Scan(&v)
}
