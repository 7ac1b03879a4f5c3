package app

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.uber.org/fx"

	"smartseller/backends"
	"smartseller/modules/auth"
	"smartseller/modules/customers"
	"smartseller/modules/storefronts"
	"smartseller/modules/storefronts/imports"
	madeup "smartseller/modules/storefronts/shopify/sample"
	"smartseller/platform/control"
	"smartseller/platform/crypto"
	"smartseller/platform/failpoint"
)

const (
	firstAdmin   = "admin@example.com"
	byFirstStart = "first start"
	demoSlug     = "demo"
	demoCustomer = "demo@example.com"
)

// firstBackends are the ones that a storefront can move between right away.
var firstBackends = []string{"files-1", "files-2"}

// firstStart makes a new installation useful: an admin for the commands, backends and
// a storefront to try things on. It is done once in an installation's life, by one
// instance. Killed in the middle, the next start goes through all of it again: each
// step leaves alone what is there.
type firstStart struct {
	settings Settings
	db       *control.DB
	keys     *crypto.Keyring
	admins   *auth.Service
	sessions *auth.Sessions
	shops    *storefronts.Service
	imports  *imports.Service
}

func newFirstStart(lc fx.Lifecycle, s Settings, db *control.DB, keys *crypto.Keyring, admins *auth.Service, sessions *auth.Sessions, shops *storefronts.Service,
	imports *imports.Service,
) *firstStart {
	f := &firstStart{settings: s, db: db, keys: keys, admins: admins, sessions: sessions, shops: shops, imports: imports}
	lc.Append(fx.Hook{OnStart: f.run})
	return f
}

func (f *firstStart) run(ctx context.Context) error {
	_, err := f.db.Once(ctx, "first start", func(ctx context.Context) error {
		for _, step := range []struct {
			name string
			do   func(context.Context) error
		}{
			{"admin", f.makeAdmin},
			{"backends", f.addBackends},
			{"storefront", f.createStorefront},
			{"sample", f.importSample},
			{"customer", f.registerCustomer},
		} {
			if err := step.do(ctx); err != nil {
				return fmt.Errorf("first start, %s: %w", step.name, err)
			}
			failpoint.Reach("first-start-" + step.name)
		}
		return nil
	})
	return err
}

func (f *firstStart) makeAdmin(ctx context.Context) error {
	return f.admins.Bootstrap(ctx, byFirstStart, firstAdmin, f.settings.tokenFile())
}

func (f *firstStart) addBackends(ctx context.Context) error {
	there, err := f.backends(ctx)
	if err != nil {
		return err
	}
	for _, name := range firstBackends {
		if there[name] {
			continue
		}
		cfg := backends.Config{Name: name, Kind: backends.SQLite, Path: filepath.Join(string(f.settings.Data), name)}
		if err := f.shops.AddBackend(ctx, cfg); err != nil {
			return err
		}
	}
	return nil
}

func (f *firstStart) backends(ctx context.Context) (there map[string]bool, err error) {
	there = map[string]bool{}
	found, err := f.shops.Backends(ctx)
	for _, b := range found {
		there[b.Name] = true
	}
	return there, err
}

// createStorefront leaves no place of a start that was killed: whoever works on a first
// start works on it alone.
func (f *firstStart) createStorefront(ctx context.Context) error {
	if err := f.shops.GiveUp(ctx, demoSlug); err != nil {
		return err
	}
	_, err := f.shops.Create(ctx, storefronts.NewStorefront{Slug: demoSlug, Name: "Demo", Currency: madeup.Currency, TimeZone: "UTC", Backend: firstBackends[0]})
	return unless(err, storefronts.ErrSlugTaken)
}

// importSample gives the storefront customers, who have no passwords, products and orders.
func (f *firstStart) importSample(ctx context.Context) error { return f.imports.Sample(ctx, demoSlug) }

func (f *firstStart) registerCustomer(ctx context.Context) error {
	_, err := f.sessions.Register(ctx, demoSlug, auth.Registration{Email: demoCustomer, Password: f.demoPassword(), FirstName: "Demo", LastName: "Customer"}, auth.Client{})
	return unless(err, customers.ErrEmailTaken)
}

