package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// register tells the server which backends it has, and the developer how to use them.
// It does not go through the command, whose flags every user of this machine can read.
func register(ctx context.Context, d databases, folder, program, url string) error {
	token, err := os.ReadFile(filepath.Join(folder, "admin.token"))
	if err != nil {
		return err
	}
	s := server{url: url, token: strings.TrimSpace(string(token))}
	for _, b := range []map[string]string{
		{"name": "shared", "kind": "shared-postgres", "dsn": d.sharedApp, "admin_dsn": d.sharedOwner},
		{"name": "dedicated", "kind": "dedicated-postgres", "admin_dsn": d.dedicatedAdmin},
	} { // one that is registered just so is no error
		if err := s.ask(ctx, http.MethodPost, "backends", b, nil); err != nil {
			return fmt.Errorf("register backend %s: %w", b["name"], err)
		}
	}
	target, err := s.target(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Printf(`  beside files-1 and files-2 there are a shared Postgres, "shared", and a dedicated one, "dedicated":
    export SMARTSELLER_DATA=%s SMARTSELLER_CONTROL_FILE=%s SMARTSELLER_URL=%s
    %s move start demo %s
`, quoted(folder), quoted(controlFile(folder)), url, program, target)
	return err
}

// quoted is a word of a shell.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// server is the one that serves, as an admin sees it.
type server struct{ url, token string }

// target is a Postgres that the demo storefront is not on.
func (s server) target(ctx context.Context) (string, error) {
	var demo struct{ Backend string }
	if err := s.ask(ctx, http.MethodGet, "storefronts/demo", nil, &demo); err != nil {
		return "", fmt.Errorf("find the demo storefront: %w", err)
	}
	if demo.Backend == "shared" {
		return "dedicated", nil
	}
	return "shared", nil
}

// ask sends a request, and reads the answer into out unless that is nil.
func (s server) ask(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, s.url+"/api/admin/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s: %s", response.Status, said)
	}
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(said, out)
}
