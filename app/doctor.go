package app

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"smartseller/platform/fault"
)

type doctorCommand struct {
	remote
	output
}

// examination is what the server found of itself and of what it stands on.
type examination struct {
	Well     bool
	Subjects []struct {
		Subject  string
		Findings []finding
	}
}

func (e examination) String() string {
	var b strings.Builder
	for _, s := range e.Subjects {
		b.WriteString(s.Subject + "\n")
		for _, f := range s.Findings {
			b.WriteString("  " + f.String() + "\n")
		}
	}
	return b.String()
}

// Run prints every finding. Anything that is not well, warnings too, is an error.
func (c *doctorCommand) Run(ctx context.Context, out io.Writer) error {
	var said json.RawMessage
	if err := c.callLong(ctx, http.MethodGet, "/api/admin/doctor", nil, &said); err != nil {
		return err
	}
	if err := answer(c.output, out, said, examination.String); err != nil {
		return err
	}
	var e examination
	if err := json.Unmarshal(said, &e); err != nil {
		return err
	}
	if e.Well {
		return nil
	}
	problems := 0
	for _, s := range e.Subjects {
		for _, f := range s.Findings {
			if f.Problem != "" {
				problems++
			}
		}
	}
	return fault.New(fault.Conflict, "not_well", "%d findings are not well: do what is said there.", problems)
}
