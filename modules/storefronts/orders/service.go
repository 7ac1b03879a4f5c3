package orders

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"smartseller/backends"
	"smartseller/modules/customers"
	"smartseller/modules/storefronts/analytics"
	"smartseller/modules/storefronts/products"
	"smartseller/platform/clock"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
	"smartseller/platform/page"
)

// Service takes customers' orders and shows them theirs. Safe for concurrent use.
type Service struct {
	store   backends.TenantStore
	keys    *crypto.Keyring
	cursors *page.Cursors
}

// NewService makes the service; the keys seal the cursors of its lists and name the
// requests that come again.
func NewService(store backends.TenantStore, keys *crypto.Keyring) *Service {
	return &Service{store: store, keys: keys, cursors: page.NewCursors(keys, clock.System)}
}

// Place takes a customer's order: prices are those of the catalogue, what is counted
// comes out of the stock, and all of it happens or nothing. With a key, a request
// that comes again answers with the order that it made; customers.ErrKeyReused when
// it asks for another one. products.ErrOutOfStock names the line of which too little
// is left.
func (s *Service) Place(ctx context.Context, storefront backends.StorefrontID, customer, key string, w Wanted) (o *Order, err error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	request, err := customers.NewRequest(s.keys, customer, "place-order", key, w)
	if err != nil {
		return nil, err
	}
	id := ids.New()
	err = s.store.Update(ctx, storefront, func(_ context.Context, tx backends.Tx) error {
		made, err := customers.Once(tx, request, id, func() (err error) {
			o, err = place(tx, customer, id, w)
			return err
		})
		if err == nil && made != id {
			o, err = find(tx, customer, made)
		}
		return err
	})
	return o, err
}

// place writes an order. Others who want the same wait for the stock, and whoever
// else orders for the number, until the transaction ends: these come late and last.
func place(tx backends.Tx, customer, id string, w Wanted) (*Order, error) {
	o, err := begin(tx, customer, id, w)
	if err != nil {
		return nil, err
	}
	offers, err := fill(tx, o, w)
	if err != nil {
		return nil, err
	}
	if err := chooseAddresses(tx, o, w); err != nil {
		return nil, err
	}
	if err := take(tx, offers, w); err != nil {
		return nil, err
	}
	if err := record(tx, o); err != nil {
		return nil, err
	}
	if err := insertLines(tx, []Order{*o}); err != nil {
		return nil, err
	}
	if err := tx.Get(&o.Number, nextNumber); err != nil {
		return nil, err
	}
	return o, insertOrders(tx, []Order{*o})
}

func begin(tx backends.Tx, customer, id string, w Wanted) (*Order, error) {
	buyer, err := customers.Hold(tx, customer)
	if err != nil {
		return nil, err
	}
	now := tx.Now().UnixMicro()
	return &Order{
		ID: id, CustomerID: &buyer.ID, Email: buyer.Email, EmailKey: buyer.EmailKey, FinancialStatus: "pending", FulfillmentStatus: unfulfilled,
		PlacedAt: now, Note: w.Note, Source: "shop", CreatedAt: now, UpdatedAt: now, Version: 1,
	}, nil
}

const unfulfilled = "unfulfilled"

// fill puts what is wanted into the order, at the catalogue's prices, and adds it up.
func fill(tx backends.Tx, o *Order, w Wanted) (map[string]products.Offer, error) {
	wanted := make(backends.List, len(w.Lines))
	for i, l := range w.Lines {
		wanted[i] = l.VariantID
	}
	offers, err := products.Offers(tx, wanted)
	if err != nil {
		return nil, err
	}
	for i, l := range w.Lines {
		offer, ok := offers[l.VariantID]
		if !ok {
			return nil, fault.InvalidField(pointer(i, "variant_id"), "unknown_variant", "must be the id of a variant that is sold here")
		}
		if err := o.add(i, offer, l.Quantity); err != nil {
			return nil, err
		}
	}
	o.Total = o.Subtotal
	return offers, nil
}

// add appends a line and its price.
func (o *Order) add(line int, offer products.Offer, quantity int64) error {
	if o.Currency == "" {
		o.Currency = offer.Currency
	}
	if offer.Currency != o.Currency {
		return fault.InvalidField(pointer(line, "variant_id"), "another_currency", "is sold in another currency than the lines before: order it by itself")
	}
	if offer.Price > (math.MaxInt64-o.Subtotal)/quantity {
		return fault.InvalidField(pointer(line, "quantity"), "amount_too_large", "is more than an order can add up: order less")
	}
	o.Subtotal += offer.Price * quantity
	o.Lines = append(o.Lines, Line{
		ID: ids.New(), OrderID: o.ID, Position: int64(line) + 1, VariantID: &offer.ID, Title: offer.Name(), SKU: offer.SKU, Vendor: offer.Vendor,
		Quantity: quantity, Price: offer.Price, CompareAtPrice: offer.CompareAtPrice, RequiresShipping: offer.RequiresShipping,
		Taxable: offer.Taxable, FulfillmentStatus: unfulfilled,
	})
	return nil
}

