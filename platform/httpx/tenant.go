package httpx

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"smartseller/platform/fault"
)

// storefrontHeader is by which a client may say once more which storefront it means.
const storefrontHeader = "X-Storefront"

// oneStorefront refuses a request that names two storefronts: the slug in the path
// decides, and a header that says another one shows that the client is mistaken.
func oneStorefront(c echo.Context) error {
	slug := c.Param("slug")
	another := func(told string) bool { return told != slug }
	if slug == "" || !slices.ContainsFunc(c.Request().Header.Values(storefrontHeader), another) {
		return nil
	}
	return fault.New(fault.Malformed, "tenant_conflict", "The X-Storefront header names another storefront than the path. Leave it out, or send the slug of the path.")
}

// ofStorefront adds what oneStorefront refuses to an operation's description.
func ofStorefront(path string, statuses []int) []int {
	if strings.Contains(path, "{slug}") {
		return append(statuses, http.StatusBadRequest)
	}
	return statuses
}
