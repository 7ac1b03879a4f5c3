package migration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
)

// Blackout is a time in which a seller wants no cutover: a "not now".
type Blackout struct {
	From, Until time.Time
	Reason      string // for operators; "": none was given
}

// String says it to operators. The reason may be any text of the seller's: it is quoted, so
// that it can neither be taken for the program's words nor write to a terminal.
func (b Blackout) String() string {
	text := "the seller asked for no move until " + b.Until.UTC().Format(time.RFC3339)
	if b.Reason != "" {
		text += fmt.Sprintf(": %q", b.Reason)
	}
	return text
}

// Blackouts are those of one storefront, by when they begin. They may overlap.
type Blackouts []Blackout

// At is what forbids a cutover at a time; ok: anything does. Blackouts that overlap or adjoin
// are one, with the reasons of all.
func (all Blackouts) At(at time.Time) (b Blackout, ok bool) {
	b = Blackout{From: at, Until: at}
	var reasons []string
	for _, one := range all {
		if one.From.After(b.Until) || !one.Until.After(at) {
			continue
		}
		if ok = true; one.From.Before(b.From) {
			b.From = one.From
		}
		if one.Until.After(b.Until) {
			b.Until = one.Until
		}
		if one.Reason != "" && !slices.Contains(reasons, one.Reason) {
			reasons = append(reasons, one.Reason)
		}
	}
	b.Reason = strings.Join(reasons, "; ")
	return b, ok
}

// ReadBlackouts reads those of storefronts, also some that are over.
func ReadBlackouts(tx control.Tx, of ...backends.StorefrontID) (map[backends.StorefrontID]Blackouts, error) {
	out := map[backends.StorefrontID]Blackouts{}
	if len(of) == 0 {
		return out, nil
	}
	var rows []struct {
		Storefront backends.StorefrontID `db:"storefront_id"`
		From       int64                 `db:"begins_at"`
		Until      int64                 `db:"ends_at"`
		Reason     string                `db:"reason"`
	}
	marks, args := control.List(nil, of)
	err := tx.Select(&rows, `SELECT storefront_id, begins_at, ends_at, reason FROM blackouts WHERE storefront_id IN (`+marks+`) ORDER BY begins_at, id`, args...)
	for _, r := range rows {
		out[r.Storefront] = append(out[r.Storefront], Blackout{time.UnixMicro(r.From), time.UnixMicro(r.Until), r.Reason})
	}
	return out, err
}

// readBlackout is what keeps a storefront from being cut over now; ok: anything does.
func readBlackout(tx control.Tx, storefront backends.StorefrontID) (b Blackout, ok bool, err error) {
	all, err := ReadBlackouts(tx, storefront)
	b, ok = all[storefront].At(time.UnixMicro(tx.Now()))
	return b, ok, err
}
