// Package planning decides which storefronts should move, and moves many of them
// over days: statistics, the policy that proposes moves, plans in waves, the
// scheduler that carries them out, and the simulation that foretells it.
//
// It knows tables by their names alone, as the mover does: "customers" is a name
// that a policy writes.
package planning

import (
	"smartseller/backends"
	"smartseller/platform/fault"
)

// Statistics are what is known of one storefront. Rates are the busiest hour's of
// the last day; times are microseconds UTC.
type Statistics struct {
	Storefront        backends.StorefrontID `json:"storefront_id"`
	Slug              string                `json:"slug"`
	TimeZone          string                `json:"time_zone"`
	Backend           string                `json:"backend"`
	PlacedAt          int64                 `json:"placed_at" doc:"When it came to this backend, microseconds UTC"`
	CreatedAt         int64                 `json:"created_at" doc:"Microseconds UTC"`
	Tables            map[string]Table      `json:"tables"`
	Bytes             int64                 `json:"bytes" doc:"Of the values of all rows; indexes and free space come on top"`
	RequestsPerSecond float64               `json:"requests_per_second" doc:"Transactions, in the busiest hour of the last day"`
	WritesPerSecond   float64               `json:"writes_per_second" doc:"Transactions that changed something, in the busiest hour of the last day"`
	P95               int64                 `json:"p95_ms" doc:"Milliseconds that 95 % of the last day's transactions stayed under, estimated between powers of two"`
	ActiveAt          int64                 `json:"active_at" doc:"Of the last request, microseconds UTC; 0: none yet"`
	CountedAt         int64                 `json:"counted_at" doc:"When rows were counted, microseconds UTC; kept by what is written since; 0: not yet"`
}

// Table is how much of a table a storefront has.
type Table struct {
	Rows  int64 `json:"rows"`
	Bytes int64 `json:"bytes" doc:"Of the values"`
}

// ErrNoStatistics says that a storefront is not known.
var ErrNoStatistics = fault.New(fault.NotFound, "storefront_not_found", "There is no such storefront; list the storefronts to see their slugs.")