// take takes what is counted out of the stock. A shortage names the line, and how
// people call what is missing.
func take(tx backends.Tx, offers map[string]products.Offer, w Wanted) error {
	counted := map[string]int64{}
	for _, l := range w.Lines {
		if offers[l.VariantID].Counted {
			counted[l.VariantID] = l.Quantity
		}
	}
	err := products.Take(tx, counted)
	var short *products.Shortage
	if !errors.As(err, &short) {
		return err
	}
	told := products.ErrOutOfStock.Because(err)
	for i, l := range w.Lines {
		if offer := offers[l.VariantID]; offer.ID == short.Variant {
			told.Detail = fmt.Sprintf("%q (variant %s) is out of stock: %d are left.", offer.Name(), offer.ID, short.Left)
			told.Fields = []fault.Field{{Pointer: pointer(i, "quantity"), Code: told.Code, Detail: fmt.Sprintf("must be at most %d", short.Left)}}
		}
	}
	return told
}

// chooseAddresses copies the addresses that were named, or the customer's default.
func chooseAddresses(tx backends.Tx, o *Order, w Wanted) (err error) {
	o.ShippingAddress, err = copyAddress(tx, o, w.ShippingAddressID, "/shipping_address_id")
	if err != nil {
		return err
	}
	if o.BillingAddress = o.ShippingAddress; w.BillingAddressID != w.ShippingAddressID && w.BillingAddressID != "" {
		o.BillingAddress, err = copyAddress(tx, o, w.BillingAddressID, "/billing_address_id")
	}
	return err
}

func copyAddress(tx backends.Tx, o *Order, id, pointer string) (Address, error) {
	a, err := customers.FindAddress(tx, *o.CustomerID, id)
	switch {
	case errors.Is(err, customers.ErrNoAddress) && id != "":
		return Address{}, fault.InvalidField(pointer, "unknown_address", "must be the id of one of your addresses")
	case errors.Is(err, customers.ErrNoAddress) && o.ships():
		return Address{}, fault.InvalidField(pointer, "required", "must name one of your addresses, since the order is to be sent: add one first")
	case errors.Is(err, customers.ErrNoAddress):
		return Address{}, nil
	case err != nil:
		return Address{}, err
	}
	return addressOf(a), nil
}

// record notes for the seller that an order came in.
func record(tx backends.Tx, o *Order) error {
	data, err := json.Marshal(map[string]any{"currency": o.Currency, "lines": len(o.Lines), "total": o.Total})
	if err != nil {
		return err
	}
	return analytics.Record(tx, analytics.Event{Name: "order_placed", CustomerID: o.CustomerID, Subject: o.ID, Data: string(data)})
}

// position is where a list of orders, newest first, goes on.
type position struct {
	PlacedAt int64
	ID       string
}

// List returns up to limit of a customer's orders without their lines, newest
// first, and the cursor of the next page; "" when there is none. page.ErrCursor for a
// cursor of another list.
func (s *Service) List(ctx context.Context, storefront backends.StorefrontID, customer string, f Filter, cursor string, limit int) (found []Order, next string, err error) {
	if err := f.check(); err != nil {
		return nil, "", err
	}
	list := page.List{"orders", string(storefront), customer, string(f.Status), fmt.Sprint(f.From), fmt.Sprint(f.To)}
	after := position{PlacedAt: math.MaxInt64}
	if err := s.cursors.Open(list, cursor, &after); err != nil {
		return nil, "", err
	}
	err = s.store.View(ctx, storefront, func(_ context.Context, tx backends.Tx) error {
		return tx.Select(&found, selectOrders, customer, after.PlacedAt, after.ID, f.From, f.To, f.Status, limit+1)
	})
	if err == nil && len(found) > limit {
		found = found[:limit]
		last := found[limit-1]
		next, err = s.cursors.Seal(list, position{last.PlacedAt, last.ID})
	}
	return found, next, err
}

// Find reads one of a customer's orders with its lines; ErrNotFound also for another
// customer's.
func (s *Service) Find(ctx context.Context, storefront backends.StorefrontID, customer, id string) (o *Order, err error) {
	err = s.store.View(ctx, storefront, func(_ context.Context, tx backends.Tx) error {
		o, err = find(tx, customer, id)
		return err
	})
	return o, err
}
