package products

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/tenanttest"
	"smartseller/platform/ids"
)

// shirt is a product with so many variants, of which one more is there each.
func shirt(handle string, variants int) Product {
	p := Product{ID: ids.New(), Handle: handle, Title: "Shirt", Options: Words{"Size"}, Images: Words{"https://example.com/a.jpg?x=1&y=2"}, Published: true}
	for n := range int64(variants) {
		p.Variants = append(p.Variants, Variant{
			ID: ids.New(), ProductID: p.ID, Position: n + 1, Title: "S", Options: Words{"S"}, Price: 1250, Currency: "EUR", Inventory: &n,
		})
	}
	return p
}

func TestInsertWantsFreeHandles(t *testing.T) {
	t.Parallel()
	store := tenanttest.SQLite(t, Tables()...)
	shop := store.Storefront(t)
	insert := func(added ...Product) error {
		return store.Update(context.Background(), shop, func(_ context.Context, tx backends.Tx) error { return Insert(tx, added) })
	}
	require.NoError(t, insert(shirt("one", 3), shirt("two", 1)))
	var taken *backends.UniqueError
	require.ErrorAs(t, insert(shirt("three", 1), shirt("one", 1)), &taken)
	require.Equal(t, "products_handle", taken.Key)
	require.NoError(t, insert(shirt("three", MaxVariants)), "nothing was left of the try before")
	require.ErrorContains(t, insert(shirt("four", MaxVariants+1)), "2048 are the most")
}
