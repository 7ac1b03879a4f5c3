package planning

import (
	"slices"
	"sync"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
)

// Day is what is asked of a storefront in each hour of the day, UTC.
type Day [24]float64

// daysFresh is for how long the days of storefronts count as they were read: plans look at
// those of all that stand by every second.
const daysFresh = time.Minute

// recentDays remembers the days of storefronts for a short while. Safe for concurrent use.
type recentDays struct {
	mu    sync.Mutex
	since time.Time
	known map[backends.StorefrontID]Day
}

// of finds the days of storefronts, and reads those that are not known yet.
func (r *recentDays) of(tx control.Tx, now time.Time, storefronts []backends.StorefrontID) (map[backends.StorefrontID]Day, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.since) || !now.Before(r.since.Add(daysFresh)) {
		r.since, r.known = now, map[backends.StorefrontID]Day{}
	}
	unknown := slices.DeleteFunc(slices.Clone(storefronts), func(id backends.StorefrontID) bool {
		_, known := r.known[id]
		return known
	})
	read := map[backends.StorefrontID]Day{}
	if err := readDays(tx, unknown, read); err != nil {
		return nil, err
	}
	for _, id := range unknown { // also those that nobody has asked anything
		r.known[id] = read[id]
	}
	out := make(map[backends.StorefrontID]Day, len(storefronts))
	for _, id := range storefronts {
		out[id] = r.known[id]
	}
	return out, nil
}

// readDays reads what was asked of storefronts in each hour of the day in the last week: the
// mean, since there was not each of them equally often.
func readDays(tx control.Tx, of []backends.StorefrontID, into map[backends.StorefrontID]Day) error {
	if len(of) == 0 {
		return nil
	}
	var rows []struct {
		Storefront backends.StorefrontID `db:"storefront_id"`
		Hour       int64                 `db:"hour"`
		Requests   int64                 `db:"requests"`
		First      int64                 `db:"first"`
	}
	now := tx.Now() / hourMicros // has only begun, and is left out
	marks, args := control.List([]any{now - weekHours, now}, of)
	err := tx.Select(&rows, `SELECT storefront_id, hour % 24 AS hour, CAST(sum(requests) AS BIGINT) AS requests, min(hour) AS first FROM storefront_hours
		WHERE hour > $1 AND hour < $2 AND storefront_id IN (`+marks+`) GROUP BY storefront_id, hour % 24`, args...)
	since := map[backends.StorefrontID]int64{} // the first hour in which anybody came: before, there may have been no storefront
	for _, r := range rows {
		if first, known := since[r.Storefront]; !known || r.First < first {
			since[r.Storefront] = r.First
		}
	}
	for _, r := range rows {
		day := into[r.Storefront]
		day[r.Hour] = float64(r.Requests) / float64(occurrences(r.Hour, since[r.Storefront], now))
		into[r.Storefront] = day
	}
	return err
}

// occurrences is how often an hour of the day comes from one hour since 1970 on and before
// another.
func occurrences(hour, from, until int64) int64 {
	before := func(end int64) int64 { return (end + 23 - hour) / 24 }
	return before(until) - before(from)
}
