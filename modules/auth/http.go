package auth

import (
	"context"
	"net"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"smartseller/platform/httpx"
)

// From is where a request comes from. It is exported because huma fills embedded
// fields only then.
type From struct {
	Slug      string `path:"slug" maxLength:"63"`
	UserAgent string `header:"User-Agent"`
	address   string
}

// Resolve implements huma.Resolver: the address is the peer's own.
func (in *From) Resolve(c huma.Context) []error {
	in.address, _, _ = net.SplitHostPort(c.RemoteAddr())
	return nil
}

func (in *From) client() Client { return Client{UserAgent: in.UserAgent, Address: in.address} }

type registerInput struct {
	From
	httpx.Repeatable
	Body struct {
		Email     string `json:"email" maxLength:"254"`
		Password  string `json:"password" maxLength:"512"`
		FirstName string `json:"first_name,omitempty" maxLength:"100"`
		LastName  string `json:"last_name,omitempty" maxLength:"100"`
		Marketing bool   `json:"accept_marketing,omitempty"`
	}
}

type loginInput struct {
	From
	Body struct {
		Email    string `json:"email" maxLength:"254"`
		Password string `json:"password" maxLength:"512"`
	}
}

type refreshInput struct {
	From
	Body struct {
		RefreshToken string `json:"refresh_token" maxLength:"200"`
	}
}

type logoutInput struct {
	From
	Authorization string `header:"Authorization"`
	Body          struct {
		RefreshToken string `json:"refresh_token,omitempty" maxLength:"200"`
	}
}

type sessionBody struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in" doc:"Seconds until the access token expires"`
	RefreshToken string `json:"refresh_token" doc:"Good for one refresh"`
}

type grantedOutput struct {
	Body struct {
		Customer struct {
			ID    string `json:"id"`
			Email string `json:"email"`
		} `json:"customer"`
		Session sessionBody `json:"session"`
	}
}

func outputOf(g *Granted, err error) (*grantedOutput, error) {
	if err != nil {
		return nil, err
	}
	out := &grantedOutput{}
	out.Body.Customer.ID, out.Body.Customer.Email = g.Customer.ID, g.Customer.Email
	out.Body.Session = sessionBody{AccessToken: g.Access, TokenType: "Bearer", ExpiresIn: g.AccessSeconds, RefreshToken: g.Refresh}
	return out, nil
}

// Routes lets admins and customers in.
func Routes(server *httpx.Server, admins *Service, s *Sessions) {
	server.Authenticate(httpx.AdminScheme, admins.Authenticate)
	server.Authenticate(httpx.CustomerScheme, s.Authenticate)
	const path = "/api/storefront/{slug}/auth/"
	const smallBody = 16 << 10
	usual := []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests}
	operation := func(name, summary string, status int, more ...int) huma.Operation {
		return huma.Operation{
			OperationID: name, Method: http.MethodPost, Path: path + name, Summary: summary, DefaultStatus: status,
			MaxBodyBytes: smallBody, Errors: append(more, usual...),
		}
	}
	httpx.Register(server, operation("register", "Make an account and come in", http.StatusCreated, http.StatusConflict, http.StatusGone),
		func(ctx context.Context, in *registerInput) (*grantedOutput, error) {
			b := in.Body
			return outputOf(s.Register(ctx, in.Slug, Registration{
				Email: b.Email, Password: b.Password, FirstName: b.FirstName, LastName: b.LastName, Marketing: b.Marketing, Key: in.IdempotencyKey,
			}, in.client()))
		})
	httpx.Register(server, operation("login", "Come in by password", http.StatusOK),
		func(ctx context.Context, in *loginInput) (*grantedOutput, error) {
			return outputOf(s.Login(ctx, in.Slug, in.Body.Email, in.Body.Password, in.client()))
		})
	httpx.Register(server, operation("refresh", "Exchange a refresh token for a new pair", http.StatusOK),
		func(ctx context.Context, in *refreshInput) (*grantedOutput, error) {
			return outputOf(s.Refresh(ctx, in.Slug, in.Body.RefreshToken, in.client()))
		})
	httpx.Register(server, operation("logout", "End the session", http.StatusNoContent),
		func(ctx context.Context, in *logoutInput) (*struct{}, error) {
			return nil, s.Logout(ctx, in.Slug, strings.TrimPrefix(in.Authorization, "Bearer "), in.Body.RefreshToken, in.client())
		})
}
