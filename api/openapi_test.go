package api

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/resetflow/resetflow/workflow"
)

type operation struct {
	Summary    string           `yaml:"summary"`
	Permission string           `yaml:"x-permission"`
	Security   []map[string]any `yaml:"security"`
	Body       map[string]any   `yaml:"requestBody"`
	Responses  map[string]any   `yaml:"responses"`
	Tags       []string         `yaml:"tags"`
}

func described(t *testing.T) map[string]operation {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]yaml.Node `yaml:"paths"`
	}
	if err := yaml.Unmarshal(openAPIDocument, &doc); err != nil {
		t.Fatal(err)
	}
	out := map[string]operation{}
	for path, item := range doc.Paths {
		for method, node := range item {
			if method == "parameters" {
				continue
			}
			var op operation
			if err := node.Decode(&op); err != nil {
				t.Fatal(err)
			}
			out[strings.ToUpper(method)+" "+path] = op
		}
	}
	return out
}

var pathParam = regexp.MustCompile(`:(\w+)`)

// TestEveryRouteIsDescribed and every description has a route, with the same
// permission, credential and body.
func TestEveryRouteIsDescribed(t *testing.T) {
	ops := described(t)
	var registered []string
	for _, r := range NewServer(Deps{}).Routes() {
		if r.Method == "HEAD" || r.Method == "OPTIONS" {
			continue // they follow from GET and from CORS
		}
		name := r.Method + " " + pathParam.ReplaceAllString(r.Path, "{$1}")
		registered = append(registered, name)
		if _, ok := ops[name]; !ok {
			t.Errorf("%s is not described", name)
		}
	}
	for name := range ops {
		if !slices.Contains(registered, name) {
			t.Errorf("%s is described and does not exist", name)
		}
	}
	if len(registered) != len(table()) {
		t.Errorf("%d routes are registered, %d stand in the table", len(registered), len(table()))
	}
	for _, rt := range table() {
		name := rt.method + " " + pathParam.ReplaceAllString(rt.path, "{$1}")
		op := ops[name]
		if op.Permission != string(rt.permission) || op.Summary == "" || len(op.Tags) != 1 || len(op.Responses) == 0 {
			t.Errorf("%s: permission %q, summary %q", name, op.Permission, op.Summary)
		}
		if (op.Body != nil) != (rt.action.shape != nil) {
			t.Errorf("%s: the table and the description differ on a body", name)
		}
		public := op.Security != nil && len(op.Security) == 0
		token := len(op.Security) == 1 && op.Security[0]["accessToken"] != nil
		if public != (rt.access == open) || token != (rt.access == session) {
			t.Errorf("%s: the credential differs", name)
		}
	}
}

// TestReferencesResolve: every $ref names something.
func TestReferencesResolve(t *testing.T) {
	var doc map[string]any
	if err := yaml.Unmarshal(openAPIDocument, &doc); err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\$ref: '#/([^']+)'`).FindAllStringSubmatch(string(openAPIDocument), -1) {
		var at any = doc
		for _, part := range strings.Split(m[1], "/") {
			next, _ := at.(map[string]any)
			at = next[part]
		}
		if at == nil {
			t.Errorf("%s names nothing", m[1])
		}
	}
}

// TestDescribedStates: the description lists the domain's states and kinds.
func TestDescribedStates(t *testing.T) {
	for _, s := range workflow.States() {
		if !strings.Contains(string(openAPIDocument), string(s)) {
			t.Errorf("state %s is not described", s)
		}
	}
	for _, k := range workflow.MessageKinds() {
		if !strings.Contains(string(openAPIDocument), string(k)) {
			t.Errorf("kind %s is not described", k)
		}
	}
	f := start(t)
	if res := f.do("GET", "/openapi.yaml", ""); res.status != 200 || res.body != string(openAPIDocument) || res.header.Get("Content-Type") != "application/yaml" {
		t.Errorf("served: %d", res.status)
	}
}
