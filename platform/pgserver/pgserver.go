// Package pgserver starts PostgreSQL servers of its own for tests, benchmarks
// and development: a server lives in one folder, listens on 127.0.0.1 alone,
// asks everybody for a password, and ends with the process that started it, even
// if that is killed. It never touches a server that it did not start. Linux only.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"
)

// Superuser is the role that owns every server.
const Superuser = "postgres"

const startTimeout = 60 * time.Second

// Options say what kind of server to start; the zero value is a throwaway one.
type Options struct {
	// Dir keeps the server's data between runs. Empty: a temporary folder that Stop removes.
	Dir string
	// Port on 127.0.0.1. 0: any free port; a persistent server asks for the one it had before.
	Port int
	// SamePort makes a persistent server that listened before fail rather than listen
	// elsewhere: somebody keeps its URL.
	SamePort bool
	// Settings are server parameters, such as {"fsync": "on"}. A throwaway
	// server runs without fsync unless asked, a persistent one with it.
	Settings map[string]string
}

// Server is a running PostgreSQL server. Its methods may be called concurrently.
type Server struct {
	installation installation
	account      account
	folder       *folder
	settings     map[string]string
	password     string

	mu      sync.Mutex
	port    int
	process *process // nil while the server is down
}

// Start makes the folder if need be, starts a server in it and returns when it
// accepts connections. The context bounds the start alone, not the server's life.
func Start(ctx context.Context, o Options) (*Server, error) {
	found, err := findInstallation(ctx)
	if err != nil {
		return nil, err
	}
	who, err := serverAccount()
	if err != nil {
		return nil, err
	}
	home, err := openFolder(o.Dir, who)
	if err != nil {
		return nil, err
	}
	if o.Port == 0 && o.SamePort {
		o.Port = home.port()
	}
	s := &Server{installation: found, account: who, folder: home, port: o.Port, settings: settings(o)}
	if err := s.create(ctx); err != nil {
		return nil, errors.Join(err, home.close())
	}
	if err := s.start(ctx, o.Port == 0); err != nil {
		return nil, errors.Join(err, home.close())
	}
	return s, nil
}

// DSN is the lib/pq URL of a database for a role. It carries the superuser's
// password, whoever the role is: a role made for a test is given the same one
// (CREATE ROLE ... PASSWORD), or the caller puts another in its place.
func (s *Server) DSN(database, role string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(role, s.password),
		Host: "127.0.0.1:" + strconv.Itoa(s.Port()), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// AdminDSN is the superuser's URL of the database "postgres".
func (s *Server) AdminDSN() string { return s.DSN("postgres", Superuser) }

// Password is the superuser's.
func (s *Server) Password() string { return s.password }

// Port is where the server listens on 127.0.0.1.
func (s *Server) Port() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.port
}

// Stop shuts the server down in order: transactions are rolled back, sessions
// ended, everything written. A throwaway server's folder is removed. A second
// Stop does nothing.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.shutdown(), s.folder.close())
}

// Kill ends every process of the server at once, as a power cut would. Restart
// brings it back through crash recovery.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	err := s.process.killAll(s.folder.data())
	s.process = nil
	return err
}

// Restart starts the server again on the same port, after a shutdown in order
// if it still runs. It fails after Stop.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.folder.closed() {
		return errors.New("the server was stopped for good and cannot be restarted")
	}
	if err := s.shutdown(); err != nil {
		return err
	}
	return s.start(ctx, false)
}

// Exited is closed when the server's process has ended, for whatever reason.
func (s *Server) Exited() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		gone := make(chan struct{})
		close(gone)
		return gone
	}
	return s.process.done
}

func (s *Server) shutdown() error {
	if s.process == nil {
		return nil
	}
	err := s.process.stop()
	s.process = nil
	return err
}

// start runs the server and waits until it is ready. Another process may take a
// free port first, and a server whose starter was killed may need a moment to
// leave the folder: both are tried again.
func (s *Server) start(ctx context.Context, anyPort bool) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	const tries = 5
	for try := 1; ; try++ {
		if anyPort {
			port, err := s.folder.freePort(try == 1)
			if err != nil {
				return err
			}
			s.port = port
		}
		err := s.startOnce(ctx)
		if err == nil {
			return s.folder.rememberPort(s.port)
		}
		if try == tries || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(try) * 200 * time.Millisecond):
		}
	}
}

func (s *Server) startOnce(ctx context.Context) error {
	args := []string{"-p", strconv.Itoa(s.port)}
	for name, value := range s.settings {
		args = append(args, "-c", name+"="+value)
	}
	p, err := launch(s.folder, s.account, s.installation.path("postgres"), args...)
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	if err := p.awaitReady(ctx, s.folder.data()); err != nil {
		return fmt.Errorf("start PostgreSQL on port %d: %w; end of its log:\n%s", s.port, err, s.folder.logTail())
	}
	s.process = p
	return nil
}

// create makes the database cluster unless the folder has one already.
func (s *Server) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	password, err := s.folder.superuserPassword(s.account)
	if err != nil {
		return err
	}
	s.password = password
	if s.folder.hasCluster() {
		return s.folder.checkVersion(s.installation.version)
	}
	// The linguistic default order is what production has: with C here, a key
	// column that lacks its own COLLATE "C" would go unnoticed.
	p, err := launch(s.folder, s.account, s.installation.path("initdb"),
		"--username="+Superuser, "--pwfile="+passwordFD, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US",
		"--no-sync", "--no-instructions")
	if err != nil {
		return fmt.Errorf("create a PostgreSQL cluster: %w", err)
	}
	if err := p.wait(ctx); err != nil {
		return fmt.Errorf("create a PostgreSQL cluster in %s: %w; end of its log:\n%s", s.folder.dir, err, s.folder.logTail())
	}
	return nil
}

// settings are the server parameters: what every server here needs, what its
// kind brings, and last what the caller wants.
func settings(o Options) map[string]string {
	all := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "",
		"max_connections":         "300",
		"timezone":                "UTC",
		// In the data folder, not in /dev/shm: goes with the folder, even after a kill.
		"dynamic_shared_memory_type": "mmap",
	}
	if o.Dir == "" {
		all["fsync"] = "off"
		all["full_page_writes"] = "off"
		all["max_wal_size"] = "256MB"
	}
	for name, value := range o.Settings {
		all[name] = value
	}
	return all
}

// environment is all that a server inherits: no PG* variable of a developer's
// shell may lead it elsewhere.
func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC"}
}
