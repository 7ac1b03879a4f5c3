package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

type explainMove struct{ moveArg }

// Run prints what the move waits for, the reason first and below it what to do.
func (c *explainMove) Run(ctx context.Context, out io.Writer) error {
	var e struct {
		Phase string
		Since int64
		Waits []struct{ For, Detail, Todo string }
	}
	if err := c.call(ctx, http.MethodGet, c.path()+"/explain", nil, &e); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s since %s\n", e.Phase, clockText(e.Since))
	for _, w := range e.Waits {
		fmt.Fprintf(out, "%s: %s\n", w.For, w.Detail)
		if w.Todo != "" {
			fmt.Fprintf(out, "  to do: %s\n", w.Todo)
		}
	}
	return nil
}

type whereCommand struct {
	remote
	Storefront string    `arg:"" help:"Id or slug."`
	At         time.Time `help:"A time, such as 2026-03-01T12:00:00Z; none: now."`
}

// Run prints the place, its epoch and how long the storefront was there.
func (c *whereCommand) Run(ctx context.Context, out io.Writer) error {
	path := storefrontsPath + "/" + url.PathEscape(c.Storefront) + "/where"
	if !c.At.IsZero() {
		path += "?at=" + url.QueryEscape(c.At.Format(time.RFC3339Nano))
	}
	var was struct {
		Backend      string
		Epoch, Since int64
		Until        *int64
		Move         string `json:"move_id"`
	}
	if err := c.call(ctx, http.MethodGet, path, nil, &was); err != nil {
		return err
	}
	until, by := "now", ""
	if was.Until != nil {
		until = clockText(*was.Until)
	}
	if was.Move != "" {
		by = ", brought by move " + was.Move
	}
	_, err := fmt.Fprintf(out, "%s at epoch %d, from %s until %s%s\n", was.Backend, was.Epoch, clockText(was.Since), until, by)
	return err
}

func clockText(micros int64) string { return time.UnixMicro(micros).UTC().Format(time.RFC3339) }
