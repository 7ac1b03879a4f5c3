package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"smartseller/platform/fault"
)

// remote is how a command reaches the running server.
type remote struct {
	connection
	dataFolder
}

// call sends a request and decodes the answer into out, unless that is nil. A
// problem document becomes the *fault.Error that the server meant.
func (r *remote) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return r.callLong(ctx, method, path, in, out)
}

// callLong is call for what may take as long as ctx allows.
func (r *remote) callLong(ctx context.Context, method, path string, in, out any) error {
	response, err := r.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusBadRequest {
		return problem(response)
	}
	if out == nil || response.StatusCode == http.StatusNoContent {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(out)
}

func (r *remote) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	if in == nil {
		return r.transmit(ctx, method, path, nil)
	}
	text, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return r.transmit(ctx, method, path, &message{kind: "application/json", length: int64(len(text)), content: bytes.NewReader(text)})
}

// findToken is the admin's token: given, or in the data folder.
func (r *remote) findToken() (t token, err error) {
	if r.Token != "" {
		return r.Token, nil
	}
	text, err := os.ReadFile(r.tokenFile())
	if err != nil {
		return "", fault.New(fault.Unauthorized, "no_token", "No admin token: set SMARTSELLER_TOKEN, or run the command where %s is.", r.tokenFile()).Because(err)
	}
	if err := t.UnmarshalText(text); err != nil {
		return "", fault.New(fault.Unauthorized, "no_token", "The admin token in %s %v.", r.tokenFile(), err)
	}
	return t, nil
}

// message is the body of a request.
type message struct {
	kind    string
	length  int64 // bytes
	content io.Reader
	asks    bool // whether it is welcome, before it is sent
}

// transmit sends a request, with a message unless that is nil, and with headers:
// names and values, those without a value left out.
func (r *remote) transmit(ctx context.Context, method, path string, m *message, headers ...string) (*http.Response, error) {
	token, err := r.findToken()
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(string(r.URL), "/")+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] != "" {
			request.Header.Set(headers[i], headers[i+1])
		}
	}
	if m != nil {
		request.Body, request.ContentLength = io.NopCloser(m.content), m.length
		request.Header.Set("Content-Type", m.kind)
		if m.asks {
			request.Header.Set("Expect", "100-continue")
		}
	}
	response, err := http.DefaultClient.Do(request)
	var unreachable *url.Error
	if errors.As(err, &unreachable) && ctx.Err() == nil {
		return nil, fault.New(fault.Unavailable, "server_unreachable", "The server at %s does not answer: start it with `smartseller serve`, or set SMARTSELLER_URL.", r.URL).Because(err)
	}
	return response, err
}

func problem(response *http.Response) error {
	var p struct {
		Code     string        `json:"code"`
		Detail   string        `json:"detail"`
		Errors   []fault.Field `json:"errors"`
		Instance string        `json:"instance"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&p); err != nil || p.Code == "" {
		return fmt.Errorf("the server answered %s, and not as SmartSeller does", response.Status)
	}
	kind := fault.KindOfStatus(response.StatusCode)
	if id, ok := strings.CutPrefix(p.Instance, "urn:request:"); ok && kind == fault.Internal {
		p.Detail += " The request id: " + id
	}
	return &fault.Error{Kind: kind, Code: p.Code, Detail: p.Detail, Fields: p.Errors}
}

// print writes an answer as indented JSON.
func print(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
