package httpx

import (
	"context"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"smartseller/platform/fault"
)

// authenticate checks the bearer token of operations that ask for one.
func (s *Server) authenticate(c huma.Context, next func(huma.Context)) {
	if len(c.Operation().Security) == 0 {
		next(c)
		return
	}
	ctx, err := s.admit(c)
	if err != nil {
		s.refuse(c, problemOf(c.Context(), s.log, err))
		return
	}
	again := admission(func() error {
		_, err := s.admit(c)
		return err
	})
	next(huma.WithContext(c, context.WithValue(ctx, admissionKey{}, again)))
}

// admission asks again whether who made a request may; what is answered for long outlives tokens.
type admission func() error

type admissionKey struct{}

// over says that who is answered may not be, any more.
func (a admission) over() bool {
	if a == nil {
		return false
	}
	kind := fault.Of(a()).Kind // of no error it is another one
	return kind == fault.Unauthorized || kind == fault.Forbidden
}

// admit checks the token by each scheme of the operation.
func (s *Server) admit(c huma.Context) (ctx context.Context, err error) {
	ctx = c.Context()
	for _, requirement := range c.Operation().Security {
		for scheme := range requirement {
			if ctx, err = s.check(ctx, c, scheme); err != nil {
				return nil, err
			}
		}
	}
	return ctx, nil
}

func (s *Server) check(ctx context.Context, c huma.Context, scheme string) (context.Context, error) {
	missing := fault.New(fault.Unauthorized, "token_required", "This endpoint needs an Authorization header with a bearer token.")
	missing.Header = map[string]string{"WWW-Authenticate": "Bearer"}
	token, check := BearerToken(c.Header("Authorization")), s.auth[scheme]
	if token == "" || check == nil {
		return nil, missing
	}
	return check(ctx, Credentials{Token: token, Slug: c.Param("slug"), Changes: changes(c.Operation())})
}

// BearerToken is the token in an Authorization header, RFC 6750; "" when it has none.
func BearerToken(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
