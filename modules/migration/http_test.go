package migration

import (
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/control"
	"smartseller/platform/httpx"
)

// property is one that the API's document describes.
type property struct {
	Description string
	Enum        []string
}

// described is an operation as the API's document describes it.
type described struct {
	Description string
	Responses   map[string]any
}

// document is what the API says of moves: of operations by path and method, of properties by
// the name of their schema.
func document(t *testing.T) (operations map[string]map[string]described, schemas map[string]map[string]property) {
	t.Helper()
	server := httpx.New(httpx.Options{Version: "test", Log: slog.New(slog.DiscardHandler)})
	Routes(server, &Service{})
	said := httptest.NewRecorder()
	server.Handler().ServeHTTP(said, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	require.Equal(t, http.StatusOK, said.Code)
	var d struct {
		Paths      map[string]map[string]described
		Components struct {
			Schemas map[string]struct{ Properties map[string]property }
		}
	}
	require.NoError(t, json.Unmarshal(said.Body.Bytes(), &d))
	schemas = map[string]map[string]property{}
	for name, s := range d.Components.Schemas {
		schemas[name] = s.Properties
	}
	return d.Paths, schemas
}

// TestFiguresAreDescribed, with their units: nobody guesses what a number counts.
func TestFiguresAreDescribed(t *testing.T) {
	t.Parallel()
	_, schemas := document(t)
	for _, name := range []string{"Options", "Stats"} {
		require.NotEmpty(t, schemas[name], name)
		for field, p := range schemas[name] {
			require.NotEmpty(t, p.Description, "%s.%s", name, field)
		}
	}
	units := map[string]string{"_micros": "icroseconds", "_at": "icroseconds UTC", "since": "icroseconds UTC", "_seconds": "seconds", "bytes": "bytes", "_percent": "percent"}
	for name, fields := range schemas {
		for field, p := range fields {
			for end, unit := range units {
				if strings.HasSuffix(field, end) {
					require.Contains(t, p.Description, unit, "%s.%s", name, field)
				}
			}
		}
	}
}

// TestWordsAreListed: who reads the document sees every word that a field can have.
func TestWordsAreListed(t *testing.T) {
	t.Parallel()
	_, schemas := document(t)
	all := func(words ...string) []string { return words }
	var phases []string
	for _, p := range Phases() {
		phases = append(phases, string(p))
	}
	for field, words := range map[string][]string{
		"phase": phases,
		"cut":   all("", "cutting", "aborted", "committed"),
		"asked": all("pause", "resume", "cancel", "cutover", "rollback", "finalize", "verify", "yield"),
	} {
		require.Equal(t, words, schemas["MoveBody"][field].Enum, field)
	}
	require.Equal(t, phases, schemas["Explanation"]["phase"].Enum)
}

// TestEventKindsAreListed: every kind that the code tells is one that the document has.
func TestEventKindsAreListed(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, k := range eventKinds {
		listed = append(listed, k.name)
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(toldKinds(t))), listed)
	operations, _ := document(t)
	about := operations[movesPath+"/{id}/events"]["get"].Description
	for _, k := range eventKinds {
		require.Contains(t, about, "- `"+k.name+"`: "+k.what)
	}
}

// TestADryRunIsDescribed: its answer has a status of its own, and the body that starting has.
func TestADryRunIsDescribed(t *testing.T) {
	t.Parallel()
	operations, schemas := document(t)
	require.Contains(t, schemas, "StartOutputBody")
	content := func(status string) any {
		said, _ := operations[movesPath]["post"].Responses[status].(map[string]any)
		return said["content"]
	}
	require.NotNil(t, content("202"))
	require.Equal(t, content("202"), content("200"))
}

// toldKinds are the kinds that are given to addEvent and save.
func toldKinds(t *testing.T) map[string]bool {
	t.Helper()
	sources, err := filepath.Glob("*.go")
	require.NoError(t, err)
	told := map[string]bool{}
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				told[kindIn(t, call)] = true
			}
			return true
		})
	}
	delete(told, unsaid)
	return told
}

// kindIn is the kind of the event that a call tells.
func kindIn(t *testing.T, call *ast.CallExpr) string {
	t.Helper()
	var kind ast.Expr
	switch f := call.Fun.(type) {
	case *ast.Ident:
		if f.Name == "addEvent" {
			kind = call.Args[2]
		}
	case *ast.SelectorExpr:
		if f.Sel.Name == "save" {
			kind = call.Args[1]
		}
	}
	switch k := kind.(type) {
	case *ast.BasicLit:
		name, err := strconv.Unquote(k.Value)
		require.NoError(t, err)
		return name
	case *ast.Ident:
		named := map[string]string{"EventYield": EventYield, "unsaid": unsaid, "kind": unsaid} // the last one is what save hands on
		require.Contains(t, named, k.Name)
		return named[k.Name]
	}
	return unsaid
}

