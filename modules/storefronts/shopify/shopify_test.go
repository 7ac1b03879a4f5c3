package shopify_test

import (
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/modules/storefronts/shopify"
)

// all reads a sequence to its end.
func all[T any](found iter.Seq2[*T, error]) (out []*T, err error) {
	for one, err := range found {
		if err != nil {
			return out, err
		}
		out = append(out, one)
	}
	return out, nil
}

func readCustomers(text string) ([]*shopify.Customer, error) {
	return all(shopify.Customers("customers.csv", strings.NewReader(text)))
}

func readProducts(text string) ([]*shopify.Product, error) {
	return all(shopify.Products("products.csv", strings.NewReader(text), "EUR"))
}

func readOrders(text string) ([]*shopify.Order, error) {
	return all(shopify.Orders("orders.csv", strings.NewReader(text)))
}

const customerHead = "Customer ID,First Name,Last Name,Email,Phone,Default Address Zip,Note,Tax Exempt\n"

// TestCustomerQuirks: what exports do, and what is made of it.
func TestCustomerQuirks(t *testing.T) {
	t.Parallel()
	plain := shopify.Customer{Line: 2, ID: "1", FirstName: "Ada", LastName: "Poe", Email: "ada@example.com"}
	for name, c := range map[string]struct {
		text   string
		change func(*shopify.Customer)
	}{
		"plain":                      {customerHead + "1,Ada,Poe,ada@example.com,,,,no\n", nil},
		"no line end at the end":     {customerHead + "1,Ada,Poe,ada@example.com,,,,no", nil},
		"byte order mark":            {"\ufeff" + customerHead + "1,Ada,Poe,ada@example.com,,,,no\n", nil},
		"carriage returns":           {strings.ReplaceAll(customerHead+"1,Ada,Poe,ada@example.com,,,,no\n", "\n", "\r\n"), nil},
		"a column nobody knows":      {"Loyalty," + customerHead + "gold,1,Ada,Poe,ada@example.com,,,,no\n", nil},
		"other order of columns":     {"Email,Last Name,First Name,Customer ID\nada@example.com,Poe,Ada,1\n", nil},
		"white space around values":  {customerHead + " 1 , Ada ,Poe, ada@example.com ,,,,no\n", nil},
		"apostrophe before an id":    {customerHead + "'1,Ada,Poe,ada@example.com,,,,no\n", nil},
		"apostrophe before a phone":  {customerHead + "1,Ada,Poe,ada@example.com,'+4930123456,,,no\n", func(c *shopify.Customer) { c.Phone = "+4930123456" }},
		"apostrophe before a zip":    {customerHead + "1,Ada,Poe,ada@example.com,,'01310-100,,no\n", func(c *shopify.Customer) { c.Address.PostalCode = "01310-100" }},
		"apostrophe of a name stays": {customerHead + "1,Ada,'t Hooft,ada@example.com,,,,no\n", func(c *shopify.Customer) { c.LastName = "'t Hooft" }},
		"blank address":              {customerHead + "1,Ada,Poe,,,,,no\n", func(c *shopify.Customer) { c.Email = "" }},
		"an address that is none":    {customerHead + "1,Ada,Poe,who knows,,,,no\n", func(c *shopify.Customer) { c.Email = "who knows" }},
		"comma in quotes":            {customerHead + "1,Ada,Poe,ada@example.com,,,\"rich, kind\",no\n", func(c *shopify.Customer) { c.Note = "rich, kind" }},
		"doubled quotes":             {customerHead + "1,Ada,Poe,ada@example.com,,,\"says \"\"hi\"\"\",no\n", func(c *shopify.Customer) { c.Note = `says "hi"` }},
		"a note of two lines":        {customerHead + "1,Ada,Poe,ada@example.com,,,\"one\ntwo\",no\n", func(c *shopify.Customer) { c.Note = "one\ntwo" }},
		"a name of two lines":        {customerHead + "1,\"Ada\nMay\",Poe,ada@example.com,,,,no\n", func(c *shopify.Customer) { c.FirstName = "Ada May" }},
		"other scripts":              {customerHead + "1,美咲,Παππάς,ada@example.com,,,,yes\n", func(c *shopify.Customer) { c.FirstName, c.LastName, c.TaxExempt = "美咲", "Παππάς", true }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := plain
			if c.change != nil {
				c.change(&want)
			}
			got, err := readCustomers(c.text)
			require.NoError(t, err)
			require.Equal(t, []*shopify.Customer{&want}, got)
		})
	}
}

