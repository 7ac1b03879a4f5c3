package planning

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"smartseller/backends"
)

// ParsePolicy reads a policy in YAML. It takes nothing that it does not know, and an
// error names the line and the key.
func ParsePolicy(text string, v Vocabulary) (*Policy, error) {
	var document yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, policyError(1, "", "the policy is empty: it wants rules, or rebalance")
	} else if err != nil {
		return nil, yamlError(err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, policyError(1, "", "the policy must be one document")
	}
	p := &Policy{Capacities: map[string]map[string]float64{}}
	root := document.Content[0]
	err := keys(root, "", map[string]func(*yaml.Node) error{
		"cool_down":  func(n *yaml.Node) (err error) { p.CoolDown, err = duration(n, "cool_down"); return err },
		"hysteresis": func(n *yaml.Node) (err error) { p.Hysteresis, err = percent(n, "hysteresis", 99); return err },
		"rules":      func(n *yaml.Node) error { return p.readRules(n, v) },
		"rebalance":  func(n *yaml.Node) error { return p.readRebalance(n, v) },
	})
	if err == nil && len(p.Rules) == 0 && p.Above == 0 {
		err = policyError(root.Line, "", "the policy proposes nothing: it wants rules, or rebalance")
	}
	if err == nil && p.CoolDown == 0 && slices.ContainsFunc(p.Rules, Rule.asksThePlace) {
		err = policyError(root.Line, "cool_down", "is missing: %s is what a storefront meets where it is, and changes when it moves", measureP95)
	}
	return p, err
}

var yamlLine = regexp.MustCompile(`line (\d+): (.*)`)

func yamlError(err error) error {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		return policyError(line, "", "is not well-formed YAML: %s", m[2])
	}
	return policyError(1, "", "is not well-formed YAML")
}

