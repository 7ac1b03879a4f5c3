package orders

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/tenanttest"
	"smartseller/modules/customers"
	"smartseller/modules/storefronts/analytics"
	"smartseller/modules/storefronts/products"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
	"smartseller/platform/page"
	"smartseller/platform/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var (
	readStock  = backends.Read(`SELECT inventory FROM product_variants WHERE storefront_id = $1 AND id = $2`)
	readEvents = backends.Read(`SELECT subject FROM analytics_events WHERE storefront_id = $1 AND event = 'order_placed' ORDER BY id`)
	readData   = backends.Read(`SELECT data FROM analytics_events WHERE storefront_id = $1 AND event = 'order_placed'`)
)

// bench is a storefront with two customers and something to sell.
type bench struct {
	store    *tenanttest.Store
	shop     backends.StorefrontID
	orders   *Service
	accounts *customers.Service
	ada, eve string
	offered  map[string]products.Variant // by title
}

// everywhere runs a test on a store of each engine.
func everywhere(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB, ...*backends.Table) *tenanttest.Store{
		"sqlite": tenanttest.SQLite, "postgres": tenanttest.Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := open(t, slices.Concat(customers.Tables(), products.Tables(), analytics.Tables(), Tables())...)
			test(t, newBench(t, store))
		})
	}
}

func newBench(t *testing.T, store *tenanttest.Store) *bench {
	t.Helper()
	keys, err := crypto.New(make([]byte, crypto.MasterKeySize))
	require.NoError(t, err)
	b := &bench{
		store: store, shop: store.Storefront(t), orders: NewService(store, keys), accounts: customers.NewService(store, keys),
		ada: ids.New(), eve: ids.New(), offered: map[string]products.Variant{},
	}
	shirt := products.Product{ID: ids.New(), Handle: "shirt", Title: "Shirt", Vendor: "Weaver", Published: true}
	hidden := products.Product{ID: ids.New(), Handle: "hidden", Title: "Hidden", Published: false}
	offer := func(p *products.Product, title string, price, inventory int64, change func(*products.Variant)) {
		v := products.Variant{
			ID: ids.New(), Position: int64(len(p.Variants)) + 1, Title: title, SKU: "sku-" + title, Price: price, Currency: "EUR", RequiresShipping: true,
		}
		if inventory >= 0 {
			v.Inventory = &inventory
		}
		if change != nil {
			change(&v)
		}
		b.offered[title] = v
		p.Variants = append(p.Variants, v)
	}
	offer(&shirt, "S", 1999, 10, nil)
	offer(&shirt, "M", 2099, 10, nil)
	offer(&shirt, "L", 2199, 0, func(v *products.Variant) { v.Backorder = true })
	offer(&shirt, "voucher", 500, -1, func(v *products.Variant) { v.RequiresShipping = false })
	offer(&shirt, "dollar", 500, -1, func(v *products.Variant) { v.Currency = "USD" })
	offer(&shirt, "priceless", 1<<62, -1, nil)
	offer(&hidden, "hidden", 1, 10, nil)
	b.update(t, func(tx backends.Tx) error {
		for id, name := range map[string]string{b.ada: "ada", b.eve: "eve"} {
			if err := customers.Insert(tx, &customers.Customer{ID: id, Email: name + "@Example.com", EmailKey: name + "@example.com"}); err != nil {
				return err
			}
		}
		return products.Insert(tx, []products.Product{shirt, hidden})
	})
	return b
}

func (b *bench) update(t *testing.T, fn func(tx backends.Tx) error) {
	t.Helper()
	require.NoError(t, b.store.Update(context.Background(), b.shop, func(_ context.Context, tx backends.Tx) error { return fn(tx) }))
}

func (b *bench) lives(t *testing.T, customer, city string) *customers.Address {
	t.Helper()
	a, err := b.accounts.AddAddress(context.Background(), b.shop, customer, "", customers.AddressFields{
		FirstName: "Zoë", LastName: "<&>", Line1: "1 Main St", City: city, Country: "DE",
	})
	require.NoError(t, err)
	return a
}

