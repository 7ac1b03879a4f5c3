package control

import (
	"context"
	"errors"
	"slices"
	"time"
)

// HostLeases are the rights to work that one instance at a time does, and on the files of each
// host one that is there: no other reaches them. Safe for concurrent use.
type HostLeases struct {
	DB     *DB
	Work   string        // names them
	Holder string        // this instance; "": this process
	Host   string        // where it is; "": that is not known
	Life   time.Duration // for so long others wait when it dies
}

// Of is the lease of a host's files; "": of what every instance reaches.
func (h *HostLeases) Of(host string) *Lease {
	name := h.Work
	if host != "" {
		name += " on " + host
	}
	return NewLease(h.DB, name, h.Holder, h.Life)
}

// own are the hosts whose leases this instance may have.
func (h *HostLeases) own() []string { return slices.Compact([]string{"", h.Host}) }

// Hold takes or renews those of hosts that this instance may have, and returns by host those
// that it has.
func (h *HostLeases) Hold(ctx context.Context, hosts []string) (map[string]*Lease, error) {
	held := map[string]*Lease{}
	for _, host := range h.own() {
		if !slices.Contains(hosts, host) {
			continue
		}
		lease := h.Of(host)
		has, err := lease.Hold(ctx)
		if err != nil {
			return nil, err
		}
		if has {
			held[host] = lease
		}
	}
	return held, nil
}

// Release hands them back, so that another instance goes on at once.
func (h *HostLeases) Release(ctx context.Context) error {
	var failed error
	for _, host := range h.own() {
		failed = errors.Join(failed, h.Of(host).Release(ctx))
	}
	return failed
}
