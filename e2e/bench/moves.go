package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// shown is what `move show` says of a move.
type shown struct {
	Phase, Cause string
	CreatedAt    int64 `json:"created_at"`
	Stats        struct {
		Rows        map[string]int64 `json:"rows"`
		CommittedAt int64            `json:"committed_at"`
		StallMicros int64            `json:"stall_micros"`
		BackAt      int64            `json:"back_at"`
		BackStall   int64            `json:"back_stall_micros"`
		Phases      map[string]int64 `json:"phase_started_at"`
	}
}

// move moves a storefront as an operator would, and returns what it took from the
// request to the moment when the storefront is open at its new place.
func (w *world) move(ctx context.Context, slug, target string) (took time.Duration, m shown, err error) {
	started := time.Now()
	id, err := w.begin(ctx, slug, target)
	if err != nil {
		return 0, m, err
	}
	if m, err = w.reach(ctx, id, "watching"); err != nil {
		return 0, m, err
	}
	took = time.UnixMicro(m.Stats.Phases["watching"]).Sub(started) // the program's clock is this machine's
	fmt.Fprintf(os.Stderr, "to %s in %.1f s, write stall %.1f ms: %s\n", target, took.Seconds(), float64(m.Stats.StallMicros)/1000, m.phases())
	if _, err = w.command(ctx, "move", "finalize", id); err != nil {
		return took, m, err
	}
	m, err = w.reach(ctx, id, "completed")
	return took, m, err
}

func (w *world) show(ctx context.Context, id string) (m shown, err error) {
	out, err := w.command(ctx, "move", "show", id, "--json")
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal([]byte(out), &m)
}

// phases says how long each phase took.
func (m shown) phases() string {
	type start struct {
		phase string
		at    int64
	}
	var starts []start
	for phase, at := range m.Stats.Phases {
		starts = append(starts, start{phase, at})
	}
	slices.SortFunc(starts, func(a, b start) int { return int(a.at - b.at) })
	var out []string
	for i := 1; i < len(starts); i++ {
		out = append(out, fmt.Sprintf("%s %.1f", starts[i-1].phase, float64(starts[i].at-starts[i-1].at)/1e6))
	}
	return strings.Join(out, ", ")
}

const mostMemory = 256 // MiB

// peakMemory is the most that the program has taken since it began, in MiB.
func (w *world) peakMemory() (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.process.Process.Pid))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(status), "\n") {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kib); err == nil {
			return kib / 1024, nil
		}
	}
	return 0, errors.New("the system does not say how much memory a process took")
}

// moveRounds is how often the reference storefront goes from Postgres to Postgres and back: one
// move, or one dump, may meet a checkpoint or a vacuum.
const moveRounds = 3

// measureMoves moves the reference storefront around all kinds of backend, each hop
// beside its peer.
func measureMoves(ctx context.Context, w *world, r *report) error {
	p, err := newPeers(ctx, w)
	if err != nil {
		return err
	}
	if err := w.measureThereAndBack(ctx, p, r); err != nil {
		return err
	}
	toFile, _, err := w.move(ctx, "reference", "files-1")
	if err != nil {
		return err
	}
	load, err := w.preparedInserts(ctx)
	if err != nil {
		return err
	}
	r.seconds("shared -> sqlite", toFile, "prepared inserts into SQLite", load, 1.5)
	fromFile, _, err := w.move(ctx, "reference", "shared")
	if err != nil {
		return err
	}
	r.seconds("sqlite -> shared", fromFile, "prepared inserts into SQLite", load, 1.5)
	peak, err := w.peakMemory()
	if err != nil {
		return err
	}
	r.add(figure{Name: "memory of the program, at its peak", Ours: peak, Peer: mostMemory, Unit: "MiB", Target: 1, PeerIs: "what it may take at any size"})
	return p.close(ctx)
}

// measureThereAndBack takes moves between a shared and a dedicated Postgres and their peers in
// turns, and compares the medians.
func (w *world) measureThereAndBack(ctx context.Context, p *peers, r *report) error {
	moved := func(target string) func(context.Context) (time.Duration, error) {
		return func(ctx context.Context) (time.Duration, error) {
			took, _, err := w.move(ctx, "reference", target)
			return took, err
		}
	}
	turns := []func(context.Context) (time.Duration, error){p.dumpRestore, moved("dedicated"), p.rawCopy, p.inPlaceCopy, moved("shared")}
	took := make([][]time.Duration, len(turns))
	for range moveRounds {
		for i, turn := range turns {
			if err := p.settle(ctx); err != nil {
				return err
			}
			one, err := turn(ctx)
			if err != nil {
				return err
			}
			took[i] = append(took[i], one)
		}
	}
	median := func(turn int) time.Duration { return quantile(took[turn], 0.5) }
	r.seconds("shared -> dedicated", median(1), "pg_dump -Fc, pg_restore -j2", median(0), 1.0)
	r.seconds("shared -> dedicated", median(1), "raw binary COPY, indexes after", median(2), 0)
	r.seconds("dedicated -> shared", median(4), "raw binary COPY in place", median(3), 1.5)
	return nil
}
