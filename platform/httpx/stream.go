package httpx

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
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

// Stream answers with Server-Sent Events: next is asked for events behind an id,
// until it says that there will be no more, the client leaves or the server stops.
func (s *Server) Stream(in StreamInput, next func(ctx context.Context, after int64) (events []StreamEvent, last bool, err error)) (*huma.StreamResponse, error) {
	const look = 300 * time.Millisecond
	after, err := strconv.ParseInt(in.LastEventID, 10, 64)
	if err != nil {
		after = 0 // also an id that is not ours: the whole story is a safe answer
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", "text/event-stream")
		flush := func() {}
		if f, ok := c.BodyWriter().(http.Flusher); ok {
			flush = f.Flush
		}
		tick := time.NewTicker(look)
		defer tick.Stop()
		for {
			events, last, err := next(c.Context(), after)
			if err != nil {
				return // the client comes again with its last id
			}
			for _, e := range events {
				if _, err := fmt.Fprintf(c.BodyWriter(), "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, e.Data); err != nil {
					return
				}
				after = e.ID
			}
			flush()
			if last && len(events) == 0 {
				return
			}
			select {
			case <-c.Context().Done():
				return
			case <-s.stopping:
				return
			case <-tick.C:
			}
		}
	}}, nil
}
