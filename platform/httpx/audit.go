package httpx

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"smartseller/platform/fault"
)

// Change is an admin's request that changes something, as far as it may be kept: of
// the body only fields that are tagged `audit:"subject"` or `audit:"detail"`.
type Change struct {
	Operation string         // the operation's id
	Subject   string         // what it is about: ids and names of the path, or what the body says of its subjects
	Details   map[string]any // by the names of the API
	Address   string         // the client's IP
}

// Auditor writes a change down before it is made; finish is told how it ended: "done"
// or the problem's code. A change that cannot be written down is not made.
type Auditor func(ctx context.Context, c Change) (finish func(ctx context.Context, outcome string) error, err error)

// Audit says who writes down the changes of admins.
func (s *Server) Audit(a Auditor) { s.auditor = a }

type peerKey struct{}

// Peer is the IP of the client whose request the context belongs to.
func Peer(ctx context.Context) string {
	ip, _ := ctx.Value(peerKey{}).(string)
	return ip
}

// changes says whether an operation changes something, going by its method unless it
// says itself that it reads.
func changes(op *huma.Operation) bool {
	for _, requirement := range op.Security {
		if slices.Contains(requirement[AdminScheme], reading) {
			return false
		}
	}
	return op.Method != http.MethodGet && op.Method != http.MethodHead
}

// needs is an operation's security with what it needs of an admin.
func needs(op *huma.Operation) []map[string][]string {
	out := slices.Clone(op.Security)
	for i, requirement := range out {
		if _, ok := requirement[AdminScheme]; !ok {
			continue
		}
		need := reading
		if changes(op) {
			need = changing
		}
		out[i] = map[string][]string{AdminScheme: {need}}
	}
	return out
}

// audited wraps an admin's operation.
func audited[I, O any](s *Server, operation string, handle func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		if s.auditor == nil {
			return handle(ctx, in)
		}
		change := Change{Operation: operation, Address: Peer(ctx), Details: map[string]any{}}
		change.describe(reflect.ValueOf(in).Elem())
		finish, err := s.auditor(ctx, change)
		if err != nil {
			return nil, err
		}
		outcome := "internal" // of a panic, if nothing else is said
		defer func() {
			// Whoever asked may be gone by now: what was done is done.
			ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := finish(ending, outcome); err != nil {
				s.log.WarnContext(ctx, "the outcome of an admin's change was not written down", "request", RequestID(ctx), "error", err)
			}
		}()
		out, err := handle(ctx, in)
		if outcome = "done"; err != nil {
			outcome = fault.Of(err).Code
		}
		return out, err
	}
}

// describe collects what may be kept of an operation's input.
func (c *Change) describe(input reflect.Value) {
	if input.Kind() != reflect.Struct {
		return
	}
	for i := range input.NumField() {
		field, value := input.Type().Field(i), input.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		_, inPath := field.Tag.Lookup("path")
		switch {
		case field.Anonymous || field.Name == "Body":
			c.describe(value)
		case !field.IsExported():
		case inPath || field.Tag.Get("audit") == "subject" && !value.IsZero():
			c.Subject = strings.TrimPrefix(c.Subject+"/"+fmt.Sprint(value.Interface()), "/")
		case field.Tag.Get("audit") == "detail" && !value.IsZero():
			c.Details[name] = value.Interface()
		}
	}
}
