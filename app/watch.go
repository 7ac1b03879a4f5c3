package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"smartseller/modules/migration"
	"smartseller/platform/fault"
)

type watchMove struct {
	moveArg
	Until string `placeholder:"PHASE" enum:",${phases}" default:"" help:"End once the move is in this phase, such as watching, or has it behind it on its way to completed. A pause or a rollback that is over does not count; a phase that cannot come any more is exit code 73. None: until the move ends."`
}

// Run follows the move's events until it ends or has reached the phase that was
// asked for. Whoever leaves earlier leaves the move alone.
func (c *watchMove) Run(ctx context.Context, out io.Writer) error {
	w, err := c.watcher(ctx)
	if err != nil {
		return err
	}
	if w.view = newView(out); c.JSON {
		w.view = silent{}
	}
	m := w.move
	w.view.say(fmt.Sprintf("move %s of storefront %s: %s -> %s", m.ID, m.Storefront, m.Source, m.Target))
	err = c.hear(ctx, movesPath+"/"+m.ID+"/events", following{over: m.EndedAt != nil}, func(e event) error { return w.see(ctx, e, out) })
	w.view.close()
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return fault.New(fault.Timeout, "left", "You have left; the move goes on without you. Watch it again: smartseller move watch %s", m.ID).Because(err)
	}
	if err != nil || w.reached {
		return err
	}
	return w.end(ctx, out)
}

// watcher tells what happens to one move.
type watcher struct {
	*watchMove
	move    moveState
	view    view
	copying copying
	phase   string
	reached bool // the phase that was asked for
	// What the move went through before the phase that it was found in is told in short, and
	// counts for nothing.
	found string // that phase
	since int64  // when it began, or went on behind a pause; microseconds UTC
	now   bool   // what lay before that has been told
}

func (c *watchMove) watcher(ctx context.Context) (*watcher, error) {
	said, err := c.raw(ctx)
	if err != nil {
		return nil, err
	}
	w := &watcher{watchMove: c}
	var more struct {
		Stats struct {
			Since int64 `json:"since_micros"` // 0: it is planned, or of a program that noted less
		}
	}
	if err := errors.Join(json.Unmarshal(said, &w.move), json.Unmarshal(said, &more)); err != nil {
		return nil, fmt.Errorf("the server's answer is not understood: %w", err)
	}
	w.found = w.move.Phase
	w.since = cmp.Or(more.Stats.Since, w.move.Stats.Began[w.found])
	return w, nil
}

func (w *watcher) see(ctx context.Context, e event, out io.Writer) error {
	h, err := e.happened()
	if err != nil {
		return fmt.Errorf("event %s of the move is not understood: %w", e.ID, err)
	}
	if e.Kind == "phase" && (h.At > w.since || h.At == w.since && h.What.Phase == w.found) {
		w.now = true
	}
	if w.JSON {
		text, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if err := line(out, string(text)); err != nil {
			return err
		}
	} else if err := w.tell(ctx, e, h); err != nil {
		return err
	}
	if e.Kind != "phase" {
		return nil
	}
	if w.phase = h.What.Phase; !w.now {
		return nil
	}
	return w.judge(ctx)
}

// judge says whether there is anything left to wait for: errEnough if not, and an error where
// what is waited for does not come.
func (w *watcher) judge(ctx context.Context) error {
	switch w.reached = reached(w.Until, w.phase); {
	case w.reached && w.phase != w.Until:
		w.view.say(inWords(w.Until) + " lies behind the move, and counts as reached")
		return errEnough
	case w.reached, ended(w.phase):
		return errEnough
	case tooLate(w.Until, w.phase):
		return fault.New(fault.Conflict, "too_late", "The move is %s: it does not come to be %s any more. Why: smartseller move explain %s", inWords(w.phase), inWords(w.Until), w.move.ID)
	}
	return w.givenUp(ctx)
}

// inWords is a phase within a sentence.
func inWords(phase string) string { return strings.ReplaceAll(phase, "_", " ") }

// awaits is the phase that is waited for, as far as it is known: a drill brings the storefront back.
func (w *watcher) awaits() string {
	if w.Until == "" && w.move.Options.Mode == "drill" {
		return "rolled_back"
	}
	return w.Until
}

// givenUp is an error for who waits for a rollback, or a finalize, that did not come about and
// that nobody asks for any more.
func (w *watcher) givenUp(ctx context.Context) error {
	awaited := w.awaits()
	if w.phase != "watching" || awaited != "rolled_back" && awaited != "finalizing" && awaited != "completed" {
		return nil
	}
	var m moveState
	if err := w.call(ctx, http.MethodGet, movesPath+"/"+w.move.ID, nil, &m); err != nil {
		return err
	}
	unfinalized := strings.HasPrefix(m.Cause, migration.NotFinalized)
	if m.Phase != "watching" || m.Asked != "" || m.Cause == "" || unfinalized == (awaited == "rolled_back") {
		return nil
	}
	return fault.New(fault.Conflict, "not_come_about", "The move is watching, and was not %s: %s. %s", inWords(awaited), m.Cause, m.Advice)
}

