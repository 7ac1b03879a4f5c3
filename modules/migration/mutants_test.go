package migration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver/pgtest"
)

// mutant is a mover that is broken on purpose, and the trap that must catch it.
type mutant struct {
	trap    string
	patches []patch
	// verified says that verification alone would have kept the data: the move fails.
	// It does so before the cutover, so nothing is lost; what happens without it is
	// what the trap shows.
	verified bool
}

// patch changes a file of the source, from the repository's root. The old text must be
// there exactly once; {old} in the new one is the old one. on says whether the mutant
// of the map's name is on.
type patch struct{ file, old, new string }

const (
	copyFile     = "modules/migration/copy.go"
	catchUpFile  = "modules/migration/catchup.go"
	cutoverFile  = "modules/migration/cutover.go"
	sealedFile   = "modules/migration/sealedcounts.go"
	verifyFile   = "modules/migration/verify.go"
	pagesFile    = "modules/migration/pages.go"
	sumsFile     = "modules/migration/sums.go"
	capturedFile = "backends/sqlstore/captured.go"
)

var mutants = map[string]mutant{
	"barrier removed": {trap: "a writer from before capture", verified: true, patches: []patch{
		{copyFile, `	if err := x.hook(ctx, "K2"); err != nil {`, "	if mutated(\"barrier removed\") {\n\t\treturn nil\n\t}\n{old}"},
	}},
	"fence filters instead of raising": {trap: "an old cache beside a database", patches: []patch{
		{"migrations/migrations.go", `			if e == SQLite {`, "			if mutated(\"fence filters instead of raising\") {\n\t\t\t\traw = filtering(raw)\n\t\t\t}\n{old}"},
	}},
	"log read by a cursor": {trap: "a commit later than its entry", verified: true, patches: []patch{
		{capturedFile, `	return s.entries(ctx, "Captured", backends.CapturedTable, table, limit)`, "	found, err := s.entries(ctx, \"Captured\", backends.CapturedTable, table, limit)\n\treturn behindCursor(s.place, found), err"},
		{capturedFile, `	return s.removeEntries(ctx, "Forget", token, backends.CapturedTable, entries)`, "	moveCursor(s.place, entries)\n{old}"},
	}},
	"chunk and apply in parallel": {trap: "a delete between read and write", verified: true, patches: []patch{
		{copyFile, `	err = x.target.Load(ctx, x.token, page, p)`, "	if mutated(\"chunk and apply in parallel\") { // of all interleavings, this one\n\t\tapplied := make(chan error)\n\t\tgo func() { applied <- x.drainTable(ctx, p) }()\n\t\tif err := <-applied; err != nil {\n\t\t\treturn p, err\n\t\t}\n\t}\n{old}"},
	}},
	"entries deleted before apply": {trap: "a death before keys are applied", verified: true, patches: []patch{
		{catchUpFile, `	if err := x.bring(ctx, from, to, keys, nil); err != nil {`, "	if mutated(\"entries deleted before apply\") {\n\t\tif err := x.forget(ctx, from, entries); err != nil {\n\t\t\treturn nil, err\n\t\t}\n\t\treturn keys, x.bring(ctx, from, to, keys, nil)\n\t}\n{old}"},
	}},
	"entries unique on the row key": {trap: "a second change of a captured row", verified: true, patches: []patch{
		{"backends/sqlstore/tx.go", `	err := InsertRows(database.WithLast(t.ctx), t.session.Tx, t.store.dialect.Text, t.Storefront(), backends.CapturedTable, entryRows(t.order))`, "	if mutated(\"entries unique on the row key\") {\n\t\treturn t.recordOnce()\n\t}\n{old}"},
	}},
	"fencing token read without a lock": {trap: "a mover that wakes behind its takeover", patches: []patch{
		{"backends/postgres/dialect.go", `	return " FOR SHARE"`, "	if mutated(\"fencing token read without a lock\") {\n\t\treturn \"\"\n\t}\n{old}"},
	}},
	"old place closed after the new one opened": {trap: "a read while the new place is open", patches: []patch{
		{cutoverFile, `	if err := c.from.Change(ctx, x.token, backends.Transition{From: []backends.State{backends.Sealed}, To: backends.Closed, Capture: true}); err != nil {`, "	if mutated(\"old place closed after the new one opened\") {\n\t\treturn x.commit(ctx, c)\n\t}\n{old}"},
		{cutoverFile, `		From: []backends.State{backends.Closed}, To: c.left, Epoch: c.epoch + 1,`, "		From: []backends.State{backends.Closed, backends.Sealed}, To: c.left, Epoch: c.epoch + 1,"},
	}},
	"unseal before abort": {trap: "an abort while the commit is under way", patches: []patch{
		{cutoverFile, `	if x.m.Cut == Cutting {
		if err := x.save(ctx, "cut", map[string]any{"cut": Aborted}`, "	if mutated(\"unseal before abort\") {\n\t\tif err := c.from.Change(ctx, x.token, backends.Transition{\n\t\t\tFrom: []backends.State{backends.Sealed, backends.Closed}, To: backends.Active, Capture: true,\n\t\t}); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n{old}"},
	}},
	"stale cache kept": {trap: "an instance with an old cache", patches: []patch{
		{"backends/sqlite/dialect.go", `	open := fence.State == backends.Active`, "	if mutated(\"stale cache kept\") && !e.Write {\n\t\treturn nil // whoever found its way here once is believed\n\t}\n{old}"},
	}},
}

