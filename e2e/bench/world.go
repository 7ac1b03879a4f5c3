package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	_ "github.com/lib/pq" // the driver of the peers

	"smartseller/platform/pgserver"
)

// world is one installation of the program with a backend of every kind, and the
// server of the Postgres ones.
type world struct {
	sizes
	folder, binary, address string
	server                  *pgserver.Server
	process                 *exec.Cmd
	sharedOwner             string // URL of the shared database for its owner
	shop                    string // the reference storefront's id
	filled                  bool   // the reference storefront and its neighbours
}

// sizes are what a run may be made smaller by.
type sizes struct{ customers, growth, cutovers int }

const sharedDatabase = "shared"

func newWorld(ctx context.Context, folder string, s sizes) (w *world, err error) {
	w = &world{folder: folder, binary: filepath.Join(folder, "smartseller"), sizes: s}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if err := command(ctx, nil, "go", "build", "-o", w.binary, "./app/smartseller"); err != nil {
		return w, err
	}
	// As in production: what is acknowledged is on the disk.
	w.server, err = pgserver.Start(ctx, pgserver.Options{Settings: map[string]string{
		"fsync": "on", "full_page_writes": "on", "max_wal_size": "4GB", "shared_buffers": "512MB",
	}})
	if err != nil {
		return w, err
	}
	if err := w.sql(ctx, w.server.AdminDSN(), fmt.Sprintf("CREATE ROLE shop LOGIN PASSWORD '%s'", w.server.Password())); err != nil {
		return w, err
	}
	if err := w.serve(); err != nil {
		return w, err
	}
	if w.sharedOwner, err = w.addShared(ctx, sharedDatabase); err != nil {
		return w, err
	}
	if _, err := w.command(ctx, "backend", "add", "dedicated", "dedicated-postgres", "--admin-dsn", w.server.AdminDSN()); err != nil {
		return w, err
	}
	w.shop, err = w.create(ctx, "reference", sharedDatabase)
	return w, err
}

// addShared makes a database that is a backend of the same name, and returns its URL
// for its owner.
func (w *world) addShared(ctx context.Context, name string) (owner string, err error) {
	if err := w.sql(ctx, w.server.AdminDSN(), fmt.Sprintf("CREATE DATABASE %q", name)); err != nil {
		return "", err
	}
	owner = w.server.DSN(name, pgserver.Superuser)
	_, err = w.command(ctx, "backend", "add", name, "shared-postgres", "--dsn", applicationDSN(w, name), "--admin-dsn", owner)
	return owner, err
}

// create makes a storefront and returns its id.
func (w *world) create(ctx context.Context, slug, backend string) (string, error) {
	if _, err := w.command(ctx, "storefront", "create", slug, backend); err != nil {
		return "", err
	}
	return w.id(ctx, slug)
}

func (w *world) close() error {
	var err error
	if w.process != nil {
		err = errors.Join(w.process.Process.Signal(syscall.SIGTERM), w.process.Wait())
	}
	if w.server != nil {
		err = errors.Join(err, w.server.Stop())
	}
	return err
}

// serve starts the program and waits until it answers.
func (w *world) serve() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.address = "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(w.folder, "serve.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	w.process = exec.Command(w.binary, "serve", "--listen", strings.TrimPrefix(w.address, "http://"))
	w.process.Dir, w.process.Stderr = w.folder, log
	w.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := w.process.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get(w.address + "/openapi.json")
		if err == nil {
			return response.Body.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server does not answer: %w", err)
		}
	}
}

// command runs one of the program's commands and returns what it printed.
func (w *world) command(ctx context.Context, args ...string) (string, error) {
	c := exec.CommandContext(ctx, w.binary, args...)
	c.Dir = w.folder
	c.Env = append(os.Environ(), "SMARTSELLER_URL="+w.address)
	out, err := c.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args[:2], " "), err, out)
	}
	return string(out), nil
}

func (w *world) id(ctx context.Context, slug string) (string, error) {
	out, err := w.command(ctx, "storefront", "show", slug, "--json")
	if err != nil {
		return "", err
	}
	var shown struct{ ID string }
	return shown.ID, json.Unmarshal([]byte(out), &shown)
}

func (w *world) sql(ctx context.Context, dsn string, texts ...string) (err error) {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, text := range texts {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("%.60s: %w", text, err)
		}
	}
	return nil
}

func command(ctx context.Context, environment []string, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), environment...)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}
