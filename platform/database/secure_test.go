package database

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver/pgtest"
)

// certificate is one for localhost that vouches for itself, and the file it is in.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "root.crt")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// front stands before the server of a DSN and speaks TLS in its place, or (nil) declines to.
// Requests to cancel come through it as well.
func front(t *testing.T, dsn string, with *tls.Certificate) (address string) {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go pass(c, u.Host, with)
		}
	}()
	return l.Addr().String()
}

// pass passes one connection on; what fails shows at whoever made it.
func pass(c net.Conn, to string, with *tls.Certificate) {
	defer c.Close()
	request, answer := make([]byte, len(sslRequest)), "N"
	if with != nil {
		answer = "S"
	}
	if _, err := io.ReadFull(c, request); err != nil || string(request) != string(sslRequest) {
		return // who speaks without asking for TLS is not served
	}
	if _, err := io.WriteString(c, answer); err != nil {
		return
	}
	if with != nil {
		c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*with}})
	}
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	go func() { _, _ = io.Copy(server, c) }()
	_, _ = io.Copy(c, server)
}

// TestSSLModes: what a DSN asks for is what it gets.
func TestSSLModes(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	cert, root := certificate(t)
	_, otherRoot := certificate(t)
	speaks, declines := front(t, dsn, &cert), front(t, dsn, nil)
	unknown := x509.UnknownAuthorityError{}
	misnamed := x509.HostnameError{}
	for name, c := range map[string]struct {
		address, host, mode, root string
		want                      func(error) bool
	}{
		"require":                            {speaks, "127.0.0.1", "require", "", nil},
		"require, declined":                  {declines, "127.0.0.1", "require", "", func(err error) bool { return errors.Is(err, pq.ErrSSLNotSupported) }},
		"prefer":                             {speaks, "127.0.0.1", "prefer", "", nil},
		"prefer, declined":                   {declines, "127.0.0.1", "prefer", "", nil},
		"verify-ca":                          {speaks, "127.0.0.1", "verify-ca", root, nil},
		"verify-ca, another authority":       {speaks, "127.0.0.1", "verify-ca", otherRoot, func(err error) bool { return errors.As(err, &unknown) }},
		"verify-full":                        {speaks, "localhost", "verify-full", root, nil},
		"verify-full, another name":          {speaks, "127.0.0.1", "verify-full", root, func(err error) bool { return errors.As(err, &misnamed) }},
		"verify-full, declined":              {declines, "localhost", "verify-full", root, func(err error) bool { return errors.Is(err, pq.ErrSSLNotSupported) }},
		"disable, where TLS is insisted on":  {speaks, "127.0.0.1", "disable", "", func(err error) bool { return err != nil }},
		"a certificate that is not there":    {speaks, "127.0.0.1", "verify-ca", "/nowhere", func(err error) bool { return err != nil }},
		"require, with another authority":    {speaks, "127.0.0.1", "require", otherRoot, func(err error) bool { return errors.As(err, &unknown) }},
		"verify-full, another authority too": {speaks, "localhost", "verify-full", otherRoot, func(err error) bool { return errors.As(err, &unknown) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(dsn)
			require.NoError(t, err)
			_, port, err := net.SplitHostPort(c.address)
			require.NoError(t, err)
			u.Host = net.JoinHostPort(c.host, port)
			q := u.Query()
			q.Set("sslmode", c.mode)
			if c.root != "" {
				q.Set("sslrootcert", c.root)
			}
			u.RawQuery = q.Encode()
			pool, err := OpenPostgres(u.String(), 0)
			if err == nil {
				t.Cleanup(func() { require.NoError(t, pool.Close()) })
				err = pool.Ping()
			}
			if c.want != nil {
				require.True(t, c.want(err), "%v", err)
				return
			}
			require.NoError(t, err)
		})
	}
}

// TestCancelThroughTLS: a request to cancel goes the same way.
func TestCancelThroughTLS(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	cert, _ := certificate(t)
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	u.Host = front(t, dsn, &cert)
	q := u.Query()
	q.Set("sslmode", "require")
	u.RawQuery = q.Encode()
	pool, err := OpenPostgres(u.String(), 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := pool.ExecContext(ctx, `SELECT pg_sleep(3600)`)
		ended <- err
	}()
	watcher, err := OpenPostgres(dsn, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, watcher.Close()) })
	sleeping := func(n int) func() bool {
		return func() bool {
			var found int
			require.NoError(t, watcher.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'`).Scan(&found))
			return found == n
		}
	}
	require.Eventually(t, sleeping(1), 10*time.Second, time.Millisecond)
	cancel()
	require.Error(t, <-ended)
	require.Eventually(t, sleeping(0), 10*time.Second, time.Millisecond)
}

// TestAlive: a connection whose server has gone is known by its socket, also below TLS.
func TestAlive(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c, err := patientDialer{newDialer(), 0}.DialContext(context.Background(), "tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	w := c.(*wire)
	server, err := l.Accept()
	require.NoError(t, err)
	w.Conn = tls.Client(w.Conn, &tls.Config{ServerName: "localhost"})
	require.True(t, w.alive())
	_, err = server.Write([]byte("something that nobody has read yet"))
	require.NoError(t, err)
	require.True(t, w.alive())
	require.NoError(t, server.Close())
	require.Eventually(t, func() bool { return !w.alive() }, 10*time.Second, time.Millisecond)
}
