// Command bench measures moves by the real program against peers that copy the same
// rows offline, in one run on throwaway servers, and prints ratios. An absolute time
// says nothing about another machine, a ratio does. It exits with 1 when a target is
// missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var s sizes
	flag.IntVar(&s.customers, "customers", 100_000, "customers of the reference storefront")
	flag.IntVar(&s.growth, "growth-max", 1_000_000, "customers of the largest storefront that shows how a move grows")
	flag.IntVar(&s.cutovers, "cutovers", 50, "cutovers under load, each of which is rolled back")
	only := flag.String("only", "", "run the measurements whose name has this in it")
	out := flag.String("json", "bench.json", "file for the figures")
	flag.Parse()
	if err := run(ctx, s, *only, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measurement is one part of the bench: it adds rows to the report.
type measurement struct {
	name      string
	reference bool // needs the reference storefront and its neighbours
	run       func(ctx context.Context, w *world, r *report) error
}

var measurements = []measurement{
	{"moves", true, measureMoves},
	{"transactions", false, measureTransactions},
	{"growth", false, measureGrowth},
	{"neighbours", false, measureNeighbours},
	{"cutovers", true, measureCutovers},
	{"pacing", true, measurePacing},
}

// chosen are the measurements whose name has this in it.
func chosen(only string) (out []measurement, err error) {
	var names []string
	for _, m := range measurements {
		names = append(names, m.name)
		if strings.Contains(m.name, only) {
			out = append(out, m)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no measurement has %q in its name: there are %s", only, strings.Join(names, ", "))
	}
	return out, nil
}

func run(ctx context.Context, s sizes, only, out string) (err error) {
	todo, err := chosen(only)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "smartseller-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	w, err := newWorld(ctx, folder, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	r := &report{}
	failed := measure(ctx, w, r, todo)
	file, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	return errors.Join(failed, r.finish(os.Stdout, file))
}

// measure stops at the first measurement that fails. What was measured before counts.
func measure(ctx context.Context, w *world, r *report, todo []measurement) error {
	for _, m := range todo {
		if m.reference {
			if err := w.fill(ctx); err != nil {
				return err
			}
		}
		if err := m.run(ctx, w, r); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}
