package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit/product"
)

// A storm of odd input on every route, with and without credentials: whatever
// comes is refused in an orderly way. Nothing answers 5xx, nothing panics, and
// the service works as before.
func TestInputStorm(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := start(t, kind)
			s.Application("acme", wide)
			s.Application("spare", wide)
			s.User("acme", "ada@example.com")
			key := s.Key("acme", "secret", all...)
			routes := append(described(t, s), pages()...)
			if len(routes) < 50 {
				t.Fatalf("only %d routes were found", len(routes))
			}
			sent := &storm{t: t, address: strings.TrimPrefix(s.URL, "http://"), statuses: map[int]int{}}
			work := make(chan target, len(routes))
			for _, rt := range routes {
				work <- rt
			}
			close(work)
			var wg sync.WaitGroup
			for range 4 { // several routes at once, but one call on each: what races answer is another matter
				wg.Go(func() {
					for rt := range work {
						bearer := key
						if strings.HasPrefix(rt.path, "/admin/") {
							bearer = s.Admin
						}
						sent.route(rt, bearer)
					}
				})
			}
			wg.Wait()
			t.Logf("%d calls on %d routes: %v", sent.count(), len(routes), sent.statuses)
			if sent.count() < 3000 {
				t.Errorf("only %d calls were answered", sent.count())
			}
			idle(t, s, "acme", settled)
			if got := s.Call("GET", "/readyz", "", "", nil); got.Status != http.StatusOK {
				t.Errorf("after the storm readyz answers %d %s", got.Status, got.Body)
			}
			s.Stop()
			for _, line := range strings.Split(s.Log.String(), "\n") {
				if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, "panic") {
					t.Errorf("the log says: %.500s", line)
				}
			}
		})
	}
}

// target is a route with a body that would be right, but for its secrets.
type target struct {
	method, path string
	body         map[string]any
	form         bool
}

func (rt target) valid() string {
	if rt.body == nil {
		return ""
	}
	raw, err := json.Marshal(rt.body)
	if err != nil {
		panic(err) // a mistake in the table below
	}
	return string(raw)
}

// samples are bodies by the end of a route's path.
var samples = map[string]map[string]any{
	"/request-password-reset":     {"email": "ada@example.com", "flow": "email_link", "locale": "en", "redirectUrl": "https://app.acme.test/login", "challenge": "x"},
	"/resend":                     {"requestCode": "x"},
	"/create-password-reset-link": {"email": "ada@example.com", "reason": "x", "redirectUrl": "https://app.acme.test/login"},
	"/introspect":                 {"emailAuthCode": "x"},
	"/reset-password":             {"requestCode": "x", "verificationCode": "123456", "newPassword": NewPassword, "skipPasswordUpdatedEmail": false, "secondFactorCode": "x"},
	"/create-auth-session":        {"authSessionCode": "x"},
	"/check-password":             {"password": "x"},
	"/login":                      {"email": "ada@example.com", "password": "x"},
	"/refresh":                    {"refreshToken": "x"},
	"/applications":               {"application": "new", "name": "x", "locale": "en", "redirectUrls": []string{"https://a.test"}, "limits": map[string]any{"perIp": "5/h"}, "mail": map[string]any{"from": "x@y.test"}},
	"/applications/spare":         {"name": "x", "locale": "en", "flows": map[string]any{"email_otp": map[string]any{"enabled": true, "digits": 6}}, "resendAfter": "1m"},
	"/users":                      {"email": "new@example.com", "password": NewPassword, "locale": "en", "name": "x", "orgs": []string{"x"}, "disabled": true},
	"/users/" + nobody:            {"email": "new@example.com", "name": "x"},
	"/keys":                       {"name": "x", "type": "publishable", "permissions": []string{"sessions:execute"}, "allowedOrigins": []string{"https://a.test"}},
}

const nobody = "01890a5d-ac96-774b-bcce-b302099a8057"

