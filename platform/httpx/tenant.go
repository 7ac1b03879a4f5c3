package httpx

import (
	"context"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

// storefrontHeader is by which a client may say once more which storefront it means.
const storefrontHeader = "X-Storefront"

// IDOf finds the id of the storefront that has a slug, or says why that cannot be told.
type IDOf func(ctx context.Context, slug string) (id string, err error)

// Storefronts says how ids in headers are compared with slugs. Call it before Serve.
func (s *Server) Storefronts(find IDOf) { s.idOf = find }

// oneStorefront refuses a request that names two storefronts: the slug in the path
// decides, and a header that says another one, by slug or id, shows that the client is
// mistaken.
func (s *Server) oneStorefront(c echo.Context) error {
	slug := c.Param("slug")
	if slug == "" {
		return nil
	}
	for _, told := range c.Request().Header.Values(storefrontHeader) {
		if told == slug {
			continue
		}
		if ids.Valid(told) && s.idOf != nil {
			id, err := s.idOf(c.Request().Context(), slug)
			if err != nil {
				return err
			}
			if told == id {
				continue
			}
		}
		return fault.New(fault.Malformed, "tenant_conflict", "The X-Storefront header names another storefront than the path. Leave it out, or send the path's slug or that storefront's id.")
	}
	return nil
}

// ofStorefront adds what oneStorefront refuses to an operation's description.
func ofStorefront(path string, statuses []int) []int {
	if strings.Contains(path, "{slug}") {
		return append(statuses, http.StatusBadRequest)
	}
	return statuses
}
