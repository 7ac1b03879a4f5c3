package migration

import (
	"context"
	"database/sql"
	"errors"

	"smartseller/platform/control"
	"smartseller/platform/fault"
)

var errNeverMoved = fault.New(ErrNoMove.Kind, ErrNoMove.Code, "There is no move of such a storefront: it has never been moved, or there is no such one.")

// Newest reads the newest move of a storefront, given by id or slug: the one that is open, else
// the one that began last. ErrNoMove when there is none.
func (s *Service) Newest(ctx context.Context, ref string) (m *Move, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		m, err = readNewest(tx, ref)
		return err
	})
	return m, err
}

// readNewest goes by the control database's clock. Ids do not say which move is the newest:
// each instance makes them by its own.
func readNewest(tx control.Tx, ref string) (*Move, error) {
	var r moveRow
	err := tx.Get(&r, `SELECT `+moveColumns+` FROM moves WHERE storefront_id IN ($1, (SELECT id FROM storefronts WHERE slug = $1))
		ORDER BY CASE WHEN ended_at IS NULL THEN 0 ELSE 1 END, created_at DESC, id DESC LIMIT 1`, ref)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNeverMoved
	}
	if err != nil {
		return nil, err
	}
	return r.move()
}
