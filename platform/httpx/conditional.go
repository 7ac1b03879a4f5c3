package httpx

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"smartseller/platform/fault"
)

// What is changed side by side has a version that grows with every change. Its ETag
// guards a change (If-Match) and spares a transfer (If-None-Match), RFC 9110.

// Tagged is embedded in outputs that have a version.
type Tagged struct {
	ETag string `header:"ETag" doc:"Names the version"`
}

func (t Tagged) tag() string { return t.ETag }

// Tag is what an output with this version embeds.
func Tag(version int64) Tagged { return Tagged{ETag: etag(version)} }

func etag(version int64) string { return fmt.Sprintf(`"v%d"`, version) }

// Precondition is embedded in inputs of changes that must not overwrite others.
type Precondition struct {
	IfMatch string `header:"If-Match" doc:"The ETag that was read"`
}

// ErrNoPrecondition asks for the header.
var ErrNoPrecondition = fault.New(fault.PreconditionRequired, "if_match_required",
	"Send the ETag that was read as If-Match, so that no other change is overwritten.")

// Version is the version that was read; 0, which nothing has, for an ETag that was
// never ours. A missing header and "*", which guards nothing, are ErrNoPrecondition.
func (p Precondition) Version() (version int64, err error) {
	if p.IfMatch == "" || p.IfMatch == "*" {
		return 0, ErrNoPrecondition
	}
	if _, err := fmt.Sscanf(p.IfMatch, `"v%d"`, &version); err != nil || etag(version) != p.IfMatch {
		return 0, nil
	}
	return version, nil
}

// Refused adds the ETag of the version that is there now to an error that says that
// another one was expected.
func Refused(err error, current int64) error {
	var stale *fault.Error
	if !errors.As(err, &stale) {
		return err
	}
	told := *stale
	told.Header = map[string]string{"ETag": etag(current)}
	return &told
}

// Revalidation is embedded in inputs of reads: who holds the current version
// already is told so, and nothing else.
type Revalidation struct {
	IfNoneMatch string `header:"If-None-Match" doc:"ETags of versions that are at hand"`
}

func (r Revalidation) holds(tag string) bool {
	for held := range strings.SplitSeq(r.IfNoneMatch, ",") {
		if held = strings.TrimSpace(held); held == "*" || strings.TrimPrefix(held, "W/") == tag {
			return true
		}
	}
	return false
}

// notModified is the answer 304. huma takes it for an error, since it has no body.
type notModified struct{ tag string }

func (n notModified) Error() string           { return "not modified" }
func (n notModified) GetStatus() int          { return http.StatusNotModified }
func (n notModified) GetHeaders() http.Header { return http.Header{"Etag": {n.tag}} }

// revalidated says that out need not be sent.
func revalidated(in, out any) (notModified, bool) {
	asked, ok := in.(interface{ holds(tag string) bool })
	if !ok {
		return notModified{}, false
	}
	has, ok := out.(interface{ tag() string })
	if !ok || !asked.holds(has.tag()) {
		return notModified{}, false
	}
	return notModified{has.tag()}, true
}
