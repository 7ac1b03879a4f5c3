package e2e

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// item is a product in some sizes, and how many there are of each.
type item struct {
	handle    string
	hidden    bool
	inventory int
	sizes     []string
}

// offers imports what a storefront sells.
func (p *program) offers(t *testing.T, slug string, items ...item) {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "*.csv")
	require.NoError(t, err)
	defer file.Close()
	rows := csv.NewWriter(file)
	require.NoError(t, rows.Write([]string{
		"Handle", "Title", "Body (HTML)", "Vendor", "Tags", "Published", "Option1 Name", "Option1 Value", "Variant SKU",
		"Variant Inventory Tracker", "Variant Inventory Qty", "Variant Inventory Policy", "Variant Price", "Image Src",
	}))
	for _, i := range items {
		for n, size := range i.sizes {
			image := ""
			if n == 0 {
				image = "https://example.com/" + i.handle + ".jpg"
			}
			require.NoError(t, rows.Write([]string{
				i.handle, "Shirt " + i.handle, "<p>Soft.</p>", "Weaver", "cotton, summer", strconv.FormatBool(!i.hidden), "Size", size,
				i.handle + "-" + size, "shopify", strconv.Itoa(i.inventory), "deny", "19.99", image,
			}))
		}
	}
	rows.Flush()
	require.NoError(t, rows.Error())
	p.must(t, "import", "--storefront", slug, "--format", "shopify", "--products", file.Name())
}

// variants are what a storefront shows to be sold, by handle and size.
func (p *program) variants(t *testing.T, slug string) map[string]string {
	t.Helper()
	var page productPage
	status, _ := p.askInto(t, &page, "GET", slug+"/products?limit=100", "", nil)
	require.Equal(t, http.StatusOK, status, page.Code)
	found := map[string]string{}
	for _, product := range page.Data {
		for _, v := range product.Variants {
			found[product.Handle+" "+v.Title] = v.ID
		}
	}
	return found
}

type productPage struct {
	Data []struct {
		ID, Handle, Title string
		Tags, Images      []string
		Variants          []struct {
			ID, Title string
			Price     int64
			Available bool
		}
	}
	NextCursor string `json:"next_cursor"`
	Code       string
}

// TestProducts: visitors see what is published, page by page, without logging in.
func TestProducts(t *testing.T) {
	t.Parallel()
	p := install(t)
	var items []item
	for n := range 5 {
		items = append(items, item{handle: fmt.Sprintf("s%d", n), hidden: n == 2, inventory: n, sizes: []string{"S", "M"}})
	}
	p.create(t, "toys", "files-1")
	p.create(t, "empty", "files-1")
	p.offers(t, "toys", items...)
	var handles []string
	for cursor := ""; ; {
		var page productPage
		status, _ := p.askInto(t, &page, "GET", "toys/products?limit=3&cursor="+cursor, "", nil)
		require.Equal(t, http.StatusOK, status, page.Code)
		for _, product := range page.Data {
			handles = append(handles, product.Handle)
			require.Equal(t, []string{"cotton", "summer"}, product.Tags)
			require.Len(t, product.Variants, 2)
			require.Equal(t, product.Handle != "s0", product.Variants[1].Available)
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
		status, _ = p.askInto(t, &page, "GET", "empty/products?cursor="+cursor, "", nil)
		require.Equal(t, http.StatusBadRequest, status, "another storefront's cursor")
		require.Equal(t, "invalid_cursor", page.Code)
	}
	require.Equal(t, []string{"s0", "s1", "s3", "s4"}, handles)
	for _, c := range []struct {
		path   string
		status int
		code   string
	}{
		{"toys/products/s1", 200, ""},
		{"toys/products/s2", 404, "product_not_found"},
		{"empty/products/s1", 404, "product_not_found"},
		{"nobody/products", 404, "storefront_not_found"},
		{"toys/products?limit=101", 422, "invalid_input"},
		{"toys/products?cursor=made-up", 400, "invalid_cursor"},
	} {
		var answer struct{ Description, Code string }
		status, _ := p.askInto(t, &answer, "GET", c.path, "", nil)
		require.Equal(t, c.status, status, c.path)
		require.Equal(t, c.code, answer.Code, c.path)
		if status == http.StatusOK {
			require.Equal(t, "<p>Soft.</p>", answer.Description)
		}
	}
}