// TestPhysicalLines: a report must lead to the place in a text editor.
func TestPhysicalLines(t *testing.T) {
	t.Parallel()
	got, err := readCustomers(customerHead + "1,Ada,Poe,a@example.com,,,\"one\ntwo\nthree\",no\n\n2,Bo,Li,b@example.com,,,,no\n")
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, []int{2, 6}, []int{got[0].Line, got[1].Line})
}

const (
	productHead = "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Value,Option2 Value,Variant SKU,Variant Grams,Variant Inventory Tracker,Variant Inventory Qty,Variant Price,Variant Compare At Price,Image Src\n"
	orderHead   = "Name,Email,Financial Status,Paid at,Currency,Subtotal,Shipping,Taxes,Total,Discount Amount,Created at,Lineitem quantity,Lineitem name,Lineitem price,Shipping Zip,Cancelled at,Refunded Amount,Id\n"
	orderRow    = "#1001,ada@example.com,paid,2024-01-31 13:45:00 +0100,EUR,20.00,4.99,1.50,26.49,0.00,2024-01-31 13:45:00 +0100,2,Kite,10,'02108,,,77\n"
)

func TestProductRows(t *testing.T) {
	t.Parallel()
	const more = "Option1 Name,Option2 Name,Variant Inventory Policy,Variant Requires Shipping,Variant Taxable,Variant Image,"
	got, err := readProducts(more + productHead +
		"Colour,Size,continue,false,false,https://example.com/r.jpg,kite,Kite,<p>Flies</p>,Wind & Co,Toy,\"air, toy\",true,Red,S,K-1,250.5,shopify,-2,12.5,15,https://example.com/1.jpg\n" +
		",,deny,true,true,,kite,,,,,,,Blue,,,,,7,0.99,,\n" +
		",,,,,,kite,,,,,,,,,,,,,,,https://example.com/2.jpg\n" +
		"Title,,,,,,ball,Ball,,,,,false,Default Title,,,,,,3,,\n")
	require.NoError(t, err)
	before, left := int64(1500), int64(-2)
	require.Equal(t, []*shopify.Product{
		{
			Line: 2, Handle: "kite", Title: "Kite", Description: "<p>Flies</p>", Vendor: "Wind & Co", Kind: "Toy", Tags: "air, toy", Published: true,
			Options: []string{"Colour", "Size"}, Images: []string{"https://example.com/1.jpg", "https://example.com/2.jpg"},
			Variants: []shopify.Variant{
				{
					Position: 1, Options: []string{"Red", "S"}, Image: "https://example.com/r.jpg", SKU: "K-1", Price: 1250,
					CompareAtPrice: &before, Inventory: &left, Backorder: true, Grams: 251,
				},
				{Position: 2, Options: []string{"Blue"}, Price: 99, RequiresShipping: true, Taxable: true},
			},
		},
		{Line: 5, Handle: "ball", Title: "Ball", Variants: []shopify.Variant{{Position: 1, Price: 300, RequiresShipping: true, Taxable: true}}},
	}, got)
	require.Equal(t, "Red / S", got[0].Variants[0].Title())
	require.Empty(t, got[1].Variants[0].Title())
}

