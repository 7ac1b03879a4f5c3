package sqlstore

import (
	"context"
	"fmt"

	"smartseller/backends"
)

// Purge implements backends.Store.
func (s *Store) Purge(ctx context.Context, token backends.Token, limit int) (int64, error) {
	var purged int64
	err := s.changeFence(ctx, "Purge", 0, func(m *mover, f backends.Fence) error {
		purged = 0
		if f.State == backends.Absent {
			return m.checkEmpty() // the fence went last: a retry finds nothing left to do
		}
		if err := checkToken(f, token); err != nil {
			return err
		}
		switch f.State {
		case backends.Active, backends.Sealed, backends.Closed:
			return fmt.Errorf("%w: purge of a place whose fence is %s", backends.ErrTransition, f.State)
		}
		var err error
		purged, err = m.purge(int64(limit))
		return err
	})
	if err != nil {
		return 0, err
	}
	return purged, nil
}

// purge deletes up to limit rows: tables that move, then local ones, and when
// nothing else is left the fence.
func (m *mover) purge(limit int64) (int64, error) {
	tables := m.store.catalog.Moving()
	for _, t := range m.store.catalog.Tables() {
		if t.Class == backends.Local && t != backends.FenceTable {
			tables = append(tables, t)
		}
	}
	var n int64
	for _, t := range append(tables, backends.FenceTable) {
		if n >= limit {
			break
		}
		if t == backends.DeferredTable { // the tables are empty, and may be filled by another move
			if err := m.makeIndexes(nil); err != nil {
				return 0, err
			}
		}
		deleted, err := m.exec(`DELETE FROM `+t.Name+` WHERE storefront_id = $1 AND id IN (
			SELECT id FROM `+t.Name+` WHERE storefront_id = $1 ORDER BY id LIMIT $2)`, limit-n)
		if err != nil {
			return 0, err
		}
		n += deleted
	}
	return n, nil
}

// Size implements backends.Store.
func (s *Store) Size(ctx context.Context) (int64, error) {
	return s.dialect.Size(ctx, s.place.Storefront, s.catalog.Tables())
}

// Inspect implements backends.Store.
func (s *Store) Inspect(ctx context.Context) error {
	giveBack, err := s.lanes.MoverRead.take(ctx, ask{verb: "Inspect", wait: MoverWait})
	if err != nil {
		return s.noTurn(ctx, err)
	}
	defer giveBack()
	return s.dialect.Inspect(ctx)
}

// Prepare implements backends.Store.
func (s *Store) Prepare(ctx context.Context) error { return s.dialect.Warm(ctx) }
