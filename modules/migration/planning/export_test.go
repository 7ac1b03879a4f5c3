package planning

import (
	"context"
	"time"

	"smartseller/platform/clock"
)

// CountWithin is for tests that do not wait for as long as a storefront may take.
func (g *Gatherer) CountWithin(within time.Duration) { g.within = within }

// CountOn is for tests that play instances of their own, on hosts of their own.
func (g *Gatherer) CountOn(name, host string) { g.leases.Holder, g.leases.Host = name, host }

// Rows is how many rows a table has.
func (s *Statistics) Rows(table string) int64 { return s.Tables[table].Rows }

// GoBy is for tests that set the time.
func (s *Service) GoBy(c clock.Clock) { s.clock = c }

// CreateBehind is Create, with something that happens before the plan is written down.
func (s *Service) CreateBehind(ctx context.Context, n NewPlan, happens func()) (*Plan, error) {
	p, moves, err := s.compose(ctx, n)
	if err != nil {
		return nil, err
	}
	happens()
	return s.keep(ctx, p, moves)
}
