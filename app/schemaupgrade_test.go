package app

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
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

// TestWhoFollowsAnUpgrade is told all of it, or of what failed and is repeated alone.
func TestWhoFollowsAnUpgrade(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		failed       bool
		behind, told string
	}{
		"of all places":  {false, "", "before, repeated"},
		"of what failed": {true, "1", "repeated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &story{events: []string{
				"event: place\ndata: " + `{"slug":"before","state":"done"}`,
				"event: place\ndata: " + `{"slug":"repeated","state":"done"}`,
				"event: ended\ndata: " + `{"id":"1","state":"completed","places":{"done":2}}`,
			}}
			mux := http.NewServeMux()
			mux.HandleFunc("POST "+upgradesPath, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(`{"id":"1","state":"running","places":{"done":1,"waiting":1},"change":1}`))
			})
			mux.Handle(upgradesPath+"/1/events", s)
			var out bytes.Buffer
			require.NoError(t, (&schemaUpgrade{remote: *listen(t, mux), Failed: c.failed}).Run(context.Background(), &out))
			require.Equal(t, []string{c.behind}, s.asked)
			require.Equal(t, c.told, strings.Join(regexp.MustCompile(`(?m)^(before|repeated)\b`).FindAllString(out.String(), -1), ", "))
		})
	}
}
