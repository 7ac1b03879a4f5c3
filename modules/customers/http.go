package customers

import (
	"context"
	"errors"
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
	httpx.Tagged
	Body profileBody
}

// profileOf answers with a profile; a refusal tells the version that is there now.
func profileOf(c *Customer, err error) (*profileOutput, error) {
	if errors.Is(err, ErrStale) {
		return nil, httpx.Refused(err, c.Version)
	}
	if err != nil {
		return nil, err
	}
	return &profileOutput{Tagged: httpx.Tag(c.Version), Body: profileBody{
		ID: c.ID, Email: c.Email, EmailVerified: c.EmailVerifiedAt != nil, FirstName: c.FirstName, LastName: c.LastName, Phone: c.Phone,
		Locale: c.Locale, Marketing: c.Marketing, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt, Version: c.Version,
	}}, nil
}

// SlugInput names the storefront. It is exported because huma fills embedded fields
// only then.
type SlugInput struct {
	Slug string `path:"slug"`
}

type getProfileInput struct {
	SlugInput
	httpx.Revalidation
}

type putProfileInput struct {
	SlugInput
	httpx.Precondition
	Body struct {
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
	}, func(ctx context.Context, _ *getProfileInput) (*profileOutput, error) {
		who := identity.CustomerOf(ctx)
		return profileOf(s.Profile(ctx, backends.StorefrontID(who.Storefront), who.ID))
	})
	httpx.Register(server, huma.Operation{
		OperationID: "put-profile", Method: http.MethodPut, Path: path, Summary: "Replace one's own profile", Security: httpx.Customer,
		Errors:   []int{http.StatusNotFound, http.StatusForbidden, http.StatusPreconditionFailed, http.StatusPreconditionRequired},
		Metadata: httpx.ReadOnly("id", "email", "email_verified", "status", "storefront_id", "roles", "created_at", "updated_at", "version"),
	}, func(ctx context.Context, in *putProfileInput) (*profileOutput, error) {
		version, err := in.Version()
		if err != nil {
			return nil, err
		}
		who, b := identity.CustomerOf(ctx), in.Body
		return profileOf(s.SetProfile(ctx, backends.StorefrontID(who.Storefront), who.ID, version,
			Profile{FirstName: b.FirstName, LastName: b.LastName, Phone: b.Phone, Locale: b.Locale, Marketing: b.Marketing}))
	})
	addressRoutes(server, s)
}

type addressFields struct {
	FirstName  string `json:"first_name,omitempty" maxLength:"100"`
	LastName   string `json:"last_name,omitempty" maxLength:"100"`
	Company    string `json:"company,omitempty" maxLength:"100"`
	Line1      string `json:"line1" minLength:"1" maxLength:"200"`
	Line2      string `json:"line2,omitempty" maxLength:"200"`
	City       string `json:"city" minLength:"1" maxLength:"100"`
	Province   string `json:"province,omitempty" maxLength:"100"`
	PostalCode string `json:"postal_code,omitempty" maxLength:"20"`
	Country    string `json:"country" minLength:"2" maxLength:"2" doc:"ISO 3166-1 alpha-2"`
	Phone      string `json:"phone,omitempty" maxLength:"16" doc:"E.164"`
}

type addressBody struct {
	ID         string `json:"id"`
	FirstName  string `json:"first_name"`
	LastName   string `json:"last_name"`
	Company    string `json:"company"`
	Line1      string `json:"line1"`
	Line2      string `json:"line2"`
	City       string `json:"city"`
	Province   string `json:"province"`
	PostalCode string `json:"postal_code"`
	Country    string `json:"country"`
	Phone      string `json:"phone"`
	Default    bool   `json:"default"`
	CreatedAt  int64  `json:"created_at" doc:"Microseconds UTC"`
	UpdatedAt  int64  `json:"updated_at" doc:"Microseconds UTC"`
	Version    int64  `json:"version"`
}

func addressBodyOf(a *Address) addressBody {
	return addressBody{
		ID: a.ID, FirstName: a.FirstName, LastName: a.LastName, Company: a.Company, Line1: a.Line1, Line2: a.Line2, City: a.City, Province: a.Province,
		PostalCode: a.PostalCode, Country: a.Country, Phone: a.Phone, Default: a.Default, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt, Version: a.Version,
	}
}

type addressOutput struct {
	httpx.Tagged
	Location string `header:"Location" doc:"Where a new address is"`
	Body     addressBody
}

