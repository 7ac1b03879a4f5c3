package backends

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"smartseller/platform/control"
	"smartseller/platform/crypto"
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
	return d.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		old, err := d.config(tx, cfg.Name)
		if err == nil && old == cfg {
			return nil
		}
		if err == nil {
			return fault.New(fault.Conflict, "backend_exists", "Backend %s is registered already with another configuration.", cfg.Name)
		}
		if !errors.Is(err, ErrNoBackend) {
			return err
		}
		if shared {
			if err := d.nobodyElses(tx, cfg); err != nil {
				return err
			}
		}
		_, err = tx.Exec(`INSERT INTO backends (name, kind, config, created_at) VALUES ($1, $2, $3, $4)`,
			cfg.Name, string(cfg.Kind), sealed, tx.Now())
		return err
	})
}

// nobodyElses refuses a shared database under a second name: a storefront cannot be
// moved from its rows to these same rows. Other kinds make a new place for each epoch.
func (d *Directory) nobodyElses(tx control.Tx, cfg Config) error {
	all, err := d.configs(tx)
	for _, other := range all {
		if other.Kind == cfg.Kind && other.AdminDSN == cfg.AdminDSN {
			return fault.New(fault.Conflict, "backend_exists", "This database is registered already, as backend %s: use that name.", other.Name)
		}
	}
	return err
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
	if !backendName.MatchString(cfg.Name) {
		return nil, fault.InvalidField("/name", "invalid_name", "must be 1 to 40 lower-case letters, digits and dashes")
	}
	return d.openers[cfg.Kind](cfg)
}

// Remove forgets a backend that holds no storefront and takes part in no open move.
func (d *Directory) Remove(ctx context.Context, name string) error {
	err := d.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		if _, err := registered(tx.GetLocked, name); err != nil {
			return err
		}
		var used int64
		if err := tx.Get(&used, `SELECT (SELECT count(*) FROM placements WHERE backend = $1) +
			(SELECT count(*) FROM foundings WHERE backend = $1 AND given_up = 0) +
			(SELECT count(*) FROM moves WHERE ended_at IS NULL AND (source_backend = $1 OR target_backend = $1))`, name); err != nil {
			return err
		}
		if used > 0 {
			return fault.New(fault.Conflict, "backend_in_use",
				"Backend %s still holds storefronts or takes part in a move (%d in all): move them away first.", name, used)
		}
		_, err := tx.Exec(`DELETE FROM backends WHERE name = $1`, name)
		return err
	})
	if err != nil {
		return err
	}
	return d.forget(name)
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

// Was tells where a storefront was at a time, microseconds UTC, from the history
// of its placements. ErrNoStorefront when it never was anywhere.
func (d *Directory) Was(ctx context.Context, storefront StorefrontID, at int64) (Stay, error) {
	var rows []struct {
		Epoch   int64  `db:"epoch"`
		Backend string `db:"backend"`
		Made    int64  `db:"made_at_epoch"`
		Since   int64  `db:"since"`
		Move    string `db:"move_id"`
	}
	err := d.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		rows = nil
		return tx.Select(&rows, `SELECT epoch, backend, made_at_epoch, since, move_id FROM placement_history WHERE storefront_id = $1 ORDER BY epoch`, string(storefront))
	})
	if err != nil {
		return Stay{}, err
	}
	if len(rows) == 0 {
		return Stay{}, ErrNoStorefront
	}
	var found *Stay
	for i, r := range rows {
		if r.Since > at {
			break
		}
		found = &Stay{
			Placement: Placement{Place: Place{Backend: r.Backend, Storefront: storefront, Epoch: r.Made}, Epoch: r.Epoch},
			Since:     r.Since, Move: r.Move,
		}
		if i+1 < len(rows) {
			found.Until = &rows[i+1].Since
		}
	}
	if found == nil {
		return Stay{}, ErrNotYetPlaced
	}
	return *found, nil
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
