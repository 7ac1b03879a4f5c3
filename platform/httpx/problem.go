package httpx

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
	"github.com/labstack/echo/v4"

	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

// Problem is the document of every error, RFC 9457.
type Problem struct {
	Type     string        `json:"type" doc:"Names the kind of problem" example:"urn:smartseller:problem:move_not_found"`
	Title    string        `json:"title" doc:"What kind of problem it is, in words"`
	Status   int           `json:"status" doc:"The HTTP status"`
	Detail   string        `json:"detail" doc:"What happened, to what, and what to do"`
	Instance string        `json:"instance" doc:"The request's id, as in the server's log"`
	Code     string        `json:"code" doc:"A stable word for programs"`
	Errors   []fault.Field `json:"errors,omitempty" doc:"Each value that is not acceptable, or each check that does not hold"`
	header   http.Header
}

func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

type (
	requestKey struct{}
	logKey     struct{} // of the server that answers the request
)

// ownErrors makes huma's errors problem documents, also for a name in the wrong case. That
// is a setting of the whole program, made once however many servers it has.
var ownErrors = sync.OnceFunc(func() {
	huma.ValidateStrictCasing = true // or EMAIL would be read as email
	huma.NewErrorWithContext = func(c huma.Context, status int, message string, errs ...error) huma.StatusError {
		if c == nil { // huma asks for an example, to describe it
			return newProblem(context.Background(), &fault.Error{Kind: fault.KindOfStatus(status)})
		}
		ctx := c.Context()
		if e := unread(status, message); e != nil {
			return newProblem(ctx, e)
		}
		if log, ok := ctx.Value(logKey{}).(*slog.Logger); ok && fault.KindOfStatus(status) == fault.Internal {
			return problemOf(ctx, log, errors.Join(append([]error{errors.New(message)}, errs...)...))
		}
		return validationProblem(c, status, errs)
	}
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return huma.NewErrorWithContext(nil, status, message, errs...)
	}
})

// RequestID is the id of the request that the context belongs to.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

