package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"smartseller/platform/fault"
)

type backendCommand struct {
	Add      addBackend      `cmd:"" help:"Register a backend, once it was found usable." example:"smartseller backend add files-3 sqlite --path ./data/files-3"`
	List     listBackends    `cmd:"" help:"List backends." example:"smartseller backend list"`
	Check    checkBackend    `cmd:"" help:"Inspect one." example:"smartseller backend check files-1"`
	Capacity capacityBackend `cmd:"" help:"Say how much a Postgres may hold, where its disk cannot be seen." example:"smartseller backend capacity shared 200"`
	Remove   removeBackend   `cmd:"" help:"Forget one that holds nothing." example:"smartseller backend remove files-3"`
}

const backendsPath = "/api/admin/backends"

// finding is one result of an inspection; without a problem it is well.
type finding struct {
	Check, Found, Problem, Fix string
	Warning                    bool
}

func (f finding) String() string {
	word, text := "ok", f.Found
	if f.Problem != "" {
		word, text = "PROBLEM", f.Problem+"\n           to do: "+f.Fix
		if f.Warning {
			word = "warning"
		}
	}
	if text != "" {
		text = ": " + text
	}
	return fmt.Sprintf("%-8s %s%s", word, f.Check, text)
}

// refused says that one of the findings is in the way of what was asked.
func refused(all []finding) bool {
	return slices.ContainsFunc(all, func(f finding) bool { return f.Problem != "" && !f.Warning })
}

func findingsText(all []finding) string {
	var b strings.Builder
	for _, f := range all {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// secretText is a secret given as it is, or as @FILE, which other users of the
// machine cannot read in its list of processes.
type secretText string

// UnmarshalText reads the file.
func (s *secretText) UnmarshalText(text []byte) error {
	*s = secretText(text)
	if file, ok := strings.CutPrefix(string(text), "@"); ok {
		content, err := os.ReadFile(file)
		if err != nil {
			return err // which names the file and what hinders
		}
		*s = secretText(strings.TrimSpace(string(content)))
	}
	return nil
}

type addBackend struct {
	remote
	output
	Name     string     `arg:"" help:"1 to 40 lower-case letters, digits and dashes."`
	Kind     string     `arg:"" enum:"${kinds}" help:"One of ${enum}."`
	DSN      secretText `name:"dsn" placeholder:"DSN" help:"Of the application's role, for a shared Postgres; @FILE reads it from a file."`
	AdminDSN secretText `name:"admin-dsn" placeholder:"DSN" help:"Of the owner, for Postgres; @FILE reads it from a file."`
	Pooled   bool       `help:"The DSN leads through a transaction pooler, such as PgBouncer."`
	Path     folderPath `help:"Folder, for SQLite."`
}

// folderPath is one of the person's at the command line, which the server may not share.
type folderPath string

// UnmarshalText takes no empty path, as of a variable that is not set: it would be the
// folder that the person is in.
func (p *folderPath) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("must be the path of a folder")
	}
	path, err := filepath.Abs(string(text))
	*p = folderPath(path)
	return err
}

// Run registers it and inspects it.
func (c *addBackend) Run(ctx context.Context, out io.Writer) error {
	err := c.call(ctx, http.MethodPost, backendsPath, map[string]any{
		"name": c.Name, "kind": c.Kind, "dsn": c.DSN, "admin_dsn": c.AdminDSN, "pooled": c.Pooled, "path": c.Path,
	}, nil)
	if err != nil {
		return err
	}
	check := checkBackend{remote: c.remote, output: c.output, Name: c.Name}
	return check.Run(ctx, out)
}

type listBackends struct {
	remote
	output
}

// Run prints a line per backend.
func (c *listBackends) Run(ctx context.Context, out io.Writer) error {
	return each(ctx, &c.remote, c.output, out, backendsPath, func(b struct {
		Name, Kind  string
		Storefronts int64
	},
	) string {
		return fmt.Sprintf("%-24s %-20s %d storefronts", b.Name, b.Kind, b.Storefronts)
	})
}

type checkBackend struct {
	remote
	output
	Name string `arg:"" help:"The backend's name."`
}

// Run prints what was found. What hinders the backend's use is an error, a warning is not.
func (c *checkBackend) Run(ctx context.Context, out io.Writer) error {
	var said json.RawMessage
	if err := c.call(ctx, http.MethodGet, backendsPath+"/"+url.PathEscape(c.Name)+"/check", nil, &said); err != nil {
		return err
	}
	if err := answer(c.output, out, said, func(v struct{ Findings []finding }) string { return findingsText(v.Findings) }); err != nil {
		return err
	}
	var v struct{ Findings []finding }
	if err := json.Unmarshal(said, &v); err != nil {
		return err
	}
	if refused(v.Findings) {
		return fault.New(fault.Conflict, "not_well", "Backend %s cannot be used as it is: do what is said there.", c.Name)
	}
	return nil
}

type removeBackend struct {
	remote
	output
	Name    string `arg:"" help:"The backend's name."`
	Abandon bool   `help:"Forget it though moves have left copies of storefronts there that are still to be erased: it never comes back."`
}

// Run forgets it; one that holds storefronts is refused.
func (c *removeBackend) Run(ctx context.Context, out io.Writer) error {
	path := backendsPath + "/" + url.PathEscape(c.Name)
	if c.Abandon {
		path += "?abandon=true"
	}
	if err := c.call(ctx, http.MethodDelete, path, nil, nil); err != nil {
		return err
	}
	said, err := json.Marshal(map[string]string{"removed": c.Name})
	if err != nil {
		return err
	}
	return answer(c.output, out, said, func(v struct{ Removed string }) string {
		return v.Removed + " is forgotten; its data was left where it is"
	})
}

type capacityBackend struct {
	remote
	output
	Name string `arg:"" help:"The backend's name."`
	GiB  int64  `arg:"" name:"gib" help:"GiB that all its databases together may take; 0: whatever the disk holds."`
}

// Run sets it; moves that do not fit are refused from then on.
func (c *capacityBackend) Run(ctx context.Context, out io.Writer) error {
	if c.GiB > math.MaxInt64>>30 {
		return fault.New(fault.Invalid, "too_large", "No backend holds so many GiB. Say how many it may take.")
	}
	var said json.RawMessage
	if err := c.call(ctx, http.MethodPut, backendsPath+"/"+url.PathEscape(c.Name)+"/capacity", map[string]any{"bytes": c.GiB << 30}, &said); err != nil {
		return err
	}
	return answer(c.output, out, said, func(v struct {
		Used int64 `json:"used_bytes"`
		Free int64 `json:"free_bytes"`
		How  string
	},
	) string {
		if v.Free < 0 {
			return fmt.Sprintf("%s: %d MiB are taken; what is free is unknown: %s", c.Name, v.Used>>20, v.How)
		}
		return fmt.Sprintf("%s: %d MiB are taken, %d MiB free (%s)", c.Name, v.Used>>20, v.Free>>20, v.How)
	})
}
