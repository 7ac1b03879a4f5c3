package orders

import (
	"math"
	"time"

	"smartseller/platform/fault"
)

// ErrNotFound is the answer to an order that does not exist or is somebody else's.
var ErrNotFound = fault.New(fault.NotFound, "order_not_found", "There is no such order.")

// Status sums an order up.
type Status string

// The statuses.
const (
	Open      Status = "open"
	Fulfilled Status = "fulfilled"
	Cancelled Status = "cancelled"
)

// Status is what has become of the order.
func (o *Order) Status() Status {
	switch {
	case o.CancelledAt != nil:
		return Cancelled
	case o.FulfilledAt != nil:
		return Fulfilled
	}
	return Open
}

// Filter says which orders to list.
type Filter struct {
	Status   Status // "": any
	From, To int64  // placed at From or later and before To; microseconds UTC
}

// NewFilter makes a filter; zero values do not bound it.
func NewFilter(status Status, from, to time.Time) Filter {
	f := Filter{Status: status, From: math.MinInt64, To: math.MaxInt64}
	if !from.IsZero() {
		f.From = from.UnixMicro()
	}
	if !to.IsZero() {
		f.To = to.UnixMicro()
	}
	return f
}

func (f Filter) check() error {
	if f.From > f.To {
		return fault.InvalidParameter("to", "invalid_range", "must not be earlier than from")
	}
	return nil
}