// unverified switches verification off, whose second look would keep what most of
// the broken movers lose from being cut over.
const unverified = "unverified"

var unverifying = []patch{
	{verifyFile, `	var have, want map[backends.Key]backends.Row`, "	if mutated(\"unverified\") {\n\t\treturn nil, nil, nil\n\t}\n{old}"},
	{pagesFile, `	at, want, have := 0, p.want, p.have`, "	if mutated(\"unverified\") {\n\t\treturn nil\n\t}\n{old}"},
	{sumsFile, `	const tries = 20`, "	if mutated(\"unverified\") {\n\t\treturn nil\n\t}\n{old}"},
	{sealedFile, `	tables, all := x.countable()`, "	if mutated(\"unverified\") {\n\t\treturn nil\n\t}\n{old}"},
}

// switches are files that are added to packages: each gets the function that says
// which mutants are on.
var switches = map[string]string{
	"modules/migration": "",
	"backends/postgres": "",
	"backends/sqlite":   "",
	"migrations": `
func filtering(raw []byte) []byte {
	const raising = "RAISE EXCEPTION 'refused by the fence' USING ERRCODE = 'SS001',\n            DETAIL = format('%s %s', COALESCE(found_state, 'absent'), COALESCE(found_epoch, 0));"
	return []byte(strings.ReplaceAll(string(raw), raising, "EXECUTE 'SET LOCAL smartseller.storefront = ''nobody'''; RETURN 0;"))
}
`,
	"backends/sqlstore": `
var cursors sync.Map // by place

func behindCursor(p backends.Place, found []backends.Entry) []backends.Entry {
	at, ok := cursors.Load(p)
	if !ok || !mutated("log read by a cursor") {
		return found
	}
	return slices.DeleteFunc(found, func(e backends.Entry) bool { return e.ID <= at.(string) })
}

func moveCursor(p backends.Place, entries []backends.Entry) {
	for _, e := range entries {
		if at, ok := cursors.Load(p); !ok || at.(string) < e.ID {
			cursors.Store(p, e.ID)
		}
	}
}

func (t *tx) recordOnce() error {
	for _, k := range t.order {
		if _, err := t.session.ExecContext(t.ctx, t.store.dialect.Text(` + "`" + `INSERT INTO captured_keys (storefront_id, id, table_name, row_id)
			VALUES ($1, $2, $3, $4) ON CONFLICT (storefront_id, id) DO NOTHING` + "`" + `), string(t.Storefront()), k.Table + "/" + k.ID, k.Table, k.ID); err != nil {
			t.failed = t.store.classify(t.ctx, err)
			return t.failed
		}
	}
	return nil
}
`,
}

