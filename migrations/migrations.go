// Package migrations embeds the schemas: control/ for the control database and
// tenant/ for every place that holds storefronts. One text serves both engines:
// it says TEXT, BIGINT and BYTEA, and render turns it into the engine's own words.
// tenant-postgres/ is what only Postgres has: the entry functions; its versions continue
// tenant/'s.
package migrations

import (
	"embed"
	"io/fs"
	"regexp"
	"sync"
	"testing/fstest"
)

//go:embed control tenant tenant-postgres
var files embed.FS

// Guard puts row-level security on each tenant table of a Postgres that has none: run it
// after its migrations. It is none itself, so that no later table can be forgotten.
//
//go:embed guard.sql
var Guard string

// Engine is a database engine.
type Engine string

// The engines.
const (
	Postgres Engine = "postgres"
	SQLite   Engine = "sqlite"
)

// Control returns the control database's migrations for an engine.
func Control(e Engine) (fs.FS, error) { return render(e, "control") }

// Tenant returns the tenant schema's migrations for an engine.
func Tenant(e Engine) (fs.FS, error) {
	if e == Postgres {
		return postgresTenant()
	}
	return sqliteTenant()
}

// CountTenant is how many migrations the tenant schema has in this program: a newer one
// has more.
func CountTenant() (int, error) {
	set, err := postgresTenant()
	if err != nil {
		return 0, err
	}
	names, err := fs.Glob(set, "*.sql")
	return len(names), err
}

// Every opening of a place holds its schema against them: they are rendered once.
var (
	postgresTenant = sync.OnceValues(func() (fs.FS, error) { return render(Postgres, "tenant", "tenant-postgres") })
	sqliteTenant   = sync.OnceValues(func() (fs.FS, error) { return render(SQLite, "tenant") })
)

var (
	text     = regexp.MustCompile(`\bTEXT\b`)
	bigint   = regexp.MustCompile(`\bBIGINT\b`)
	bytea    = regexp.MustCompile(`\bBYTEA\b`)
	endTable = regexp.MustCompile(`(?m)^\);`)
)

// render reads every file of the folders and translates the portable types.
// Comments are translated too, which harms nobody.
func render(e Engine, folders ...string) (fs.FS, error) {
	out := fstest.MapFS{}
	for _, folder := range folders {
		entries, err := files.ReadDir(folder)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			raw, err := files.ReadFile(folder + "/" + entry.Name())
			if err != nil {
				return nil, err
			}
			if e == SQLite {
				raw = bigint.ReplaceAll(raw, []byte("INTEGER"))
				raw = bytea.ReplaceAll(raw, []byte("BLOB"))
				raw = endTable.ReplaceAll(raw, []byte(") STRICT;"))
			} else if folder != "tenant-postgres" {
				raw = text.ReplaceAll(raw, []byte(`TEXT COLLATE "C"`))
			}
			out[entry.Name()] = &fstest.MapFile{Data: raw}
		}
	}
	return out, nil
}
