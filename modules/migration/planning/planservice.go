package planning

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"smartseller/backends"
	"smartseller/modules/migration"
	"smartseller/platform/control"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

// Create makes a plan of chosen moves, or of those that a policy wants now. Unless it
// is automatic it waits for an approval. ErrNothingToDo says that the policy wants
// none; what cannot be planned is named by its place in the list.
func (s *Service) Create(ctx context.Context, n NewPlan) (*Plan, error) {
	p, moves, err := s.compose(ctx, n)
	if err != nil {
		return nil, err
	}
	return s.keep(ctx, p, moves)
}

// compose makes the plan, without keeping it.
func (s *Service) compose(ctx context.Context, n NewPlan) (*Plan, []PlanMove, error) {
	p, wanted, _, err := s.draft(ctx, n, MaxPlan)
	if err != nil {
		return nil, nil, err
	}
	moves := make([]PlanMove, len(wanted))
	for i, c := range wanted {
		moves[i] = PlanMove{
			Seq: int64(i) + 1, Wave: waveOf(i, p.Options), Storefront: c.shop.ID, Slug: c.shop.Slug, Source: c.shop.Backend, Target: c.target,
			Reason: c.reason, Rows: c.shop.Rows, Bytes: c.shop.Bytes, State: Waiting,
		}
	}
	return p, moves, nil
}

// keep writes a plan down. None of its targets is removed meanwhile, nor was since it was drafted.
func (s *Service) keep(ctx context.Context, p *Plan, moves []PlanMove) (*Plan, error) {
	targets := map[string]bool{}
	for _, m := range moves {
		targets[m.Target] = true
	}
	for target := range targets { // as it is registered now
		if _, err := s.directory.Backend(ctx, target); err != nil {
			return nil, err
		}
	}
	err := s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		for _, target := range slices.Sorted(maps.Keys(targets)) {
			if err := s.directory.HoldBackend(tx, target); err != nil {
				return err
			}
		}
		return insertPlan(tx, p, moves)
	})
	if err != nil {
		return nil, err
	}
	return s.Plan(ctx, p.ID)
}

// draft makes a plan of at most so many moves, in their order, without keeping them; and the fleet.
func (s *Service) draft(ctx context.Context, n NewPlan, most int) (*Plan, []candidate, []*Shop, error) {
	options, err := n.Options.withDefaults()
	if err != nil {
		return nil, nil, nil, err
	}
	words, err := s.vocabulary(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	wanted, fleet, err := s.wanted(ctx, n, words)
	if err != nil {
		return nil, nil, nil, err
	}
	p := &Plan{ID: ids.New(), State: Proposed, Options: options, Policy: n.Policy, Reason: n.Reason, RequestedBy: n.By}
	if n.Automatic {
		p.State, p.ApprovedBy = Running, n.By
	}
	limit := most
	if n.Limit > 0 {
		limit = min(limit, int(n.Limit))
	}
	ordered := inOrder(wanted, options, carriedBy(fleet))
	p.LeftOut = int64(max(0, len(ordered)-limit))
	return p, ordered[:min(len(ordered), limit)], fleet, nil
}

// wanted finds the moves that are asked for, and the fleet.
func (s *Service) wanted(ctx context.Context, n NewPlan, words Vocabulary) ([]candidate, []*Shop, error) {
	if (n.Policy == "") == (len(n.Moves) == 0) {
		return nil, nil, fault.InvalidField("/policy", "policy_or_moves", "a plan is made either of a policy or of chosen moves: give one of them")
	}
	var policy *Policy
	var tables []string
	if n.Policy != "" {
		var err error
		if policy, err = ParsePolicy(n.Policy, words); err != nil {
			return nil, nil, err
		}
		tables = policy.Tables()
	}
	fleet, now, err := s.fleet(ctx, tables)
	if err != nil {
		return nil, nil, err
	}
	if policy == nil {
		wanted, err := chosen(n.Moves, fleet, words)
		return wanted, fleet, err
	}
	wanted := proposedFor(fleet, words, policy, now)
	if len(wanted) == 0 {
		return nil, nil, ErrNothingToDo
	}
	return wanted, fleet, nil
}

// proposedFor are the moves that a policy wants.
func proposedFor(fleet []*Shop, words Vocabulary, p *Policy, now time.Time) (wanted []candidate) {
	byID := make(map[backends.StorefrontID]*Shop, len(fleet))
	for _, shop := range fleet {
		byID[shop.ID] = shop
	}
	for _, m := range Evaluate(fleet, words, p, now).Proposals {
		wanted = append(wanted, candidate{byID[m.Storefront], m.Target, m.Rule + ": " + m.Reason})
	}
	return wanted
}

// chosen looks up what an operator chose; every entry that cannot be planned is named.
func chosen(moves []Wanted, fleet []*Shop, words Vocabulary) ([]candidate, error) {
	byRef := map[string]*Shop{}
	for _, shop := range fleet {
		byRef[string(shop.ID)], byRef[shop.Slug] = shop, shop
	}
	wrong := &fault.Error{Kind: fault.Invalid, Code: "invalid_input", Detail: "One or more moves cannot be planned; see errors."}
	seen := map[backends.StorefrontID]bool{}
	var out []candidate
	for i, m := range moves {
		complain := func(field, code, detail string) {
			wrong.Fields = append(wrong.Fields, fault.Field{Pointer: fmt.Sprintf("/moves/%d/%s", i, field), Code: code, Detail: detail})
		}
		shop := byRef[m.Storefront]
		switch {
		case shop == nil:
			complain("storefront", "storefront_not_found", "there is no such storefront; list the storefronts to see their slugs")
		case seen[shop.ID]:
			complain("storefront", "storefront_twice", "the storefront stands twice in this plan")
		case shop.Moving:
			complain("storefront", "move_open", "the storefront is being moved, or another plan is about to move it: finish or cancel that one first")
		case words.Backends[m.Target] == "":
			complain("target", "backend_not_found", "there is no backend of that name; list the backends to see their names")
		case shop.Backend == m.Target:
			complain("target", "already_there", "the storefront already lives on that backend: nothing to move")
		case words.apart(shop.Backend, m.Target) != "":
			complain("target", "hosts_apart", words.apart(shop.Backend, m.Target))
		default:
			seen[shop.ID] = true
			out = append(out, candidate{shop, m.Target, "chosen"})
		}
	}
	if len(wrong.Fields) > 0 {
		return nil, wrong
	}
	return out, nil
}

// Plan reads one plan, and what it waits for.
func (s *Service) Plan(ctx context.Context, id string) (p *Plan, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		if p, err = readPlan(tx, id, false); err != nil {
			return err
		}
		return p.explain(tx, s.clock())
	})
	return p, err
}

