package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/fault"
)

// told is a server with one move: what happened to it, how it is when it is asked for at first,
// and how later.
type told struct {
	story
	first, later string
	shown        bool
}

// ask makes a command on that move. A stream that is asked for once more, though it has told all,
// ends whatever the command waits for.
func (s *told) ask(t *testing.T) (moveArg, context.Context) {
	t.Helper()
	ctx, leave := context.WithCancel(context.Background())
	t.Cleanup(leave)
	mux := http.NewServeMux()
	mux.HandleFunc("/api/admin/moves/"+moveID+"/events", func(w http.ResponseWriter, r *http.Request) {
		if len(s.asked) > 0 {
			leave()
		}
		s.ServeHTTP(w, r)
	})
	mux.HandleFunc("/api/admin/moves/"+moveID, func(w http.ResponseWriter, _ *http.Request) {
		state := s.later
		if !s.shown {
			state, s.shown = s.first, true
		}
		_, _ = io.WriteString(w, state)
	})
	mux.HandleFunc("POST /api/admin/moves/"+moveID+"/verify", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, s.later)
	})
	return moveArg{remote: *listen(t, mux), Move: moveID}, ctx
}

// phases is the story of a move that enters one after another, in each second one.
func phases(of ...string) story {
	var s story
	for i, phase := range of {
		s.events = append(s.events, fmt.Sprintf("event: phase\ndata: {\"at\":%d,\"what\":{\"phase\":%q}}", 1_000_000*(i+1), phase))
	}
	return s
}

// TestUntilSpeaksOfNow: what a move went through before it was found says nothing of where it is,
// but that it is further on its way.
func TestUntilSpeaksOfNow(t *testing.T) {
	t.Parallel()
	way := []string{
		"planned", "preparing", "copying", "paused", "copying", "verifying", "cutting_over", "watching", "rolling_back", "watching", "rolling_back", "rolled_back",
	}
	done := []string{"planned", "copying", "paused", "verifying", "watching", "finalizing", "completed"}
	rehearsal := []string{"planned", "copying", "verifying", "cutting_over", "cancelling", "rehearsed"}
	const resume, behind = "move resume", "lies behind the move"
	for name, c := range map[string]struct {
		way    []string
		found  int // the phase that it is found in, from 1
		until  string
		code   string // of the error; "": it was reached
		says   string
		silent string // is not said
	}{
		"a pause that is over":             {way, 5, "paused", "too_late", "", resume},
		"a pause that goes on":             {way, 4, "paused", "", resume, behind},
		"a pause that comes":               {way, 3, "paused", "", resume, behind},
		"a phase that is over":             {way, 8, "verifying", "", "verifying " + behind, ""},
		"a phase that comes":               {way, 1, "verifying", "", "", "watching"},
		"a phase that goes on":             {way, 8, "watching", "", "move rollback", "rolling_back"},
		"back from a rollback":             {way, 10, "watching", "", "explain", behind},
		"in the midst of a rollback":       {way, 9, "watching", "", "explain", behind},
		"in the midst of another":          {way, 11, "watching", "move_ended", "", behind},
		"after a rollback":                 {way, 12, "watching", "move_ended", "", "move finalize"},
		"a rollback that comes to its end": {way, 10, "rolled_back", "", "", ""},
		"another rollback":                 {way, 10, "rolling_back", "", "", ""},
		"no cancel behind the commit":      {way, 8, "cancelled", "too_late", "not come to be cancelled", ""},
		"late for one that has ended":      {done, 7, "watching", "", behind, "move rollback"},
		"its end":                          {done, 7, "completed", "", "", behind},
		"a pause of one that has ended":    {done, 7, "paused", "move_ended", "", resume},
		"late for a rehearsal":             {rehearsal, 6, "cutting_over", "", behind, ""},
		"a rehearsal does not commit":      {rehearsal, 5, "watching", "too_late", "", behind},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := func(at int) string {
				ended := ""
				if at == len(c.way) {
					ended = `,"ended_at":1`
				}
				return fmt.Sprintf(`{"id":%q,"phase":%q,"stats":{"since_micros":%d,"committed_at":1}%s}`, moveID, c.way[at-1], 1_000_000*at, ended)
			}
			s := &told{story: phases(c.way...), first: state(c.found), later: state(len(c.way))}
			watch, ctx := s.ask(t)
			var out bytes.Buffer
			err := (&watchMove{moveArg: watch, Until: c.until}).Run(ctx, &out)
			if c.code == "" {
				require.NoError(t, err)
			} else {
				require.Equal(t, c.code, fault.Of(err).Code, "%v", err)
				require.Equal(t, 73, fault.Of(err).Kind.Meaning().Exit)
				_, _ = fmt.Fprintln(&out, err)
			}
			require.Contains(t, out.String(), c.says)
			if c.silent != "" {
				require.NotContains(t, out.String(), c.silent)
			}
		})
	}
}

// TestWatchOfAForgottenStory ends, as the move did, when the stream has nothing to tell.
func TestWatchOfAForgottenStory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ ended, until, code string }{
		{"completed", "", ""},
		{"completed", "watching", ""},
		{"completed", "cancelled", "move_ended"},
		{"rolled_back", "watching", "move_ended"},
		{"failed", "", "move_failed"},
		{"failed", "failed", ""},
	} {
		state := fmt.Sprintf(`{"id":%q,"phase":%q,"stats":{"since_micros":5},"ended_at":5}`, moveID, c.ended)
		watch, ctx := (&told{first: state, later: state}).ask(t)
		var out bytes.Buffer
		err := (&watchMove{moveArg: watch, Until: c.until}).Run(ctx, &out)
		if c.code == "" {
			require.NoError(t, err, "%v", c)
		} else {
			require.Equal(t, c.code, fault.Of(err).Code, "%v: %v", c, err)
		}
		require.Contains(t, out.String(), c.ended)
	}
}
