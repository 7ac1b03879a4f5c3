package postgres

import (
	"errors"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sqlstore"
)

// TestWhatPassesIsTold by an error of the contract, also where nobody tries again.
func TestWhatPassesIsTold(t *testing.T) {
	t.Parallel()
	for code, want := range map[pqerror.Code]error{
		"53300": backends.ErrContended, // too_many_connections
		"55P03": backends.ErrContended, "57014": backends.ErrContended,
		"57P01": backends.ErrUnreachable, "08006": backends.ErrUnreachable, "28P01": backends.ErrUnreachable, "25006": backends.ErrUnreachable,
		"53100": backends.ErrFull, "3D000": backends.ErrNoPlace, "23505": backends.ErrUnique,
	} {
		require.ErrorIs(t, classify(&pq.Error{Code: code}), want, code)
	}
	for _, code := range []pqerror.Code{"40001", "40P01", "53300"} {
		require.True(t, sqlstore.Retryable(classify(&pq.Error{Code: code})), code)
	}
	bug := &pq.Error{Code: "42703"} // undefined_column
	require.Equal(t, error(bug), classify(bug))
	require.NoError(t, errors.Join(classify(nil)))
}
