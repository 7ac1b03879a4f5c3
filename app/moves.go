package app

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"smartseller/platform/fault"
)

type moveCommand struct {
	Start    startMove    `cmd:"" help:"Start a move. Example: smartseller move start demo files-2"`
	List     listMoves    `cmd:"" help:"List moves, newest first. Example: smartseller move list"`
	Show     showMove     `cmd:"" help:"Show one, with its receipt. Example: smartseller move show ID"`
	Explain  explainMove  `cmd:"" help:"Say what one waits for, and what to do. Example: smartseller move explain ID"`
	Watch    watchMove    `cmd:"" help:"Follow one until it ends; Ctrl-C leaves it running. Example: smartseller move watch ID"`
	Pace     paceMove     `cmd:"" help:"Bound how much of the time moves may work. Example: smartseller move pace 30 ID"`
	Pause    pauseMove    `cmd:"" help:"Pause one before its cutover."`
	Resume   resumeMove   `cmd:"" help:"Resume a paused one."`
	Cancel   cancelMove   `cmd:"" help:"Undo one before its cutover: the storefront stays where it is."`
	Cutover  cutoverMove  `cmd:"" help:"Let one that waits for it cut over."`
	Rollback rollbackMove `cmd:"" help:"Bring the storefront back; nothing written since is lost."`
	Finalize finalizeMove `cmd:"" help:"Erase the storefront from the old place: no way back."`
}

const movesPath = "/api/admin/moves"

type startMove struct {
	remote
	Storefront string `arg:"" help:"Id or slug."`
	Target     string `arg:"" help:"A backend."`
	Manual     bool   `help:"Wait for 'move cutover' before cutting over."`
	Window     int64  `default:"86400" help:"Seconds in which a rollback stays possible."`
	Reason     string `help:"For the receipt."`
	Unpaced    bool   `help:"Copy at full speed, whatever requests feel."`
	DryRun     bool   `help:"Look at what would be done and change nothing."`
}

func (c *startMove) Run(ctx context.Context, out io.Writer) error {
	var shop struct{ ID string }
	if err := c.call(ctx, http.MethodGet, storefrontsPath+"/"+url.PathEscape(c.Storefront), nil, &shop); err != nil {
		return err
	}
	var answer struct {
		Move    *struct{ ID string }
		Preview json.RawMessage
	}
	if err := c.call(ctx, http.MethodPost, movesPath, map[string]any{
		"storefront_id": shop.ID, "target": c.Target, "reason": c.Reason, "dry_run": c.DryRun,
		"options": map[string]any{"manual_cutover": c.Manual, "window_seconds": c.Window, "unpaced": c.Unpaced},
	}, &answer); err != nil {
		return err
	}
	if answer.Move == nil {
		return print(out, answer.Preview)
	}
	_, err := fmt.Fprintf(out, "%s\n  follow it: smartseller move watch %s\n", answer.Move.ID, answer.Move.ID)
	return err
}

type listMoves struct{ remote }

func (c *listMoves) Run(ctx context.Context, out io.Writer) error {
	for cursor := ""; ; {
		var page struct {
			Data []struct {
				ID, Phase, Source, Target string
				Storefront                string `json:"storefront_id"`
			}
			NextCursor string `json:"next_cursor"`
		}
		if err := c.call(ctx, http.MethodGet, movesPath+"?limit=100&cursor="+url.QueryEscape(cursor), nil, &page); err != nil {
			return err
		}
		for _, m := range page.Data {
			fmt.Fprintf(out, "%s  %s  %s -> %s  %s\n", m.ID, m.Storefront, m.Source, m.Target, m.Phase)
		}
		if cursor = page.NextCursor; cursor == "" {
			return nil
		}
	}
}

// moveArg names a move; it is part of every command on one.
type moveArg struct {
	remote
	ID string `arg:"" help:"The move's id."`
}

func (c *moveArg) path() string { return movesPath + "/" + url.PathEscape(c.ID) }

func (c *moveArg) ask(ctx context.Context, out io.Writer, what string) error {
	if err := c.call(ctx, http.MethodPost, c.path()+"/"+what, nil, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "asked to %s; follow it: smartseller move watch %s\n", what, c.ID)
	return err
}

type (
	showMove     struct{ moveArg }
	pauseMove    struct{ moveArg }
	resumeMove   struct{ moveArg }
	cancelMove   struct{ moveArg }
	cutoverMove  struct{ moveArg }
	rollbackMove struct{ moveArg }
	finalizeMove struct{ moveArg }
)

func (c *showMove) Run(ctx context.Context, out io.Writer) error {
	var m json.RawMessage
	if err := c.call(ctx, http.MethodGet, c.path(), nil, &m); err != nil {
		return err
	}
	return print(out, m)
}

func (c *pauseMove) Run(ctx context.Context, out io.Writer) error { return c.ask(ctx, out, "pause") }

func (c *resumeMove) Run(ctx context.Context, out io.Writer) error { return c.ask(ctx, out, "resume") }

func (c *cancelMove) Run(ctx context.Context, out io.Writer) error { return c.ask(ctx, out, "cancel") }

func (c *cutoverMove) Run(ctx context.Context, out io.Writer) error {
	return c.ask(ctx, out, "cutover")
}

func (c *rollbackMove) Run(ctx context.Context, out io.Writer) error {
	return c.ask(ctx, out, "rollback")
}

func (c *finalizeMove) Run(ctx context.Context, out io.Writer) error {
	return c.ask(ctx, out, "finalize")
}

type watchMove struct {
	moveArg
	JSON bool `name:"json" help:"Print each event as a line of JSON."`
}

// Run follows the event stream, line by line, until the move ends.
func (c *watchMove) Run(ctx context.Context, out io.Writer) error {
	response, err := c.send(ctx, http.MethodGet, c.path()+"/events", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return problem(response)
	}
	var kind string
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if k, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			kind = k
		}
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if c.JSON {
			fmt.Fprintf(out, `{"event":%q,"data":%s}`+"\n", kind, data)
		} else {
			fmt.Fprintf(out, "%-9s %s\n", kind, data)
		}
	}
	if ctx.Err() != nil {
		_, err := fmt.Fprintln(out, "the move goes on without you")
		return err
	}
	if err := lines.Err(); err != nil {
		return fault.New(fault.Unavailable, "stream_broken", "The connection to the server broke; the move goes on. Watch it again.").Because(err)
	}
	return nil
}
