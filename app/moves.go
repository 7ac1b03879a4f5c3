package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

type moveCommand struct {
	Start    startMove    `cmd:"" help:"Start a move." example:"smartseller move start demo files-2"`
	List     listMoves    `cmd:"" help:"List moves, newest first." example:"smartseller move list --open"`
	Show     showMove     `cmd:"" help:"Show one, with its receipt." example:"smartseller move show demo"`
	Explain  explainMove  `cmd:"" help:"Say what one waits for, and what to do." example:"smartseller move explain demo"`
	Watch    watchMove    `cmd:"" help:"Follow one until it ends; Ctrl-C leaves it running." example:"smartseller move watch demo --until watching"`
	Pace     paceMove     `cmd:"" help:"Bound how much of the time moves may work." example:"smartseller move pace 30 demo"`
	Pause    pauseMove    `cmd:"" help:"Pause one before its cutover." example:"smartseller move pause demo"`
	Resume   resumeMove   `cmd:"" help:"Resume a paused one." example:"smartseller move resume demo"`
	Cancel   cancelMove   `cmd:"" help:"Undo one before its cutover: the storefront stays where it is." example:"smartseller move cancel demo"`
	Cutover  cutoverMove  `cmd:"" help:"Let one that waits for it cut over." example:"smartseller move cutover demo"`
	Verify   verifyMove   `cmd:"" help:"Compare both places while a rollback is possible." example:"smartseller move verify demo"`
	Rollback rollbackMove `cmd:"" help:"Bring the storefront back; nothing written since is lost." example:"smartseller move rollback demo"`
	Finalize finalizeMove `cmd:"" help:"Erase the storefront from the old place: no way back." example:"smartseller move finalize demo"`
	Receipt  checkReceipt `cmd:"" help:"Say whether a receipt that was kept is genuine." example:"smartseller move receipt demo.json"`
}

const movesPath = "/api/admin/moves"

type startMove struct {
	remote
	output
	Storefront string `arg:"" help:"Id or slug."`
	Target     string `arg:"" help:"A backend."`
	Manual     bool   `help:"Wait for 'move cutover' before cutting over."`
	Window     string `placeholder:"HH:MM-HH:MM" help:"Cut over only within this part of the day; none: at any time."`
	TimeZone   string `placeholder:"ZONE" help:"Of the window, such as Europe/Berlin; none: the storefront's own."`
	Rollback   int64  `name:"rollback-window" default:"86400" help:"Seconds in which a rollback stays possible, at least 1."`
	Reason     string `help:"For the receipt."`
	Unpaced    bool   `help:"Copy at full speed, whatever requests feel."`
	Rehearse   bool   `xor:"mode" help:"Do everything but the commit, on live traffic, clean up, and forecast duration and write stall."`
	drillFlag
	At     time.Time `placeholder:"TIME" help:"Begin then, such as 2027-03-01T02:00:00Z; none: at once."`
	DryRun bool      `help:"Look at what would be done and change nothing."`
}

var errRollbackWindow = fault.New(fault.Invalid, "rollback_window", "A rollback stays possible for a second at least: --rollback-window 1.")

// Run starts the move, or looks at what it would do.
func (c *startMove) Run(ctx context.Context, out io.Writer) error {
	options := map[string]any{
		"manual_cutover": c.Manual, "window_seconds": c.Rollback, "unpaced": c.Unpaced, "cutover_window": c.Window, "time_zone": c.TimeZone,
	}
	if c.Rehearse {
		options["mode"] = "rehearsal"
	}
	if err := c.put(options); err != nil {
		return err
	}
	if c.Rollback < 1 { // to the server 0 stands for a day
		return errRollbackWindow
	}
	shop, err := c.storefront(ctx, c.Storefront)
	if err != nil {
		return err
	}
	if !c.At.IsZero() {
		options["begin_at"] = c.At.UnixMicro()
	}
	var said struct{ Move, Preview json.RawMessage }
	if err := c.call(ctx, http.MethodPost, movesPath, map[string]any{
		"storefront_id": shop.ID, "target": c.Target, "reason": c.Reason, "dry_run": c.DryRun,
		"options": options,
	}, &said); err != nil {
		return err
	}
	if c.DryRun {
		return c.judge(out, said.Preview)
	}
	return answer(c.output, out, said.Move, func(m moveState) string {
		return m.ID + "\n  follow it: smartseller move watch " + shop.Slug
	})
}

// judge prints what a dry run found. What would refuse the move is an error.
func (c *startMove) judge(out io.Writer, said json.RawMessage) error {
	var p movePreview
	if err := json.Unmarshal(said, &p); err != nil {
		return err
	}
	if err := answer(c.output, out, said, movePreview.String); err != nil {
		return err
	}
	if refused(p.Findings) {
		return fault.New(fault.Conflict, "move_refused", "The move would be refused; what to do stands with each PROBLEM.")
	}
	return nil
}

// movePreview is what a dry run finds.
type movePreview struct {
	Source, Target string
	Bytes          int64
	Rows           map[string]int64
	Findings       []finding
	Forecast       *moveForecast
}

