package settings

import (
	"bytes"
	"encoding/json"
	"slices"
	"sort"
	"strings"

	"github.com/resetflow/resetflow/workflow"
)

// object is a JSON object that keeps the order of its keys.
type object []struct {
	name  string
	value any
}

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// list makes an absent list an empty one: null is no value of any key.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// The keys a flow may take besides enabled and lifetime. A policy may name them
// in either form.
const (
	keyLinkURL     = "linkUrl"
	keyDigits      = "digits"
	keyMaxAttempts = "maxAttempts"
	keyIncludeLink = "includeLink"
)

// flowKeys are p's keys besides enabled and lifetime in the JSON form.
func flowKeys(p workflow.FlowPolicy) []string {
	keys := make([]string, len(p.Settings))
	for i, key := range p.Settings {
		keys[i] = CamelCase(key)
	}
	return keys
}

func encodeFlows(set map[workflow.FlowName]workflow.FlowSettings, flows []workflow.FlowPolicy) object {
	names := make([]string, 0, len(set))
	for name := range set {
		names = append(names, string(name))
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := rank(names[i], flows), rank(names[j], flows)
		return a < b || a == b && names[i] < names[j]
	})
	out := object{}
	add := func(o *object, name string, value any) {
		*o = append(*o, struct {
			name  string
			value any
		}{name, value})
	}
	for _, name := range names {
		s := set[workflow.FlowName(name)]
		keys := shownKeys(workflow.FlowName(name), s, flows)
		one := object{{"enabled", s.Enabled}, {"lifetime", s.Lifetime}}
		for _, key := range keys {
			switch key {
			case keyLinkURL:
				add(&one, key, s.LinkURL)
			case keyDigits:
				add(&one, key, s.Digits)
			case keyMaxAttempts:
				add(&one, key, s.MaxAttempts)
			case keyIncludeLink:
				add(&one, key, s.IncludeLink)
			}
		}
		add(&out, name, one)
	}
	return out
}

// rank sorts flows as their policies are listed, unknown ones last.
func rank(name string, flows []workflow.FlowPolicy) int {
	for i, p := range flows {
		if string(p.Name) == name {
			return i
		}
	}
	return len(flows)
}

func shownKeys(name workflow.FlowName, s workflow.FlowSettings, flows []workflow.FlowPolicy) []string {
	for _, p := range flows {
		if p.Name == name {
			return flowKeys(p)
		}
	}
	var keys []string
	if s.LinkURL != "" {
		keys = append(keys, keyLinkURL)
	}
	if s.Digits != 0 || s.MaxAttempts != 0 || s.IncludeLink {
		keys = append(keys, keyDigits, keyMaxAttempts, keyIncludeLink)
	}
	return keys
}

// flowDefaults are the settings of a flow that is named without saying more.
func flowDefaults(p workflow.FlowPolicy) workflow.FlowSettings {
	return workflow.FlowSettings{
		Enabled:     p.DefaultEnabled,
		Lifetime:    workflow.Duration(p.DefaultLifetime),
		Digits:      p.DefaultDigits,
		MaxAttempts: p.DefaultAttempts,
		IncludeLink: slices.Contains(flowKeys(p), keyIncludeLink),
	}
}

// CamelCase turns a key of the YAML form into its JSON form: per_ip → perIp.
func CamelCase(snake string) string {
	parts := strings.Split(snake, "_")
	for i, p := range parts {
		if i > 0 && p != "" {
			parts[i] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "")
}

// SnakeCase turns a key of the JSON form into its YAML form: perIp → per_ip.
func SnakeCase(camel string) string {
	var b strings.Builder
	for _, c := range camel {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}
