package app

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"smartseller/platform/fault"
)

type paceMove struct {
	remote
	Percent int64  `arg:"" help:"Share of the time that copying and comparing may work, 1 to 100."`
	ID      string `arg:"" optional:"" help:"The move's id; none: bound every move."`
}

var errPercent = fault.New(fault.Invalid, "percent", "The pace is a percentage from 1 to 100.")

// Run bounds one move's pace, or that of all.
func (c *paceMove) Run(ctx context.Context, out io.Writer) error {
	if c.Percent < 1 || c.Percent > 100 {
		return errPercent
	}
	path, whose := "/api/admin/move-pace", "every move"
	if c.ID != "" {
		path, whose = (&moveArg{ID: c.ID}).path()+"/pace", "the move"
	}
	err := c.call(ctx, http.MethodPut, path, map[string]int64{"percent": c.Percent}, nil)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s works at most %d %% of the time\n", whose, c.Percent)
	return err
}
