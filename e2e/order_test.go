package e2e

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

type order struct {
	ID       string
	Number   int64
	Status   any // a word of an order, a number of a problem
	Currency string
	Total    int64
	PlacedAt int64             `json:"placed_at"`
	Address  map[string]string `json:"shipping_address"`
	Lines    []struct {
		VariantID string `json:"variant_id"`
		Title     string
		Quantity  int64
		Price     int64
	}
	Code, Detail string
	Errors       []struct{ Pointer, Parameter, Code, Detail string }
}

// wants is the body of an order of quantities of variants.
func wants(pairs ...any) map[string]any {
	var lines []map[string]any
	for i := 0; i < len(pairs); i += 2 {
		lines = append(lines, map[string]any{"variant_id": pairs[i], "quantity": pairs[i+1]})
	}
	return map[string]any{"lines": lines}
}

// orders reads every page of a customer's orders at the storefront toys.
func (p *program) orders(t *testing.T, token string) (all []order) {
	t.Helper()
	for cursor := ""; ; {
		var page struct {
			Data       []order
			NextCursor string `json:"next_cursor"`
		}
		status, _ := p.askInto(t, &page, "GET", "toys/orders?limit=4&cursor="+cursor, token, nil)
		require.Equal(t, http.StatusOK, status)
		all = append(all, page.Data...)
		if cursor = page.NextCursor; cursor == "" {
			return all
		}
	}
}

// comesIn registers somebody with an address at the storefront toys.
func (p *program) comesIn(t *testing.T, who string) (token string) {
	t.Helper()
	status, s, _ := p.ask(t, "POST", "toys/auth/register", "", map[string]any{"email": who + "@example.com", "password": password})
	require.Equal(t, http.StatusCreated, status, s.Code)
	status, _ = p.askInto(t, &address{}, "POST", "toys/addresses", s.Session.Access, place("Berlin"))
	require.Equal(t, http.StatusCreated, status)
	return s.Session.Access
}

// TestTheLastOnesAreSoldOnce: a crowd orders more than there is while the storefront
// moves; what was sold is there afterwards, at the new place and back.
func TestTheLastOnesAreSoldOnce(t *testing.T) {
	t.Parallel()
	p := install(t)
	p.create(t, "toys", "files-1")
	p.offers(t, "toys", item{handle: "s", inventory: 20, sizes: []string{"S", "M"}})
	sold := p.variants(t, "toys")
	small, medium := sold["s S"], sold["s M"]
	tokens := []string{p.comesIn(t, "ada"), p.comesIn(t, "eve")}

	move := strings.Fields(p.must(t, "move", "start", "toys", "files-2"))[0]
	var placed, refused atomic.Int64
	numbers := sync.Map{}
	var crowd sync.WaitGroup
	for i := range 6 {
		crowd.Go(func() {
			for range 5 {
				body := wants(small, 1, medium, 1)
				if i%2 == 1 {
					body = wants(medium, 1, small, 1)
				}
				var o order
				switch status, _ := p.askInto(t, &o, "POST", "toys/orders", tokens[i%2], body); {
				case status == http.StatusCreated:
					placed.Add(1)
					numbers.Store(o.Number, o.ID)
				case status == http.StatusConflict && o.Code == "out_of_stock":
					refused.Add(1)
				}
			}
		})
	}
	crowd.Wait()
	require.EqualValues(t, 20, placed.Load())
	require.EqualValues(t, 10, refused.Load())
	p.waitFor(t, move, "watching")
	check := func() (all []order) {
		for _, token := range tokens {
			all = append(all, p.orders(t, token)...)
		}
		require.Len(t, all, 20)
		for _, o := range all {
			id, ok := numbers.Load(o.Number)
			require.True(t, ok)
			require.Equal(t, o.ID, id, "a number of its own")
		}
		return all
	}
	before := check()
	var page productPage
	_, _ = p.askInto(t, &page, "GET", "toys/products", "", nil)
	require.False(t, page.Data[0].Variants[0].Available)
	p.must(t, "move", "rollback", move)
	p.waitFor(t, move, "rolled_back")
	require.Equal(t, before, check())
	var o order
	status, _ := p.askInto(t, &o, "POST", "toys/orders", tokens[0], wants(small, 1))
	require.Equal(t, http.StatusConflict, status, "what was sold at the new place is sold here too")
}

