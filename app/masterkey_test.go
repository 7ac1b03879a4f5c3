package app

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMasterKeyIsTheInstallations: an installation whose key is lost, or not to be read,
// is not served, and the error says which file to restore.
func TestMasterKeyIsTheInstallations(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0") // so that serving ends by itself, behind the start
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, taken.Close()) })
	folder := t.TempDir()
	key := filepath.Join(folder, "master.key")
	serve := func() (int, string) {
		var out, errs bytes.Buffer
		code := Main([]string{"serve", "--data", folder, "--listen", taken.Addr().String()}, &out, &errs)
		return code, errs.String()
	}
	_, said := serve()
	require.Contains(t, said, "Cannot serve on", "the installation was made")
	kept, err := os.ReadFile(key)
	require.NoError(t, err)

	require.NoError(t, os.Remove(key))
	code, said := serve()
	require.Equal(t, 78, code, said)
	require.Contains(t, said, "not the master key that the control database was sealed with")

	require.NoError(t, os.WriteFile(key, []byte("spoilt"), 0o600))
	code, said = serve()
	require.Equal(t, 78, code, said)
	require.Contains(t, said, "restore "+key)

	require.NoError(t, os.WriteFile(key, kept, 0o600))
	_, said = serve()
	require.Contains(t, said, "Cannot serve on")
}
