package planning

import (
	"maps"
	"slices"

	"smartseller/backends"
	"smartseller/platform/control"
)

// saveTraffic adds what happened at storefronts in some hours, which are in the order of
// storefronts and hours: a few statements for all of it.
func saveTraffic(tx control.Tx, hours []backends.StorefrontHour, happened map[backends.StorefrontHour]*backends.Traffic) error {
	if err := insertRows(tx, intoHours, hourRows(hours, happened), addHours); err != nil {
		return err
	}
	var tables, activities [][]any
	for i := 0; i < len(hours); {
		storefront, sum := hours[i].Storefront, backends.Traffic{}
		for ; i < len(hours) && hours[i].Storefront == storefront; i++ {
			sum.Add(*happened[hours[i]])
		}
		var changed int64
		for _, name := range slices.Sorted(maps.Keys(sum.Tables)) {
			changed += sum.Tables[name].Written
			if added := sum.Tables[name].Added; added != 0 {
				tables = append(tables, []any{string(storefront), name, added, 0})
			}
		}
		activities = append(activities, []any{string(storefront), sum.At.UnixMicro(), changed, 0, 0})
	}
	if err := insertRows(tx, `INSERT INTO storefront_tables (storefront_id, table_name, row_count, row_bytes)`, tables,
		`ON CONFLICT (storefront_id, table_name) DO UPDATE SET row_count = storefront_tables.row_count + excluded.row_count`); err != nil {
		return err
	}
	return insertRows(tx, `INSERT INTO storefront_activity (storefront_id, active_at, changed, counted_at, tried_at)`, activities,
		`ON CONFLICT (storefront_id) DO UPDATE SET changed = storefront_activity.changed + excluded.changed,
			active_at = CASE WHEN storefront_activity.active_at > excluded.active_at THEN storefront_activity.active_at ELSE excluded.active_at END`)
}

// hourRows are rows of storefront_hours, one at most of a slot: what was kept for a week, since
// it could not be reported, gives way to what came then.
func hourRows(hours []backends.StorefrontHour, happened map[backends.StorefrontHour]*backends.Traffic) (rows [][]any) {
	type slot struct {
		storefront backends.StorefrontID
		of         int64
	}
	latest := map[slot]backends.StorefrontHour{}
	for _, at := range hours {
		latest[slot{at.Storefront, at.Hour % weekHours}] = at
	}
	for _, at := range hours {
		if latest[slot{at.Storefront, at.Hour % weekHours}] != at {
			continue
		}
		t := happened[at]
		row := []any{string(at.Storefront), at.Hour % weekHours, at.Hour, t.Requests, t.Writes}
		for _, n := range t.Latency {
			row = append(row, n)
		}
		rows = append(rows, row)
	}
	return rows
}

const intoHours = `INSERT INTO storefront_hours AS old (storefront_id, slot, hour, requests, writes,
	ms_1, ms_2, ms_4, ms_8, ms_16, ms_32, ms_64, ms_128, ms_256, ms_512, ms_1024, ms_more)`

// addHours adds to this week's slot, begins it anew if it still is last week's, and
// lets a late report of last week's be.
const addHours = `ON CONFLICT (storefront_id, slot) DO UPDATE SET hour = excluded.hour,
	requests = excluded.requests + CASE WHEN old.hour = excluded.hour THEN old.requests ELSE 0 END,
	writes = excluded.writes + CASE WHEN old.hour = excluded.hour THEN old.writes ELSE 0 END,
	ms_1 = excluded.ms_1 + CASE WHEN old.hour = excluded.hour THEN old.ms_1 ELSE 0 END,
	ms_2 = excluded.ms_2 + CASE WHEN old.hour = excluded.hour THEN old.ms_2 ELSE 0 END,
	ms_4 = excluded.ms_4 + CASE WHEN old.hour = excluded.hour THEN old.ms_4 ELSE 0 END,
	ms_8 = excluded.ms_8 + CASE WHEN old.hour = excluded.hour THEN old.ms_8 ELSE 0 END,
	ms_16 = excluded.ms_16 + CASE WHEN old.hour = excluded.hour THEN old.ms_16 ELSE 0 END,
	ms_32 = excluded.ms_32 + CASE WHEN old.hour = excluded.hour THEN old.ms_32 ELSE 0 END,
	ms_64 = excluded.ms_64 + CASE WHEN old.hour = excluded.hour THEN old.ms_64 ELSE 0 END,
	ms_128 = excluded.ms_128 + CASE WHEN old.hour = excluded.hour THEN old.ms_128 ELSE 0 END,
	ms_256 = excluded.ms_256 + CASE WHEN old.hour = excluded.hour THEN old.ms_256 ELSE 0 END,
	ms_512 = excluded.ms_512 + CASE WHEN old.hour = excluded.hour THEN old.ms_512 ELSE 0 END,
	ms_1024 = excluded.ms_1024 + CASE WHEN old.hour = excluded.hour THEN old.ms_1024 ELSE 0 END,
	ms_more = excluded.ms_more + CASE WHEN old.hour = excluded.hour THEN old.ms_more ELSE 0 END
	WHERE old.hour <= excluded.hour`
