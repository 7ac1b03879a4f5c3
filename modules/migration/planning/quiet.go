package planning

import (
	"encoding/json"
	"sync"
	"time"

	"smartseller/modules/migration"
)

// patience is how far ahead a quiet hour is looked for.
const patience = 24 * time.Hour

// cutoverAt says when a move that is ready should cut over, not before now, and why then:
// within the window, outside the blackouts, and (unless atOnce) in the quietest hour until
// a day after it could first.
func cutoverAt(now, first time.Time, w migration.Window, b migration.Blackouts, atOnce bool, day Day) (at time.Time, why string) {
	best, why := permitted(now, w, b)
	if atOnce {
		return best, why
	}
	for _, one := range b {
		if !one.Until.After(best) && one.Until.After(first) { // before that it could not
			first = one.Until
		}
	}
	last := first.Add(patience)
	for hour := best.Truncate(time.Hour).Add(time.Hour); !hour.After(last); hour = hour.Add(time.Hour) {
		at, _ := permitted(hour, w, b)
		if !at.After(last) && day[at.UTC().Hour()] < day[best.UTC().Hour()] {
			best, why = at, "the quietest hour of a day"
			if w.String() != "" {
				why += ", within " + w.String()
			}
		}
	}
	return best, why
}

// cutoverAt says when the plan should let a move cut over that is verified since then. While the
// plan stood still, it let nothing.
func (p *Plan) cutoverAt(now time.Time, verified int64, w migration.Window, b migration.Blackouts, day Day) (at time.Time, why string) {
	return cutoverAt(now, time.UnixMicro(max(verified, p.since)), w, b, p.Options.AtOnce, day)
}

// permitted is the first moment, not before at, at which neither the window nor any
// blackout forbids a cutover, and which of them made it late.
func permitted(at time.Time, w migration.Window, b migration.Blackouts) (time.Time, string) {
	why := ""
	for { // each round leaves a blackout behind
		opens := w.Opens(at)
		if opens.After(at) {
			at, why = opens, "the window "+w.String()
		}
		held, ok := b.At(at)
		if !ok {
			return at, why
		}
		at, why = held.Until, held.String()
	}
}

// windows are those that moves were given, by text and zone. They are few, and to read a
// zone is to read a file.
var windows sync.Map

// windowOf is the window of a move with these options, in JSON.
func windowOf(options string) (w migration.Window, err error) {
	var o migration.Options
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		return w, err
	}
	asked := [2]string{o.CutoverWindow, o.TimeZone}
	if known, ok := windows.Load(asked); ok {
		return known.(migration.Window), nil
	}
	if w, err = migration.ParseWindow(o.CutoverWindow, o.TimeZone); err == nil {
		windows.Store(asked, w)
	}
	return w, err
}
