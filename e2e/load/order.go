package load

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
)

// A customer orders up to so many different variants at once, and so many of each.
const (
	mostLines    = 3
	mostQuantity = 2
)

type orderLine struct {
	VariantID string `json:"variant_id"`
	Quantity  int64  `json:"quantity"`
}

// order is what is kept of an order, and must stay so.
type order struct {
	Number   int64
	Total    int64
	PlacedAt int64 `json:"placed_at"`
}

// orderDetail is an order as it is read by itself.
type orderDetail struct {
	order
	Address any `json:"shipping_address"`
	Lines   []orderLine
}

// variant is something that can be ordered.
type variant struct {
	id    string
	price int64
}

// pending is an order whose answer was lost: sent again with its key, it must yield
// the order that was made, or make it now, and in no case a second one.
type pending struct {
	key   string
	lines []orderLine
}

// browse reads what is sold.
func (l *Load) browse(ctx context.Context, c *customer) error {
	for cursor := ""; ; {
		var page struct {
			Data []struct {
				Variants []struct {
					ID        string
					Price     int64
					Currency  string
					Available bool
				}
			}
			Next string `json:"next_cursor"`
		}
		_, _, err := l.send(ctx, c, request{
			kind: ListProducts, method: http.MethodGet, path: "/products?limit=100&cursor=" + cursor, want: []int{http.StatusOK}, object: "products",
		}, &page)
		if err != nil {
			return fmt.Errorf("list products: %w", err)
		}
		for _, p := range page.Data {
			for _, v := range p.Variants {
				if !v.Available || l.currency != "" && v.Currency != l.currency {
					continue
				}
				l.currency = v.Currency
				l.catalogue = append(l.catalogue, variant{v.ID, v.Price})
				l.stock.offer(v.ID)
			}
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}

// placeOrder orders something and reads the order.
func (c *customer) placeOrder(ctx context.Context) error {
	if len(c.addresses.ids()) == 0 {
		if err := c.addAddress(ctx); err != nil {
			return err
		}
	}
	p := &pending{key: rand.Text()}
	for _, n := range mathrand.Perm(len(c.load.catalogue))[:min(mostLines, len(c.load.catalogue))] {
		p.lines = append(p.lines, orderLine{c.load.catalogue[n].id, 1 + mathrand.Int64N(mostQuantity)})
	}
	p.lines = p.lines[:1+mathrand.IntN(len(p.lines))]
	c.load.stock.ordering(p.lines)
	id, err := c.order(ctx, p)
	if err != nil || id == "" {
		return err
	}
	return c.readOrder(ctx, id)
}

// order sends an order, and keeps it in mind until there is an answer; id is "" when
// it was refused for a good reason.
func (c *customer) order(ctx context.Context, p *pending) (id string, err error) {
	c.pending = p
	sold := c.load.stock.sold(p.lines)
	var made struct {
		ID string
		orderDetail
	}
	var problem outOfStock
	status, _, err := c.load.send(ctx, c, request{
		kind: PlaceOrder, method: http.MethodPost, path: "/orders", token: c.session.Access, key: p.key, body: map[string]any{"lines": p.lines},
		want: []int{http.StatusCreated, http.StatusConflict}, object: "orders", problem: &problem,
		read: func() string { return canonical(made.order) },
	}, &made)
	if err != nil {
		return "", err
	}
	c.pending = nil
	if status == http.StatusConflict {
		return "", c.shortage(p.lines, sold, problem)
	}
	c.load.stock.acknowledged(p.lines)
	c.orders.added(made.ID, canonical(made.order))
	c.details[made.ID] = &fact{known: canonical(made.orderDetail)}
	return made.ID, errors.Join(
		c.expect(slices.Equal(made.Lines, p.lines) && made.Total == c.load.priceOf(p.lines), "order %s is not what was ordered", made.ID),
		c.expect(c.load.numberOf(made.Number, made.ID), "order %s has the number %d of another one", made.ID, made.Number))
}

// outOfStock is the problem document of an order that was refused.
type outOfStock struct {
	Code   string
	Errors []struct{ Pointer, Detail string }
}

var (
	lineForm = regexp.MustCompile(`^/lines/([0-9]+)/quantity$`)
	leftForm = regexp.MustCompile(`at most ([0-9]+)$`)
)

// shortage judges a refusal.
func (c *customer) shortage(lines []orderLine, sold map[string]int64, problem outOfStock) error {
	r, ok := problem.refusal(lines)
	if !ok {
		return c.expect(false, "an order was refused by %q, without a line that was ordered", problem.Code)
	}
	wrong := c.load.stock.refused(lines, sold, r)
	return c.expect(wrong == "", "%s", wrong)
}

func (p outOfStock) refusal(lines []orderLine) (r refusal, ok bool) {
	if p.Code != "out_of_stock" || len(p.Errors) != 1 {
		return r, false
	}
	line, left := lineForm.FindStringSubmatch(p.Errors[0].Pointer), leftForm.FindStringSubmatch(p.Errors[0].Detail)
	if line == nil || left == nil {
		return r, false
	}
	n, _ := strconv.Atoi(line[1])
	if n >= len(lines) {
		return r, false
	}
	r.variant, r.wanted = lines[n].VariantID, lines[n].Quantity
	r.left, _ = strconv.ParseInt(left[1], 10, 64)
	return r, true
}

func (l *Load) priceOf(lines []orderLine) (total int64) {
	for _, line := range lines {
		for _, v := range l.catalogue {
			if v.id == line.VariantID {
				total += v.price * line.Quantity
			}
		}
	}
	return total
}

// numberOf says whether a number is that of this order alone.
func (l *Load) numberOf(number int64, order string) bool {
	known, _ := l.numbers.LoadOrStore(number, order)
	return known == order
}

// readOrder reads one order and compares it with what was acknowledged.
func (c *customer) readOrder(ctx context.Context, id string) error {
	var read orderDetail
	_, _, err := c.load.send(ctx, c, request{
		kind: ReadOrder, method: http.MethodGet, path: "/orders/" + id, token: c.session.Access, want: []int{http.StatusOK}, object: "order " + id,
		read: func() string { return canonical(read.order) },
	}, &read)
	if err != nil {
		return err
	}
	if c.details[id] == nil { // one that nobody ordered: the list has told
		c.details[id] = &fact{known: canonical(read)}
	}
	return c.compare(c.details[id], "order "+id, canonical(read))
}

// readSomeOrder reads one of the customer's orders, if there is any.
func (c *customer) readSomeOrder(ctx context.Context) error {
	ids := c.orders.ids()
	if len(ids) == 0 {
		return c.listOrders(ctx)
	}
	return c.readOrder(ctx, ids[mathrand.IntN(len(ids))])
}

// readSomeOrders reads the orders that were not verified yet, and some of the others.
func (c *customer) readSomeOrders(ctx context.Context) error {
	return c.proved.some(ctx, c.orders.ids(), c.readOrder)
}

// listOrders reads every page and compares: each order once, newest first.
func (c *customer) listOrders(ctx context.Context) error {
	all, last := map[string]string{}, int64(0)
	for cursor := ""; ; {
		var page struct {
			Data []struct {
				ID string
				order
			}
			Next string `json:"next_cursor"`
		}
		_, _, err := c.load.send(ctx, c, request{
			kind: ListOrders, method: http.MethodGet, path: "/orders?limit=50&cursor=" + cursor, token: c.session.Access, want: []int{http.StatusOK},
			object: "orders", read: func() string { return canonical(page.Data) },
		}, &page)
		if err != nil {
			return err
		}
		for _, o := range page.Data {
			err = errors.Join(err, c.expect(all[o.ID] == "" && (last == 0 || o.PlacedAt <= last), "order %s stands in the list twice or in the wrong place", o.ID))
			all[o.ID], last = canonical(o.order), o.PlacedAt
		}
		if err != nil {
			return err
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	var err error
	for _, wrong := range c.orders.observe(all) {
		err = errors.Join(err, c.expect(false, "order %s", wrong))
	}
	return errors.Join(err, c.expect(true, ""))
}

// settleOrder sends an order whose answer was lost again.
func (c *customer) settleOrder(ctx context.Context) error {
	if c.pending == nil {
		return nil
	}
	_, err := c.order(ctx, c.pending)
	return err
}