// unless is err, but nil when it only says that a step was done before.
func unless(err, done error) error {
	if errors.Is(err, done) {
		return nil
	}
	return err
}

// demoPassword belongs to this installation alone. It is derived, so that a start that
// was killed after it registered the customer can still print it.
func (f *firstStart) demoPassword() string {
	key := f.keys.Derive("first start/demo customer", 15)
	return strings.ToLower(base32.StdEncoding.EncodeToString(key))
}

// welcome says what to open and to try. What only a first start may say, it says
// once: a process that is killed before it was written says it at its next start.
func (f *firstStart) welcome(ctx context.Context, out io.Writer, at net.Addr) error {
	url := "http://" + reachable(at)
	fmt.Fprintf(out, "SmartSeller serves on %s\n  open: %s/docs\n", url, url)
	if _, err := f.db.Once(ctx, "welcome", func(ctx context.Context) error {
		err := f.secrets(ctx, out, url)
		failpoint.Reach("first-start-welcome")
		return err
	}); err != nil {
		return err
	}
	target, err := f.target(ctx)
	if err != nil || target == "" {
		return err
	}
	with := ""
	if !f.hasToken() {
		with = ", with an admin's token in SMARTSELLER_TOKEN"
	}
	_, err = fmt.Fprintf(out, "  move the demo storefront, live%s: %s move start %s %s%s\n", with, shellWord(os.Args[0]), demoSlug, target, f.flags(url))
	return err
}

// secrets says what is shown once. The password is made only now: one that nobody saw
// is of no use.
func (f *firstStart) secrets(ctx context.Context, out io.Writer, url string) error {
	fmt.Fprintf(out, `  log in as the demo storefront's customer:
    curl -s %s/api/storefront/%s/auth/login -H 'Content-Type: application/json' -d '{"email":"%s","password":"%s"}'
`, url, demoSlug, demoCustomer, f.demoPassword())
	password, err := f.admins.ResetPassword(ctx, byFirstStart, firstAdmin)
	if errors.Is(err, auth.ErrNoAdmin) { // admins were made before the first start
		return f.tokenOf(ctx, out)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `  admin: %s, one-time password %s, to be replaced at the first login
  commands find this admin's token in %s
  these lines are not shown again
`, firstAdmin, password, f.settings.tokenFile())
	return err
}

// tokenOf says whose token the commands find, of the admins who were there before.
func (f *firstStart) tokenOf(ctx context.Context, out io.Writer) error {
	email, err := f.admins.First(ctx)
	if err != nil || email == "" || !f.hasToken() {
		return err
	}
	_, err = fmt.Fprintf(out, "  commands find the token of %s in %s\n  these lines are not shown again\n", email, f.settings.tokenFile())
	return err
}

// hasToken says whether commands find a token here: the first start may be another instance's.
func (f *firstStart) hasToken() bool {
	_, err := os.Stat(f.settings.tokenFile())
	return err == nil
}

// target is a backend that the demo storefront could move to; "" when there is none.
func (f *firstStart) target(ctx context.Context) (string, error) {
	shop, err := f.shops.Find(ctx, demoSlug)
	if errors.Is(err, backends.ErrNoStorefront) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	there, err := f.backends(ctx)
	for _, name := range firstBackends {
		if there[name] && name != shop.Backend {
			return name, err
		}
	}
	return "", err
}

// flags are what a command here must be told beyond its defaults.
func (f *firstStart) flags(url string) (flags string) {
	if url != defaultURL {
		flags += " --url " + url
	}
	if here, err := filepath.Abs(defaultData); err != nil || here != string(f.settings.Data) {
		flags += " --data " + shellWord(string(f.settings.Data))
	}
	return flags
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)

// shellWord is a word of a command as one types it in a shell.
func shellWord(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// reachable is where a client on this host finds a listener.
func reachable(at net.Addr) string {
	tcp, ok := at.(*net.TCPAddr)
	if ok && tcp.IP.IsUnspecified() {
		return fmt.Sprintf("127.0.0.1:%d", tcp.Port)
	}
	return at.String()
}
