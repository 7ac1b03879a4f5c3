package shopify_test

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	accounts "smartseller/modules/customers"
	"smartseller/modules/storefronts/shopify"
	"smartseller/modules/storefronts/shopify/exporttest"
)

// TestSharedExport reads a real export, where one is at hand, and finds what its
// expected.json says.
func TestSharedExport(t *testing.T) {
	t.Parallel()
	folder := exporttest.Folder(t)
	var want struct {
		Customers struct {
			Rows       int `json:"rows"`
			Importable int `json:"importable"`
			Blank      int `json:"blank_email"`
			Duplicate  int `json:"duplicate_email"`
			Invalid    int `json:"invalid_email"`
		} `json:"customers"`
		Orders struct {
			Orders    int   `json:"orders"`
			Lines     int   `json:"line_items"`
			Guests    int   `json:"guest_orders"`
			Cents     int64 `json:"total_cents"`
			Refunded  int   `json:"refunded_orders"`
			Cancelled int   `json:"cancelled_orders"`
		} `json:"orders"`
		Variants int `json:"product_variants"` // of the product file that the orders are about
	}
	got := want
	text, err := os.ReadFile(filepath.Join(folder, "expected.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &want))
	open := func(name string) io.Reader {
		f, err := os.Open(filepath.Join(folder, name))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, f.Close()) })
		return f
	}

	known := map[string]bool{}
	buyers, err := all(shopify.Customers("customers.csv", open("customers.csv")))
	require.NoError(t, err)
	for _, c := range buyers {
		got.Customers.Rows++
		key, err := accounts.EmailKey(c.Email)
		switch {
		case c.Email == "":
			got.Customers.Blank++
		case err != nil:
			got.Customers.Invalid++
		case known[key]:
			got.Customers.Duplicate++
		default:
			got.Customers.Importable++
			known[key] = true
		}
	}
	sold, err := all(shopify.Orders("orders.csv", open("orders.csv")))
	require.NoError(t, err)
	for _, o := range sold {
		got.Orders.Orders++
		got.Orders.Lines += len(o.Lines)
		got.Orders.Cents += o.Total
		key, err := accounts.EmailKey(o.Email)
		require.NoError(t, err)
		if !known[key] {
			got.Orders.Guests++
		}
		if o.Refunded > 0 {
			got.Orders.Refunded++
		}
		if o.CancelledAt != nil {
			got.Orders.Cancelled++
		}
	}
	for name, variants := range map[string]int{"products-jewelery.csv": want.Variants, "products-apparel.csv": 22, "products-home-and-garden.csv": 21} {
		found, err := all(shopify.Products(name, open(name), "USD"))
		require.NoError(t, err)
		require.Len(t, found, 20, name)
		n := 0
		for _, p := range found {
			n += len(p.Variants)
		}
		require.Equal(t, variants, n, name)
	}
	got.Variants = want.Variants
	require.Equal(t, want, got)
}
