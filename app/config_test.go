package app

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const someKey = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// TestSettings runs `config print` with files, variables and flags, one rule after
// the other. FOLDER in them is where the files are.
func TestSettings(t *testing.T) {
	const dsn = "postgres://me:hunter2@127.0.0.1/db?sslmode=disable"
	for name, c := range map[string]struct {
		files     map[string]string
		variables []string
		args      []string
		code      int
		says      []string
	}{
		"defaults": {says: []string{"listen: 127.0.0.1:8080 # default\n", "max_stores: 500 # default\n", "move_lease: 10s # default\n", `control: "" # default` + "\n", "log_level: info # default\n"}},
		"a file beats defaults": {
			files: map[string]string{"s.yaml": "# ours\nlisten: 127.0.0.1:1\nlog_level: warn\n"}, args: []string{"--config", "FOLDER/s.yaml"},
			says: []string{"listen: 127.0.0.1:1 # FOLDER/s.yaml:2\n", "log_level: warn # FOLDER/s.yaml:3\n", "max_stores: 500 # default\n"},
		},
		"JSON": {
			files: map[string]string{"s.json": "{\n\t\"max_stores\": 7,\n\t\"url\": \"http:\\/\\/127.0.0.1:9\"\n}\n"}, args: []string{"--config", "FOLDER/s.json"},
			says: []string{"max_stores: 7 # FOLDER/s.json:2\n", "url: http://127.0.0.1:9 # FOLDER/s.json:3\n"},
		},
		"a variable beats the file": {
			files: map[string]string{"s.yaml": "listen: 127.0.0.1:1"}, args: []string{"--config", "FOLDER/s.yaml"}, variables: []string{"LISTEN=127.0.0.1:2"},
			says: []string{"listen: 127.0.0.1:2 # SMARTSELLER_LISTEN\n"},
		},
		"a flag beats the variable": {
			variables: []string{"LISTEN=127.0.0.1:2"}, args: []string{"--listen", "127.0.0.1:3"}, says: []string{"listen: 127.0.0.1:3 # flag --listen\n"},
		},
		"a flag that says the default beats the variable": {
			variables: []string{"MAX_STORES=2"}, args: []string{"--max-stores=500"}, says: []string{"max_stores: 500 # flag --max-stores\n"},
		},
		"a variable names the file": {
			files: map[string]string{"s.yaml": "max_stores: 3"}, variables: []string{"CONFIG=FOLDER/s.yaml"}, says: []string{"max_stores: 3 # FOLDER/s.yaml:1\n"},
		},
		"a flag names another file": {
			files: map[string]string{"s.yaml": "max_stores: 3", "f.yaml": "max_stores: 4"}, variables: []string{"CONFIG=FOLDER/s.yaml"},
			args: []string{"--config=FOLDER/f.yaml"}, says: []string{"max_stores: 4 # FOLDER/f.yaml:1\n"},
		},
		"an empty file": {files: map[string]string{"s.yaml": ""}, args: []string{"--config=FOLDER/s.yaml"}, says: []string{"listen: 127.0.0.1:8080 # default\n"}},
		"secrets are masked, wherever they come from": {
			files: map[string]string{"s.yaml": "control: " + dsn}, variables: []string{"TOKEN=hunter2"}, args: []string{"--config=FOLDER/s.yaml", "--master-key", someKey},
			says: []string{"control: '***' # FOLDER/s.yaml:1\n", "token: '***' # SMARTSELLER_TOKEN\n", "master_key: '***' # flag --master-key\n"},
		},
		"a secret from a file that a variable names": {
			files: map[string]string{"dsn": dsn + "\n", "s.yaml": "control: sqlite:other.db"}, args: []string{"--config=FOLDER/s.yaml"}, variables: []string{"CONTROL_FILE=FOLDER/dsn"},
			says: []string{"control: '***' # SMARTSELLER_CONTROL_FILE (FOLDER/dsn)\n"},
		},
		"a secret from a file that the file names": {
			files: map[string]string{"key": someKey + "\n", "s.yaml": "master_key_file: FOLDER/key"}, args: []string{"--config=FOLDER/s.yaml"},
			says: []string{"master_key: '***' # FOLDER/s.yaml:1 (FOLDER/key)\n"},
		},

		"an unknown key":                {files: map[string]string{"s.yaml": "listen: 127.0.0.1:1\nlissten: x\n"}, args: []string{"--config=FOLDER/s.yaml"}, code: 78, says: []string{"FOLDER/s.yaml:2: there is no setting lissten; there are audit_days, control, data, "}},
		"an unknown key, JSON":          {files: map[string]string{"s.json": "{\n\"lissten\": 1}"}, args: []string{"--config=FOLDER/s.json"}, code: 78, says: []string{"FOLDER/s.json:2: there is no setting lissten"}},
		"a network that is none":        {variables: []string{"TRUSTED_PROXIES=10.0.0.0/8, 10.0.0.0/33"}, code: 78, says: []string{"SMARTSELLER_TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.7"}},
		"networks":                      {variables: []string{"TRUSTED_PROXIES=10.0.0.0/8,192.0.2.7"}, says: []string{"trusted_proxies: 10.0.0.0/8,192.0.2.7 # SMARTSELLER_TRUSTED_PROXIES\n"}},
		"an unknown variable":           {variables: []string{"LISSTEN=hunter2"}, code: 78, says: []string{"SMARTSELLER_LISSTEN: there is no setting lissten"}},
		"a variable in lower case":      {variables: []string{"listen=127.0.0.1:1"}, code: 78, says: []string{"SMARTSELLER_listen: there is no setting listen"}},
		"an unknown flag":               {args: []string{"--lissten=1"}, code: 64, says: []string{"unknown flag --lissten"}},
		"an option that is no setting":  {variables: []string{"MANUAL=true"}, code: 78, says: []string{"SMARTSELLER_MANUAL"}},
		"a file for what is no secret":  {variables: []string{"LISTEN_FILE=x"}, code: 78, says: []string{"SMARTSELLER_LISTEN_FILE: there is no setting listen_file"}},
		"a bad value in the file":       {files: map[string]string{"s.yaml": "max_stores: many"}, args: []string{"--config=FOLDER/s.yaml"}, code: 78, says: []string{"FOLDER/s.yaml:1: max_stores: must be a whole number"}},
		"a lease that is too short":     {files: map[string]string{"s.yaml": "move_lease: 1ms"}, args: []string{"--config=FOLDER/s.yaml"}, code: 78, says: []string{"FOLDER/s.yaml:1: move_lease: must be a duration of 1s or more"}},
		"a value that is too small":     {files: map[string]string{"s.json": `{"max_stores": 0}`}, args: []string{"--config=FOLDER/s.json"}, code: 78, says: []string{"max_stores: must be a whole number, 1 or more"}},
		"a value that is too large":     {variables: []string{"IMPORT_MIB=999999999999999999"}, code: 78, says: []string{"import_mib: must be a whole number, 1 or more and at most 1048576"}},
		"a password in the URL":         {variables: []string{"URL=http://me:hunter2@127.0.0.1"}, code: 78, says: []string{"SMARTSELLER_URL: url: must be http://HOST:PORT or https://HOST:PORT, without a user or password"}},
		"a bad value in a variable":     {variables: []string{"LOG_LEVEL=loud"}, code: 78, says: []string{"SMARTSELLER_LOG_LEVEL: log_level: must be one of debug, info, warn, error"}},
		"an empty variable":             {variables: []string{"LISTEN="}, code: 78, says: []string{"SMARTSELLER_LISTEN: listen: must be HOST:PORT"}},
		"a bad value in a flag":         {args: []string{"--listen=here"}, code: 64, says: []string{"--listen: must be HOST:PORT"}},
		"a bad value, a flag given too": {variables: []string{"LISTEN=here"}, args: []string{"--listen=127.0.0.1:1"}, code: 78, says: []string{"SMARTSELLER_LISTEN"}},
		"a DSN without sslmode":         {variables: []string{"CONTROL=postgres://me:hunter2@h/db"}, code: 78, says: []string{"SMARTSELLER_CONTROL: control: the DSN must say sslmode"}},
		"a DSN of something else":       {variables: []string{"CONTROL=mysql://me:hunter2@h/db"}, code: 78, says: []string{"control: must be sqlite:PATH or postgres://"}},
		"half a key":                    {variables: []string{"MASTER_KEY=hunter2"}, code: 78, says: []string{"master_key: must be 64 hexadecimal digits"}},
		"a URL without host":            {variables: []string{"URL=127.0.0.1:8080"}, code: 78, says: []string{"url: must be http://"}},
		"a value and its file":          {files: map[string]string{"t": "x"}, variables: []string{"TOKEN=hunter2", "TOKEN_FILE=FOLDER/t"}, code: 78, says: []string{"token is given a second time, first in SMARTSELLER_TOKEN"}},
		"a key twice":                   {files: map[string]string{"s.yaml": "listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n"}, args: []string{"--config=FOLDER/s.yaml"}, code: 78, says: []string{"FOLDER/s.yaml:2: listen is given a second time, first in FOLDER/s.yaml:1"}},
		"a secret file that is absent":  {variables: []string{"TOKEN_FILE=FOLDER/none"}, code: 78, says: []string{"SMARTSELLER_TOKEN_FILE: token_file: open FOLDER/none: no such file"}},
		"a secret file that is empty":   {files: map[string]string{"t": "\n"}, variables: []string{"TOKEN_FILE=FOLDER/t"}, code: 78, says: []string{"token_file: FOLDER/t is empty"}},
		"a file that is absent":         {args: []string{"--config=FOLDER/none"}, code: 78, says: []string{"FOLDER/none: the configuration file cannot be read"}},
		"a key without value":           {files: map[string]string{"s.yaml": "listen:\n"}, args: []string{"--config=FOLDER/s.yaml"}, code: 78, says: []string{"FOLDER/s.yaml:1: listen must have one plain value"}},
		"a list":                        {files: map[string]string{"s.json": `{"listen": ["a"]}`}, args: []string{"--config=FOLDER/s.json"}, code: 78, says: []string{"FOLDER/s.json:1: listen must have one plain value"}},
		"nested keys":                   {files: map[string]string{"s.yaml": "serve:\n  listen: x\n"}, args: []string{"--config=FOLDER/s.yaml"}, code: 78, says: []string{"FOLDER/s.yaml:1: serve must have one plain value"}},
		"no mapping":                    {files: map[string]string{"s.yaml": "- listen\n"}, args: []string{"--config=FOLDER/s.yaml"}, code: 78, says: []string{"FOLDER/s.yaml: must hold keys and values"}},
		"no mapping, JSON":              {files: map[string]string{"s.json": "[]"}, args: []string{"--config=FOLDER/s.json"}, code: 78, says: []string{"FOLDER/s.json: must hold keys and values"}},
		"broken YAML":                   {files: map[string]string{"s.yaml": "listen: [\n"}, args: []string{"--config=FOLDER/s.yaml"}, code: 78, says: []string{"FOLDER/s.yaml: yaml: line 1"}},
		"broken JSON":                   {files: map[string]string{"s.json": "{\n\"listen\": \"x\",\n}"}, args: []string{"--config=FOLDER/s.json"}, code: 78, says: []string{"FOLDER/s.json:3: is not well-formed JSON"}},
		"JSON with more behind it":      {files: map[string]string{"s.json": "{} {}"}, args: []string{"--config=FOLDER/s.json"}, code: 78, says: []string{"something follows"}},
		"two documents":                 {files: map[string]string{"s.yaml": "listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2\n"}, args: []string{"--config=FOLDER/s.yaml"}, code: 78, says: []string{"must hold one document"}},
	} {
		t.Run(name, func(t *testing.T) { // not in parallel: the environment is the process's
			folder := t.TempDir()
			place := func(text string) string { return strings.ReplaceAll(text, "FOLDER", folder) }
			for file, text := range c.files {
				require.NoError(t, os.WriteFile(filepath.Join(folder, file), []byte(place(text)), 0o600))
			}
			for _, v := range c.variables {
				key, value, _ := strings.Cut(place(v), "=")
				t.Setenv(variablePrefix+key, value)
			}
			args := []string{"config", "print"}
			for _, a := range c.args {
				args = append(args, place(a))
			}
			var out, errs bytes.Buffer
			require.Equal(t, c.code, Main(args, &out, &errs), "%s%s", &out, &errs)
			said := out.String()
			if c.code != 0 {
				require.Empty(t, said)
				said = errs.String()
			}
			for _, want := range c.says {
				require.Contains(t, said, place(want))
			}
			require.NotContains(t, said, "hunter2")
			require.NotContains(t, said, someKey)
		})
	}
}

