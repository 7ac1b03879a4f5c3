package planning

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"smartseller/backends"
)

// syntheticStart is when simulations of made-up fleets begin, so that the same seed
// always foretells the same: a Monday.
var syntheticStart = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

const syntheticShared = 8 // shared backends; the first one has twice as many storefronts as each other

var syntheticZones = []string{"Europe/Berlin", "America/New_York", "America/Los_Angeles", "Asia/Tokyo", "Australia/Sydney"}

// syntheticWords is what a policy for a made-up fleet may name.
func syntheticWords() Vocabulary {
	v := Vocabulary{Tables: []string{"customers", "orders"}, Backends: map[string]backends.Kind{"dedicated-1": backends.DedicatedPostgres, "files-1": backends.SQLite}}
	for n := range syntheticShared {
		v.Backends[fmt.Sprintf("shared-%d", n+1)] = backends.SharedPostgres
	}
	return v
}

// syntheticPolicy is for a made-up fleet: the README's, with capacities for so many.
func syntheticPolicy(storefronts int) string {
	lines := []string{
		"cool_down: 7d", "hysteresis: 20%", "rules:",
		"  - {name: large, any: [customers > 50000, writes_per_second > 20], to: dedicated-postgres}",
		"  - {name: sleepy, all: [customers < 500, bytes < 64 MiB, idle > 30d], from: shared-postgres, to: sqlite}",
		"rebalance:", "  above: 80%", "  capacities:",
	}
	for n := range syntheticShared {
		lines = append(lines, fmt.Sprintf("    shared-%d: {storefronts: %d}", n+1, 1+storefronts*5/4/(syntheticShared-1)))
	}
	return strings.Join(lines, "\n")
}

// synthetic makes a fleet up: as long a tail of small storefronts, and as few large
// ones, as fleets have. The same seed makes the same one.
func synthetic(storefronts int, seed uint64) []*Shop {
	random := rand.New(rand.NewPCG(seed, uint64(storefronts)))
	fleet := make([]*Shop, storefronts)
	for i := range fleet {
		customers := int64(math.Exp(5.5 + 1.9*random.NormFloat64())) // half have more than 245, one in two hundred more than 30,000
		rows := customers * 35 / 2                                   // as the reference tenant has
		requests := float64(customers) / 2000 * random.ExpFloat64()
		active := syntheticStart
		if customers < 2000 && random.Float64() < 0.2 {
			active = active.Add(-time.Duration(random.IntN(300*24)) * time.Hour)
			requests = 0
		}
		fleet[i] = &Shop{
			ID: backends.StorefrontID(fmt.Sprintf("%08d", i)), Slug: fmt.Sprintf("shop-%d", i), TimeZone: syntheticZones[random.IntN(len(syntheticZones))],
			Backend: fmt.Sprintf("shared-%d", 1+max(0, random.IntN(syntheticShared+1)-1)), ActiveAt: active.UnixMicro(), Counted: true,
			Rows: rows, Bytes: 150 * rows, Requests: requests, Writes: requests / 5, Tables: map[string]int64{"customers": customers, "orders": 3 * customers},
		}
	}
	return fleet
}

// syntheticDays is an evening peak by the clocks of a storefront.
func syntheticDays() func(*Shop) Day {
	offsets := map[string]float64{} // hours
	for _, name := range syntheticZones {
		if zone, err := time.LoadLocation(name); err == nil {
			_, seconds := syntheticStart.In(zone).Zone()
			offsets[name] = float64(seconds) / 3600
		}
	}
	return func(shop *Shop) (day Day) {
		for hour := range day {
			day[hour] = shop.Requests * (1 + math.Cos((float64(hour)+offsets[shop.TimeZone]-20)/12*math.Pi))
		}
		return day
	}
}
