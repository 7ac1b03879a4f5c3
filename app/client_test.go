package app

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/fault"
)

// TestFailuresOfOursNameTheRequest, whose id finds them in the log; of other errors all is said.
func TestFailuresOfOursNameTheRequest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		exit   int
		detail string
	}{
		{http.StatusInternalServerError, 70, "It went wrong. The request id: 0123"},
		{http.StatusNotFound, 66, "It went wrong."},
	} {
		server := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(`{"code":"wrong","detail":"It went wrong.","instance":"urn:request:0123"}`))
		}))
		err := server.call(context.Background(), http.MethodGet, "/", nil, nil)
		require.Equal(t, c.detail, describe(err))
		require.Equal(t, c.exit, fault.Of(err).Kind.Meaning().Exit)
	}
}
