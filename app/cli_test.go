package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
	"github.com/vbauerster/mpb/v8"

	"smartseller/modules/migration"
	"smartseller/platform/fault"
)

// TestEveryCommandShowsAnExample that it understands.
func TestEveryCommandShowsAnExample(t *testing.T) {
	parser := func() *kong.Kong {
		l := newLayers()
		return kong.Must(&commands{}, kong.Name("smartseller"), kong.Resolvers(l), kong.Bind(l), words())
	}
	leaves := 0
	for _, leaf := range parser().Model.Leaves(true) {
		leaves++
		example, ok := strings.CutPrefix(leaf.Tag.Get("example"), "smartseller ")
		require.True(t, ok, "%s has no example", leaf.FullPath())
		parsed, err := parser().Parse(strings.Fields(example))
		require.NoError(t, err, leaf.FullPath())
		require.Equal(t, leaf.FullPath(), parsed.Selected().FullPath())

		var out bytes.Buffer
		require.Zero(t, Main(append(strings.Fields(leaf.FullPath())[1:], "--help"), &out, &out))
		require.Contains(t, out.String(), "Example: smartseller")
	}
	require.Greater(t, leaves, 20)
}

// TestEveryCommandAnswersInJSON but the one that has no end.
func TestEveryCommandAnswersInJSON(t *testing.T) {
	t.Parallel()
	parser := kong.Must(&commands{}, words())
	for _, leaf := range parser.Model.Leaves(true) {
		has := slices.ContainsFunc(leaf.Flags, func(f *kong.Flag) bool { return f.Name == "json" })
		require.Equal(t, leaf.Name != "serve", has, leaf.FullPath())
	}
}

// TestEmptyArguments are none that was left out: nothing is asked of the server.
func TestEmptyArguments(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") }))
	defer server.Close()
	t.Setenv("SMARTSELLER_URL", server.URL)
	t.Setenv("SMARTSELLER_TOKEN", "token")
	for _, args := range [][]string{
		{"storefront", "show", ""},
		{"schema", "upgrade", ""},
		{"schema", "status", ""},
		{"move", "start", "demo", ""},
		{"move", "pace", "30", ""},
		{"move", "list", ""},
		{"plan", "statistics", ""},
		{"plan", "create", "demo=files-2", ""},
		{"where", ""},
		{"backend", "remove", ""},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, 64, Main(args, &out, &errs), args)
		require.Contains(t, errs.String(), "is empty: say which one is meant", args)
	}
}

// TestNoTimeIsNotTheDefault that the server takes 0 for: a move with it is not asked for.
func TestNoTimeIsNotTheDefault(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") }))
	defer server.Close()
	t.Setenv("SMARTSELLER_URL", server.URL)
	t.Setenv("SMARTSELLER_TOKEN", "token")
	for flag, says := range map[string]string{"--drill=0s": "A drill needs some time", "--drill=-1ms": "A drill needs some time", "--rollback-window=0": "--rollback-window 1"} {
		var out, errs bytes.Buffer
		require.Equal(t, 65, Main([]string{"move", "start", "demo", "files-2", flag}, &out, &errs), flag)
		require.Contains(t, errs.String(), says, flag)
	}
}

