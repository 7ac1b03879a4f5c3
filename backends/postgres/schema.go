package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"github.com/lib/pq"
	"github.com/pressly/goose/v3"

	"smartseller/backends"
	"smartseller/migrations"
	"smartseller/platform/database"
)

// A migration that waits for a table's lock holds up all who come after it: it waits a
// moment, lets them pass, and tries again.
const (
	schemaLockWait  = 500 * time.Millisecond
	schemaLockTries = 40
	schemaLockPause = 250 * time.Millisecond // at most
)

// Migrate brings the tenant schema of the owner's database up to date and grants the
// application's role what it needs and no more. Safe when several instances do it at
// once, and while others read and write.
func Migrate(ctx context.Context, ownerDSN, role string, catalog *backends.Catalog) error {
	owner, err := openImpatient(ownerDSN)
	if err != nil {
		return err
	}
	return errors.Join(migrate(ctx, owner, role, catalog), owner.Close())
}

// openImpatient opens a pool whose statements wait for locks no longer than
// schemaLockWait. A process that stands still in a transaction loses it, and what it locks.
func openImpatient(dsn string) (*sql.DB, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, errors.New("the owner's DSN is not a URL")
	}
	q := u.Query()
	q.Set("lock_timeout", fmt.Sprint(schemaLockWait.Milliseconds()))
	q.Set(idleTimeout, idleMost)
	u.RawQuery = q.Encode()
	return Open(u.String())
}

func migrate(ctx context.Context, owner *sql.DB, role string, catalog *backends.Catalog) error {
	files, err := migrations.Tenant(migrations.Postgres)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		err := database.Migrate(ctx, owner, goose.DialectPostgres, files)
		if err == nil {
			err = guardAll(ctx, owner, role, catalog)
		}
		if !lockTimeout(err) {
			return classifyMigration(err)
		}
		if try == schemaLockTries {
			return fmt.Errorf("%w: %s", backends.ErrLockBusy, strings.Join(longTransactions(ctx, owner), "; "))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(rand.N(schemaLockPause)):
		}
	}
}

func lockTimeout(err error) bool {
	var p *pq.Error
	return errors.As(err, &p) && p.Code == "55P03"
}

// classifyMigration keeps the migration's name in front.
func classifyMigration(err error) error {
	var failed *database.MigrationError
	if errors.As(err, &failed) && !errors.Is(classify(failed.Unwrap()), backends.ErrUnreachable) {
		return err
	}
	return classify(err)
}

// longTransactions describes whoever may hold the locks that a migration did not get.
func longTransactions(ctx context.Context, owner *sql.DB) (out []string) {
	// Of sessions that are hidden from the role those count that hold a lock of a table.
	rows, err := owner.QueryContext(ctx, `SELECT pid, state, coalesce(extract(epoch FROM clock_timestamp() - xact_start)::bigint, 0), quote_ident(current_user)
		FROM pg_stat_activity a WHERE datname = current_database() AND pid <> pg_backend_pid()
		AND (xact_start < clock_timestamp() - interval '1 second' OR state IS NULL AND EXISTS (
			SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'relation' AND l.granted))
		ORDER BY xact_start LIMIT 3`)
	if err != nil {
		return []string{"who holds the tables cannot be told"}
	}
	defer rows.Close()
	for rows.Next() {
		var h holder
		if rows.Scan(&h.pid, &h.state, &h.age, &h.asker) == nil {
			out = append(out, h.session())
		}
	}
	if rows.Err() != nil || len(out) == 0 {
		out = append(out, "many short transactions held the tables in turn")
	}
	return out
}

// guardAll puts every table under row-level security and grants the application's role
// what it needs. Its errors are the driver's.
func guardAll(ctx context.Context, owner *sql.DB, role string, catalog *backends.Catalog) error {
	tx, err := owner.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	// Two instances that grant at once would meet "tuple concurrently updated".
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('smartseller grants', 0))`); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, migrations.Guard); err != nil {
		return fmt.Errorf("guard the tables: %w", err)
	}
	for _, t := range catalog.Tables() {
		if _, err := tx.ExecContext(ctx, "GRANT "+grants(t)+" ON "+pq.QuoteIdentifier(t.Name)+" TO "+pq.QuoteIdentifier(role)); err != nil {
			return fmt.Errorf("grant on %s: %w", t.Name, err)
		}
	}
	return tx.Commit()
}

// grants: the application reads the fence and adds captured keys; what else is
// local belongs to the mover.
func grants(t *backends.Table) string {
	switch {
	case t == backends.FenceTable:
		return "SELECT"
	case t == backends.CapturedTable: // RETURNING and policies read what is inserted
		return "SELECT, INSERT"
	case t.Class == backends.Local:
		return "REFERENCES"
	default:
		return "SELECT, INSERT, UPDATE, DELETE"
	}
}

// Schema says how the tenant schema stands to this program's migrations.
func Schema(ctx context.Context, owner database.Queryer) (database.Schema, error) {
	files, err := migrations.Tenant(migrations.Postgres)
	if err != nil {
		return database.Schema{}, err
	}
	schema, err := database.ReadSchema(ctx, owner, goose.DialectPostgres, files)
	return schema, classify(err)
}

// Schema implements sqlstore.Dialect.
func (d *Dialect) Schema(ctx context.Context, through database.Queryer) (database.Schema, error) {
	return Schema(ctx, through)
}

// Inhabited says whether any storefront has a place in the owner's database.
func Inhabited(ctx context.Context, owner *sql.DB) (inhabited bool, err error) {
	if err := owner.QueryRowContext(ctx, `SELECT to_regclass('fence') IS NOT NULL`).Scan(&inhabited); err != nil || !inhabited {
		return false, classify(err)
	}
	err = owner.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM fence)`).Scan(&inhabited)
	return inhabited, classify(err)
}
