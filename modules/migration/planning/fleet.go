package planning

import (
	"context"
	"slices"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
)

const fleetPage = 500 // storefronts that are read at a time

// Shop is a storefront, as far as policies and plans look at it. Times are
// microseconds UTC.
type Shop struct {
	ID                            backends.StorefrontID
	Slug, TimeZone, Backend       string
	PlacedAt, CreatedAt, ActiveAt int64
	Counted                       bool   // its rows are known
	Moving                        bool   // a move of it is open, or a plan is about to move it
	Going                         string // the backend that it is on its way to; "": to none
	Rows, Bytes                   int64
	Requests, Writes              float64 // a second, in the busiest hour
	P95                           int64   // milliseconds
	Tables                        map[string]int64
}

// shopOf keeps of statistics what the given tables need, so that a hundred thousand
// of them fit into memory.
func shopOf(s *Statistics, tables []string) *Shop {
	shop := &Shop{
		ID: s.Storefront, Slug: s.Slug, TimeZone: s.TimeZone, Backend: s.Backend, PlacedAt: s.PlacedAt, CreatedAt: s.CreatedAt, ActiveAt: s.ActiveAt,
		Counted: s.CountedAt > 0, Bytes: s.Bytes, Requests: s.RequestsPerSecond, Writes: s.WritesPerSecond, P95: s.P95,
	}
	for name, t := range s.Tables {
		shop.Rows += t.Rows
		if slices.Contains(tables, name) {
			if shop.Tables == nil {
				shop.Tables = map[string]int64{}
			}
			shop.Tables[name] = t.Rows
		}
	}
	return shop
}

// measure is a storefront's value of a measure, as of now.
func (s *Shop) measure(name string, now time.Time) float64 {
	switch name {
	case measureRows:
		return float64(s.Rows)
	case measureBytes:
		return float64(s.Bytes)
	case measureAsked:
		return s.Requests
	case measureWrites:
		return s.Writes
	case measureP95:
		return float64(s.P95)
	case measureShops:
		return 1
	case measureIdle:
		return now.Sub(time.UnixMicro(max(s.ActiveAt, s.CreatedAt))).Seconds()
	}
	return float64(s.Tables[name])
}

// counted says whether a measure is known only once rows were counted.
func counted(measure string) bool {
	return !slices.Contains([]string{measureIdle, measureAsked, measureWrites, measureP95, measureShops}, measure)
}

// fleet reads all storefronts, and the control database's time.
func (s *Service) fleet(ctx context.Context, tables []string) (fleet []*Shop, now time.Time, err error) {
	for after, more := "", true; more; {
		var page []*Shop
		err := s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
			page, now = nil, time.UnixMicro(tx.Now())
			found, err := readStatistics(tx, after, fleetPage)
			if err != nil || len(found) == 0 {
				return err
			}
			moving, err := readMoving(tx, after, string(found[len(found)-1].Storefront))
			for _, one := range found {
				shop := shopOf(one, tables)
				if shop.Going, shop.Moving = moving[shop.ID]; shop.Going == shop.Backend {
					shop.Going = "" // it is there
				}
				page = append(page, shop)
			}
			return err
		})
		if err != nil {
			return nil, now, err
		}
		fleet = append(fleet, page...)
		if more = len(page) == fleetPage; more {
			after = string(page[len(page)-1].ID)
		}
	}
	return fleet, now, nil
}

// readMoving finds the storefronts after one and up to another that are being moved, or
// will be by a plan, and to where; "": it stays.
func readMoving(tx control.Tx, after, through string) (map[backends.StorefrontID]string, error) {
	var found []struct {
		Storefront string `db:"storefront_id"`
		Target     string `db:"target"`
	}
	err := tx.Select(&found, `SELECT storefront_id, target FROM plan_moves WHERE state IN ('waiting', 'moving') AND storefront_id > $1 AND storefront_id <= $2
		UNION ALL SELECT storefront_id, CASE WHEN phase = 'rolling_back' OR options LIKE '%"mode":"drill"%' THEN source_backend
			WHEN phase = 'cancelling' OR options LIKE '%"mode":"rehearsal"%' THEN '' ELSE target_backend END
		FROM moves WHERE ended_at IS NULL AND storefront_id > $1 AND storefront_id <= $2`, after, through)
	moving := map[backends.StorefrontID]string{}
	for _, m := range found { // what goes on is more than what is planned
		moving[backends.StorefrontID(m.Storefront)] = m.Target
	}
	return moving, err
}
