package api

import (
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzRoutes throws paths, bodies and headers at every route: nothing answers
// 5xx, and every refusal is a problem.
func FuzzRoutes(f *testing.F) {
	for i, body := range []string{`{}`, `{"email":"v@x.org"}`, `{"email":"v@x.org","locale":"x","flow":"\u0000"}`, `{"requestCode":"\u0000","verificationCode":"1"}`,
		`{"userId":"%00"}`, `{"name":"n","type":"secret","permissions":["users:read"]}`, `{"email":"a@b.test","password":"12345678","orgs":[]}`, "\xff", `{"refreshToken":"\ud800"}`} {
		f.Add(uint8(i*5), body, "acme", "u1", "limit=1&cursor=AA", "application/json", "198.51.100.7")
	}
	f.Add(uint8(20), "", "%00", "..", "%zz", "", "x")
	fx := start(f, func(d *Deps) { d.Log = slog.New(slog.NewTextHandler(io.Discard, nil)); d.Observe = nil })
	f.Fuzz(func(t *testing.T, n uint8, body, slug, id, query, kind, ip string) {
		routes := table()
		rt := routes[int(n)%len(routes)]
		path := strings.NewReplacer(":slug", url.PathEscape(slug), ":id", url.PathEscape(id)).Replace(rt.path)
		req, err := http.NewRequest(rt.method, fx.url+path, strings.NewReader(body))
		if err != nil {
			return
		}
		req.URL.RawQuery = strings.Map(func(r rune) rune {
			if r <= ' ' || r == 0x7f || r == '#' {
				return -1
			}
			return r
		}, query)
		key := fx.keys["secret"]
		switch rt.access {
		case session:
			key = "access.token.ok"
		case admin:
			key = adminToken
		}
		for name, v := range map[string]string{"Authorization": "Bearer " + key, "Content-Type": kind, "X-Resetflow-Client-IP": ip, "X-Resetflow-User-Agent": id} {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				return
			}
			req.Header.Set(name, v)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		if res.StatusCode >= 500 {
			t.Fatalf("%s %s: %d %s", rt.method, path, res.StatusCode, b)
		}
		if res.StatusCode >= 400 && res.Header.Get("Content-Type") != "application/problem+json" {
			t.Fatalf("%s %s: %d is no problem: %s", rt.method, path, res.StatusCode, b)
		}
	})
}
