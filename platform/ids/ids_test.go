package ids_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/ids"
)

func TestNamed(t *testing.T) {
	t.Parallel()
	id := ids.Named(7, "shop", "customer", "1")
	require.True(t, ids.Valid(id))
	require.Equal(t, id, ids.Named(7, "shop", "customer", "1"))
	require.Less(t, id, ids.New())
	require.Less(t, ids.Named(1<<40-1, "shop"), ids.New())
	require.Less(t, ids.Named(7, "shop"), ids.Named(8, "another"))
	for _, other := range [][]string{{"shop", "customer", "2"}, {"shop", "customer1", ""}, {"shop", "customer"}, {"shopcustomer", "1"}, {}} {
		require.NotEqual(t, id, ids.Named(7, other...), "%q", other)
	}
}

func TestFirst(t *testing.T) {
	t.Parallel()
	before := time.Now()
	id := ids.New()
	require.Less(t, ids.First(before), id)
	require.Less(t, id, ids.First(time.Now().Add(time.Second)))
}
