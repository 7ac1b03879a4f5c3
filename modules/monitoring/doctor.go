package monitoring

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
)

// Examination is what was found of one thing that the program stands on.
type Examination struct {
	Subject  string // "control database", or "backend" and its name
	Findings []backends.Finding
}

// Well says that nothing was found, not even a warning.
func (e Examination) Well() bool {
	for _, f := range e.Findings {
		if f.Problem != "" {
			return false
		}
	}
	return true
}

const (
	examineWithin = 20 * time.Second // one subject
	examineAtOnce = 4
	// somePlaces are the places of a backend whose schema is looked at: to look at
	// every file of a large fleet is what `schema status` does.
	somePlaces = 100
	leastSpace = 1 << 30 // bytes
)

// Examine looks at the control database and at every backend. One that does not
// answer is a finding, no error.
func (s *Service) Examine(ctx context.Context) []Examination {
	own, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	out := []Examination{{Subject: "control database", Findings: s.examineControl(own)}}
	configs, err := s.o.Directory.Configs(own)
	if err != nil {
		out[0].Findings = append(out[0].Findings, backends.Finding{
			Check: "registered backends", Problem: "cannot be read: " + err.Error(),
			Fix: "if the control database answers, this program has another master key than the one that sealed them: give it the right one",
		})
		return out
	}
	found := make([]Examination, len(configs))
	slots, looking := make(chan struct{}, examineAtOnce), sync.WaitGroup{}
	for i, cfg := range configs {
		slots <- struct{}{}
		looking.Go(func() {
			defer func() { <-slots }()
			found[i] = s.examineBackend(ctx, cfg.Name)
		})
	}
	looking.Wait()
	return append(out, found...)
}

func (s *Service) examineControl(ctx context.Context) []backends.Finding {
	checks, err := inspect(ctx, s.o.DB)
	out := make([]backends.Finding, len(checks))
	for i, c := range checks {
		out[i] = backends.Finding{Check: c.Name, Problem: c.Problem}
		if c.Problem != "" {
			out[i].Fix = "start it, or restart this program, which migrates it"
		}
	}
	if err != nil {
		return out
	}
	out[0].Found = "Postgres: any number of instances may share it"
	if !s.o.DB.Postgres() {
		out[0].Found = "SQLite: for one instance alone; several need Postgres"
	}
	clock := backends.Finding{Check: "clock", Warning: true}
	asked := time.Now()
	err = s.o.DB.View(ctx, func(_ context.Context, tx control.Tx) error {
		clock.Found, clock.Problem, clock.Fix = backends.Skew(tx.Now(), asked, time.Now())
		return nil
	})
	if err != nil {
		clock.Problem, clock.Fix = "cannot be told: "+err.Error(), "see that the control database answers"
	}
	out = append(out, clock)
	if folder := s.o.DB.Folder(); folder != "" {
		out = append(out, space(folder))
	}
	return out
}

func space(folder string) backends.Finding {
	f := backends.Finding{Check: "disk space", Warning: true}
	free, err := backends.FreeOnDisk(folder)
	if err != nil {
		f.Problem, f.Fix = "cannot be told: "+err.Error(), "see that the folder can be read"
		return f
	}
	f.Found = fmt.Sprintf("%d MiB are free", free>>20)
	if free < leastSpace {
		f.Problem, f.Fix = fmt.Sprintf("only %d MiB are free in %s", free>>20, folder), "free some space"
	}
	return f
}

func (s *Service) examineBackend(ctx context.Context, name string) Examination {
	ctx, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	e := Examination{Subject: "backend " + name}
	b, err := s.o.Directory.Backend(ctx, name)
	if err != nil {
		e.Findings = []backends.Finding{{Check: "configuration", Problem: err.Error(), Fix: "remove the backend and add it anew"}}
		return e
	}
	answers := b.Ping(ctx)
	if far := new(backends.Elsewhere); errors.As(answers, &far) {
		e.Findings = []backends.Finding{{Check: "folder", Found: "on host " + far.Host + ": a server there examines it"}}
		return e
	}
	e.Findings = b.Check(ctx)
	if answers == nil {
		e.Findings = append(e.Findings, s.examineSchema(ctx, b))
	}
	return e
}

// examineSchema looks at the schema of some places, or of all where they share one.
func (s *Service) examineSchema(ctx context.Context, b backends.Backend) backends.Finding {
	f := backends.Finding{Check: "schema", Fix: "look with `smartseller schema status`, then `smartseller schema upgrade`"}
	most := somePlaces
	if b.Shared() {
		most = 1
	}
	places, err := s.o.Directory.PlacesOn(ctx, b.Name(), most)
	if err != nil {
		f.Problem = "the places cannot be listed: " + err.Error()
		return f
	}
	behind, lost := 0, 0
	for _, p := range places {
		schema, err := b.Schema(ctx, p)
		switch {
		case err != nil:
			lost++
		case schema.Pending > 0:
			behind++
		}
	}
	if behind+lost > 0 {
		f.Problem = fmt.Sprintf("of %d places that were looked at, %d are behind and %d cannot be read", len(places), behind, lost)
		return f
	}
	f.Fix = ""
	switch {
	case len(places) == 0:
		f.Found = "there is no place yet"
	case b.Shared():
		f.Found = "current"
	case len(places) < somePlaces:
		f.Found = fmt.Sprintf("current at all %d places", len(places))
	default:
		f.Found = fmt.Sprintf("current at the first %d places; `smartseller schema status` looks at all", somePlaces)
	}
	return f
}
