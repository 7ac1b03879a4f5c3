package migration

import (
	"context"
	"time"

	"smartseller/backends"
)

// opener goes the world's way to a backend and puts around its stores what the world wants.
func (w *world) opener(open backends.Opener) backends.Opener {
	reach, wrap, strain := w.reach, w.wrap, w.strain
	return func(cfg backends.Config) (backends.Backend, error) {
		if reach != nil {
			cfg = reach(cfg)
		}
		b, err := open(cfg)
		if err != nil || wrap == nil && strain == nil {
			return b, err
		}
		return wrapped{b, wrap, strain}, nil
	}
}

type wrapped struct {
	backends.Backend
	wrap   func(backends.Store) backends.Store
	strain func() backends.Strain
}

func (b wrapped) Strain(ctx context.Context) (backends.Strain, error) {
	if b.strain == nil {
		return b.Backend.Strain(ctx)
	}
	return b.strain(), nil
}

func (b wrapped) Open(ctx context.Context, p backends.Place) (backends.Store, error) {
	s, err := b.Backend.Open(ctx, p)
	if err != nil || b.wrap == nil {
		return s, err
	}
	return b.wrap(s), nil
}

// watched is a store that tells a test what its mover does, and does what the test
// says first. Nil functions do nothing; an error is the verb's. Stores are compared,
// so they are pointers.
type watched struct {
	backends.Store
	beforeApply    func(backends.Batch) error
	beforeCaptured func() error
	afterCaptured  func(table string, entries []backends.Entry)
	afterBarrier   func(error)
	beforeChange   func(backends.Transition) error
	beforeTakeover func() error
	beforePage     func(*backends.Table) error
	afterPage      func(*backends.Table)
	beforeEndLoad  func(*backends.Table)
	afterCount     func(int64) int64
}

func (s *watched) Apply(ctx context.Context, token backends.Token, b backends.Batch) error {
	if s.beforeApply != nil {
		if err := s.beforeApply(b); err != nil {
			return err
		}
	}
	return s.Store.Apply(ctx, token, b)
}

func (s *watched) Captured(ctx context.Context, table string, limit int) ([]backends.Entry, error) {
	if s.beforeCaptured != nil {
		if err := s.beforeCaptured(); err != nil {
			return nil, err
		}
	}
	entries, err := s.Store.Captured(ctx, table, limit)
	if s.afterCaptured != nil {
		s.afterCaptured(table, entries)
	}
	return entries, err
}

func (s *watched) Barrier(ctx context.Context, token backends.Token, wait time.Duration) error {
	err := s.Store.Barrier(ctx, token, wait)
	if s.afterBarrier != nil {
		s.afterBarrier(err)
	}
	return err
}

func (s *watched) Change(ctx context.Context, token backends.Token, t backends.Transition) error {
	if s.beforeChange != nil {
		if err := s.beforeChange(t); err != nil {
			return err
		}
	}
	return s.Store.Change(ctx, token, t)
}

func (s *watched) Takeover(ctx context.Context, token backends.Token) error {
	if s.beforeTakeover != nil {
		if err := s.beforeTakeover(); err != nil {
			return err
		}
	}
	return s.Store.Takeover(ctx, token)
}

func (s *watched) Page(ctx context.Context, page *backends.Page, after, through string, limit int) (bool, error) {
	if s.beforePage != nil {
		if err := s.beforePage(page.Table); err != nil {
			return false, err
		}
	}
	more, err := s.Store.Page(ctx, page, after, through, limit)
	if s.afterPage != nil {
		s.afterPage(page.Table)
	}
	return more, err
}

func (s *watched) EndLoad(ctx context.Context, token backends.Token, t *backends.Table) error {
	if s.beforeEndLoad != nil {
		s.beforeEndLoad(t)
	}
	return s.Store.EndLoad(ctx, token, t)
}

func (s *watched) Read(ctx context.Context, fn func(backends.Reader) error) error {
	return s.Store.Read(ctx, func(r backends.Reader) error { return fn(watchedReader{r, s}) })
}

type watchedReader struct {
	backends.Reader
	store *watched
}

func (r watchedReader) Count(t *backends.Table) (int64, error) {
	n, err := r.Reader.Count(t)
	if r.store.afterCount != nil {
		n = r.store.afterCount(n)
	}
	return n, err
}
