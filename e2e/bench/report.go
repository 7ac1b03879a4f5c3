package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
)

// figure is one line of the table: what was measured, its peer of the same run, and
// how their ratio compares with the target.
type figure struct {
	Name   string  `json:"name"`
	Ours   float64 `json:"ours"`
	Peer   float64 `json:"peer"`
	Unit   string  `json:"unit"`
	Ratio  float64 `json:"ratio"`
	Target float64 `json:"target,omitempty"` // the ratio is to be at most this; 0: for comparison only
	PeerIs string  `json:"peer_is"`
}

func (f figure) missed() bool { return f.Target > 0 && f.Ratio > f.Target }

type report struct {
	Figures []figure `json:"figures"`
}

// seconds adds the ratio of two durations.
func (r *report) seconds(name string, ours time.Duration, peerIs string, peer time.Duration, target float64) {
	r.add(figure{Name: name, Ours: ours.Seconds(), Peer: peer.Seconds(), Unit: "s", Target: target, PeerIs: peerIs})
}

func (r *report) add(f figure) {
	f.Ratio = f.Ours / f.Peer
	r.Figures = append(r.Figures, f)
	fmt.Fprintf(os.Stderr, "%s: %.3g %s against %.3g (%s): %.2f\n", f.Name, f.Ours, f.Unit, f.Peer, f.PeerIs, f.Ratio)
}

// finish prints the table, writes the JSON beside it and says which targets were missed.
func (r *report) finish(out io.Writer, file string) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "measured\tours\tpeer\tratio\ttarget\tpeer is")
	missed, targets := 0, 0
	for _, f := range r.Figures {
		target, verdict := "", ""
		if f.Target > 0 {
			targets++
			target = fmt.Sprintf("%.2f", f.Target)
		}
		if f.missed() {
			missed++
			verdict = "  MISSED"
		}
		fmt.Fprintf(table, "%s\t%.3g %s\t%.3g %s\t%.2f\t%s%s\t%s\n", f.Name, f.Ours, f.Unit, f.Peer, f.Unit, f.Ratio, target, verdict, f.PeerIs)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o600); err != nil {
		return err
	}
	if missed > 0 {
		return fmt.Errorf("%d of %d targets missed", missed, targets)
	}
	return nil
}
