package app

import (
	"io"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

type configCommand struct {
	Print printConfig `cmd:"" help:"Print every setting, where it comes from, secrets masked." example:"smartseller config print"`
}

// printConfig has every setting there is, as flags.
type printConfig struct {
	Settings
	connection
}

// Run prints YAML that serves as a configuration file, but for the secrets.
func (*printConfig) Run(parsed *kong.Context, l *layers, out io.Writer) error {
	flags := map[*kong.Flag]bool{} // on the command line
	for _, p := range parsed.Path {
		if p.Flag != nil && !p.Resolved {
			flags[p.Flag] = true
		}
	}
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, flag := range parsed.Selected().Flags {
		if !flag.Tag.Has("setting") {
			continue
		}
		key, value, place := keyOf(flag.Value), flag.Target.Interface(), "default"
		if g, ok := l.find(key); ok {
			place = g.place
		}
		if flags[flag] {
			place = "flag --" + flag.Name
		}
		if secret(flag.Value) && !flag.Target.IsZero() {
			value = "***"
		}
		shown := &yaml.Node{}
		if err := shown.Encode(value); err != nil {
			return err
		}
		shown.LineComment = place
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, shown)
	}
	text, err := yaml.Marshal(root)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}
