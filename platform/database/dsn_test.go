package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/database"
)

// TestDSNSaysOnceWhoLogsIn: what is said twice would be judged by one and used by the other.
func TestDSNSaysOnceWhoLogsIn(t *testing.T) {
	t.Parallel()
	const good = "postgres://app:secret@db:5432/shops?sslmode=require"
	_, err := database.PostgresDSN(good)
	require.NoError(t, err)
	for _, bad := range []string{"&user=owner", "&password=guessed", "&dbname=others", "&database=others", "&service=x", "&servicefile=x", "&user="} {
		_, err := database.PostgresDSN(good + bad)
		require.ErrorContains(t, err, "must not have the parameter", bad)
		require.NotContains(t, err.Error(), "secret")
	}
	_, err = database.PostgresDSN("postgres://app:secret@db:5432/shops")
	require.ErrorContains(t, err, "sslmode")
}
