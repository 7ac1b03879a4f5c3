package seller

import (
	"time"

	"smartseller/backends"
	"smartseller/modules/migration"
	"smartseller/modules/migration/planning"
	"smartseller/platform/control"
)

type plannedMove struct {
	Source string `db:"source"`
	Target string `db:"target"`
	At     int64  `db:"created_at"`
	Plan   string `db:"state"`
	awaits planning.Awaits
}

// plannedMoves are those that an approved plan has not started yet: one at most, since only one
// open plan may have a storefront, by an index whose condition stands first.
func plannedMoves(tx control.Tx, storefront backends.StorefrontID) (out []plannedMove, err error) {
	err = tx.Select(&out, `SELECT m.source, m.target, p.created_at, p.state FROM plan_moves m JOIN plans p ON p.id = m.plan_id
		WHERE m.storefront_id = $1 AND m.state IN ('waiting', 'moving') AND m.state = 'waiting' AND p.state IN ('running', 'paused', 'stopped') LIMIT 1`, string(storefront))
	if err != nil || len(out) == 0 {
		return nil, err
	}
	wishes, err := migration.ReadBlackouts(tx, storefront)
	_, barred := wishes[storefront].At(time.UnixMicro(tx.Now()))
	for i, p := range out {
		switch {
		case planning.PlanState(p.Plan) != planning.Running:
			out[i].awaits = planning.AwaitsOperator
		case barred:
			out[i].awaits = planning.AwaitsSeller
		default:
			out[i].awaits = planning.AwaitsTurn
		}
	}
	return out, err
}

type notNowRow struct {
	ID         string                `db:"id"`
	Storefront backends.StorefrontID `db:"storefront_id"`
	Slug       string                `db:"slug"`
	From       int64                 `db:"begins_at"`
	Until      int64                 `db:"ends_at"`
	Reason     string                `db:"reason"`
}

func (r *notNowRow) notNow() NotNow {
	return NotNow{ID: r.ID, From: time.UnixMicro(r.From).UTC(), Until: time.UnixMicro(r.Until).UTC(), Reason: r.Reason}
}

// readNotNows reads what a seller asked for and is not over, by when it begins.
func readNotNows(tx control.Tx, storefront backends.StorefrontID) ([]NotNow, error) {
	var rows []notNowRow
	err := tx.Select(&rows, `SELECT id, begins_at, ends_at, reason FROM blackouts WHERE storefront_id = $1 AND ends_at > $2 ORDER BY begins_at, id`, string(storefront), tx.Now())
	out := make([]NotNow, len(rows))
	for i := range rows {
		out[i] = rows[i].notNow()
	}
	return out, err
}

// listNotNows reads what sellers, or one, asked for and is not over, newest first, after the one
// with the id cursor.
func listNotNows(tx control.Tx, storefront backends.StorefrontID, cursor string, limit int64) ([]Listed, error) {
	var rows []notNowRow
	err := tx.Select(&rows, `SELECT b.id, b.storefront_id, COALESCE(s.slug, '') AS slug, b.begins_at, b.ends_at, b.reason FROM blackouts b LEFT JOIN storefronts s ON s.id = b.storefront_id
		WHERE b.id < $1 AND b.ends_at > $2 AND ($3 = '' OR b.storefront_id = $3) ORDER BY b.id DESC LIMIT $4`, cursor, tx.Now(), string(storefront), limit)
	out := make([]Listed, len(rows))
	for i := range rows {
		out[i] = Listed{NotNow: rows[i].notNow(), Storefront: rows[i].Storefront, Slug: rows[i].Slug}
	}
	return out, err
}

// addNotNow writes one more, unless there are too many: those of one storefront are counted one
// after the other. Whatever was over long ago is forgotten then, of all storefronts.
func addNotNow(tx control.Tx, storefront backends.StorefrontID, n NotNow) error {
	var id string
	if err := tx.GetLocked(&id, `SELECT id FROM storefronts WHERE id = $1`, string(storefront)); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM blackouts WHERE ends_at <= $1`, tx.Now()-kept.Microseconds()); err != nil {
		return err
	}
	ahead, err := readNotNows(tx, storefront)
	if err != nil {
		return err
	}
	if len(ahead) >= most {
		return ErrTooMany
	}
	_, err = tx.Exec(`INSERT INTO blackouts (id, storefront_id, begins_at, ends_at, reason) VALUES ($1, $2, $3, $4, $5)`,
		n.ID, string(storefront), n.From.UnixMicro(), n.Until.UnixMicro(), n.Reason)
	return err
}

func deleteNotNow(tx control.Tx, storefront backends.StorefrontID, id string) error {
	_, err := tx.Exec(`DELETE FROM blackouts WHERE storefront_id = $1 AND id = $2`, string(storefront), id)
	return err
}
