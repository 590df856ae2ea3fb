package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/resetflow/resetflow/internal/settings"
	"github.com/resetflow/resetflow/workflow"
)

// ReadApplications reads the applications of a YAML file, of every .yaml and
// .yml file of a folder, or of standard input ("-"); a file may hold several
// documents. Every line of the error names file, line and key, and how to mend it.
func ReadApplications(path string, stdin io.Reader, flows []workflow.FlowPolicy) ([]workflow.Application, error) {
	files, err := applicationFiles(path)
	if err != nil {
		return nil, err
	}
	var apps []workflow.Application
	var wrong []string
	first := map[string]string{}
	for _, file := range files {
		var body []byte
		if file == "-" {
			body, err = io.ReadAll(stdin)
			file = "standard input"
		} else {
			body, err = os.ReadFile(file)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: cannot be read: %s", file, reason(err))
		}
		read, bad := readApplications(file, body, flows)
		wrong = append(wrong, bad...)
		for _, a := range read {
			where := fmt.Sprintf("%s:%d", file, a.line)
			if other, twice := first[a.app.Slug]; twice {
				wrong = append(wrong, fmt.Sprintf("%s: application: %s stands in %s already; remove one", where, a.app.Slug, other))
				continue
			}
			first[a.app.Slug] = where
			apps = append(apps, a.app)
		}
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(wrong, "\n"))
	}
	if len(apps) == 0 {
		return nil, fmt.Errorf("%s: holds no application; start with a line \"application: acme\"", path)
	}
	return apps, nil
}

func applicationFiles(path string) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be read: %s", path, reason(err))
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be read: %s", path, reason(err))
	}
	var files []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	sort.Strings(files)
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: holds no .yaml file; name a file or a folder of applications", path)
	}
	return files, nil
}

type located struct {
	app  workflow.Application
	line int
}

func readApplications(file string, body []byte, flows []workflow.FlowPolicy) (apps []located, wrong []string) {
	docs, err := documents(body)
	if err != nil {
		return nil, []string{file + err.Error()}
	}
	for _, doc := range docs {
		c := converter{places: map[string]place{"": {line: doc.Line}}}
		c.value("", "", doc, 0)
		lines := c.wrong
		app, err := settings.Decode(c.out.Bytes(), flows)
		if err != nil && (len(lines) == 0 || workflow.AsError(err).Code == workflow.CodeViolations) {
			lines = append(lines, c.explain(workflow.AsError(err))...)
		}
		if len(lines) > 0 {
			sort.SliceStable(lines, func(i, j int) bool { return lines[i].line < lines[j].line })
			for _, l := range lines {
				wrong = append(wrong, fmt.Sprintf("%s:%d: %s", file, l.line, l.text))
			}
			continue
		}
		apps = append(apps, located{app, doc.Line})
	}
	return apps, wrong
}

// explain says a refusal in the words of the YAML form.
func (c *converter) explain(e *workflow.Error) []problemAt {
	if e.Code != workflow.CodeViolations {
		return []problemAt{{c.places[""].line, "this is not one application with keys and values"}}
	}
	var out []problemAt
	for _, path := range e.Violations.Fields() {
		p, ok := c.places[path]
		if !ok { // a key that is missing: its section's line, the key by its own name
			parent := path
			for !ok && parent != "" {
				parent = parent[:max(strings.LastIndexByte(parent, '.'), 0)]
				p, ok = c.places[parent]
			}
			p.yaml = settings.SnakeCase(path)
		}
		for _, v := range e.Violations[path] {
			out = append(out, problemAt{p.line, p.yaml + ": " + sentence(v)})
		}
	}
	return out
}

// sentence says what is wrong and how to mend it.
func sentence(v workflow.Violation) string {
	a := v.Attributes
	switch {
	case v.Code == workflow.VioUnknownField:
		return "unknown key; did you mean " + settings.SnakeCase(a["nearest"]) + "?"
	case v.Code == workflow.VioDuplicateField:
		return "stands twice; remove one"
	case v.Code == workflow.VioInvalidType:
		return "wrong type; write " + article(a["type"])
	case v.Code == workflow.VioRequired:
		return "missing; add it"
	case v.Code == workflow.VioNotUnique:
		return "stands twice in the list; remove one"
	case v.Code == workflow.VioTooSmall || v.Code == workflow.VioTooShort:
		return "too small; at least " + a["min"]
	case v.Code == workflow.VioTooLarge && a["digits"] != "":
		return "too long for " + a["digits"] + " digits; at most " + a["max"] + ", or use more digits"
	case v.Code == workflow.VioTooLarge || v.Code == workflow.VioTooLong:
		return "too large; at most " + a["max"]
	case v.Code == workflow.VioNotAvailable && a["allowed"] != "":
		return "not available in this version; use " + strings.ReplaceAll(a["allowed"], ",", " or ")
	case v.Code == workflow.VioNotAvailable:
		return "not available in this version; remove it"
	case a["allowed"] != "":
		return "not allowed here; use " + strings.ReplaceAll(a["allowed"], ",", " or ")
	case a["form"] != "":
		return "not allowed here; write " + a["form"]
	}
	for _, row := range workflow.ViolationTable() {
		if row.Code == v.Code {
			return row.Sentence
		}
	}
	return string(v.Code)
}

func article(kind string) string {
	switch kind {
	case "string":
		return "a text (in quotes if YAML reads it as something else)"
	case "integer", "array", "object", "array of strings", "array of objects":
		return map[string]string{"integer": "a whole number", "array": "a list", "object": "keys and values, or {} for the defaults",
			"array of strings": "a list of texts", "array of objects": "a list"}[kind]
	case "boolean":
		return "true or false"
	case "duration":
		return "a duration such as 15m"
	case "rate":
		return "a rate such as 5/h"
	}
	return kind
}
