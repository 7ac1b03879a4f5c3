package migration

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"regexp"

	"smartseller/platform/crypto"
)

// Receipt is the signed account of a move that ended.
type Receipt struct {
	Move        string            `json:"move"`
	Storefront  string            `json:"storefront_id"`
	Outcome     Phase             `json:"outcome"`
	Source      string            `json:"source"`
	Target      string            `json:"target"`
	Epoch       int64             `json:"epoch"`
	Rows        map[string]int64  `json:"rows"`
	Digests     map[string]string `json:"digests"`
	Gates       map[string]string `json:"gates"`
	Captured    int64             `json:"captured"`
	Purged      int64             `json:"purged"`
	Audit       *Audit            `json:"audit,omitempty"`    // the last comparison in the rollback window
	StallMicros int64             `json:"stall_micros"`       // the longest, there and back
	Forecast    *Estimate         `json:"forecast,omitempty"` // when it began
	Actual      Estimate          `json:"actual"`
	Drill       *DrillReport      `json:"drill,omitempty"`
	StartedAt   int64             `json:"started_at"`
	Phases      map[Phase]int64   `json:"phase_started_at"`
	RequestedBy string            `json:"requested_by"`
	Reason      string            `json:"reason"`
	Note        string            `json:"note,omitempty"` // why the rollback window closed before its time
}

// SignedReceipt is a receipt as it is kept and handed out.
type SignedReceipt struct {
	Receipt json.RawMessage `json:"receipt"`
	HMAC    string          `json:"hmac_sha256"`
}

// signature is an HMAC over the receipt's bytes, without blanks, by a key derived from the
// platform's master key.
func signature(keys *crypto.Keyring, receipt []byte) string {
	return hex.EncodeToString(keys.HMAC("receipt", receipt))
}

// Genuine says whether a receipt is as this platform signed it. Blanks between its parts do
// not count, nor which letters are escaped: whoever prints a receipt may set it out.
func (s *Service) Genuine(r SignedReceipt) bool {
	var compact bytes.Buffer
	if err := json.Compact(&compact, r.Receipt); err != nil {
		return false
	}
	return hmac.Equal([]byte(signature(s.keys, respelt(compact.Bytes()))), []byte(r.HMAC))
}

// quoted finds the strings of a JSON document.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// respelt writes the strings of a valid JSON document as [json.Marshal] does, and as they
// are signed.
func respelt(document []byte) []byte {
	return quoted.ReplaceAllFunc(document, func(written []byte) []byte {
		var said string
		if err := json.Unmarshal(written, &said); err != nil {
			return written
		}
		spelt, err := json.Marshal(said)
		if err != nil {
			return written
		}
		return spelt
	})
}

// end writes the receipt with the last transition.
func (x *run) end(ctx context.Context, outcome Phase) error {
	at, err := x.directory.Placement(ctx, x.m.Storefront)
	if err != nil {
		return err
	}
	drill := x.m.reportDrill(outcome)
	text, err := json.Marshal(Receipt{
		Forecast: x.m.Stats.Forecast, Actual: x.m.measured(), Drill: drill,
		Move: x.m.ID, Storefront: string(x.m.Storefront), Outcome: outcome, Source: x.m.Source.Backend, Target: x.m.Target.Backend,
		Epoch: at.Epoch, Rows: x.m.Stats.Rows, Digests: x.m.Stats.Digests, Gates: x.m.Stats.Gates, Captured: x.m.Stats.Captured,
		Purged: x.m.Stats.Purged, Audit: x.m.Stats.Audit, StallMicros: max(x.m.Stats.StallMicros, x.m.Stats.BackStallMicros), StartedAt: x.m.CreatedAt, Phases: x.m.Stats.PhaseStartedAt,
		RequestedBy: x.m.RequestedBy, Reason: x.m.Reason, Note: x.m.Advice,
	})
	if err != nil {
		return err
	}
	signed, err := json.Marshal(SignedReceipt{text, signature(x.keys, text)})
	if err != nil {
		return err
	}
	return x.enter(ctx, outcome, func(m *Move) {
		m.Receipt, m.Stats.Drill, m.LeftBehind = string(signed), drill, cmp.Or(x.leftBehind, m.LeftBehind)
	})
}
