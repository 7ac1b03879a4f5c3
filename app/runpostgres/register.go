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
	for _, b := range []map[string]string{
		{"name": "shared", "kind": "shared-postgres", "dsn": d.sharedApp, "admin_dsn": d.sharedOwner},
		{"name": "dedicated", "kind": "dedicated-postgres", "admin_dsn": d.dedicatedAdmin},
	} {
		if err := add(ctx, url, strings.TrimSpace(string(token)), b); err != nil {
			return fmt.Errorf("register backend %s: %w", b["name"], err)
		}
	}
	_, err = fmt.Printf(`  beside files-1 and files-2 there are a shared Postgres, "shared", and a dedicated one, "dedicated":
    export SMARTSELLER_DATA=%s SMARTSELLER_CONTROL_FILE=%s SMARTSELLER_URL=%s
    %s move start demo shared
`, quoted(folder), quoted(controlFile(folder)), url, program)
	return err
}

// quoted is a word of a shell.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// add registers a backend. One that is registered just so is no error.
func add(ctx context.Context, url, token string, backend map[string]string) error {
	body, err := json.Marshal(backend)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/admin/backends", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
		return fmt.Errorf("%s: %s", response.Status, said)
	}
	return nil
}
