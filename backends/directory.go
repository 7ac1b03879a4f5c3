package backends

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"smartseller/platform/control"
	"smartseller/platform/crypto"
	"smartseller/platform/database"
	"smartseller/platform/fault"
)

// Directory knows, from the control database, which backends are registered
// and which place holds each storefront. Safe for concurrent use.
type Directory struct {
	db      *control.DB
	keys    *crypto.Keyring
	openers map[Kind]Opener
	catalog *Catalog

	mu   sync.Mutex
	open map[string]opened
}

// opened is a backend, and what was registered when it was opened: under its name
// another instance may have registered something else since.
type opened struct {
	Backend
	sealed []byte
}

// NewDirectory makes a directory; openers says which kinds this program can open.
func NewDirectory(db *control.DB, keys *crypto.Keyring, catalog *Catalog, openers map[Kind]Opener) *Directory {
	return &Directory{db: db, keys: keys, catalog: catalog, openers: openers, open: map[string]opened{}}
}

// Catalog is the list of tables that every backend of the directory holds.
func (d *Directory) Catalog() *Catalog { return d.catalog }

var backendName = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$`)

// ErrNoBackend says that no backend of that name is registered.
var ErrNoBackend = fault.New(fault.NotFound, "backend_not_found", "There is no backend of that name; list the backends to see their names.")

// Register adds a backend. A name that is taken by the very same configuration
// is no error, by another one a conflict, and so is a shared database that has a name.
func (d *Directory) Register(ctx context.Context, cfg Config) error {
	// Whatever cannot be opened later is refused now. It waits for no database.
	b, err := d.try(cfg)
	if err != nil {
		return err
	}
	shared := b.Shared()
	if err := b.Close(); err != nil {
		return err
	}
	plain, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	sealed := d.keys.Seal(plain, configAAD(cfg.Name))
	add := func(_ context.Context, tx control.Tx) error {
		old, err := d.config(tx, cfg.Name)
		if err == nil && old == cfg {
			// An older program that shares this control database did not note it.
			_, err = tx.Exec(`UPDATE backends SET shared = $2 WHERE name = $1 AND shared <> $2`, cfg.Name, database.Truth(shared))
			return err
		}
		if err == nil && old.differsByMarker(cfg) {
			return d.mark(tx, old, cfg, sealed)
		}
		if err == nil {
			return fault.New(fault.Conflict, "backend_exists", "Backend %s is registered already with another configuration.", cfg.Name)
		}
		if !errors.Is(err, ErrNoBackend) {
			return err
		}
		if err := d.nobodyElses(tx, cfg, shared); err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO backends (name, kind, shared, config, created_at) VALUES ($1, $2, $3, $4, $5)`,
			cfg.Name, string(cfg.Kind), database.Truth(shared), sealed, tx.Now())
		return err
	}
	// One at a time, since each looks at all the others.
	return d.db.Alone(ctx, "register a backend", func(ctx context.Context) error { return d.db.Update(ctx, add) })
}

// nobodyElses refuses a shared database under a second name: a storefront cannot be
// moved from its rows to these same rows. It refuses a folder that is another backend's,
// or lies in one, or has one in it, as well: a move would stay where it began.
func (d *Directory) nobodyElses(tx control.Tx, cfg Config, shared bool) error {
	all, err := d.configs(tx)
	for _, other := range all {
		if shared && cfg.AdminDSN != "" && other.Kind == cfg.Kind && other.AdminDSN == cfg.AdminDSN {
			return fault.New(fault.Conflict, "backend_exists", "This database is registered already, as backend %s: use that name.", other.Name)
		}
		if cfg.Path != "" && other.Path != "" && cfg.Host == other.Host && (lies(cfg.Path, other.Path) || lies(other.Path, cfg.Path)) {
			return fault.New(fault.Conflict, "backend_exists", "Backend %s keeps its files there already: choose a folder of its own.", other.Name)
		}
	}
	return err
}

// lies says that a path is a folder, or in it.
func lies(path, folder string) bool {
	rest, err := filepath.Rel(folder, path)
	return err == nil && rest != ".." && !strings.HasPrefix(rest, "../")
}

