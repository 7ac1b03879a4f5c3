package migration

import (
	"context"
	"errors"

	"smartseller/backends"
	"smartseller/platform/control"
)

// freeSources ends the part of moves that have ended at sources that were not there then. Any number
// of instances may do so side by side.
func (r *Runner) freeSources(ctx context.Context) error {
	return r.eachEnded(ctx, "source_kept <> 0", func(id string) error { return r.freeSourceOf(ctx, id) })
}

func (r *Runner) freeSourceOf(ctx context.Context, id string) error {
	var m *Move
	err := r.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		m, err = readMove(tx, id, false)
		return err
	})
	if err != nil || !m.SourceKept {
		return err
	}
	at, err := r.directory.Placement(ctx, m.Storefront)
	if err != nil && !errors.Is(err, backends.ErrNoStorefront) {
		return err
	}
	if at.Place == m.Source { // the storefront lives there still
		trying, cancel := context.WithTimeout(ctx, sweepPatience)
		defer cancel()
		if err := r.release(trying, m); err != nil {
			r.log.DebugContext(ctx, "the source of a move that has ended cannot be freed yet", "move", id, "backend", m.Source.Backend, "error", err)
			return nil
		}
	}
	return r.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		m, err := readMove(tx, id, true)
		if err != nil || !m.SourceKept {
			return err
		}
		m.SourceKept = false
		if err := writeMove(tx, m); err != nil {
			return err
		}
		return addEvent(tx, id, "source_freed", map[string]any{"backend": m.Source.Backend})
	})
}

// release ends an ended move's part at its source.
func (r *Runner) release(ctx context.Context, m *Move) error {
	s, release, err := r.stores.Acquire(ctx, m.Source)
	if err != nil {
		return err
	}
	defer release()
	if err := s.Takeover(ctx, m.token()); errors.Is(err, backends.ErrStaleToken) {
		return nil // another move has freed it
	} else if err != nil {
		return err
	}
	x := &run{Runner: r, token: m.token(), m: m}
	return x.retire(ctx, m.Source)
}
