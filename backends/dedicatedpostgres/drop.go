package dedicatedpostgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"smartseller/backends"
)

const (
	dropTries = 2
	dropPause = 100 * time.Millisecond
)

// Destroy implements backends.Backend. Connections that somebody forgot are ended, and
// those that other instances keep: they learn only later that the storefront has moved.
func (b *Backend) Destroy(ctx context.Context, p backends.Place) error {
	h, err := b.home(p)
	if err != nil {
		return err
	}
	if err := b.dropDatabase(ctx, h); err != nil {
		return err
	}
	_, err = b.admin.ExecContext(ctx, "DROP ROLE IF EXISTS "+h.quotedName)
	return b.classify(err)
}

func (b *Backend) dropDatabase(ctx context.Context, h home) error {
	entitled := b.joinRole(ctx, h)
	drop := "DROP DATABASE IF EXISTS " + h.quotedName
	for try := 1; ; try++ {
		_, err := b.admin.ExecContext(ctx, drop+" WITH (FORCE)")
		if code(err) == insufficientPrivilege {
			// A process of somebody else's works there. Without FORCE the server ends an
			// autovacuum, and waits a little for others.
			if _, err = b.admin.ExecContext(ctx, endOwn, h.name); err == nil {
				_, err = b.admin.ExecContext(ctx, drop)
			}
		}
		switch {
		case err == nil:
			return nil
		case try == dropTries || code(err) != objectInUse:
			return errors.Join(b.classify(err), b.strangers(ctx, h), entitled)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(dropPause):
		}
	}
}

// joinRole makes the administrator's role a member of the place's own, with its rights:
// sessions can only be ended by such a one, and making a role gives no right to that, nor
// has an older program asked for it.
func (b *Backend) joinRole(ctx context.Context, h home) error {
	var wanted bool
	err := b.admin.QueryRowContext(ctx, `SELECT NOT pg_has_role(oid, 'USAGE') FROM pg_roles WHERE rolname = $1
		UNION ALL SELECT FALSE LIMIT 1`, h.name).Scan(&wanted)
	if err == nil && wanted {
		_, err = b.admin.ExecContext(ctx, "GRANT "+h.quotedName+" TO CURRENT_USER")
	}
	return b.classify(err)
}

const (
	insufficientPrivilege = "42501"
	objectInUse           = "55006"

	// endOwn ends the sessions in a database that certainly may be ended.
	endOwn = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = $1 AND usename IN ($1, current_user) AND pid <> pg_backend_pid()`
)

func code(err error) string {
	var e *pq.Error
	if errors.As(err, &e) {
		return string(e.Code)
	}
	return ""
}

// strangers names one who is in a database and cannot be made to leave it; nil for nobody.
func (b *Backend) strangers(ctx context.Context, h home) error {
	var pid int64
	var who string
	if err := b.admin.QueryRowContext(ctx, `SELECT pid, usename FROM pg_stat_activity
		WHERE datname = $1 AND usename NOT IN ($1, current_user) ORDER BY pid LIMIT 1`, h.name).Scan(&pid, &who); err != nil {
		return nil // there is more to say about what did not work
	}
	return fmt.Errorf("process %d of the role %s is in the database %s: end it", pid, who, h.name)
}
