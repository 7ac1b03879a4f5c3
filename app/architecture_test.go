package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const program = "smartseller" // the Go module

// floors, from the ground up: a package imports its own floor and those below.
// migrations are texts that both the control database and the backends embed;
// e2e looks at the whole house from outside.
var floors = []string{"migrations", "platform", "backends", "modules", "web", "app", "e2e"}

// moduleImports is every import from one module to another. Adding one couples
// two subjects for good: do it here, visibly, or not at all.
var moduleImports = map[string][]string{
	"customers":   {},
	"auth":        {"customers", "storefronts"},
	"storefronts": {"customers"},
	"migration":   {},
	"monitoring":  {},
}

// moduleFiles is what every module has; <name>.go comes on top.
var moduleFiles = []string{"service.go", "store.go", "http.go", "module.go"}

// vagueNames say nothing about what a package holds.
var vagueNames = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "lib", "pkg"}

const longestFile = 400 // lines

// source is one Go file, as the rules see it.
type source struct {
	path    string // from the root of the repository
	imports []string
	lines   int
}

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

// TestArchitecture holds the tree against the rules.
func TestArchitecture(t *testing.T) {
	t.Parallel()
	sources := readSources(t)
	require.NotEmpty(t, sources)
	require.Empty(t, violations(sources))
	require.Empty(t, strayFolders(t))
}

// TestArchitectureRules feeds each rule a forbidden example, since a checker
// that accepts everything looks the same as a clean tree.
func TestArchitectureRules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file   source
		broken string // part of the violation; empty: allowed
	}{
		"platform looks up":          {source{path: "platform/ids/a.go", imports: []string{"smartseller/backends"}}, "platform may not import backends"},
		"platform test looks up":     {source{path: "platform/ids/a_test.go", imports: []string{"smartseller/modules/auth"}}, "platform may not import modules"},
		"backend knows a module":     {source{path: "backends/sqlite/a.go", imports: []string{"smartseller/modules/customers"}}, "backends may not import modules"},
		"module knows web":           {source{path: "modules/auth/auth.go", imports: []string{"smartseller/web"}}, "modules may not import web"},
		"web knows app":              {source{path: "web/web.go", imports: []string{"smartseller/app"}}, "web may not import app"},
		"program imports tests":      {source{path: "app/app.go", imports: []string{"smartseller/e2e/load"}}, "app may not import e2e"},
		"contract knows a backend":   {source{path: "backends/router.go", imports: []string{"smartseller/backends/sqlite"}}, "the contract may not import"},
		"module knows a backend":     {source{path: "modules/auth/store.go", imports: []string{"smartseller/backends/sqlite"}}, "modules use the contract"},
		"web knows a backend":        {source{path: "web/web.go", imports: []string{"smartseller/backends/sqlstore"}}, "web uses the contract"},
		"undeclared module import":   {source{path: "modules/migration/service.go", imports: []string{"smartseller/modules/customers"}}, "migration -> customers is not declared"},
		"the other way round":        {source{path: "modules/customers/service.go", imports: []string{"smartseller/modules/auth"}}, "customers -> auth is not declared"},
		"undeclared, from a part":    {source{path: "modules/storefronts/orders/a.go", imports: []string{"smartseller/modules/auth"}}, "storefronts -> auth is not declared"},
		"a sixth module":             {source{path: "modules/billing/billing.go"}, "billing is not one of the modules"},
		"service wires":              {source{path: "modules/auth/service.go", imports: []string{"go.uber.org/fx"}}, "only module.go and app import"},
		"service logs wiring":        {source{path: "web/web.go", imports: []string{"go.uber.org/fx/fxevent"}}, "only module.go and app import"},
		"service speaks echo":        {source{path: "modules/auth/service.go", imports: []string{"github.com/labstack/echo/v4"}}, "only http.go and platform/httpx import"},
		"app speaks huma":            {source{path: "app/app.go", imports: []string{"github.com/danielgtaylor/huma/v2/adapters/humaecho"}}, "only http.go and platform/httpx import"},
		"vague package":              {source{path: "platform/util/a.go"}, `"util" says nothing`},
		"unknown top-level folder":   {source{path: "internal/a.go"}, "internal is not a floor"},
		"import of unknown folder":   {source{path: "app/app.go", imports: []string{"smartseller/internal"}}, "app may not import internal"},
		"long file":                  {source{path: "app/app.go", lines: 401}, "401 lines"},
		"downward":                   {source{path: "app/app.go", imports: []string{"smartseller/web", "smartseller/backends/sqlite", "go.uber.org/fx", "fmt"}}, ""},
		"declared module import":     {source{path: "modules/auth/service.go", imports: []string{"smartseller/modules/customers"}}, ""},
		"part of the same module":    {source{path: "modules/storefronts/store.go", imports: []string{"smartseller/modules/storefronts/orders"}}, ""},
		"module test opens backends": {source{path: "modules/auth/service_test.go", imports: []string{"smartseller/backends/sqlite"}}, ""},
		"wiring in module.go":        {source{path: "modules/auth/module.go", imports: []string{"go.uber.org/fx"}}, ""},
		"the HTTP edge":              {source{path: "modules/auth/http.go", imports: []string{"github.com/danielgtaylor/huma/v2"}}, ""},
		"httpx":                      {source{path: "platform/httpx/server.go", imports: []string{"github.com/labstack/echo/v4"}, lines: 400}, ""},
		"a like-named library":       {source{path: "app/app.go", imports: []string{"smartsellers/util"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := violations(append(completeModules(), c.file))
			if c.broken == "" {
				require.Empty(t, found)
				return
			}
			require.NotEmpty(t, found)
			require.Contains(t, found[0], c.file.path)
			require.Contains(t, strings.Join(found, "\n"), c.broken)
		})
	}
}

