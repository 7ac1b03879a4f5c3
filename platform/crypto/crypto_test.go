package crypto_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/crypto"
)

func TestOneKeyWhoeverIsFirst(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "master.key")
	var wg sync.WaitGroup
	seen := make([]string, 8)
	for i := range seen {
		wg.Go(func() {
			k, err := crypto.LoadOrCreate(path)
			if err == nil {
				seen[i] = string(k.Derive("test", 16))
			}
		})
	}
	wg.Wait()
	for _, s := range seen {
		require.NotEmpty(t, s)
		require.Equal(t, seen[0], s)
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1, "no temporary file is left")
}

func TestSealedDataOpensOnlyUnchangedAndForItsPurpose(t *testing.T) {
	t.Parallel()
	k, err := crypto.New(make([]byte, crypto.MasterKeySize))
	require.NoError(t, err)
	sealed := k.Seal([]byte("secret"), []byte("a"))
	plain, err := k.Open(sealed, []byte("a"))
	require.NoError(t, err)
	require.Equal(t, "secret", string(plain))

	_, err = k.Open(sealed, []byte("b"))
	require.ErrorIs(t, err, crypto.ErrSealed)
	_, err = k.Open(sealed[:5], []byte("a"))
	require.ErrorIs(t, err, crypto.ErrSealed)
	sealed[len(sealed)-1] ^= 1
	_, err = k.Open(sealed, []byte("a"))
	require.ErrorIs(t, err, crypto.ErrSealed)
	_, err = crypto.New([]byte("short"))
	require.Error(t, err)
}

func TestHMACPartsDoNotRunTogether(t *testing.T) {
	t.Parallel()
	k, err := crypto.New(make([]byte, crypto.MasterKeySize))
	require.NoError(t, err)
	require.NotEqual(t, k.HMAC("p", []byte("ab"), []byte("c")), k.HMAC("p", []byte("a"), []byte("bc")))
	require.NotEqual(t, k.HMAC("p", []byte("a")), k.HMAC("q", []byte("a")))
}
