package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"smartseller/platform/fault"
)

type planPropose struct {
	remote
	output
	Policy string `required:"" type:"path" placeholder:"FILE" help:"A policy in YAML."`
}

func readPolicy(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		err = fault.New(fault.NotFound, "unreadable_policy", "The policy cannot be read: %v.", err)
	}
	return string(text), err
}

// proposals is what a policy says.
type proposals struct {
	Proposals []struct{ Slug, Source, Target, Rule, Reason string }
	Total     int `json:"proposals_total"`
	Unplaced  []struct{ Slug, Rule, Reason string }
	Without   int `json:"unplaced_total"`
	Cooling   int
	Moving    int
	Uncounted int
}

func (p proposals) String() string {
	var b strings.Builder
	for _, one := range p.Proposals {
		fmt.Fprintf(&b, "%-24s %s -> %s  %s: %s\n", one.Slug, one.Source, one.Target, one.Rule, one.Reason)
	}
	for _, one := range p.Unplaced {
		fmt.Fprintf(&b, "%-24s no room  %s: %s\n", one.Slug, one.Rule, one.Reason)
	}
	if shown := len(p.Proposals) + len(p.Unplaced); shown < p.Total+p.Without {
		fmt.Fprintf(&b, "only the first %d moves and %d without room are shown; a plan of them, which begins when it is approved, lists up to 10000: smartseller plan create\n", len(p.Proposals), len(p.Unplaced))
	}
	fmt.Fprintf(&b, "%d moves proposed, %d without room; left alone: %d moved lately, %d being moved; %d not counted yet\n", p.Total, p.Without, p.Cooling, p.Moving, p.Uncounted)
	return b.String()
}

// Run prints what the policy wants.
func (c *planPropose) Run(ctx context.Context, out io.Writer) error {
	policy, err := readPolicy(c.Policy)
	if err != nil {
		return err
	}
	var said json.RawMessage
	if err := c.callPatiently(ctx, "/api/admin/plan-proposals", map[string]any{"policy": policy}, &said); err != nil {
		return err
	}
	return answer(c.output, out, said, proposals.String)
}

type planStatistics struct {
	remote
	output
	Storefront string `arg:"" optional:"" help:"Id or slug; none: a line for each."`
}

// shopStatistics are what is known of one storefront.
type shopStatistics struct {
	Slug, Backend     string
	Bytes             int64
	P95               int64   `json:"p95_ms"`
	RequestsPerSecond float64 `json:"requests_per_second"`
	WritesPerSecond   float64 `json:"writes_per_second"`
	ActiveAt          int64   `json:"active_at"`
	CountedAt         int64   `json:"counted_at"`
	Tables            map[string]struct{ Rows, Bytes int64 }
}

func (s shopStatistics) line() string {
	var rows int64
	for _, t := range s.Tables {
		rows += t.Rows
	}
	return fmt.Sprintf("%-24s %-16s %10d rows %12d bytes %8.2f requests/s %8.2f writes/s", s.Slug, s.Backend, rows, s.Bytes, s.RequestsPerSecond, s.WritesPerSecond)
}

// String has a line per table.
func (s shopStatistics) String() string {
	text := s.line() + fmt.Sprintf("\np95 %d ms, last request %s, counted %s\n", s.P95, atOrNever(s.ActiveAt), atOrNever(s.CountedAt))
	for _, name := range slices.Sorted(maps.Keys(s.Tables)) {
		text += fmt.Sprintf("%10d %12d bytes  %s\n", s.Tables[name].Rows, s.Tables[name].Bytes, name)
	}
	return text
}

func atOrNever(micros int64) string {
	if micros == 0 {
		return "never"
	}
	return clockText(micros)
}

// Run prints the statistics.
func (c *planStatistics) Run(ctx context.Context, out io.Writer) error {
	if c.Storefront == "" {
		return each(ctx, &c.remote, c.output, out, "/api/admin/statistics?limit=100", shopStatistics.line)
	}
	var said json.RawMessage
	if err := c.call(ctx, http.MethodGet, storefrontsPath+"/"+url.PathEscape(c.Storefront)+"/statistics", nil, &said); err != nil {
		return err
	}
	return answer(c.output, out, said, shopStatistics.String)
}
