package backends

import (
	"context"
	"slices"

	"smartseller/platform/control"
)

// Involvement is an open move that takes part in a backend's affairs.
type Involvement struct {
	Move       string
	Phase      string
	Resumes    string // the phase that a paused one goes on with
	Migrations int64  // how many tenant migrations the program has that prepared it; 0: none has, or it is not known
	From, Into Place
}

// keepsSchema says that the move needs both of its places to keep their schema: it is making
// one equal to the other. One that a program with as many migrations as known prepares, or a
// newer one, has not begun to: it upgrades its places first.
func (m Involvement) keepsSchema(known int64) bool {
	phase := m.Phase
	if phase == "paused" {
		phase = m.Resumes
	}
	about := phase == "preparing" && m.Migrations >= known
	return !about && !slices.Contains(settled, phase)
}

// Involved lists the open moves that leave a backend or go to it.
func (d *Directory) Involved(ctx context.Context, backend string) ([]Involvement, error) {
	var rows []struct {
		ID         string `db:"id"`
		Storefront string `db:"storefront_id"`
		Phase      string `db:"phase"`
		Resumes    string `db:"resume_phase"`
		Migrations int64  `db:"tenant_migrations"`
		Source     string `db:"source_backend"`
		SourceMade int64  `db:"source_made_at_epoch"`
		Target     string `db:"target_backend"`
		TargetMade int64  `db:"target_made_at_epoch"`
	}
	err := d.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		rows = nil
		return tx.Select(&rows, `SELECT id, storefront_id, phase, resume_phase, tenant_migrations, source_backend, source_made_at_epoch, target_backend, target_made_at_epoch
			FROM moves WHERE ended_at IS NULL AND (source_backend = $1 OR target_backend = $1) ORDER BY id`, backend)
	})
	out := make([]Involvement, len(rows))
	for i, r := range rows {
		id := StorefrontID(r.Storefront)
		out[i] = Involvement{
			Move: r.ID, Phase: r.Phase, Resumes: r.Resumes, Migrations: r.Migrations,
			From: Place{Backend: r.Source, Storefront: id, Epoch: r.SourceMade},
			Into: Place{Backend: r.Target, Storefront: id, Epoch: r.TargetMade},
		}
	}
	return out, err
}