func (p movePreview) String() string {
	text := fmt.Sprintf("%s -> %s, about %d bytes; nothing was changed\nexpected: %s\n", p.Source, p.Target, p.Bytes, p.Forecast)
	for _, table := range slices.Sorted(maps.Keys(p.Rows)) {
		text += fmt.Sprintf("%10d  %s\n", p.Rows[table], table)
	}
	return text + findingsText(p.Findings)
}

type listMoves struct {
	remote
	output
	Storefront string `arg:"" optional:"" help:"Id or slug: only its moves."`
	Open       bool   `help:"Only moves that have not ended."`
}

// listedMove is a move in a list.
type listedMove struct {
	moveState
	Slug string
}

func (m listedMove) String() string {
	when := "since " + clockText(m.CreatedAt)
	if m.EndedAt != nil {
		when = clockText(m.CreatedAt) + " to " + clockText(*m.EndedAt)
	}
	return fmt.Sprintf("%s  %-24s %s -> %s  %s  %s", m.ID, cmp.Or(m.Slug, m.Storefront), m.Source, m.Target, m.Phase, when)
}

// Run prints a line per move.
func (c *listMoves) Run(ctx context.Context, out io.Writer) error {
	path := movesPath + "?limit=100"
	if c.Open {
		path += "&open=true"
	}
	if c.Storefront != "" {
		shop, err := c.storefront(ctx, c.Storefront)
		if err != nil {
			return err
		}
		path += "&storefront_id=" + url.QueryEscape(shop.ID)
	}
	return each(ctx, &c.remote, c.output, out, path, listedMove.String)
}

// moveArg names a move; it is part of every command on one.
type moveArg struct {
	remote
	output
	Move string `arg:"" help:"The move's id, or a storefront's slug or id: its newest move."`
}

// raw finds the move that is meant.
func (c *moveArg) raw(ctx context.Context) (json.RawMessage, error) {
	var said json.RawMessage
	if ids.Valid(c.Move) {
		err := c.call(ctx, http.MethodGet, movesPath+"/"+c.Move, nil, &said)
		if err == nil || fault.Of(err).Kind != fault.NotFound {
			return said, err
		}
	}
	shop, err := c.storefront(ctx, c.Move)
	if err != nil {
		if fault.Of(err).Kind == fault.NotFound {
			err = fault.New(fault.NotFound, "move_not_found", "There is no such move, and no such storefront: list the moves to see their ids.").Because(err)
		}
		return nil, err
	}
	err = c.call(ctx, http.MethodGet, storefrontsPath+"/"+url.PathEscape(shop.ID)+"/move", nil, &said)
	if err != nil && fault.Of(err).Kind == fault.NotFound {
		err = fault.New(fault.NotFound, "move_not_found", "Storefront %s has never been moved.", shop.Slug).Because(err)
	}
	return said, err
}

func (c *moveArg) find(ctx context.Context) (m moveState, err error) {
	said, err := c.raw(ctx)
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(said, &m)
}

func (c *moveArg) ask(ctx context.Context, out io.Writer, what string) error {
	m, err := c.find(ctx)
	if err != nil {
		return err
	}
	var said json.RawMessage
	if err := c.call(ctx, http.MethodPost, movesPath+"/"+m.ID+"/"+what, nil, &said); err != nil {
		return err
	}
	return answer(c.output, out, said, func(m moveState) string {
		text := fmt.Sprintf("asked to %s; follow it: smartseller move watch %s", what, c.Move)
		if what == "cutover" && m.Options.Window != "" {
			text += "\n  it waits for its window, which no word passes over: smartseller move explain " + c.Move
		}
		return text
	})
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

// Run prints the move.
func (c *showMove) Run(ctx context.Context, out io.Writer) error {
	said, err := c.raw(ctx)
	if err != nil {
		return err
	}
	return answer(c.output, out, said, moveState.String)
}

// Run asks for it; the move's runner acts on it within a second.
func (c *pauseMove) Run(ctx context.Context, out io.Writer) error { return c.ask(ctx, out, "pause") }

// Run asks for it; the move's runner acts on it within a second.
func (c *resumeMove) Run(ctx context.Context, out io.Writer) error { return c.ask(ctx, out, "resume") }

// Run asks for it; the move's runner acts on it within a second.
func (c *cancelMove) Run(ctx context.Context, out io.Writer) error { return c.ask(ctx, out, "cancel") }

// Run asks for it; the move's runner acts on it within a second.
func (c *cutoverMove) Run(ctx context.Context, out io.Writer) error {
	return c.ask(ctx, out, "cutover")
}

// Run asks for it; the move's runner acts on it within a second.
func (c *rollbackMove) Run(ctx context.Context, out io.Writer) error {
	return c.ask(ctx, out, "rollback")
}

// Run asks for it; the move's runner acts on it within a second.
func (c *finalizeMove) Run(ctx context.Context, out io.Writer) error {
	return c.ask(ctx, out, "finalize")
}
