// Package controltest gives tests a real control database of their own.
package controltest

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/control"
)

// Open makes a SQLite control database in a temporary folder and closes it when
// the test ends.
func Open(t testing.TB) *control.DB {
	t.Helper()
	db, err := control.Open(context.Background(), "sqlite:"+filepath.Join(t.TempDir(), "control.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}
