package imports_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/modules/customers"
	"smartseller/modules/storefronts/imports"
	"smartseller/modules/storefronts/orders"
	"smartseller/modules/storefronts/products"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

const (
	customerHead = "Customer ID,First Name,Last Name,Email,Phone,Default Address Address1,Default Address City,Default Address Country Code,Default Address Phone\n"
	productHead  = "Handle,Title,Option1 Value,Variant Price,Variant SKU\n"
	orderHead    = "Name,Email,Financial Status,Currency,Total,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Id\n"
)

func order(number, email, item, sku, id string) string {
	return number + "," + email + ",paid,EUR,1,2024-01-31 13:45:00 +0100,1," + item + ",1," + sku + "," + id + "\n"
}

// codes are the omissions as "line code".
func (h *home) codes(t *testing.T, slug, id string) (found map[int64][]string) {
	t.Helper()
	found = map[int64][]string{}
	for _, o := range h.omissions(t, slug, id) {
		found[o.Line] = append(found[o.Line], o.Code)
	}
	return found
}

// TestWhatIsThereStays: accounts, products and orders that were made here are neither
// changed nor given what is not known to be theirs.
func TestWhatIsThereStays(t *testing.T) {
	t.Parallel()
	everywhere(t, whatIsThereStays)
}

func whatIsThereStays(t *testing.T, h *home) {
	t.Helper()
	shop := h.shop(t, "toys", "EUR")
	verified, unverified := "verified@example.com", "unverified@example.com"
	require.NoError(t, h.router.Update(context.Background(), shop, func(_ context.Context, tx backends.Tx) error {
		for _, email := range []string{verified, unverified} {
			if err := customers.Insert(tx, &customers.Customer{ID: ids.New(), Email: email, EmailKey: email}); err != nil {
				return err
			}
		}
		return errors.Join(
			products.Insert(tx, []products.Product{{ID: ids.New(), Handle: "taken", Title: "Taken"}}),
			orders.Insert(tx, []orders.Order{{ID: ids.New(), Number: 7, Source: "shop"}}))
	}))
	setVerified(t, h, shop, verified)
	before := h.rows(t, shop)

	ended := h.run(t, "toys", text(imports.Customers, customerHead+
		"1,Ve,Rified,"+verified+",,,,,\n"+
		"2,Un,Verified,"+strings.ToUpper(unverified)+",,,,,\n"+
		"3,Ada,Poe,ada@example.com,,,,,\n"+
		"4,Ada,Twice,ADA@example.com,,,,,\n"),
		text(imports.Products, productHead+"taken,Taken,,1,\nkite,Kite,,1,\n"),
		text(imports.Orders, orderHead+
			order("#7", "a@example.com", "Kite", "", "70")+
			order("#8", verified, "Kite", "", "80")+
			order("#9", unverified, "Kite", "", "90")+
			order("#10", "ada@example.com", "Kite", "", "100")+
			order("#10", "b@example.com", "Kite", "", "101")))
	require.Equal(t, imports.Completed, ended.State, "%+v", ended.Failure)
	require.Equal(t, map[int64][]string{2: {"account_exists", "handle_taken", "number_taken"}, 3: {"account_exists"}, 5: {"duplicate_email"}, 6: {"number_taken"}},
		h.codes(t, "toys", ended.ID))
	rows := h.rows(t, shop)
	for table := range before {
		if table != "counters" {
			require.Subset(t, rows[table], before[table], table)
		}
	}
	buyers := map[any]any{}
	for n, email := range h.column(t, rows, "orders", "email_key") {
		buyers[email] = h.column(t, rows, "orders", "customer_id")[n]
	}
	require.NotNil(t, buyers[verified])
	require.NotNil(t, buyers["ada@example.com"])
	require.Nil(t, buyers[unverified], "whoever registered here need not be who ordered there")
}

var verifyEmail = backends.Write(customers.Tables()[0], `UPDATE customers SET email_verified_at = 1 WHERE storefront_id = $1 AND email_key = $2`)

func setVerified(t *testing.T, h *home, shop backends.StorefrontID, key string) {
	t.Helper()
	require.NoError(t, h.router.Update(context.Background(), shop, func(_ context.Context, tx backends.Tx) error {
		n, err := tx.Exec(verifyEmail, key)
		require.EqualValues(t, 1, n)
		return err
	}))
}

// TestValuesLeftOut: what the storefront takes of no customer is left out and told,
// the rest of the record comes in.
func TestValuesLeftOut(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	shop := h.shop(t, "toys", "EUR")
	ended := h.run(t, "toys", text(imports.Customers, customerHead+
		"1,javascript:alert(1),Poe,a@example.com,call me,Lane 1,Graz,Austria,\n"+
		"2,Bo,Li,b@example.com,+49 (30) 123-456,Lane 2,Graz,AT,none\n"+
		"3,Cy,Fox,c@example.com,,,Graz,AT,\n"+
		"4,Di,Roe,,,,,,\n"+
		"5,"+strings.Repeat("n", 101)+",Moe,e@example.com,,"+strings.Repeat("l", 201)+",Graz,AT,\n"+
		"6,"+strings.Repeat("ü", 100)+",Moe,f@example.com,,"+strings.Repeat("ü", 200)+",Graz,AT,\n"))
	require.Equal(t, map[int64][]string{
		2: {"name_left_out", "phone_left_out", "address_left_out"}, 3: {"phone_left_out"}, 4: {"address_left_out"}, 5: {"no_email"}, 6: {"name_left_out", "address_left_out"},
	}, h.codes(t, "toys", ended.ID))
	rows := h.rows(t, shop)
	require.ElementsMatch(t, []any{"", "+4930123456", "", "", ""}, h.column(t, rows, "customers", "phone"))
	require.ElementsMatch(t, []any{"Lane 2", strings.Repeat("ü", 200)}, h.column(t, rows, "addresses", "line1"))
	require.EqualValues(t, 5, ended.Files[0].Imported)
	require.EqualValues(t, 1, ended.Files[0].Skipped)
}

