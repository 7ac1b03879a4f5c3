package app

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"smartseller/platform/httpx"
)

func TestWiringIsComplete(t *testing.T) {
	t.Parallel()
	require.NoError(t, fx.ValidateApp(Wiring(Settings{LogLevel: "info"}), fx.Populate(new(*httpx.Server), new(*firstStart))))
}
