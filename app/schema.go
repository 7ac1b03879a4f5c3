package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"smartseller/platform/fault"
)

type schemaCommand struct {
	Status  schemaStatus  `cmd:"" help:"Say how the schema of each storefront's place is." example:"smartseller schema status"`
	Upgrade schemaUpgrade `cmd:"" help:"Bring every place, or those of some storefronts, up to date, one after the other; a failure stops nobody else." example:"smartseller schema upgrade"`
}

const schemaPath = "/api/admin/schema"

// schemaState is how a place's schema is, as the server tells it.
type schemaState struct {
	Storefront string `json:"storefront_id"`
	Slug       string `json:"slug"`
	Backend    string `json:"backend"`
	State      string `json:"state"`
	Version    int64  `json:"version"`
	Newest     int64  `json:"newest"`
	Pending    int    `json:"pending"`
	Problem    string `json:"problem,omitempty"`
}

func (s schemaState) String() string {
	text := fmt.Sprintf("%-24s %-20s %-8s", s.Slug, s.Backend, s.State)
	switch {
	case s.Problem != "":
		text += " " + s.Problem
	case s.Pending > 0:
		text += fmt.Sprintf(" at %d of %d, %d migrations missing", s.Version, s.Newest, s.Pending)
	default:
		text += fmt.Sprintf(" at %d", s.Version)
	}
	return text
}

// schemaArg names the places that a command is about.
type schemaArg struct {
	remote
	output
	Storefront string `arg:"" optional:"" help:"Id or slug; none: all."`
}

// tell does something about every place, by slug, prints a line about what became of
// each, and at the end how many there are of every outcome.
func (c *schemaArg) tell(ctx context.Context, out io.Writer, do func(schemaState) (became fmt.Stringer, outcome string, err error)) error {
	counts := map[string]int{}
	err := c.places(ctx, func(said json.RawMessage) error {
		var s schemaState
		if err := json.Unmarshal(said, &s); err != nil {
			return err
		}
		became, outcome, err := do(s)
		if err != nil {
			return err
		}
		counts[outcome]++
		if !c.JSON {
			return line(out, became.String())
		}
		told, err := json.Marshal(became)
		if err != nil {
			return err
		}
		return line(out, string(told))
	})
	if err != nil || c.JSON {
		return err
	}
	return line(out, countsText(counts))
}

func (c *schemaArg) places(ctx context.Context, see func(said json.RawMessage) error) error {
	if c.Storefront == "" {
		return c.pages(ctx, schemaPath+"?limit=20", see)
	}
	var said json.RawMessage
	if err := c.call(ctx, http.MethodGet, storefrontsPath+"/"+url.PathEscape(c.Storefront)+"/schema", nil, &said); err != nil {
		return err
	}
	return see(said)
}

func countsText(counts map[string]int) string {
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[state], state))
	}
	if len(parts) == 0 {
		return "no storefronts"
	}
	return strings.Join(parts, ", ")
}

type schemaStatus struct{ schemaArg }

// Run prints a line per storefront, and how many there are of each state.
func (c *schemaStatus) Run(ctx context.Context, out io.Writer) error {
	return c.tell(ctx, out, func(s schemaState) (fmt.Stringer, string, error) { return s, s.State, nil })
}

type schemaUpgrade struct{ schemaArg }

// upgradeWithin bounds the upgrade of one place.
const upgradeWithin = time.Hour

// upgraded is what became of a place.
type upgraded struct {
	schemaState
	Before  int64  `json:"before"` // the version
	Outcome string `json:"outcome"`
}

func (u upgraded) String() string {
	if u.Outcome == "upgraded" {
		return fmt.Sprintf("%-24s %-20s upgraded from %d to %d", u.Slug, u.Backend, u.Before, u.Version)
	}
	return fmt.Sprintf("%-24s %-20s %s %s", u.Slug, u.Backend, u.Outcome, u.Problem)
}

// Run upgrades what is behind and tries what does not answer. It fails when any
// place was left behind, after all others had their turn.
func (c *schemaUpgrade) Run(ctx context.Context, out io.Writer) error {
	var failures []error
	err := c.tell(ctx, out, func(s schemaState) (fmt.Stringer, string, error) {
		u := upgraded{schemaState: s, Before: s.Version, Outcome: s.State}
		if s.State != "behind" && s.State != "unknown" {
			return u, u.Outcome, nil
		}
		err := c.upgrade(ctx, &u)
		if ctx.Err() != nil {
			return nil, "", fault.New(fault.Timeout, "left", "You have left: upgrading stops behind %s. Repeat the command to go on.", s.Slug)
		}
		if err != nil {
			failures = append(failures, err)
		}
		return u, u.Outcome, nil
	})
	if err != nil || len(failures) == 0 {
		return err
	}
	return fault.New(fault.Of(failures[0]).Kind, "not_upgraded", "%d storefronts were not upgraded; see above. Remove the cause, then repeat the command.", len(failures)).Because(failures[0])
}

func (c *schemaUpgrade) upgrade(ctx context.Context, u *upgraded) error {
	ctx, cancel := context.WithTimeout(ctx, upgradeWithin)
	defer cancel()
	var after schemaState
	err := c.callLong(ctx, http.MethodPost, storefrontsPath+"/"+url.PathEscape(u.Storefront)+"/schema/upgrade", nil, &after)
	if err == nil && after.State != "current" {
		err = fault.New(fault.Unavailable, "still_"+after.State, "it is %s still: %s", after.State, after.Problem)
	}
	if err != nil {
		u.Outcome, u.Problem = "failed", describe(err)
		return err
	}
	u.schemaState, u.Outcome = after, "upgraded"
	if u.Before == after.Version {
		u.Outcome = "current" // another storefront of the same place was upgraded before
	}
	return nil
}
