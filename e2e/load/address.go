package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
)

const mostAddresses = 6 // of one customer; far below what the server allows

// address is what a customer writes of an address.
type address struct {
	FirstName  string `json:"first_name"`
	Line1      string `json:"line1"`
	City       string `json:"city"`
	PostalCode string `json:"postal_code"`
	Country    string `json:"country"`
}

type keptAddress struct {
	ID string
	address
	Default bool
}

// listAddresses reads them all and compares.
func (c *customer) listAddresses(ctx context.Context) error {
	var page struct {
		Data []keptAddress
		Next string `json:"next_cursor"`
	}
	_, _, err := c.load.send(ctx, c, request{
		kind: ListAddresses, method: http.MethodGet, path: "/addresses?limit=100", token: c.session.Access, want: []int{http.StatusOK},
		object: "addresses", read: func() string { return canonical(page.Data) },
	}, &page)
	if err != nil {
		return err
	}
	read, defaults := map[string]string{}, 0
	for _, a := range page.Data {
		read[a.ID] = canonical(a.address)
		if a.Default {
			defaults++
		}
	}
	err = c.expect(defaults == min(1, len(read)) && page.Next == "", "%d of %d addresses are the default", defaults, len(read))
	for _, wrong := range c.addresses.observe(read) {
		err = errors.Join(err, c.expect(false, "address %s", wrong))
	}
	return errors.Join(err, c.expect(true, ""))
}

// writeAddress adds, changes or deletes one, and reads them all back.
func (c *customer) writeAddress(ctx context.Context) error {
	have := c.addresses.ids()
	write := c.addAddress
	if n := len(have); n > 0 && (n == mostAddresses || rand.N(3) > 0) {
		id := have[rand.N(n)]
		write = func(ctx context.Context) error { return c.changeAddress(ctx, id) }
		if rand.N(2) == 0 {
			write = func(ctx context.Context) error { return c.deleteAddress(ctx, id) }
		}
	}
	if err := write(ctx); err != nil {
		return err
	}
	return c.listAddresses(ctx)
}

func (c *customer) nextAddress() address {
	c.writes++
	return address{FirstName: "Zoë", Line1: fmt.Sprintf("%d Hauptstraße", c.writes), City: "Wien", PostalCode: "1010", Country: "AT"}
}

func (c *customer) addAddress(ctx context.Context) error {
	a := c.nextAddress()
	value := canonical(a)
	var made keptAddress
	_, _, err := c.load.send(ctx, c, request{
		kind: AddAddress, method: http.MethodPost, path: "/addresses", token: c.session.Access, body: a, want: []int{http.StatusCreated},
		object: "addresses", value: value,
	}, &made)
	if err != nil {
		c.addresses.maybe = append(c.addresses.maybe, value)
		return err
	}
	c.addresses.added(made.ID, value)
	return nil
}

// changeAddress replaces one of the version that it reads first.
func (c *customer) changeAddress(ctx context.Context, id string) error {
	var read keptAddress
	path, f := "/addresses/"+id, c.addresses.things[id]
	_, header, err := c.load.send(ctx, c, request{
		kind: ReadAddress, method: http.MethodGet, path: path, token: c.session.Access, want: []int{http.StatusOK}, object: "address " + id,
		read: func() string { return canonical(read.address) },
	}, &read)
	if err == nil {
		err = c.compare(f, "address "+id, canonical(read.address))
	}
	if err != nil {
		return err
	}
	a := c.nextAddress()
	value := canonical(a)
	_, _, err = c.load.send(ctx, c, request{
		kind: ChangeAddress, method: http.MethodPut, path: path, token: c.session.Access, match: header.Get("ETag"), body: a,
		want: []int{http.StatusOK}, object: "address " + id, value: value,
	}, nil)
	if err != nil {
		f.doubt(value)
		return err
	}
	f.acknowledge(value)
	return nil
}

func (c *customer) deleteAddress(ctx context.Context, id string) error {
	f := c.addresses.things[id]
	_, _, err := c.load.send(ctx, c, request{
		kind: DeleteAddress, method: http.MethodDelete, path: "/addresses/" + id, token: c.session.Access,
		want: []int{http.StatusNoContent}, object: "address " + id,
	}, nil)
	if err != nil {
		f.doubt("")
		return err
	}
	f.acknowledge("")
	return nil
}
