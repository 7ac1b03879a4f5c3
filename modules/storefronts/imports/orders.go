package imports

import (
	"strconv"

	"smartseller/backends"
	"smartseller/modules/customers"
	"smartseller/modules/storefronts/orders"
	"smartseller/modules/storefronts/shopify"
)

// orders adds those of a batch that the storefront does not have yet.
func (j *job) orders(tx backends.Tx, batch []*shopify.Order) (*tally, error) {
	t := newTally()
	wanted, numbers := make(backends.List, len(batch)), make(backends.List, len(batch))
	for n, o := range batch {
		wanted[n], numbers[n] = j.named("order", o.ID), strconv.FormatInt(o.Number, 10)
	}
	known, taken, err := orders.Known(tx, wanted, numbers)
	if err != nil {
		return nil, err
	}
	var added []orders.Order
	for n, o := range batch {
		switch {
		case known[wanted[n]]:
			t.unchanged++
		case taken[o.Number]:
			t.omit(o.Line, numberTaken)
		default:
			known[wanted[n]], taken[o.Number] = true, true
			added = append(added, j.order(o, wanted[n]))
		}
	}
	if err := findBuyers(tx, added); err != nil {
		return nil, err
	}
	if err := findVariants(tx, added); err != nil {
		return nil, err
	}
	for _, o := range added {
		t.imported++
		t.parts["lines"] += int64(len(o.Lines))
		if o.CustomerID == nil {
			t.parts["guest_orders"]++
		}
	}
	return t, orders.Insert(tx, added)
}

func (j *job) order(o *shopify.Order, id string) orders.Order {
	key, err := customers.EmailKey(o.Email)
	if err != nil {
		key = "" // of a guest who gave none, or one that is none
	}
	made := orders.Order{
		ID: id, ExternalID: &o.ID, Number: o.Number, Email: o.Email, EmailKey: key, Currency: o.Currency, Subtotal: o.Subtotal, Shipping: o.Shipping,
		Tax: o.Tax, Discount: o.Discount, DiscountCode: o.DiscountCode, Total: o.Total, Refunded: o.Refunded, FinancialStatus: o.FinancialStatus,
		FulfillmentStatus: o.FulfillmentStatus, PlacedAt: o.CreatedAt, PaidAt: o.PaidAt, FulfilledAt: o.FulfilledAt, CancelledAt: o.CancelledAt,
		ShippingAddress: orderAddress(o.ShipTo), BillingAddress: orderAddress(o.BillTo), ShippingMethod: o.ShippingMethod, PaymentMethod: o.PaymentMethod,
		PaymentReference: o.PaymentReference, Note: o.Note, Tags: o.Tags, Source: Shopify,
	}
	for _, l := range o.Lines {
		made.Lines = append(made.Lines, orders.Line{
			ID: j.part("line", o.ID, l.Position), OrderID: id, Position: int64(l.Position), Title: l.Title, SKU: l.SKU, Vendor: l.Vendor,
			Quantity: l.Quantity, Price: l.Price, CompareAtPrice: l.CompareAtPrice, Discount: l.Discount, RequiresShipping: l.RequiresShipping,
			Taxable: l.Taxable, FulfillmentStatus: l.FulfillmentStatus,
		})
	}
	return made
}

func orderAddress(a shopify.OrderAddress) orders.Address {
	return orders.Address{
		Name: a.Name, Company: a.Company, Line1: a.Street, City: a.City, PostalCode: a.PostalCode, Province: a.Province, Country: a.Country, Phone: a.Phone,
	}
}

// findBuyers gives orders to the accounts of their e-mail addresses. What nobody is
// known to hold stays a guest's.
func findBuyers(tx backends.Tx, added []orders.Order) error {
	var keys backends.List
	for _, o := range added {
		keys = append(keys, o.EmailKey)
	}
	found, err := customers.AccountsByEmailKey(tx, keys)
	if err != nil {
		return err
	}
	buyers := make(map[string]*string, len(found))
	for n := range found {
		if found[n].Holds() {
			buyers[found[n].EmailKey] = &found[n].ID
		}
	}
	for n := range added {
		added[n].CustomerID = buyers[added[n].EmailKey]
	}
	return nil
}
