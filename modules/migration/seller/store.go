package seller

import (
	"database/sql"
	"errors"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
)

type plannedMove struct {
	Source string `db:"source"`
	Target string `db:"target"`
	At     int64  `db:"created_at"`
}

// plannedMoves are those that an approved plan has not started yet: one at most, since only one
// open plan may have a storefront, by an index whose condition stands first.
func plannedMoves(tx control.Tx, storefront backends.StorefrontID) (out []plannedMove, err error) {
	err = tx.Select(&out, `SELECT m.source, m.target, p.created_at FROM plan_moves m JOIN plans p ON p.id = m.plan_id
		WHERE m.storefront_id = $1 AND m.state IN ('waiting', 'moving') AND m.state = 'waiting' AND p.state IN ('running', 'paused', 'stopped') LIMIT 1`, string(storefront))
	return out, err
}

func readNotNow(tx control.Tx, storefront backends.StorefrontID) (NotNow, error) {
	var r struct {
		From   int64  `db:"begins_at"`
		Until  int64  `db:"ends_at"`
		Reason string `db:"reason"`
	}
	err := tx.Get(&r, `SELECT begins_at, ends_at, reason FROM blackouts WHERE storefront_id = $1 AND ends_at > $2`, string(storefront), tx.Now())
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoNotNow
	}
	return NotNow{From: time.UnixMicro(r.From).UTC(), Until: time.UnixMicro(r.Until).UTC(), Reason: r.Reason}, err
}

func writeNotNow(tx control.Tx, storefront backends.StorefrontID, n NotNow) error {
	_, err := tx.Exec(`INSERT INTO blackouts (storefront_id, begins_at, ends_at, reason) VALUES ($1, $2, $3, $4)
		ON CONFLICT (storefront_id) DO UPDATE SET begins_at = excluded.begins_at, ends_at = excluded.ends_at, reason = excluded.reason`,
		string(storefront), n.From.UnixMicro(), n.Until.UnixMicro(), n.Reason)
	return err
}

func deleteNotNow(tx control.Tx, storefront backends.StorefrontID) error {
	_, err := tx.Exec(`DELETE FROM blackouts WHERE storefront_id = $1`, string(storefront))
	return err
}