// TestEventsAreAsDescribed: what an event says has no field that the document does not name.
func TestEventsAreAsDescribed(t *testing.T) {
	t.Parallel()
	i := newWorld(t).instance(t, nil)
	m := start(t, i, i.storefront(t, 10), Options{})
	i.waitFor(t, m.ID, Watching)
	i.audited(t, m.ID)
	ask(t, i, m.ID, WantFinalize)
	i.waitFor(t, m.ID, Completed)
	events, err := i.service.Events(context.Background(), m.ID, 0, 1000)
	require.NoError(t, err)
	for _, e := range events {
		at := slices.IndexFunc(eventKinds, func(k eventKind) bool { return k.name == e.Kind })
		require.GreaterOrEqual(t, at, 0, e.Kind)
		fields, ok := strings.CutPrefix(eventKinds[at].what, "{")
		if !ok {
			continue
		}
		fields, _, _ = strings.Cut(fields, "}")
		var said map[string]any
		require.NoError(t, json.Unmarshal([]byte(e.Data), &said))
		for field := range said {
			require.Contains(t, strings.Split(fields, ", "), field, e.Kind)
		}
	}
}

// TestListOfMoves: newest first, of one storefront or of all, the open ones alone if need be, each
// with its storefront's slug; and without what is long and said of one move.
func TestListOfMoves(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	toys, books := i.storefront(t, 1), i.storefront(t, 1)
	require.NoError(t, i.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`INSERT INTO storefronts (id, slug, name, currency, time_zone, status, settings, created_at, updated_at, version)
			VALUES ($1, 'toys', 'Toys', 'EUR', 'UTC', 'active', '{}', 0, 0, 1)`, string(toys))
		return err
	}))
	ended := start(t, i, toys, Options{})
	i.waitFor(t, ended.ID, Watching)
	ask(t, i, ended.ID, WantFinalize)
	i.waitFor(t, ended.ID, Completed)
	open := start(t, i, books, Options{ManualCutover: true})
	back := startTo(t, i, toys, "one", Options{ManualCutover: true})
	for name, c := range map[string]struct {
		filter Filter
		cursor string
		want   []string
	}{
		"all":                    {Filter{}, "", []string{back.ID, open.ID, ended.ID}},
		"behind a cursor":        {Filter{}, open.ID, []string{ended.ID}},
		"open":                   {Filter{Open: true}, "", []string{back.ID, open.ID}},
		"open, behind a cursor":  {Filter{Open: true}, open.ID, nil},
		"of a storefront":        {Filter{Storefront: toys}, "", []string{back.ID, ended.ID}},
		"open, of a storefront":  {Filter{Storefront: toys, Open: true}, "", []string{back.ID}},
		"open, of somebody else": {Filter{Storefront: "nobody", Open: true}, "", nil},
	} {
		listed, err := i.service.ListBy(ctx, c.filter, c.cursor, 10)
		require.NoError(t, err)
		var got []string
		for _, l := range listed {
			got = append(got, l.ID)
			b := entryOf(l)
			require.Equal(t, map[bool]string{true: "toys"}[l.Storefront == toys], b.Slug, name)
			require.Empty(t, b.Receipt, name)
		}
		require.Equal(t, c.want, got, name)
	}
	require.NotEmpty(t, get(t, i, ended.ID).Receipt, "which is shown of one move")
}

// TestListsHaveAnIndex: a fleet's few open moves are found without a walk through all that ended.
func TestListsHaveAnIndex(t *testing.T) {
	t.Parallel()
	i := newWorld(t).instance(t, nil)
	for index, f := range map[string]Filter{
		"moves_open_listed": {Open: true}, "moves_storefront": {Storefront: "toys"}, "sqlite_autoindex_moves_1": {},
	} {
		text, args := f.query("~", 10)
		var plan []struct {
			ID      int64  `db:"id"`
			Parent  int64  `db:"parent"`
			Notused int64  `db:"notused"`
			Detail  string `db:"detail"`
		}
		require.NoError(t, i.db.View(context.Background(), func(_ context.Context, tx control.Tx) error {
			return tx.Select(&plan, `EXPLAIN QUERY PLAN `+text, args...)
		}))
		require.Regexp(t, `moves USING INDEX `+index+` .*id<`, plan[0].Detail)
	}
}
