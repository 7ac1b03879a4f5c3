package imports_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/modules/storefronts/imports"
	"smartseller/modules/storefronts/shopify/exporttest"
	"smartseller/modules/storefronts/shopify/sample"
)

// expected is what an export holds, by its own expected.json.
type expected struct {
	Customers sample.ExpectedCustomers
	Orders    sample.ExpectedOrders
}

// requireHeld counts what the storefront has now.
func (h *home) requireHeld(t *testing.T, rows map[string][]backends.Row, want expected) {
	t.Helper()
	require.Len(t, rows["customers"], want.Customers.Importable)
	for _, hash := range h.column(t, rows, "customers", "password_hash") {
		require.Nil(t, hash)
	}
	got := sample.ExpectedOrders{Orders: len(rows["orders"]), Lines: len(rows["order_lines"])}
	for _, customer := range h.column(t, rows, "orders", "customer_id") {
		if customer == nil {
			got.Guests++
		}
	}
	for _, total := range h.column(t, rows, "orders", "total") {
		got.TotalCents += total.(int64)
	}
	for _, refunded := range h.column(t, rows, "orders", "refunded") {
		if refunded.(int64) > 0 {
			got.Refunded++
		}
	}
	for _, at := range h.column(t, rows, "orders", "cancelled_at") {
		if at != nil {
			got.Cancelled++
		}
	}
	require.Equal(t, want.Orders, got)
	for _, variant := range h.column(t, rows, "order_lines", "variant_id") {
		require.NotNil(t, variant, "every line is about a product of the export")
	}
	h.requireReferences(t, rows)
}

// requireReferences holds what rows point to against what is there.
func (h *home) requireReferences(t *testing.T, rows map[string][]backends.Row) {
	t.Helper()
	for _, table := range h.tables.Moving() {
		for _, r := range table.References {
			there := map[any]bool{nil: true}
			for _, id := range h.column(t, rows, r.Table, "id") {
				there[id] = true
			}
			for _, id := range h.column(t, rows, table.Name, r.Column) {
				require.True(t, there[id], "%s.%s", table.Name, r.Column)
			}
		}
	}
}

// requireReport holds a report against what the export holds.
func (h *home) requireReport(t *testing.T, slug string, i *imports.Import, want expected, imported bool) {
	t.Helper()
	require.Equal(t, imports.Completed, i.State, "%+v", i.Failure)
	omitted := map[string]map[string]int64{}
	for _, o := range h.omissions(t, slug, i.ID) {
		require.NotEmpty(t, o.Detail())
		require.Greater(t, o.Line, int64(1))
		if omitted[o.File] == nil {
			omitted[o.File] = map[string]int64{}
		}
		omitted[o.File][o.Code]++
	}
	customers, records := want.Customers, map[imports.Kind]int64{}
	for _, f := range i.Files {
		require.Equal(t, f.Records, f.Imported+f.Unchanged+f.Skipped, f.Name)
		require.Equal(t, f.Bytes, f.Checked)
		require.Equal(t, len(omitted[f.Name]), len(f.Omissions))
		if len(f.Omissions) > 0 {
			require.Equal(t, omitted[f.Name], f.Omissions)
		}
		if imported {
			require.Zero(t, f.Unchanged, f.Name)
		} else {
			require.Zero(t, f.Imported, f.Name)
		}
		records[f.Kind] += f.Imported + f.Unchanged
		if f.Kind == imports.Customers {
			require.EqualValues(t, customers.Rows, f.Records)
			require.Equal(t, map[string]int64{
				"no_email": int64(customers.Blank), "invalid_email": int64(customers.Invalid), "duplicate_email": int64(customers.Duplicate),
			}, f.Omissions)
		}
	}
	require.EqualValues(t, customers.Importable, records[imports.Customers])
	require.EqualValues(t, want.Orders.Orders, records[imports.Orders])
}

func sampleFiles(t *testing.T) []file {
	t.Helper()
	return folderFiles(t, sample.Files, map[imports.Kind][]string{
		imports.Orders: {"orders.csv"}, imports.Products: {"products.csv"}, imports.Customers: {"customers.csv"},
	})
}

// folderFiles opens files, the orders first: what comes first is for the importer to
// know.
func folderFiles(t *testing.T, folder fs.FS, names map[imports.Kind][]string) (files []file) {
	t.Helper()
	for _, kind := range slices.Backward(slices.Sorted(maps.Keys(names))) {
		for _, name := range names[kind] {
			f, err := folder.Open(name)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, f.Close()) })
			files = append(files, file{kind, name, f})
		}
	}
	return files
}