// TestTokenOfAVariable may end with a line break; what no header can hold is refused
// before the server is asked, and not repeated.
func TestTokenOfAVariable(t *testing.T) {
	var said string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said = r.Header.Get("Authorization")
		_, _ = w.Write([]byte(`{"slug":"demo"}`))
	}))
	defer server.Close()
	t.Setenv("SMARTSELLER_URL", server.URL)
	folder := t.TempDir()
	show := func() (int, string) {
		var out, errs bytes.Buffer
		return Main([]string{"storefront", "show", "demo", "--data", folder}, &out, &errs), errs.String()
	}
	t.Setenv("SMARTSELLER_TOKEN", "hunter2\r\n")
	code, errs := show()
	require.Zero(t, code, errs)
	require.Equal(t, "Bearer hunter2", said)

	t.Setenv("SMARTSELLER_TOKEN", "hunter2\nhunter3")
	code, errs = show()
	require.Equal(t, 78, code)
	require.Contains(t, errs, "SMARTSELLER_TOKEN: token: must be one word")
	require.NotContains(t, errs, "hunter")

	t.Setenv("SMARTSELLER_TOKEN", "")
	require.NoError(t, os.WriteFile(filepath.Join(folder, "admin.token"), []byte("hunter2 hunter3\n"), 0o600))
	code, errs = show()
	require.Equal(t, 77, code)
	require.Contains(t, errs, "admin.token must be one word")
	require.NotContains(t, errs, "hunter")
}

// TestNewPasswordInJSON for scripts.
func TestNewPasswordInJSON(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	passwords := map[string]bool{}
	for _, do := range []string{"create", "reset-password"} {
		var out, errs bytes.Buffer
		require.Zero(t, Main([]string{"admin", do, "ada@example.com", "--data", folder, "--json"}, &out, &errs), errs.String())
		var said newPassword
		require.NoError(t, json.Unmarshal(out.Bytes(), &said))
		require.Equal(t, "ada@example.com", said.Email)
		require.NotEmpty(t, said.Password)
		passwords[said.Password] = true
	}
	require.Len(t, passwords, 2)
	kept, err := os.Stat(filepath.Join(folder, "control.db"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), kept.Mode().Perm(), "it holds what nobody else may read")
}

// story is a server that tells a move's events, and breaks off after some of them.
type story struct {
	events   []string
	breakoff int // events in each answer; 0: all
	asked    []string
}

func (s *story) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	last := r.Header.Get("Last-Event-ID")
	s.asked = append(s.asked, last)
	after := 0
	_, _ = fmt.Sscan(last, &after)
	w.Header().Set("Content-Type", "text/event-stream")
	for i, e := range s.events[after:] {
		if s.breakoff > 0 && i == s.breakoff {
			_, _ = fmt.Fprintf(w, ": half an event follows\n\nid: %d\nevent: phase\ndata: {", after+i+1)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		_, _ = fmt.Fprintf(w, "id: %d\n%s\n\n", after+i+1, e)
	}
}

func listen(t *testing.T, h http.Handler) *remote {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	r := &remote{}
	r.URL, r.Token = serverURL(server.URL), "token"
	return r
}

// TestFollowGoesOnBehindTheLastEvent: each event is seen once and in order, however
// often the stream breaks off.
func TestFollowGoesOnBehindTheLastEvent(t *testing.T) {
	t.Parallel()
	s := &story{breakoff: 2}
	for n := range 5 {
		s.events = append(s.events, fmt.Sprintf("event: progress\ndata: {\"n\":%d}", n+1))
	}
	r := listen(t, s)
	var seen []string
	require.NoError(t, r.follow(context.Background(), "/", func(e event) error {
		require.Equal(t, fmt.Sprintf(`{"n":%s}`, e.ID), string(e.Data))
		if seen = append(seen, e.ID); len(seen) == len(s.events) {
			return errEnough
		}
		return nil
	}))
	require.Equal(t, []string{"1", "2", "3", "4", "5"}, seen)
	require.Equal(t, []string{"", "2", "4"}, s.asked)
}

