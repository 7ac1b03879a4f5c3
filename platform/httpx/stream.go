package httpx

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
)

// StreamEvent is one Server-Sent Event. ID grows, so that a client that was cut
// off goes on behind the last one it saw.
type StreamEvent struct {
	ID   int64
	Kind string
	Data string // one line
}

// StreamInput is the input of a stream: embed it.
type StreamInput struct {
	LastEventID string `header:"Last-Event-ID" doc:"The id of the last event that was seen"`
}

// Streamed describes such an answer, for an operation's Responses.
func Streamed() map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: "OK", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
}

// atOnce can always be received from.
var atOnce = func() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}()

// Stream answers with Server-Sent Events: next is asked for events behind an id,
// until it says that there will be no more, the client leaves or may not listen any more, or
// the server stops.
func (s *Server) Stream(in StreamInput, next func(ctx context.Context, after int64) (events []StreamEvent, last bool, err error)) (*huma.StreamResponse, error) {
	const (
		look  = 300 * time.Millisecond
		quiet = 15 * time.Second // then a comment, so that nobody on the way takes the stream for dead
	)
	after, err := strconv.ParseInt(in.LastEventID, 10, 64)
	if err != nil {
		after = 0 // also an id that is not ours: the whole story is a safe answer
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", "text/event-stream")
		if c.Method() == http.MethodHead {
			return // there is nothing to wait for
		}
		response := humaecho.UnwrapV4(c).Response()
		flush := func() {}
		if f, ok := c.BodyWriter().(http.Flusher); ok {
			flush = f.Flush
		}
		tick, admitted := time.NewTicker(look), time.Now()
		defer tick.Stop()
		again, _ := c.Context().Value(admissionKey{}).(admission)
		for said := (time.Time{}); ; {
			if time.Since(admitted) > s.readmit {
				if again.over() {
					return // the client comes again, and is told
				}
				admitted = time.Now()
			}
			events, last, err := next(c.Context(), after)
			if err != nil { // the client comes again with its last id
				if !left(c.Context()) {
					s.log.WarnContext(c.Context(), "an event stream broke off", "request", RequestID(c.Context()), "error", err)
				}
				return
			}
			writeUntil(response, time.Now().Add(answerWithin))
			for _, e := range events {
				if _, err := fmt.Fprintf(c.BodyWriter(), "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, e.Data); err != nil {
					return
				}
				after = e.ID
			}
			if len(events) == 0 && last {
				return
			}
			if len(events) == 0 && time.Since(said) > quiet {
				if _, err := io.WriteString(c.BodyWriter(), ":\n\n"); err != nil {
					return
				}
			}
			if len(events) > 0 || time.Since(said) > quiet {
				said = time.Now()
				flush()
			}
			more := tick.C
			if len(events) > 0 {
				more = atOnce // there may be more
			}
			select {
			case <-c.Context().Done():
				return
			case <-s.stopping:
				return
			case <-more:
			}
		}
	}}, nil
}
