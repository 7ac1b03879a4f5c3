package sample

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"
)

const orderColumns = "Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Accepts Marketing,Currency,Subtotal,Shipping,Taxes,Total," +
	"Discount Code,Discount Amount,Shipping Method,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem compare at price," +
	"Lineitem sku,Lineitem requires shipping,Lineitem taxable,Lineitem fulfillment status,Billing Name,Billing Street,Billing City," +
	"Billing Zip,Billing Province,Billing Country,Billing Phone,Shipping Name,Shipping Street,Shipping City,Shipping Zip,Shipping Province," +
	"Shipping Country,Shipping Phone,Notes,Note Attributes,Cancelled at,Payment Method,Payment Reference,Refunded Amount,Vendor,Id,Tags," +
	"Risk Level,Source,Lineitem discount"

// firstOrder is when a shop sold its first thing.
var firstOrder = time.Date(2024, 1, 1, 8, 0, 0, 0, time.UTC)

// FirstNumber is the number of a shop's first order.
const FirstNumber = 1001

type order struct {
	lines     []map[string]string
	total     int64
	guest     bool
	refunded  bool
	cancelled bool
}

// WriteOrders writes the order export.
func (s Shop) WriteOrders(w io.Writer) (e ExpectedOrders, err error) {
	t, err := newTable(w, orderColumns)
	if err != nil {
		return e, err
	}
	for n := range s.Orders {
		o := s.order(n)
		for _, row := range o.lines {
			if err := t.add(row); err != nil {
				return e, err
			}
			e.Lines++
		}
		e.Orders++
		e.TotalCents += o.total
		for on, count := range map[*int]bool{&e.Guests: o.guest, &e.Refunded: o.refunded, &e.Cancelled: o.cancelled} {
			if count {
				*on++
			}
		}
	}
	return e, t.end()
}

func (s Shop) order(n int) (o order) {
	r := s.random(orderSalt, n)
	zone := time.FixedZone("", 3600*pick(r, offsets))
	at := firstOrder.Add(time.Duration(n)*97*time.Minute + time.Duration(r.IntN(90))*time.Minute).In(zone)
	stamp := func(t time.Time) string { return t.Format("2006-01-02 15:04:05 -0700") }
	buyer := s.customer(r.IntN(s.Customers))
	head := map[string]string{
		"Name": fmt.Sprintf("#%d", FirstNumber+n), "Email": buyer.email, "Created at": stamp(at), "Id": fmt.Sprint(5000000000000 + 7*n),
		"Currency": Currency, "Shipping Method": "Standard", "Payment Method": "Shopify Payments", "Risk Level": "Low", "Source": "web",
		"Accepts Marketing": "no", "Fulfillment Status": "fulfilled", "Fulfilled at": stamp(at.Add(30 * time.Hour)), "Notes": pick(r, notes),
	}
	if o.guest = chance(r, 20) || buyer.kind == blank || buyer.kind == invalid; o.guest {
		head["Email"] = pick(r, []string{"", fmt.Sprintf("guest.%d@example.org", n)})
	} else if chance(r, 10) {
		head["Email"] = strings.ToUpper(buyer.email)
	}
	for _, side := range []string{"Billing ", "Shipping "} {
		head[side+"Name"], head[side+"Street"], head[side+"City"] = buyer.first+" "+buyer.last, buyer.street, buyer.place.city
		head[side+"Zip"], head[side+"Province"], head[side+"Country"] = "'"+buyer.place.zip, buyer.place.province, buyer.place.country
	}
	subtotal := s.orderLines(r, &o, head)
	shipping, discount := pick(r, []int64{0, 499, 1299}), int64(0)
	if chance(r, 12) {
		discount = subtotal / 10
		head["Discount Code"] = "TENTH"
	}
	tax := (subtotal - discount) * 19 / 119 // in the prices, as in Europe
	o.total = subtotal - discount + shipping
	head["Subtotal"], head["Shipping"], head["Taxes"] = cents(subtotal), cents(shipping), cents(tax)
	head["Discount Amount"], head["Total"] = cents(discount), cents(o.total)
	s.settle(r, &o, head, at, stamp)
	return o
}

// orderLines adds a row per thing that was bought and says what they cost.
func (s Shop) orderLines(r *rand.Rand, o *order, head map[string]string) (subtotal int64) {
	for i := range 1 + r.IntN(3) {
		row := head
		if i > 0 {
			row = map[string]string{"Name": head["Name"], "Email": head["Email"], "Created at": head["Created at"]}
		}
		p := s.product(r.IntN(s.Products))
		variant, quantity := r.IntN(len(p.options)), int64(1+r.IntN(4))
		row["Lineitem quantity"], row["Lineitem name"], row["Lineitem price"] = fmt.Sprint(quantity), p.line(variant), shortPrice(p.prices[variant])
		row["Lineitem requires shipping"], row["Lineitem taxable"], row["Lineitem fulfillment status"] = "true", "true", "fulfilled"
		row["Lineitem discount"] = "0.00"
		subtotal += quantity * p.prices[variant]
		o.lines = append(o.lines, row)
	}
	return subtotal
}

// settle says how the order went on.
func (s Shop) settle(r *rand.Rand, o *order, head map[string]string, at time.Time, stamp func(time.Time) string) {
	head["Financial Status"], head["Paid at"], head["Refunded Amount"] = "paid", stamp(at), "0.00"
	switch r.IntN(16) {
	case 0:
		head["Financial Status"], head["Refunded Amount"], o.refunded = "refunded", cents(o.total), true
	case 1:
		head["Financial Status"], head["Refunded Amount"], o.refunded = "partially_refunded", cents(1+o.total/3), true
	case 2:
		head["Financial Status"], head["Paid at"] = "pending", ""
	case 3:
		head["Financial Status"], head["Paid at"], head["Cancelled at"], o.cancelled = "voided", "", stamp(at.Add(10*time.Hour)), true
		head["Fulfillment Status"], head["Fulfilled at"] = "", ""
	}
}