// TestFollowGivesUp at once where trying again is no use, and when whoever follows leaves.
func TestFollowGivesUp(t *testing.T) {
	t.Parallel()
	refusing := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"code":"move_not_found","detail":"There is no such move."}`))
	}))
	err := refusing.follow(context.Background(), "/", func(event) error { return nil })
	require.Equal(t, fault.NotFound, fault.Of(err).Kind)

	r := listen(t, &story{events: []string{"event: phase\ndata: {}"}})
	ctx, leave := context.WithCancel(context.Background())
	require.ErrorIs(t, r.follow(ctx, "/", func(event) error {
		leave()
		return nil
	}), context.Canceled)
	broken := errors.New("nobody reads this")
	require.ErrorIs(t, r.follow(context.Background(), "/", func(event) error { return broken }), broken)
}

// TestWatchTellsOfPhasesAndProgress by the server's clock, so that rates are right
// also for what happened before anybody watched.
func TestWatchTellsOfPhasesAndProgress(t *testing.T) {
	t.Parallel()
	events := &story{events: []string{
		`event: phase` + "\n" + `data: {"at":1000000,"what":{"phase":"copying","from":"preparing"}}`,
		`event: progress` + "\n" + `data: {"at":2000000,"what":{"table":"customers","copied":400,"total":800,"done":false}}`,
		`event: progress` + "\n" + `data: {"at":2100000,"what":{"table":"customers","copied":500,"total":800,"done":false}}`,
		`event: progress` + "\n" + `data: {"at":3000000,"what":{"table":"orders","copied":200,"total":200,"done":true}}`,
		`event: halted` + "\n" + `data: {"at":3000000,"what":{"why":"a standby of b is far behind"}}`,
		`event: halted` + "\n" + `data: {"at":3000000,"what":{"why":""}}`,
		`event: doing` + "\n" + `data: {"at":3000000,"what":{"doing":"compares every row once more"}}`,
		`event: doing` + "\n" + `data: {"at":3000000,"what":{"doing":""}}`,
		`event: trouble` + "\n" + `data: {"at":3000000,"what":{"error":"the source: it is away","since":2}}`,
		`event: trouble` + "\n" + `data: {"at":3000000,"what":null}`,
		`event: claimed` + "\n" + `data: {"at":3000000,"what":{"gen":2,"instance":"x","from":"y"}}`,
		`event: verified` + "\n" + `data: {"at":4000000,"what":{"references":"all found"}}`,
		`event: cut` + "\n" + `data: {"at":5000000,"what":{"cut":"committed","epoch":2}}`,
		`event: phase` + "\n" + `data: {"at":6000000,"what":{"phase":"watching","from":"cutting_over"}}`,
		`event: phase` + "\n" + `data: {"at":7000000,"what":{"phase":"failed","from":"watching"}}`,
	}}
	mux := http.NewServeMux()
	mux.Handle("/api/admin/moves/"+moveID+"/events", events)
	first := "copying"
	began := map[string]int{"copying": 1_000_000, "watching": 6_000_000}
	mux.HandleFunc("/api/admin/moves/"+moveID, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"id":"`+moveID+`","source":"a","target":"b","phase":%q,"cause":"it broke","advice":"Mend it.",
			"stats":{"rows":{"customers":800,"orders":200},"committed_at":5,"stall_micros":12000,"since_micros":%d}}`, first, began[first])
		first = "failed"
	})
	watch := func(until, now string) (string, error) {
		first = now
		c := &watchMove{Until: until}
		c.remote, c.Move = *listen(t, mux), moveID
		var out bytes.Buffer
		err := c.Run(context.Background(), &out)
		return out.String(), err
	}
	out, err := watch("", "copying")
	require.ErrorContains(t, err, "it broke. Mend it.")
	require.Equal(t, 73, fault.Of(err).Kind.Meaning().Exit)
	for _, told := range []string{
		"a -> b", "00:00:01  copying", "customers 400 of 800; all: 400 of 1000 rows (40 %), 400 rows/s, 2s to go",
		"orders 200 of 200, done; all: 700 of 1000 rows (70 %), 350 rows/s, 1s to go", "halts: a standby of b is far behind", "goes on", "took the move over: the one that ran it is gone", "references: all found", "00:00:03  compares every row once more",
		"cutover: committed, epoch 2", "watching", "write stall  12ms",
	} {
		require.Contains(t, out, told)
	}
	require.NotContains(t, out, "customers 500", "not every chunk is news")

	out, err = watch("watching", "planned")
	require.NoError(t, err)
	require.NotContains(t, out, "failed")
	out, err = watch("completed", "watching")
	require.ErrorContains(t, err, "has failed")
	require.Contains(t, out, "copying")
	require.NotContains(t, out, "customers 400", "what is past is told in short")
}

