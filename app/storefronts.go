package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

type storefrontCommand struct {
	Create    createStorefront `cmd:"" help:"Create a storefront." example:"smartseller storefront create toys files-1 --title Toys"`
	List      listStorefronts  `cmd:"" help:"List storefronts." example:"smartseller storefront list"`
	Show      showStorefront   `cmd:"" help:"Show one." example:"smartseller storefront show demo"`
	Blackouts listBlackouts    `cmd:"" help:"List when sellers want no cutover, and why." example:"smartseller storefront blackouts demo"`
}

const storefrontsPath = "/api/admin/storefronts"

// storefrontState is a storefront as the server tells it.
type storefrontState struct {
	ID, Slug, Name, Currency, Status, Backend string
	TimeZone                                  string `json:"time_zone"`
	Epoch                                     int64
	CreatedAt                                 int64 `json:"created_at"`
}

func (s storefrontState) String() string {
	return fields("slug", s.Slug, "id", s.ID, "name", s.Name, "backend", s.place(), "status", s.Status,
		"currency", s.Currency, "time zone", s.TimeZone, "created", clockText(s.CreatedAt))
}

func (s storefrontState) place() string { return fmt.Sprintf("%s (epoch %d)", s.Backend, s.Epoch) }

// storefront finds one by its id or slug.
func (r *remote) storefront(ctx context.Context, ref string) (s storefrontState, err error) {
	return s, r.call(ctx, http.MethodGet, storefrontsPath+"/"+url.PathEscape(ref), nil, &s)
}

type createStorefront struct {
	remote
	output
	Slug     string `arg:"" help:"3 to 63 lower-case letters, digits and dashes."`
	Backend  string `arg:"" help:"Where its data will live."`
	Title    string `help:"Its name; empty: the slug."`
	Currency string `default:"EUR" help:"ISO 4217 code."`
	TimeZone string `default:"UTC" help:"IANA time zone."`
}

// Run creates it.
func (c *createStorefront) Run(ctx context.Context, out io.Writer) error {
	if c.Title == "" {
		c.Title = c.Slug
	}
	var said json.RawMessage
	if err := c.call(ctx, http.MethodPost, storefrontsPath, map[string]any{
		"slug": c.Slug, "name": c.Title, "backend": c.Backend, "currency": c.Currency, "time_zone": c.TimeZone,
	}, &said); err != nil {
		return err
	}
	return answer(c.output, out, said, storefrontState.String)
}

type listStorefronts struct {
	remote
	output
}

// Run prints a line per storefront.
func (c *listStorefronts) Run(ctx context.Context, out io.Writer) error {
	return each(ctx, &c.remote, c.output, out, storefrontsPath+"?limit=100", func(s storefrontState) string {
		return fmt.Sprintf("%s  %-24s %s", s.ID, s.Slug, s.place())
	})
}

type showStorefront struct {
	remote
	output
	Storefront string `arg:"" help:"Id or slug."`
}

// Run prints it.
func (c *showStorefront) Run(ctx context.Context, out io.Writer) error {
	var said json.RawMessage
	if err := c.call(ctx, http.MethodGet, storefrontsPath+"/"+url.PathEscape(c.Storefront), nil, &said); err != nil {
		return err
	}
	return answer(c.output, out, said, storefrontState.String)
}
