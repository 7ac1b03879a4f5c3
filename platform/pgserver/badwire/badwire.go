// Package badwire lets tests put a bad wire between a client and a PostgreSQL server:
// one that is cut, falls silent with both ends still open, or stops at a statement.
package badwire

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// Wire is a proxy on loopback. Safe for concurrent use.
type Wire struct {
	t       testing.TB
	proxy   *toxiproxy.Proxy
	address string
}

// New makes a wire to the server of a URL; it is in order until a method says
// otherwise, and gone when the test ends.
func New(t testing.TB, dsn string) *Wire {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w := &Wire{t: t, proxy: toxiproxy.NewProxy(server, "wire", "127.0.0.1:0", u.Host)}
	require.NoError(t, w.proxy.Start())
	w.address = w.proxy.Listen // which the proxy writes whenever it starts
	t.Cleanup(w.Down)
	return w
}

// DSN is the URL with the wire's address in place of the server's.
func (w *Wire) DSN(dsn string) string {
	if dsn == "" {
		return dsn
	}
	u, err := url.Parse(dsn)
	require.NoError(w.t, err)
	u.Host = w.address
	return u.String()
}

// Down cuts every connection and refuses new ones.
func (w *Wire) Down() { w.proxy.Stop() }

// Up ends Down.
func (w *Wire) Up() { require.NoError(w.t, w.proxy.Start()) }

// Cut breaks every connection; new ones are let in.
func (w *Wire) Cut() {
	w.Down()
	w.Up()
}

// Silence swallows all that either side says from now on, on old and new connections,
// and closes none: what is left when a cable is pulled or a firewall forgets.
func (w *Wire) Silence() {
	for _, direction := range []string{"upstream", "downstream"} {
		w.add("timeout", direction, map[string]any{"timeout": 0})
	}
}

// Speak ends Silence. Connections that were silent are closed: what was swallowed
// would be missing.
func (w *Wire) Speak() {
	for _, direction := range []string{"upstream", "downstream"} {
		require.NoError(w.t, w.proxy.Toxics.RemoveToxic(w.t.Context(), "timeout_"+direction))
	}
}

func (w *Wire) add(kind, direction string, attributes any) {
	text, err := json.Marshal(map[string]any{"type": kind, "stream": direction, "attributes": attributes})
	require.NoError(w.t, err)
	_, err = w.proxy.Toxics.AddToxicJson(strings.NewReader(string(text)))
	require.NoError(w.t, err)
}
