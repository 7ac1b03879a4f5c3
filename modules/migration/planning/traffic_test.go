package planning

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/control"
)

// counting counts the statements of a transaction that write.
type counting struct {
	control.Tx
	statements int
}

func (c *counting) Exec(text string, args ...any) (int64, error) {
	c.statements++
	return c.Tx.Exec(text, args...)
}

// TestTrafficIsSavedByFewStatements, however many storefronts it is of; what is of one slot of
// the week, or of one storefront in several hours, comes together.
func TestTrafficIsSavedByFewStatements(t *testing.T) {
	onEach(t, func(t *testing.T, tx control.Tx) {
		const storefronts = 50
		now := tx.Now() / hourMicros
		var hours []backends.StorefrontHour
		happened := map[backends.StorefrontHour]*backends.Traffic{}
		for n := range storefronts {
			for _, ago := range []int64{weekHours, 1, 0} {
				at := backends.StorefrontHour{Storefront: backends.StorefrontID(fmt.Sprintf("shop-%02d", n)), Hour: now - ago}
				hours = append(hours, at)
				happened[at] = &backends.Traffic{
					Requests: 10 + ago, Writes: 2, Latency: [12]int64{3: 10 + ago}, At: time.UnixMicro(at.Hour * hourMicros),
					Tables: map[string]backends.Changes{"a": {Added: 1, Written: 2}, "b": {Added: -ago, Written: 1}, "c": {Written: 1}},
				}
			}
		}
		counted := &counting{Tx: tx}
		for range 2 {
			require.NoError(t, saveTraffic(counted, hours, happened))
		}
		require.LessOrEqual(t, counted.statements, 2*4, "hours, tables, activity, of a hundred rows at most")

		type row struct {
			A int64 `db:"a"`
			B int64 `db:"b"`
			C int64 `db:"c"`
			N int64 `db:"n"`
		}
		for query, want := range map[string]row{
			`SELECT min(requests) AS a, max(ms_8) AS b, min(hour) AS c, count(*) AS n FROM storefront_hours`:                              {20, 22, now - 1, 2 * storefronts},
			`SELECT min(row_count) AS a, max(row_count) AS b, max(row_bytes) AS c, count(*) AS n FROM storefront_tables`:                  {-2 * (weekHours + 1), 6, 0, 2 * storefronts},
			`SELECT min(changed) AS a, max(changed) AS b, min(active_at) AS c, count(*) AS n FROM storefront_activity WHERE tried_at = 0`: {24, 24, now * hourMicros, storefronts},
		} {
			var got row
			require.NoError(t, tx.Get(&got, query))
			require.Equal(t, want, got, query)
		}
	})
}
