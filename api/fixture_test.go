package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/clientip"
	"github.com/resetflow/resetflow/internal/settings"
	"github.com/resetflow/resetflow/workflow"
)

const adminToken = "an-admin-token-of-more-than-32-characters"

// fixture is a server on a loopback listener with its world and keys.
type fixture struct {
	*world
	t    testing.TB
	url  string
	log  *bytes.Buffer
	keys map[string]string // by name
	seen []string          // what Observe got
}

func start(t testing.TB, change ...func(*Deps)) *fixture {
	t.Helper()
	w := &world{keys: map[string]workflow.APIKey{}}
	f := &fixture{world: w, t: t, log: &bytes.Buffer{}, keys: map[string]string{}}
	var mu sync.Mutex
	d := Deps{
		Engine: engine{w}, Applications: registry{w}, Keys: keyring{w}, Users: users{w}, Sessions: sessions{w}, History: history{w},
		Requests: rows{w}, Messages: rows{w}, Trail: trail{w}, Policies: passwords{w}, Hasher: passwords{w}, Limiter: limiter{w}, Clock: clock{},
		KnownHash: func(h string) error {
			if !strings.HasPrefix(h, "$2") {
				return errors.New("unknown hash")
			}
			return nil
		},
		Flows: []workflow.FlowPolicy{
			{Name: "email_link", Origin: workflow.OriginUser, DefaultLifetime: 30 * time.Minute, MaxLifetime: 24 * time.Hour},
			{Name: "email_otp", Origin: workflow.OriginUser, DefaultLifetime: 10 * time.Minute, MaxLifetime: 24 * time.Hour},
			{Name: "direct_code", Origin: workflow.OriginOperator, DefaultLifetime: 24 * time.Hour, MaxLifetime: 24 * time.Hour},
		},
		Settings:   Settings{Decode: settings.Decode, Merge: settings.Merge, Encode: settings.Encode},
		Clients:    clientip.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}),
		AdminToken: adminToken, PublicURL: "https://id.test",
		Log: slog.New(slog.NewJSONHandler(&lockedWriter{mu: &mu, w: f.log}, nil)),
		Observe: func(method, route string, status int, _ time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			f.seen = append(f.seen, method+" "+route+" "+http.StatusText(status))
		},
	}
	for _, c := range change {
		c(&d)
	}
	all := make([]string, 0, len(Permissions()))
	for _, p := range Permissions() {
		all = append(all, string(p))
	}
	f.key("secret", workflow.KeySecret, "acme", nil, all...)
	f.key("other", workflow.KeySecret, "other", nil, all...)
	f.key("browser", workflow.KeyPublishable, "acme", []string{"https://shop.test"}, string(PermWorkflow), string(PermSessions))
	srv := httptest.NewServer(NewServer(d))
	t.Cleanup(srv.Close)
	f.url = srv.URL
	return f
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// key makes a key, past NewKey's own judgement, so that rows nobody could
// create are tried too.
func (f *fixture) key(name string, kind workflow.KeyType, app string, origins []string, permissions ...string) string {
	f.t.Helper()
	plain, row, err := NewKey("x", name, kind, []string{string(PermSessions)}, nil, testTime)
	if err != nil {
		f.t.Fatal(err)
	}
	row.ID, row.Application, row.AllowedOrigins, row.Permissions = name, app, origins, permissions
	f.world.keys[string(row.Hash)] = row
	f.keys[name] = plain
	return plain
}

// reply is an answer with its body read.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) problem(t *testing.T) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(r.body), &p); err != nil || r.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("no problem: %d %s %q", r.status, r.header.Get("Content-Type"), r.body)
	}
	return p
}

// vio writes the violations as "field=code field=code".
func (r reply) vio(t *testing.T) string {
	t.Helper()
	p := r.problem(t)
	var out []string
	for _, f := range p.Violations.Fields() {
		for _, v := range p.Violations[f] {
			out = append(out, f+"="+string(v.Code))
		}
	}
	return strings.Join(out, " ")
}

// do sends a request; headers are name, value pairs and may repeat.
func (f *fixture) do(method, path, body string, headers ...string) reply {
	f.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, f.url+path, r)
	if err != nil {
		f.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(b)}
}

// post sends JSON with a key ("" for none).
func (f *fixture) post(path, body, key string, headers ...string) reply {
	f.t.Helper()
	if key != "" {
		headers = append(headers, "Authorization", "Bearer "+key)
	}
	return f.do(http.MethodPost, path, body, append(headers, "Content-Type", "application/json")...)
}

// admin calls below /admin/v1/applications with the admin token.
func (f *fixture) admin(method, path, body string) reply {
	f.t.Helper()
	return f.do(method, "/admin/v1/applications"+path, body, "Authorization", "Bearer "+adminToken, "Content-Type", "application/json")
}
