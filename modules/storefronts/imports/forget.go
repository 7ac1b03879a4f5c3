package imports

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"smartseller/platform/control"
)

const (
	memory       = 90 * 24 * time.Hour // at least so long an import that has ended can be read about
	forgetAtOnce = 25                  // transactions, of so many omissions:
	forgetRows   = 1000
)

// forget removes a few of the imports, into any storefront, that ended long ago. Each
// import that begins does so for the others; what is left is for the next.
func (s *Service) forget(ctx context.Context) {
	for range forgetAtOnce {
		more := false
		err := s.db.Update(ctx, func(_ context.Context, tx control.Tx) (err error) {
			more, err = forgetSome(tx)
			return err
		})
		if err != nil {
			s.log.WarnContext(ctx, "imports that ended long ago cannot be forgotten", "error", err)
		}
		if err != nil || !more {
			return
		}
	}
}

// forgetSome removes an import, or as many of its omissions as one transaction may take.
func forgetSome(tx control.Tx) (more bool, err error) {
	var id string
	err = tx.Get(&id, `SELECT id FROM imports WHERE ended_at < $1 ORDER BY id LIMIT 1`, tx.Now()-memory.Microseconds())
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(`DELETE FROM import_omissions WHERE import_id = $1 AND seq IN (SELECT seq FROM import_omissions WHERE import_id = $1 ORDER BY seq LIMIT $2)`,
		id, forgetRows)
	if err == nil && n < forgetRows {
		_, err = tx.Exec(`DELETE FROM imports WHERE id = $1`, id)
	}
	return true, err
}
