// Package fault gives every error one kind, and every kind one meaning on each
// surface: HTTP status, CLI exit code and log level stand in one table, so that
// the API, the command line and the logs never disagree.
package fault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
)

// Kind classifies an error by what its receiver can do about it.
type Kind int

// The kinds. Internal is the zero value: an error nobody classified is ours.
const (
	Internal     Kind = iota
	Malformed         // the request cannot be parsed
	Unauthorized      // who is asking is not known
	Forbidden         // who is asking is known and may not
	NotFound          // the thing does not exist, or not for this caller
	NotAllowed        // the method does not exist on this path
	Conflict          // the state of the thing does not allow it
	Gone              // it existed and is used up or expired
	Precondition      // If-Match did not match
	PreconditionRequired
	TooLarge
	UnsupportedMedia
	Invalid // well-formed, but a value is not acceptable
	TooMany // a limit was reached; try again later
	Unavailable
	Timeout
	TooSlow       // the request did not come in time
	Misconfigured // a setting, or what it names, cannot be used: no server starts with it
)

// Meaning says what a kind is on each surface.
type Meaning struct {
	Status int        // HTTP status, RFC 9110
	Exit   int        // exit code of the command line
	Level  slog.Level // level at which the edge logs it
	Title  string     // title of the problem document, RFC 9457
}

var meanings = map[Kind]Meaning{
	Internal:             {http.StatusInternalServerError, 70, slog.LevelError, "Internal error"},
	Malformed:            {http.StatusBadRequest, 65, slog.LevelInfo, "Malformed request"},
	Unauthorized:         {http.StatusUnauthorized, 77, slog.LevelInfo, "Authentication required"},
	Forbidden:            {http.StatusForbidden, 77, slog.LevelInfo, "Not allowed"},
	NotFound:             {http.StatusNotFound, 66, slog.LevelInfo, "Not found"},
	NotAllowed:           {http.StatusMethodNotAllowed, 64, slog.LevelInfo, "Method not allowed"},
	Conflict:             {http.StatusConflict, 73, slog.LevelInfo, "Conflict"},
	Gone:                 {http.StatusGone, 66, slog.LevelInfo, "No longer available"},
	Precondition:         {http.StatusPreconditionFailed, 73, slog.LevelInfo, "Changed in the meantime"},
	PreconditionRequired: {http.StatusPreconditionRequired, 64, slog.LevelInfo, "If-Match required"},
	TooLarge:             {http.StatusRequestEntityTooLarge, 65, slog.LevelInfo, "Too large"},
	UnsupportedMedia:     {http.StatusUnsupportedMediaType, 65, slog.LevelInfo, "Unsupported media type"},
	Invalid:              {http.StatusUnprocessableEntity, 65, slog.LevelInfo, "Invalid input"},
	TooMany:              {http.StatusTooManyRequests, 75, slog.LevelInfo, "Too many requests"},
	Unavailable:          {http.StatusServiceUnavailable, 69, slog.LevelWarn, "Temporarily unavailable"},
	Timeout:              {http.StatusGatewayTimeout, 75, slog.LevelWarn, "Took too long"},
	TooSlow:              {http.StatusRequestTimeout, 75, slog.LevelInfo, "Request came too slowly"},
	Misconfigured:        {http.StatusInternalServerError, 78, slog.LevelError, "Not usable as configured"},
}

// Meaning returns the kind's row of the table.
func (k Kind) Meaning() Meaning {
	if m, ok := meanings[k]; ok {
		return m
	}
	return meanings[Internal]
}

// KindOfStatus is the table read from the other side: the kind that has this
// HTTP status. A client that meets a problem document uses it to find its exit code.
func KindOfStatus(status int) Kind {
	for k := Internal; k <= Misconfigured; k++ { // the first: what only a program that starts meets is last
		if meanings[k].Status == status {
			return k
		}
	}
	return Internal
}

// Field is one value of the input that is not acceptable, or one check that does not
// hold. At most one of Pointer, Parameter and Check says where; none: the body as a whole.
type Field struct {
	Pointer   string `json:"pointer,omitempty" doc:"Where in the request's body, a JSON pointer (RFC 6901)" example:"/lines/0/quantity"`
	Parameter string `json:"parameter,omitempty" doc:"Name of the query's parameter, or of the header" example:"limit"`
	Check     string `json:"check,omitempty" doc:"Name of the check that does not hold, where no input is at fault"`
	Code      string `json:"code" doc:"A stable word for programs"`
	Detail    string `json:"detail" doc:"One sentence, never the value itself"`
}

func (f Field) String() string {
	return cmp.Or(f.Pointer, f.Parameter, f.Check, "the body") + ": " + f.Detail
}

// Error is an error that may be shown to whoever caused it: Detail says what
// happened, to what, and what to do. The cause is for logs only.
type Error struct {
	Kind       Kind
	Code       string // stable snake_case word, for programs
	Detail     string
	Fields     []Field
	RetryAfter int               // seconds; 0 means not said
	Header     map[string]string // extra response headers, such as WWW-Authenticate
	cause      error
}

// New makes an error of this kind. The format must not carry secrets, SQL or personal data.
func New(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// InvalidField makes an Invalid error that names one field of the body.
func InvalidField(pointer, code, detail string) *Error {
	return invalid(Field{Pointer: pointer, Code: code, Detail: detail})
}

// InvalidParameter makes an Invalid error that names one parameter.
func InvalidParameter(name, code, detail string) *Error {
	return invalid(Field{Parameter: name, Code: code, Detail: detail})
}

func invalid(f Field) *Error {
	return &Error{Kind: Invalid, Code: "invalid_input", Detail: "One or more values are not acceptable; see errors.", Fields: []Field{f}}
}

// Because returns a copy that wraps its cause.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// Retry returns a copy that says after how many seconds another try makes sense.
func (e *Error) Retry(seconds int) *Error {
	c := *e
	c.RetryAfter = seconds
	return &c
}

func (e *Error) Error() string {
	if e.cause != nil {
		return e.Code + ": " + e.Detail + ": " + e.cause.Error()
	}
	return e.Code + ": " + e.Detail
}

func (e *Error) Unwrap() error { return e.cause }

// Is makes two errors of the same code the same, so that sentinels can be
// given details: errors.Is(err, ErrNotFound).
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code && t.Kind == e.Kind
}

// Of finds the Error in err's chain, or classifies err as Internal (Timeout
// when a deadline passed) with a detail that gives nothing away.
func Of(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return New(Timeout, "timeout", "The request took too long and was stopped; try again.").Because(err)
	}
	return New(Internal, "internal", "Something went wrong on our side; the request id finds it in the log.").Because(err)
}
