package app

import (
	"cmp"
	"fmt"
)

// moveForecast is how a move is expected to go, or went.
type moveForecast struct {
	Basis string
	Ready int64 `json:"ready_micros"`
	Stall int64 `json:"stall_micros"`
	Bytes int64
}

// String has the figures first, then what they come from.
func (f *moveForecast) String() string {
	if f == nil {
		return ""
	}
	text := fmt.Sprintf("verified after %s, writes wait %s", spanText(f.Ready), spanText(f.Stall))
	if f.Bytes > 0 {
		text += ", " + bytesText(f.Bytes) + " at the target"
	}
	if f.Basis != "" {
		text += " (" + f.Basis + ")"
	}
	return text
}

// took is what the move measured, as a forecast of it is told.
func (m moveState) took() string {
	began := m.Stats.Began["preparing"]
	if m.Stats.VerifiedAt == 0 || began == 0 || m.Stats.StallMicros == 0 {
		return ""
	}
	return (&moveForecast{Ready: cmp.Or(m.Stats.Ready, m.Stats.VerifiedAt-began), Stall: m.Stats.StallMicros, Bytes: m.Stats.Bytes}).String()
}
