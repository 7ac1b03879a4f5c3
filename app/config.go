package app

import (
	"os"
	"path/filepath"
	"strings"
)

// Settings are what `serve` can be told: default < file < environment < flag.
type Settings struct {
	Listen    string `default:"127.0.0.1:8080" help:"Address to serve on."`
	Data      string `default:"data" type:"path" help:"Folder for the control database, the key and the SQLite backends of the first start."`
	Control   string `default:"" help:"DSN of the control database; empty: SQLite in the data folder." placeholder:"postgres://..."`
	MaxStores int    `default:"500" help:"How many storefronts of one backend are kept open."`
	LogLevel  string `default:"info" enum:"debug,info,warn,error" help:"Least severe level that is logged."`
}

func (s Settings) controlDSN() string {
	if s.Control != "" {
		return s.Control
	}
	return "sqlite:" + filepath.Join(s.Data, "control.db")
}

func (s Settings) keyFile() string   { return filepath.Join(s.Data, "master.key") }
func (s Settings) tokenFile() string { return filepath.Join(s.Data, "admin.token") }

// readToken finds the admin's token for the commands: given, or in the data folder.
func readToken(given, file string) (string, error) {
	if given != "" {
		return given, nil
	}
	text, err := os.ReadFile(file)
	return strings.TrimSpace(string(text)), err
}