func sampleExpected(t *testing.T) (e expected) {
	t.Helper()
	text, err := sample.Files.ReadFile("expected.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &e))
	return e
}

// everywhere runs a test on files, and on Postgres.
func everywhere(t *testing.T, test func(t *testing.T, h *home)) {
	t.Helper()
	for name, furnished := range map[string]func(*testing.T) *home{"files": newHome, "Postgres": newPostgresHome} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, furnished(t))
		})
	}
}

// TestOwnSample imports it twice, and a third time as the first start does.
func TestOwnSample(t *testing.T) {
	t.Parallel()
	everywhere(t, importOwnSample)
}

func importOwnSample(t *testing.T, h *home) {
	t.Helper()
	toys, want := h.shop(t, "toys", sample.Currency), sampleExpected(t)
	h.requireReport(t, "toys", h.run(t, "toys", sampleFiles(t)...), want, true)
	rows := h.rows(t, toys)
	h.requireHeld(t, rows, want)
	require.Equal(t, int64(sample.FirstNumber+want.Orders.Orders-1), h.column(t, rows, "counters", "value")[0], "orders to come get numbers above")

	h.requireReport(t, "toys", h.run(t, "toys", sampleFiles(t)...), want, false)
	require.Equal(t, rows, h.rows(t, toys), "a second run changes nothing")
	require.NoError(t, h.Sample(context.Background(), "toys"))
	require.Equal(t, rows, h.rows(t, toys))

	other := h.shop(t, "other", sample.Currency)
	require.NoError(t, h.Sample(context.Background(), "other"))
	h.requireHeld(t, h.rows(t, other), want)
	require.NotEqual(t, h.column(t, rows, "customers", "id"), h.column(t, h.rows(t, other), "customers", "id"))
}

// TestSharedExport imports a real export, where one is at hand.
func TestSharedExport(t *testing.T) {
	t.Parallel()
	found := exporttest.Folder(t)
	content, err := os.ReadFile(filepath.Join(found, "expected.json"))
	require.NoError(t, err)
	var want expected
	require.NoError(t, json.Unmarshal(content, &want))
	export := func() []file {
		return folderFiles(t, os.DirFS(found), map[imports.Kind][]string{
			imports.Orders: {"orders.csv"}, imports.Customers: {"customers.csv"},
			imports.Products: {"products-jewelery.csv", "products-apparel.csv", "products-home-and-garden.csv"},
		})
	}
	h := newHome(t)
	shop := h.shop(t, "shared", "USD")
	first := h.run(t, "shared", export()...)
	h.requireReport(t, "shared", first, want, true)
	require.EqualValues(t, 23, first.Files[1].Parts["variants"], "of the products that the orders are about")
	rows := h.rows(t, shop)
	h.requireHeld(t, rows, want)
	h.requireReport(t, "shared", h.run(t, "shared", export()...), want, false)
	require.Equal(t, rows, h.rows(t, shop), "a second run changes nothing")
}

// TestMalformed: a file that is not what it should be, whichever it is and however far
// behind, imports nothing, and the report leads to the place.
func TestMalformed(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	shop := h.shop(t, "toys", sample.Currency)
	for _, c := range []struct {
		kind   imports.Kind
		add    string
		column string
	}{
		{imports.Customers, "7,too,few\n", ""},
		{imports.Products, "a \"quote\" inside" + strings.Repeat(",", 45) + "\n", ""},
		{imports.Orders, "#999999" + strings.Repeat(",", 49) + "\n", "Name"},
	} {
		files := sampleFiles(t)
		at := slices.IndexFunc(files, func(f file) bool { return f.kind == c.kind })
		content, err := sample.Files.ReadFile(string(c.kind) + ".csv")
		require.NoError(t, err)
		files[at].content = strings.NewReader(string(content) + c.add)
		failed := h.run(t, "toys", files...)
		require.Equal(t, imports.Failed, failed.State)
		require.Equal(t, 422, failed.Failure.Status)
		require.Equal(t, "malformed_file", failed.Failure.Code)
		require.Equal(t, files[at].name, failed.Failure.File)
		require.Equal(t, strings.Count(string(content), "\n")+1, failed.Failure.Line)
		require.Equal(t, c.column, failed.Failure.Column)
		require.Contains(t, failed.Failure.Detail, files[at].name)
		for table, rows := range h.rows(t, shop) {
			require.Empty(t, rows, table)
		}
	}
	require.Len(t, h.openings(t, "toys"), 3, "and each can be read about later")
}

func (h *home) openings(t *testing.T, slug string) (ids []string) {
	t.Helper()
	for cursor := ""; ; {
		page, err := h.List(context.Background(), slug, cursor, 2)
		require.NoError(t, err)
		for _, i := range page {
			ids = append(ids, i.ID)
		}
		if len(page) < 2 {
			return ids
		}
		cursor = page[1].ID
	}
}
