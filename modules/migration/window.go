package migration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/fault"
)

// Window is a stretch of every day, by the clocks of a time zone, in which a move may
// cut over; it may go over midnight. The zero Window is always open. The hours that a
// change of clocks leaves out are not there: a window within them is closed that day.
type Window struct {
	text     string
	from, to int // minutes of the day; the last one does not belong to it
	zone     *time.Location
}

var windowText = regexp.MustCompile(`^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$`)

// ParseWindow reads a window such as 02:00-05:00 in a zone such as Europe/Berlin; ""
// is the window that is always open.
func ParseWindow(text, zone string) (Window, error) {
	if text == "" {
		return Window{}, nil
	}
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return Window{}, fault.InvalidField("/options/time_zone", "unknown_time_zone", "must be a name of the IANA time zone database, such as Europe/Berlin")
	}
	m := windowText.FindStringSubmatch(text)
	w := Window{text: text + " " + location.String(), zone: location}
	if m != nil {
		w.from, w.to = minutes(m[1], m[2]), minutes(m[3], m[4])
	}
	if m == nil || w.from == w.to {
		return Window{}, fault.InvalidField("/options/cutover_window", "invalid_window", "must be two times of the day that differ, such as 02:00-05:00")
	}
	return w, nil
}

func minutes(hours, rest string) int {
	h, _ := strconv.Atoi(hours) // two digits, as matched
	m, _ := strconv.Atoi(rest)
	return 60*h + m
}

// String is the window with its zone.
func (w Window) String() string { return w.text }

// Open says whether a moment is within the window.
func (w Window) Open(at time.Time) bool {
	if w.zone == nil {
		return true
	}
	at = at.In(w.zone)
	minute := 60*at.Hour() + at.Minute()
	if w.from < w.to {
		return w.from <= minute && minute < w.to
	}
	return minute >= w.from || minute < w.to
}

// Opens is the first moment, not before at, at which the window is open. That may be the
// one at which the clocks of the zone change: one that begins within the hours left out
// opens then, if any of it is behind them.
func (w Window) Opens(at time.Time) time.Time {
	for !w.Open(at) {
		at = w.next(at.In(w.zone))
	}
	return at
}

// next is the first moment behind one at which the window is closed that may open it: its
// beginning by the clocks as they are now, or a change of these before that.
func (w Window) next(at time.Time) time.Time {
	const day = 24 * 60
	ahead := (w.from - 60*at.Hour() - at.Minute() + day) % day // never 0: then it were open
	begins := at.Add(time.Duration(ahead)*time.Minute - time.Duration(at.Second())*time.Second - time.Duration(at.Nanosecond()))
	// Go takes a year for 365 days there: on the last one of a leap year the end may be over.
	if _, changes := at.ZoneBounds(); changes.After(at) && changes.Before(begins) {
		return changes
	}
	return begins
}

// cutoverWindow is the window that the move was given; it was checked when it was.
func (o Options) cutoverWindow() Window {
	w, _ := ParseWindow(o.CutoverWindow, o.TimeZone)
	return w
}

// completeOptions checks what was asked for and fills in what was left to the storefront.
func (s *Service) completeOptions(ctx context.Context, r *Request) error {
	if r.Options.CutoverWindow != "" && r.Options.TimeZone == "" {
		err := s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
			return tx.Get(&r.Options.TimeZone, `SELECT time_zone FROM storefronts WHERE id = $1`, string(r.Storefront))
		})
		if errors.Is(err, sql.ErrNoRows) {
			r.Options.TimeZone, err = "UTC", nil // the placement will tell that there is no such storefront
		}
		if err != nil {
			return err
		}
	}
	if _, err := ParseWindow(r.Options.CutoverWindow, r.Options.TimeZone); err != nil {
		return err
	}
	const late = time.Minute // the clocks of who asks and of this instance may differ
	switch at := time.UnixMicro(r.Options.BeginAt); {
	case at.After(time.Now().AddDate(1, 0, 0)):
		return fault.InvalidField("/options/begin_at", "too_late", "must be at most a year ahead")
	case r.Options.BeginAt > 0 && at.Before(time.Now().Add(-late)):
		return fault.InvalidField("/options/begin_at", "in_the_past", "is over: leave it out to begin at once")
	}
	return r.Options.checkDrill()
}

// mayCutOver says whether nobody's word and no window is waited for. A seller's "not now"
// holds until an operator says cutover: a plan, which asks for the seller, has looked.
func (x *run) mayCutOver(ctx context.Context) (bool, error) {
	told := !x.m.Options.ManualCutover || x.m.Phase == CuttingOver || x.intent.Load().(Intent) == WantCutover
	if !told || !x.m.Options.cutoverWindow().Open(x.clock()) {
		return false, nil
	}
	if x.m.Phase == CuttingOver {
		return true, nil
	}
	var forbidden, barred bool
	err := x.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		if x.intent.Load().(Intent) == WantCutover {
			barred, err = barredSince(tx, x.m)
			return err
		}
		_, forbidden, err = readBlackout(tx, x.m.Storefront)
		return err
	})
	if err != nil || !barred {
		return !forbidden, err
	}
	return false, x.takeBack(ctx)
}