// keys hands each value of a mapping to the reader of its key, and refuses keys that have
// none. where is the mapping's own key.
func keys(n *yaml.Node, where string, readers map[string]func(*yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return policyError(n.Line, where, "must hold keys and values")
	}
	seen := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if before := seen[key.Value]; before > 0 {
			return policyError(key.Line, key.Value, "is given a second time, first in line %d", before)
		}
		seen[key.Value] = key.Line
		read := readers[key.Value]
		if read == nil {
			var known []string
			for name := range readers {
				known = append(known, name)
			}
			slices.Sort(known)
			return policyError(key.Line, key.Value, "there is no such key here; there are %s", strings.Join(known, ", "))
		}
		if err := read(n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (p *Policy) readRules(n *yaml.Node, v Vocabulary) error {
	if n.Kind != yaml.SequenceNode {
		return policyError(n.Line, "rules", "must be a list")
	}
	names := map[string]bool{}
	for _, item := range n.Content {
		r, err := readRule(item, v)
		if err != nil {
			return err
		}
		if names[r.Name] {
			return policyError(item.Line, "name", "another rule has this name")
		}
		names[r.Name] = true
		p.Rules = append(p.Rules, r)
	}
	return nil
}

func readRule(n *yaml.Node, v Vocabulary) (r Rule, err error) {
	conditions := func(all bool) func(*yaml.Node) error {
		return func(n *yaml.Node) error {
			if r.When != nil {
				return policyError(n.Line, "", "a rule has either all or any")
			}
			r.All = all
			r.When, err = readConditions(n, map[bool]string{true: "all", false: "any"}[all], v)
			return err
		}
	}
	err = keys(n, "rules", map[string]func(*yaml.Node) error{
		"name": func(n *yaml.Node) error { r.Name, err = plain(n, "name"); return err },
		"all":  conditions(true),
		"any":  conditions(false),
		"from": func(n *yaml.Node) error { r.From, err = places(n, "from", v); return err },
		"to":   func(n *yaml.Node) error { r.To, err = places(n, "to", v); return err },
	})
	switch {
	case err != nil:
		return r, err
	case r.Name == "":
		return r, policyError(n.Line, "name", "is missing")
	case len(r.When) == 0:
		return r, policyError(n.Line, "all", "is missing, or any")
	case len(r.To) == 0:
		return r, policyError(n.Line, "to", "is missing")
	}
	if a, b := r.contradicts(); a != "" {
		return r, policyError(n.Line, "all", "%s and %s never hold together", a, b)
	}
	return r, nil
}

// asksThePlace says that a rule goes by what changes with the place, so that hysteresis does
// not keep a storefront from swinging to and fro.
func (r Rule) asksThePlace() bool {
	return slices.ContainsFunc(r.When, func(c Condition) bool { return c.Measure == measureP95 })
}

// contradicts names two conditions of a rule that never hold together.
func (r Rule) contradicts() (a, b string) {
	for _, low := range r.When {
		for _, high := range r.When {
			if r.All && low.Measure == high.Measure && !low.Less && high.Less && low.Threshold >= high.Threshold {
				return low.Text, high.Text
			}
		}
	}
	return "", ""
}

var conditionForm = regexp.MustCompile(`^([a-z][a-z0-9_]*) *([<>]) *([0-9]+(?:\.[0-9]+)?) *(KiB|MiB|GiB|TiB|h|d|)$`)

func readConditions(n *yaml.Node, key string, v Vocabulary) (out []Condition, err error) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return nil, policyError(n.Line, key, "must be a list of conditions, such as [customers > 50000]")
	}
	for _, item := range n.Content {
		text, err := plain(item, key)
		if err != nil {
			return nil, err
		}
		m := conditionForm.FindStringSubmatch(text)
		if m == nil {
			return nil, policyError(item.Line, key, "must be MEASURE > NUMBER or MEASURE < NUMBER, such as customers > 50000, bytes > 2 GiB, idle > 30d")
		}
		c := Condition{Measure: m[1], Less: m[2] == "<", Text: text}
		if err := known(item.Line, key, c.Measure, append([]string{measureRows, measureIdle, measureP95, measureBytes, measureAsked, measureWrites}, v.Tables...)); err != nil {
			return nil, err
		}
		if c.Threshold, err = amount(item.Line, key, c.Measure, c.Less, m[3], m[4]); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func known(line int, key, word string, words []string) error {
	if slices.Contains(words, word) {
		return nil
	}
	return policyError(line, key, "%q is no measure; there are %s", word, strings.Join(words, ", "))
}

var units = map[string]float64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "h": 3600, "d": 86400}

// amount is a number in the unit that its measure has.
func amount(line int, key, measure string, less bool, number, unit string) (float64, error) {
	wanted := map[string][]string{measureIdle: {"h", "d"}, measureBytes: {"", "KiB", "MiB", "GiB", "TiB"}}[measure]
	if wanted == nil {
		wanted = []string{""}
	}
	if !slices.Contains(wanted, unit) {
		return 0, policyError(line, key, "%s wants a number%s", measure, map[string]string{
			measureIdle: " with h or d", measureBytes: ", or one with KiB, MiB, GiB or TiB",
		}[measure])
	}
	n, err := strconv.ParseFloat(number, 64)
	if err == nil && n == 0 && less {
		return 0, policyError(line, key, "%s is never below zero", measure)
	}
	if err != nil || n <= 0 && measure == measureIdle {
		return 0, policyError(line, key, "%s wants a number above zero", measure)
	}
	return n * units[unit], nil
}

func (p *Policy) readRebalance(n *yaml.Node, v Vocabulary) error {
	err := keys(n, "rebalance", map[string]func(*yaml.Node) error{
		"above":      func(n *yaml.Node) (err error) { p.Above, err = percent(n, "above", 100); return err },
		"capacities": func(n *yaml.Node) error { return p.readCapacities(n, v) },
	})
	if err == nil {
		p.takeHolds(v)
	}
	if err == nil && (p.Above == 0 || len(p.Capacities) == 0) {
		err = policyError(n.Line, "rebalance", "wants above, such as 80%%, and capacities, here or by smartseller backend capacity")
	}
	return err
}

// takeHolds completes the capacities with what operators said: of backends that are named, or
// of all where none is.
func (p *Policy) takeHolds(v Vocabulary) {
	all := len(p.Capacities) == 0
	for name, bytes := range v.Holds {
		if all {
			p.Capacities[name] = map[string]float64{}
		}
		if c := p.Capacities[name]; c != nil && c[measureBytes] == 0 {
			c[measureBytes] = float64(bytes)
		}
	}
}

func (p *Policy) readCapacities(n *yaml.Node, v Vocabulary) error {
	readers := map[string]func(*yaml.Node) error{}
	for name := range v.Backends {
		readers[name] = func(n *yaml.Node) error {
			p.Capacities[name] = map[string]float64{}
			measures := map[string]func(*yaml.Node) error{}
			for _, measure := range append([]string{measureShops, measureRows, measureBytes, measureAsked, measureWrites}, v.Tables...) {
				measures[measure] = func(n *yaml.Node) (err error) {
					p.Capacities[name][measure], err = capacity(n, measure)
					return err
				}
			}
			if err := keys(n, name, measures); err != nil || len(p.Capacities[name]) > 0 || v.Holds[name] > 0 {
				return err
			}
			return policyError(n.Line, name, "names no capacity, such as {storefronts: 2000}: leave the backend out, or say how much it takes")
		}
	}
	return keys(n, "capacities", readers)
}

var capacityForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) *(KiB|MiB|GiB|TiB|)$`)

func capacity(n *yaml.Node, measure string) (float64, error) {
	text, err := plain(n, measure)
	if err != nil {
		return 0, err
	}
	m := capacityForm.FindStringSubmatch(text)
	if m == nil {
		return 0, policyError(n.Line, measure, "must be a number, such as 2000, or bytes such as 200 GiB")
	}
	c, err := amount(n.Line, measure, measure, false, m[1], m[2])
	if err == nil && c <= 0 {
		err = policyError(n.Line, measure, "must be above zero")
	}
	return c, err
}

// places are backends by name or by kind; a single one need not be a list.
func places(n *yaml.Node, key string, v Vocabulary) (out []string, err error) {
	words := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		words = n.Content
	}
	for _, w := range words {
		word, err := plain(w, key)
		if err != nil {
			return nil, err
		}
		found := v.backends(word)
		if len(found) == 0 {
			return nil, policyError(w.Line, key, "%q is neither a kind of backend (%v) nor the name of a registered one, or none of that kind is registered", word, backends.Kinds())
		}
		out = append(out, found...)
	}
	if len(out) == 0 {
		return nil, policyError(n.Line, key, "names no backend")
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func plain(n *yaml.Node, key string) (string, error) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" {
		return "", policyError(n.Line, key, "must have one plain value")
	}
	return n.Value, nil
}

var durationForm = regexp.MustCompile(`^([0-9]{1,5})([hd])$`)

func duration(n *yaml.Node, key string) (time.Duration, error) {
	text, err := plain(n, key)
	if err != nil {
		return 0, err
	}
	m := durationForm.FindStringSubmatch(text)
	if m == nil {
		return 0, policyError(n.Line, key, "must be hours or days, such as 12h or 7d")
	}
	count, _ := strconv.Atoi(m[1]) // as matched
	return time.Duration(float64(count)*units[m[2]]) * time.Second, nil
}

var percentForm = regexp.MustCompile(`^([0-9]{1,3}) ?%$`)

func percent(n *yaml.Node, key string, most int) (float64, error) {
	text, err := plain(n, key)
	if err != nil {
		return 0, err
	}
	m := percentForm.FindStringSubmatch(text)
	if m == nil {
		return 0, policyError(n.Line, key, "must be per cent, such as 20%%")
	}
	count, _ := strconv.Atoi(m[1]) // as matched
	if count < 1 || count > most {
		return 0, policyError(n.Line, key, "must be from 1%% to %s", fmt.Sprintf("%d%%", most))
	}
	return float64(count) / 100, nil
}
