package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// A move that is not where it should be after so long never will be.
const patience = 30 * time.Minute

// begin starts a move as an operator would, and returns its id.
func (w *world) begin(ctx context.Context, slug, target string, flags ...string) (id string, err error) {
	out, err := w.command(ctx, append([]string{"move", "start", slug, target}, flags...)...)
	if err != nil {
		return "", err
	}
	return strings.Fields(out)[0], nil
}

// reach follows a move to a phase and says what is known of it then. It asks nothing
// meanwhile: that would take time from what is measured.
func (w *world) reach(ctx context.Context, id, phase string) (m shown, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := w.command(ctx, "move", "watch", id, "--until", phase, "--json"); err != nil {
		return m, err
	}
	if m, err = w.show(ctx, id); err == nil && m.Phase != phase {
		err = fmt.Errorf("the move is %s, not %s: %s", m.Phase, phase, m.Cause)
	}
	return m, err
}

// thereAndBack moves a storefront to a target and rolls that back: two cutovers, one
// copy. at is told of each.
func (w *world) thereAndBack(ctx context.Context, slug, target string, at func(way string, m shown) error, flags ...string) error {
	id, err := w.begin(ctx, slug, target, flags...)
	if err != nil {
		return err
	}
	m, err := w.reach(ctx, id, "watching")
	if err != nil {
		return err
	}
	if err := at(forward, m); err != nil {
		return err
	}
	if _, err := w.command(ctx, "move", "rollback", id); err != nil {
		return err
	}
	if m, err = w.reach(ctx, id, "rolled_back"); err != nil {
		return err
	}
	return at(back, m)
}

const (
	forward = "cutover"
	back    = "cutover of a rollback"
)
