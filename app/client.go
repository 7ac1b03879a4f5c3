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
	token, err := readToken(r.Token, r.tokenFile())
	if err != nil {
		return nil, fault.New(fault.Unauthorized, "no_token", "No admin token: set SMARTSELLER_TOKEN, or run the command where %s is.", r.tokenFile()).Because(err)
	}
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(string(r.URL), "/")+path, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	var unreachable *url.Error
	if errors.As(err, &unreachable) {
		return nil, fault.New(fault.Unavailable, "server_unreachable", "The server at %s does not answer: start it with `smartseller serve`, or set SMARTSELLER_URL.", r.URL).Because(err)
	}
	return response, err
}

func problem(response *http.Response) error {
	var p struct {
		Code   string        `json:"code"`
		Detail string        `json:"detail"`
		Errors []fault.Field `json:"errors"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&p); err != nil || p.Code == "" {
		return fmt.Errorf("the server answered %s, and not as SmartSeller does", response.Status)
	}
	return &fault.Error{Kind: fault.KindOfStatus(response.StatusCode), Code: p.Code, Detail: p.Detail, Fields: p.Errors}
}

// print writes an answer as indented JSON.
func print(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
