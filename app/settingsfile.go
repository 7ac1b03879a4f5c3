package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// entry is one line of a configuration file.
type entry struct {
	key, value string
	line       int
}

// readSettings reads a flat file of settings: JSON when it is named so, else YAML.
func readSettings(path string) ([]entry, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &errSettings{path, "the configuration file cannot be read: " + err.Error()}
	}
	if filepath.Ext(path) == ".json" {
		return readJSON(path, text)
	}
	return readYAML(path, text)
}

func readYAML(path string, text []byte) ([]entry, error) {
	var document yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, &errSettings{path, err.Error()}
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, &errSettings{path, "must hold one document"}
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, &errSettings{path, "must hold keys and values"}
	}
	var entries []entry
	for i := 0; i < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if value.Kind != yaml.ScalarNode || value.Tag == "!!null" {
			return nil, notPlain(path, key.Line, key.Value)
		}
		entries = append(entries, entry{key.Value, value.Value, key.Line})
	}
	return entries, nil
}

func readJSON(path string, text []byte) ([]entry, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	line := func() int { return 1 + bytes.Count(text[:decoder.InputOffset()], []byte("\n")) }
	broken := func(err error) error {
		return &errSettings{fmt.Sprintf("%s:%d", path, line()), fmt.Sprintf("is not well-formed JSON: %v", err)}
	}
	if open, err := decoder.Token(); err != nil {
		return nil, broken(err)
	} else if open != json.Delim('{') {
		return nil, &errSettings{path, "must hold keys and values"}
	}
	var entries []entry
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, broken(err)
		}
		at := line()
		value, err := decoder.Token()
		if err != nil {
			return nil, broken(err)
		}
		switch value.(type) {
		case string, json.Number, bool:
		default:
			return nil, notPlain(path, at, fmt.Sprint(key))
		}
		entries = append(entries, entry{fmt.Sprint(key), fmt.Sprint(value), at})
	}
	if _, err := decoder.Token(); err != nil {
		return nil, broken(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, broken(errors.New("something follows the object"))
	}
	return entries, nil
}

func notPlain(path string, line int, key string) error {
	return &errSettings{fmt.Sprintf("%s:%d", path, line), key + " must have one plain value"}
}
