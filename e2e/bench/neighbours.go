package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	fewNeighbours, manyNeighbours = 10, 1000
	neighbourRounds               = 5
)

// measureNeighbours moves a storefront out of a shared database with few others and
// one of the same size out of a database with many, in turns, and back. The best of
// its rounds is what a move takes: whatever else the machine does makes it slower only.
func measureNeighbours(ctx context.Context, w *world, r *report) error {
	for _, others := range []int{fewNeighbours, manyNeighbours} {
		if err := w.surround(ctx, others); err != nil {
			return err
		}
	}
	out, in := map[int][]time.Duration{}, map[int][]time.Duration{}
	for round := range neighbourRounds {
		order := []int{fewNeighbours, manyNeighbours}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, others := range order {
			_, m, err := w.move(ctx, among(others), "dedicated")
			if err != nil {
				return err
			}
			out[others] = append(out[others], m.toCommit())
			if _, m, err = w.move(ctx, among(others), among(others)); err != nil {
				return err
			}
			in[others] = append(in[others], m.toCommit())
		}
	}
	peer := fmt.Sprintf("the same with %d", fewNeighbours)
	for _, way := range []struct {
		name string
		took map[int][]time.Duration
	}{{"shared -> dedicated", out}, {"dedicated -> shared", in}} {
		r.seconds(fmt.Sprintf("%s, %d other storefronts", way.name, manyNeighbours), quantile(way.took[manyNeighbours], 0), peer, quantile(way.took[fewNeighbours], 0), 1.1)
	}
	return nil
}

// among names both the backend with so many others and the storefront that moves.
func among(others int) string { return fmt.Sprintf("among-%d", others) }

// surround makes a shared backend with a storefront of a tenth of the reference
// one's customers, and so many others.
func (w *world) surround(ctx context.Context, others int) error {
	owner, err := w.addShared(ctx, among(others))
	if err != nil {
		return err
	}
	id, err := w.create(ctx, among(others), among(others))
	if err != nil {
		return err
	}
	return w.write(ctx, owner, append(texts(id, max(1, w.customers/10)), crowdTexts(others)...))
}

// toCommit is how long a move took from the request to the change of placement.
func (m shown) toCommit() time.Duration {
	return time.Duration(m.Stats.CommittedAt-m.CreatedAt) * time.Microsecond
}
