package app

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/fault"
)

// TestLeavingTheUpgradeOfOnePlace is neither an error of the server nor its end.
func TestLeavingTheUpgradeOfOnePlace(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(context.Background())
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+storefrontsPath+"/toys/schema/upgrade", func(_ http.ResponseWriter, r *http.Request) {
		leave()
		<-r.Context().Done()
	})
	c := &schemaUpgrade{remote: *listen(t, mux), Storefront: "toys"}
	err := c.Run(ctx, io.Discard)
	require.Equal(t, "left", fault.Of(err).Code)
	require.Equal(t, 75, fault.Of(err).Kind.Meaning().Exit)
	require.ErrorContains(t, err, "the upgrade goes on without you. How it stands: smartseller schema status toys")
}

// TestOneStorefrontIsNotRepeated: what failed is repeated among all places.
func TestOneStorefrontIsNotRepeated(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") }))
	defer server.Close()
	t.Setenv("SMARTSELLER_URL", server.URL)
	t.Setenv("SMARTSELLER_TOKEN", "token")
	var out, errs bytes.Buffer
	require.Equal(t, 64, Main([]string{"schema", "upgrade", "toys", "--failed"}, &out, &errs))
	require.Contains(t, errs.String(), "--failed repeats what failed among all places")
}
