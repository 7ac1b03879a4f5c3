package backends

import (
	"errors"

	"smartseller/platform/control"
)

// Host is the only one that reaches the places of a backend, if there is such a one, and
// the backend.
func (d *Directory) Host(tx control.Tx, name string) (string, error) {
	cfg, err := d.config(tx, name)
	if errors.Is(err, ErrNoBackend) {
		err = nil // that is for others to say
	}
	return cfg.Host, err
}

// Hosts says of each backend whose places one host alone reaches which one that is. One
// whose registration cannot be read is left out: who opens it says so.
func (d *Directory) Hosts(tx control.Tx) (map[string]string, error) {
	var rows []struct {
		Name   string `db:"name"`
		Kind   Kind   `db:"kind"`
		Sealed []byte `db:"config"`
	}
	err := tx.Select(&rows, `SELECT name, kind, config FROM backends`)
	hosts := map[string]string{}
	for _, r := range rows {
		if !r.Kind.Folder() {
			continue
		}
		if cfg, err := d.unseal(r.Name, r.Sealed); err == nil && cfg.Host != "" {
			hosts[r.Name] = cfg.Host
		}
	}
	return hosts, err
}