func TestArchitectureWantsEveryModuleFile(t *testing.T) {
	t.Parallel()
	complete := completeModules()
	require.Empty(t, violations(complete))
	for i, missing := range complete {
		require.Equal(t, []string{missing.path + " is missing"}, violations(slices.Delete(slices.Clone(complete), i, i+1)))
	}
}

// completeModules are the files that every tree must have.
func completeModules() []source {
	var files []source
	for _, wanted := range wantedFiles() {
		files = append(files, source{path: wanted})
	}
	return files
}

func wantedFiles() []string {
	var wanted []string
	for module := range moduleImports {
		for _, file := range append([]string{module + ".go"}, moduleFiles...) {
			wanted = append(wanted, path.Join("modules", module, file))
		}
	}
	slices.Sort(wanted)
	return wanted
}

// violations lists what breaks the rules, one sentence each.
func violations(sources []source) []string {
	var found []string
	present := map[string]bool{}
	begun := map[string]bool{} // folders of modules that exist
	for _, s := range sources {
		present[s.path] = true
		begun[path.Dir(s.path)] = true
		for _, complaint := range s.complaints() {
			found = append(found, s.path+": "+complaint)
		}
	}
	for _, wanted := range wantedFiles() {
		if !present[wanted] && begun[path.Dir(wanted)] {
			found = append(found, wanted+" is missing")
		}
	}
	return found
}

func (s source) complaints() []string {
	found := s.misplaced()
	if s.lines > longestFile {
		found = append(found, fmt.Sprintf("has %d lines; split it by subject, %d are enough", s.lines, longestFile))
	}
	for _, imported := range s.imports {
		if complaint := s.forbids(imported); complaint != "" {
			found = append(found, complaint)
		}
	}
	return found
}

// misplaced says what is wrong with where the file lies.
func (s source) misplaced() []string {
	var found []string
	folders := strings.Split(path.Dir(s.path), "/")
	for _, folder := range folders {
		if slices.Contains(vagueNames, folder) {
			found = append(found, fmt.Sprintf("the name %q says nothing about what is in it", folder))
		}
	}
	if !slices.Contains(floors, folders[0]) {
		found = append(found, folders[0]+" is not a floor of the house: "+strings.Join(floors, ", "))
	}
	if module, ok := moduleOf(path.Dir(s.path)); ok && moduleImports[module] == nil {
		found = append(found, module+" is not one of the modules; a new one must be declared in this test")
	}
	return found
}

