package customers

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"smartseller/backends"
	"smartseller/platform/httpx"
	"smartseller/platform/identity"
)

type profileBody struct {
	ID            string `json:"id"`
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
	FirstName     string `json:"first_name"`
	LastName      string `json:"last_name"`
	Phone         string `json:"phone"`
	Locale        string `json:"locale"`
	Marketing     bool   `json:"marketing"`
	CreatedAt     int64  `json:"created_at" doc:"Microseconds UTC"`
	UpdatedAt     int64  `json:"updated_at" doc:"Microseconds UTC"`
	Version       int64  `json:"version"`
}

type profileOutput struct {
	ETag string `header:"ETag"`
	Body profileBody
}

func outputOf(c *Customer) *profileOutput {
	return &profileOutput{ETag: etag(c.Version), Body: profileBody{
		ID: c.ID, Email: c.Email, EmailVerified: c.EmailVerifiedAt != nil, FirstName: c.FirstName, LastName: c.LastName, Phone: c.Phone,
		Locale: c.Locale, Marketing: c.Marketing, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt, Version: c.Version,
	}}
}

func etag(version int64) string { return fmt.Sprintf(`"v%d"`, version) }

// SlugInput names the storefront. It is exported because huma fills embedded fields
// only then.
type SlugInput struct {
	Slug string `path:"slug" maxLength:"63"`
}

type putProfileInput struct {
	SlugInput
	IfMatch string `header:"If-Match" doc:"The ETag of the profile that was read"`
	Body    struct {
		FirstName string `json:"first_name" maxLength:"100"`
		LastName  string `json:"last_name" maxLength:"100"`
		Phone     string `json:"phone" maxLength:"16"`
		Locale    string `json:"locale" maxLength:"6"`
		Marketing bool   `json:"marketing"`
	}
}

// Routes adds what customers do with their own account.
func Routes(server *httpx.Server, s *Service) {
	const path = "/api/storefront/{slug}/profile"
	httpx.Register(server, huma.Operation{
		OperationID: "get-profile", Method: http.MethodGet, Path: path, Summary: "Read one's own profile",
		Security: httpx.Customer, Errors: []int{http.StatusNotFound, http.StatusForbidden},
	}, func(ctx context.Context, _ *SlugInput) (*profileOutput, error) {
		who := identity.CustomerOf(ctx)
		c, err := s.Profile(ctx, backends.StorefrontID(who.Storefront), who.ID)
		if err != nil {
			return nil, err
		}
		return outputOf(c), nil
	})
	httpx.Register(server, huma.Operation{
		OperationID: "put-profile", Method: http.MethodPut, Path: path, Summary: "Replace one's own profile", Security: httpx.Customer,
		Errors: []int{http.StatusNotFound, http.StatusForbidden, http.StatusPreconditionFailed, http.StatusPreconditionRequired},
	}, func(ctx context.Context, in *putProfileInput) (*profileOutput, error) {
		if in.IfMatch == "" {
			return nil, ErrNoMatch
		}
		var version int64
		if _, err := fmt.Sscanf(in.IfMatch, `"v%d"`, &version); err != nil || etag(version) != in.IfMatch {
			return nil, ErrStale
		}
		who, b := identity.CustomerOf(ctx), in.Body
		c, err := s.SetProfile(ctx, backends.StorefrontID(who.Storefront), who.ID, version,
			Profile{FirstName: b.FirstName, LastName: b.LastName, Phone: b.Phone, Locale: b.Locale, Marketing: b.Marketing})
		if err != nil {
			return nil, err
		}
		return outputOf(c), nil
	})
}
