package storetest

import (
	"io/fs"
	"path"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// Older is a set of migrations without the newest one: what an older program has.
func Older(t testing.TB, migrations fs.FS) fs.FS {
	t.Helper()
	files, err := fs.Glob(migrations, "*.sql")
	require.NoError(t, err)
	older := fstest.MapFS{}
	for _, name := range files[:len(files)-1] {
		text, err := fs.ReadFile(migrations, name)
		require.NoError(t, err)
		older[path.Base(name)] = &fstest.MapFile{Data: text}
	}
	return older
}
