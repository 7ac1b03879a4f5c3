package auth

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"smartseller/platform/httpx"
	"smartseller/platform/identity"
)

// From is where a request comes from. It is exported because huma fills embedded
// fields only then.
type From struct {
	Slug      string `path:"slug"`
	UserAgent string `header:"User-Agent"`
}

func (in *From) client(ctx context.Context) Client {
	return Client{UserAgent: in.UserAgent, Address: httpx.Peer(ctx)}
}

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
	Body          *logoutBody
}

// logoutBody may be left out: an access token says enough.
type logoutBody struct {
	RefreshToken string `json:"refresh_token,omitempty" maxLength:"200" doc:"Names the session where no access token does"`
	Scope        string `json:"scope,omitempty" enum:"local,others,global" doc:"What ends: this session, as by default, the customer's others, or all of them; the latter two want a token that still lets in"`
}

func (in *logoutInput) parting() Parting {
	by := Parting{Access: httpx.BearerToken(in.Authorization)}
	if in.Body != nil {
		by.Refresh, by.Scope = in.Body.RefreshToken, in.Body.Scope
	}
	return by
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

const smallBody = 16 << 10 // bytes

// Routes lets admins and customers in.
func Routes(server *httpx.Server, admins *Service, s *Sessions) {
	server.Authenticate(httpx.CustomerScheme, func(ctx context.Context, c httpx.Credentials) (context.Context, error) {
		return s.Authenticate(ctx, c.Slug, c.Token)
	})
	adminRoutes(server, admins)
	const path = "/api/storefront/{slug}/auth/"
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
			}, in.client(ctx)))
		})
	httpx.Register(server, operation("login", "Come in by password", http.StatusOK),
		func(ctx context.Context, in *loginInput) (*grantedOutput, error) {
			return outputOf(s.Login(ctx, in.Slug, in.Body.Email, in.Body.Password, in.client(ctx)))
		})
	httpx.Register(server, operation("refresh", "Exchange a refresh token for a new pair", http.StatusOK),
		func(ctx context.Context, in *refreshInput) (*grantedOutput, error) {
			return outputOf(s.Refresh(ctx, in.Slug, in.Body.RefreshToken, in.client(ctx)))
		})
	httpx.Register(server, operation("logout", "End the session, the customer's others, or all", http.StatusNoContent),
		func(ctx context.Context, in *logoutInput) (*struct{}, error) {
			return nil, s.Logout(ctx, in.Slug, in.parting(), in.client(ctx))
		})
}

type adminLoginInput struct {
	Body struct {
		Email       string `json:"email" maxLength:"254"`
		Password    string `json:"password" maxLength:"512"`
		NewPassword string `json:"new_password,omitempty" maxLength:"512" doc:"Replaces the password: at least 12 characters, at most 72 bytes. A one-time password must be replaced"`
	}
}

type adminLoginOutput struct {
	Body struct {
		Token     string `json:"access_token"`
		Type      string `json:"token_type"`
		ExpiresIn int64  `json:"expires_in" doc:"Seconds until the token expires"`
		Admin     struct {
			ID    string `json:"id"`
			Email string `json:"email"`
			Role  string `json:"role" enum:"platform-admin,auditor,seller"`
		} `json:"admin"`
	}
}

type recordBody struct {
	ID      string          `json:"id"`
	At      int64           `json:"at" doc:"Microseconds UTC"`
	Actor   string          `json:"actor" doc:"An admin's id, or who worked on the control database itself"`
	Email   string          `json:"email,omitempty" doc:"Of the admin"`
	Action  string          `json:"action" example:"start-move"`
	Subject string          `json:"subject" doc:"The ids and names of what was changed"`
	Details json.RawMessage `json:"details"`
	Outcome string          `json:"outcome" doc:"done, the code of the problem, or begun: it has not ended, or the process died"`
	Address string          `json:"ip,omitempty"`
}

type auditOutput struct {
	Body struct {
		Data       []recordBody `json:"data"`
		NextCursor string       `json:"next_cursor,omitempty"`
	}
}

// adminRoutes lets admins in and has their changes written down.
func adminRoutes(server *httpx.Server, s *Service) {
	server.Authenticate(httpx.AdminScheme, func(ctx context.Context, c httpx.Credentials) (context.Context, error) {
		return s.Authenticate(ctx, c.Token, c.Changes)
	})
	server.Authenticate(httpx.SellerScheme, func(ctx context.Context, c httpx.Credentials) (context.Context, error) {
		return s.AuthenticateSeller(ctx, c.Token)
	})
	server.Audit(func(ctx context.Context, c httpx.Change) (func(context.Context, string) error, error) {
		details, err := json.Marshal(c.Details)
		if err != nil {
			return nil, err
		}
		return s.Begin(ctx, Record{Actor: identity.Admin(ctx), Action: c.Operation, Subject: c.Subject, Details: string(details), Address: c.Address})
	})
	httpx.Register(server, huma.Operation{
		OperationID: "admin-login", Method: http.MethodPost, Path: "/api/admin/login", Summary: "Come in as an admin, by password",
		MaxBodyBytes: smallBody, Errors: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests},
	}, func(ctx context.Context, in *adminLoginInput) (*adminLoginOutput, error) {
		b := in.Body
		session, err := s.Login(ctx, Attempt{Email: b.Email, Password: b.Password, NewPassword: b.NewPassword, Address: httpx.Peer(ctx)})
		if err != nil {
			return nil, err
		}
		out := &adminLoginOutput{}
		out.Body.Token, out.Body.Type, out.Body.ExpiresIn = session.Token, "Bearer", int64(session.Life.Seconds())
		out.Body.Admin.ID, out.Body.Admin.Email, out.Body.Admin.Role = session.ID, session.Email, session.Role
		return out, nil
	})
	httpx.Register(server, huma.Operation{
		OperationID: "list-audit", Method: http.MethodGet, Path: "/api/admin/audit", Summary: "List what admins changed, newest first", Security: httpx.Admin,
	}, func(ctx context.Context, in *struct{ httpx.PageByID }) (*auditOutput, error) {
		found, err := s.Records(ctx, in.Cursor, in.Limit)
		out := &auditOutput{}
		out.Body.Data = make([]recordBody, len(found))
		for i, r := range found {
			out.Body.Data[i] = recordBody{ID: r.ID, At: r.At, Actor: r.Actor, Action: r.Action, Subject: r.Subject, Details: json.RawMessage(r.Details), Outcome: r.Outcome, Address: r.Address}
			if r.Email != nil {
				out.Body.Data[i].Email = *r.Email
			}
		}
		if len(found) == in.Limit {
			out.Body.NextCursor = found[len(found)-1].ID
		}
		return out, err
	})
}
