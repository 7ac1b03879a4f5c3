package upgrades

import (
	"context"
	"database/sql"
	"errors"

	"smartseller/backends"
	"smartseller/migrations"
	"smartseller/modules/storefronts"
	"smartseller/platform/control"
	"smartseller/platform/ids"
)

// Service is what operators ask of schemas. Safe for concurrent use; any instance will do.
type Service struct {
	db        *control.DB
	directory *backends.Directory
	shops     *storefronts.Service
	known     int64 // tenant migrations of this program
	alone     *alone
}

// NewService makes the service.
func NewService(db *control.DB, directory *backends.Directory, shops *storefronts.Service) (*Service, error) {
	known, err := migrations.CountTenant()
	return &Service{db: db, directory: directory, shops: shops, known: int64(known), alone: newAlone()}, err
}

// Start begins a run, or joins the one under way: joined. failedOnly repeats in the
// newest run what failed there, alone: ErrNothingFailed. A program that knows more
// migrations than the one that began the run begins it anew; one that knows fewer gets ErrNewerRun.
func (s *Service) Start(ctx context.Context, by string, failedOnly bool) (run *Run, joined bool, err error) {
	err = s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		newest, err := readNewest(tx)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		run, joined = newest, newest != nil && newest.State == Running
		switch {
		case newest != nil && newest.known > s.known:
			return ErrNewerRun
		case failedOnly:
			return repeatFailed(tx, run, s.known)
		case !joined:
			run = &Run{ID: ids.New(), State: Running, RequestedBy: by, known: s.known}
			if err := insertRun(tx, run); err != nil {
				return err
			}
			_, err := enrol(tx, run)
			return err
		case run.known < s.known:
			return beginAnew(tx, run, s.known)
		}
		return nil
	})
	if errors.Is(err, control.ErrUnique) { // another instance was faster by a moment
		return s.Start(ctx, by, failedOnly)
	}
	if err != nil {
		return nil, false, err
	}
	run, err = s.Run(ctx, run.ID)
	return run, joined, err
}

// Run reads one run.
func (s *Service) Run(ctx context.Context, id string) (run *Run, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		run, err = readRun(tx, id, false)
		if err != nil {
			return err
		}
		return count(tx, run)
	})
	return run, err
}

// Runs returns up to limit runs, newest first, after the one with the id cursor ("" for
// the first page).
func (s *Service) Runs(ctx context.Context, cursor string, limit int) (out []*Run, err error) {
	if cursor == "" {
		cursor = "~" // behind every id
	}
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		if out, err = readRuns(tx, cursor, int64(limit)); err != nil {
			return err
		}
		return count(tx, out...)
	})
	return out, err
}

// Places reads up to limit places of a run by their keys, after one; in one state, or
// ("") in any.
func (s *Service) Places(ctx context.Context, id string, state PlaceState, after Key, limit int) (out []Place, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		if _, err := readRun(tx, id, false); err != nil {
			return err
		}
		out, err = readPlaces(tx, id, state, after, int64(limit))
		return err
	})
	return out, err
}

// Changed reads the run, and up to limit of its places that changed after a change, in
// that order.
func (s *Service) Changed(ctx context.Context, id string, after int64, limit int) (run *Run, out []Place, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		if run, err = readRun(tx, id, false); err != nil {
			return err
		}
		if err := count(tx, run); err != nil {
			return err
		}
		out, err = readChanged(tx, id, after, int64(limit))
		return err
	})
	return run, out, err
}

// Cancel ends a run: what waits is skipped, and what is being upgraded is finished.
// ErrRunEnded when it has ended.
func (s *Service) Cancel(ctx context.Context, id string) (run *Run, err error) {
	err = s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		if run, err = readRun(tx, id, true); err != nil {
			return err
		}
		if run.State != Running {
			return ErrRunEnded
		}
		return cancel(tx, run)
	})
	if err != nil {
		return nil, err
	}
	return s.Run(ctx, id)
}

// fates reads what the newest run made of the places of storefronts.
func (s *Service) fates(ctx context.Context, shops []storefronts.Storefront) (out map[backends.StorefrontID]Fate, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		out, err = readFates(tx, shops)
		return err
	})
	return out, err
}