// Inspect looks at a backend that is not registered, as [Backend.Check] does.
func (d *Directory) Inspect(ctx context.Context, cfg Config) ([]Finding, error) {
	b, err := d.try(cfg)
	if err != nil {
		return nil, err
	}
	return b.Check(ctx), b.Close()
}

// try opens a backend beside those that are registered.
func (d *Directory) try(cfg Config) (Backend, error) {
	if d.openers[cfg.Kind] == nil {
		return nil, fault.InvalidField("/kind", "unknown_kind", fmt.Sprintf("must be one of %v", Kinds()))
	}
	for _, given := range []struct {
		pointer, value string
		taken          bool
	}{
		{"/path", cfg.Path, cfg.Kind.Folder()},
		{"/dsn", cfg.DSN, !cfg.Kind.Folder()},
		{"/admin_dsn", cfg.AdminDSN, !cfg.Kind.Folder()},
	} {
		if given.value != "" && !given.taken {
			return nil, fault.InvalidField(given.pointer, "not_taken", "a backend of this kind has none: leave it out")
		}
	}
	if !backendName.MatchString(cfg.Name) {
		return nil, fault.InvalidField("/name", "invalid_name", "must be 1 to 40 lower-case letters, digits and dashes")
	}
	return d.openers[cfg.Kind](cfg)
}

