package app

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"
)

type versionCommand struct{ output }

// buildState is what the Go toolchain recorded of this build.
type buildState struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source
	Time     string `json:"time,omitempty"`     // of the revision
	Modified bool   `json:"modified"`           // the source had changes on top
	Go       string `json:"go"`
}

func readBuild() buildState {
	b := buildState{Version: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Go = info.GoVersion
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (b buildState) String() string {
	text := b.Version + ", built by " + b.Go
	if b.Revision != "" {
		text += fmt.Sprintf(", from %.12s of %s", b.Revision, b.Time)
	}
	if b.Modified {
		text += ", with changes"
	}
	return text
}

// Run prints the version; it needs no server.
func (c *versionCommand) Run(out io.Writer) error {
	said, err := json.Marshal(readBuild())
	if err != nil {
		return err
	}
	return answer(c.output, out, said, buildState.String)
}

// Version is the program's version as the Go toolchain recorded it.
func Version() string { return readBuild().Version }
