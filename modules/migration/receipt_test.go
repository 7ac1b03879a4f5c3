package migration

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReceiptsAreChecked: however it is set out, a receipt is genuine until something in it is changed.
func TestReceiptsAreChecked(t *testing.T) {
	t.Parallel()
	i := newWorld(t).instance(t, nil)
	m, err := i.service.Start(context.Background(), Request{Storefront: i.storefront(t, 20), Target: "two", Options: Options{WindowSeconds: 3600}, Reason: "R&D < <sales> for Zoë, \"soon\" 😀"})
	require.NoError(t, err)
	i.waitFor(t, m.ID, Watching)
	ask(t, i, m.ID, WantFinalize)
	m = i.waitFor(t, m.ID, Completed)
	var signed SignedReceipt
	require.NoError(t, json.Unmarshal([]byte(m.Receipt), &signed))
	require.True(t, i.service.Genuine(signed))
	var setOut bytes.Buffer
	require.NoError(t, json.Indent(&setOut, signed.Receipt, "", "    "))
	require.True(t, i.service.Genuine(SignedReceipt{setOut.Bytes(), signed.HMAC}))
	plain := bytes.ReplaceAll(signed.Receipt, []byte(`\u0026`), []byte("&"))
	require.NotEqual(t, string(signed.Receipt), string(plain))
	require.True(t, i.service.Genuine(SignedReceipt{plain, signed.HMAC}), "as other programs print it")
	ascii := bytes.ReplaceAll(bytes.ReplaceAll(plain, []byte("ë"), []byte(`\u00eb`)), []byte("😀"), []byte(`\ud83d\ude00`))
	require.NotEqual(t, string(plain), string(ascii))
	require.True(t, i.service.Genuine(SignedReceipt{ascii, signed.HMAC}), "as those print it that trust in no letter")
	changed := bytes.Replace(signed.Receipt, []byte(`"counters":20`), []byte(`"counters":21`), 1)
	require.NotEqual(t, string(signed.Receipt), string(changed))
	require.False(t, i.service.Genuine(SignedReceipt{changed, signed.HMAC}))
	require.False(t, i.service.Genuine(SignedReceipt{signed.Receipt, ""}))
	require.False(t, i.service.Genuine(SignedReceipt{nil, signed.HMAC}))
}