func TestOrderAndReadIt(t *testing.T) {
	t.Parallel()
	p := install(t)
	p.create(t, "toys", "files-1")
	p.offers(t, "toys", item{handle: "s", inventory: 20, sizes: []string{"S", "M"}})
	sold := p.variants(t, "toys")
	small, medium := sold["s S"], sold["s M"]
	token, foreign := p.comesIn(t, "ada"), p.comesIn(t, "eve")

	var o, again, read order
	body, key := wants(medium, 2, small, 1), []string{"Idempotency-Key", "cart-1"}
	status, header := p.askInto(t, &o, "POST", "toys/orders", token, body, key...)
	require.Equal(t, http.StatusCreated, status, o.Detail)
	require.Equal(t, "/api/storefront/toys/orders/"+o.ID, header.Get("Location"))
	require.Equal(t, `"v1"`, header.Get("ETag"))
	require.EqualValues(t, 3*1999, o.Total)
	require.Equal(t, []any{int64(1001), "open", "EUR", "Berlin"}, []any{o.Number, o.Status, o.Currency, o.Address["city"]})
	require.Equal(t, "Shirt s - M", o.Lines[0].Title)
	status, _ = p.askInto(t, &again, "POST", "toys/orders", token, body, key...)
	require.Equal(t, http.StatusCreated, status)
	require.Equal(t, o, again, "sent again: the same answer, and nothing more")
	status, header = p.askInto(t, &read, "GET", "toys/orders/"+o.ID, token, nil)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, o, read)
	status, _ = p.askInto(t, nil, "GET", "toys/orders/"+o.ID, token, nil, "If-None-Match", header.Get("ETag"))
	require.Equal(t, http.StatusNotModified, status)

	// Four at once with one key: one order.
	var answers [4]order
	var requests sync.WaitGroup
	for i := range answers {
		requests.Go(func() {
			_, _ = p.askInto(t, &answers[i], "POST", "toys/orders", token, wants(small, 1), "Idempotency-Key", "cart-2")
		})
	}
	requests.Wait()
	for _, a := range answers {
		require.Equal(t, answers[0], a)
	}
	all := p.orders(t, token)
	require.Len(t, all, 2)
	require.Equal(t, []string{answers[0].ID, o.ID}, []string{all[0].ID, all[1].ID}, "newest first")
	require.Empty(t, p.orders(t, foreign))

	for _, c := range []struct {
		name, method, path, token string
		body                      any
		header                    []string
		status                    int
		code, at                  string
	}{
		{"anonymous", "POST", "toys/orders", "", body, nil, 401, "token_required", ""},
		{"another storefront's customer", "GET", "demo/orders", token, nil, nil, 401, "invalid_token", ""},
		{"another customer's", "GET", "toys/orders/" + o.ID, foreign, nil, nil, 404, "order_not_found", ""},
		{"no id at all", "GET", "toys/orders/nonsense", token, nil, nil, 404, "order_not_found", ""},
		{"out of stock", "POST", "toys/orders", token, wants(medium, 1, small, 19), nil, 409, "out_of_stock", "/lines/1/quantity"},
		{"another body for the key", "POST", "toys/orders", token, wants(small, 1), key, 422, "idempotency_key_reused", ""},
		{"a key with spaces", "POST", "toys/orders", token, body, []string{"Idempotency-Key", "a b"}, 422, "invalid_input", "Idempotency-Key"},
		{"unknown variant", "POST", "toys/orders", token, wants(small, 1, "nothing", 1), nil, 422, "invalid_input", "/lines/1/variant_id"},
		{"twice", "POST", "toys/orders", token, wants(small, 1, small, 1), nil, 422, "invalid_input", "/lines/1/variant_id"},
		{"nothing", "POST", "toys/orders", token, wants(small, 0), nil, 422, "invalid_input", "/lines/0/quantity"},
		{"no lines", "POST", "toys/orders", token, map[string]any{"lines": []any{}}, nil, 422, "invalid_input", "/lines"},
		{"its own price", "POST", "toys/orders", token, map[string]any{"lines": []any{map[string]any{"variant_id": small, "quantity": 1, "price": 1}}}, nil, 422, "invalid_input", "/lines/0/price"},
		{"unknown status", "GET", "toys/orders?status=lost", token, nil, nil, 422, "invalid_input", "status"},
		{"backwards", "GET", "toys/orders?from=2024-02-01T00:00:00Z&to=2024-01-01T00:00:00Z", token, nil, nil, 422, "invalid_input", "to"},
		{"no time", "GET", "toys/orders?from=yesterday", token, nil, nil, 422, "invalid_input", "from"},
		{"made-up cursor", "GET", "toys/orders?cursor=abc", token, nil, nil, 400, "invalid_cursor", ""},
	} {
		var answer order
		status, _ := p.askInto(t, &answer, c.method, c.path, c.token, c.body, c.header...)
		require.Equal(t, c.status, status, c.name)
		require.Equal(t, c.code, answer.Code, c.name)
		if c.at != "" {
			require.Len(t, answer.Errors, 1, c.name)
			require.Equal(t, c.at, cmp.Or(answer.Errors[0].Pointer, answer.Errors[0].Parameter), c.name)
		}
		if c.code == "out_of_stock" {
			require.Contains(t, answer.Detail, fmt.Sprintf("%q (variant %s)", "Shirt s - S", small))
		}
	}
	require.Len(t, p.orders(t, token), 2, "bad input changes nothing")
	var filtered struct{ Data []order }
	for query, n := range map[string]int{
		"status=open": 2, "status=cancelled": 0, "from=2024-01-01T00:00:00Z": 2, "to=2024-01-01T00:00:00Z": 0,
	} {
		status, _ := p.askInto(t, &filtered, "GET", "toys/orders?"+query, token, nil)
		require.Equal(t, http.StatusOK, status)
		require.Len(t, filtered.Data, n, query)
	}
}
