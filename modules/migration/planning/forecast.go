package planning

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"smartseller/backends"
	"smartseller/modules/migration"
	"smartseller/platform/control"
	"smartseller/platform/fault"
)

// Imagine asks for a simulation: of a plan that exists, of one that would be made, or
// of a made-up fleet, for which Moves must be empty and Policy may be.
type Imagine struct {
	NewPlan
	Plan      string // id; "": none
	Synthetic int    // storefronts; 0: the fleet as it is
	Seed      uint64
	Instances int // that run moves; 0: 1
}

// MaxSynthetic is how many storefronts a made-up fleet can have.
const MaxSynthetic = 200_000

// ErrSimulating says that another simulation takes the room of this one.
var ErrSimulating = fault.New(fault.TooMany, "simulating", "Another simulation is under way on this instance: try again in a moment.").Retry(2)

// Simulate foretells how a plan would go and changes nothing. How long moves take
// comes from those that completed here; the forecast says where none has. One at a
// time: ErrSimulating.
func (s *Service) Simulate(ctx context.Context, i Imagine) (*Forecast, error) {
	if err := i.contradiction(); err != nil {
		return nil, err
	}
	if !s.simulating.TryLock() {
		return nil, ErrSimulating
	}
	defer s.simulating.Unlock()
	measured, err := migration.ReadRates(ctx, s.db)
	if err != nil {
		return nil, err
	}
	var in imagined
	switch {
	case i.Synthetic > 0:
		in, err = imagineFleet(i)
	case i.Plan != "":
		in, err = s.imaginePlan(ctx, i.Plan)
	default:
		in, err = s.imagineNew(ctx, i.NewPlan)
	}
	if err != nil {
		return nil, err
	}
	in.rates, in.instances = measured, max(1, i.Instances)
	return simulate(ctx, in)
}

// contradiction refuses what a plan that exists has of its own.
func (i Imagine) contradiction() error {
	if i.Plan == "" {
		return nil
	}
	for _, more := range []struct {
		given bool
		field string
	}{
		{len(i.Moves) > 0, "moves"}, {i.Policy != "", "policy"}, {i.Options != PlanOptions{}, "options"}, {i.Limit > 0, "limit"}, {i.Synthetic > 0, "synthetic"},
	} {
		if more.given {
			return fault.InvalidField("/"+more.field, "plan_given", "the plan that is named has its own moves and options: ask without this, or without the plan")
		}
	}
	return nil
}

// imagineFleet makes a fleet up.
func imagineFleet(i Imagine) (in imagined, err error) {
	if i.Synthetic > MaxSynthetic || len(i.Moves) > 0 {
		return in, fault.InvalidField("/synthetic", "synthetic", fmt.Sprintf("a made-up fleet has up to %d storefronts, and a policy chooses its moves", MaxSynthetic))
	}
	if in.options, err = i.Options.withDefaults(); err != nil {
		return in, err
	}
	text, words := i.Policy, syntheticWords()
	if text == "" {
		text = syntheticPolicy(i.Synthetic)
	}
	policy, err := ParsePolicy(text, words)
	if err != nil {
		return in, err
	}
	in.fleet, in.kinds, in.from, in.day = synthetic(i.Synthetic, i.Seed), words.Backends, syntheticStart, syntheticDays()
	wanted := inOrder(proposedFor(in.fleet, words, policy, in.from), in.options, carriedBy(in.fleet))
	if i.Limit > 0 {
		wanted = wanted[:min(len(wanted), int(i.Limit))]
	}
	in.imagine(wanted)
	return in, nil
}

// imagine takes moves in their order.
func (in *imagined) imagine(wanted []candidate) {
	for n, c := range wanted {
		in.moves = append(in.moves, &simulated{shop: c.shop, target: c.target, reason: c.reason, wave: waveOf(n, in.options)})
	}
}

// imagineNew takes a plan that would be made now.
func (s *Service) imagineNew(ctx context.Context, n NewPlan) (in imagined, err error) {
	p, wanted, fleet, err := s.draft(ctx, n, math.MaxInt) // nothing is kept of it
	if err != nil {
		return in, err
	}
	in.options, in.fleet = p.Options, fleet
	in.imagine(wanted)
	return in, s.imagineWorld(ctx, &in)
}

// imaginePlan takes what is left of a plan.
func (s *Service) imaginePlan(ctx context.Context, id string) (in imagined, err error) {
	var left []PlanMove
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		p, err := readPlan(tx, id, false)
		if err != nil {
			return err
		}
		in.options, in.done = p.Options, p.progress()
		if left, err = readPlanMoves(tx, id, "", 0, MaxPlan); err != nil {
			return err
		}
		in.done.canaries, err = canariesEnded(tx, id)
		return err
	})
	if err != nil {
		return in, err
	}
	if in.fleet, _, err = s.fleet(ctx, nil); err != nil {
		return in, err
	}
	byID := map[backends.StorefrontID]*Shop{}
	for _, shop := range in.fleet {
		byID[shop.ID] = shop
	}
	for _, m := range left {
		if shop := byID[m.Storefront]; shop != nil && shop.Backend != m.Target && (m.State == Waiting || m.State == Moving) {
			in.moves = append(in.moves, &simulated{shop: shop, target: m.Target, reason: m.Reason, wave: m.Wave})
		}
	}
	if err := s.imagineWorld(ctx, &in); err != nil {
		return in, err
	}
	all := len(in.moves)
	in.moves = slices.DeleteFunc(in.moves, func(m *simulated) bool { return in.kinds[m.target] == "" })
	in.lost = all - len(in.moves)
	return in, nil
}

// imagineWorld reads what the moves of the real fleet depend on.
func (s *Service) imagineWorld(ctx context.Context, in *imagined) error {
	days := map[backends.StorefrontID]Day{}
	in.day = func(shop *Shop) Day { return days[shop.ID] }
	in.blackouts = map[backends.StorefrontID]migration.Blackouts{}
	err := s.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		in.from = time.UnixMicro(tx.Now())
		in.kinds, err = backends.ReadKinds(tx)
		return err
	})
	for done := 0; done < len(in.moves) && err == nil; done += fleetPage {
		var some []backends.StorefrontID
		for _, m := range in.moves[done:min(done+fleetPage, len(in.moves))] {
			some = append(some, m.shop.ID)
		}
		err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
			wishes, err := migration.ReadBlackouts(tx, some...)
			if err != nil {
				return err
			}
			maps.Copy(in.blackouts, wishes)
			return readDays(tx, some, days)
		})
	}
	return err
}
