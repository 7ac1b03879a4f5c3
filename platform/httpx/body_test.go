package httpx_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"smartseller/platform/httpx"
)

// TestBodiesThatDoNotCome: what a client sends wrongly, or not at all, is not our error.
func TestBodiesThatDoNotCome(t *testing.T) {
	t.Parallel()
	s := httpx.New(httpx.Options{Log: slog.New(slog.DiscardHandler), BodyLimit: 200, BodyWithin: 100 * time.Millisecond})
	httpx.Register(s, huma.Operation{OperationID: "echo", Method: http.MethodPost, Path: "/echo"},
		func(context.Context, *echoInput) (*struct{}, error) { return nil, nil })
	served := httptest.NewServer(s.Handler())
	t.Cleanup(served.Close)
	for name, c := range map[string]struct {
		said   string // of the body, and what of it is sent
		ends   bool   // nothing comes any more
		status int
		code   string
	}{
		"whole":              {"Content-Length: 12\r\n\r\n{\"name\":\"a\"}", false, 204, ""},
		"too slow":           {"Content-Length: 100\r\n\r\n{", false, 408, "request_too_slow"},
		"broken off":         {"Content-Length: 100\r\n\r\n{", true, 400, "malformed"},
		"no chunk":           {"Transfer-Encoding: chunked\r\n\r\nzz\r\n", false, 400, "malformed"},
		"said too large":     {"Content-Length: 5000000\r\n\r\n", false, 413, "too_large"},
		"refused before":     {"Content-Length: 200\r\n\r\n", false, 413, "too_large"},
		"not too large":      {"Content-Length: 199\r\n\r\n{", false, 408, "request_too_slow"},
		"not said too large": {"Transfer-Encoding: chunked\r\n\r\nff\r\n" + string(make([]byte, 255)) + "\r\n0\r\n\r\n", false, 413, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", served.Listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(time.Now().Add(5*time.Second)))
			_, err = io.WriteString(conn, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+c.said)
			require.NoError(t, err)
			if c.ends {
				require.NoError(t, conn.(*net.TCPConn).CloseWrite())
			}
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			defer answer.Body.Close()
			require.Equal(t, c.status, answer.StatusCode)
			if c.code == "" {
				return
			}
			var p httpx.Problem
			require.NoError(t, json.NewDecoder(answer.Body).Decode(&p))
			require.Equal(t, c.code, p.Code)
		})
	}
}
