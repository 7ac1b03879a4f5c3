package auth_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/modules/auth"
	"smartseller/platform/control/controltest"
	"smartseller/platform/identity"
)

func TestFirstAdminComesInByTokenFile(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newAdmins(t, controltest.Open(t))
	file := filepath.Join(t.TempDir(), "admin.token")
	require.NoError(t, s.Bootstrap(ctx, "test", ada, file))
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	token, err := os.ReadFile(file)
	require.NoError(t, err)

	in, err := s.Authenticate(ctx, strings.TrimSpace(string(token)), true)
	require.NoError(t, err)
	require.NotEmpty(t, identity.Admin(in))
	require.Empty(t, identity.Admin(ctx))
	for _, bad := range []string{"", "ssa_guess", string(token)} {
		_, err := s.Authenticate(ctx, bad, false)
		require.ErrorIs(t, err, auth.ErrInvalidToken)
	}
	for _, guess := range []string{"", "!"} {
		_, err := s.Login(ctx, auth.Attempt{Email: ada, Password: guess})
		requireCode(t, "invalid_credentials", err)
	}

	require.NoError(t, s.Bootstrap(ctx, "test", ada, file), "there is one already")
	again, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, token, again)
}
