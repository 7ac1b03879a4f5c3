package control

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"smartseller/platform/ids"
)

// process names this process to others, as the holder of leases.
var process = ids.New()

// Lease is the right to do what any instance could do and one at a time does. It ends
// by itself when its holder dies, by the control database's clock. Safe for concurrent use.
type Lease struct {
	db           *DB
	name, holder string
	life         time.Duration
}

// NewLease makes a lease, which nobody holds yet. holder names the instance, "": this
// process; life is how long others wait when it dies.
func NewLease(db *DB, name, holder string, life time.Duration) *Lease {
	if holder == "" {
		holder = process
	}
	return &Lease{db: db, name: name, holder: holder, life: life}
}

// Hold takes or renews the lease: true when this instance has it now. Whoever has it
// works no longer than its life without asking again.
func (l *Lease) Hold(ctx context.Context) (held bool, err error) {
	err = l.db.Update(ctx, func(_ context.Context, tx Tx) error {
		n, err := tx.Exec(`INSERT INTO leases (name, holder, token, until) VALUES ($1, $2, 1, $3)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = leases.token + 1, until = excluded.until
			WHERE leases.holder = excluded.holder OR leases.until < $4`, l.name, l.holder, tx.Now()+l.life.Microseconds(), tx.Now())
		held = n == 1
		return err
	})
	return held, err
}

// Held says whether the lease is still this instance's, and keeps it so until the
// transaction ends: whoever takes it over waits for that.
func (l *Lease) Held(tx Tx) (bool, error) {
	var row struct {
		Holder string `db:"holder"`
		Until  int64  `db:"until"`
	}
	err := tx.GetLocked(&row, `SELECT holder, until FROM leases WHERE name = $1`, l.name)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return row.Holder == l.holder && row.Until >= tx.Now(), err
}

// Taken says whether any instance has the lease.
func (l *Lease) Taken(tx Tx) (bool, error) {
	var until int64
	err := tx.Get(&until, `SELECT until FROM leases WHERE name = $1`, l.name)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return until >= tx.Now(), err
}

// Release hands the lease back, so that another instance goes on at once.
func (l *Lease) Release(ctx context.Context) error {
	return l.db.Update(ctx, func(_ context.Context, tx Tx) error {
		_, err := tx.Exec(`UPDATE leases SET until = 0 WHERE name = $1 AND holder = $2`, l.name, l.holder)
		return err
	})
}
