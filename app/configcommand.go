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
	output
}

// shownSetting is a setting's value, masked where it is secret, and where it comes from.
type shownSetting struct {
	Value any    `json:"value"`
	From  string `json:"from"`
	key   string
}

// Run prints YAML that serves as a configuration file, but for the secrets.
func (c *printConfig) Run(parsed *kong.Context, l *layers, out io.Writer) error {
	all := shownSettings(parsed, l)
	if c.JSON {
		byKey := map[string]shownSetting{}
		for _, s := range all {
			byKey[s.key] = s
		}
		return print(out, byKey)
	}
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range all {
		shown := &yaml.Node{}
		if err := shown.Encode(s.Value); err != nil {
			return err
		}
		shown.LineComment = s.From
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: s.key}, shown)
	}
	text, err := yaml.Marshal(root)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

func shownSettings(parsed *kong.Context, l *layers) (all []shownSetting) {
	flags := map[*kong.Flag]bool{} // on the command line
	for _, p := range parsed.Path {
		if p.Flag != nil && !p.Resolved {
			flags[p.Flag] = true
		}
	}
	for _, flag := range parsed.Selected().Flags {
		if !flag.Tag.Has("setting") {
			continue
		}
		shown := shownSetting{Value: flag.Target.Interface(), From: "default", key: keyOf(flag.Value)}
		if g, ok := l.find(shown.key); ok {
			shown.From = g.place
		}
		if flags[flag] {
			shown.From = "flag --" + flag.Name
		}
		if secret(flag.Value) && !flag.Target.IsZero() {
			shown.Value = "***"
		}
		all = append(all, shown)
	}
	return all
}