// described reads the routes of the API from its own description.
func described(t *testing.T, s *product.Server) []target {
	t.Helper()
	var out []target
	path := ""
	for _, line := range strings.Split(string(s.Call("GET", "/openapi.yaml", "", "", nil).Body), "\n") {
		word, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case !ok || rest != "":
		case strings.HasPrefix(line, "  /"):
			slug := "acme"
			if strings.HasSuffix(word, "/applications/{slug}") { // may be deleted
				slug = "spare"
			}
			path = strings.NewReplacer("{slug}", slug, "{id}", nobody).Replace(word)
		case path != "" && strings.HasPrefix(line, "    ") && line[4] != ' ' && strings.Contains(" get post put patch delete ", " "+word+" "):
			out = append(out, target{method: strings.ToUpper(word), path: path, body: sample(path)})
		}
	}
	return out
}

func sample(path string) map[string]any {
	longest := ""
	for end := range samples {
		if strings.HasSuffix(path, end) && len(end) > len(longest) {
			longest = end
		}
	}
	return samples[longest]
}

// pages are the routes for people.
func pages() []target {
	var out []target
	for _, path := range []string{"/", "/.well-known/change-password", "/static/x.css", "/static/theme/x.css", "/forgot-password", "/nothing",
		"/apps/acme/forgot-password", "/apps/acme/forgot-password/sent", "/apps/acme/reset-password", "/apps/acme/reset-password/code", "/apps/acme/resend",
		"/apps/acme/check-password", "/apps/acme/not-me", "/apps/none/forgot-password", "/apps/acme/nothing"} {
		for _, method := range []string{"GET", "POST"} {
			out = append(out, target{method: method, path: path, form: true, body: map[string]any{
				"email": "ada@example.com", "code": "123456", "newPassword": NewPassword, "confirmPassword": NewPassword, "token": "x", "request": "x", "password": "x"}})
		}
	}
	return out
}

// storm sends what an ordinary client would not.
type storm struct {
	t        *testing.T
	address  string
	mu       sync.Mutex
	statuses map[int]int
}

func (s *storm) count() int {
	n := 0
	for _, c := range s.statuses {
		n += c
	}
	return n
}

// route sends everything odd to one route.
func (s *storm) route(rt target, bearer string) {
	for name, body := range bodies(rt) {
		s.send(rt, name, rt.path, bearer, body)
	}
	for name, head := range heads(bearer) {
		s.raw(rt, name, rt.method+" "+rt.path+" HTTP/1.1\r\nHost: x\r\n"+head+"\r\n")
	}
	for _, path := range paths(rt.path) {
		s.send(rt, "odd path "+path, path, bearer, []byte(rt.valid()))
	}
}

func (s *storm) send(rt target, what, path, bearer string, body []byte) {
	contentType := "application/json"
	if rt.form {
		contentType = "application/x-www-form-urlencoded"
	}
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n", rt.method, path, bearer, contentType, len(body))
	s.raw(rt, what, head+"\r\n"+string(body))
}

// raw writes a request as it is and judges the answer. A connection cut without
// an answer is an answer, too, where the request is no HTTP.
func (s *storm) raw(rt target, what, request string) {
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Errorf("%s %s: %s: %v", rt.method, rt.path, what, err)
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	go func() { _, _ = io.WriteString(conn, request) }() // the answer may come before the end
	got, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: rt.method})
	status := 0
	if err == nil {
		status = got.StatusCode
		_ = got.Body.Close()
	} else if n, ok := err.(net.Error); ok && n.Timeout() {
		s.t.Errorf("%s %s: %s: no answer", rt.method, rt.path, what)
	}
	s.mu.Lock()
	s.statuses[status]++
	s.mu.Unlock()
	if status >= http.StatusInternalServerError {
		s.t.Errorf("%s %s: %.200s: answered %d", rt.method, rt.path, what, status)
	}
}
