package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit/product"
)

// An exchange script is a readable file: what is sent, what is answered, and
// what was emitted, nothing else. Its lines are
//
//	# a comment
//	app {"resendAfter": "60s"}                 settings over the test's own
//	user ada@example.com                       an account
//	POST /path as secret                       a call; as secret, publishable, admin, nobody or $name
//	header X-Name: value                       more headers
//	{"email": "ada@example.com"}               its body, $name replaced
//	=> 202                                     the status
//	{"result": "ACCEPTED", "expiresAt": "<time>"}   the whole answer; <time>, <any>, <int> match
//	emits reset_link ada@example.com           every mail since the last call, in any order; or: emits nothing
//	take code = mail email_auth_code           from the last mail: a link's parameter, or: mail digits
//	take rc = answer requestCode               from the answer
//
// Without an "emits" line a call must emit nothing.
type step struct {
	line           int
	method, path   string
	as             string
	headers        map[string]string
	body           string
	status         int
	want           string
	emits          []string
	takes          [][2]string
	app, user      string
	wantIsExpected bool
}

func read(t *testing.T, file string) []step {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	var cur *step
	var block *string
	for n, line := range strings.Split(string(raw), "\n") {
		text := strings.TrimSpace(line)
		word, rest, _ := strings.Cut(text, " ")
		switch {
		case text == "" || strings.HasPrefix(text, "#"):
			block = nil
		case word == "app":
			steps = append(steps, step{line: n + 1, app: rest})
		case word == "user":
			steps = append(steps, step{line: n + 1, user: rest})
		case word == "GET" || word == "POST" || word == "PATCH" || word == "DELETE" || word == "PUT":
			path, as, _ := strings.Cut(rest, " as ")
			steps = append(steps, step{line: n + 1, method: word, path: path, as: as, headers: map[string]string{}})
			cur = &steps[len(steps)-1]
			block = &cur.body
		case word == "header":
			k, v, _ := strings.Cut(rest, ": ")
			cur.headers[k] = v
		case word == "=>":
			if _, err := fmt.Sscan(rest, &cur.status); err != nil {
				t.Fatalf("%s:%d: %v", file, n+1, err)
			}
			block, cur.wantIsExpected = &cur.want, true
		case word == "emits":
			if rest != "nothing" {
				cur.emits = append(cur.emits, rest)
			}
		case word == "take":
			name, what, _ := strings.Cut(rest, " = ")
			cur.takes = append(cur.takes, [2]string{name, what})
		case block != nil:
			*block += text
		default:
			t.Fatalf("%s:%d: cannot read %q", file, n+1, text)
		}
	}
	return steps
}

func TestExchanges(t *testing.T) {
	files, err := filepath.Glob("exchanges/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no exchange scripts", err)
	}
	for _, db := range []string{"sqlite", "postgres"} {
		t.Run(db, func(t *testing.T) {
			s := start(t, db)
			for i, file := range files {
				t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { play(t, s, file, fmt.Sprintf("app%d", i)) })
			}
		})
	}
}

func play(t *testing.T, shared *product.Server, file, slug string) {
	s := shared.For(t)
	steps := read(t, file)
	over := map[string]any{}
	for _, st := range steps {
		if st.app != "" {
			if err := json.Unmarshal([]byte(st.app), &over); err != nil {
				t.Fatalf("%s:%d: %v", file, st.line, err)
			}
		}
	}
	s.Application(slug, over)
	vars := map[string]string{
		"slug": slug, "old": OldPassword, "new": NewPassword,
		"secret":      s.Key(slug, "secret", "password-reset-workflow:execute", "password-reset-link:create", "sessions:execute", "users:read"),
		"publishable": s.Key(slug, "publishable", "password-reset-workflow:execute", "sessions:execute"),
		"admin":       s.Admin, "nobody": "",
	}
	seen := 0
	for _, st := range steps {
		at := fmt.Sprintf("%s:%d", file, st.line)
		switch {
		case st.user != "":
			s.User(slug, fill(st.user, vars))
		case st.method != "":
			bearer := vars[strings.TrimPrefix(st.as, "$")]
			for k, v := range st.headers {
				st.headers[k] = fill(v, vars)
			}
			got := s.Call(st.method, fill(st.path, vars), bearer, fill(st.body, vars), st.headers)
			if got.Status != st.status {
				t.Fatalf("%s: answered %d, want %d: %s", at, got.Status, st.status, got.Body)
			}
			if st.want != "" {
				var want any
				if err := json.Unmarshal([]byte(fill(st.want, vars)), &want); err != nil {
					t.Fatalf("%s: the expectation is not JSON: %v", at, err)
				}
				if diff := differ("", want, got.JSON); diff != "" {
					t.Errorf("%s: %s\ngot %s", at, diff, got.Body)
				}
			} else if st.wantIsExpected && len(got.Body) > 0 && st.status == http.StatusNoContent {
				t.Errorf("%s: an answer where none is due: %s", at, got.Body)
			}
			emitted := emitted(t, s, slug, at)
			fresh := emitted[seen:]
			seen = len(emitted)
			if !same(fresh, st.emits, vars) {
				t.Errorf("%s: emitted %q, want %q", at, fresh, st.emits)
			}
			for _, take := range st.takes {
				vars[take[0]] = taken(t, s, at, take[1], got, fresh)
			}
		}
	}
}

