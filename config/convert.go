package config

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/resetflow/resetflow/internal/settings"
	"github.com/resetflow/resetflow/internal/strictjson"
)

// place is where a key of the JSON form stands in the YAML form.
type place struct {
	line int
	yaml string // its dotted path in the YAML's own words
}

type problemAt struct {
	line int
	text string
}

// converter turns a YAML document into the JSON form and remembers the places.
type converter struct {
	out    bytes.Buffer
	places map[string]place
	wrong  []problemAt
	nodes  int
}

var wholeNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// The document may be no larger than what the strict reader takes; aliases
// could otherwise make a small file endless.
const maxNodes = strictjson.MaxValues

func (c *converter) fail(line int, text string) {
	c.wrong = append(c.wrong, problemAt{line, text})
	c.out.WriteString("null")
}

func (c *converter) value(path, yamlPath string, n *yaml.Node, depth int) {
	n = follow(n)
	if c.nodes++; c.nodes > maxNodes || depth > strictjson.MaxDepth {
		if c.nodes == maxNodes+1 || depth == strictjson.MaxDepth+1 {
			c.wrong = append(c.wrong, problemAt{n.Line, "larger or deeper than any application; shorten it"})
		}
		c.out.WriteString("null")
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		c.mapping(path, yamlPath, n, depth)
	case yaml.SequenceNode:
		c.out.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				c.out.WriteByte(',')
			}
			number := strconv.Itoa(i)
			c.places[dotted(path, number)] = place{item.Line, dotted(yamlPath, number)}
			c.value(dotted(path, number), dotted(yamlPath, number), item, depth+1)
		}
		c.out.WriteByte(']')
	case yaml.ScalarNode:
		c.scalar(yamlPath, n)
	default:
		c.fail(n.Line, yamlPath+": an alias within itself; write the value out")
	}
}

func (c *converter) mapping(path, yamlPath string, n *yaml.Node, depth int) {
	c.out.WriteByte('{')
	seen := map[string]bool{}
	first := true
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := follow(n.Content[i]), n.Content[i+1]
		name := k.Value
		below := dotted(yamlPath, show(name))
		switch {
		case k.Kind != yaml.ScalarNode || k.Tag != "!!str":
			c.wrong = append(c.wrong, problemAt{k.Line, below + ": a key must be a plain word"})
			continue
		case seen[name]:
			c.wrong = append(c.wrong, problemAt{k.Line, below + ": stands twice; remove one"})
			continue
		}
		seen[name] = true
		key := name
		if path != "flows" { // the names of flows stay as they are
			key = settings.CamelCase(name)
			if snake := settings.SnakeCase(key); snake != name {
				c.wrong = append(c.wrong, problemAt{k.Line, below + ": unknown key; did you mean " + show(snake) + "?"})
				continue
			}
		}
		if !first {
			c.out.WriteByte(',')
		}
		first = false
		c.text(key)
		c.out.WriteByte(':')
		at := dotted(path, strictjson.FieldName(key))
		c.places[at] = place{k.Line, below}
		c.value(at, below, v, depth+1)
	}
	c.out.WriteByte('}')
}

func (c *converter) scalar(yamlPath string, n *yaml.Node) {
	switch n.Tag {
	case "!!null":
		c.out.WriteString("null")
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			c.fail(n.Line, yamlPath+": write true or false")
			return
		}
		c.out.WriteString(strconv.FormatBool(b))
	case "!!int", "!!float":
		if wholeNumber.MatchString(n.Value) {
			c.out.WriteString(n.Value)
			return
		}
		c.text(n.Value) // 0x10, 1_000, 6.0: no setting takes them
	case "!!str", "!!timestamp":
		c.text(n.Value)
	default:
		c.fail(n.Line, yamlPath+": the tag "+show(n.Tag)+" is not known; remove it")
	}
}

func (c *converter) text(s string) {
	b, err := json.Marshal(s)
	if err != nil { // a string always encodes
		b = []byte(`""`)
	}
	c.out.Write(b)
}

func dotted(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
