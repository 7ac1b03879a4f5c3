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
	Create createStorefront `cmd:"" help:"Create a storefront. Example: smartseller storefront create toys files-1 --title 'Toys'"`
	List   listStorefronts  `cmd:"" help:"List storefronts. Example: smartseller storefront list"`
	Show   showStorefront   `cmd:"" help:"Show one. Example: smartseller storefront show demo"`
}

const storefrontsPath = "/api/admin/storefronts"

type createStorefront struct {
	remote
	Slug     string `arg:"" help:"3 to 63 lower-case letters, digits and dashes."`
	Backend  string `arg:"" help:"Where its data will live."`
	Title    string `help:"Its name; empty: the slug."`
	Currency string `default:"EUR" help:"ISO 4217 code."`
	TimeZone string `default:"UTC" help:"IANA time zone."`
}

func (c *createStorefront) Run(ctx context.Context, out io.Writer) error {
	if c.Title == "" {
		c.Title = c.Slug
	}
	var made json.RawMessage
	err := c.call(ctx, http.MethodPost, storefrontsPath, map[string]any{
		"slug": c.Slug, "name": c.Title, "backend": c.Backend, "currency": c.Currency, "time_zone": c.TimeZone,
	}, &made)
	if err != nil {
		return err
	}
	return print(out, made)
}

type listStorefronts struct{ remote }

// Run prints a line per storefront, page by page.
func (c *listStorefronts) Run(ctx context.Context, out io.Writer) error {
	for cursor := ""; ; {
		var page struct {
			Data []struct {
				ID, Slug, Backend string
				Epoch             int64
			}
			NextCursor string `json:"next_cursor"`
		}
		if err := c.call(ctx, http.MethodGet, storefrontsPath+"?limit=100&cursor="+url.QueryEscape(cursor), nil, &page); err != nil {
			return err
		}
		for _, s := range page.Data {
			fmt.Fprintf(out, "%s  %-24s %s (epoch %d)\n", s.ID, s.Slug, s.Backend, s.Epoch)
		}
		if cursor = page.NextCursor; cursor == "" {
			return nil
		}
	}
}

type showStorefront struct {
	remote
	Storefront string `arg:"" help:"Id or slug."`
}

func (c *showStorefront) Run(ctx context.Context, out io.Writer) error {
	var found json.RawMessage
	if err := c.call(ctx, http.MethodGet, storefrontsPath+"/"+url.PathEscape(c.Storefront), nil, &found); err != nil {
		return err
	}
	return print(out, found)
}

type backendCommand struct {
	Add    addBackend    `cmd:"" help:"Register a backend. Example: smartseller backend add files-3 sqlite --path ./data/files-3"`
	List   listBackends  `cmd:"" help:"List backends. Example: smartseller backend list"`
	Check  checkBackend  `cmd:"" help:"Inspect one. Example: smartseller backend check files-1"`
	Remove removeBackend `cmd:"" help:"Forget one that holds nothing. Example: smartseller backend remove files-3"`
}

const backendsPath = "/api/admin/backends"

type addBackend struct {
	remote
	Name     string `arg:""`
	Kind     string `arg:"" enum:"shared-postgres,dedicated-postgres,sqlite" help:"shared-postgres, dedicated-postgres or sqlite."`
	DSN      string `name:"dsn" help:"Of the application's role, for a shared Postgres."`
	AdminDSN string `name:"admin-dsn" help:"Of the owner, for Postgres."`
	Pooled   bool   `help:"The DSN leads through a transaction pooler, such as PgBouncer."`
	Path     string `type:"path" help:"Folder, for SQLite."`
}

func (c *addBackend) Run(ctx context.Context, out io.Writer) error {
	err := c.call(ctx, http.MethodPost, backendsPath, map[string]any{
		"name": c.Name, "kind": c.Kind, "dsn": c.DSN, "admin_dsn": c.AdminDSN, "pooled": c.Pooled, "path": c.Path,
	}, nil)
	if err != nil {
		return err
	}
	check := checkBackend{remote: c.remote, Name: c.Name}
	return check.Run(ctx, out)
}

type listBackends struct{ remote }

func (c *listBackends) Run(ctx context.Context, out io.Writer) error {
	var page struct {
		Data []struct {
			Name, Kind  string
			Storefronts int64
		}
	}
	if err := c.call(ctx, http.MethodGet, backendsPath, nil, &page); err != nil {
		return err
	}
	for _, b := range page.Data {
		fmt.Fprintf(out, "%-24s %-20s %d storefronts\n", b.Name, b.Kind, b.Storefronts)
	}
	return nil
}

type checkBackend struct {
	remote
	Name string `arg:""`
}

func (c *checkBackend) Run(ctx context.Context, out io.Writer) error {
	var found struct {
		Findings []struct{ Check, Problem, Fix string }
	}
	if err := c.call(ctx, http.MethodGet, backendsPath+"/"+url.PathEscape(c.Name)+"/check", nil, &found); err != nil {
		return err
	}
	for _, f := range found.Findings {
		if f.Problem == "" {
			fmt.Fprintf(out, "ok       %s\n", f.Check)
		} else {
			fmt.Fprintf(out, "PROBLEM  %s: %s; %s\n", f.Check, f.Problem, f.Fix)
		}
	}
	return nil
}

type removeBackend struct {
	remote
	Name string `arg:""`
}

func (c *removeBackend) Run(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, backendsPath+"/"+url.PathEscape(c.Name), nil, nil)
}
