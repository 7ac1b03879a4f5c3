package upgrades

import (
	"context"
	"errors"

	"smartseller/backends"
	"smartseller/migrations"
	"smartseller/modules/storefronts"
	"smartseller/platform/control"
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

// startTries bounds how often a start gives way to that of another instance.
const startTries = 5

// Start begins a run, or joins the one under way: joined. failedOnly repeats in the
// newest run what failed there, alone: ErrNothingFailed, ErrRunCancelled. A program that knows
// more migrations than the one that began the run begins it anew; one that knows fewer gets
// ErrNewerRun, or ErrNewerRan when that has ended.
func (s *Service) Start(ctx context.Context, by string, failedOnly bool) (run *Run, joined bool, err error) {
	for range startTries {
		run, joined, err = s.start(ctx, by, failedOnly)
		if !errors.Is(err, control.ErrUnique) { // else another instance was faster by a moment
			break
		}
	}
	return run, joined, err
}

func (s *Service) start(ctx context.Context, by string, failedOnly bool) (run *Run, joined bool, err error) {
	err = s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		if run, err = readNewest(tx); err != nil {
			return err
		}
		joined = run != nil && run.State == Running
		switch {
		case joined && run.known > s.known:
			return ErrNewerRun
		case run != nil && run.known > s.known:
			return ErrNewerRan
		case failedOnly:
			err = repeatFailed(tx, run, s.known)
		case !joined:
			run, err = begin(tx, run, by, s.known)
		case run.known < s.known:
			err = beginAnew(tx, run, s.known)
		}
		if err != nil {
			return err
		}
		return count(tx, run)
	})
	if err != nil {
		return nil, false, err
	}
	return run, joined, nil
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
// that order. Places are counted only when the run has ended and there are no more changes:
// many may follow a run of many places.
func (s *Service) Changed(ctx context.Context, id string, after int64, limit int) (run *Run, out []Place, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		if run, err = readRun(tx, id, false); err != nil {
			return err
		}
		out, err = readChanged(tx, id, after, int64(limit))
		if err != nil || run.State == Running || len(out) == limit {
			return err
		}
		return count(tx, run)
	})
	return run, out, err
}

// Cancel ends a run: what waits is skipped. What is being upgraded is finished, and counts
// as skipped until it is. ErrRunEnded when it has ended.
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
