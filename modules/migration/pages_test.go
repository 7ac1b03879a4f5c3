package migration

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestPagesHideNoRow: whatever there is more of at either place, each row that is at one alone is
// found, also a stray one behind many that are on their way out.
func TestPagesHideNoRow(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, target := range []string{"two", "shared"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			c := newCorruption(t, target, rand.New(rand.NewPCG(1, 2)))
			source := openRaw(t, c.w, c.x.m.Source)
			table := c.tables[0]
			_, err := source.Exec("DELETE FROM "+table.Name+" WHERE storefront_id = ? AND id >= ?", c.storefront(), c.rows[table][20].Key())
			require.NoError(t, err)
			var want []string
			for _, row := range c.rows[table][20:] {
				want = append(want, row.Key())
			}
			stray := c.row(table, corruptedRows+500)
			text, args := insertion(table, c.storefront(), stray)
			_, err = c.exec(text, args...)
			require.NoError(t, err)
			want = append(want, stray.Key())
			for _, rows := range []int{1, 2, 7, 19, 20, 21, 1000} {
				both := twoPages{want: &backends.Page{Table: table}, have: &backends.Page{Table: table}}
				var sum backends.Digest
				var got []string
				n := 0
				for after, more := "", true; more; {
					after, more, err = both.read(ctx, c.x.source, c.x.target, after, rows)
					require.NoError(t, err)
					n += both.want.Len()
					for _, k := range both.compare(&sum) {
						got = append(got, k.ID)
					}
				}
				require.Equal(t, want, got, "%d rows at a time", rows)
				require.Equal(t, 20, n, "%d rows at a time", rows)
			}
		})
	}
}