// TestPrintedSettingsServeAsFile: what `config print` prints can be read again.
func TestPrintedSettingsServeAsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.yaml")
	var first, second, errs bytes.Buffer
	require.Zero(t, Main([]string{"config", "print", "--listen=[::1]:80", "--max-stores=9"}, &first, &errs), &errs)
	require.NoError(t, os.WriteFile(file, first.Bytes(), 0o600))
	require.Zero(t, Main([]string{"config", "print", "--config", file}, &second, &errs), &errs)
	plain := func(b bytes.Buffer) (lines []string) {
		for line := range strings.Lines(b.String()) {
			value, _, _ := strings.Cut(line, " #")
			lines = append(lines, value)
		}
		return lines
	}
	require.Equal(t, plain(first), plain(second))
	require.Contains(t, second.String(), file)
}

// TestSettingsInJSON say what the lines of YAML say.
func TestSettingsInJSON(t *testing.T) {
	t.Setenv("SMARTSELLER_TOKEN", "hunter2")
	var out, errs bytes.Buffer
	require.Zero(t, Main([]string{"config", "print", "--json", "--max-stores=9"}, &out, &errs), &errs)
	var said map[string]shownSetting
	require.NoError(t, json.Unmarshal(out.Bytes(), &said))
	require.Equal(t, shownSetting{Value: 9.0, From: "flag --max-stores"}, said["max_stores"])
	require.Equal(t, shownSetting{Value: "10s", From: "default"}, said["move_lease"])
	require.Equal(t, shownSetting{Value: "***", From: "SMARTSELLER_TOKEN"}, said["token"])
	require.NotContains(t, out.String(), "hunter2")
}

// TestHelpNamesTheVariables of every setting.
func TestHelpNamesTheVariables(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	require.Zero(t, Main([]string{"serve", "--help"}, &out, &errs))
	for _, v := range []string{"$SMARTSELLER_LISTEN", "$SMARTSELLER_CONTROL,", "$SMARTSELLER_CONTROL_FILE", "$SMARTSELLER_CONFIG"} {
		require.Contains(t, strings.Join(strings.Fields(out.String()), " "), v)
	}
}
