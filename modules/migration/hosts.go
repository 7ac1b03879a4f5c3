package migration

import (
	"context"
	"slices"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/fault"
)

// together refuses a move between files of two hosts: no instance reaches both.
func (s *Service) together(tx control.Tx, from, to string) error {
	at, err := s.directory.Host(tx, from)
	if err != nil {
		return err
	}
	there, err := s.directory.Host(tx, to)
	if err == nil && at != there && at != "" && there != "" {
		err = fault.New(fault.Conflict, "hosts_apart",
			"The files of %s are on host %s, those of %s on host %s, and no server reaches both: move the storefront to a Postgres first.", from, at, to, there)
	}
	return err
}

// reached leaves out the moves whose files are on another host: an instance there runs them.
func reached(ctx context.Context, db *control.DB, directory *backends.Directory, host string, found []claimable) ([]claimable, error) {
	if len(found) == 0 {
		return nil, nil
	}
	apart := map[string]bool{}
	err := db.View(ctx, func(_ context.Context, tx control.Tx) error {
		for _, m := range found {
			for _, name := range []string{m.Source, m.Target} {
				if _, known := apart[name]; known {
					continue
				}
				at, err := directory.Host(tx, name)
				if err != nil {
					return err
				}
				apart[name] = at != "" && at != host
			}
		}
		return nil
	})
	return slices.DeleteFunc(found, func(m claimable) bool { return apart[m.Source] || apart[m.Target] }), err
}
