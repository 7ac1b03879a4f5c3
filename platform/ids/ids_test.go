package ids_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/ids"
)

func TestNamed(t *testing.T) {
	t.Parallel()
	id := ids.Named("shop", "customer", "1")
	require.True(t, ids.Valid(id))
	require.Equal(t, id, ids.Named("shop", "customer", "1"))
	require.Less(t, id, ids.New())
	for _, other := range [][]string{{"shop", "customer", "2"}, {"shop", "customer1", ""}, {"shop", "customer"}, {"shopcustomer", "1"}, {}} {
		require.NotEqual(t, id, ids.Named(other...), "%q", other)
	}
}
