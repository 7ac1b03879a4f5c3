package database

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Step is a statement that goes ahead of another one, in its round trip. Arguments are in
// the server's text format.
type Step struct {
	Text string
	Args []string
}

// ahead is what goes ahead of whatever a driver sends next: statements of the extended
// protocol, as https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
// has them. The driver sees nothing of their answers, unless one is an error: then it gets
// that one in place of the answer that it awaits: the server heeds nothing more until a Sync, and
// behind that refuses all but the end of a transaction that has failed.
type ahead struct {
	send  []byte
	sent  bool
	steps int // whose completion is awaited
	syncs int // 1: a Sync is behind the steps, since a simple COMMIT follows

	over   bool // what comes now is the driver's
	failed bool
	answer int64
}

// syncMessage ends a row of extended queries: the server answers them.
var syncMessage = []byte{'S', 0, 0, 0, 4}

// newAhead encodes steps. Their statements are prepared under names, once per connection;
// names is nil where that must not be. A COMMIT in a simple query needs a Sync before it.
func newAhead(steps []Step, names map[string]string, sync bool) (*ahead, error) {
	a := &ahead{steps: len(steps), send: make([]byte, 0, 512)}
	for _, step := range steps {
		if failed := a.encode(step, names); failed != nil {
			return nil, fmt.Errorf("encode a statement: %w", failed)
		}
	}
	if sync {
		a.syncs = 1
		a.send = append(a.send, syncMessage...)
	}
	return a, nil
}

func (a *ahead) encode(step Step, names map[string]string) (err error) {
	name := names[step.Text]
	if name == "" {
		if names != nil {
			name = "smartseller_" + strconv.Itoa(len(names))
			names[step.Text] = name
			if a.send, err = (&pgproto3.Close{ObjectType: 'S', Name: name}).Encode(a.send); err != nil { // of one that was given up
				return err
			}
		}
		if a.send, err = (&pgproto3.Parse{Name: name, Query: step.Text}).Encode(a.send); err != nil {
			return err
		}
	}
	args := make([][]byte, len(step.Args))
	for i, arg := range step.Args {
		args[i] = []byte(arg)
	}
	if a.send, err = (&pgproto3.Bind{PreparedStatement: name, Parameters: args}).Encode(a.send); err != nil {
		return err
	}
	a.send, err = (&pgproto3.Execute{}).Encode(a.send)
	return err
}

// take looks at one message of the server's; pass says that it is for the driver.
func (a *ahead) take(kind byte, body []byte) (pass bool, err error) {
	switch {
	case kind == 'N' || kind == 'S' || kind == 'A': // a notice, a setting, a notification: at any time
		return true, nil
	case a.failed: // what was sent behind is refused for the same reason
		if kind != 'Z' {
			return false, nil
		}
		a.over = a.syncs == 0
		a.syncs--
		return a.over, nil
	case kind == 'E':
		a.failed = true
		a.over = a.syncs == 0
		return true, nil
	case kind == 'D':
		err = a.keep(body)
	case kind == 'C' || kind == 'I': // complete, or empty
		a.steps--
	case kind == 'Z':
		a.syncs--
	}
	a.over = a.steps == 0 && a.syncs == 0
	return false, err
}

// keep keeps the first column of a row, if it is a number.
func (a *ahead) keep(row []byte) error {
	var data pgproto3.DataRow
	if err := data.Decode(row); err != nil {
		return err
	}
	if len(data.Values) == 0 {
		return nil
	}
	if n, err := strconv.ParseInt(string(data.Values[0]), 10, 64); err == nil {
		a.answer = n
	}
	return nil
}

// withAhead is what is written for b.
func (w *wire) withAhead(b []byte) []byte {
	w.ahead.sent = true
	return append(w.ahead.send, b...)
}

// awaitsAhead says whether what is read next is an answer that the driver does not know of.
func (w *wire) awaitsAhead() bool { return w.ahead != nil && w.ahead.sent && !w.ahead.over }

// readAhead reads once, and keeps what is for the driver.
func (w *wire) readAhead() error {
	held := len(w.unread)
	w.unread = slices.Grow(w.unread, 4096)
	n, err := w.readConn(w.unread[held:cap(w.unread)])
	rest := w.unread[:held+n]
	for !w.ahead.over {
		message := firstMessage(rest)
		if message == nil {
			break
		}
		pass, failed := w.ahead.take(message[0], message[messageHeader:])
		if failed != nil {
			return failed
		}
		if pass {
			w.passed = append(w.passed, message...)
		}
		rest = rest[len(message):]
	}
	if w.ahead.over {
		w.passed, rest = append(w.passed, rest...), nil
	}
	w.unread = append(w.unread[:0], rest...)
	return err
}

// messageHeader is how long a message's kind and length are; the length counts itself.
const messageHeader = 5

// firstMessage is the message that b begins with; nil when it has not come whole.
func firstMessage(b []byte) []byte {
	if len(b) < messageHeader {
		return nil
	}
	whole := uint64(binary.BigEndian.Uint32(b[1:])) + 1
	if uint64(len(b)) < max(whole, messageHeader) {
		return nil
	}
	return b[:max(whole, messageHeader)]
}
