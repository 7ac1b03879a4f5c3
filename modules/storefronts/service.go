package storefronts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"smartseller/backends"
	"smartseller/platform/clock"
	"smartseller/platform/control"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

// Service keeps the storefronts and the backends. Safe for concurrent use.
type Service struct {
	db        *control.DB
	directory *backends.Directory
	stores    *backends.Stores
	serving   *serving
}

// NewService makes the service.
func NewService(db *control.DB, directory *backends.Directory, stores *backends.Stores) *Service {
	s := &Service{db: db, directory: directory, stores: stores}
	s.serving = newServing(clock.System, s.Find)
	return s
}

// firstEpoch is the epoch of a placement that never changed.
const firstEpoch = 1

// Create makes a storefront on a backend. Of those who want the same slug at the same
// time one gets it, and the others leave nothing behind.
func (s *Service) Create(ctx context.Context, n NewStorefront) (Storefront, error) {
	if err := n.check(); err != nil {
		return Storefront{}, err
	}
	made := n.begun()
	if err := s.begin(ctx, made); err != nil {
		return Storefront{}, err
	}
	if err := s.finish(ctx, &made); err != nil {
		return Storefront{}, err
	}
	s.serving.create(made.Slug)
	return made, nil
}

// begun is what the storefront begins as.
func (n NewStorefront) begun() Storefront {
	return Storefront{
		ID: backends.StorefrontID(ids.New()), Slug: n.Slug, Name: n.Name, Currency: n.Currency, TimeZone: n.TimeZone,
		Status: "active", Backend: n.Backend, Epoch: firstEpoch, Made: firstEpoch,
	}
}

func (s *Service) found(ctx context.Context, at backends.Placement) error {
	b, err := s.directory.Backend(ctx, at.Place.Backend)
	if err != nil {
		return err
	}
	if err := b.Create(ctx, at.Place); err != nil {
		return unmade(err, at.Place.Backend)
	}
	store, release, err := s.stores.AcquireFit(ctx, at.Place)
	if err != nil {
		return unmade(err, at.Place.Backend)
	}
	defer release()
	return store.Found(ctx, at.Epoch)
}

// unmade says why a place could not be made.
func unmade(err error, backend string) error {
	if said := new(fault.Error); errors.As(err, &said) {
		return err
	}
	if failed := backends.CannotMigrate(err, backend); failed != nil {
		return failed
	}
	return backends.ErrDown.Because(err)
}

// Find looks a storefront up by id or slug; backends.ErrNoStorefront when there is none.
func (s *Service) Find(ctx context.Context, ref string) (out Storefront, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		out, err = findStorefront(tx, ref)
		return err
	})
	return out, err
}

// Was tells where a storefront, given by id or slug, was at a time; nil: where it is now.
func (s *Service) Was(ctx context.Context, ref string, at *time.Time) (backends.Stay, error) {
	found, err := s.Find(ctx, ref)
	if err != nil {
		return backends.Stay{}, err
	}
	if at == nil {
		return s.directory.Is(ctx, found.ID)
	}
	return s.directory.Was(ctx, found.ID, at.UnixMicro())
}

// List returns up to limit storefronts by slug, after the slug cursor.
func (s *Service) List(ctx context.Context, cursor string, limit int) (out []Storefront, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		out, err = listStorefronts(tx, cursor, int64(limit))
		return err
	})
	return out, err
}

// inspection bounds how long a backend may take to be looked at.
const inspection = 20 * time.Second

// AddBackend registers a backend, unless something hinders its use: then the error
// says what, and nothing is registered. A folder of files belongs to this host.
func (s *Service) AddBackend(ctx context.Context, cfg backends.Config) (err error) {
	if cfg.Kind.Folder() {
		if cfg.Path, err = makeFolder(cfg.Path); err != nil {
			return err
		}
		if cfg.Host, err = os.Hostname(); err != nil {
			return fmt.Errorf("this host's name: %w", err)
		}
	}
	inspecting, cancel := context.WithTimeout(ctx, inspection)
	defer cancel()
	findings, err := s.directory.Inspect(inspecting, cfg)
	if err != nil {
		return err
	}
	if err := usable(findings); err != nil {
		return err
	}
	if cfg.Kind.Folder() {
		if cfg.Marker, err = backends.MarkFolder(cfg.Path); err != nil {
			return fault.InvalidField("/path", "unusable_folder", fmt.Sprintf("nothing can be written there (%v): choose another one", err))
		}
	}
	return s.directory.Register(ctx, cfg)
}

// makeFolder makes a folder, unless it is there, and returns the one name that it has:
// by two, one folder could be registered as two backends.
func makeFolder(path string) (name string, err error) {
	if path == "" {
		return "", fault.InvalidField("/path", "invalid_path", "must be the path of a folder")
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	if err = os.MkdirAll(path, 0o700); err == nil {
		name, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", fault.InvalidField("/path", "unusable_folder", fmt.Sprintf("the folder cannot be made (%v): choose another one", errors.Unwrap(err)))
	}
	return name, nil
}

// usable is nil unless a finding hinders.
func usable(findings []backends.Finding) error {
	e := fault.New(fault.Invalid, "backend_unusable", "The backend cannot be used as it is, and was not registered; see errors.")
	for _, f := range findings {
		if f.Hinders() {
			e.Fields = append(e.Fields, fault.Field{Check: f.Check, Code: "unusable", Detail: f.Problem + "; " + f.Fix})
		}
	}
	if len(e.Fields) == 0 {
		return nil
	}
	return e
}

// BackendState is a backend as operators see it: no secrets.
type BackendState struct {
	Name        string
	Kind        backends.Kind
	Storefronts int64
}

// Backends lists every backend and how many storefronts it holds.
func (s *Service) Backends(ctx context.Context) ([]BackendState, error) {
	configs, err := s.directory.Configs(ctx)
	if err != nil {
		return nil, err
	}
	holding, err := s.directory.Holding(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]BackendState, len(configs))
	for i, c := range configs {
		out[i] = BackendState{Name: c.Name, Kind: c.Kind, Storefronts: holding[c.Name]}
	}
	return out, nil
}

// CheckBackend inspects one backend.
func (s *Service) CheckBackend(ctx context.Context, name string) ([]backends.Finding, error) {
	b, err := s.directory.Backend(ctx, name)
	if err != nil {
		return nil, err
	}
	return b.Check(ctx), nil
}

// Room says how much room a backend has.
func (s *Service) Room(ctx context.Context, name string) (backends.Room, error) {
	return s.directory.Room(ctx, name)
}

// SetCapacity says how many bytes a Postgres backend may hold; 0 takes that back.
func (s *Service) SetCapacity(ctx context.Context, name string, bytes int64) error {
	return s.directory.SetCapacity(ctx, name, bytes)
}

// RemoveBackend forgets a backend that holds nothing; abandon: but what moves have left there.
func (s *Service) RemoveBackend(ctx context.Context, name string, abandon bool) error {
	return s.directory.Remove(ctx, name, abandon)
}
