package monitoring

import (
	"context"
	"fmt"

	"smartseller/platform/control"
)

// inspect asks the control database whether it answers and fits this program. It
// keeps no table of its own: the schema's version is what the migrations wrote.
func inspect(ctx context.Context, db *control.DB) (checks []Check, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	reach, schema := Check{Name: checkControl}, Check{Name: checkMigrations}
	if err := db.Present(); err != nil {
		reach.Problem = control.ErrGone.Detail
		return []Check{reach}, err
	}
	s, err := db.Schema(ctx)
	switch {
	case err != nil:
		reach.Problem = "The control database does not answer: start it, or see to the network."
		schema.Problem = "The version of the control database's schema is not known while it does not answer."
	case s.Pending > 0:
		schema.Problem = fmt.Sprintf("The control database's schema is at version %d, this program needs %d: restart the program, which migrates it.", s.Version, s.Newest)
	}
	return []Check{reach, schema}, err
}
