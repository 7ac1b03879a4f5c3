package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

type explainMove struct{ moveArg }

// explanation is what a move waits for.
type explanation struct {
	Phase, Mode string
	Since       int64
	Waits       []struct{ For, Detail, Todo string }
}

// String has the reasons first, below each what to do.
func (e explanation) String() string {
	var b strings.Builder
	if e.Mode != "" {
		fmt.Fprintf(&b, "a %s; ", e.Mode)
	}
	fmt.Fprintf(&b, "%s since %s\n", e.Phase, clockText(e.Since))
	for _, w := range e.Waits {
		fmt.Fprintf(&b, "%s: %s\n", w.For, w.Detail)
		if w.Todo != "" {
			fmt.Fprintf(&b, "  to do: %s\n", w.Todo)
		}
	}
	return b.String()
}

// Run prints what the move waits for.
func (c *explainMove) Run(ctx context.Context, out io.Writer) error {
	m, err := c.find(ctx)
	if err != nil {
		return err
	}
	var said json.RawMessage
	if err := c.call(ctx, http.MethodGet, movesPath+"/"+m.ID+"/explain", nil, &said); err != nil {
		return err
	}
	return answer(c.output, out, said, explanation.String)
}

type whereCommand struct {
	remote
	output
	Storefront string     `arg:"" help:"Id or slug."`
	At         *time.Time `help:"A time that is not ahead, such as 2026-03-01T12:00:00Z; none: now."`
}

// stay is where a storefront was, and for how long.
type stay struct {
	Backend      string
	Epoch, Since int64
	Until        *int64
	Move         string `json:"move_id"`
}

func (s stay) String() string {
	until, by := "now", ""
	if s.Until != nil {
		until = clockText(*s.Until)
	}
	if s.Move != "" {
		by = ", brought by move " + s.Move
	}
	return fmt.Sprintf("%s at epoch %d, from %s until %s%s", s.Backend, s.Epoch, clockText(s.Since), until, by)
}

// Run prints the place, its epoch and how long the storefront was there.
func (c *whereCommand) Run(ctx context.Context, out io.Writer) error {
	path := storefrontsPath + "/" + url.PathEscape(c.Storefront) + "/where"
	if c.At != nil {
		path += "?at=" + url.QueryEscape(c.At.Format(time.RFC3339Nano))
	}
	var said json.RawMessage
	if err := c.call(ctx, http.MethodGet, path, nil, &said); err != nil {
		return err
	}
	return answer(c.output, out, said, stay.String)
}

func clockText(micros int64) string { return time.UnixMicro(micros).UTC().Format(time.RFC3339) }
