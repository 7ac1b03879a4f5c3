package imports

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"smartseller/backends"
	"smartseller/modules/storefronts"
	"smartseller/modules/storefronts/shopify/sample"
	"smartseller/platform/control"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

const (
	atOnce   = 4 // imports that one instance runs side by side
	maxFiles = 20
	maxName  = 100 // characters of a file's name that are kept
)

// Options are what an installation decides.
type Options struct {
	Folder string // for the spools; on a disk that has room for what is uploaded
	Limit  int64  // bytes of one upload
}

// Service imports. Safe for concurrent use.
type Service struct {
	options Options
	db      *control.DB
	shops   *storefronts.Service
	store   backends.TenantStore
	log     *slog.Logger

	running context.Context // ends with errStopped
	stop    context.CancelCauseFunc
	slots   chan struct{}
	stopped sync.Once
	here    present
}

// NewService makes the service; Start begins it.
func NewService(o Options, db *control.DB, shops *storefronts.Service, store backends.TenantStore, log *slog.Logger) *Service {
	s := &Service{options: o, db: db, shops: shops, store: store, log: log, slots: make(chan struct{}, atOnce)}
	s.running, s.stop = context.WithCancelCause(context.Background())
	return s
}

// Start clears away the spools of a process that was killed. Its imports end by their
// leases: another process may be running some.
func (s *Service) Start() error { return sweep(s.options.Folder) }

// Stop interrupts what is under way, and returns when nothing is.
func (s *Service) Stop() {
	s.stopped.Do(func() {
		s.stop(errStopped)
		for range atOnce {
			s.slots <- struct{}{}
		}
		s.here.saving.Wait()
	})
}

// Source hands out the files of an import, one after the other; io.EOF behind the last
// one. Each is read to its end before the next is asked for.
type Source func() (kind Kind, name string, content io.Reader, err error)

// Begin takes the files and leaves the rest to run on its own: Get tells how it
// goes. ErrOpen when another import into the storefront is under way.
func (s *Service) Begin(ctx context.Context, ref, format, by string, files Source) (*Import, error) {
	j, err := s.receive(ctx, ref, format, by, files)
	if err != nil {
		return nil, err
	}
	begun := j.seen()
	go j.run()
	return &begun, nil
}

// Sample imports the made-up shop, and returns when that has ended.
func (s *Service) Sample(ctx context.Context, ref string) error {
	for {
		err := s.sampleOnce(ctx, ref)
		switch {
		case errors.Is(err, ErrOpen): // of a process that was killed: until its lease runs out
		case errors.Is(err, errLost): // this process stood still, and another took it for killed
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-time.After(beatEvery):
		}
	}
}

func (s *Service) sampleOnce(ctx context.Context, ref string) error {
	j, err := s.receive(ctx, ref, Shopify, "", sampleFiles())
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { j.cancel(errStopped) })()
	j.run()
	if errors.Is(context.Cause(j.ctx), errLost) {
		return errLost
	}
	if ended := j.seen(); ended.Failure != nil {
		return fmt.Errorf("import the sample: %s", ended.Failure.Detail)
	}
	return nil
}

func sampleFiles() Source {
	left := kinds
	return func() (Kind, string, io.Reader, error) {
		if len(left) == 0 {
			return "", "", nil, io.EOF
		}
		kind := left[0]
		left = left[1:]
		name := string(kind) + ".csv"
		content, err := sample.Files.Open(name)
		return kind, name, content, err
	}
}

// Get reads an import into a storefront, given by id or slug.
func (s *Service) Get(ctx context.Context, ref, id string) (found *Import, err error) {
	shop, err := s.shops.Find(ctx, ref)
	if err != nil {
		return nil, err
	}
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		found, err = findImport(tx, shop.ID, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.here.newest(found), nil
}

// List returns up to limit imports into a storefront, newest first, before the id
// cursor.
func (s *Service) List(ctx context.Context, ref, cursor string, limit int) (found []*Import, err error) {
	shop, err := s.shops.Find(ctx, ref)
	if err != nil {
		return nil, err
	}
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		found, err = listImports(tx, shop.ID, cursor, limit)
		return err
	})
	for n := range found {
		found[n] = s.here.newest(found[n])
	}
	return found, err
}

// Omissions returns up to limit things that an import left out, behind the one whose
// number is after.
func (s *Service) Omissions(ctx context.Context, ref, id string, after int64, limit int) (found []Omission, err error) {
	shop, err := s.shops.Find(ctx, ref)
	if err != nil {
		return nil, err
	}
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		if _, err := findImport(tx, shop.ID, id); err != nil {
			return err
		}
		found, err = listOmissions(tx, id, after, limit)
		return err
	})
	return found, err
}

// receive begins an import and takes its files in.
func (s *Service) receive(ctx context.Context, ref, format, by string, files Source) (*job, error) {
	shop, err := s.shops.Find(ctx, ref)
	if err != nil {
		return nil, err
	}
	select {
	case s.slots <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	j := newJob(s, shop, Import{ID: ids.New(), Storefront: shop.ID, Format: format, State: Receiving, Files: []File{}, RequestedBy: by})
	if err := s.db.Update(ctx, func(_ context.Context, tx control.Tx) error { return insertImport(tx, &j.known) }); err != nil {
		j.release()
		return nil, err
	}
	s.here.jobs.Store(j.known.ID, j)
	j.beat()
	s.forget(j.ctx)
	if err := j.guard(func() error { return j.take(files) }); err != nil {
		j.end(err)
		return nil, err
	}
	return j, nil
}

// take spools every file.
func (j *job) take(files Source) error {
	for {
		kind, name, content, err := files()
		switch {
		case errors.Is(err, io.EOF) && len(j.spools) == 0:
			return ErrNoFiles
		case errors.Is(err, io.EOF):
			slices.SortStableFunc(j.spools, func(a, b *spool) int { return slices.Index(kinds, a.kind) - slices.Index(kinds, b.kind) })
			return j.announce()
		case err != nil:
			return err
		case !slices.Contains(kinds, kind):
			return fault.InvalidField("/"+plain(string(kind)), "unknown_field", "must be customers, products or orders")
		case len(j.spools) == maxFiles:
			return ErrTooMany
		}
		if err := context.Cause(j.ctx); err != nil {
			return err
		}
		kept, err := keep(j.s.options.Folder, kind, j.name(kind, name), content)
		if err != nil {
			return err
		}
		j.spools = append(j.spools, kept)
	}
}

// name is what a file is called in the report: its own name, told apart from others.
func (j *job) name(kind Kind, given string) string {
	name := plain(given)
	if name == "" {
		name = string(kind) + ".csv"
	}
	base := name
	for n := 2; slices.ContainsFunc(j.spools, func(s *spool) bool { return s.name == name }); n++ {
		name = fmt.Sprintf("%s (%d)", base, n)
	}
	return name
}

// plain is a foreign name as it may be shown.
func plain(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(name, ""))
	if r := []rune(name); len(r) > maxName {
		name = string(r[:maxName])
	}
	return name
}