var switchImports = map[string]string{
	"migrations":        `"os"; "strings"`,
	"backends/sqlstore": `"os"; "slices"; "strings"; "sync"; "smartseller/backends"`,
}

const variable = "SMARTSELLER_MUTANTS"

// overlay writes the patched files and the list by which the go command takes them in
// place of the true ones; the tree stays as it is.
func overlay(t *testing.T) string {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	folder := t.TempDir()
	replaced := map[string]string{}
	write := func(file, text string) {
		instead := filepath.Join(folder, strings.ReplaceAll(file, "/", "_"))
		require.NoError(t, os.WriteFile(instead, []byte(text), 0o600))
		replaced[filepath.Join(root, file)] = instead
	}
	texts := map[string]string{}
	apply := func(p patch) {
		if texts[p.file] == "" {
			text, err := os.ReadFile(filepath.Join(root, p.file))
			require.NoError(t, err)
			texts[p.file] = string(text)
		}
		require.Equal(t, 1, strings.Count(texts[p.file], p.old), "the source has changed: %s should have once %q", p.file, p.old)
		texts[p.file] = strings.Replace(texts[p.file], p.old, strings.ReplaceAll(p.new, "{old}", p.old), 1)
	}
	for _, p := range unverifying {
		apply(p)
	}
	for _, m := range mutants {
		for _, p := range m.patches {
			apply(p)
		}
	}
	for file, text := range texts {
		write(file, text)
	}
	for folder, more := range switches {
		imports := switchImports[folder]
		if imports == "" {
			imports = `"os"; "strings"`
		}
		write(folder+"/mutants.go", "package "+filepath.Base(folder)+"\n\nimport ("+imports+")\n\nfunc mutated(name string) bool {\n"+
			"\tfor _, on := range strings.Split(os.Getenv(\""+variable+"\"), \",\") {\n\t\tif on == name {\n\t\t\treturn true\n\t\t}\n\t}\n\treturn false\n}\n"+more)
	}
	list, err := json.Marshal(map[string]any{"Replace": replaced})
	require.NoError(t, err)
	file := filepath.Join(folder, "overlay.json")
	require.NoError(t, os.WriteFile(file, list, 0o600))
	return file
}

// chances are how often a broken mover may run before the history must tell: one that
// fails is always caught, but on a busy machine it may stand still before it errs.
const chances = 3

// TestMutants breaks the mover, in ten ways, in one build of these tests, and runs
// the traps against it: with every mutant off they pass, and each mutant on is caught.
func TestMutants(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "broken.test")
	args := []string{"test", "-c", "-o", broken, "-overlay", overlay(t)}
	if raceDetected() {
		args = append(args, "-race") // what is built that way is there already
	}
	out, err := exec.Command("go", append(args, ".")...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	server := pgtest.ServerDSN(t)
	run := func(trap string, on ...string) (string, error) {
		c := exec.Command(broken, "-test.run", "^TestTraps$/^"+strings.ReplaceAll(trap, " ", "_")+"$", "-test.v", "-test.timeout", "5m")
		c.Env = append(os.Environ(), variable+"="+strings.Join(on, ","), pgtest.Variable+"="+server)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, traps, m.trap)
			out, err := run(m.trap)
			require.NoError(t, err, "with every mutant off the trap must not close: %s", out)
			told := false
			for range chances {
				out, err = run(m.trap, name, unverified)
				require.Error(t, err, "the broken mover was not caught: %s", out)
				if told = strings.Contains(out, "operations explains what was seen"); told {
					break
				}
			}
			require.True(t, told, "the history must tell: %s", out)
			if !m.verified {
				return
			}
			kept := false
			for range chances { // or it has compared before what the mutant lets through was there
				out, err = run(m.trap, name)
				require.Error(t, err, "%s", out)
				if kept = strings.Contains(out, "verification failed"); kept {
					break
				}
			}
			require.True(t, kept, "verification alone would have kept the data: %s", out)
		})
	}
}

func raceDetected() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}