// TestVariantsAreMeant: an order's line finds its variant by name, and by its code
// where the name fits several.
func TestVariantsAreMeant(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	shop := h.shop(t, "toys", "EUR")
	h.run(t, "toys", text(imports.Products, productHead+"kite,Kite,Red,1,K1\nkite,,Blue,1,K2\n"+
		"dash,Kite - Big,Red,1,B1\ntwin-1,Twin,,1,T1\ntwin-2,Twin,,1,T2\n"))
	wanted := map[string]any{}
	rows := h.rows(t, shop)
	for n, sku := range h.column(t, rows, "product_variants", "sku") {
		wanted[sku.(string)] = h.column(t, rows, "product_variants", "id")[n]
	}
	h.run(t, "toys", text(imports.Orders, orderHead+
		order("#1", "", "Kite - Blue", "", "1")+order("#2", "", "Kite - Big - Red", "", "2")+order("#3", "", "Twin", "T2", "3")+
		order("#4", "", "Twin", "", "4")+order("#5", "", "Kite", "", "5")+order("#6", "", "Gone - Red", "K1", "6")+
		order("#7", "", strings.Repeat("Kite - ", 100_000)+"Blue", "", "7")))
	rows = h.rows(t, shop)
	number := map[any]any{}
	for n, id := range h.column(t, rows, "orders", "id") {
		number[id] = h.column(t, rows, "orders", "number")[n]
	}
	got := map[any]any{}
	for n, id := range h.column(t, rows, "order_lines", "order_id") {
		got[number[id]] = h.column(t, rows, "order_lines", "variant_id")[n]
	}
	require.Equal(t, map[any]any{int64(1): wanted["K2"], int64(2): wanted["B1"], int64(3): wanted["T2"], int64(4): nil, int64(5): nil, int64(6): nil, int64(7): nil}, got)
}

// TestOneAtATime: a second import into the storefront is refused while one is under way,
// as is one too many altogether.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	ctx := context.Background()
	var ends []*io.PipeWriter
	var done []chan error
	for _, slug := range []string{"one", "two", "three", "four", "five"} {
		h.shop(t, slug, "EUR")
	}
	for _, slug := range []string{"one", "two", "three", "four"} {
		r, w := io.Pipe()
		answered := make(chan error, 1)
		ends, done = append(ends, w), append(done, answered)
		go func() {
			_, err := h.Begin(ctx, slug, imports.Shopify, "", source(file{imports.Customers, "c.csv", r}))
			answered <- err
		}()
		_, err := w.Write([]byte(customerHead)) // it reads: so it has begun
		require.NoError(t, err)
		if slug == "one" {
			_, err = h.Begin(ctx, "one", imports.Shopify, "", source(sampleFiles(t)...))
			require.ErrorIs(t, err, imports.ErrOpen)
			require.Equal(t, imports.Receiving, h.last(t, "one").State)
		}
	}
	_, err := h.Begin(ctx, "five", imports.Shopify, "", source(sampleFiles(t)...))
	require.ErrorIs(t, err, imports.ErrBusy)
	require.NoError(t, ends[0].CloseWithError(fault.New(fault.Malformed, "upload_broken", "It broke off.")))
	require.ErrorContains(t, <-done[0], "upload_broken")
	require.Equal(t, imports.Failed, h.last(t, "one").State)
	require.Equal(t, "upload_broken", h.last(t, "one").Failure.Code)
	for n := 1; n < 4; n++ {
		require.NoError(t, ends[n].Close())
		require.NoError(t, <-done[n])
	}
	require.Equal(t, imports.Completed, h.run(t, "one", sampleFiles(t)...).State)
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.shop(t, "toys", "EUR")
	many := make([]file, 21)
	for n := range many {
		many[n] = text(imports.Customers, customerHead)
	}
	for _, c := range []struct {
		slug  string
		files []file
		wants error
	}{
		{"nobody", nil, backends.ErrNoStorefront},
		{"toys", nil, imports.ErrNoFiles},
		{"toys", many, imports.ErrTooMany},
		{"toys", []file{text("gifts", "")}, fault.InvalidField("", "", "")},
	} {
		_, err := h.Begin(context.Background(), c.slug, imports.Shopify, "", source(c.files...))
		require.ErrorIs(t, err, c.wants)
	}
	left, err := os.ReadDir(h.folder)
	require.NoError(t, err)
	require.Empty(t, left)
	ended := h.run(t, "toys", many[0], many[1], file{imports.Customers, "\x00\n", strings.NewReader(customerHead)})
	require.Equal(t, []string{"customers.csv", "customers.csv (2)", "customers.csv (3)"}, []string{ended.Files[0].Name, ended.Files[1].Name, ended.Files[2].Name})
	h.shop(t, "other", "EUR")
	_, err = h.Get(context.Background(), "other", ended.ID)
	require.ErrorIs(t, err, imports.ErrNoImport)
	_, err = h.Omissions(context.Background(), "other", ended.ID, 0, 1)
	require.ErrorIs(t, err, imports.ErrNoImport)
}

// TestCodesAreExplained: whatever is left out is told in words.
func TestCodesAreExplained(t *testing.T) {
	t.Parallel()
	require.Len(t, imports.Codes(), 9)
	for _, code := range imports.Codes() {
		require.NotEmpty(t, imports.Omission{Code: code}.Detail(), code)
	}
}
