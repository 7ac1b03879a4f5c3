package backends

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"smartseller/platform/control"
	"smartseller/platform/fault"
)

// Holding counts the storefronts on each backend that has any.
func (d *Directory) Holding(ctx context.Context) (map[string]int64, error) {
	var rows []struct {
		Backend string `db:"backend"`
		N       int64  `db:"n"`
	}
	err := d.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		return tx.Select(&rows, `SELECT backend, count(*) AS n FROM placements GROUP BY backend`)
	})
	out := map[string]int64{}
	for _, r := range rows {
		out[r.Backend] = r.N
	}
	return out, err
}

// Placement reads where a storefront is, now. ErrNoStorefront when it is nowhere.
func (d *Directory) Placement(ctx context.Context, storefront StorefrontID) (p Placement, err error) {
	err = d.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		p, err = placement(tx.Get, storefront)
		return err
	})
	return p, err
}

// HoldPlacement is Placement within a transaction that keeps it from changing.
func (d *Directory) HoldPlacement(tx control.Tx, storefront StorefrontID) (Placement, error) {
	return placement(tx.GetLocked, storefront)
}

func placement(get func(dst any, text string, args ...any) error, storefront StorefrontID) (Placement, error) {
	var row struct {
		Backend string `db:"backend"`
		Made    int64  `db:"made_at_epoch"`
		Epoch   int64  `db:"epoch"`
	}
	err := get(&row, `SELECT backend, made_at_epoch, epoch FROM placements WHERE storefront_id = $1`, string(storefront))
	if errors.Is(err, sql.ErrNoRows) {
		return Placement{}, ErrNoStorefront
	}
	return Placement{Place: Place{Backend: row.Backend, Storefront: storefront, Epoch: row.Made}, Epoch: row.Epoch}, err
}

// PlacesOn lists up to limit places that storefronts have on a backend.
func (d *Directory) PlacesOn(ctx context.Context, backend string, limit int) ([]Place, error) {
	var rows []struct {
		Storefront string `db:"storefront_id"`
		Made       int64  `db:"made_at_epoch"`
	}
	err := d.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		rows = nil
		return tx.Select(&rows, `SELECT storefront_id, made_at_epoch FROM placements WHERE backend = $1 ORDER BY storefront_id LIMIT $2`, backend, int64(limit))
	})
	out := make([]Place, len(rows))
	for i, r := range rows {
		out[i] = Place{Backend: backend, Storefront: StorefrontID(r.Storefront), Epoch: r.Made}
	}
	return out, err
}

// Settle records a new storefront's first placement; its errors are HoldBackend's too.
func (d *Directory) Settle(tx control.Tx, p Placement) error {
	if err := d.HoldBackend(tx, p.Place.Backend); err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO placements (storefront_id, backend, made_at_epoch, epoch, changed_at) VALUES ($1, $2, $3, $4, $5)`,
		string(p.Place.Storefront), p.Place.Backend, p.Place.Epoch, p.Epoch, tx.Now()); err != nil {
		return err
	}
	return remember(tx, p, "")
}

// ErrPlacementChanged says that a compare-and-swap met another placement.
var ErrPlacementChanged = errors.New("the placement has changed")

// Switch moves the placement from one place to another by compare-and-swap:
// ErrPlacementChanged unless it still is from. This is a move's commit point.
func (d *Directory) Switch(tx control.Tx, from Placement, to Place, moveID string) (Placement, error) {
	next := Placement{Place: to, Epoch: from.Epoch + 1}
	n, err := tx.Exec(`UPDATE placements SET backend = $2, made_at_epoch = $3, epoch = $4, changed_at = $5
		WHERE storefront_id = $1 AND backend = $6 AND made_at_epoch = $7 AND epoch = $8`,
		string(to.Storefront), to.Backend, to.Epoch, next.Epoch, tx.Now(), from.Place.Backend, from.Place.Epoch, from.Epoch)
	if err != nil {
		return Placement{}, err
	}
	if n != 1 || from.Place.Storefront != to.Storefront {
		return Placement{}, ErrPlacementChanged
	}
	return next, remember(tx, next, moveID)
}

// remember keeps the history that answers where a storefront was, and when.
func remember(tx control.Tx, p Placement, moveID string) error {
	_, err := tx.Exec(`INSERT INTO placement_history (storefront_id, epoch, backend, made_at_epoch, since, move_id) VALUES ($1, $2, $3, $4, $5, $6)`,
		string(p.Place.Storefront), p.Epoch, p.Place.Backend, p.Place.Epoch, tx.Now(), moveID)
	return err
}

// Stay is a stretch of time that a storefront spent in one placement. Times are
// microseconds UTC.
type Stay struct {
	Placement Placement
	Since     int64
	Until     *int64 // nil: it is there now
	Move      string // the move that brought it there; "" when it was founded there
}

// ErrNotYetPlaced says that a storefront was nowhere at the time asked for.
var ErrNotYetPlaced = fault.New(fault.NotFound, "not_yet_placed", "The storefront did not exist at that time; ask for a later one.")

// Is tells where a storefront is now, and since when. ErrNoStorefront when it never was anywhere.
func (d *Directory) Is(ctx context.Context, storefront StorefrontID) (Stay, error) {
	stays, _, err := d.stays(ctx, storefront)
	if err != nil {
		return Stay{}, err
	}
	return stays[len(stays)-1], nil
}

// Was tells where a storefront was at a time, microseconds UTC. ErrNoStorefront when it never
// was anywhere; a time ahead is not answered, since no placement is known to last until then.
func (d *Directory) Was(ctx context.Context, storefront StorefrontID, at int64) (Stay, error) {
	stays, now, err := d.stays(ctx, storefront)
	if err != nil {
		return Stay{}, err
	}
	if at > now {
		return Stay{}, fault.InvalidParameter("at", "in_the_future", fmt.Sprintf("is later than %s, which it is by the control database's clock: nobody knows yet where the storefront will be; "+
			"ask for an earlier time, or for none, which is now", time.UnixMicro(now).UTC().Format(time.RFC3339)))
	}
	for _, s := range slices.Backward(stays) {
		if s.Since <= at {
			return s, nil
		}
	}
	return Stay{}, ErrNotYetPlaced
}

// stays are all the placements that a storefront ever had, the first one first, and what time it
// is by the clock that they go by.
func (d *Directory) stays(ctx context.Context, storefront StorefrontID) (out []Stay, now int64, err error) {
	var rows []struct {
		Epoch   int64  `db:"epoch"`
		Backend string `db:"backend"`
		Made    int64  `db:"made_at_epoch"`
		Since   int64  `db:"since"`
		Move    string `db:"move_id"`
	}
	err = d.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		rows, now = nil, tx.Now()
		return tx.Select(&rows, `SELECT epoch, backend, made_at_epoch, since, move_id FROM placement_history WHERE storefront_id = $1 ORDER BY epoch`, string(storefront))
	})
	if err == nil && len(rows) == 0 {
		err = ErrNoStorefront
	}
	for i, r := range rows {
		out = append(out, Stay{
			Placement: Placement{Place: Place{Backend: r.Backend, Storefront: storefront, Epoch: r.Made}, Epoch: r.Epoch}, Since: r.Since, Move: r.Move,
		})
		if i > 0 {
			out[i-1].Until = &rows[i].Since
		}
	}
	return out, now, err
}
