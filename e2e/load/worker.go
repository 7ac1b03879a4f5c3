package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// worker acts for its customers, one activity at a time, so that what each of them
// must see is exactly known.
type worker struct {
	load      *Load
	number    int
	customers []*customer
	rival     *rival // nil: there are none
}

// activity is something that a customer does, and how often among all.
type activity struct {
	weight int
	act    func(c *customer, ctx context.Context) error
}

// activities: logging in costs the server a password hash, on purpose, and is rare.
var activities = []activity{
	{30, (*customer).readProfile},
	{15, (*customer).writeProfile},
	{10, (*customer).listAddresses},
	{20, (*customer).writeAddress},
	{8, (*customer).refresh},
	{2, (*customer).relogin},
}

// writing are those of Options.Writing.
var writing = []activity{
	{1, (*customer).writeProfile},
	{1, (*customer).writeAddress},
}

// shopping are the activities at a storefront that sells something.
var shopping = []activity{
	{15, (*customer).placeOrder},
	{5, (*customer).readSomeOrder},
	{5, (*customer).listOrders},
}

// run keeps the pace until ctx ends. Requests under way are not cut off.
func (w *worker) run(ctx context.Context) {
	every := time.Second * time.Duration(w.load.o.Workers) / time.Duration(w.load.o.Rate)
	select { // not all at once
	case <-ctx.Done():
		return
	case <-time.After(every * time.Duration(w.number) / time.Duration(w.load.o.Workers)):
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	whole := context.WithoutCancel(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if w.rival != nil && rand.N(rivalsTurn) == 0 {
				w.rival.act(whole)
			} else {
				w.customers[rand.N(len(w.customers))].do(whole, choose(w.load.activities))
			}
		}
	}
}

func choose(activities []activity) activity {
	total := 0
	for _, a := range activities {
		total += a.weight
	}
	n := rand.N(total)
	for _, a := range activities {
		if n -= a.weight; n < 0 {
			return a
		}
	}
	panic("unreachable: weights add up")
}

// do acts, having found out first what became of requests without an answer.
func (c *customer) do(ctx context.Context, a activity) {
	if !c.settled(ctx) {
		return // nobody answers; the next turn tries again
	}
	var err error
	if c.session != nil && c.session.aged(c.came) { // not every mix of activities renews it
		err = c.refresh(ctx)
	}
	if err == nil {
		err = a.act(c, ctx)
	}
	if err != nil && !errors.Is(err, errDiffers) {
		c.doubt = true
		if !neverAsked(err) {
			c.doubted = time.Now()
		}
	}
}

// lateness is how much later than its client's loss of an answer a request may still
// come about: what a server that was killed had asked of its database is carried out.
const lateness = time.Second

// settled reads everything of which the state is unknown. It is false as long as
// the server gives no answer, and as long as what was asked may still come about.
func (c *customer) settled(ctx context.Context) bool {
	if !c.doubt {
		return true
	}
	if c.load.o.Restarts && time.Since(c.doubted) < lateness {
		return false
	}
	for _, read := range []func(context.Context) error{c.refresh, c.readProfile, c.listAddresses, c.settleOrder, c.listOrders} {
		if err := read(ctx); err != nil && !errors.Is(err, errDiffers) {
			return false
		}
	}
	c.doubt = false
	return true
}