// wants is an order of quantities of variants, by title.
func (b *bench) wants(pairs ...any) (w Wanted) {
	for i := 0; i < len(pairs); i += 2 {
		w.Lines = append(w.Lines, WantedLine{VariantID: b.offered[pairs[i].(string)].ID, Quantity: int64(pairs[i+1].(int))})
	}
	return w
}

func (b *bench) place(customer, key string, w Wanted) (*Order, error) {
	return b.orders.Place(context.Background(), b.shop, customer, key, w)
}

func (b *bench) stock(t *testing.T, title string) (left *int64) {
	t.Helper()
	b.update(t, func(tx backends.Tx) error { return tx.Get(&left, readStock, b.offered[title].ID) })
	return left
}

func (b *bench) events(t *testing.T) (subjects []string) {
	t.Helper()
	b.update(t, func(tx backends.Tx) error { return tx.Select(&subjects, readEvents) })
	return subjects
}

func TestPlace(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bench) {
		home, office := b.lives(t, b.ada, "Berlin"), b.lives(t, b.ada, "Bonn")
		w := b.wants("M", 2, "S", 1, "L", 3, "voucher", 4)
		w.BillingAddressID, w.Note = office.ID, "Ring twice\nplease"
		o, err := b.place(b.ada, "", w)
		require.NoError(t, err)
		require.EqualValues(t, 1001, o.Number)
		require.EqualValues(t, 2*2099+1999+3*2199+4*500, o.Total)
		require.Equal(t, o.Total, o.Subtotal)
		require.Equal(t, Open, o.Status())
		require.Equal(t, "Shirt - M", o.Lines[0].Title)
		require.Equal(t, "Weaver", o.Lines[0].Vendor)
		require.Equal(t, "Zoë <&>", o.ShippingAddress.Name)
		require.Equal(t, []string{"Berlin", "Bonn"}, []string{o.ShippingAddress.City, o.BillingAddress.City})
		for title, left := range map[string]int64{"S": 9, "M": 8, "L": -3} {
			require.Equal(t, left, *b.stock(t, title), title)
		}
		require.Nil(t, b.stock(t, "voucher"), "not counted")
		require.Equal(t, []string{o.ID}, b.events(t))
		b.update(t, func(tx backends.Tx) error {
			var data string
			err := tx.Get(&data, readData)
			require.JSONEq(t, fmt.Sprintf(`{"currency":"EUR","lines":4,"total":%d}`, o.Total), data)
			return err
		})

		// The order keeps its copies.
		require.NoError(t, b.accounts.DeleteAddress(context.Background(), b.shop, b.ada, home.ID))
		read, err := b.orders.Find(context.Background(), b.shop, b.ada, o.ID)
		require.NoError(t, err)
		require.Equal(t, "Berlin", read.ShippingAddress.City)
		require.Equal(t, o.Lines, read.Lines)
		require.Equal(t, []any{o.Number, o.Total, o.PlacedAt, o.Email, o.Note}, []any{read.Number, read.Total, read.PlacedAt, read.Email, read.Note})
		second, err := b.place(b.ada, "", b.wants("S", 9))
		require.NoError(t, err)
		require.EqualValues(t, 1002, second.Number)
		require.Equal(t, "Bonn", second.BillingAddress.City, "the default, and to the shipping address")
		b.update(t, func(tx backends.Tx) error { return Insert(tx, []Order{imported("x", 5000)}) })
		third, err := b.place(b.eve, "", b.wants("voucher", 1))
		require.NoError(t, err, "nothing must be sent: no address is needed")
		require.EqualValues(t, 5001, third.Number, "above those that were imported")
		require.Zero(t, third.ShippingAddress)
	})
}

func TestPlaceRefusesAndChangesNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bench) {
		mine := b.lives(t, b.ada, "Berlin")
		with := func(w Wanted, change func(*Wanted)) Wanted {
			change(&w)
			return w
		}
		many := Wanted{}
		for range MaxWanted + 1 {
			many.Lines = append(many.Lines, WantedLine{VariantID: ids.New(), Quantity: 1})
		}
		for name, c := range map[string]struct {
			customer      string
			wanted        Wanted
			kind          fault.Kind
			pointer, code string
		}{
			"no lines":           {b.ada, Wanted{}, fault.Invalid, "/lines", "invalid_count"},
			"many lines":         {b.ada, many, fault.Invalid, "/lines", "invalid_count"},
			"no quantity":        {b.ada, b.wants("S", 1, "M", 0), fault.Invalid, "/lines/1/quantity", "invalid_quantity"},
			"a great quantity":   {b.ada, b.wants("S", MaxQuantity+1), fault.Invalid, "/lines/0/quantity", "invalid_quantity"},
			"the same twice":     {b.ada, b.wants("S", 1, "S", 1), fault.Invalid, "/lines/1/variant_id", "duplicate"},
			"unknown variant":    {b.ada, b.wants("S", 1, "nothing", 1), fault.Invalid, "/lines/1/variant_id", "unknown_variant"},
			"unpublished":        {b.ada, b.wants("hidden", 1), fault.Invalid, "/lines/0/variant_id", "unknown_variant"},
			"two currencies":     {b.ada, b.wants("S", 1, "dollar", 1), fault.Invalid, "/lines/1/variant_id", "another_currency"},
			"more than it adds":  {b.ada, b.wants("priceless", 2), fault.Invalid, "/lines/0/quantity", "amount_too_large"},
			"more with others":   {b.ada, b.wants("priceless", 1, "M", 1, "S", MaxQuantity), fault.Conflict, "/lines/2/quantity", "out_of_stock"},
			"out of stock":       {b.ada, b.wants("M", 1, "S", 11), fault.Conflict, "/lines/1/quantity", "out_of_stock"},
			"no address":         {b.eve, b.wants("S", 1), fault.Invalid, "/shipping_address_id", "required"},
			"another's address":  {b.eve, with(b.wants("S", 1), func(w *Wanted) { w.ShippingAddressID = mine.ID }), fault.Invalid, "/shipping_address_id", "unknown_address"},
			"no billing address": {b.ada, with(b.wants("S", 1), func(w *Wanted) { w.BillingAddressID = "x" }), fault.Invalid, "/billing_address_id", "unknown_address"},
			"control characters": {b.ada, with(b.wants("S", 1), func(w *Wanted) { w.Note = "\x1b" }), fault.Invalid, "/note", "invalid_text"},
		} {
			_, err := b.place(c.customer, "key", c.wanted)
			var refused *fault.Error
			require.ErrorAs(t, err, &refused, name)
			require.Equal(t, c.kind, refused.Kind, name)
			require.Len(t, refused.Fields, 1, name)
			require.Equal(t, []string{c.pointer, c.code}, []string{refused.Fields[0].Pointer, refused.Fields[0].Code}, name)
			if c.code == "out_of_stock" {
				require.ErrorIs(t, err, products.ErrOutOfStock)
				require.Contains(t, refused.Detail, `"Shirt - S" (variant `+b.offered["S"].ID+`) is out of stock: 10 are left.`)
			}
		}
		require.EqualValues(t, 10, *b.stock(t, "S"))
		require.EqualValues(t, 10, *b.stock(t, "M"))
		require.Empty(t, b.events(t))
		o, err := b.place(b.ada, "key", b.wants("S", 10))
		require.NoError(t, err, "a key of a request that failed is free")
		require.EqualValues(t, 1001, o.Number, "no number was used up")
	})
}

func TestPlaceAgain(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bench) {
		b.lives(t, b.ada, "Berlin")
		b.lives(t, b.eve, "Bonn")
		first, err := b.place(b.ada, "key", b.wants("S", 6))
		require.NoError(t, err)
		again, err := b.place(b.ada, "key", b.wants("S", 6))
		require.NoError(t, err)
		require.Equal(t, first.ID, again.ID)
		require.Equal(t, first.Lines, again.Lines)
		require.EqualValues(t, 4, *b.stock(t, "S"))
		_, err = b.place(b.ada, "key", b.wants("S", 1))
		require.ErrorIs(t, err, customers.ErrKeyReused)
		_, err = b.place(b.eve, "key", b.wants("S", 1))
		require.NoError(t, err, "her own key")
	})
}