func newProblem(ctx context.Context, e *fault.Error) *Problem {
	m := e.Kind.Meaning()
	p := &Problem{
		Type: "urn:smartseller:problem:" + e.Code, Title: m.Title, Status: m.Status, Detail: e.Detail, Code: e.Code,
		Errors: e.Fields, header: http.Header{}, Instance: "urn:request:" + RequestID(ctx),
	}
	for name, value := range e.Header {
		p.header.Set(name, value)
	}
	if e.RetryAfter > 0 {
		p.header.Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	return p
}

// problemOf turns any error into its document and logs what only we may know.
func problemOf(ctx context.Context, log *slog.Logger, err error) *Problem {
	e := fault.Of(err)
	level := e.Kind.Meaning().Level
	if left(ctx) {
		level = slog.LevelInfo // what was under way broke off: nothing is wrong
	}
	log.Log(ctx, level, "request refused", "request", RequestID(ctx), "code", e.Code, "error", err)
	return newProblem(ctx, e)
}

// validationProblem is what huma makes of input that does not fit. Nothing that
// was submitted is repeated.
func validationProblem(c huma.Context, status int, errs []error) *Problem {
	ctx, kind := c.Context(), fault.KindOfStatus(status)
	e := ofKind(kind)
	for _, err := range errs {
		var d *huma.ErrorDetail
		if !errors.As(err, &d) {
			continue
		}
		if body, ok := d.Value.(string); ok && kind == fault.Malformed {
			if m := unacceptable(body); m != nil {
				return newProblem(ctx, fault.InvalidField(m.pointer, m.code, m.detail))
			}
		}
		if strings.HasPrefix(d.Location, "path.") { // what can't be has no other answer than what isn't there
			return newProblem(ctx, ofKind(fault.NotFound))
		}
		if kind == fault.Invalid {
			e.Fields = append(e.Fields, fieldAt(d.Location, d.Message))
		}
	}
	markReadOnly(e, readOnly(c.Operation()))
	return newProblem(ctx, e)
}

// ofKind is the error that says no more than its kind.
func ofKind(k fault.Kind) *fault.Error {
	return &fault.Error{Kind: k, Code: codeOf(k), Detail: detailOf(k)}
}

func codeOf(k fault.Kind) string {
	switch k {
	case fault.Malformed:
		return "malformed"
	case fault.NotFound:
		return "not_found"
	case fault.NotAllowed:
		return "method_not_allowed"
	case fault.TooLarge:
		return "too_large"
	case fault.UnsupportedMedia:
		return "unsupported_media_type"
	case fault.Invalid:
		return "invalid_input"
	case fault.Timeout:
		return "timeout"
	case fault.TooSlow:
		return "request_too_slow"
	}
	return "internal"
}

func detailOf(k fault.Kind) string {
	switch k {
	case fault.Malformed:
		return "The request body is not well-formed JSON."
	case fault.NotFound:
		return "There is nothing at this path; see /docs."
	case fault.NotAllowed:
		return "This path does not take this method; the Allow header lists those it takes."
	case fault.TooLarge:
		return "The request body is larger than this endpoint takes."
	case fault.UnsupportedMedia:
		return "This endpoint takes application/json: send that as Content-Type, in UTF-8 and not compressed."
	case fault.Invalid:
		return "One or more values are not acceptable; see errors."
	case fault.Timeout:
		return "The request took too long; try again."
	case fault.TooSlow:
		return "The request's body did not come in time: send it faster."
	}
	return "Something went wrong on our side; the request id finds it in the log."
}

// ReadOnly is the Metadata of an operation that changes a part of what others show: the
// members that it never takes.
func ReadOnly(members ...string) map[string]any {
	var pointers []string
	for _, m := range members {
		pointers = append(pointers, step(m))
	}
	return map[string]any{readOnlyKey: pointers}
}

const (
	readOnlyKey  = "read only"
	codeReadOnly = "read_only_field"
)

func readOnly(op *huma.Operation) []string {
	pointers, _ := op.Metadata[readOnlyKey].([]string)
	return pointers
}

// markReadOnly tells who sent back what an operation showed from who sent what does not exist.
func markReadOnly(e *fault.Error, pointers []string) {
	marked := 0
	for i := range e.Fields {
		if f := &e.Fields[i]; f.Detail == validation.MsgUnexpectedProperty && slices.Contains(pointers, f.Pointer) {
			f.Code, f.Detail = codeReadOnly, "cannot be changed here: leave it out"
			marked++
		}
	}
	if marked > 0 && marked == len(e.Fields) {
		e.Code, e.Detail = codeReadOnly, "What cannot be changed here was sent; see errors."
	}
}

// fieldAt turns huma's "body.lines[0].quantity" into a JSON pointer, RFC 6901, and
// its "query.limit" into the parameter's name. Of what is missing it knows only where
// that should have been, and puts the name into the message.
func fieldAt(location, message string) fault.Field {
	f := fault.Field{Code: "invalid", Detail: message}
	before, after, _ := strings.Cut(validation.MsgExpectedRequiredProperty, "%s")
	if name, ok := strings.CutPrefix(message, before); ok {
		location += "." + strings.TrimSuffix(name, after)
		f.Code, f.Detail = "required", "is missing"
	}
	if at, rest, ok := strings.Cut(message, notWhole); ok && location == "body" {
		f.Pointer, f.Detail = at, strings.TrimSpace(notWhole)+rest
	} else if rest, ok := strings.CutPrefix(location, "body"); ok {
		f.Pointer = strings.NewReplacer("~", "~0", "/", "~1", ".", "/", "[", "/", "]", "").Replace(rest)
	} else {
		_, f.Parameter, _ = strings.Cut(location, ".")
	}
	return f
}

// handleError is echo's last resort: the router's own 404 and 405, and what
// middleware refuses.
func (s *Server) handleError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	ctx := c.Request().Context()
	var p *Problem
	var routed *echo.HTTPError
	if errors.As(err, &routed) && routed.Code < http.StatusInternalServerError {
		kind := fault.KindOfStatus(routed.Code)
		p = newProblem(ctx, ofKind(kind))
	} else {
		p = problemOf(ctx, s.log, err)
	}
	for name, values := range p.header {
		c.Response().Header()[name] = values
	}
	c.Response().Header().Set(echo.HeaderContentType, p.ContentType(""))
	if err := c.JSON(p.Status, p); err != nil {
		s.log.WarnContext(ctx, "a problem could not be sent", "error", err)
	}
}

func newRequestID() string { return ids.New() }
