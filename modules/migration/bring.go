package migration

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"smartseller/backends"
)

// bring makes rows at one place equal to what the other says of them now, as many at a time
// as memory is meant to hold; p with the last of them.
func (x *run) bring(ctx context.Context, from, to backends.Store, keys []backends.Key, p *backends.Progress) error {
	for keys = distinct(keys); len(keys) > 0 || p != nil; {
		rows, rest, err := someRows(ctx, from, keys)
		if err != nil {
			return err
		}
		b := backends.Batch{Keys: without(keys, rest), Rows: rows, Verify: x.keepVerifying}
		if keys = rest; len(keys) == 0 {
			b.Progress, p = p, nil
		}
		if err := x.apply(ctx, from, to, b); err != nil {
			return err
		}
	}
	return nil
}

// someRows reads the rows of the first of the keys, as many as memory is meant to hold.
func someRows(ctx context.Context, from backends.Store, keys []backends.Key) (rows map[backends.Key]backends.Row, rest []backends.Key, err error) {
	err = from.Read(ctx, func(r backends.Reader) (err error) {
		rows, rest, err = r.SomeRows(keys)
		return err
	})
	return rows, rest, err
}

// gone are those of the keys of which the source has no row.
func (x *run) gone(ctx context.Context, keys []backends.Key) (gone []backends.Key, err error) {
	for keys = distinct(keys); len(keys) > 0; {
		rows, rest, err := someRows(ctx, x.source, keys)
		if err != nil {
			return nil, err
		}
		for _, k := range without(keys, rest) {
			if _, there := rows[k]; !there {
				gone = append(gone, k)
			}
		}
		keys = rest
	}
	return gone, nil
}

// apply brings a batch. Rows in the way of a unique key are brought along, until none is: the
// other place satisfies uniqueness, so this ends.
func (x *run) apply(ctx context.Context, from, to backends.Store, b backends.Batch) error {
	for {
		err := to.Apply(ctx, x.token, b)
		var more *backends.HolderError
		if !errors.As(err, &more) {
			return err
		}
		grown := distinct(append(b.Keys, more.Holders...))
		if len(grown) == len(b.Keys) {
			return fmt.Errorf("rows contradict each other at the place they are read from: %w", err)
		}
		b.Keys = grown
		if err := from.Read(ctx, func(r backends.Reader) (err error) {
			b.Rows, err = r.Rows(grown)
			return err
		}); err != nil {
			return err
		}
	}
}

// without are the keys that are not among the others.
func without(keys, others []backends.Key) []backends.Key {
	if len(others) == 0 {
		return keys
	}
	left := make(map[backends.Key]bool, len(others))
	for _, k := range others {
		left[k] = true
	}
	return slices.DeleteFunc(slices.Clone(keys), func(k backends.Key) bool { return left[k] })
}

func distinct(keys []backends.Key) []backends.Key {
	seen := make(map[backends.Key]bool, len(keys))
	var out []backends.Key
	for _, k := range keys {
		if !seen[k] {
			seen[k] = true
			out = append(out, k)
		}
	}
	return out
}
