// Package sqlite is the backend that keeps each storefront in a file of its own:
// FOLDER/STOREFRONT/EPOCH.db. Every epoch has its own path, so a stale handle can
// never be mistaken for the new place; what really keeps it out is the fence
// row inside the file. Files belong to one host.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/mattn/go-sqlite3"
	"github.com/pressly/goose/v3"
	"golang.org/x/sys/unix"

	"smartseller/backends"
	"smartseller/backends/sqlstore"
	"smartseller/migrations"
	"smartseller/platform/database"
	"smartseller/platform/failpoint"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

// readers bounds an open file's reading connections. A move, which wants five at most,
// may take half of them: the customers' reads never wait for it.
const readers = 12

// Backend is a folder of SQLite files. Safe for concurrent use.
type Backend struct {
	cfg     backends.Config
	catalog *backends.Catalog

	mu       sync.Mutex
	template []byte // an empty place, made once: migrating each new file would cost a hundred times more
}

var _ backends.Backend = (*Backend)(nil)

// Opener returns what opens SQLite backends for this catalog.
func Opener(catalog *backends.Catalog) backends.Opener {
	return func(cfg backends.Config) (backends.Backend, error) {
		if !filepath.IsAbs(cfg.Path) {
			return nil, fault.InvalidField("/path", "invalid_path", "must be the absolute path of a folder")
		}
		if cfg.Pooled {
			return nil, fault.InvalidField("/pooled", "not_poolable", "files have no connection pooler")
		}
		return &Backend{cfg: cfg, catalog: catalog}, nil
	}
}

// Name implements backends.Backend.
func (b *Backend) Name() string { return b.cfg.Name }

// Kind implements backends.Backend.
func (b *Backend) Kind() backends.Kind { return backends.SQLite }

// Shared implements backends.Backend.
func (b *Backend) Shared() bool { return false }

// Measured implements backends.Backend.
func (b *Backend) Measured() bool { return true }

func (b *Backend) file(p backends.Place) (string, error) {
	if !ids.Valid(string(p.Storefront)) || p.Epoch < 1 {
		return "", fmt.Errorf("a place needs a storefront id and an epoch, not %q at %d", p.Storefront, p.Epoch)
	}
	return filepath.Join(b.cfg.Path, string(p.Storefront), strconv.FormatInt(p.Epoch, 10)+".db"), nil
}

// Create implements backends.Backend. The file appears whole or not at all, and
// survives a power cut from the moment Create returns.
func (b *Backend) Create(ctx context.Context, p backends.Place) error {
	path, err := b.file(p)
	if err != nil {
		return err
	}
	if err := b.present(); err != nil {
		return err
	}
	folder := filepath.Dir(path)
	if _, err := os.Stat(path); err == nil {
		return syncFolders(folder, b.cfg.Path) // whoever made it may have died before that
	}
	empty, err := b.emptyPlace(ctx)
	if err != nil {
		return err
	}
	// Not the backend's own folder: where that is gone, so is every storefront in it.
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return unreachable(err)
	}
	if err := publish(path, empty); err != nil {
		return unreachable(err)
	}
	return syncFolders(folder, b.cfg.Path)
}

// draftOf is the pattern of a file's drafts. A place's are its own: another epoch's
// may be about to become its file.
func draftOf(path string) string { return "." + filepath.Base(path) + "-*" }

