package products

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/tenanttest"
	"smartseller/platform/crypto"
	"smartseller/platform/page"
)

func add(t *testing.T, store *tenanttest.Store, shop backends.StorefrontID, added ...Product) {
	t.Helper()
	require.NoError(t, store.Update(context.Background(), shop, func(_ context.Context, tx backends.Tx) error { return Insert(tx, added) }))
}

// TestPagesEndAtTheirVariants: a page takes bounded memory, and none of its products
// lacks a variant.
func TestPagesEndAtTheirVariants(t *testing.T) {
	t.Parallel()
	store := tenanttest.SQLite(t, Tables()...)
	shop := store.Storefront(t)
	added := []Product{shirt("a", 2), shirt("b", 0), shirt("c", 3), shirt("d", 1)}
	add(t, store, shop, added...)
	for _, c := range []struct{ most, whole int }{{6, 4}, {5, 3}, {4, 2}, {3, 2}, {2, 2}, {1, -1}} {
		t.Run(fmt.Sprintf("%d variants", c.most), func(t *testing.T) {
			found := slices.Clone(added)
			require.NoError(t, store.View(context.Background(), shop, func(_ context.Context, tx backends.Tx) error {
				for i := range found {
					found[i].Variants = nil
				}
				whole, err := addVariants(tx, found, c.most)
				if c.whole < 0 {
					require.ErrorContains(t, err, "more than 1 variants", "a page must get on")
					return nil
				}
				require.Equal(t, c.whole, whole)
				return err
			}))
			for i := range c.whole {
				require.Len(t, found[i].Variants, len(added[i].Variants))
				for n, v := range found[i].Variants {
					require.Equal(t, added[i].Variants[n].ID, v.ID)
				}
			}
		})
	}
}

// TestListShowsWhatIsPublished, page by page, each product once and in the order of handles.
func TestListShowsWhatIsPublished(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	store := tenanttest.SQLite(t, Tables()...)
	shop, other := store.Storefront(t), store.Storefront(t)
	keys, err := crypto.New(make([]byte, crypto.MasterKeySize))
	require.NoError(t, err)
	s := NewService(store, keys)
	var shown []string
	for n := range 7 {
		n = (n + 3) % 7 // not the order in which they were added
		p := shirt(fmt.Sprintf("shirt-%d", n), n)
		p.Published = n%3 != 1
		if p.Published {
			shown = append(shown, p.Handle)
		}
		add(t, store, shop, p)
	}
	var read []string
	for cursor := ""; ; {
		found, next, err := s.List(ctx, shop, cursor, 2)
		require.NoError(t, err)
		for _, p := range found {
			read = append(read, p.Handle)
			require.Equal(t, fmt.Sprintf("shirt-%d", len(p.Variants)), p.Handle)
			require.Equal(t, Words{"https://example.com/a.jpg?x=1&y=2"}, p.Images)
		}
		if next == "" {
			break
		}
		cursor = next
		_, _, err = s.List(ctx, other, cursor, 2)
		require.ErrorIs(t, err, page.ErrCursor, "another storefront's cursor")
	}
	slices.Sort(shown)
	require.Equal(t, shown, read)

	p, err := s.Find(ctx, shop, "shirt-2")
	require.NoError(t, err)
	require.Equal(t, []bool{false, true}, []bool{p.Variants[0].Has(1), p.Variants[1].Has(1)})
	for _, missing := range []struct {
		shop   backends.StorefrontID
		handle string
	}{{shop, "shirt-1"}, {shop, "nothing"}, {other, "shirt-2"}} {
		_, err = s.Find(ctx, missing.shop, missing.handle)
		require.ErrorIs(t, err, ErrNotFound)
	}
}
