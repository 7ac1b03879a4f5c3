package app

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/fault"
)

// TestAComparisonIsReplaced by what is asked behind it: if that is refused, the move stays as it is.
func TestAComparisonIsReplaced(t *testing.T) {
	t.Parallel()
	asked := func(at int, what string) string {
		return fmt.Sprintf("event: asked\ndata: {\"at\":%d,\"what\":{\"for\":%q}}", at, what)
	}
	const (
		result = "event: audit\ndata: {\"at\":9,\"what\":{\"round\":1,\"asked\":true,\"rows\":7}}"
		stays  = "event: phase\ndata: {\"at\":8,\"what\":{\"phase\":\"watching\",\"from\":\"watching\"}}"
		state  = `{"id":"` + moveID + `","phase":"watching","updated_at":5}`
	)
	for name, c := range map[string]struct {
		events   []string
		replaced string
	}{
		"by a finalize that is refused": {[]string{asked(5, "verify"), asked(7, "finalize"), stays}, "finalize"},
		"by a rollback that is refused": {[]string{asked(5, "verify"), asked(7, "rollback"), stays}, "rollback"},
		"by none that came before":      {[]string{asked(3, "rollback"), asked(5, "verify"), asked(7, "verify"), result}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			verify, ctx := (&told{story: story{events: c.events}, first: state, later: state}).ask(t)
			var out bytes.Buffer
			err := (&verifyMove{moveArg: verify}).Run(ctx, &out)
			if c.replaced == "" {
				require.NoError(t, err)
				require.Contains(t, out.String(), "equal, 7 rows")
				return
			}
			require.Equal(t, "verify_replaced", fault.Of(err).Code, "%v", err)
			require.Equal(t, 73, fault.Of(err).Kind.Meaning().Exit)
			require.ErrorContains(t, err, "asked to "+c.replaced)
			require.ErrorContains(t, err, "move verify "+moveID)
		})
	}
}
