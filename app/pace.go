package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"smartseller/platform/fault"
)

type paceMove struct {
	remote
	output
	Percent *int64 `arg:"" optional:"" help:"Share of the time that copying and comparing may work, 1 to 100; none: show what bounds every move."`
	Move    string `arg:"" optional:"" help:"The move's id, or a storefront's slug or id: its newest move; none: bound every move."`
}

var errPercent = fault.New(fault.Invalid, "percent", "The pace is a percentage from 1 to 100.")

const paceAllPath = "/api/admin/move-pace"

// Run bounds one move's pace, or that of all, or shows what bounds all.
func (c *paceMove) Run(ctx context.Context, out io.Writer) error {
	if c.Percent == nil {
		return c.show(ctx, out)
	}
	if *c.Percent < 1 || *c.Percent > 100 {
		return errPercent
	}
	path, whose := paceAllPath, "every move"
	if c.Move != "" {
		m, err := (&moveArg{remote: c.remote, Move: c.Move}).find(ctx)
		if err != nil {
			return err
		}
		path, whose = movesPath+"/"+m.ID+"/pace", "the move"
	}
	var said json.RawMessage
	if err := c.call(ctx, http.MethodPut, path, map[string]int64{"percent": *c.Percent}, &said); err != nil {
		return err
	}
	return answer(c.output, out, said, func(struct{}) string { return fmt.Sprintf("%s works at most %d %% of the time", whose, *c.Percent) })
}

func (c *paceMove) show(ctx context.Context, out io.Writer) error {
	var said json.RawMessage
	if err := c.call(ctx, http.MethodGet, paceAllPath, nil, &said); err != nil {
		return err
	}
	return answer(c.output, out, said, func(bound struct{ Percent int64 }) string {
		return fmt.Sprintf("every move works at most %d %% of the time", bound.Percent)
	})
}
