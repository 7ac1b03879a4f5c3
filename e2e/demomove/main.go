// Command demomove shows a storefront on the move while its customers go on:
//
//	demomove RUNPOSTGRES SMARTSELLER
//
// It starts an installation with a backend of every kind, lets a crowd of customers
// loose on the demo storefront, and moves that from SQLite to the shared Postgres, to
// the dedicated one and back. Every answer is remembered and compared. It exits with
// 1 when a request failed or anything that was acknowledged is not there at the end,
// and leaves nothing behind, also when interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"smartseller/e2e/load"
)

// way is where the demo storefront goes, from files-1.
var way = []string{"shared", "dedicated", "files-1"}

func main() {
	// What runs below us ends with us: the kernel sees to that when the thread that
	// started it ends, which must therefore be the main one.
	runtime.LockOSThread()
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: demomove RUNPOSTGRES SMARTSELLER")
		os.Exit(64)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, os.Args[1], os.Args[2])
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "demo-move: interrupted; everything is stopped and cleared away")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo-move:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, runner, program string) (err error) {
	i, err := newInstallation(ctx, runner, program)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, i.close()) }()
	fmt.Printf("serves on %s: the demo storefront is on files-1\n", i.url)
	crowd, err := load.New(ctx, load.Options{URL: i.url, Storefront: "demo", Workers: 6, Customers: 3, Rate: 80})
	if err != nil {
		return err
	}
	d := &demo{installation: i, crowd: crowd}
	began := time.Now()
	crowd.Start(ctx)
	telling, quiet := context.WithCancel(ctx)
	told := make(chan struct{})
	go func() {
		defer close(told)
		d.tell(telling)
	}()
	err = d.travel(ctx)
	crowd.Stop()
	quiet()
	<-told
	if err != nil {
		return err
	}
	return d.conclude(ctx, began)
}

// conclude compares everything once more and prints what came of it.
func (d *demo) conclude(ctx context.Context, began time.Time) error {
	fmt.Println("\ncompares all that was acknowledged with what is there now")
	lost := d.crowd.Verify(ctx)
	d.print(hop{name: "in all", took: time.Since(began), report: d.crowd.Report()})
	if lost != nil {
		return fmt.Errorf("something failed or was lost:\n%w", lost)
	}
	fmt.Println("nothing failed, nothing was lost")
	return nil
}
