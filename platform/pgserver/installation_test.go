package pgserver

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMajorVersion(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 17beta2\n":                        17,
		"postgres (PostgreSQL) 9.6.24\n":                         9,
		"command not found":                                      0,
		"":                                                       0,
	} {
		require.Equal(t, want, majorVersion(said), said)
	}
}

func TestInspectWantsBothProgramsAndVersion(t *testing.T) {
	t.Parallel()
	fake := func(t *testing.T, programs map[string]string) string {
		bin := t.TempDir()
		for name, script := range programs {
			require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
		}
		return bin
	}
	current := "echo 'postgres (PostgreSQL) 16.1'"
	for name, c := range map[string]struct {
		programs map[string]string
		usable   bool
	}{
		"complete":          {map[string]string{"initdb": "", "postgres": current}, true},
		"client tools only": {map[string]string{"psql": ""}, false},
		"no initdb":         {map[string]string{"postgres": current}, false},
		"too old":           {map[string]string{"initdb": "", "postgres": "echo 'postgres (PostgreSQL) 14.9'"}, false},
		"broken":            {map[string]string{"initdb": "", "postgres": "exit 1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, usable := inspect(t.Context(), fake(t, c.programs))
			require.Equal(t, c.usable, usable)
		})
	}
}
