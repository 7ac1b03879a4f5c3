package app

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBlackoutsAreListed with the reason, which writes nothing to a terminal; of one storefront, by its id.
func TestBlackoutsAreListed(t *testing.T) {
	t.Parallel()
	const toys = "0193b3a0-0000-7000-8000-00000000000a"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+storefrontsPath+"/toys", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"id":%q,"slug":"toys"}`, toys)
	})
	mux.HandleFunc("GET "+blackoutsPath, func(w http.ResponseWriter, r *http.Request) {
		more := `,{"slug":"books","storefront_id":"b","begins_at":1,"ends_at":2000000}`
		if r.URL.Query().Get("storefront_id") == toys {
			more = ""
		}
		_, _ = fmt.Fprintf(w, `{"data":[{"slug":"toys","storefront_id":%q,"begins_at":0,"ends_at":3600000000,"reason":"\u001b[2Jsale"}%s]}`, toys, more)
	})
	server := listen(t, mux)
	const first = `toys                     1970-01-01T00:00:00Z to 1970-01-01T01:00:00Z  "\x1b[2Jsale"` + "\n"
	for storefront, want := range map[string]string{
		"toys": first,
		"":     first + "books                    1970-01-01T00:00:00Z to 1970-01-01T00:00:02Z\n",
	} {
		var out bytes.Buffer
		require.NoError(t, (&listBlackouts{remote: *server, Storefront: storefront}).Run(context.Background(), &out))
		require.Equal(t, want, out.String())
	}
}
