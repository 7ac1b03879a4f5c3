// Package app puts the program together: settings, modules, commands.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"smartseller/backends"
	"smartseller/modules/migration"
	"smartseller/platform/fault"
)

// commands is the command line. Flags that are settings are also SMARTSELLER_<NAME>
// and a key of the configuration file.
type commands struct {
	ConfigFile string `name:"config" placeholder:"FILE" help:"YAML or JSON file with settings ($SMARTSELLER_CONFIG)."`

	Serve      serveCommand      `cmd:"" help:"Serve until told to stop." example:"smartseller serve --listen 127.0.0.1:8080"`
	Storefront storefrontCommand `cmd:"" help:"Create, list and show storefronts, and when their sellers want no cutover."`
	Backend    backendCommand    `cmd:"" help:"Add, list, check and remove backends."`
	Import     importCommand     `cmd:"" help:"Import a shop's export." example:"smartseller import --storefront toys --format shopify --customers customers.csv --orders orders.csv"`
	Move       moveCommand       `cmd:"" help:"Move storefronts from one backend to another, live."`
	Plan       planCommand       `cmd:"" help:"Say which storefronts should move, and move many over days."`
	Where      whereCommand      `cmd:"" help:"Say where a storefront was at a time." example:"smartseller where demo --at 2026-03-01T12:00:00Z"`
	Schema     schemaCommand     `cmd:"" help:"Look at the tenant schema of each storefront's place, and upgrade it."`
	Doctor     doctorCommand     `cmd:"" help:"Examine the control database and every backend, and say what to do; the exit code is 0 only if all is well." example:"smartseller doctor"`
	Admin      adminCommand      `cmd:"" help:"Make admins, and let them in again."`
	Config     configCommand     `cmd:"" help:"Show the settings."`
	Version    versionCommand    `cmd:"" help:"Print the version." example:"smartseller version"`
}

// BeforeResolve reads the settings that are not flags.
func (c *commands) BeforeResolve(parsed *kong.Context, l *layers) error {
	path := ""
	for _, p := range parsed.Path {
		if p.Flag != nil && p.Flag.Name == "config" {
			path, _ = parsed.FlagValue(p.Flag).(string)
		}
	}
	return l.read(parsed.Model, os.Environ(), path)
}

// AfterApply refuses an argument that is there but empty, as a shell makes it of a
// variable that is not set: where none at all means all storefronts, it must not.
func (*commands) AfterApply(parsed *kong.Context) error {
	for _, p := range parsed.Path {
		if p.Positional != nil && slices.Contains(texts(p.Positional.Target), "") {
			return fmt.Errorf("%s is empty: say which one is meant", p.Positional.Summary())
		}
	}
	return nil
}

// texts are the texts in an argument's value.
func texts(value reflect.Value) (all []string) {
	switch value.Kind() {
	case reflect.String:
		all = append(all, value.String())
	case reflect.Slice:
		for i := range value.Len() {
			all = append(all, texts(value.Index(i))...)
		}
	}
	return all
}

type serveCommand struct{ Settings }

func (c *serveCommand) Run(ctx context.Context, out io.Writer) error {
	return serve(ctx, c.Settings, out)
}

// showExamples puts each command's example into its --help.
func showExamples(n *kong.Node) {
	for _, child := range n.Children {
		if example := child.Tag.Get("example"); example != "" {
			child.Detail = "Example: " + example
		}
		showExamples(child)
	}
}

// Main runs the program and returns its exit code: 0 done, 64 wrong usage, 78 a
// setting in the file or the environment that is not acceptable, and otherwise the
// code of the error's kind (see platform/fault). A first SIGTERM or
// SIGINT stops gracefully, a second one at once.
func Main(args []string, out, errs io.Writer) int {
	ctx, stop := untilSignal()
	defer stop()

	var c commands
	l := newLayers()
	exited := -1
	parser, err := kong.New(&c, kong.Name("smartseller"),
		kong.Description("Many storefronts, each in a backend of its choice, moved from one to another while they serve."),
		kong.Resolvers(l), kong.Bind(l), kong.ValueFormatter(helpOf), words(),
		kong.UsageOnError(), kong.Writers(out, errs), kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.BindTo(out, (*io.Writer)(nil)))
	if err != nil {
		fmt.Fprintln(errs, "smartseller:", err)
		return 70
	}
	showExamples(parser.Model.Node)
	parsed, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		fmt.Fprintln(errs, "smartseller:", err)
		if wrong := new(errSettings); errors.As(err, &wrong) {
			return 78
		}
		return 64
	}
	if err := parsed.Run(); err != nil {
		fmt.Fprintln(errs, "smartseller:", describe(err))
		return fault.Of(err).Kind.Meaning().Exit
	}
	return 0
}

// words are what commands name as ${word}.
func words() kong.Vars {
	return kong.Vars{"url": defaultURL, "data": defaultData, "kinds": joined(backends.Kinds()), "phases": joined(migration.Phases())}
}

func joined[T ~string](all []T) string {
	var texts []string
	for _, one := range all {
		texts = append(texts, string(one))
	}
	return strings.Join(texts, ", ")
}

// describe prefers the words meant for people.
func describe(err error) string {
	var e *fault.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	text := e.Detail
	for _, f := range e.Fields {
		text += "\n  " + f.String()
	}
	return text
}

// Exit is what main calls.
func Exit() { os.Exit(Main(os.Args[1:], os.Stdout, os.Stderr)) }
