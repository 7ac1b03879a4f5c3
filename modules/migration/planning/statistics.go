package planning

import (
	"database/sql"
	"errors"

	"smartseller/backends"
	"smartseller/platform/control"
)

const (
	hourMicros = int64(3600) * 1_000_000
	weekHours  = 168
)

// statisticsColumns is a storefront with what its hours sum up to. $1: the current
// hour less a day.
const statisticsColumns = `s.id, s.slug, s.time_zone, s.created_at, p.backend, p.changed_at AS placed_at,
	COALESCE(a.active_at, 0) AS active_at, COALESCE(a.counted_at, 0) AS counted_at,
	COALESCE(max(h.requests), 0) AS requests, COALESCE(max(h.writes), 0) AS writes,
	COALESCE(sum(h.ms_1), 0) AS ms_1, COALESCE(sum(h.ms_2), 0) AS ms_2, COALESCE(sum(h.ms_4), 0) AS ms_4, COALESCE(sum(h.ms_8), 0) AS ms_8,
	COALESCE(sum(h.ms_16), 0) AS ms_16, COALESCE(sum(h.ms_32), 0) AS ms_32, COALESCE(sum(h.ms_64), 0) AS ms_64, COALESCE(sum(h.ms_128), 0) AS ms_128,
	COALESCE(sum(h.ms_256), 0) AS ms_256, COALESCE(sum(h.ms_512), 0) AS ms_512, COALESCE(sum(h.ms_1024), 0) AS ms_1024, COALESCE(sum(h.ms_more), 0) AS ms_more
	FROM storefronts s JOIN placements p ON p.storefront_id = s.id
	LEFT JOIN storefront_activity a ON a.storefront_id = s.id
	LEFT JOIN storefront_hours h ON h.storefront_id = s.id AND h.hour > $1`

const statisticsGroup = ` GROUP BY s.id, s.slug, s.time_zone, s.created_at, p.backend, p.changed_at, a.active_at, a.counted_at`

type statisticsRow struct {
	ID        string `db:"id"`
	Slug      string `db:"slug"`
	TimeZone  string `db:"time_zone"`
	CreatedAt int64  `db:"created_at"`
	Backend   string `db:"backend"`
	PlacedAt  int64  `db:"placed_at"`
	ActiveAt  int64  `db:"active_at"`
	CountedAt int64  `db:"counted_at"`
	Requests  int64  `db:"requests"`
	Writes    int64  `db:"writes"`
	Ms1       int64  `db:"ms_1"`
	Ms2       int64  `db:"ms_2"`
	Ms4       int64  `db:"ms_4"`
	Ms8       int64  `db:"ms_8"`
	Ms16      int64  `db:"ms_16"`
	Ms32      int64  `db:"ms_32"`
	Ms64      int64  `db:"ms_64"`
	Ms128     int64  `db:"ms_128"`
	Ms256     int64  `db:"ms_256"`
	Ms512     int64  `db:"ms_512"`
	Ms1024    int64  `db:"ms_1024"`
	More      int64  `db:"ms_more"`
}

func (r *statisticsRow) statistics() *Statistics {
	return &Statistics{
		Storefront: backends.StorefrontID(r.ID), Slug: r.Slug, TimeZone: r.TimeZone, Backend: r.Backend, PlacedAt: r.PlacedAt,
		CreatedAt: r.CreatedAt, ActiveAt: r.ActiveAt, CountedAt: r.CountedAt, Tables: map[string]Table{},
		RequestsPerSecond: float64(r.Requests) / 3600, WritesPerSecond: float64(r.Writes) / 3600,
		P95: p95([...]int64{r.Ms1, r.Ms2, r.Ms4, r.Ms8, r.Ms16, r.Ms32, r.Ms64, r.Ms128, r.Ms256, r.Ms512, r.Ms1024, r.More}),
	}
}

// p95 is the 95th percentile, rounded up, as if the times in its bucket lay evenly between the
// bounds; what is above all of them, up to twice the last one. 0 without a request.
func p95(counts [len(backends.TrafficBounds) + 1]int64) int64 {
	var all, below, lower int64
	for _, n := range counts {
		all += n
	}
	for i, n := range counts {
		upper := 2 * lower
		if i < len(backends.TrafficBounds) {
			upper = backends.TrafficBounds[i]
		}
		if part, whole := 95*all-100*below, 100*n; n > 0 && part <= whole {
			return lower + (part*(upper-lower)+whole-1)/whole
		}
		below, lower = below+n, upper
	}
	return 0
}

// readStatistics reads what is known of up to limit storefronts, by id, after one.
func readStatistics(tx control.Tx, after string, limit int64) ([]*Statistics, error) {
	var rows []statisticsRow
	// The page is chosen before hours are summed up: otherwise each page would sum up all.
	err := tx.Select(&rows, `SELECT `+statisticsColumns+` WHERE s.id IN (SELECT storefront_id FROM placements WHERE storefront_id > $2 ORDER BY storefront_id LIMIT $3)`+
		statisticsGroup+` ORDER BY s.id`,
		tx.Now()/hourMicros-24, after, limit)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	out := make([]*Statistics, len(rows))
	for i := range rows {
		out[i] = rows[i].statistics()
	}
	return out, addTables(tx, out, after)
}

// findStatistics reads what is known of one storefront, by id or slug.
func findStatistics(tx control.Tx, ref string) (*Statistics, error) {
	var row statisticsRow
	err := tx.Get(&row, `SELECT `+statisticsColumns+` WHERE s.id = $2 OR s.slug = $2`+statisticsGroup, tx.Now()/hourMicros-24, ref)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoStatistics
	}
	if err != nil {
		return nil, err
	}
	s := row.statistics()
	var tables []tableRow
	if err := tx.Select(&tables, `SELECT storefront_id, table_name, row_count, row_bytes FROM storefront_tables WHERE storefront_id = $1`, row.ID); err != nil {
		return nil, err
	}
	for _, t := range tables {
		s.add(t)
	}
	return s, nil
}

type tableRow struct {
	Storefront string `db:"storefront_id"`
	Name       string `db:"table_name"`
	Rows       int64  `db:"row_count"`
	RowBytes   int64  `db:"row_bytes"`
}

func (s *Statistics) add(r tableRow) {
	t := Table{Rows: max(0, r.Rows), Bytes: max(0, r.Rows) * r.RowBytes}
	s.Tables[r.Name] = t
	s.Bytes += t.Bytes
}

// addTables completes a page of statistics, ordered by id.
func addTables(tx control.Tx, page []*Statistics, after string) error {
	var tables []tableRow
	err := tx.Select(&tables, `SELECT storefront_id, table_name, row_count, row_bytes FROM storefront_tables
		WHERE storefront_id > $1 AND storefront_id <= $2`, after, string(page[len(page)-1].Storefront))
	if err != nil {
		return err
	}
	byID := make(map[string]*Statistics, len(page))
	for _, s := range page {
		byID[string(s.Storefront)] = s
	}
	for _, t := range tables {
		if s := byID[t.Storefront]; s != nil {
			s.add(t)
		}
	}
	return nil
}
