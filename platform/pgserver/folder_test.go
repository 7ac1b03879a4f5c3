package pgserver

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSweepRemovesOrphansOnly(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	folder := func(name string, withLock bool) string {
		dir := filepath.Join(parent, name)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "cluster"), 0o700))
		if withLock {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600))
		}
		return dir
	}
	orphan := folder(tempPrefix+"orphan", true)
	unfinished := folder(tempPrefix+"unfinished", false)
	beginning := folder(tempPrefix+"beginning", false)
	foreign := folder("somebody-else", true)
	held := folder(tempPrefix+"held", false)
	lock, err := acquireLock(held)
	require.NoError(t, err)
	long := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(unfinished, long, long))

	sweep(parent)

	require.NoDirExists(t, orphan)
	require.NoDirExists(t, unfinished)
	require.DirExists(t, beginning)
	require.DirExists(t, foreign)
	require.DirExists(t, held)

	require.NoError(t, unlock(lock))
	sweep(parent)
	require.NoDirExists(t, held)
}

func TestSweepLeavesOtherUsersAlone(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("only root can make another user's folder; the rule is tested where tests run as root")
		return
	}
	dir := filepath.Join(t.TempDir(), tempPrefix+"theirs")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600))
	require.True(t, orphaned(dir))
	require.NoError(t, os.Lchown(dir, 65534, 65534))
	require.False(t, orphaned(dir))
}

func TestLockExcludesAndIsFreedWithItsHolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := acquireLock(dir)
	require.NoError(t, err)
	_, err = acquireLock(dir)
	require.ErrorIs(t, err, syscall.EWOULDBLOCK)
	forked, err := syscall.Dup(int(first.Fd())) // as a child has it until it runs its program
	require.NoError(t, err)
	defer func() { require.NoError(t, syscall.Close(forked)) }()
	require.NoError(t, unlock(first))
	again, err := acquireLock(dir)
	require.NoError(t, err)
	require.NoError(t, unlock(again))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing but the lock stays")
}
