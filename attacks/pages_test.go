package attacks

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/flows/flowtest"
	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/internal/testkit/product"
)

// Browser is a person's browser on the pages: it keeps cookies and follows
// redirects as long as it is told to.
type Browser struct {
	x      *World
	client *http.Client
	Jar    http.CookieJar
}

// Seen is what a browser got.
type Seen struct {
	Status int
	Header http.Header
	Body   string
	Path   string // where it ended
}

// Browser opens a browser without cookies.
func (x *World) Browser() *Browser {
	x.T.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		x.T.Fatal(err)
	}
	return &Browser{x, &http.Client{Jar: jar, Timeout: 20 * time.Second}, jar}
}

// Still makes the browser show a redirect instead of following it.
func (b *Browser) Still() *Browser {
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return b
}

// Page is the path of one of the application's pages.
func (x *World) Page(name string) string { return "/apps/" + x.Slug + "/" + name }

// Do sends a request; form "" sends none. Headers named Host set the host.
func (b *Browser) Do(method, path, form string, header map[string]string) Seen {
	b.x.T.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	address := path
	if strings.HasPrefix(path, "/") {
		address = b.x.URL + path
	}
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form))
	if err != nil {
		b.x.T.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", b.x.URL)
	}
	for k, v := range header {
		if k == "Host" {
			req.Host = v
			continue
		}
		req.Header.Set(k, v)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.x.T.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.x.T.Fatal(err)
	}
	return Seen{resp.StatusCode, resp.Header, string(body), resp.Request.URL.Path}
}

// Get opens a page.
func (b *Browser) Get(path string) Seen { b.x.T.Helper(); return b.Do("GET", path, "", nil) }

var formToken = regexp.MustCompile(`name="form" value="([^"]+)"`)

// Submit sends the form of a page that was seen, with its token.
func (b *Browser) Submit(seen Seen, path string, fields url.Values) Seen {
	b.x.T.Helper()
	m := formToken.FindStringSubmatch(seen.Body)
	if m == nil {
		b.x.T.Fatalf("the page %s has no form: %d", seen.Path, seen.Status)
	}
	out := url.Values{"form": {m[1]}}
	for k, v := range fields {
		out[k] = v
	}
	return b.Do("POST", path, out.Encode(), nil)
}

// Cookie is the value of the application's cookie, "" without one.
func (b *Browser) Cookie() string {
	u, _ := url.Parse(b.x.URL + b.x.Page(""))
	for _, c := range b.Jar.Cookies(u) {
		if c.Name == "rf_"+b.x.Slug {
			return c.Value
		}
	}
	return ""
}

// Link is the address a proof's holder opens, for proofs that have one.
func (x *World) Link(p Proof) string {
	if code := p["passwordResetCode"]; code != "" {
		return x.Page("reset-password") + "?password_reset_code=" + code
	}
	return x.Page("reset-password") + "?email_auth_code=" + p["emailAuthCode"]
}

// rigRow declares an attack on the engine itself, with a clock that the test
// turns and a queue that it runs by hand: what cannot be waited for or held up
// from outside.
func rigRow(t *testing.T, id, name string, attack func(t *testing.T, r *flowtest.Rig)) {
	t.Helper()
	rowOnce(t, id, name, func(t *testing.T) {
		for _, kind := range kinds {
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				attack(t, flowtest.New(t, testkit.Open(t, database.Dialect(kind), database.Options{}), flowtest.Options{}))
			})
		}
	})
}

// serveWith runs serve with settings it should refuse, over good ones, and returns
// its exit code and what it printed. A service that starts all the same is
// killed after 15 s.
func serveWith(t *testing.T, env ...string) (code int, output string) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 15*time.Second)
	defer stop()
	dir := t.TempDir()
	cmd := exec.CommandContext(ctx, product.Build(lasting{t}), "serve")
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "RESETFLOW_LISTEN="+product.FreeAddress(t), "RESETFLOW_PUBLIC_URL=https://reset.example.test",
		"RESETFLOW_DATABASE_URL=sqlite:"+filepath.Join(dir, "reset.db"), "RESETFLOW_METRICS_LISTEN=",
		"RESETFLOW_SECRET_KEYS=QmFja2dyb3VuZE5vaXNlT2ZUaGVVbml2ZXJzZTQxNzM="), env...)
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}
