package migration

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// modelOnly are steps that only a model needs: what customers do, where a process
// ends, and ways between two methods.
var modelOnly = []string{
	"follow", "believe", "try", "refused", "next", "end", "dead", "hook", "guarded", "lost", "reopen", "rolledBack", "cancel",
}

// TestModelUsesTheNamesOfTheCode keeps model/move.pml from drifting: its phases, cuts
// and fence states are constants, its steps are functions, its points are hooks.
func TestModelUsesTheNamesOfTheCode(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("model/move.pml")
	require.NoError(t, err)
	model := string(text)
	code := namesOf(t, ".", "../../backends")

	points := 0
	for _, m := range regexp.MustCompile(`hook\((K\d+)\)`).FindAllStringSubmatch(model, -1) {
		require.True(t, code.hooks[m[1]], "no hook %s in the code", m[1])
		points++
	}
	require.GreaterOrEqual(t, points, 16)

	constants := 0
	for _, m := range regexp.MustCompile(`(?s)mtype = \{(.*?)\}`).FindAllStringSubmatch(model, -1) {
		for _, name := range regexp.MustCompile(`\w+`).FindAllString(m[1], -1) {
			require.True(t, code.constants[name] || code.hooks[name], "no constant and no hook %s in the code", name)
			constants++
		}
	}
	require.GreaterOrEqual(t, constants, 12+4+7)

	steps := 0
	for _, m := range regexp.MustCompile(`(?m)^(?:inline (\w+)\(|(\w+):)`).FindAllStringSubmatch(model, -1) {
		name := m[1] + m[2]
		if slices.Contains(modelOnly, name) {
			continue
		}
		require.True(t, code.functions[name], "no step %s in the code", name)
		steps++
	}
	require.GreaterOrEqual(t, steps, 10)
}

// TestModelMutantsAreListed holds the model's mutants, the script's and the page's together.
func TestModelMutantsAreListed(t *testing.T) {
	t.Parallel()
	read := func(path string) string {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(text)
	}
	model, script, page := read("model/move.pml"), read("../../.ci/model"), read("model/README.md")
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#ifn?def (\w+)`).FindAllStringSubmatch(model, -1) {
		if strings.Contains(m[1], "_") {
			found[m[1]] = true
		}
	}
	require.GreaterOrEqual(t, len(found), 16)
	for name := range found {
		require.Regexp(t, `(?m)^mutant `+name+`\b`, script, "is run")
		require.Contains(t, page, "| "+name+" |", "is explained")
	}
}

type names struct{ constants, functions, hooks map[string]bool }

func namesOf(t *testing.T, folders ...string) names {
	t.Helper()
	n := names{constants: map[string]bool{}, functions: map[string]bool{}, hooks: map[string]bool{}}
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			ast.Inspect(parsed, n.add)
		}
	}
	return n
}

func (n names) add(node ast.Node) bool {
	switch node := node.(type) {
	case *ast.FuncDecl:
		n.functions[node.Name.Name] = true
	case *ast.GenDecl:
		for _, spec := range node.Specs {
			if value, ok := spec.(*ast.ValueSpec); ok && node.Tok == token.CONST {
				for _, name := range value.Names {
					n.constants[name.Name] = true
				}
			}
		}
	case *ast.BasicLit:
		if text, err := strconv.Unquote(node.Value); err == nil && node.Kind == token.STRING && regexp.MustCompile(`^K\d+$`).MatchString(text) {
			n.hooks[text] = true
		}
	}
	return true
}
