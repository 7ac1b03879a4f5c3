package auth

import (
	"database/sql"
	"errors"

	"smartseller/platform/control"
)

func findLimit(tx control.Tx, key string) (l limit, err error) {
	err = tx.Get(&l, `SELECT failures, blocked_until, updated_at FROM login_limits WHERE id = $1`, key)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return l, err
}

// holdLimit finds a limit, or makes one, and keeps others from it until the
// transaction ends: of failures side by side each must count.
func holdLimit(tx control.Tx, key string) (l limit, err error) {
	err = tx.Get(&l, `INSERT INTO login_limits (id, tat, failures, blocked_until, updated_at) VALUES ($1, 0, 0, 0, $2)
		ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING failures, blocked_until, updated_at`, key, tx.Now())
	return l, err
}

func saveLimit(tx control.Tx, key string, l limit) error {
	_, err := tx.Exec(`UPDATE login_limits SET failures = $2, blocked_until = $3, updated_at = $4 WHERE id = $1`,
		key, l.Failures, l.BlockedUntil, l.UpdatedAt)
	return err
}

func dropLimit(tx control.Tx, key string) error {
	_, err := tx.Exec(`DELETE FROM login_limits WHERE id = $1`, key)
	return err
}

// dropOldLimits forgets some of those that nobody failed at since; they block nobody
// any more.
func dropOldLimits(tx control.Tx, since int64) error {
	_, err := tx.Exec(`DELETE FROM login_limits WHERE id IN (SELECT id FROM login_limits WHERE updated_at < $1 ORDER BY updated_at LIMIT 1000)`, since)
	return err
}
