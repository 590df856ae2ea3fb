package config

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/resetflow/resetflow/internal/settings"
	"github.com/resetflow/resetflow/internal/strictjson"
	"github.com/resetflow/resetflow/workflow"
)

// WriteApplication writes app as the YAML that [ReadApplications] reads back:
// every key, in the order of contract §10.
func WriteApplication(app workflow.Application, flows []workflow.FlowPolicy) ([]byte, error) {
	root, err := applicationTree(app, flows)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(yamlNode("", root)); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

func applicationTree(app workflow.Application, flows []workflow.FlowPolicy) (strictjson.Value, error) {
	encoded, err := settings.Encode(app, flows...)
	if err != nil {
		return strictjson.Value{}, err
	}
	return strictjson.Parse(encoded)
}

func yamlKey(path, name string) string {
	if path == "flows" {
		return name
	}
	return settings.SnakeCase(name)
}

func yamlNode(path string, v strictjson.Value) *yaml.Node {
	switch v.Kind {
	case strictjson.Object:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, m := range v.Members {
			key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: yamlKey(path, m.Name)}
			n.Content = append(n.Content, key, yamlNode(dotted(path, m.Name), m.Value))
		}
		return n
	case strictjson.Array:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if len(v.Items) == 0 {
			n.Style = yaml.FlowStyle
		}
		for _, item := range v.Items {
			n.Content = append(n.Content, yamlNode(path, item))
		}
		return n
	case strictjson.Bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(v.Bool)}
	case strictjson.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: v.Text}
	case strictjson.Null:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v.Text}
}

// Change is one key whose value differs.
type Change struct{ Key, Old, New string }

// Differences lists what changes from old to app by the keys of the YAML form,
// in their order; "" is a key that is not there.
func Differences(old, app workflow.Application, flows []workflow.FlowPolicy) ([]Change, error) {
	before, err := lines(old, flows)
	if err != nil {
		return nil, err
	}
	after, err := lines(app, flows)
	if err != nil {
		return nil, err
	}
	was, is := map[string]string{}, map[string]string{}
	for _, l := range before {
		was[l.Key] = l.New
	}
	for _, l := range after {
		is[l.Key] = l.New
	}
	var out []Change
	for _, l := range after {
		if was[l.Key] != l.New {
			out = append(out, Change{l.Key, was[l.Key], l.New})
		}
	}
	for _, l := range before {
		if _, there := is[l.Key]; !there {
			out = append(out, Change{l.Key, l.New, ""})
		}
	}
	return out, nil
}

// lines flattens an application into keys and values.
func lines(app workflow.Application, flows []workflow.FlowPolicy) ([]Change, error) {
	root, err := applicationTree(app, flows)
	if err != nil {
		return nil, err
	}
	var out []Change
	var walk func(path, shown string, v strictjson.Value)
	walk = func(path, shown string, v strictjson.Value) {
		if v.Kind == strictjson.Object {
			for _, m := range v.Members {
				walk(dotted(path, m.Name), dotted(shown, yamlKey(path, m.Name)), m.Value)
			}
			return
		}
		out = append(out, Change{Key: shown, New: inline(v)})
	}
	walk("", "", root)
	return out, nil
}

func inline(v strictjson.Value) string {
	switch v.Kind {
	case strictjson.Array:
		parts := make([]string, len(v.Items))
		for i, item := range v.Items {
			parts[i] = inline(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case strictjson.Bool:
		return fmt.Sprint(v.Bool)
	case strictjson.Number:
		return v.Text
	}
	const most = 100
	if len(v.Text) > most {
		return fmt.Sprintf("%q…", v.Text[:most])
	}
	if q := strconv.Quote(v.Text); q != `"`+v.Text+`"` || v.Text == "" || strings.ContainsAny(v.Text, " ,") {
		return q
	}
	return v.Text
}