// addressOf answers with an address; a refusal tells the version that is there now.
func addressOf(a *Address, err error) (*addressOutput, error) {
	if errors.Is(err, ErrStale) {
		return nil, httpx.Refused(err, a.Version)
	}
	if err != nil {
		return nil, err
	}
	return &addressOutput{Tagged: httpx.Tag(a.Version), Body: addressBodyOf(a)}, nil
}

type listAddressesInput struct {
	SlugInput
	httpx.Page
}

type listAddressesOutput struct {
	Body struct {
		Data       []addressBody `json:"data"`
		NextCursor string        `json:"next_cursor,omitempty"`
	}
}

type addAddressInput struct {
	SlugInput
	httpx.Repeatable
	Body addressFields
}

type addressInput struct {
	SlugInput
	ID string `path:"id" maxLength:"64"`
}

type getAddressInput struct {
	SlugInput
	httpx.Revalidation
	ID string `path:"id" maxLength:"64"`
}

type putAddressInput struct {
	SlugInput
	httpx.Precondition
	ID   string `path:"id" maxLength:"64"`
	Body addressFields
}

func addressRoutes(server *httpx.Server, s *Service) {
	const path = "/api/storefront/{slug}/addresses"
	operation := func(name, method, at, summary string, status int, more ...int) huma.Operation {
		return huma.Operation{
			OperationID: name, Method: method, Path: at, Summary: summary, DefaultStatus: status, Security: httpx.Customer,
			Errors: append(more, http.StatusForbidden, http.StatusNotFound),
		}
	}
	httpx.Register(server, operation("list-addresses", http.MethodGet, path, "List one's own addresses", http.StatusOK, http.StatusBadRequest),
		func(ctx context.Context, in *listAddressesInput) (*listAddressesOutput, error) {
			who := identity.CustomerOf(ctx)
			page, next, err := s.Addresses(ctx, backends.StorefrontID(who.Storefront), who.ID, in.Cursor, in.Limit)
			out := &listAddressesOutput{}
			out.Body.Data, out.Body.NextCursor = make([]addressBody, len(page)), next
			for i := range page {
				out.Body.Data[i] = addressBodyOf(&page[i])
			}
			return out, err
		})
	httpx.Register(server, operation("add-address", http.MethodPost, path, "Add an address", http.StatusCreated, http.StatusConflict, http.StatusGone),
		func(ctx context.Context, in *addAddressInput) (*addressOutput, error) {
			who := identity.CustomerOf(ctx)
			out, err := addressOf(s.AddAddress(ctx, backends.StorefrontID(who.Storefront), who.ID, in.IdempotencyKey, AddressFields(in.Body)))
			if err == nil {
				out.Location = "/api/storefront/" + in.Slug + "/addresses/" + out.Body.ID
			}
			return out, err
		})
	httpx.Register(server, operation("get-address", http.MethodGet, path+"/{id}", "Read one address", http.StatusOK),
		func(ctx context.Context, in *getAddressInput) (*addressOutput, error) {
			who := identity.CustomerOf(ctx)
			return addressOf(s.Address(ctx, backends.StorefrontID(who.Storefront), who.ID, in.ID))
		})
	httpx.Register(server, operation("put-address", http.MethodPut, path+"/{id}", "Replace an address", http.StatusOK, http.StatusPreconditionFailed, http.StatusPreconditionRequired),
		func(ctx context.Context, in *putAddressInput) (*addressOutput, error) {
			version, err := in.Version()
			if err != nil {
				return nil, err
			}
			who := identity.CustomerOf(ctx)
			return addressOf(s.SetAddress(ctx, backends.StorefrontID(who.Storefront), who.ID, in.ID, version, AddressFields(in.Body)))
		})
	httpx.Register(server, operation("default-address", http.MethodPost, path+"/{id}/default", "Make an address the default", http.StatusNoContent),
		func(ctx context.Context, in *addressInput) (*struct{}, error) {
			who := identity.CustomerOf(ctx)
			return nil, s.SetDefaultAddress(ctx, backends.StorefrontID(who.Storefront), who.ID, in.ID)
		})
	httpx.Register(server, operation("delete-address", http.MethodDelete, path+"/{id}", "Delete an address", http.StatusNoContent),
		func(ctx context.Context, in *addressInput) (*struct{}, error) {
			who := identity.CustomerOf(ctx)
			return nil, s.DeleteAddress(ctx, backends.StorefrontID(who.Storefront), who.ID, in.ID)
		})
}
