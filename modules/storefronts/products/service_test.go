package products

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
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

// TestPagesEndAtTheirBytes: a page takes bounded memory, wherever its bytes are, gets on
// with a product that is too large for it, and leads to the next from any handle.
func TestPagesEndAtTheirBytes(t *testing.T) {
	t.Parallel()
	for engine, open := range map[string]func(testing.TB, ...*backends.Table) *tenanttest.Store{"SQLite": tenanttest.SQLite, "Postgres": tenanttest.Postgres} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			pagesEndAtTheirBytes(t, open(t, Tables()...))
		})
	}
}

func pagesEndAtTheirBytes(t *testing.T, store *tenanttest.Store) {
	shop := store.Storefront(t)
	longest := strings.Repeat("<", 255) // as six characters each in a cursor
	half := strings.Repeat("ü", pageBytes*6/10/2)
	added := []Product{
		shirt("a", 1), shirt("b", MaxVariants), shirt("c", MaxVariants), shirt(longest, 2), // 60 % of a page, and 24 % each
		shirt("x", 0), shirt("y", 3), shirt("z", 1),
	}
	added[0].Images, added[5].Images = Words{half}, Words{half, half}
	add(t, store, shop, added...)
	keys, err := crypto.New(make([]byte, crypto.MasterKeySize))
	require.NoError(t, err)
	s := NewService(store, keys)
	taken, err := strconv.Atoi(reflect.TypeFor[listProductsInput]().Field(1).Tag.Get("maxLength"))
	require.NoError(t, err)
	var pages [][]string
	for cursor := ""; ; {
		found, next, err := s.List(context.Background(), shop, cursor, 5)
		require.NoError(t, err)
		var handles []string
		for _, p := range found {
			handles = append(handles, p.Handle)
			at := slices.IndexFunc(added, func(a Product) bool { return a.ID == p.ID })
			require.Len(t, p.Variants, len(added[at].Variants), "none lacks a variant")
		}
		if pages = append(pages, handles); next == "" {
			break
		}
		require.LessOrEqual(t, len(next), taken)
		cursor = next
	}
	require.Equal(t, [][]string{{longest, "a", "b", "c"}, {"x", "y"}, {"z"}}, pages)
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