// tell says an event in words.
func (w *watcher) tell(ctx context.Context, e event, h happened) error {
	at := time.UnixMicro(h.At).UTC().Format(time.TimeOnly)
	say := func(format string, args ...any) { w.view.say(at + "  " + fmt.Sprintf(format, args...)) }
	switch e.Kind {
	case "phase":
		say("%s%s", h.What.Phase, w.hint(h.What.Phase))
		if h.What.Phase == "copying" {
			w.copying.resume(h.At)
		}
	case "progress":
		if w.copying.rows == nil {
			if err := w.call(ctx, http.MethodGet, movesPath+"/"+w.move.ID, nil, &w.move); err != nil {
				return err
			}
			w.copying.rows = w.move.Stats.Rows
		}
		if w.copying.note(h); w.now {
			w.view.table(h, w.copying.String())
		}
	case "verified":
		wait := ""
		if w.now {
			wait = "; what it waits for, if for anything: smartseller move explain " + w.move.ID
		}
		say("verified: both places are equal%s", wait)
		for _, gate := range slices.Sorted(maps.Keys(h.gates)) {
			if w.now {
				say("  %s: %s", gate, h.gates[gate])
			}
		}
	case "cut":
		if h.What.Epoch > 0 {
			say("cutover: %s, epoch %d", h.What.Cut, h.What.Epoch)
		} else {
			say("cutover: %s", h.What.Cut)
		}
	case "claimed":
		if h.What.From != "" {
			say("another instance took the move over: the one that ran it is gone")
		}
	case "yield":
		say("a newer program was started, which the move makes way for")
	case "halted":
		if h.What.Why != "" {
			say("halts: %s", h.What.Why)
		} else {
			say("goes on")
		}
	case "doing":
		if h.What.Doing != "" {
			say("%s", h.What.Doing)
		}
	case "trouble":
		if h.What.Error != "" {
			say("does not go on, and is tried again: %s", h.What.Error)
		} else {
			say("goes on")
		}
	case "taken_back":
		say("the word to %s is taken back: %s", h.What.For, cmp.Or(h.What.Why, "the seller wants no move now")) // as older programs had one reason alone
	case "asked":
		say("asked to %s", h.What.For)
	case "audit":
		say("both places compared: %s", h.What.audit)
	case "paced":
		say("bounded to %d %% of the time", h.What.Percent)
	default:
		say("%s %s", e.Kind, e.Data)
	}
	return nil
}

// hint says what a phase waits for, if it is somebody's word.
func (w *watcher) hint(phase string) string {
	switch {
	case !w.now:
		return ""
	case phase == "verifying" && w.move.Options.Manual:
		return "; then it waits for: smartseller move cutover " + w.move.ID
	case phase == "watching" && w.phase == "rolling_back":
		return "; the rollback did not come about: smartseller move explain " + w.move.ID
	case phase == "watching" && w.phase == "watching":
		return "; what was asked did not come about: smartseller move explain " + w.move.ID
	case phase == "watching" && w.move.Options.Mode == "drill":
		return "; the storefront lives on " + w.move.Target + " for the drill, and is brought back by itself"
	case phase == "watching":
		return "; the storefront lives on " + w.move.Target + ". Back: smartseller move rollback " + w.move.ID +
			"; no way back: smartseller move finalize " + w.move.ID
	case phase == "paused":
		return "; it waits for: smartseller move resume " + w.move.ID
	}
	return ""
}

// end sums up a move that has ended. A failed one is an error.
func (w *watcher) end(ctx context.Context, out io.Writer) error {
	var m moveState
	if err := w.call(ctx, http.MethodGet, movesPath+"/"+w.move.ID, nil, &m); err != nil {
		return err
	}
	if !w.JSON {
		if err := line(out, m.String()); err != nil {
			return err
		}
	}
	switch {
	case reached(w.Until, m.Phase): // its story is forgotten
		return nil
	case m.Phase == "failed":
		return fault.New(fault.Conflict, "move_failed", "%s", strings.TrimSpace("The move has failed: "+m.Cause+". "+m.Advice))
	case m.Options.Mode == "drill" && m.Stats.Drill == nil:
		return fault.New(fault.Conflict, "drill_ended", "The drill has ended as %s and came to no verdict.", m.Phase)
	case m.Stats.Drill != nil && !m.Stats.Drill.Passed:
		return fault.New(fault.Conflict, "drill_failed", "The drill has failed: %s.", m.Stats.Drill.Verdict)
	case w.Until != "":
		return fault.New(fault.Conflict, "move_ended", "The move has ended as %s: it does not come to be %s any more.", inWords(m.Phase), inWords(w.Until))
	}
	return nil
}
