package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

const oldestVersion = 15

// ErrNotInstalled says that no usable PostgreSQL server is on this machine.
var ErrNotInstalled = errors.New("no PostgreSQL server binaries of version 15 or newer found in PATH or /usr/lib/postgresql; " +
	"install them, on Debian with: apt-get install postgresql")

// installation is a folder that holds the binaries of one PostgreSQL version.
type installation struct {
	bin     string
	version int // major
}

func (i installation) path(program string) string { return filepath.Join(i.bin, program) }

// findInstallation prefers what PATH names; Debian keeps servers out of PATH,
// one folder per version, of which the newest is taken.
func findInstallation(ctx context.Context) (installation, error) {
	if found, err := exec.LookPath("initdb"); err == nil {
		if i, ok := inspect(ctx, filepath.Dir(found)); ok {
			return i, nil
		}
	}
	folders, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return installation{}, fmt.Errorf("look for PostgreSQL: %w", err)
	}
	var newest installation
	for _, bin := range folders {
		if i, ok := inspect(ctx, bin); ok && i.version > newest.version {
			newest = i
		}
	}
	if newest.version == 0 {
		return installation{}, ErrNotInstalled
	}
	return newest, nil
}

// inspect says whether a folder holds a server that is new enough.
func inspect(ctx context.Context, bin string) (installation, bool) {
	i := installation{bin: bin}
	for _, program := range []string{"initdb", "postgres"} {
		if info, err := os.Stat(i.path(program)); err != nil || info.Mode()&0o111 == 0 {
			return i, false
		}
	}
	said, err := exec.CommandContext(ctx, i.path("postgres"), "--version").Output()
	if err != nil {
		return i, false
	}
	i.version = majorVersion(string(said))
	return i, i.version >= oldestVersion
}

var versionNumber = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// majorVersion reads "postgres (PostgreSQL) 15.18 (Debian ...)"; 0 if it cannot.
func majorVersion(said string) int {
	match := versionNumber.FindStringSubmatch(said)
	if match == nil {
		return 0
	}
	version, err := strconv.Atoi(match[1])
	if err != nil {
		return 0
	}
	return version
}
