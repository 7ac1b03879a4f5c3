package httpx_test

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"smartseller/platform/httpx"
)

// These tests run alone: httpx.New says how all of huma makes its errors.

// TestStopAnswersWhoeverHasConnected: who connected before the stop gets an answer,
// although the request comes after it. http.Server.Shutdown gives none.
func TestStopAnswersWhoeverHasConnected(t *testing.T) {
	s := newServer()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l, 0, 10*time.Second) }()

	clients := make([]net.Conn, 32)
	for i := range clients {
		clients[i], err = net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer clients[i].Close()
	}
	stop()
	require.Eventually(t, func() bool { return !s.Ready() }, 10*time.Second, time.Millisecond)
	for _, c := range clients {
		_, err := c.Write([]byte("GET /docs HTTP/1.1\r\nHost: x\r\n\r\n"))
		require.NoError(t, err)
	}
	for _, c := range clients {
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.True(t, response.Close, "it says that the connection ends")
		require.NoError(t, response.Body.Close())
	}
	require.NoError(t, <-served)
	_, err = net.Dial("tcp", l.Addr().String())
	require.Error(t, err)
}

// TestStopWaitsNoLongerThanItsGrace for a request that does not end, and says so.
func TestStopWaitsNoLongerThanItsGrace(t *testing.T) {
	s := httpx.New(httpx.Options{Version: "test", Log: slog.New(slog.DiscardHandler)})
	begun, end := make(chan struct{}), make(chan struct{})
	httpx.Register(s, huma.Operation{OperationID: "endless", Method: http.MethodGet, Path: "/endless"}, func(context.Context, *struct{}) (*struct{}, error) {
		close(begun)
		<-end
		return nil, nil
	})
	defer close(end)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l, 0, time.Millisecond) }()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Write([]byte("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"))
	require.NoError(t, err)
	<-begun
	stop()
	require.ErrorContains(t, <-served, "still under way")
}