func fill(text string, vars map[string]string) string {
	names := make([]string, 0, len(vars))
	for name := range vars {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool { return len(names[i]) > len(names[j]) })
	for _, name := range names {
		text = strings.ReplaceAll(text, "$"+name, vars[name])
	}
	return text
}

// emitted waits until every job of the application is done, and lists the
// ledger as "kind address", oldest first.
func emitted(t *testing.T, s *product.Server, slug, at string) []string {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(15 * time.Millisecond) {
		requests := s.Must(http.StatusOK, "GET", "/admin/v1/applications/"+slug+"/reset-requests?state=requested", nil)
		messages := s.Must(http.StatusOK, "GET", "/admin/v1/applications/"+slug+"/messages?limit=200", nil)
		waiting := len(requests["items"].([]any))
		var out []string
		items := messages["items"].([]any)
		for i := len(items) - 1; i >= 0; i-- {
			m := items[i].(map[string]any)
			if m["state"] == "queued" {
				waiting++
			}
			out = append(out, fmt.Sprint(m["kind"], " ", m["to"]))
		}
		if waiting == 0 {
			return out
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %d jobs or messages still wait: %s", at, waiting, s.Log)
		}
	}
}

func same(got, want []string, vars map[string]string) bool {
	a, b := append([]string{}, got...), []string{}
	for _, w := range want {
		b = append(b, fill(w, vars))
	}
	sort.Strings(a)
	sort.Strings(b)
	return reflect.DeepEqual(a, b)
}

func taken(t *testing.T, s *product.Server, at, what string, got product.Answer, fresh []string) string {
	t.Helper()
	from, name, _ := strings.Cut(what, " ")
	if from == "answer" {
		cur := got.JSON
		for _, part := range strings.Split(name, ".") {
			m, _ := cur.(map[string]any)
			cur = m[part]
		}
		text, ok := cur.(string)
		if !ok {
			t.Fatalf("%s: the answer has no text %s", at, name)
		}
		return text
	}
	if len(fresh) == 0 {
		t.Fatalf("%s: no mail to take %s from", at, name)
	}
	kind, to, _ := strings.Cut(fresh[len(fresh)-1], " ")
	text := s.SMTP.Wait(t, to, kind).Text
	code := product.LinkCode(text, name)
	if name == "digits" {
		code = product.Digits(text)
	}
	if code == "" {
		t.Fatalf("%s: no %s in the mail", at, name)
	}
	return code
}

// differ compares an answer with its expectation, texts in angle brackets matching loosely.
func differ(path string, want, got any) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return path + " is not an object"
		}
		for k := range g {
			if _, known := w[k]; !known {
				return path + "." + k + " was not expected"
			}
		}
		for k, v := range w {
			if d := differ(path+"."+k, v, g[k]); d != "" {
				return d
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Sprintf("%s has %v", path, got)
		}
		for i := range w {
			if d := differ(fmt.Sprintf("%s[%d]", path, i), w[i], g[i]); d != "" {
				return d
			}
		}
		return ""
	case string:
		text, isText := got.(string)
		switch w {
		case "<any>":
			if got == nil {
				return path + " is missing"
			}
			return ""
		case "<int>":
			if _, ok := got.(float64); !ok {
				return fmt.Sprintf("%s is %v, want a number", path, got)
			}
			return ""
		case "<time>":
			if at, err := time.Parse(time.RFC3339, text); !isText || err != nil || at.Location() != time.UTC || !strings.HasSuffix(text, "Z") {
				return fmt.Sprintf("%s is %v, want a time in UTC", path, got)
			}
			return ""
		}
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Sprintf("%s is %v, want %v", path, got, want)
	}
	return ""
}
