package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// output is how a command answers: in words for people, or for scripts as the
// server said it.
type output struct {
	JSON bool `name:"json" help:"Answer in JSON, for scripts: one object, or one a line where there are several."`
}

// answer prints what the server said: as it is, or what people make of it.
func answer[T any](o output, out io.Writer, said json.RawMessage, people func(v T) string) error {
	if o.JSON {
		return print(out, said)
	}
	var v T
	if err := json.Unmarshal(said, &v); err != nil {
		return fmt.Errorf("the server's answer is not understood: %w", err)
	}
	return line(out, people(v))
}

// item prints one of several: in JSON on a line of its own.
func item[T any](o output, out io.Writer, said json.RawMessage, people func(v T) string) error {
	if o.JSON {
		return line(out, string(said))
	}
	return answer(o, out, said, people)
}

// each prints every entry of a list, a line for each.
func each[T any](ctx context.Context, r *remote, o output, out io.Writer, path string, people func(v T) string) error {
	return r.pages(ctx, path, func(said json.RawMessage) error { return item(o, out, said, people) })
}

// pages sees every entry of a list, page by page. path has a query already, where the
// list has pages.
func (r *remote) pages(ctx context.Context, path string, see func(said json.RawMessage) error) error {
	for next := path; ; {
		var page struct {
			Data       []json.RawMessage
			NextCursor string `json:"next_cursor"`
		}
		if err := r.call(ctx, http.MethodGet, next, nil, &page); err != nil {
			return err
		}
		for _, said := range page.Data {
			if err := see(said); err != nil {
				return err
			}
		}
		if page.NextCursor == "" {
			return nil
		}
		next = path + "&cursor=" + url.QueryEscape(page.NextCursor)
	}
}

func line(out io.Writer, text string) error {
	_, err := io.WriteString(out, strings.TrimSuffix(text, "\n")+"\n")
	return err
}

// fields lines up names and values, leaving out what is empty.
func fields(pairs ...string) string {
	widest := 0
	for i := 0; i < len(pairs); i += 2 {
		widest = max(widest, len(pairs[i]))
	}
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(&b, "%-*s  %s\n", widest, pairs[i], pairs[i+1])
		}
	}
	return b.String()
}
