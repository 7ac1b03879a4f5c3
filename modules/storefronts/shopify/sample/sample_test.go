package sample_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"iter"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/modules/customers"
	"smartseller/modules/storefronts/shopify"
	"smartseller/modules/storefronts/shopify/sample"
)

var update = flag.Bool("update", false, "write the committed files anew")

// TestCommittedFiles: the files in this folder are what the generator makes.
func TestCommittedFiles(t *testing.T) {
	t.Parallel()
	var c, p, o bytes.Buffer
	e, err := sample.Small.Write(&c, &p, &o)
	require.NoError(t, err)
	expected, err := json.MarshalIndent(e, "", "  ")
	require.NoError(t, err)
	for name, want := range map[string][]byte{"customers.csv": c.Bytes(), "products.csv": p.Bytes(), "orders.csv": o.Bytes(), "expected.json": append(expected, '\n')} {
		if *update {
			require.NoError(t, os.WriteFile(name, want, 0o644))
			continue
		}
		got, err := sample.Files.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "%s differs: go test ./modules/storefronts/shopify/sample -update", name)
	}
}

// TestEveryQuirk: the small shop has what the importer must cope with.
func TestEveryQuirk(t *testing.T) {
	t.Parallel()
	var c, p, o bytes.Buffer
	e, err := sample.Small.Write(&c, &p, &o)
	require.NoError(t, err)
	require.Equal(t, 300, e.Customers.Rows)
	require.InDelta(t, 40, e.Products.Rows, 10)
	require.Equal(t, 500, e.Orders.Orders)
	for _, n := range []int{e.Customers.Blank, e.Customers.Duplicate, e.Customers.Invalid, e.Orders.Guests, e.Orders.Refunded, e.Orders.Cancelled} {
		require.Positive(t, n)
	}
	require.Greater(t, e.Products.Variants, e.Products.Products)
	require.Greater(t, e.Products.Rows, e.Products.Variants)
	require.True(t, bytes.HasPrefix(c.Bytes(), []byte("\ufeff")))
	require.Contains(t, c.String(), "'7000000000000,")
	require.Contains(t, c.String(), "'t Hooft")
	require.Contains(t, c.String(), "twice,\nthen")
	require.Contains(t, p.String(), "\r\n")
	require.Contains(t, o.String(), "-0500")
}

// TestRoundTrip reads what was written, for shops of several seeds and sizes, and
// finds what the generator says that they hold.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, shop := range []sample.Shop{sample.Small, {Seed: 2, Customers: 1, Products: 1, Orders: 1}, {Seed: 3, Customers: 2500, Products: 300, Orders: 4000}} {
		var c, p, o bytes.Buffer
		want, err := shop.Write(&c, &p, &o)
		require.NoError(t, err)
		got, keys := sample.Expected{}, map[string]bool{}
		each(t, shopify.Customers("customers.csv", &c), func(one *shopify.Customer) {
			got.Customers.Rows++
			key, err := customers.EmailKey(one.Email)
			switch {
			case one.Email == "":
				got.Customers.Blank++
			case err != nil:
				got.Customers.Invalid++
			case keys[key]:
				got.Customers.Duplicate++
			default:
				got.Customers.Importable++
				keys[key] = true
			}
		})
		got.Products.Rows = want.Products.Rows // pictures are not read
		names := map[string]int64{}
		each(t, shopify.Products("products.csv", &p, sample.Currency), func(one *shopify.Product) {
			got.Products.Products++
			got.Products.Variants += len(one.Variants)
			for _, v := range one.Variants {
				name := one.Title
				if v.Title() != "" {
					name += " - " + v.Title()
				}
				require.NotContains(t, names, name)
				names[name] = v.Price
			}
		})
		each(t, shopify.Orders("orders.csv", &o), func(one *shopify.Order) {
			require.EqualValues(t, sample.FirstNumber+got.Orders.Orders, one.Number)
			got.Orders.Orders++
			got.Orders.Lines += len(one.Lines)
			got.Orders.TotalCents += one.Total
			key, err := customers.EmailKey(one.Email)
			if err != nil || !keys[key] {
				got.Orders.Guests++
			}
			if one.Refunded > 0 {
				got.Orders.Refunded++
			}
			if one.CancelledAt != nil {
				got.Orders.Cancelled++
			}
			for _, l := range one.Lines {
				require.Equal(t, names[l.Title], l.Price, l.Title)
			}
			require.Equal(t, one.Subtotal-one.Discount+one.Shipping, one.Total)
		})
		require.Equal(t, want, got)
	}
}

func each[T any](t *testing.T, found iter.Seq2[*T, error], do func(*T)) {
	t.Helper()
	for one, err := range found {
		require.NoError(t, err)
		do(one)
	}
}