// publish writes a file that nobody sees before it is complete. Whoever was
// first wins: a link, unlike a rename, never replaces a file in use.
func publish(path string, content []byte) error {
	draft, err := os.CreateTemp(filepath.Dir(path), draftOf(path))
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(content)
	if err == nil {
		err = draft.Sync()
	}
	if err = errors.Join(err, draft.Close()); err != nil {
		return err
	}
	if err := os.Link(draft.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	failpoint.Reach("K19") // the file is there, its folder not yet durable
	return nil
}

func syncFolders(folders ...string) error {
	for _, folder := range folders {
		if err := backends.SyncFolder(folder); err != nil {
			return unreachable(err)
		}
	}
	return nil
}

// unreachable says why a place cannot be used: its file is damaged, or anything else.
func unreachable(err error) error {
	var e sqlite3.Error
	if errors.As(err, &e) && (e.Code == sqlite3.ErrNotADB || e.Code == sqlite3.ErrCorrupt) {
		return fmt.Errorf("%w: %w", backends.ErrDamaged, err)
	}
	return fmt.Errorf("%w: %w", backends.ErrUnreachable, err)
}

// emptyPlace is the content of a file with the newest schema and no row.
func (b *Backend) emptyPlace(ctx context.Context) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.template != nil {
		return b.template, nil
	}
	folder, err := os.MkdirTemp("", "smartseller-template-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "empty.db")
	if err := upgrade(ctx, path, true); err != nil {
		return nil, fmt.Errorf("make an empty place: %w", err)
	}
	b.template, err = os.ReadFile(path)
	return b.template, err
}

func upgrade(ctx context.Context, path string, create bool) error {
	files, err := migrations.Tenant(migrations.SQLite)
	if err != nil {
		return err
	}
	db, err := database.OpenSQLite(ctx, path, database.SQLiteOptions{Create: create})
	if err != nil {
		return absent(err)
	}
	return errors.Join(database.Migrate(ctx, db.Writer, goose.DialectSQLite3, files), db.Close())
}

func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return backends.ErrNoPlace
	}
	return unreachable(err)
}

// Open implements backends.Backend.
func (b *Backend) Open(ctx context.Context, p backends.Place) (backends.Store, error) {
	path, err := b.file(p)
	if err != nil {
		return nil, err
	}
	if err := b.present(); err != nil {
		return nil, err
	}
	opened, err := identify(path)
	if err != nil {
		return nil, absent(err)
	}
	db, err := database.OpenSQLite(ctx, path, database.SQLiteOptions{Readers: readers})
	if err != nil {
		return nil, absent(err)
	}
	if err := opened.mustBe(path); err != nil { // replaced before or after it was opened, nobody knows
		return nil, errors.Join(err, db.Close())
	}
	return sqlstore.New(sqlstore.Options{
		Place: p, Catalog: b.catalog,
		Dialect: &dialect{db: db, file: opened, catalog: b.catalog},
		Lanes:   lanes(),
		Pools:   []*sql.DB{db.Reader, db.Writer},
	}), nil
}

// lanes queue an open file's transactions.
func lanes() sqlstore.Lanes {
	read := sqlstore.NewTurns(fmt.Sprintf("one of the file's %d readers", readers), readers, nil)
	write := sqlstore.NewTurns("the file's one writer", 1, nil)
	mover := sqlstore.NewTurns(fmt.Sprintf("one of the %d readers of the file that moves may take", readers/2), readers/2, read)
	return sqlstore.Lanes{Read: read, Write: write, MoverRead: mover, MoverWrite: write}
}

