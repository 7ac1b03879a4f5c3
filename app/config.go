package app

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"smartseller/platform/control"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
)

// A field tagged `setting` can also stand in the configuration file and in a
// SMARTSELLER_ variable; `setting:"secret"` is read from a file too (the name with
// _file behind it), and never shown. See layers.

// What is assumed unless told otherwise, in the tags as ${url} and ${data}.
const (
	defaultURL  = "http://127.0.0.1:8080"
	defaultData = "data"
)

// Settings are what `serve` can be told.
type Settings struct {
	installation
	Listen    address  `setting:"" default:"127.0.0.1:8080" help:"Address to serve on, HOST:PORT."`
	Proxies   networks `name:"trusted-proxies" setting:"" help:"Networks or addresses of proxies, with commas between, whose X-Forwarded-For tells the client's address, such as 10.0.0.0/8; none: nobody is believed."`
	MaxStores count    `setting:"" default:"500" help:"How many storefronts of one backend are kept open."`
	MoveLease lease    `setting:"" default:"10s" help:"How long a move, or an upgrade of all storefronts, whose instance died waits for another one, unless the storefront is sealed; 1s or more."`
	OldSchema string   `setting:"" default:"upgrade" enum:"upgrade,refuse" help:"What is done with a storefront whose database is behind this program when a request comes: upgrade it, or refuse until schema upgrade was run."`
	ImportMiB count    `name:"import-mib" setting:"" default:"1024" help:"How much one import may upload, in MiB; its files lie in the data folder while they are read."`
	AuditDays count    `setting:"" default:"400" help:"For how many days a storefront knows what happened to its customers' accounts: logins, log-outs, refresh tokens that were used twice."`
	LogLevel  string   `setting:"" default:"info" enum:"debug,info,warn,error" help:"Least severe level that is logged: debug, info, warn or error."`
}

// installation is what makes one: commands that work on it need no running server.
type installation struct {
	dataFolder
	Control   controlDSN `setting:"secret" placeholder:"DSN" help:"Control database, postgres://... with an sslmode or sqlite:PATH; none: SQLite in the data folder."`
	MasterKey masterKey  `setting:"secret" placeholder:"HEX" help:"Key that seals what the control database keeps secret, the same for all instances; none: data/master.key, made at the first start."`
}

// dataFolder is where an installation keeps what is its own.
type dataFolder struct {
	Data folder `setting:"" default:"${data}" help:"Folder of the installation: control database, keys, admin's token, first SQLite backends."`
}

func (d dataFolder) controlFile() string { return filepath.Join(string(d.Data), "control.db") }
func (d dataFolder) keyFile() string     { return filepath.Join(string(d.Data), "master.key") }
func (d dataFolder) spools() string      { return filepath.Join(string(d.Data), "spool") }
func (d dataFolder) tokenFile() string   { return filepath.Join(string(d.Data), "admin.token") }

// connection is how commands find the running server.
type connection struct {
	URL   serverURL `name:"url" setting:"" default:"${url}" help:"The server."`
	Token token     `setting:"secret" help:"An admin's token; none: read from admin.token in the data folder."`
}

// The types of values, each of which knows what it may be. Their errors never
// repeat the value: it may be secret.
type (
	address    string
	folder     string
	count      int
	serverURL  string
	controlDSN string
	masterKey  string
	lease      time.Duration
	token      string
	networks   string
)

// UnmarshalText wants HOST:PORT.
func (a *address) UnmarshalText(text []byte) error {
	_, port, err := net.SplitHostPort(string(text))
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return errors.New("must be HOST:PORT, such as 127.0.0.1:8080")
	}
	*a = address(text)
	return nil
}

// UnmarshalText wants networks, each ADDRESS or ADDRESS/BITS, or nothing.
func (n *networks) UnmarshalText(text []byte) error {
	*n = networks(text)
	_, err := n.prefixes()
	return err
}