// Remove forgets a backend that holds no storefront, takes part in no open move, is where no
// plan is about to move one, and on which no move has left anything that is still to be
// erased. abandon: also with that, for the backend never comes back.
func (d *Directory) Remove(ctx context.Context, name string, abandon bool) error {
	err := d.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		if _, err := registered(tx.GetLocked, name); err != nil {
			return err
		}
		var used int64
		if err := tx.Get(&used, `SELECT (SELECT count(*) FROM placements WHERE backend = $1) +
			(SELECT count(*) FROM foundings WHERE backend = $1 AND given_up = 0) +
			(SELECT count(*) FROM moves WHERE ended_at IS NULL AND (source_backend = $1 OR target_backend = $1)) +
			(SELECT count(*) FROM plan_moves WHERE state = 'waiting' AND target = $1)`, name); err != nil {
			return err
		}
		if used > 0 {
			return fault.New(fault.Conflict, "backend_in_use",
				"Backend %s still holds storefronts, takes part in a move or is where a plan moves some (%d in all): move them away, or cancel the plan, first.", name, used)
		}
		leave := nothingLeft
		if abandon {
			leave = abandonLeft
		}
		if err := leave(tx, name); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM backends WHERE name = $1`, name)
		return err
	})
	if err != nil {
		return err
	}
	return d.forget(name)
}

// nothingLeft refuses a backend on which moves have left storefronts that are to be erased.
func nothingLeft(tx control.Tx, name string) error {
	var left int64
	err := tx.Get(&left, `SELECT count(*) FROM moves WHERE left_behind = $1`, name)
	if err == nil && left > 0 {
		err = fault.New(fault.Conflict, "backend_left_behind",
			"Moves have left copies of storefronts on backend %s (%d in all), which are erased when it can be reached again: "+
				"bring it back, or, if it never comes back, abandon them with it: smartseller backend remove --abandon %s", name, left, name)
	}
	return err
}

// abandonLeft notes that what moves left on a backend goes with it.
func abandonLeft(tx control.Tx, name string) error {
	_, err := tx.Exec(`UPDATE moves SET left_behind = '', advice = 'What it left on ' || left_behind || ' was abandoned with that backend. ' || advice WHERE left_behind = $1`, name)
	return err
}

// forget closes a backend that was opened, if it was.
func (d *Directory) forget(name string) error {
	d.mu.Lock()
	o, known := d.open[name]
	delete(d.open, name)
	d.mu.Unlock()
	if !known {
		return nil
	}
	return o.Close()
}

// Configs lists every registered backend by name, secrets included: whoever
// shows them masks the DSNs.
func (d *Directory) Configs(ctx context.Context) ([]Config, error) {
	var out []Config
	err := d.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		out, err = d.configs(tx)
		return err
	})
	return out, err
}

func (d *Directory) configs(tx control.Tx) ([]Config, error) {
	var rows []struct {
		Name   string `db:"name"`
		Sealed []byte `db:"config"`
	}
	if err := tx.Select(&rows, `SELECT name, config FROM backends ORDER BY name`); err != nil {
		return nil, err
	}
	out := make([]Config, len(rows))
	for i, r := range rows {
		cfg, err := d.unseal(r.Name, r.Sealed)
		if err != nil {
			return nil, err
		}
		out[i] = cfg
	}
	return out, nil
}

func configAAD(name string) []byte { return []byte("backend/" + name) }

func (d *Directory) config(tx control.Tx, name string) (Config, error) {
	sealed, err := registered(tx.Get, name)
	if err != nil {
		return Config{}, err
	}
	return d.unseal(name, sealed)
}

// registered reads what is registered under a name: no two registrations are sealed alike.
func registered(get func(dst any, text string, args ...any) error, name string) (sealed []byte, err error) {
	err = get(&sealed, `SELECT config FROM backends WHERE name = $1`, name)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoBackend
	}
	return sealed, err
}

func (d *Directory) unseal(name string, sealed []byte) (cfg Config, err error) {
	plain, err := d.keys.Open(sealed, configAAD(name))
	if err != nil {
		return Config{}, fmt.Errorf("configuration of backend %s: %w", name, err)
	}
	return cfg, json.Unmarshal(plain, &cfg)
}

// registrationPatience bounds the question whether an open backend is still registered.
const registrationPatience = time.Second

// Backend opens a registered backend and keeps it, until another instance has
// registered something else under its name. While the control database does not
// answer, what is open is given. ErrNoBackend when there is none of that name.
func (d *Directory) Backend(ctx context.Context, name string) (Backend, error) {
	d.mu.Lock()
	o, known := d.open[name]
	d.mu.Unlock()
	asking := ctx
	if known {
		var enough context.CancelFunc
		asking, enough = context.WithTimeout(ctx, registrationPatience)
		defer enough()
	}
	var sealed []byte
	err := d.db.View(asking, func(_ context.Context, tx control.Tx) (err error) {
		sealed, err = registered(tx.Get, name)
		return err
	})
	switch {
	case err == nil:
		return d.opened(name, sealed)
	case errors.Is(err, ErrNoBackend):
		return nil, errors.Join(err, d.forget(name))
	case known && ctx.Err() == nil:
		return o.Backend, nil
	}
	return nil, err
}

// opened is the backend that was registered so.
func (d *Directory) opened(name string, sealed []byte) (Backend, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old, known := d.open[name]
	if known && bytes.Equal(old.sealed, sealed) {
		return old.Backend, nil
	}
	cfg, err := d.unseal(name, sealed)
	if err != nil {
		return nil, err
	}
	b, err := d.openers[cfg.Kind](cfg)
	if err != nil {
		return nil, fmt.Errorf("open backend %s: %w", name, err)
	}
	d.open[name] = opened{b, sealed}
	if known {
		err = old.Close() // no storefront is there any more
	}
	return b, err
}

// errBackendChanged says that a name stands for another backend than a moment ago.
var errBackendChanged = fault.New(fault.Conflict, "backend_changed", "The backend was registered anew meanwhile; try again.")

// HoldBackend keeps a backend from being removed until the transaction ends, for who
// records that a storefront is, or will be, on it. ErrNoBackend when it is not registered;
// a conflict when it was opened as another one than is registered now.
func (d *Directory) HoldBackend(tx control.Tx, name string) error {
	sealed, err := registered(tx.GetShared, name)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if o, known := d.open[name]; known && !bytes.Equal(o.sealed, sealed) {
		return errBackendChanged
	}
	return nil
}

// ReadKinds reads of which kind each registered backend is.
func ReadKinds(tx control.Tx) (map[string]Kind, error) {
	var rows []struct {
		Name string `db:"name"`
		Kind Kind   `db:"kind"`
	}
	err := tx.Select(&rows, `SELECT name, kind FROM backends`)
	kinds := make(map[string]Kind, len(rows))
	for _, r := range rows {
		kinds[r.Name] = r.Kind
	}
	return kinds, err
}

// connections are those that the places of each open backend share.
func (d *Directory) connections() map[string]Connections {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make(map[string]Connections, len(d.open))
	for name, b := range d.open {
		out[name] = b.Connections()
	}
	return out
}

// Close closes every backend that was opened.
func (d *Directory) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for name, b := range d.open {
		errs = append(errs, b.Close())
		delete(d.open, name)
	}
	return errors.Join(errs...)
}