// mayBeTakenBack is the condition that a move was told to cut over and has not begun to.
const mayBeTakenBack = `m.ended_at IS NULL AND m.cut = '' AND m.phase <> 'cutting_over' AND (m.intent = 'cutover' OR m.kept = 'cutover')`

// TakeBackCutover takes the word to cut over back from a storefront's move that a plan carries out
// and that has not begun to: the plan, when it runs, gives it again when it may. What an operator
// says beside a plan is taken back with it.
func TakeBackCutover(tx control.Tx, storefront backends.StorefrontID) error {
	// Whoever gives the word has the move's row: it is given before this, or sees why it must not be.
	if err := LockOpen(tx, storefront); err != nil {
		return err
	}
	return takeBack(tx, "the seller wants no move now", `SELECT m.id FROM moves m JOIN plan_moves p ON p.move_id = m.id AND p.state = 'moving' JOIN plans ON plans.id = p.plan_id AND plans.ended_at IS NULL
		WHERE m.storefront_id = $1 AND `+mayBeTakenBack, string(storefront))
}

// barredSince says that a seller's "not now" has begun since a plan, or an operator beside it, told
// the plan's move to cut over: who says so later does it in spite of that.
func barredSince(tx control.Tx, m *Move) (bool, error) {
	var wishes int64
	err := tx.Get(&wishes, `SELECT count(*) FROM blackouts b JOIN plan_moves p ON p.move_id = $1 AND p.state = 'moving' JOIN plans ON plans.id = p.plan_id AND plans.ended_at IS NULL
		WHERE b.storefront_id = $2 AND b.begins_at <= $3 AND b.ends_at > $3
			AND b.begins_at > (SELECT COALESCE(max(e.at), 0) FROM move_events e WHERE e.move_id = $1 AND e.kind = 'asked' AND e.data LIKE $4)`,
		m.ID, string(m.Storefront), tx.Now(), `%"`+string(WantCutover)+`"%`)
	return wishes > 0, err
}

// takeBack takes the word to cut over back for the seller's sake.
func (x *run) takeBack(ctx context.Context) error {
	err := x.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		if err := LockOpen(tx, x.m.Storefront); err != nil {
			return err
		}
		if barred, err := barredSince(tx, x.m); err != nil || !barred { // it may have been given again
			return err
		}
		return TakeBackCutover(tx, x.m.Storefront)
	})
	if err != nil {
		return &controlError{err}
	}
	x.intent.CompareAndSwap(WantCutover, NoIntent)
	return nil
}

// TakeBackCutovers takes the word to cut over back from all moves of a plan that have not begun
// to, and says in their stories why.
func TakeBackCutovers(tx control.Tx, plan, why string) error {
	return takeBack(tx, why, `SELECT m.id FROM moves m JOIN plan_moves p ON p.move_id = m.id AND p.state = 'moving' WHERE p.plan_id = $1 AND `+mayBeTakenBack, plan)
}

// LockOpen keeps others from changing a storefront's open move, if there is one, until the transaction ends.
func LockOpen(tx control.Tx, storefront backends.StorefrontID) error {
	var id string
	err := tx.GetLocked(&id, `SELECT id FROM moves WHERE storefront_id = $1 AND ended_at IS NULL`, string(storefront))
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return err
}

