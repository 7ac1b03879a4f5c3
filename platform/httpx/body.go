package httpx

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"

	"smartseller/platform/fault"
)

// refuseLarge refuses a body that says that it is too large before the client sends it.
// Uploads do so themselves.
func (s *Server) refuseLarge(c huma.Context, next func(huma.Context)) {
	op := c.Operation()
	length, err := strconv.ParseInt(c.Header("Content-Length"), 10, 64)
	if op.RequestBody != nil && err == nil && length >= op.MaxBodyBytes && strings.HasPrefix(c.Header("Content-Type"), "application/json") {
		s.refuse(c, newProblem(c.Context(), ofKind(fault.TooLarge)))
		return
	}
	next(c)
}

// leaveUnread bounds the wait for a body that is answered without being read: net/http
// reads what is left of a small one before it sends the answer.
func (s *Server) leaveUnread(c echo.Context) {
	if c.Request().ContentLength != 0 {
		_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Now().Add(s.within)) // tests have no connection
	}
}

// unread is what a request is refused with whose body could not be read, by the status
// and the words that huma has for it; nil: it could. All of them are the client's doing.
func unread(status int, message string) *fault.Error {
	switch {
	case status == http.StatusRequestTimeout:
		return ofKind(fault.TooSlow)
	case status == http.StatusInternalServerError && message == "cannot read request body":
		return fault.New(fault.Malformed, codeOf(fault.Malformed), "The request's body broke off, or is not framed as HTTP wants: send it anew.")
	}
	return nil
}
