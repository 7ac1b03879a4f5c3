package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"smartseller/platform/fault"
)

// event is one entry of a move's story, as it comes over the stream.
type event struct {
	ID   string          `json:"id"`
	Kind string          `json:"event"`
	Data json.RawMessage `json:"data"`
}

// What a command that follows a move puts up with: a server that restarts, a
// network that breaks.
const (
	reconnectFirst = 200 * time.Millisecond
	reconnectMost  = 3 * time.Second
	reconnectFor   = 2 * time.Minute
)

// errEnough ends following from within.
var errEnough = errors.New("enough")

// follow hands every event of a move to see, each once and in order, until see says
// errEnough. Where the stream breaks off it goes on behind the last event.
func (r *remote) follow(ctx context.Context, path string, see func(event) error) error {
	return r.hear(ctx, path, following{}, see)
}

// following says what of a story is to be told: what comes behind an event, and whether all has
// happened already; then a stream that ends in order has told what there is, which may be
// nothing, for stories are forgotten.
type following struct {
	behind string
	over   bool
}

// hear is follow, of a part.
func (r *remote) hear(ctx context.Context, path string, f following, see func(event) error) error {
	last, wait := f.behind, reconnectFirst
	alive := time.Now()
	for {
		err := r.stream(ctx, path, last, func(e event) error {
			last, wait, alive = e.ID, reconnectFirst, time.Now()
			return see(e)
		})
		switch {
		case errors.Is(err, errEnough), err == nil && f.over:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil: // the server stops, or starts anew
			alive = time.Now()
		case !passing(err) || last == "" || time.Since(alive) > reconnectFor:
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait = min(2*wait, reconnectMost)
	}
}

// passing says that another try may go better.
func passing(err error) bool {
	switch fault.Of(err).Kind {
	case fault.Unavailable, fault.Timeout, fault.TooMany:
		return true
	}
	return false
}

// stream reads events until the stream ends; nil when it ended in order.
func (r *remote) stream(ctx context.Context, path, last string, see func(event) error) error {
	response, err := r.transmit(ctx, http.MethodGet, path, nil, "Last-Event-ID", last)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return problem(response)
	}
	var seen error
	err = readEvents(response.Body, func(e event) error {
		seen = see(e)
		return seen
	})
	if seen == nil && err != nil {
		return fault.New(fault.Unavailable, "stream_broken", "The connection to the server broke and did not come back; what you watched goes on. Watch it again.").Because(err)
	}
	return seen
}

// readEvents parses Server-Sent Events. One that was cut off before its end is not seen.
func readEvents(from io.Reader, see func(event) error) error {
	const longest = 4 << 20
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, longest)
	var e event
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			e.ID = value
		case "event":
			e.Kind = value
		case "data":
			e.Data = json.RawMessage(value)
		case "":
			if lines.Text() == "" && e.Data != nil {
				if err := see(e); err != nil {
					return err
				}
				e = event{}
			}
		}
	}
	return lines.Err()
}