func takeBack(tx control.Tx, why, which, of string) error {
	var told []string
	if err := tx.Select(&told, which, of); err != nil {
		return err
	}
	for _, id := range told {
		n, err := tx.Exec(`UPDATE moves AS m SET intent = CASE WHEN m.intent = 'cutover' THEN '' ELSE m.intent END, kept = '' WHERE m.id = $1 AND `+mayBeTakenBack, id)
		if err == nil && n > 0 { // else it has begun meanwhile
			err = addEvent(tx, id, "taken_back", map[string]any{"for": WantCutover, "why": why})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// comparisonHolds is how long a comparison that outlasted its window is good for the next
// one: a window that is shorter than a comparison would never be used.
const comparisonHolds = 24 * time.Hour

// awaitCutover stays in step, and comparing, until the cutover may come. What has
// waited may have been touched meanwhile: it is compared once more, in whole.
func (x *run) awaitCutover(ctx context.Context) error {
	x.keepVerifying = true
	for {
		waited, err := x.waitForWord(ctx)
		x.waited = x.waited || waited // also when this is tried again
		if err != nil {
			return err
		}
		paused := x.m.pausedSinceVerified()
		compared := !x.waited || time.Since(x.comparedAgain) < comparisonHolds
		if compared && (paused == 0 || paused == x.pauseSeen) {
			break
		}
		if err := x.compareOnceMore(ctx); err != nil {
			return err
		}
		x.pauseSeen, x.comparedAgain, x.waited = paused, time.Now(), false
	}
	x.gate("window", "none was asked for")
	if w := x.m.Options.cutoverWindow(); w.zone != nil {
		x.gate("window", fmt.Sprintf("open: %s, at %s", w, x.clock().In(w.zone).Format("15:04:05")))
	}
	return nil
}

// pausedSinceVerified is when the move was paused after it had been verified; 0: it was not.
func (m *Move) pausedSinceVerified() int64 {
	if at := m.Stats.PhaseStartedAt[Paused]; at > m.Stats.VerifiedAt {
		return at
	}
	return 0
}

// compareOnceMore compares in whole, as one of so many at a time: a night's window opens
// for all that wait for it at once.
func (x *run) compareOnceMore(ctx context.Context) error {
	if err := x.awaitSlot(ctx); err != nil {
		return err
	}
	if err := x.does(ctx, comparesAgain); err != nil {
		return err
	}
	if err := x.judged(verificationGate, x.compareAll(ctx, x.source, x.target)); err != nil {
		return err
	}
	x.giveSlotBack()
	x.did(ctx)
	return nil
}

// waitForWord stays in step until the cutover may come; waited: not at once.
func (x *run) waitForWord(ctx context.Context) (waited bool, err error) {
	defer x.beCalm(false)
	defer x.told.Store(false)
	for idle := x.watchLeast; ; waited = true {
		told := x.intent.Load().(Intent) == WantCutover // before it is asked: what comes later is news
		may, err := x.mayCutOver(ctx)
		if may || err != nil {
			return waited, err
		}
		x.told.Store(told)
		x.did(ctx)
		if err := x.standBy(ctx, &idle); err != nil {
			return waited, err
		}
		x.works() // what fails behind the word, each time, is not hidden by this
	}
}

// standBy stays in step and rests, for longer while nothing changes, unless the operator
// wants something else. Days may pass so, and a night's window may have many wait for it.
func (x *run) standBy(ctx context.Context, idle *time.Duration) error {
	if err := x.heed(); err != nil {
		return err
	}
	before := x.m.Stats.Captured
	if err := x.stayInStep(ctx, x.source, x.target); err != nil {
		return err
	}
	if err := x.passed(ctx); err != nil {
		return err
	}
	if x.m.Stats.Captured != before {
		*idle = x.watchLeast
	}
	err := x.rest(ctx, *idle)
	*idle = min(2**idle, letGo)
	return err
}

// explainSeller says that the seller asked for no move now, and why.
func explainSeller(tx control.Tx, m *Move) ([]Wait, error) {
	b, ok, err := readBlackout(tx, m.Storefront)
	if err != nil || !ok || m.Phase != Verifying || m.Stats.VerifiedAt == 0 || m.Intent == WantCutover {
		return nil, err
	}
	return []Wait{{
		For: "window", Detail: fmt.Sprintf("verified; %s; it stays in step until then", b),
		Todo: fmt.Sprintf("nothing, or ask the seller, then let it cut over, within its window if it has one: smartseller move cutover %s", m.ID),
	}}, nil
}

// explainWord says that a move which is ready waits for an operator's word.
func explainWord(m *Move, now int64) []Wait {
	if m.Phase != Verifying || m.Stats.VerifiedAt == 0 || !m.Options.ManualCutover || m.Intent == WantCutover {
		return nil
	}
	detail := fmt.Sprintf("verified %s ago; it stays in step until a cutover is asked for", span(now-m.Stats.VerifiedAt))
	if m.Reason != "" {
		detail += "; it was started for: " + m.Reason
	}
	return []Wait{{For: "operator", Detail: detail, Todo: fmt.Sprintf("let it cut over: smartseller move cutover %s", m.ID)}}
}

// explainWindow says that a move which is ready waits for its window.
func explainWindow(m *Move, now int64) []Wait {
	at := time.UnixMicro(now)
	w := m.Options.cutoverWindow()
	if w.Open(at) || m.Cut != NotCut {
		return nil
	}
	opens := w.Opens(at)
	return []Wait{{
		For: "window", Detail: fmt.Sprintf("verified; cuts over only within %s, which opens in %s, at %s; it stays in step until then",
			w, span(opens.Sub(at).Microseconds()), opens.Format(time.RFC3339)),
		Todo: fmt.Sprintf("nothing; to cut over sooner, cancel it and start it with another window: smartseller move cancel %s", m.ID),
	}}
}
