package app

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"smartseller/backends"
	"smartseller/backends/tenanttest"
	"smartseller/platform/ids"
)

// TestRowsAreTheSameEverywhere puts random rows of every table into a place of
// every kind: what comes back, its digests, the server's own sums and the order of
// the keys are the same as those of the rows that went in. Then it purges them.
func TestRowsAreTheSameEverywhere(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	catalog, err := NewCatalog()
	require.NoError(t, err)
	rowsOf := anyRows(t, catalog)
	p := backends.Place{Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
	token := backends.Token{Move: ids.New(), Gen: 1}
	var stores []backends.Store
	for _, b := range everyKind(t, t.TempDir(), newShared(t)) {
		require.NoError(t, b.Create(ctx, p))
		store, err := b.Open(ctx, p)
		require.NoError(t, err)
		require.NoError(t, store.Install(ctx, token, 1))
		stores = append(stores, store)
		t.Cleanup(func() {
			require.NoError(t, store.Close())
			require.NoError(t, b.Destroy(ctx, p), "nothing is left in %s", b.Kind())
		})
	}
	var there []backends.Key // at least the keys of the rows that are in a place
	rapid.Check(t, func(t *rapid.T) {
		batch := backends.Batch{Rows: map[backends.Key]backends.Row{}}
		want := map[*backends.Table][]backends.Row{}
		for _, table := range catalog.Moving() {
			want[table] = rowsOf[table].Draw(t, table.Name)
			for _, row := range want[table] {
				k := backends.Key{Table: table.Name, ID: row.Key()}
				batch.Keys, batch.Rows[k] = append(batch.Keys, k), row
			}
			slices.SortFunc(want[table], func(a, b backends.Row) int { return strings.Compare(a.Key(), b.Key()) })
		}
		fresh := batch.Keys
		there = slices.Concat(there, fresh)
		batch.Keys = there
		sums := make([]map[*backends.Table][]int64, len(stores))
		for i, store := range stores {
			require.NoError(t, store.Apply(ctx, token, batch))
			sums[i] = requireRows(t, store, want)
			require.Equal(t, sums[0], sums[i])
		}
		there = fresh
	})
	for _, store := range stores {
		for n := int64(1); n > 0; {
			n, err = store.Purge(ctx, token, 7)
			require.NoError(t, err)
		}
	}
}

// requireRows holds every table of a place to the rows that it should have, and
// returns what the server sums up itself.
func requireRows(t *rapid.T, store backends.Store, want map[*backends.Table][]backends.Row) map[*backends.Table][]int64 {
	sums := map[*backends.Table][]int64{}
	require.NoError(t, store.Read(context.Background(), func(r backends.Reader) error {
		for table, rows := range want {
			got, _, err := r.Scan(table, "", "", len(rows)+1)
			require.NoError(t, err)
			require.Len(t, got, len(rows), table.Name)
			for i := range rows {
				require.Equal(t, rowDigest(t, table, rows[i]), rowDigest(t, table, got[i]), "%s: %#v came back as %#v", table.Name, rows[i], got[i])
			}
			sums[table], err = r.Sums(table)
			require.NoError(t, err)
			require.EqualValues(t, len(rows), sums[table][0], table.Name)
		}
		return nil
	}))
	return sums
}

func rowDigest(t *rapid.T, table *backends.Table, row backends.Row) backends.Digest {
	d, _, err := backends.DigestOf(table, row, nil)
	require.NoError(t, err)
	return d
}

// What engines, drivers and clocks like to get wrong.
var (
	oddTexts = []string{
		"", " ", "e\u0301", "\u00e9", "\u1e9e ss", "\U0001f6d2", "\U0010ffff", "\u202eabc", "\ufeffbom", "'; --", `\x41`, "$1 ?1 %s", "\r\n\t",
		`{"a":[1,2.50,{"b":"\u0000\"'"}],"c":null}`, "NULL", "0x41", "1e999", strings.Repeat("wide \u00e9 ", 3000), noise(9000),
	}
	oddNumbers = []int64{
		0, -1, math.MaxInt64, math.MinInt64, math.MaxInt32 + 1, 1 << 53, 1<<53 + 1,
		time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC).UnixMicro(), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC).UnixMicro(),
		time.Date(2024, 2, 29, 12, 0, 0, 123456000, time.UTC).UnixMicro(),
	}
)

// noise is text that no engine can make smaller.
func noise(bytes int) string {
	source := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, bytes)
	for i := range text {
		text[i] = byte('!' + source.IntN(90))
	}
	return string(text)
}

// idSize bounds the ids, which the program itself makes.
const idSize = 100

// anyRows makes, for every table, up to three random rows that its constraints allow.
func anyRows(t *testing.T, catalog *backends.Catalog) map[*backends.Table]*rapid.Generator[[]backends.Row] {
	t.Helper()
	text := rapid.OneOf(rapid.SampledFrom(oddTexts), rapid.StringOf(rapid.Rune().Filter(func(r rune) bool { return r != 0 })))
	number := rapid.OneOf(rapid.SampledFrom(oddNumbers), rapid.Int64())
	checks := tenanttest.ReadChecks(t)
	out := map[*backends.Table]*rapid.Generator[[]backends.Row]{}
	for _, table := range catalog.Moving() {
		unique := map[string]bool{"id": true}
		for _, u := range table.Uniques {
			for _, column := range u.Columns {
				unique[column] = true
			}
		}
		value := func(t *rapid.T, c backends.Column, n int) any {
			if c.Null && rapid.Bool().Draw(t, c.Name+" is NULL") {
				return nil
			}
			if of := checks.Of(table, c.Name); of != nil {
				return of(number.Draw(t, c.Name))
			}
			switch c.Type {
			case backends.Integer:
				v := number.Draw(t, c.Name)
				if unique[c.Name] {
					v = v&^3 | int64(n)
				}
				return v
			case backends.Bytes:
				v := rapid.SliceOf(rapid.Byte()).Draw(t, c.Name)
				if unique[c.Name] || v == nil {
					v = append(v, byte(n))
				}
				return v
			default:
				v := text.Draw(t, c.Name)
				size := checks.Size(table, c.Name)
				if size == 0 && (c.Name == "id" || strings.HasSuffix(c.Name, "_id")) {
					size = idSize
				}
				if size > 0 && len(v) >= size {
					v = strings.ToValidUTF8(v[:size-1], "")
				}
				if unique[c.Name] {
					v += strconv.Itoa(n)
				}
				return v
			}
		}
		out[table] = rapid.Custom(func(t *rapid.T) (rows []backends.Row) {
			for n := range rapid.IntRange(0, 3).Draw(t, "rows") {
				row := backends.Row{}
				for _, c := range table.Columns {
					row = append(row, value(t, c, n))
				}
				rows = append(rows, row)
			}
			return rows
		})
	}
	return out
}
