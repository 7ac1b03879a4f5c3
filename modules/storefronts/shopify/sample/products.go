package sample

import (
	"fmt"
	"io"
	"strings"
)

const productColumns = "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Option3 Name," +
	"Option3 Value,Variant SKU,Variant Grams,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy," +
	"Variant Fulfillment Service,Variant Price,Variant Compare At Price,Variant Requires Shipping,Variant Taxable,Variant Barcode,Image Src," +
	"Image Position,Image Alt Text,Gift Card,SEO Title,SEO Description,Variant Image,Variant Weight Unit,Variant Tax Code"

type product struct {
	handle, title string
	options       []string // of its variants; one empty: it has none
	prices        []int64
	pictures      int // beyond the first
}

func (s Shop) product(n int) product {
	r := s.random(productSalt, n)
	// Each number has a title of its own: adjective and noun first, then a series.
	p := product{title: adjectives[n%len(adjectives)] + " " + nouns[n/len(adjectives)%len(nouns)], options: []string{""}, pictures: r.IntN(3)}
	if series := n / (len(adjectives) * len(nouns)); series > 0 {
		p.title += fmt.Sprintf(" No. %d", series+1)
	}
	p.handle = strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(p.title), ".", ""), " ", "-")
	if chance(r, 3) {
		p.options = choices[:2+r.IntN(2)]
	}
	price := int64(r.IntN(120)+3) * 100
	for range p.options {
		if chance(r, 2) {
			price += 99
		}
		p.prices = append(p.prices, price)
		price += 500
	}
	return p
}

// line is what an order says of a variant.
func (p product) line(variant int) string {
	if p.options[variant] == "" {
		return p.title
	}
	return p.title + " - " + p.options[variant]
}

// WriteProducts writes the product export, whose lines end as on Windows.
func (s Shop) WriteProducts(w io.Writer) (e ExpectedProducts, err error) {
	t, err := newTable(w, productColumns)
	if err != nil {
		return e, err
	}
	t.csv.UseCRLF = true
	for n := range s.Products {
		p := s.product(n)
		for _, row := range s.productRows(p, n) {
			if err := t.add(row); err != nil {
				return e, err
			}
			e.Rows++
		}
		e.Products++
		e.Variants += len(p.options)
	}
	return e, t.end()
}

func (s Shop) productRows(p product, n int) (rows []map[string]string) {
	r := s.random(productSalt, s.Products+n)
	for i := range max(len(p.options), 1+p.pictures) {
		row := map[string]string{"Handle": p.handle}
		if i <= p.pictures {
			row["Image Src"] = fmt.Sprintf("https://example.com/pictures/%s-%d.jpg", p.handle, i+1)
			row["Image Position"] = fmt.Sprint(i + 1)
		}
		if i < len(p.options) {
			row["Option1 Value"], row["Variant Price"] = p.options[i], shortPrice(p.prices[i])
			row["Variant Grams"], row["Variant Inventory Qty"], row["Variant Weight Unit"] = fmt.Sprint(50*r.IntN(40)), fmt.Sprint(r.IntN(9)), "kg"
			row["Variant Inventory Policy"], row["Variant Fulfillment Service"] = "deny", "manual"
			row["Variant Requires Shipping"], row["Variant Taxable"] = "true", "true"
			if chance(r, 3) {
				row["Variant Compare At Price"] = shortPrice(p.prices[i] + 1000)
			}
		}
		if i == 0 {
			row["Title"], row["Vendor"], row["Type"], row["Published"], row["Gift Card"] = p.title, pick(r, vendors), pick(r, kinds), "true", "false"
			row["Body (HTML)"] = fmt.Sprintf("<p>A %s, \"made\" by hand.</p>\n<p>Ships flat.</p>", strings.ToLower(p.title))
			row["Tags"] = strings.ToLower(strings.ReplaceAll(p.title, " ", ", "))
			row["Option1 Name"] = "Size"
			if p.options[0] == "" {
				row["Option1 Name"], row["Option1 Value"] = "Title", "Default Title"
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// shortPrice leaves decimals out where they say nothing, as exports do.
func shortPrice(amount int64) string { return strings.TrimSuffix(cents(amount), ".00") }