// forbids says why the file may not have this import; empty: it may.
func (s source) forbids(imported string) string {
	name := path.Base(strings.Replace(s.path, "_test.go", ".go", 1))
	switch {
	case within(imported, "go.uber.org/fx"):
		if name != "module.go" && !within(s.path, "app") {
			return "only module.go and app import fx"
		}
	case within(imported, "github.com/labstack/echo"), within(imported, "github.com/danielgtaylor/huma"):
		if name != "http.go" && !within(s.path, "platform/httpx") {
			return "only http.go and platform/httpx import " + imported
		}
	case within(imported, program):
		return s.forbidsOwn(strings.TrimPrefix(imported, program+"/"))
	}
	return ""
}

// forbidsOwn judges an import of one of our own packages, given from the root.
func (s source) forbidsOwn(imported string) string {
	from, to := floorOf(s.path), floorOf(imported)
	if level := slices.Index(floors, to); level < 0 || level > slices.Index(floors, from) {
		return from + " may not import " + imported + ": imports run downward only"
	}
	if s.test() { // a test may use real backends and other modules
		return ""
	}
	if strings.HasPrefix(imported, "backends/") {
		switch {
		case path.Dir(s.path) == "backends":
			return "the contract may not import " + imported
		case from == "modules":
			return "modules use the contract in backends, not " + imported
		case from == "web":
			return "web uses the contract in backends, not " + imported
		}
	}
	user, _ := moduleOf(s.path)
	used, ok := moduleOf(imported)
	if ok && from == "modules" && user != used && !slices.Contains(moduleImports[user], used) {
		return user + " -> " + used + " is not declared; see moduleImports in this test"
	}
	return ""
}

func floorOf(place string) string {
	first, _, _ := strings.Cut(place, "/")
	return first
}

// moduleOf is the module that a path from the root leads into.
func moduleOf(place string) (string, bool) {
	parts := strings.Split(place, "/")
	if parts[0] != "modules" || len(parts) < 2 {
		return "", false
	}
	return parts[1], true
}

func within(place, folder string) bool {
	return place == folder || strings.HasPrefix(place, folder+"/")
}

// strayFolders are top-level folders that the house does not have. Hidden ones
// are tools' own; bin and data are made by make and ignored by git.
func strayFolders(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("..")
	require.NoError(t, err)
	var stray []string
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() && !strings.HasPrefix(name, ".") && !slices.Contains(append([]string{"bin", "data"}, floors...), name) {
			stray = append(stray, name)
		}
	}
	return stray
}

// readSources asks the go command for the files, so that it judges what is built.
func readSources(t *testing.T) []source {
	t.Helper()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	list := exec.Command("go", "list", "-e", "-json=Dir,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", "./...")
	list.Dir, list.Stderr = root, os.Stderr
	listed, err := list.Output()
	require.NoError(t, err)

	var sources []source
	for decoder := json.NewDecoder(strings.NewReader(string(listed))); ; {
		var p struct {
			Dir                                                          string
			GoFiles, CgoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
		}
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return sources
		}
		require.NoError(t, err)
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.IgnoredGoFiles, p.TestGoFiles, p.XTestGoFiles) {
			sources = append(sources, readSource(t, root, filepath.Join(p.Dir, name)))
		}
	}
}

func readSource(t *testing.T, root, file string) source {
	t.Helper()
	relative, err := filepath.Rel(root, file)
	require.NoError(t, err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ImportsOnly)
	require.NoError(t, err)
	s := source{path: filepath.ToSlash(relative), lines: strings.Count(string(text), "\n")}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		require.NoError(t, err)
		s.imports = append(s.imports, imported)
	}
	return s
}
