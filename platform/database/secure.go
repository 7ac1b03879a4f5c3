package database

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lib/pq"
)

// security is how a DSN wants its connections secured. It is done here and not by lib/pq, so
// that a wire carries what the driver and the server say to each other in the clear.
type security struct {
	config   *tls.Config // nil: not at all
	optional bool        // a server without TLS will do
	direct   bool        // begins without asking (sslnegotiation=direct)
}

// withoutTLS is a DSN that asks lib/pq for none; wanted: it had asked for some. What pgconn,
// which reads such a DSN for us, does not know of is refused: to pass over it would be less
// than was asked for.
func withoutTLS(dsn string) (plain string, wanted bool, err error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return "", false, errors.New("the DSN is not understood")
	}
	q := u.Query()
	for _, name := range []string{"ssl_min_protocol_version", "ssl_max_protocol_version", "sslinline", "channel_binding", "hostaddr"} {
		if q.Has(name) {
			return "", false, fmt.Errorf("the DSN's parameter %s is not supported", name)
		}
	}
	wanted = q.Get("sslmode") != "disable"
	for _, name := range []string{"sslcert", "sslkey", "sslpassword", "sslsni"} {
		q.Del(name)
	}
	q.Set("sslmode", "disable")
	q.Set("sslnegotiation", "postgres")
	q.Set("sslrootcert", "unused") // and not what the environment says, which lib/pq would refuse
	u.RawQuery = q.Encode()
	return u.String(), wanted, nil
}

// securities are those of a DSN's hosts, by address, with the certificates as they are now.
func securities(dsn string) (map[string]security, error) {
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("the DSN, or a certificate that it names, is not understood")
	}
	byAddress := map[string]security{}
	for _, way := range append([]*pgconn.FallbackConfig{{Host: cfg.Host, Port: cfg.Port, TLSConfig: cfg.TLSConfig}}, cfg.Fallbacks...) {
		_, address := pgconn.NetworkAddress(way.Host, way.Port)
		s := byAddress[address]
		s.direct = cfg.SSLNegotiation == "direct"
		if s.config == nil {
			s.config = way.TLSConfig
		}
		s.optional = s.optional || way.TLSConfig == nil
		byAddress[address] = s
	}
	return byAddress, nil
}

// sslRequest asks a server for TLS.
//
// https://www.postgresql.org/docs/current/protocol-message-formats.html
var sslRequest = []byte{0, 0, 0, 8, 4, 210, 22, 47}

// secure makes a fresh connection a secure one, in the time that the context has and no longer
// than a server's machine may be silent.
func (s security) secure(ctx context.Context, c net.Conn) (secured net.Conn, err error) {
	if s.config == nil {
		return c, nil
	}
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	ended := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !ended() && err == nil {
			err = context.Cause(ctx)
		}
	}()
	if s.direct {
		return s.handshake(ctx, c)
	}
	var answer [1]byte
	if _, err := c.Write(sslRequest); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return nil, err
	}
	switch {
	case answer[0] == 'S':
		return s.handshake(ctx, c)
	case s.optional:
		return c, nil
	}
	return nil, pq.ErrSSLNotSupported
}

func (s security) handshake(ctx context.Context, c net.Conn) (net.Conn, error) {
	encrypted := tls.Client(c, s.config)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS with the database's server: %w", err)
	}
	return encrypted, nil
}

// secureDialer makes wires over connections that are secured as a DSN asks for it.
type secureDialer struct {
	patientDialer
	dsn string
}

// DialContext implements pq.DialerContext.
func (d secureDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	byAddress, err := securities(d.dsn)
	if err != nil {
		return nil, err
	}
	how, known := byAddress[address]
	if !known {
		return nil, fmt.Errorf("how to secure a connection to %s is not known: the DSN must say each host with its port", address)
	}
	c, err := d.patientDialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	secured, err := how.secure(ctx, c.(*wire).Conn)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.(*wire).Conn = secured
	return c, nil
}
