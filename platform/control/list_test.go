package control

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestListsGoBehindOtherArguments, as plain strings: no driver knows other kinds of text.
func TestListsGoBehindOtherArguments(t *testing.T) {
	t.Parallel()
	type id string
	marks, args := List([]any{int64(7)}, []id{"a", "b"})
	require.Equal(t, "$2, $3", marks)
	require.Equal(t, []any{int64(7), "a", "b"}, args)
	marks, args = List(nil, []string{"a"})
	require.Equal(t, "$1", marks)
	require.Equal(t, []any{"a"}, args)
}
