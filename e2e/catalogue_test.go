package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sqlite"
	"smartseller/modules/storefronts/products"
	"smartseller/platform/ids"
)

// stocked makes a storefront on files-1 that sells this, and returns its id. The
// products go into its file as the program itself would write them.
func (p *program) stocked(t *testing.T, slug string, sold ...products.Product) {
	t.Helper()
	ctx := context.Background()
	p.must(t, "storefront", "create", slug, "files-1")
	var made struct{ ID backends.StorefrontID }
	require.NoError(t, json.Unmarshal([]byte(p.must(t, "storefront", "show", slug, "--json")), &made))
	catalog, err := backends.NewCatalog(products.Tables()...)
	require.NoError(t, err)
	files, err := sqlite.Opener(catalog)(backends.Config{Name: "files-1", Kind: backends.SQLite, Path: filepath.Join(p.folder, "data", "files-1")})
	require.NoError(t, err)
	place, err := files.Open(ctx, backends.Place{Backend: "files-1", Storefront: made.ID, Epoch: 1})
	require.NoError(t, err)
	require.NoError(t, place.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error { return products.Insert(tx, sold) }))
	require.NoError(t, place.Close())
	require.NoError(t, files.Close())
}

// shirt is a product with so many of each of its sizes.
func shirt(handle string, published bool, inventory int64, sizes ...string) products.Product {
	p := products.Product{
		ID: ids.New(), Handle: handle, Title: "Shirt " + handle, Description: "<p>Soft.</p>", Vendor: "Weaver", Tags: "cotton, summer",
		Options: products.Words{"Size"}, Images: products.Words{"https://example.com/" + handle + ".jpg"}, Published: published,
	}
	for i, size := range sizes {
		left := inventory
		p.Variants = append(p.Variants, products.Variant{
			ID: ids.New(), Position: int64(i) + 1, Title: size, Options: products.Words{size}, SKU: handle + "-" + size, Price: 1999, Currency: "EUR",
			Inventory: &left, RequiresShipping: true,
		})
	}
	return p
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
	var sold []products.Product
	for n := range 5 {
		sold = append(sold, shirt(fmt.Sprintf("s%d", n), n != 2, int64(n), "S", "M"))
	}
	p.stocked(t, "toys", sold...)
	var handles []string
	for cursor := ""; ; {
		var page productPage
		status, _ := p.askInto(t, &page, "GET", "toys/products?limit=3&cursor="+cursor, "", nil)
		require.Equal(t, 200, status, page.Code)
		for _, product := range page.Data {
			handles = append(handles, product.Handle)
			require.Equal(t, []string{"cotton", "summer"}, product.Tags)
			require.Len(t, product.Variants, 2)
			require.Equal(t, product.Handle != "s0", product.Variants[1].Available)
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
		status, _ = p.askInto(t, &page, "GET", "demo/products?cursor="+cursor, "", nil)
		require.Equal(t, 400, status, "another storefront's cursor")
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
		{"demo/products/s1", 404, "product_not_found"},
		{"nobody/products", 404, "storefront_not_found"},
		{"toys/products?limit=101", 422, "invalid_input"},
		{"toys/products?cursor=made-up", 400, "invalid_cursor"},
	} {
		var answer struct{ Description, Code string }
		status, _ := p.askInto(t, &answer, "GET", c.path, "", nil)
		require.Equal(t, c.status, status, c.path)
		require.Equal(t, c.code, answer.Code, c.path)
		if status == 200 {
			require.Equal(t, "<p>Soft.</p>", answer.Description)
		}
	}
}
