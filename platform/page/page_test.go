package page_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/crypto"
	"smartseller/platform/page"
)

type position struct {
	At int64
	ID string
}

func TestCursorIsGoodAtItsListAlone(t *testing.T) {
	t.Parallel()
	keys, err := crypto.New(make([]byte, crypto.MasterKeySize))
	require.NoError(t, err)
	now := time.Unix(1000, 0)
	c := page.NewCursors(keys, func() time.Time { return now })
	mine := page.List{"orders", "shop", "ada"}
	sealed, err := c.Seal(mine, position{7, "x"})
	require.NoError(t, err)

	first := position{9, "first"}
	require.NoError(t, c.Open(mine, "", &first))
	require.Equal(t, position{9, "first"}, first, "no cursor: the first page")
	var got position
	require.NoError(t, c.Open(mine, sealed, &got))
	require.Equal(t, position{7, "x"}, got)

	for name, list := range map[string]page.List{
		"another customer":      {"orders", "shop", "eve"},
		"another storefront":    {"orders", "other", "ada"},
		"another list":          {"addresses", "shop", "ada"},
		"parts cut differently": {"orders", "shopada", ""},
		"one part more":         {"orders", "shop", "ada", ""},
	} {
		require.ErrorIs(t, c.Open(list, sealed, &got), page.ErrCursor, name)
	}
	middle := len(sealed) / 2
	other := byte('A')
	if sealed[middle] == other {
		other = 'B'
	}
	for name, cursor := range map[string]string{
		"changed":   sealed[:middle] + string(other) + sealed[middle+1:],
		"cut off":   sealed[:len(sealed)-4],
		"made up":   "abc",
		"no base64": "?",
	} {
		require.ErrorIs(t, c.Open(mine, cursor, &got), page.ErrCursor, name)
	}
	now = now.Add(page.Life)
	require.ErrorIs(t, c.Open(mine, sealed, &got), page.ErrCursor, "expired")
}