func TestOrderRows(t *testing.T) {
	t.Parallel()
	const more = "Discount Code,Shipping Method,Payment Method,Payment Reference,Tags,Vendor,Lineitem compare at price,Lineitem requires shipping,Lineitem taxable,Lineitem fulfillment status,"
	got, err := readOrders(more + orderHead + "SPRING,Standard,Card,'0042,gift,Wind & Co,12,true,true,fulfilled," + orderRow +
		",,,,,,,false,false,pending,#1001,ada@example.com,,,,,,,,,2024-01-31 13:45:00 +0100,1,String,2.5,,,,\n" +
		",,,,,,,,,,#1002,,refunded,,JPY,300,,,300,,2024-02-01 00:00:00 UTC,1,Ball,300,,2024-02-01 09:00:00 -0500,300.00,78\n")
	require.NoError(t, err)
	paid, cancelled, before := int64(1706705100_000000), int64(1706796000_000000), int64(1200)
	require.Equal(t, []*shopify.Order{
		{
			Line: 2, ID: "77", Number: 1001, Email: "ada@example.com", Currency: "EUR", Subtotal: 2000, Shipping: 499, Tax: 150, Total: 2649,
			FinancialStatus: "paid", CreatedAt: paid, PaidAt: &paid, ShipTo: shopify.OrderAddress{PostalCode: "02108"},
			DiscountCode: "SPRING", ShippingMethod: "Standard", PaymentMethod: "Card", PaymentReference: "0042", Tags: "gift",
			Lines: []shopify.OrderLine{
				{
					Position: 1, Title: "Kite", Vendor: "Wind & Co", Quantity: 2, Price: 1000, CompareAtPrice: &before,
					RequiresShipping: true, Taxable: true, FulfillmentStatus: "fulfilled",
				},
				{Position: 2, Title: "String", Quantity: 1, Price: 250, FulfillmentStatus: "pending"},
			},
		},
		{
			Line: 4, ID: "78", Number: 1002, Currency: "JPY", Subtotal: 300, Total: 300, Refunded: 300, FinancialStatus: "refunded",
			CreatedAt: 1706745600_000000, CancelledAt: &cancelled,
			Lines: []shopify.OrderLine{{Position: 1, Title: "Ball", Quantity: 1, Price: 300, RequiresShipping: true, Taxable: true}},
		},
	}, got)
}

// TestMalformed: each is refused, and the error leads to the place.
func TestMalformed(t *testing.T) {
	t.Parallel()
	read := map[string]func(string) error{
		"customers.csv": func(text string) error { _, err := readCustomers(text); return err },
		"products.csv":  func(text string) error { _, err := readProducts(text); return err },
		"orders.csv":    func(text string) error { _, err := readOrders(text); return err },
	}
	changed := func(old, replacement string) string {
		return orderHead + strings.Replace(orderRow, old, replacement, 1)
	}
	for name, c := range map[string]struct {
		file, text string
		line       int
		column     string
		detail     string
	}{
		"empty":                      {"customers.csv", "", 0, "", "empty"},
		"another file":               {"customers.csv", "Name,Colour\nx,red\n", 1, "Customer ID", "missing"},
		"a column twice":             {"customers.csv", "Email," + customerHead, 1, "Email", "twice"},
		"too few values":             {"customers.csv", customerHead + "1,Ada\n", 2, "", "not as many values"},
		"a quote inside":             {"customers.csv", customerHead + "1,Ada,Poe,ada@example.com,,,5\" tall,no\n", 2, "", "quote"},
		"a quote that stays open":    {"customers.csv", customerHead + "1,Ada,Poe,ada@example.com,,,\"open\nand on\n", 3, "", "begins on line 2"},
		"no id":                      {"customers.csv", customerHead + "1,Ada,Poe,,,,,\n,Bo,Li,b@example.com,,,,no\n", 3, "Customer ID", "empty"},
		"an endless id":              {"customers.csv", customerHead + strings.Repeat("1", shopify.MaxKey+1) + ",Ada,Poe,,,,,\n", 2, "Customer ID", "longer"},
		"neither yes nor no":         {"customers.csv", customerHead + "1,Ada,Poe,ada@example.com,,,,maybe\n", 2, "Tax Exempt", "yes"},
		"below a note of two lines":  {"customers.csv", customerHead + "1,Ada,Poe,ada@example.com,,,\"a\nb\",maybe\n", 3, "Tax Exempt", "yes"},
		"not UTF-8":                  {"customers.csv", customerHead + "1,Ad\xe9,Poe,ada@example.com,,,,no\n", 2, "First Name", "UTF-8"},
		"NUL":                        {"customers.csv", customerHead + "1,A\x00a,Poe,ada@example.com,,,,no\n", 2, "First Name", "NUL"},
		"a row without end":          {"customers.csv", customerHead + "1,Ada,Poe,ada@example.com,,,,no\n2,\"" + strings.Repeat("x\n", shopify.MaxRecord), 3, "", "longer"},
		"one endless line":           {"customers.csv", customerHead + strings.Repeat("x", 2*shopify.MaxRecord), 2, "", "longer"},
		"no title":                   {"products.csv", productHead + "kite,,,,,,,Red,,,,,,1,,\n", 2, "Title", "empty"},
		"no price":                   {"products.csv", productHead + "kite,Kite,,,,,,Red,,,,,,,,\n", 2, "Variant Price", "empty"},
		"price below zero":           {"products.csv", productHead + "kite,Kite,,,,,,Red,,,,,,-1,,\n", 2, "Variant Price", "amount"},
		"price of a tenth of a cent": {"products.csv", productHead + "kite,Kite,,,,,,Red,,,,,,0.001,,\n", 2, "Variant Price", "amount"},
		"price in words":             {"products.csv", productHead + "kite,Kite,,,,,,Red,,,,,,free,,\n", 2, "Variant Price", "amount"},
		"price that overflows":       {"products.csv", productHead + "kite,Kite,,,,,,Red,,,,,,99999999999999999999,,\n", 2, "Variant Price", "amount"},
		"price whose sums would":     {"products.csv", productHead + "kite,Kite,,,,,,Red,,,,,,100000000000.00,,\n", 2, "Variant Price", "amount"},
		"stock of a half":            {"products.csv", productHead + "kite,Kite,,,,,,Red,,,,shopify,0.5,1,,\n", 2, "Variant Inventory Qty", "whole"},
		"weight in words":            {"products.csv", productHead + "kite,Kite,,,,,,Red,,,heavy,,,1,,\n", 2, "Variant Grams", "weight"},
		"a line without its order":   {"orders.csv", orderHead + orderRow + "#1009,a@example.com,,,,,,,,,,1,String,2.5,,,,\n", 3, "Name", "follow"},
		"no number":                  {"orders.csv", changed("#1001", "first"), 2, "Name", "#1001"},
		"no such currency":           {"orders.csv", changed("EUR", "EURO"), 2, "Currency", "ISO 4217"},
		"time without offset":        {"orders.csv", changed("13:45:00 +0100,EUR", "13:45:00,EUR"), 2, "Paid at", "offset"},
		"a day that is none":         {"orders.csv", changed("2024-01-31 13:45:00 +0100,2", "2024-02-31 13:45:00 +0100,2"), 2, "Created at", "offset"},
		"a float":                    {"orders.csv", changed("26.49", "2.649e1"), 2, "Total", "amount"},
		"no total":                   {"orders.csv", changed("26.49", ""), 2, "Total", "empty"},
		"less than none":             {"orders.csv", changed(",2,Kite", ",-2,Kite"), 2, "Lineitem quantity", "whole"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := read[c.file](c.text)
			var found *shopify.Error
			require.ErrorAs(t, err, &found)
			require.Equal(t, []any{c.file, c.line, c.column}, []any{found.File, found.Line, found.Column}, found.Error())
			require.Contains(t, found.Detail, c.detail)
			require.Contains(t, err.Error(), c.file)
		})
	}
}

