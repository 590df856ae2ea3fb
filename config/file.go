package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/resetflow/resetflow/internal/settings"
)

// readFile flattens a configuration file into keys with their lines.
func readFile(path string, body []byte, wrong *problems) map[string]entry {
	docs, err := documents(body)
	if err != nil {
		wrong.add(path + err.Error())
		return nil
	}
	if len(docs) > 1 {
		wrong.add(fmt.Sprintf("%s:%d: a second document; the configuration is one", path, docs[1].Line))
		return nil
	}
	out := map[string]entry{}
	if len(docs) == 1 {
		flatten(path, "", docs[0], out, wrong)
	}
	return out
}

func flatten(path, prefix string, n *yaml.Node, out map[string]entry, wrong *problems) {
	if n = follow(n); n.Kind != yaml.MappingNode {
		wrong.add(fmt.Sprintf("%s:%d: %smust be a list of keys with values", path, n.Line, inSection(prefix)))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], follow(n.Content[i+1])
		name := prefix + k.Value
		where := fmt.Sprintf("%s:%d", path, k.Line)
		twice := seen[name]
		seen[name] = true
		switch {
		case twice:
			wrong.add(fmt.Sprintf("%s: %s: stands twice; remove one", where, name))
		case section(name):
			if v.Kind != yaml.ScalarNode || v.Tag != "!!null" {
				flatten(path, name+".", v, out, wrong)
			}
		case !known(name):
			wrong.add(fmt.Sprintf("%s: %s: unknown key; did you mean %s?", where, show(name), nearestKey(prefix, name)))
		default:
			text, ok := scalar(v)
			if !ok {
				wrong.add(fmt.Sprintf("%s: %s: must be one value", where, name))
			}
			out[name] = entry{text, where}
		}
	}
}

func inSection(prefix string) string {
	if prefix == "" {
		return ""
	}
	return strings.TrimSuffix(prefix, ".") + ": "
}

// scalar is the text of a value; a list of plain values is joined by commas.
func scalar(v *yaml.Node) (string, bool) {
	switch {
	case v.Kind == yaml.ScalarNode && v.Tag == "!!null":
		return "", true
	case v.Kind == yaml.ScalarNode:
		return v.Value, true
	case v.Kind != yaml.SequenceNode:
		return "", false
	}
	parts := make([]string, len(v.Content))
	for i, item := range v.Content {
		if item = follow(item); item.Kind != yaml.ScalarNode {
			return "", false
		}
		parts[i] = item.Value
	}
	return strings.Join(parts, ","), true
}

func known(name string) bool {
	for _, k := range keys {
		if k.name == name || k.secret && k.fileKey() == name {
			return true
		}
	}
	return false
}

func section(name string) bool {
	for _, k := range keys {
		if strings.HasPrefix(k.name, name+".") {
			return true
		}
	}
	return false
}

// nearestKey looks among the keys of the section first, because that is where
// the writer was.
func nearestKey(prefix, name string) string {
	var all []string
	for _, k := range keys {
		if strings.HasPrefix(k.name, prefix) {
			all = append(all, k.name)
			if k.secret {
				all = append(all, k.fileKey())
			}
			if head, _, ok := strings.Cut(strings.TrimPrefix(k.name, prefix), "."); ok {
				all = append(all, prefix+head)
			}
		}
	}
	return settings.Nearest(name, all)
}

// show makes a name from a file safe to print.
func show(name string) string {
	if len(name) > 80 {
		name = name[:80]
	}
	if q := fmt.Sprintf("%q", name); q != `"`+name+`"` {
		return q
	}
	return name
}

// follow resolves an alias.
func follow(n *yaml.Node) *yaml.Node {
	for depth := 0; n.Kind == yaml.AliasNode && depth < 8; depth++ {
		n = n.Alias
	}
	return n
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// documents parses body into the roots of its documents, empty ones left out.
// The error starts with ":LINE: " or ": ".
func documents(body []byte) ([]*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(body))
	var out []*yaml.Node
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			m := yamlLine.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
			if m == nil || m[1] == "" {
				return nil, fmt.Errorf(": not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
			}
			return nil, fmt.Errorf(":%s: not YAML: %s", m[1], m[2])
		}
		if len(doc.Content) == 1 && doc.Content[0].Tag != "!!null" {
			out = append(out, doc.Content[0])
		}
	}
}
