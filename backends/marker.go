package backends

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"smartseller/platform/control"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

// markerFile lies in a backend's folder and names it. An empty mount point has none: where its
// disk is not mounted, no place may be taken for gone, and none may be made.
const markerFile = ".smartseller-folder"

// MarkFolder gives a folder a name of its own, unless it has one, and returns that. Safe for several
// processes at once: the first one names it.
func MarkFolder(folder string) (marker string, err error) {
	if marker, err = readMarker(folder); !errors.Is(err, fs.ErrNotExist) {
		return marker, err
	}
	if err := writeMarker(folder); err != nil {
		return "", err
	}
	return readMarker(folder)
}

func readMarker(folder string) (string, error) {
	text, err := os.ReadFile(filepath.Join(folder, markerFile))
	return strings.TrimSpace(string(text)), err
}

// writeMarker has the file appear whole and durable, or not at all.
func writeMarker(folder string) error {
	draft, err := os.CreateTemp(folder, markerFile+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.WriteString(ids.New() + "\n")
	if err == nil {
		err = draft.Sync()
	}
	if err = errors.Join(err, draft.Close()); err != nil {
		return err
	}
	if err := os.Link(draft.Name(), filepath.Join(folder, markerFile)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncFolder(folder)
}

// SyncFolder makes durable what was made, renamed or removed in a folder.
func SyncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// ErrOtherFolder is what [CheckMarker] finds; it is [ErrUnreachable].
var ErrOtherFolder = fmt.Errorf("%w: the folder is not the one that was registered", ErrUnreachable)

// CheckMarker wants a folder to be the one that was given this name. "" is that of a folder that
// was registered before folders were given one: any will do.
func CheckMarker(folder, marker string) error {
	if marker == "" {
		return nil
	}
	if _, err := os.Stat(folder); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	found, err := readMarker(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: it has no file %s, which should say %s", ErrOtherFolder, markerFile, marker)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	case found != marker:
		return fmt.Errorf("%w: its file %s says %q instead of %s", ErrOtherFolder, markerFile, found, marker)
	}
	return nil
}

// differsByMarker says that two configurations differ by their folders' names alone.
func (cfg Config) differsByMarker(other Config) bool {
	other.Marker = cfg.Marker
	return cfg == other
}

// mark notes the name of a folder that was registered before folders had one. One that has another
// name, or none of the backend's storefronts, is another folder.
func (d *Directory) mark(tx control.Tx, old, cfg Config, sealed []byte) error {
	if old.Marker != "" {
		return fault.New(fault.Conflict, "backend_exists", "Backend %s is registered already, and %s is not its folder: mount its disk.", cfg.Name, cfg.Path).
			Because(CheckMarker(cfg.Path, old.Marker))
	}
	var all []string
	if err := tx.Select(&all, `SELECT storefront_id FROM placements WHERE backend = $1 ORDER BY storefront_id LIMIT 1`, cfg.Name); err != nil {
		return err
	}
	for _, storefront := range all {
		if _, err := os.Stat(filepath.Join(cfg.Path, storefront)); err != nil {
			return fault.New(fault.Conflict, "backend_exists", "Backend %s is registered already, and the storefronts that live there are not in %s: mount its disk.", cfg.Name, cfg.Path).Because(err)
		}
	}
	_, err := tx.Exec(`UPDATE backends SET config = $2 WHERE name = $1`, cfg.Name, sealed)
	return err
}
