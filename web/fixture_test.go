package web

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/resetflow/resetflow/internal/address"
	"github.com/resetflow/resetflow/internal/secret"
	"github.com/resetflow/resetflow/templates"
	"github.com/resetflow/resetflow/workflow"
)

const (
	linkCode    = "AZ2nGOc1dHqD8Q2Xn0y7mVnJp1kq3l8w5z0T4u6YbCdEfGhIjKlMnOpQrStUvWx"
	supportCode = "7K3QMA1B2C3D4E5F6G7H"
	newPassword = "correct horse battery"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type fixedClock struct{ at time.Time }

func (c *fixedClock) Now() time.Time { return c.at }

// fakeEngine notes every call and answers as told.
type fakeEngine struct {
	calls []string
	last  struct {
		request workflow.RequestInput
		proof   workflow.Proof
		reset   workflow.ResetInput
		cancel  string
		client  workflow.Client
	}
	requestErr, resendErr, introspectErr, resetErr, cancelErr error
	disowned                                                  workflow.Disowned
	receipt                                                   workflow.Receipt
}

func (e *fakeEngine) accepted(flow workflow.FlowName) workflow.Accepted {
	a := workflow.Accepted{Flow: flow, ExpiresAt: start.Add(30 * time.Minute), ResendAfter: time.Minute}
	if flow == flowOTP {
		a.RequestCode, a.ExpiresAt = "req-code-abc", start.Add(10*time.Minute)
	}
	return a
}

func (e *fakeEngine) Request(_ context.Context, app *workflow.Application, in workflow.RequestInput) (workflow.Accepted, error) {
	e.calls, e.last.request, e.last.client = append(e.calls, "request"), in, in.Client
	return e.accepted(in.Flow), e.requestErr
}

func (e *fakeEngine) Resend(_ context.Context, _ *workflow.Application, code string, _ workflow.Client) (workflow.Accepted, error) {
	e.calls = append(e.calls, "resend "+code)
	return e.accepted(flowOTP), e.resendErr
}

func (e *fakeEngine) Introspect(_ context.Context, app *workflow.Application, p workflow.Proof, _ workflow.Client) (workflow.Introspection, error) {
	e.calls, e.last.proof = append(e.calls, "introspect"), p
	return workflow.Introspection{ExpiresAt: start.Add(20 * time.Minute), Email: "ada@example.com", Policy: app.Policy}, e.introspectErr
}

func (e *fakeEngine) Reset(_ context.Context, _ *workflow.Application, in workflow.ResetInput) (workflow.Receipt, error) {
	e.calls, e.last.reset, e.last.proof = append(e.calls, "reset"), in, in.Proof
	return e.receipt, e.resetErr
}

func (e *fakeEngine) NotMe(_ context.Context, _ *workflow.Application, code string, _ workflow.Client) (workflow.Disowned, error) {
	e.calls, e.last.cancel = append(e.calls, "cancel"), code
	return e.disowned, e.cancelErr
}

// fakeApps holds applications in order.
type fakeApps []*workflow.Application

func (f fakeApps) Application(_ context.Context, slug string) (*workflow.Application, error) {
	for _, a := range f {
		if a.Slug == slug {
			return a, nil
		}
	}
	return nil, workflow.ErrNotFound
}

func (f fakeApps) ByHost(_ context.Context, host string) (*workflow.Application, error) {
	for _, a := range f {
		for _, h := range a.Hosts {
			if h == host {
				return a, nil
			}
		}
	}
	return nil, workflow.ErrNotFound
}

func (f fakeApps) List(_ context.Context, _ string, limit int) ([]workflow.Application, string, error) {
	var out []workflow.Application
	for _, a := range f {
		if len(out) < limit {
			out = append(out, *a)
		}
	}
	return out, "", nil
}

type fakePolicies struct{}

func (fakePolicies) Check(p workflow.PasswordPolicy, password string, words []string) []workflow.Violation {
	if len(password) < p.MinLength {
		return []workflow.Violation{{Code: workflow.VioTooShort}}
	}
	return nil
}

type fakeClients struct{}

func (fakeClients) Resolve(*http.Request) (netip.Addr, bool, bool) {
	return netip.MustParseAddr("203.0.113.9"), false, false
}

// site is the pages with everything behind them faked.
type site struct {
	t      *testing.T
	e      *echo.Echo
	engine *fakeEngine
	app    *workflow.Application
	clock  *fixedClock
	log    *strings.Builder
	public string
	deps   Deps
}

func newSite(t *testing.T, change ...func(*Deps, *workflow.Application)) *site {
	t.Helper()
	keys, err := secret.NewKeyring([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	texts, err := templates.New()
	if err != nil {
		t.Fatal(err)
	}
	app := workflow.DefaultApplication("acme")
	app.Name, app.RedirectURLs = "Acme", []string{"https://app.acme.test/login"}
	app.Flows[flowLink] = workflow.FlowSettings{Enabled: true, Lifetime: workflow.Duration(30 * time.Minute)}
	app.Flows[flowOTP] = workflow.FlowSettings{Enabled: true, Lifetime: workflow.Duration(10 * time.Minute), Digits: 6, MaxAttempts: 5}
	app.Flows[flowSupport] = workflow.FlowSettings{Enabled: true, Lifetime: workflow.Duration(24 * time.Hour)}
	s := &site{t: t, e: echo.New(), engine: &fakeEngine{}, app: &app, clock: &fixedClock{start}, log: &strings.Builder{}, public: "https://id.example.org"}
	s.engine.receipt = workflow.Receipt{Result: workflow.ResultLoginRequired, Revoked: workflow.Revoked{Sessions: 3}, Confirmation: "queued"}
	s.deps = Deps{
		Engine: s.engine, Applications: fakeApps{&app}, Texts: texts, Keys: keys, Clock: s.clock, Policies: fakePolicies{},
		Strength:  func(p string) int { return min(len(p)/5, 4) },
		Canonical: address.Parse, PublicURL: s.public, Clients: fakeClients{},
		Logger: slog.New(slog.NewTextHandler(s.log, nil)),
	}
	for _, c := range change {
		c(&s.deps, &app)
	}
	s.public = s.deps.PublicURL
	if err := Register(s.e, s.deps); err != nil {
		t.Fatal(err)
	}
	return s
}

// browser keeps cookies and remembers the last page.
type browser struct {
	*site
	cookies map[string]*http.Cookie
	host    string
	header  http.Header
	res     *http.Response
	body    string
}

func (s *site) browser() *browser {
	return &browser{site: s, cookies: map[string]*http.Cookie{}, host: "id.example.org", header: http.Header{}}
}

func (b *browser) do(method, path, body string, header http.Header) *browser {
	b.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = b.host
	for k, v := range b.header {
		r.Header[k] = v
	}
	for k, v := range header {
		r.Header[k] = v
	}
	for _, c := range b.cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	w := httptest.NewRecorder()
	b.e.ServeHTTP(w, r)
	b.res = w.Result()
	raw, _ := io.ReadAll(b.res.Body)
	b.body = string(raw)
	for _, c := range b.res.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c
		}
	}
	return b
}

func (b *browser) get(path string) *browser {
	b.t.Helper()
	return b.do(http.MethodGet, path, "", nil)
}

var tokenField = regexp.MustCompile(`name="form" value="([^"]+)"`)

func (b *browser) token() string {
	b.t.Helper()
	m := tokenField.FindStringSubmatch(b.body)
	if m == nil {
		b.t.Fatalf("the page has no form token:\n%s", b.body)
	}
	return m[1]
}

// post sends a form as a browser does: with the token, Origin and Sec-Fetch-Site.
func (b *browser) post(path string, fields ...string) *browser {
	b.t.Helper()
	f := url.Values{"form": {b.token()}}
	for i := 0; i+1 < len(fields); i += 2 {
		f.Set(fields[i], fields[i+1])
	}
	return b.send(path, f.Encode(), http.Header{"Origin": {b.public}, "Sec-Fetch-Site": {"same-origin"}})
}

func (b *browser) send(path, body string, h http.Header) *browser {
	b.t.Helper()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return b.do(http.MethodPost, path, body, h)
}

func (b *browser) status(want int) *browser {
	b.t.Helper()
	if b.res.StatusCode != want {
		b.t.Fatalf("status %d, want %d\n%s", b.res.StatusCode, want, b.body)
	}
	return b
}

// to checks a redirect and follows it.
func (b *browser) to(path string) *browser {
	b.t.Helper()
	b.status(http.StatusSeeOther)
	if got := b.res.Header.Get("Location"); got != path {
		b.t.Fatalf("sent to %q, want %q", got, path)
	}
	return b.get(path).status(http.StatusOK)
}

func (b *browser) holds(texts ...string) *browser {
	b.t.Helper()
	for _, s := range texts {
		if !strings.Contains(b.body, s) {
			b.t.Fatalf("the page does not hold %q:\n%s", s, b.body)
		}
	}
	return b
}

func (b *browser) holdsNot(texts ...string) *browser {
	b.t.Helper()
	for _, s := range texts {
		if strings.Contains(b.body, s) {
			b.t.Fatalf("the page holds %q:\n%s", s, b.body)
		}
	}
	return b
}

func (b *browser) called(want ...string) *browser {
	b.t.Helper()
	if strings.Join(b.engine.calls, ",") != strings.Join(want, ",") {
		b.t.Fatalf("the engine was asked %v, want %v", b.engine.calls, want)
	}
	return b
}