// Plans returns plans, newest first, after the one with the id cursor ("" for the first
// page).
func (s *Service) Plans(ctx context.Context, cursor string, limit int) (out []*Plan, err error) {
	if cursor == "" {
		cursor = "~" // behind every id
	}
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		out, err = readPlans(tx, cursor, int64(limit))
		return err
	})
	return out, err
}

// PlanMoves reads up to limit moves of a plan by their turns, after one; in one state,
// or ("") in any; and what each waits for.
func (s *Service) PlanMoves(ctx context.Context, id string, state MoveState, after int64, limit int) (out []PlanMove, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		p, err := readPlan(tx, id, false)
		if err != nil {
			return err
		}
		if out, err = readPlanMoves(tx, id, state, after, int64(limit)); err != nil {
			return err
		}
		return explainMoves(tx, p, out, s.clock())
	})
	return out, err
}

// PlanAction is what an operator asks of a plan.
type PlanAction string

// The actions.
const (
	Approve PlanAction = "approve"
	Pause   PlanAction = "pause"
	Resume  PlanAction = "resume"
	Cancel  PlanAction = "cancel"
)

// allowedIn says in which states an action makes sense, and to which it leads.
var allowedIn = map[PlanAction]struct {
	from []PlanState
	to   PlanState
}{
	Approve: {[]PlanState{Proposed}, Running},
	Pause:   {[]PlanState{Running}, Paused},
	Resume:  {[]PlanState{Paused, Stopped}, Running},
	Cancel:  {[]PlanState{Proposed, Running, Paused, Stopped}, Cancelling},
}

// Ask does what an operator wants of a plan; the scheduler of some instance acts on it
// within seconds. A state that does not allow it is a conflict that names the state.
func (s *Service) Ask(ctx context.Context, id string, action PlanAction, by string) (p *Plan, err error) {
	err = s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		if p, err = readPlan(tx, id, true); err != nil {
			return err
		}
		if !slices.Contains(allowedIn[action].from, p.State) {
			return fault.New(fault.Conflict, "plan_state", "The plan is %s; %s is not possible now.", p.State, action)
		}
		switch action {
		case Approve:
			p.ApprovedBy = by
		case Pause:
			if err := migration.TakeBackCutovers(tx, id, "its plan was paused"); err != nil {
				return err
			}
		case Resume:
			if p.State == Stopped { // somebody has seen them; a pause says nothing of failures
				p.forgiven = p.Moves[Failed]
			}
			p.Cause = ""
		case Cancel:
			if _, err := setMove(tx, id, 0, Waiting, Skipped, "", "the plan was cancelled"); err != nil {
				return err
			}
			if err := migration.TakeBackCutovers(tx, id, "its plan is cancelled"); err != nil {
				return err
			}
		}
		return setPlan(tx, p, allowedIn[action].to)
	})
	if err != nil {
		return nil, err
	}
	return s.Plan(ctx, id)
}