// TestPlaceSideBySide sells the last ones to a crowd, each of whom names the variants
// in an order of their own: nothing is sold twice, no number is given twice, and
// nobody waits in a circle.
func TestPlaceSideBySide(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bench) {
		b.lives(t, b.ada, "Berlin")
		b.lives(t, b.eve, "Bonn")
		const buyers = 24
		placed, failed := make([]*Order, buyers), make([]error, buyers)
		var crowd sync.WaitGroup
		for i := range buyers {
			crowd.Go(func() {
				customer, w := b.ada, b.wants("S", 1, "M", 1)
				if i%2 == 0 {
					customer, w = b.eve, b.wants("M", 1, "S", 1)
				}
				placed[i], failed[i] = b.place(customer, "", w)
			})
		}
		crowd.Wait()
		var numbers []int64
		for i, err := range failed {
			if err == nil {
				numbers = append(numbers, placed[i].Number)
				continue
			}
			require.ErrorIs(t, err, products.ErrOutOfStock)
		}
		slices.Sort(numbers)
		require.Equal(t, []int64{1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010}, numbers)
		require.Zero(t, *b.stock(t, "S"))
		require.Zero(t, *b.stock(t, "M"))
		require.Len(t, b.events(t), 10)
	})
}

func TestListNewestFirst(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		var added []Order
		hour := func(n int) time.Time { return time.Date(2024, 5, 1, n, 0, 0, 0, time.UTC) }
		for n := range 9 {
			o := imported(fmt.Sprint(n), int64(n+1))
			o.CustomerID, o.PlacedAt = &b.ada, hour(n/2).UnixMicro() // two at the same time
			if n%3 == 1 {
				o.FulfilledAt = &o.PlacedAt
			}
			if n%3 == 2 {
				o.FulfilledAt, o.CancelledAt = &o.PlacedAt, &o.PlacedAt
			}
			added = append(added, o)
		}
		guests, hers := imported("guest", 100), imported("eve", 101)
		hers.CustomerID = &b.eve
		b.update(t, func(tx backends.Tx) error { return Insert(tx, append([]Order{guests, hers}, added...)) })

		all := func(f Filter) (numbers []int64) {
			for cursor := ""; ; {
				found, next, err := b.orders.List(ctx, b.shop, b.ada, f, cursor, 2)
				require.NoError(t, err)
				for _, o := range found {
					numbers = append(numbers, o.Number)
				}
				if cursor = next; cursor == "" {
					return numbers
				}
			}
		}
		var never time.Time
		require.Equal(t, []int64{9, 8, 7, 6, 5, 4, 3, 2, 1}, all(NewFilter("", never, never)))
		require.Equal(t, []int64{7, 4, 1}, all(NewFilter(Open, never, never)))
		require.Equal(t, []int64{8, 5, 2}, all(NewFilter(Fulfilled, never, never)))
		require.Equal(t, []int64{9, 6, 3}, all(NewFilter(Cancelled, never, never)))
		require.Equal(t, []int64{6, 5, 4, 3}, all(NewFilter("", hour(1), hour(3))))
		require.Empty(t, all(NewFilter("", hour(1), hour(1))))
		_, _, err := b.orders.List(ctx, b.shop, b.ada, NewFilter("", hour(2), hour(1)), "", 2)
		require.True(t, strings.HasPrefix(fmt.Sprint(err), "invalid_input"), "%v", err)

		_, cursor, err := b.orders.List(ctx, b.shop, b.ada, NewFilter("", never, never), "", 2)
		require.NoError(t, err)
		_, _, err = b.orders.List(ctx, b.shop, b.eve, NewFilter("", never, never), cursor, 2)
		require.ErrorIs(t, err, page.ErrCursor, "another customer's")
		_, _, err = b.orders.List(ctx, b.shop, b.ada, NewFilter(Open, never, never), cursor, 2)
		require.ErrorIs(t, err, page.ErrCursor, "another filter's")
		for _, id := range []string{guests.ID, hers.ID, "nonsense"} {
			_, err = b.orders.Find(ctx, b.shop, b.ada, id)
			require.ErrorIs(t, err, ErrNotFound)
		}
		other := b.store.Storefront(t)
		_, err = b.orders.Find(ctx, other, b.ada, added[0].ID)
		require.ErrorIs(t, err, ErrNotFound)
		require.False(t, errors.Is(err, backends.ErrNoStorefront))
	})
}
