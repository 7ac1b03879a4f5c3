package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"smartseller/platform/fault"
)

// audit is what comparing both places of a move found.
type audit struct {
	Round    int64
	Asked    bool
	Rows     int64
	Tables   int
	Unsummed int   `json:"tables_without_sums"`
	Took     int64 `json:"took_micros"`
	Findings int64
	Found    []string
}

func (a audit) String() string {
	text := fmt.Sprintf("%d rows of %d tables in %s", a.Rows, a.Tables, (time.Duration(a.Took) * time.Microsecond).Round(time.Millisecond))
	if a.Unsummed > 0 {
		text += fmt.Sprintf(" (%d tables were written too often for the servers' own sums)", a.Unsummed)
	}
	if a.Findings == 0 {
		return "equal, " + text
	}
	return fmt.Sprintf("ALARM, %d differences in %s: %s", a.Findings, text, strings.Join(a.Found, "; "))
}

type verifyMove struct{ moveArg }

// Run asks for the comparison and waits for its result. A difference is an error.
func (c *verifyMove) Run(ctx context.Context, out io.Writer) error {
	found, err := c.find(ctx)
	if err != nil {
		return err
	}
	var m moveState
	if err := c.call(ctx, http.MethodPost, movesPath+"/"+found.ID+"/verify", nil, &m); err != nil {
		return err
	}
	known := int64(0)
	if m.Stats.Audit != nil {
		known = m.Stats.Audit.Round
	}
	hinders := func(trouble string) error {
		if c.JSON {
			return nil
		}
		return line(out, "the comparison waits, Ctrl-C leaves it to the server: "+trouble)
	}
	if t := m.Stats.Trouble; t != nil {
		if err := hinders(t.Error); err != nil {
			return err
		}
	}
	var result *audit
	var told json.RawMessage
	err = c.follow(ctx, movesPath+"/"+m.ID+"/events", func(e event) error {
		h, err := e.happened()
		switch {
		case err != nil:
			return err
		case e.Kind == "audit" && h.What.Round > known && h.What.Asked:
			result, told = &h.What.audit, e.Data
			return errEnough
		case e.Kind == "trouble" && h.What.Error != "" && h.At >= m.UpdatedAt:
			return hinders(h.What.Error)
		case e.Kind == "asked" && h.What.For != "verify" && h.At >= m.UpdatedAt:
			// Should that be refused, the move stays as it is, and nobody asks for the comparison any more.
			return fault.New(fault.Conflict, "verify_replaced", "The move was asked to %s before both places were compared, which takes the place of the comparison. "+
				"If it stays watching, ask again: smartseller move verify %s", h.What.For, c.Move)
		case e.Kind == "phase" && h.What.Phase != "watching" && h.At >= m.UpdatedAt:
			return fault.New(fault.Conflict, "move_phase", "The move went on to be %s before both places were compared.", h.What.Phase)
		}
		return nil
	})
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return fault.New(fault.Timeout, "left", "You have left; the comparison goes on without you. What it found: smartseller move explain %s", c.Move).Because(err)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = print(out, told)
	} else {
		err = line(out, "both places compared: "+result.String())
	}
	if err == nil && result.Findings > 0 {
		err = fault.New(fault.Conflict, "places_differ", "Both places differ; what to do: smartseller move explain %s", c.Move)
	}
	return err
}