// TestTooManyParts: a product or an order is held in memory as a whole.
func TestTooManyParts(t *testing.T) {
	t.Parallel()
	row := "kite,Kite,,,,,,Red,,,,,,1,,\n"
	_, err := readProducts(productHead + strings.Repeat(row, shopify.MaxVariants))
	require.NoError(t, err)
	_, err = readProducts(productHead + strings.Repeat(row, shopify.MaxVariants+1))
	require.ErrorContains(t, err, "more than 2048 variants")
	more := "#1001,,,,,,,,,,,1,String,2.5,,,,\n"
	_, err = readOrders(orderHead + orderRow + strings.Repeat(more, shopify.MaxLines))
	require.ErrorContains(t, err, "more than 1000 lines")

	wide := "#1001,,,,,,,,,,,1," + strings.Repeat("S", shopify.MaxRecord/2) + ",2.5,,,,\n"
	_, err = readOrders(orderHead + orderRow + strings.Repeat(wide, 15))
	require.NoError(t, err)
	_, err = readOrders(orderHead + orderRow + strings.Repeat(wide, 17))
	require.ErrorContains(t, err, "the order is longer than")
	wide = "kite,Kite," + strings.Repeat("D", shopify.MaxRecord/2) + ",,,,,Red,,,,,,1,,\n"
	_, err = readProducts(productHead + strings.Repeat(wide, 18))
	require.ErrorContains(t, err, "the product is longer than")
}

// TestReaderFails: an error of the disk is not a mistake of the file.
func TestReaderFails(t *testing.T) {
	t.Parallel()
	folder, err := os.Open(t.TempDir())
	require.NoError(t, err)
	defer folder.Close()
	_, err = all(shopify.Customers("customers.csv", folder))
	require.Error(t, err)
	var found *shopify.Error
	require.NotErrorAs(t, err, &found)
	require.ErrorContains(t, err, filepath.Base("customers.csv"))
}
