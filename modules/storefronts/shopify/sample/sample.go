// Package sample makes up shops and writes them as Shopify exports, with the
// quirks that real exports have: of any size for tests under load, and a small one
// that is part of the program and fills a new installation.
package sample

import (
	"embed"
	"io"
)

// Files are the exports of Small: customers.csv, products.csv, orders.csv, and
// expected.json with what they hold.
//
//go:embed customers.csv products.csv orders.csv expected.json
var Files embed.FS

// Currency of every made-up shop.
const Currency = "EUR"

// Small is the shop in Files.
var Small = Shop{Seed: 1, Customers: 300, Products: 20, Orders: 500}

// Shop is a made-up shop. The same values always give the same files, and each
// record is made from its number alone, so a shop of any size takes no memory.
type Shop struct {
	Seed                        uint64
	Customers, Products, Orders int
}

// Expected says what the files of a shop hold.
type Expected struct {
	Customers ExpectedCustomers `json:"customers"`
	Products  ExpectedProducts  `json:"products"`
	Orders    ExpectedOrders    `json:"orders"`
}

// ExpectedCustomers counts rows; all but the importable ones are skipped.
type ExpectedCustomers struct {
	Rows       int `json:"rows"`
	Importable int `json:"importable"`
	Blank      int `json:"blank_email"`
	Duplicate  int `json:"duplicate_email"`
	Invalid    int `json:"invalid_email"`
}

// ExpectedProducts counts products, what can be bought of them, and all rows,
// those with further pictures included.
type ExpectedProducts struct {
	Rows     int `json:"rows"`
	Products int `json:"products"`
	Variants int `json:"variants"`
}

// ExpectedOrders counts orders and sums what they came to. Guest orders belong to
// no importable customer.
type ExpectedOrders struct {
	Orders     int   `json:"orders"`
	Lines      int   `json:"line_items"`
	Guests     int   `json:"guest_orders"`
	TotalCents int64 `json:"total_cents"`
	Refunded   int   `json:"refunded_orders"`
	Cancelled  int   `json:"cancelled_orders"`
}

// Write writes the three files.
func (s Shop) Write(customers, products, orders io.Writer) (e Expected, err error) {
	if e.Customers, err = s.WriteCustomers(customers); err != nil {
		return e, err
	}
	if e.Products, err = s.WriteProducts(products); err != nil {
		return e, err
	}
	e.Orders, err = s.WriteOrders(orders)
	return e, err
}
