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
)

type schemaCommand struct {
	Status  schemaStatus  `cmd:"" help:"Say how the schema of each storefront's place is." example:"smartseller schema status"`
	Upgrade schemaUpgrade `cmd:"" help:"Bring every place up to date, or join who does, and watch; a failure stops nobody else, Ctrl-C leaves it running." example:"smartseller schema upgrade"`
	Cancel  schemaCancel  `cmd:"" help:"End the upgrade of all places that is under way; what waits is skipped." example:"smartseller schema cancel"`
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
	Upgrade    string `json:"upgrade,omitempty"`
	Cause      string `json:"upgrade_cause,omitempty"`
}

func (s schemaState) String() string {
	text := fmt.Sprintf("%-24s %-20s %-9s", s.Slug, s.Backend, s.State)
	switch {
	case s.Problem != "":
		text += " " + s.Problem
	case s.Pending > 0:
		text += fmt.Sprintf(" at %d of %d, %d migrations missing", s.Version, s.Newest, s.Pending)
	default:
		text += fmt.Sprintf(" at %d", s.Version)
	}
	if s.Upgrade != "" && s.Upgrade != "done" {
		text += strings.TrimSuffix("; upgrade "+s.Upgrade+": "+s.Cause, ": ")
	}
	return text
}

type schemaStatus struct {
	remote
	output
	Storefront string `arg:"" optional:"" help:"Id or slug; none: all."`
}

// Run prints a line per storefront, how many there are of each state, and the upgrade
// that is under way.
func (c *schemaStatus) Run(ctx context.Context, out io.Writer) error {
	counts := map[string]int{}
	err := c.places(ctx, func(said json.RawMessage) error {
		return item(c.output, out, said, func(s schemaState) string {
			counts[s.State]++
			return s.String()
		})
	})
	if err != nil || c.JSON {
		return err
	}
	if err := line(out, countsText(counts)); err != nil {
		return err
	}
	run, err := c.newestUpgrade(ctx)
	if err == nil && run.State == "running" {
		err = line(out, run.String())
	}
	return err
}

func (c *schemaStatus) places(ctx context.Context, see func(said json.RawMessage) error) error {
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
		return "none"
	}
	return strings.Join(parts, ", ")
}
