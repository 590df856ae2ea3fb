package api

import (
	"strings"
	"testing"

	"github.com/resetflow/resetflow/workflow"
)

func corsHeaders(r reply) (out []string) {
	for name := range r.header {
		if strings.HasPrefix(name, "Access-Control-") {
			out = append(out, name)
		}
	}
	return out
}

func TestPreflight(t *testing.T) {
	f := start(t)
	ask := func(path, origin, method string) reply {
		return f.do("OPTIONS", path, "", "Origin", origin, "Access-Control-Request-Method", method, "Access-Control-Request-Headers", "content-type,x-api-key")
	}
	for _, path := range []string{reset + "/request-password-reset", reset + "/reset-password", auth + "/login", auth + "/logout"} {
		res := ask(path, "https://shop.test", "POST")
		h := res.header
		if res.status != 204 || h.Get("Access-Control-Allow-Origin") != "https://shop.test" || h.Get("Access-Control-Allow-Methods") != "POST" ||
			!strings.Contains(h.Get("Access-Control-Allow-Headers"), "X-Api-Key") || !strings.Contains(h.Get("Vary"), "Origin") {
			t.Errorf("%s: %d %v", path, res.status, h)
		}
		if h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s allows credentials", path)
		}
	}
	for _, origin := range []string{"https://evil.test", "null", "*", "https://shop.test/", "https://SHOP.test"} {
		res := ask(reset+"/request-password-reset", origin, "POST")
		if res.status != 403 || res.problem(t).Code != workflow.CodeOriginNotAllowed || len(corsHeaders(res)) > 0 {
			t.Errorf("%q: %d %v", origin, res.status, corsHeaders(res))
		}
	}
	for _, path := range []string{"/admin/v1/applications", reset + "/create-password-reset-link", "/healthz"} {
		if res := ask(path, "https://shop.test", "POST"); len(corsHeaders(res)) > 0 {
			t.Errorf("%s is not for browsers: %v", path, corsHeaders(res))
		}
	}
}

func TestCallFromOrigin(t *testing.T) {
	f := start(t)
	call := func(key, body string, origins ...string) reply {
		var h []string
		for _, o := range origins {
			h = append(h, "Origin", o)
		}
		f.took()
		return f.post(reset+"/request-password-reset", body, f.keys[key], h...)
	}
	if res := call("browser", someRequest, "https://shop.test"); res.status != 202 || res.header.Get("Access-Control-Allow-Origin") != "https://shop.test" ||
		!strings.Contains(res.header.Get("Access-Control-Expose-Headers"), "Retry-After") || res.header.Get("Vary") != "Origin" {
		t.Errorf("own origin: %d %v", res.status, res.header)
	}
	if res := call("browser", someRequest); res.status != 202 || len(corsHeaders(res)) > 0 {
		t.Errorf("without Origin: %d %v", res.status, corsHeaders(res))
	}
	for _, origins := range [][]string{{"https://evil.test"}, {"https://elsewhere.test"}, {"null"}, {""}, {"https://shop.test", "https://evil.test"}, {"https://shop.test.evil.test"}} {
		res := call("browser", someRequest, origins...)
		if res.status != 403 || res.problem(t).Code != workflow.CodeOriginNotAllowed || len(corsHeaders(res)) > 0 {
			t.Errorf("%q: %d %v", origins, res.status, corsHeaders(res))
		}
		if strings.Contains(f.took(), "Request") {
			t.Errorf("%q reached the engine", origins)
		}
	}
	// What is wrong with a body is readable for a page of the key, and for no other.
	if res := call("browser", `{"x":1}`, "https://shop.test"); res.status != 400 || len(corsHeaders(res)) == 0 {
		t.Errorf("a refusal to an own origin: %d %v", res.status, corsHeaders(res))
	}
	if res := call("browser", `{"x":1}`, "https://evil.test"); res.status != 403 || len(corsHeaders(res)) > 0 {
		t.Errorf("a refusal to a foreign origin: %d %v", res.status, corsHeaders(res))
	}
	if res := call("secret", someRequest, "https://shop.test"); res.status != 202 || len(corsHeaders(res)) > 0 {
		t.Errorf("a secret key in a browser: %d %v", res.status, corsHeaders(res))
	}
	for origin, granted := range map[string]bool{"https://shop.test": true, "https://evil.test": false} {
		res := f.do("GET", auth+"/session", "", "Authorization", "Bearer access.token.ok", "Origin", origin)
		if res.status != 200 || len(corsHeaders(res)) > 0 != granted {
			t.Errorf("an access token from %s: %d %v", origin, res.status, corsHeaders(res))
		}
	}
}
