package upgrades

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"smartseller/platform/control"
)

const (
	// runsKept is for how long a run can be read about after its end; the newest one for good.
	runsKept    = 90 * 24 * time.Hour
	forgetEvery = time.Minute

	forgetAtOnce = 100 // transactions, of so many places:
	forgetPlaces = 1000
)

// forget removes runs that ended so long ago. Any number of instances may do so side by side.
func (s *Service) forget(ctx context.Context, kept time.Duration) error {
	for range forgetAtOnce {
		more := false
		err := s.db.Update(ctx, func(_ context.Context, tx control.Tx) (err error) {
			more, err = forgetSome(tx, kept)
			return err
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// forgetSome removes a run, or as many of its places as one transaction may take.
func forgetSome(tx control.Tx, kept time.Duration) (more bool, err error) {
	var id string
	err = tx.Get(&id, `SELECT id FROM schema_upgrades WHERE ended_at < $1 AND id <> `+newest+` ORDER BY created_at, id LIMIT 1`, tx.Now()-kept.Microseconds())
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(`DELETE FROM schema_upgrade_places WHERE run_id = $1 AND (storefront_id, backend) IN
		(SELECT storefront_id, backend FROM schema_upgrade_places WHERE run_id = $1 ORDER BY storefront_id, backend LIMIT $2)`, id, int64(forgetPlaces))
	if err == nil && n < forgetPlaces {
		// Others may be at the same places, and leave fewer to this one than there are.
		_, err = tx.Exec(`DELETE FROM schema_upgrades WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM schema_upgrade_places WHERE run_id = $1)`, id)
	}
	return true, err
}
