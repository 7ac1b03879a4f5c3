// Package exporttest finds a shop's real export for tests. It is no part of the repository.
package exporttest

import (
	"os"
	"testing"
)

// Variable names the environment variable with the folder of the export, its files and
// its expected.json.
const Variable = "SHOPIFY_EXPORT"

// Folder is the folder of the export. Without one the test is skipped: others read the
// made-up shop in sample.
func Folder(t *testing.T) string {
	t.Helper()
	folder := os.Getenv(Variable)
	if folder == "" {
		t.Skipf("%s names no folder of a real export: only the made-up shop is read", Variable)
	}
	return folder
}
