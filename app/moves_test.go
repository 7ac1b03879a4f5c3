package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/fault"
)

// TestLeavingAComparison is neither an error of the server nor the end of the comparison.
func TestLeavingAComparison(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(context.Background())
	mux := http.NewServeMux()
	mux.HandleFunc("/api/admin/moves/"+moveID+"/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		leave()
		<-r.Context().Done()
	})
	show := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"id":"` + moveID + `","phase":"watching"}`))
	}
	mux.HandleFunc("/api/admin/moves/"+moveID, show)
	mux.HandleFunc("/api/admin/moves/"+moveID+"/verify", show)
	c := &verifyMove{}
	c.remote, c.Move = *listen(t, mux), moveID
	err := c.Run(ctx, io.Discard)
	require.Equal(t, 75, fault.Of(err).Kind.Meaning().Exit)
	require.ErrorContains(t, err, "the comparison goes on without you")
}

// TestReceiptsAreFound in what was kept of a move, and one that is not genuine is an error.
func TestReceiptsAreFound(t *testing.T) {
	t.Parallel()
	const signed = `{"receipt":{"move":"m1"},"hmac_sha256":"ab"}`
	genuine := true
	server := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.JSONEq(t, signed, string(asked))
		_, _ = fmt.Fprintf(w, `{"genuine":%t}`, genuine)
	}))
	check := func(text string) error {
		file := filepath.Join(t.TempDir(), "kept.json")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return (&checkReceipt{remote: *server, File: file}).Run(context.Background(), io.Discard)
	}
	for _, kept := range []string{signed, `{"id":"m1","receipt":` + signed + `}`} {
		require.NoError(t, check(kept))
	}
	for _, nothing := range []string{"", "{}", `{"id":"m1","receipt":null}`, "[]"} {
		require.ErrorIs(t, check(nothing), errNoReceipt, nothing)
	}
	genuine = false
	require.ErrorIs(t, check(signed), errForged)
}

// TestPaceOfAll is shown where no percentage is said; one of nothing is refused unasked.
func TestPaceOfAll(t *testing.T) {
	t.Parallel()
	bound := int64(100)
	server := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			var said struct{ Percent int64 }
			require.NoError(t, json.NewDecoder(r.Body).Decode(&said))
			bound = said.Percent
		}
		_, _ = fmt.Fprintf(w, `{"percent":%d}`, bound)
	}))
	pace := func(percent *int64) (string, error) {
		var out bytes.Buffer
		err := (&paceMove{remote: *server, Percent: percent}).Run(context.Background(), &out)
		return out.String(), err
	}
	for _, wrong := range []int64{0, 101} {
		_, err := pace(&wrong)
		require.ErrorIs(t, err, errPercent)
	}
	third := int64(30)
	_, err := pace(&third)
	require.NoError(t, err)
	shown, err := pace(nil)
	require.NoError(t, err)
	require.Contains(t, shown, "every move works at most 30 % of the time")
}

// TestAStorefrontStandsForItsNewestMove, which the server knows; one that was never moved has none.
func TestAStorefrontStandsForItsNewestMove(t *testing.T) {
	t.Parallel()
	const toys, books = "0193b3a0-0000-7000-8000-00000000000a", "0193b3a0-0000-7000-8000-00000000000b"
	mux := http.NewServeMux()
	for slug, id := range map[string]string{"toys": toys, "books": books} {
		shown := func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"id":%q,"slug":%q}`, id, slug)
		}
		mux.HandleFunc("GET "+storefrontsPath+"/"+slug, shown)
		mux.HandleFunc("GET "+storefrontsPath+"/"+id, shown)
	}
	mux.HandleFunc("GET "+storefrontsPath+"/"+toys+"/move", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"id":"` + moveID + `","phase":"copying"}`))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"code":"move_not_found","detail":"There is none."}`))
	})
	server := listen(t, mux)
	for _, c := range []struct{ named, refused string }{
		{"toys", ""},
		{toys, ""},
		{"books", "Storefront books has never been moved."},
		{books, "Storefront books has never been moved."},
		{"nobody", "There is no such move, and no such storefront"},
		{moveID, "There is no such move, and no such storefront"},
	} {
		m, err := (&moveArg{remote: *server, Move: c.named}).find(context.Background())
		if c.refused != "" {
			require.ErrorContains(t, err, c.refused)
			require.Equal(t, fault.NotFound, fault.Of(err).Kind)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, moveID, m.ID)
	}
}
