package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
)

const blackoutsPath = "/api/admin/blackouts"

type listBlackouts struct {
	remote
	output
	Storefront string `arg:"" optional:"" help:"Id or slug: only its seller's."`
}

// blackout is when a seller wants no cutover, as the server tells it.
type blackout struct {
	Slug, Reason string
	Storefront   string `json:"storefront_id"`
	From         int64  `json:"begins_at"`
	Until        int64  `json:"ends_at"`
}

// String quotes the reason: it may be any text of the seller's, and must not write to a terminal.
func (b blackout) String() string {
	text := fmt.Sprintf("%-24s %s to %s", cmp.Or(b.Slug, b.Storefront), clockText(b.From), clockText(b.Until))
	if b.Reason != "" {
		text += fmt.Sprintf("  %q", b.Reason)
	}
	return text
}

// Run prints a line for each that is not past.
func (c *listBlackouts) Run(ctx context.Context, out io.Writer) error {
	path := blackoutsPath + "?limit=100"
	if c.Storefront != "" {
		shop, err := c.storefront(ctx, c.Storefront)
		if err != nil {
			return err
		}
		path += "&storefront_id=" + url.QueryEscape(shop.ID)
	}
	return each(ctx, &c.remote, c.output, out, path, blackout.String)
}