// Destroy implements backends.Backend. Every handle must be closed before: a
// deleted file that somebody still has open would take writes that nobody finds.
func (b *Backend) Destroy(_ context.Context, p backends.Place) error {
	path, err := b.file(p)
	if err != nil {
		return err
	}
	if err := b.present(); err != nil { // what is not mounted has not been erased
		return err
	}
	folder := filepath.Dir(path)
	drafts, err := fs.Glob(os.DirFS(folder), draftOf(path)) // of a Create that died
	if err != nil {
		return err
	}
	file := filepath.Base(path)
	for _, name := range append(drafts, file, file+"-wal", file+"-shm") {
		if err := os.Remove(filepath.Join(folder, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return unreachable(err)
		}
	}
	// A power cut must not bring the file back.
	err = os.Remove(folder)
	switch {
	case errors.Is(err, unix.ENOTEMPTY): // another epoch lives there
		return syncFolders(folder)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return unreachable(err)
	}
	return syncFolders(b.cfg.Path)
}

// Ping implements backends.Backend.
func (b *Backend) Ping(context.Context) error {
	if err := b.present(); err != nil {
		return err
	}
	if err := unix.Access(b.cfg.Path, unix.R_OK|unix.W_OK|unix.X_OK); err != nil {
		return unreachable(fmt.Errorf("%s: %w", b.cfg.Path, err))
	}
	return nil
}

// fix says what to do about an error of Ping.
func fix(err error) string {
	switch {
	case errors.Is(err, backends.ErrOtherFolder):
		return "mount the disk that the folder is on; if this is the folder, restored without its hidden file, write its name there again"
	case errors.Is(err, fs.ErrNotExist):
		return "the folder is gone: restore it, or mount the disk that it is on"
	case errors.Is(err, unix.EROFS):
		return "the folder can only be read: mount its disk so that it can be written"
	}
	return "make the folder readable and writable for this process, on the host that the backend was registered on"
}

// present says that the folder is here: on this host, and not an empty mount point.
func (b *Backend) present() error {
	host, err := os.Hostname()
	switch {
	case err != nil:
		return unreachable(err)
	case b.cfg.Host != "" && b.cfg.Host != host:
		return &backends.Elsewhere{Backend: b.cfg.Name, Host: b.cfg.Host, Here: host}
	}
	return backends.CheckMarker(b.cfg.Path, b.cfg.Marker)
}

// Check implements backends.Backend.
func (b *Backend) Check(ctx context.Context) []backends.Finding {
	folder := backends.Finding{Check: "folder"}
	if err := b.Ping(ctx); err != nil {
		folder.Problem, folder.Fix = err.Error(), fix(err)
	}
	if b.present() != nil {
		return []backends.Finding{folder} // what has its path here may be another folder
	}
	space := backends.Finding{Check: "disk space", Warning: true}
	if room, err := b.Room(ctx); err == nil {
		space.Found = fmt.Sprintf("%d MiB are free", room.Free>>20)
		if room.Free < 1<<30 {
			space.Problem = fmt.Sprintf("only %d MiB are free under %s", room.Free>>20, b.cfg.Path)
			space.Fix = "free some space or move storefronts to another backend"
		}
	}
	return []backends.Finding{folder, space}
}

// Room implements backends.Backend: what the folder's file system says.
func (b *Backend) Room(context.Context) (backends.Room, error) {
	free, err := backends.FreeOnDisk(b.cfg.Path)
	if err != nil {
		return backends.UnknownRoom, unreachable(err)
	}
	return backends.Room{Free: free, Used: -1, How: "on the folder's file system"}, nil
}

// Strain implements backends.Backend: who waits for a file is a request, whose time is
// measured.
func (b *Backend) Strain(context.Context) (backends.Strain, error) { return backends.Strain{}, nil }

// Schema implements backends.Backend.
func (b *Backend) Schema(ctx context.Context, p backends.Place) (schema database.Schema, err error) {
	path, err := b.file(p)
	if err != nil {
		return schema, err
	}
	if err := b.present(); err != nil {
		return schema, err
	}
	db, err := database.OpenSQLite(ctx, path, database.SQLiteOptions{})
	if err != nil {
		return schema, absent(err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return schemaOf(ctx, db.Reader)
}

func schemaOf(ctx context.Context, through database.Queryer) (database.Schema, error) {
	files, err := migrations.Tenant(migrations.SQLite)
	if err != nil {
		return database.Schema{}, err
	}
	return database.ReadSchema(ctx, through, goose.DialectSQLite3, files)
}

// Upgrade implements backends.Backend.
func (b *Backend) Upgrade(ctx context.Context, p backends.Place) error {
	path, err := b.file(p)
	if err != nil {
		return err
	}
	if err := b.present(); err != nil {
		return err
	}
	return upgrade(ctx, path, false)
}

// Connections implements backends.Backend: places share none.
func (b *Backend) Connections() backends.Connections { return backends.Connections{} }

// Close implements backends.Backend: stores own their files.
func (b *Backend) Close() error { return nil }
