package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

type planSimulate struct {
	remote
	output
	planned
	Plan      string `placeholder:"ID" help:"What is left of this plan."`
	Synthetic int    `placeholder:"N" help:"A made-up fleet of so many storefronts, with a policy or without."`
	Seed      uint64 `default:"1" help:"The same one makes up the same fleet."`
	Instances int    `default:"1" help:"Instances that run moves."`
}

// Run prints the forecast.
func (c *planSimulate) Run(ctx context.Context, out io.Writer) error {
	body, err := c.body()
	if err != nil {
		return err
	}
	body["plan_id"], body["synthetic"], body["seed"], body["instances"] = c.Plan, c.Synthetic, c.Seed, c.Instances
	var said json.RawMessage
	if err := c.callPatiently(ctx, "/api/admin/plan-simulations", body, &said); err != nil {
		return err
	}
	return answer(c.output, out, said, forecast.String)
}

// callPatiently posts what has to look at the whole fleet.
func (r *remote) callPatiently(ctx context.Context, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	return r.callLong(ctx, http.MethodPost, path, in, out)
}

// backendLoad is what a backend carries at one time.
type backendLoad struct {
	Storefronts, Bytes int64
	Writes             float64 `json:"writes_per_second"`
}

func (l backendLoad) String() string {
	return fmt.Sprintf("%d storefronts, %s, at most %.1f writes/s", l.Storefronts, bytesText(l.Bytes), l.Writes)
}

func bytesText(n int64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
}

// forecast is how a plan would go, as the server says it.
type forecast struct {
	Storefronts, Moves, Waves, Seconds int64
	Begins                             int64 `json:"begins_at"`
	Ends                               int64 `json:"ends_at"`
	Work                               int64 `json:"work_seconds"`
	Wait                               int64 `json:"longest_wait_seconds"`
	Assumptions, Notes                 []string
	Rates                              []struct {
		Source   string  `json:"source_kind"`
		Target   string  `json:"target_kind"`
		Fixed    float64 `json:"fixed_seconds"`
		Rows     float64 `json:"rows_per_second"`
		Measured int
	}
	Times    []int64
	Moved    []int64
	Backends []struct {
		Backend       string
		Before, After backendLoad
		Peak          int64 `json:"peak_bytes"`
		Over          []backendLoad
	}
	Next []struct {
		Slug, Source, Target, Reason string
		Begins                       int64 `json:"begins_at"`
		Moves                        int64 `json:"moves_at"`
	}
}

const timeLines = 8 // of what backends carry over time, for people

func (f forecast) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d storefronts move in %d waves: %s, from %s to %s\n", f.Moves, f.Storefronts, f.Waves,
		span(f.Seconds), clockText(f.Begins), clockText(f.Ends))
	fmt.Fprintf(&b, "work of all moves %s; the longest wait for a cutover %s\n", span(f.Work), span(f.Wait))
	for _, r := range f.Rates {
		if r.Measured > 0 {
			fmt.Fprintf(&b, "measured: %s -> %s %.1f s and %.0f rows/s, from %d moves\n", r.Source, r.Target, r.Fixed, r.Rows, r.Measured)
		}
	}
	for _, a := range f.Assumptions {
		fmt.Fprintf(&b, "NOT MEASURED: %s\n", a)
	}
	for _, n := range f.Notes {
		fmt.Fprintf(&b, "NOTE: %s\n", n)
	}
	for _, c := range f.Backends {
		fmt.Fprintf(&b, "%-16s before  %s\n%-16s after   %s; at most %s\n", c.Backend, c.Before, "", c.After, bytesText(c.Peak))
	}
	if len(f.Times) > 0 {
		b.WriteString("storefronts over time\n")
	}
	for n := range min(timeLines, len(f.Times)) {
		i := n * (len(f.Times) - 1) / max(1, min(timeLines, len(f.Times))-1)
		fmt.Fprintf(&b, "  %s  %d moved ", clockText(f.Times[i]), f.Moved[i])
		for _, c := range f.Backends {
			fmt.Fprintf(&b, "  %s %d", c.Backend, c.Over[i].Storefronts)
		}
		b.WriteString("\n")
	}
	if len(f.Next) > 0 {
		b.WriteString("next\n")
	}
	for _, m := range f.Next {
		fmt.Fprintf(&b, "  %-24s %s -> %s  begins %s, cuts over %s  %s\n", m.Slug, m.Source, m.Target, clockText(m.Begins), clockText(m.Moves), m.Reason)
	}
	return b.String()
}

func span(seconds int64) string {
	if seconds >= 2*86400 {
		return fmt.Sprintf("%.1f days", float64(seconds)/86400)
	}
	return (time.Duration(seconds) * time.Second).String()
}
