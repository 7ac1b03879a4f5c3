package app

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

const variablePrefix = "SMARTSELLER_"

// layers are the settings that did not come as flags: of the environment and,
// below it, of the configuration file. Every key and value in them is checked,
// whether or not the command at hand uses it.
type layers struct {
	settings          map[string]*kong.Flag // by key, such as log_level
	environment, file map[string]given
}

// given is a value and where it was given.
type given struct{ text, place string }

// errSettings is an error of the file or of a variable; Main knows its exit code.
type errSettings struct{ place, problem string }

func (e *errSettings) Error() string { return e.place + ": " + e.problem }

func newLayers() *layers {
	return &layers{settings: map[string]*kong.Flag{}, environment: map[string]given{}, file: map[string]given{}}
}

// keyOf is a flag's name in the file.
func keyOf(flag *kong.Value) string { return strings.ReplaceAll(flag.Name, "-", "_") }

func secret(flag *kong.Value) bool { return flag.Tag.Get("setting") == "secret" }

// read takes the settings of all commands from the environment and from a file,
// unless its path is "". SMARTSELLER_CONFIG may name the file instead.
func (l *layers) read(program *kong.Application, environment []string, path string) error {
	if err := l.collect(program); err != nil {
		return err
	}
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		key, ours := strings.CutPrefix(name, variablePrefix)
		switch {
		case !ours:
		case key != strings.ToUpper(key):
			return l.unknown(name, key)
		case key == "CONFIG":
			if path == "" {
				path = value
			}
		default:
			if err := l.add(l.environment, strings.ToLower(key), given{value, name}); err != nil {
				return err
			}
		}
	}
	if path == "" {
		return nil
	}
	entries, err := readSettings(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := l.add(l.file, e.key, given{e.value, fmt.Sprintf("%s:%d", path, e.line)}); err != nil {
			return err
		}
	}
	return nil
}

func (l *layers) collect(program *kong.Application) error {
	return kong.Visit(program, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok && flag.Tag.Has("setting") {
			l.settings[keyOf(flag.Value)] = flag
		}
		return next(nil)
	})
}

// add checks a value and puts it into a layer.
func (l *layers) add(layer map[string]given, key string, g given) error {
	flag := l.settings[key]
	if of, ok := strings.CutSuffix(key, "_file"); flag == nil && ok && l.settings[of] != nil && secret(l.settings[of].Value) {
		text, err := readSecret(g.text)
		if err != nil {
			return &errSettings{g.place, key + ": " + err.Error()}
		}
		flag, key, g = l.settings[of], of, given{text, g.place + " (" + g.text + ")"}
	}
	if flag == nil {
		return l.unknown(g.place, key)
	}
	if before, twice := layer[key]; twice {
		return &errSettings{g.place, fmt.Sprintf("%s is given a second time, first in %s", key, before.place)}
	}
	if err := check(flag, g.text); err != nil {
		return &errSettings{g.place, key + ": " + err.Error()}
	}
	layer[key] = g
	return nil
}

func (l *layers) unknown(place, key string) error {
	return &errSettings{place, fmt.Sprintf("there is no setting %s; there are %s", key, strings.Join(slices.Sorted(maps.Keys(l.settings)), ", "))}
}

// readSecret reads the file that a setting names for its value.
func readSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if value := strings.TrimSpace(string(text)); value != "" {
		return value, nil
	}
	return "", fmt.Errorf("%s is empty", path)
}

// check tries a value on a flag, without setting it. Its error does not repeat it.
func check(flag *kong.Flag, text string) error {
	if flag.Enum != "" {
		if !flag.EnumMap()[text] {
			return fmt.Errorf("must be one of %s", strings.Join(flag.EnumSlice(), ", "))
		}
		return nil
	}
	target := reflect.New(flag.Target.Type()).Elem()
	return flag.Mapper.Decode(&kong.DecodeContext{Value: flag.Value, Scan: kong.ScanFromTokens(kong.Token{Type: kong.FlagValueToken, Value: text})}, target)
}

// find is a setting's value below the command line.
func (l *layers) find(key string) (given, bool) {
	if g, ok := l.environment[key]; ok {
		return g, true
	}
	g, ok := l.file[key]
	return g, ok
}

// Resolve implements kong.Resolver: kong asks for each flag that was not given.
func (l *layers) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if g, ok := l.find(keyOf(flag.Value)); ok && flag.Tag.Has("setting") {
		return g.text, nil
	}
	return nil, nil
}

// Validate implements kong.Resolver; read has checked everything.
func (l *layers) Validate(*kong.Application) error { return nil }

// helpOf appends a setting's variables to its help.
func helpOf(value *kong.Value) string {
	if !value.Tag.Has("setting") {
		return kong.DefaultHelpValueFormatter(value)
	}
	name := variablePrefix + strings.ToUpper(keyOf(value))
	if secret(value) {
		return fmt.Sprintf("%s ($%s, $%s_FILE)", value.Help, name, name)
	}
	return fmt.Sprintf("%s ($%s)", value.Help, name)
}
