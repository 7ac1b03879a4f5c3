package httpx

import (
	_ "embed"
	"net/http"

	"github.com/labstack/echo/v4"
)

//go:embed docs.html
var docsPage []byte

// docs shows the OpenAPI document, without anything from elsewhere.
func docs(c echo.Context) error {
	c.Response().Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'")
	return c.HTMLBlob(http.StatusOK, docsPage)
}
