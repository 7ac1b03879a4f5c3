package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// moveState is a move as the server tells it.
type moveState struct {
	ID         string
	Storefront string `json:"storefront_id"`
	Source     string
	Target     string
	Phase      string
	Asked      string
	Options    struct {
		Manual   bool   `json:"manual_cutover"`
		Window   string `json:"cutover_window"`
		TimeZone string `json:"time_zone"`
		Mode     string
		BeginAt  int64 `json:"begin_at"`
	}
	Stats struct {
		Rows        map[string]int64
		StallMicros int64 `json:"stall_micros"`
		BackStall   int64 `json:"back_stall_micros"`
		CommittedAt int64 `json:"committed_at"`
		Gates       map[string]string
		Audit       *audit
		Trouble     *struct{ Error string }
		Drill       *drillReport
		Forecast    *moveForecast
		VerifiedAt  int64            `json:"verified_at"`
		Ready       int64            `json:"ready_micros"` // 0: of a program that noted less
		Began       map[string]int64 `json:"phase_started_at"`
		Bytes       int64            `json:"target_bytes"`
	}
	Cause, Advice string
	Reason        string
	Receipt       *struct {
		Signature string `json:"hmac_sha256"`
	}
	CreatedAt int64  `json:"created_at"`
	UpdatedAt int64  `json:"updated_at"`
	EndedAt   *int64 `json:"ended_at"`
}

// String says what there is to know of a move, a line for each.
func (m moveState) String() string {
	pairs := []string{
		"move", m.ID, "storefront", m.Storefront, "way", m.Source + " -> " + m.Target, "mode", m.Options.Mode, "phase", m.Phase, "asked", m.Asked,
		"because", m.Reason, "planned", clockText(m.CreatedAt), "rows", m.rows(), "write stall", m.stall(),
	}
	if m.Options.BeginAt > 0 {
		pairs = append(pairs, "begins", clockText(m.Options.BeginAt))
	}
	if m.Stats.BackStall > 0 {
		pairs = append(pairs, "write stall back", spanText(m.Stats.BackStall))
	}
	if m.Options.Window != "" {
		pairs = append(pairs, "cuts over", "only "+m.Options.Window+" "+m.Options.TimeZone)
	}
	if m.EndedAt != nil {
		pairs = append(pairs, "ended", clockText(*m.EndedAt))
	}
	pairs = append(pairs, "expected", m.Stats.Forecast.String(), "it took", m.took())
	for _, gate := range slices.Sorted(maps.Keys(m.Stats.Gates)) {
		pairs = append(pairs, "gate "+gate, m.Stats.Gates[gate])
	}
	if m.Stats.Trouble != nil {
		pairs = append(pairs, "does not go on", m.Stats.Trouble.Error)
	}
	if m.Stats.Audit != nil {
		pairs = append(pairs, "places compared", m.Stats.Audit.String())
	}
	pairs = append(pairs, "drill", m.Stats.Drill.String())
	pairs = append(pairs, "cause", m.Cause, "to do", m.Advice)
	if m.Receipt != nil {
		pairs = append(pairs, "receipt", "signed, hmac_sha256 "+m.Receipt.Signature+"; --json prints it")
	}
	return fields(pairs...)
}

func (m moveState) rows() string {
	var all []string
	for _, table := range slices.Sorted(maps.Keys(m.Stats.Rows)) {
		if n := m.Stats.Rows[table]; n > 0 {
			all = append(all, fmt.Sprintf("%s %d", table, n))
		}
	}
	return strings.Join(all, ", ")
}

func (m moveState) stall() string {
	if m.Stats.CommittedAt == 0 && m.Phase != "rehearsed" {
		return ""
	}
	return (time.Duration(m.Stats.StallMicros) * time.Microsecond).String()
}

// ended says that no event follows this phase.
func ended(phase string) bool {
	return slices.Contains([]string{"completed", "cancelled", "rolled_back", "failed", "rehearsed"}, phase)
}

// happened is what the events of a move say, each a part of it.
type happened struct {
	At   int64 // microseconds UTC
	What struct {
		Phase   string
		Table   string
		Copied  int64
		Total   int64
		Done    bool
		Doing   string
		Cut     string
		Epoch   int64
		From    string
		Why     string
		Error   string
		For     string
		Percent int64
		audit
	}
	gates map[string]string
}

func (e event) happened() (h happened, err error) {
	if e.Kind == "verified" {
		var v struct {
			At   int64
			What map[string]string
		}
		err = json.Unmarshal(e.Data, &v)
		h.At, h.gates = v.At, v.What
		return h, err
	}
	return h, json.Unmarshal(e.Data, &h)
}

// copying is how far the copy of all tables is. Rates go by the server's clock, so
// that they are right for what happened before anybody looked.
type copying struct {
	rows    map[string]int64 // that each table had when the copy began
	copied  map[string]int64
	began   int64 // when copying began, or went on after a pause; microseconds
	before  int64 // rows that had been copied then
	current int64 // when the last chunk was told
}

// resume notes that copying begins, or goes on.
func (c *copying) resume(at int64) { c.began, c.before, c.current = at, c.sum(), at }

func (c *copying) note(h happened) {
	if c.copied == nil {
		c.copied = map[string]int64{}
	}
	c.copied[h.What.Table], c.current = h.What.Copied, h.At
}

func (c *copying) sum() (n int64) {
	for _, copied := range c.copied {
		n += copied
	}
	return n
}

// String says how much is copied, how fast, and how long the rest will take.
func (c *copying) String() string {
	var total int64
	for _, n := range c.rows {
		total += n
	}
	sum := c.sum()
	text := fmt.Sprintf("%d of %d rows", sum, total)
	if total > 0 {
		text += fmt.Sprintf(" (%d %%)", 100*min(sum, total)/total)
	}
	seconds := float64(c.current-c.began) / 1e6
	if seconds <= 0 || sum <= c.before {
		return text
	}
	rate := float64(sum-c.before) / seconds
	text += fmt.Sprintf(", %.0f rows/s", rate)
	if left := total - sum; left > 0 {
		text += fmt.Sprintf(", %s to go", (time.Duration(float64(left)/rate*1e9) + time.Second/2).Truncate(time.Second))
	}
	return text
}
