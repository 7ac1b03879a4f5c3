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
	size := flag.Int("customers", 100_000, "customers of the reference storefront")
	only := flag.String("only", "", "run the measurements whose name has this in it")
	out := flag.String("json", "bench.json", "file for the figures")
	flag.Parse()
	if err := run(ctx, *size, *only, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measurement is one part of the bench: it adds rows to the report.
type measurement struct {
	name string
	run  func(ctx context.Context, w *world, r *report) error
}

func run(ctx context.Context, size int, only, out string) (err error) {
	folder, err := os.MkdirTemp("", "smartseller-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	w, err := newWorld(ctx, folder, size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	r := &report{}
	for _, m := range []measurement{
		{"moves", measureMoves},
		{"transactions", measureTransactions},
	} {
		if !strings.Contains(m.name, only) {
			continue
		}
		if err := m.run(ctx, w, r); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	file, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	return r.finish(os.Stdout, file)
}
