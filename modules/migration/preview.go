package migration

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"smartseller/backends"
	"smartseller/platform/control"
)

// Preview is what a dry run finds: the same checks that a move makes before it makes
// anything.
type Preview struct {
	Storefront backends.StorefrontID `json:"storefront_id"`
	Source     string                `json:"source"`
	Target     string                `json:"target"`
	Bytes      int64                 `json:"bytes" doc:"What the storefront takes up at its source, bytes"`
	Rows       map[string]int64      `json:"rows" doc:"Of each table"`
	Findings   []backends.Finding    `json:"findings"`
	Forecast   *Estimate             `json:"forecast"`
}

// DryRun looks at what Start would do and changes nothing. What Start would refuse it
// refuses by the same error.
func (s *Service) DryRun(ctx context.Context, r Request) (*Preview, error) {
	if err := s.completeOptions(ctx, &r); err != nil {
		return nil, err
	}
	target, err := s.directory.Backend(ctx, r.Target)
	if err != nil {
		return nil, err
	}
	var m *Move
	if err := s.db.Update(ctx, func(_ context.Context, tx control.Tx) (err error) {
		m, err = s.propose(tx, r)
		return err
	}); err != nil {
		return nil, err
	}
	p, err := s.preview(ctx, m, target)
	var far *backends.Elsewhere
	switch {
	case errors.As(err, &far):
		return nil, far.Told()
	case errors.Is(err, backends.ErrUnreachable), errors.Is(err, backends.ErrNoPlace):
		return nil, backends.ErrDown.Because(err)
	}
	return p, err
}

func (s *Service) preview(ctx context.Context, m *Move, target backends.Backend) (*Preview, error) {
	answers := target.Ping(ctx)
	if far := new(backends.Elsewhere); errors.As(answers, &far) {
		return nil, far // a move would not be refused: an instance there does it, and looks first
	}
	source, release, err := s.stores.Acquire(ctx, m.Source)
	if err != nil {
		return nil, err
	}
	defer release()
	p := &Preview{Storefront: m.Storefront, Source: m.Source.Backend, Target: m.Target.Backend, Rows: map[string]int64{}}
	if p.Bytes, err = source.Size(ctx); err != nil {
		return nil, err
	}
	if err := source.Read(ctx, func(reader backends.Reader) error { return countRows(reader, s.directory.Catalog(), p.Rows) }); err != nil {
		return nil, err
	}
	p.Findings = checkBackend(ctx, s.directory, target, answers, p.Bytes)
	fit := !slices.ContainsFunc(p.Findings, backends.Finding.Hinders)
	schema, err := s.checkSchemaOf(ctx, "source", source)
	if err != nil {
		return nil, err
	}
	p.Findings = append(p.Findings, schema)
	if fit {
		there, err := s.checkTarget(ctx, m.Target)
		if err != nil {
			return nil, err
		}
		p.Findings = append(p.Findings, there...)
	}
	p.Forecast, err = foretell(ctx, s.db, s.directory, m, p.Rows, p.Bytes)
	return p, err
}

// checkTarget looks at the place that the move would make. Where places are shared it is
// there already, for all.
func (s *Service) checkTarget(ctx context.Context, p backends.Place) ([]backends.Finding, error) {
	store, release, err := s.stores.Acquire(ctx, p)
	if errors.Is(err, backends.ErrNoPlace) {
		return []backends.Finding{{Check: "target empty"}}, nil
	}
	if err != nil {
		return nil, err
	}
	defer release()
	schema, err := s.checkSchemaOf(ctx, "target", store)
	if err != nil {
		return nil, err
	}
	empty, err := s.checkEmpty(ctx, store)
	return []backends.Finding{schema, empty}, err
}

// checkSchemaOf holds a place against what this program has. One that is behind is
// upgraded when the move begins.
func (s *Service) checkSchemaOf(ctx context.Context, name string, store backends.Store) (f backends.Finding, err error) {
	f.Check = "schema of the " + name
	schema, err := store.Schema(ctx)
	switch {
	case err != nil:
		return f, err
	case schema.Unknown > 0:
		f.Problem, f.Fix = "a newer program than this one has upgraded it", "start the move when every server is that new"
		return f, nil
	case schema.Pending > 0:
		f.Warning, f.Problem = true, fmt.Sprintf("it is %d migrations behind this program: the move would begin by upgrading it, where this server may", schema.Pending)
		f.Fix = "upgrade it before: smartseller schema upgrade"
		return f, nil
	}
	differs, err := schemaDiffers(ctx, s.directory.Catalog(), store, true)
	if differs != "" {
		f.Problem, f.Fix = "it is not this program's: "+differs, schemaTodo
	}
	return f, err
}

// checkEmpty looks for rows of the storefront at the target. What a move left there that
// was given up is erased by the next one.
func (s *Service) checkEmpty(ctx context.Context, store backends.Store) (f backends.Finding, err error) {
	f.Check = "target empty"
	fence, err := store.Fence(ctx)
	if err != nil {
		return f, err
	}
	if fence.Move != "" {
		m, err := readEnded(ctx, s.db, fence.Move)
		if err != nil || m != nil && m.gaveUp(store.Place(), fence) {
			f.Found = "what move " + fence.Move + " left there, which is erased first"
			return f, err
		}
	}
	f.Fix = "see where the storefront lives: smartseller where; if that is elsewhere, and no move is under way, remove these rows"
	if fence.State != backends.Absent {
		f.Problem = fmt.Sprintf("%s: its fence is %s at epoch %d", backends.ErrNotEmpty, fence.State, fence.Epoch)
		return f, nil
	}
	rows := map[string]int64{}
	err = store.Read(ctx, func(r backends.Reader) error { return countTables(r, s.directory.Catalog().Tables(), rows) })
	for _, t := range s.directory.Catalog().Tables() {
		if rows[t.Name] > 0 {
			f.Problem = fmt.Sprintf("%s: table %s", backends.ErrNotEmpty, t.Name)
			return f, err
		}
	}
	f.Fix = ""
	return f, err
}

func countRows(r backends.Reader, c *backends.Catalog, into map[string]int64) error {
	return countTables(r, c.Moving(), into)
}

func countTables(r backends.Reader, tables []*backends.Table, into map[string]int64) error {
	for _, t := range tables {
		n, err := r.Count(t)
		if err != nil {
			return err
		}
		into[t.Name] = n
	}
	return nil
}

// reachableCheck is the name of the check that asks whether the target answers.
const reachableCheck = "target reachable"

// preflight is what must hold at the target before anything is made there.
func preflight(ctx context.Context, directory *backends.Directory, target backends.Backend, bytes int64) []backends.Finding {
	return checkBackend(ctx, directory, target, target.Ping(ctx), bytes)
}

// checkBackend is preflight at a target that was asked whether it answers.
func checkBackend(ctx context.Context, directory *backends.Directory, target backends.Backend, answers error, bytes int64) []backends.Finding {
	reach := backends.Finding{Check: reachableCheck}
	if answers != nil {
		reach.Problem, reach.Fix = "the target cannot be reached: "+answers.Error(), "start it, or correct the backend's address, then start the move again"
		return []backends.Finding{reach}
	}
	return append([]backends.Finding{reach, checkSpace(ctx, directory, target.Name(), bytes)}, target.Check(ctx)...)
}