// TestWatchEndsWhereWhatIsAwaitedDoesNotComeAbout: the window may stay open for days.
func TestWatchEndsWhereWhatIsAwaitedDoesNotComeAbout(t *testing.T) {
	t.Parallel()
	const differs, damaged, busy = "verification failed: counters a differs", migration.NotFinalized + ": the new place: it is damaged", "writers did not end in time"
	for _, c := range []struct {
		until, asked, cause string
		ends                bool
		mode                string
	}{
		{"rolled_back", "", differs, true, ""},
		{"rolled_back", "", busy, true, ""},
		{"rolled_back", "rollback", differs, false, ""}, // asked again
		{"rolled_back", "", "", false, ""},
		{"rolled_back", "", damaged, false, ""},
		{"completed", "", damaged, true, ""},
		{"finalizing", "", damaged, true, ""},
		{"completed", "", busy, false, ""}, // the window ends
		{"", "", differs, true, "drill"},   // it waits for an operator
	} {
		events := &story{events: []string{
			`event: phase` + "\n" + `data: {"at":6000000,"what":{"phase":"rolling_back","from":"watching"}}`,
			`event: phase` + "\n" + `data: {"at":6000000,"what":{"phase":"watching","from":"rolling_back"}}`,
			`event: phase` + "\n" + `data: {"at":7000000,"what":{"phase":"failed","from":"watching"}}`,
		}}
		mux := http.NewServeMux()
		mux.Handle("/api/admin/moves/"+moveID+"/events", events)
		mux.HandleFunc("/api/admin/moves/"+moveID, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"id":"` + moveID + `","phase":"watching","asked":"` + c.asked + `","cause":"` + c.cause + `","advice":"Do something.","options":{"mode":"` + c.mode + `"}}`))
		})
		watch := &watchMove{Until: c.until}
		watch.remote, watch.Move = *listen(t, mux), moveID
		var out bytes.Buffer
		err := watch.Run(context.Background(), &out)
		require.Equal(t, 73, fault.Of(err).Kind.Meaning().Exit)
		require.Equal(t, c.ends, fault.Of(err).Code == "not_come_about", "%+v: %v", c, err)
	}
}

const moveID = "0193b3a0-0000-7000-8000-000000000001"

// TestBarsShowEveryTable on a terminal.
func TestBarsShowEveryTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := newBars(mpb.WithOutput(&out), mpb.WithAutoRefresh())
	var h happened
	h.What.Table, h.What.Copied, h.What.Total = "customers", 3, 7
	b.table(h, "all of them")
	h.What.Table, h.What.Copied, h.What.Total, h.What.Done = "orders", 5, 5, true
	b.table(h, "even more")
	b.say("a line between")
	b.close()
	for _, shown := range []string{"customers", "3 / 7", "orders", "5 / 5", "even more", "a line between"} {
		require.Contains(t, out.String(), shown)
	}
}

func TestSecretsCanComeFromFiles(t *testing.T) {
	t.Parallel()
	var s secretText
	require.NoError(t, s.UnmarshalText([]byte("postgres://x")))
	require.EqualValues(t, "postgres://x", s)
	require.Error(t, s.UnmarshalText([]byte("@"+filepath.Join(t.TempDir(), "absent"))))
}

// TestCapacityBeyondAnyNumber: GiB that no number of bytes can say are refused, and not
// taken for another number.
func TestCapacityBeyondAnyNumber(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	require.NotZero(t, Main([]string{"backend", "capacity", "pg", "17179869184", "--url", "http://127.0.0.1:1", "--token", "x"}, &out, &errs))
	require.Contains(t, errs.String(), "No backend holds so many GiB")
}
