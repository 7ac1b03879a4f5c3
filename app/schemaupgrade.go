package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"smartseller/platform/fault"
)

const upgradesPath = "/api/admin/schema-upgrades"

// upgradeState is an upgrade of all places, as the server tells it.
type upgradeState struct {
	ID, State string
	Joined    bool
	Places    map[string]int
	Change    int64 // the last one
}

func (u upgradeState) String() string {
	return fmt.Sprintf("upgrade %s %s, places: %s", u.ID, u.State, countsText(u.Places))
}

// newestUpgrade is the zero value when there was none yet.
func (r *remote) newestUpgrade(ctx context.Context) (u upgradeState, err error) {
	var page struct{ Data []upgradeState }
	err = r.call(ctx, http.MethodGet, upgradesPath+"?limit=1", nil, &page)
	if len(page.Data) > 0 {
		u = page.Data[0]
	}
	return u, err
}

// upgradedPlace is what became of a place.
type upgradedPlace struct {
	Slug, Backend, State, Cause string
	Storefronts                 int
	Before                      int64 `json:"version_before"`
	Version                     int64
}

func (p upgradedPlace) String() string {
	name := p.Slug
	if name == "" {
		name = fmt.Sprintf("(%d storefronts)", p.Storefronts)
	}
	text := fmt.Sprintf("%-24s %-20s %s", name, p.Backend, p.State)
	switch {
	case p.Cause != "":
		text += ": " + p.Cause
	case p.State == "done" && p.Before != p.Version:
		text += fmt.Sprintf(": upgraded from %d to %d", p.Before, p.Version)
	case p.State == "done":
		text += fmt.Sprintf(": was at %d already", p.Version)
	}
	return text
}

type schemaUpgrade struct {
	remote
	output
	Storefront string `arg:"" optional:"" help:"Id or slug: its place alone; none: all places."`
	Failed     bool   `help:"Repeat what failed in the newest upgrade, and nothing else."`
}

// Validate refuses what would upgrade a place that did not fail.
func (c *schemaUpgrade) Validate() error {
	if c.Failed && c.Storefront != "" {
		return errors.New("--failed repeats what failed among all places: leave it, or the storefront, out")
	}
	return nil
}

// Run upgrades the place of one storefront, or has all upgraded and watches. It fails
// when any place did, after all others had their turn.
func (c *schemaUpgrade) Run(ctx context.Context, out io.Writer) error {
	if c.Storefront != "" {
		return c.alone(ctx, out)
	}
	var run upgradeState
	if err := c.call(ctx, http.MethodPost, upgradesPath, map[string]any{"failed_only": c.Failed}, &run); err != nil {
		return err
	}
	if !c.JSON {
		begun := "has begun"
		if run.Joined {
			begun = "was under way already"
		}
		if err := line(out, fmt.Sprintf("upgrade %s %s, places: %s", run.ID, begun, countsText(run.Places))); err != nil {
			return err
		}
	}
	last := "" // all that became of places so far
	if c.Failed {
		last = strconv.FormatInt(run.Change, 10) // that was told before
	}
	err := c.hear(ctx, upgradesPath+"/"+run.ID+"/events", following{behind: last}, func(e event) error { return c.see(e, &run, out) })
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return fault.New(fault.Timeout, "left", "You have left; the upgrade goes on without you. Watch it again: smartseller schema upgrade").Because(err)
	case err != nil:
		return err
	case run.State == "cancelled":
		return fault.New(fault.Conflict, "upgrade_cancelled", "The upgrade was cancelled; %d places were skipped.", run.Places["skipped"])
	case run.Places["failed"] > 0:
		return fault.New(fault.Conflict, "not_upgraded", "%d places were not upgraded; see above. Remove the causes, then repeat these alone: smartseller schema upgrade --failed", run.Places["failed"])
	}
	return nil
}

// see tells of a place, and at the end of all.
func (c *schemaUpgrade) see(e event, run *upgradeState, out io.Writer) error {
	said, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if e.Kind != "ended" {
		return item(c.output, out, said, func(e struct{ Data upgradedPlace }) string { return e.Data.String() })
	}
	run.Places = nil // else the new counts would be added to the old ones
	if err := json.Unmarshal(e.Data, run); err != nil {
		return fmt.Errorf("event %s of the upgrade is not understood: %w", e.ID, err)
	}
	if err := item(c.output, out, said, func(any) string { return run.String() }); err != nil {
		return err
	}
	return errEnough
}

// upgradeWithin bounds the upgrade of one place.
const upgradeWithin = time.Hour

// alone upgrades the place of one storefront, and waits for it; who leaves ends nothing.
func (c *schemaUpgrade) alone(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, upgradeWithin)
	defer cancel()
	var said json.RawMessage
	err := c.callLong(ctx, http.MethodPost, storefrontsPath+"/"+url.PathEscape(c.Storefront)+"/schema/upgrade", nil, &said)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return fault.New(fault.Timeout, "left", "You have left; the upgrade goes on without you. How it stands: smartseller schema status %s", c.Storefront).Because(err)
	}
	if err != nil {
		return err
	}
	return answer(c.output, out, said, schemaState.String)
}

type schemaCancel struct {
	remote
	output
}

// Run ends the upgrade that is under way.
func (c *schemaCancel) Run(ctx context.Context, out io.Writer) error {
	run, err := c.newestUpgrade(ctx)
	if err != nil {
		return err
	}
	if run.State != "running" {
		return fault.New(fault.Conflict, "upgrade_ended", "No upgrade is under way: there is nothing to cancel.")
	}
	var said json.RawMessage
	if err := c.call(ctx, http.MethodPost, upgradesPath+"/"+run.ID+"/cancel", nil, &said); err != nil {
		return err
	}
	return answer(c.output, out, said, upgradeState.String)
}
