package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/e2e/load"
	"smartseller/platform/control"
)

// accepted counts the requests that a server took and did not answer. One that
// could not even connect was never taken.
type accepted struct {
	next http.RoundTripper
	lost atomic.Int64
	last atomic.Value // error
}

func (a *accepted) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := a.next.RoundTrip(r)
	var refused *net.OpError
	if connected := !errors.As(err, &refused) || refused.Op != "dial"; err != nil && connected {
		a.lost.Add(1)
		a.last.Store(err)
	}
	return response, err
}

func (p *program) open(t *testing.T, ctx context.Context, path string) *http.Response {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(p.folder, "data", "admin.token"))
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url()+path, nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	return response
}

// signal tells the process to stop and waits until it says that it does.
func (p *program) signal(t *testing.T) {
	t.Helper()
	require.NoError(t, p.process.Process.Signal(syscall.SIGTERM))
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	require.Eventually(t, func() bool {
		response, err := fresh.Get(p.url() + "/readyz")
		require.NoError(t, err, "it must say so before it goes")
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(text), `"check":"serving"`)
	}, patience, glance)
}

// TestStopLosesNoRequest tells a busy server to stop: what it took it answers, event
// streams end, the move that it runs is handed back, and it exits with 0.
func TestStopLosesNoRequest(t *testing.T) {
	t.Parallel()
	p := install(t)
	taken := &accepted{next: p.contract}
	l := p.crowd(t, "demo", func(o *load.Options) { o.Restarts, o.Client = true, &http.Client{Transport: taken} })
	move := p.start(t, "files-2", "--manual")
	p.waitFor(t, move, "verifying")
	stream := p.open(t, context.Background(), "/api/admin/moves/"+move+"/events")
	streamed := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, stream.Body)
		streamed <- errors.Join(err, stream.Body.Close())
	}()
	l.Start(context.Background())
	reached(t, l, 50)

	p.signal(t)
	require.NoError(t, p.wait(t), "a graceful stop exits with 0: %s", &p.log)
	require.NoError(t, <-streamed, "the event stream is ended, not broken off")
	require.Zero(t, p.leaseUntil(t, move), "the lease is handed back: %s", &p.log)
	p.serve(t)
	reached(t, l, 50)
	p.must(t, "move", "cutover", move)
	p.waitFor(t, move, "watching")
	l.Stop()
	require.NoError(t, l.Verify(context.Background()))
	require.Zero(t, taken.lost.Load(), "taken and not answered: %v", taken.last.Load())
}

// leaseUntil reads until when a move is somebody's; nobody must be serving.
func (p *program) leaseUntil(t *testing.T, move string) (until int64) {
	t.Helper()
	ctx := context.Background()
	db, err := control.Open(ctx, "sqlite:"+filepath.Join(p.folder, "data", "control.db"))
	require.NoError(t, err)
	require.NoError(t, db.View(ctx, func(_ context.Context, tx control.Tx) error {
		return tx.Get(&until, `SELECT lease_until FROM moves WHERE id = $1`, move)
	}))
	require.NoError(t, db.Close())
	return until
}

// TestStopWithAFullDisk: what a stop would still like to write down is not what its
// exit code is about.
func TestStopWithAFullDisk(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p := install(t)
	db, err := control.Open(ctx, p.controlDSN())
	require.NoError(t, err)
	require.NoError(t, db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		for _, table := range []string{"leases", "storefront_hours"} {
			for _, do := range []string{"INSERT", "UPDATE"} {
				if _, err := tx.Exec(`CREATE TRIGGER full_` + table + do + ` BEFORE ` + do + ` ON ` + table + ` BEGIN SELECT RAISE(FAIL, 'as if the disk were full'); END`); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	require.NoError(t, db.Close())
	status, _, _ := p.ask(t, "GET", "demo/products", "", nil)
	require.Equal(t, http.StatusOK, status)
	p.stop(t)
	require.Contains(t, p.log.String(), "the last statistics are lost")
}

// TestSecondSignalForces: a request that never ends holds the first stop up, and the
// second signal does not wait for it.
func TestSecondSignalForces(t *testing.T) {
	t.Parallel()
	p := install(t)
	endless, err := net.Dial("tcp", p.address)
	require.NoError(t, err)
	defer endless.Close()
	_, err = fmt.Fprintf(endless, "POST /api/storefront/demo/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	require.NoError(t, err)
	p.signal(t)
	require.NoError(t, p.process.Process.Signal(syscall.SIGTERM))
	require.Error(t, p.wait(t), "a forced stop does not exit with 0")
}
