package app

import (
	"fmt"
	"math"
	"time"

	"smartseller/platform/fault"
)

// drillFlag makes a move an exercise.
type drillFlag struct {
	Drill *time.Duration `xor:"mode" placeholder:"DURATION" help:"Move, let the storefront live there for so long, such as 10m, roll back by itself, and report."`
}

var errDrill = fault.New(fault.Invalid, "drill", "A drill needs some time at the new place, such as --drill 10m.")

// put says so in the options of a move. No time is refused here, since to the server 0
// stands for ten minutes.
func (d drillFlag) put(options map[string]any) error {
	if d.Drill == nil {
		return nil
	}
	if *d.Drill <= 0 {
		return errDrill
	}
	options["mode"], options["drill_seconds"] = "drill", int64(math.Ceil(d.Drill.Seconds()))
	return nil
}

// drillReport is how an exercise went.
type drillReport struct {
	Passed    bool
	Verdict   string
	Ready     int64 `json:"ready_micros"`
	Stall     int64 `json:"stall_micros"`
	Served    int64 `json:"served_micros"`
	Changes   int64
	Back      int64 `json:"back_micros"`
	BackStall int64 `json:"back_stall_micros"`
	P95Before int64 `json:"p95_before_micros"`
	P95There  int64 `json:"p95_there_micros"`
}

// String tells the exercise in its order.
func (d *drillReport) String() string {
	if d == nil {
		return ""
	}
	text := "FAILED: " + d.Verdict
	if d.Passed {
		text = "passed: " + d.Verdict
	}
	text += fmt.Sprintf("; verified after %s, writes waited %s; lived there for %s, with %d changes", spanText(d.Ready), spanText(d.Stall), spanText(d.Served), d.Changes)
	if d.P95Before > 0 && d.P95There > 0 {
		text += fmt.Sprintf(", 95 of 100 requests within %s, before that %s", spanText(d.P95There), spanText(d.P95Before))
	}
	if d.Back > 0 {
		text += fmt.Sprintf("; back within %s, writes waited %s", spanText(d.Back), spanText(d.BackStall))
	}
	return text
}

// spanText is a span of microseconds as people read it.
func spanText(micros int64) string {
	span := time.Duration(micros) * time.Microsecond
	if span > time.Second {
		return span.Round(100 * time.Millisecond).String()
	}
	return span.Round(100 * time.Microsecond).String()
}
