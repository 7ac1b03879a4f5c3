package orders

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/tenanttest"
	"smartseller/modules/customers"
	"smartseller/modules/storefronts/products"
	"smartseller/platform/ids"
)

func imported(external string, number int64) Order {
	return Order{
		ID: ids.New(), ExternalID: &external, Number: number, Currency: "EUR", Total: 100, ShippingAddress: Address{City: "Wien", Name: "Zoë <&>"},
		Lines: []Line{{ID: ids.New(), Position: 1, Title: "Shirt", Quantity: 1, Price: 100}},
	}
}

func TestInsertKeepsNumbersAndExternalIDsUnique(t *testing.T) {
	t.Parallel()
	store := tenanttest.SQLite(t, slices.Concat(customers.Tables(), products.Tables(), Tables())...)
	shop := store.Storefront(t)
	insert := func(added ...Order) error {
		return store.Update(context.Background(), shop, func(_ context.Context, tx backends.Tx) error { return Insert(tx, added) })
	}
	require.NoError(t, insert(imported("a", 1001), imported("b", 1002)))
	var taken *backends.UniqueError
	require.ErrorAs(t, insert(imported("c", 1002)), &taken)
	require.Equal(t, "orders_number", taken.Key)
	require.ErrorAs(t, insert(imported("a", 1003)), &taken)
	require.Equal(t, "orders_external", taken.Key)
	require.NoError(t, insert(imported("d", 900)), "a lower number than before")
	require.NoError(t, insert())
}