func (n networks) prefixes() (all []netip.Prefix, err error) {
	for one := range strings.SplitSeq(string(n), ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		if !strings.Contains(one, "/") {
			address, err := netip.ParseAddr(one)
			if err != nil || address.Zone() != "" {
				return nil, errNetworks
			}
			all = append(all, netip.PrefixFrom(address, address.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(one)
		if err != nil {
			return nil, errNetworks
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

var errNetworks = errors.New("must be addresses or networks with commas between, such as 10.0.0.0/8,192.0.2.7")

// UnmarshalText wants a name, and makes it absolute.
func (f *folder) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("must be the name of a folder")
	}
	*f = folder(kong.ExpandPath(string(text)))
	return nil
}

// UnmarshalText wants a whole number above zero, with which one can go on counting.
func (c *count) UnmarshalText(text []byte) error {
	const most = 1 << 20
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 || n > most {
		return fmt.Errorf("must be a whole number, 1 or more and at most %d", most)
	}
	*c = count(n)
	return nil
}

// UnmarshalText wants a duration that a busy instance does not miss while it lives.
func (l *lease) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d < time.Second {
		return errors.New("must be a duration of 1s or more, such as 10s")
	}
	*l = lease(d)
	return nil
}

// MarshalText is the form that UnmarshalText takes.
func (l lease) MarshalText() ([]byte, error) { return []byte(time.Duration(l).String()), nil }

// UnmarshalText wants http://HOST or https://HOST. A password in it would be shown
// with it, and do nothing: the token says who asks.
func (u *serverURL) UnmarshalText(text []byte) error {
	parsed, err := url.Parse(string(text))
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" || parsed.User != nil {
		return errors.New("must be http://HOST:PORT or https://HOST:PORT, without a user or password")
	}
	*u = serverURL(text)
	return nil
}

// UnmarshalText wants a DSN that the control database understands, or nothing.
func (d *controlDSN) UnmarshalText(text []byte) error {
	*d = controlDSN(text)
	if len(text) == 0 {
		return nil
	}
	return control.CheckDSN(string(text))
}

// UnmarshalText wants a key in hexadecimal, or nothing.
func (k *masterKey) UnmarshalText(text []byte) error {
	*k = masterKey(text)
	if key, err := hex.DecodeString(string(text)); len(text) > 0 && (err != nil || len(key) != crypto.MasterKeySize) {
		return errors.New("must be 64 hexadecimal digits")
	}
	return nil
}

// UnmarshalText wants what can stand in a header, and leaves out the line break that
// whoever read it from a file has kept.
func (t *token) UnmarshalText(text []byte) error {
	trimmed := strings.TrimSpace(string(text))
	if strings.ContainsFunc(trimmed, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("must be one word of letters, digits and signs, as it was printed")
	}
	*t = token(trimmed)
	return nil
}

// keyring opens the master key: given, or in the data folder, where it is made if need be.
func (i installation) keyring() (*crypto.Keyring, error) {
	if i.MasterKey == "" {
		if err := i.make(); err != nil {
			return nil, err
		}
		keys, err := crypto.LoadOrCreate(i.keyFile())
		if err != nil {
			return nil, fault.New(fault.Misconfigured, "no_master_key", "The master key cannot be had (%v): restore %s as it was, or give the key by the setting master_key.", err, i.keyFile()).Because(err)
		}
		return keys, nil
	}
	key, err := hex.DecodeString(string(i.MasterKey))
	if err != nil {
		return nil, err
	}
	return crypto.New(key)
}

// openControl opens the control database, and makes it if need be.
func (i installation) openControl(ctx context.Context) (*control.DB, error) {
	if err := i.make(); err != nil {
		return nil, err
	}
	dsn := string(i.Control)
	if dsn == "" {
		dsn = "sqlite:" + i.controlFile()
	}
	return control.Open(ctx, dsn)
}

// where names the installation: its control database, without what is secret, or folder.
func (i installation) where() string {
	if path, file := strings.CutPrefix(string(i.Control), "sqlite:"); file {
		return path
	}
	return string(i.Data)
}

// begun says whether the installation is there, as far as files tell.
func (i installation) begun() bool {
	path := i.controlFile()
	if i.Control != "" {
		var file bool
		if path, file = strings.CutPrefix(string(i.Control), "sqlite:"); !file {
			return true
		}
	}
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// make makes the folder, unless it is there.
func (d dataFolder) make() error {
	if err := os.MkdirAll(string(d.Data), 0o700); err != nil {
		return fault.New(fault.Misconfigured, "unusable_folder", "The data folder %s cannot be made (%v): choose another one by --data.", d.Data, err).Because(err)
	}
	return nil
}
