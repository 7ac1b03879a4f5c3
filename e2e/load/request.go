package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"
)

// errNoAnswer says that a request may or may not have had its effect; errWrong that
// its answer was not acceptable. Either is in the journal already.
var (
	errNoAnswer = errors.New("no answer")
	errWrong    = errors.New("a wrong answer")
)

// request is one request and what is acceptable as its answer.
type request struct {
	kind   Kind
	method string
	path   string // behind the storefront's
	token  string
	match  string // If-Match
	key    string // Idempotency-Key
	body   any
	want   []int // statuses
	object string
	value  string        // that is written
	read   func() string // says, once the answer is decoded, what was read
	// problem is what a refusal that was wanted is decoded into.
	problem any
}

// send sends a request and reads the answer into out. The journal gets a record,
// whatever happens.
func (l *Load) send(ctx context.Context, c *customer, r request, out any) (status int, header http.Header, err error) {
	record := Record{Kind: r.kind, Server: l.o.Server(), Customer: c.email, Object: r.object, Value: r.value, Start: time.Now()}
	answer, err := l.exchange(ctx, record.Server, r)
	record.Took = time.Since(record.Start)
	switch {
	case err != nil && l.o.Restarts && !overdue(err):
		err = errors.Join(errNoAnswer, err)
	case err != nil:
		record.Failure, err = err.Error(), errors.Join(errWrong, err)
	default:
		record.Status = answer.StatusCode
		if err = answer.accept(r.want, out, r.problem); err != nil {
			record.Failure, err = err.Error(), errors.Join(errWrong, err)
		} else if r.read != nil && record.Status < http.StatusBadRequest {
			record.Value = r.read()
		}
	}
	l.journal.add(record)
	if answer == nil {
		return 0, nil, err
	}
	return answer.StatusCode, answer.Header, err
}

// overdue says that the answer was waited for in vain: what a killed server owes
// fails at once.
func overdue(err error) bool {
	var slow net.Error
	return errors.As(err, &slow) && slow.Timeout()
}

// neverAsked says that no server was reached, which therefore did nothing.
func neverAsked(err error) bool {
	var wire *net.OpError
	return errors.As(err, &wire) && wire.Op == "dial"
}

// answer is a response whose body has come in whole.
type answer struct {
	*http.Response
	text []byte
}

func (l *Load) exchange(ctx context.Context, server string, r request) (*answer, error) {
	var body io.Reader
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	asked, err := http.NewRequestWithContext(ctx, r.method, server+"/api/storefront/"+l.o.Storefront+r.path, body)
	if err != nil {
		return nil, err
	}
	if r.body != nil {
		asked.Header.Set("Content-Type", "application/json")
	}
	if r.token != "" {
		asked.Header.Set("Authorization", "Bearer "+r.token)
	}
	if r.match != "" {
		asked.Header.Set("If-Match", r.match)
	}
	if r.key != "" {
		asked.Header.Set("Idempotency-Key", r.key)
	}
	response, err := l.o.Client.Do(asked)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	return &answer{response, text}, nil
}

// accept decodes an answer that was wanted, which may be a problem, and describes any
// other.
func (a *answer) accept(want []int, out, problem any) error {
	if !slices.Contains(want, a.StatusCode) {
		var problem struct{ Code, Detail, Instance string }
		if err := json.Unmarshal(a.text, &problem); err != nil {
			return fmt.Errorf("status %d with a body that is no problem document", a.StatusCode)
		}
		return fmt.Errorf("status %d %s: %s (%s)", a.StatusCode, problem.Code, problem.Detail, problem.Instance)
	}
	if a.StatusCode >= http.StatusBadRequest {
		out = problem
	}
	if out == nil || len(a.text) == 0 {
		return nil
	}
	return json.Unmarshal(a.text, out)
}
