package attacks

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestWEBMore(t *testing.T) {
	row(t, "WEB-x1", "Forms of other sites", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		b := x.Browser()
		seen := b.Get(x.Link(p))
		token := formToken.FindStringSubmatch(seen.Body)[1]
		body := form("form", token, "newPassword", NewPassword).Encode()
		for name, header := range map[string]map[string]string{
			"a foreign origin":      {"Origin": "https://evil.example.org"},
			"no origin at all":      {"Origin": "null"},
			"a sibling":             {"Origin": "http://evil." + strings.TrimPrefix(x.URL, "http://")},
			"another port":          {"Origin": "http://127.0.0.1:1"},
			"a cross-site fetch":    {"Origin": x.URL, "Sec-Fetch-Site": "cross-site"},
			"a same-site fetch":     {"Origin": x.URL, "Sec-Fetch-Site": "same-site"},
			"text/plain":            {"Content-Type": "text/plain"},
			"multipart":             {"Content-Type": "multipart/form-data; boundary=x"},
			"JSON":                  {"Content-Type": "application/json"},
			"an encoded body":       {"Content-Encoding": "gzip"},
			"another character set": {"Content-Type": "application/x-www-form-urlencoded; charset=utf-7"},
		} {
			got := b.Do("POST", x.Page("reset-password"), body, header)
			if got.Status != http.StatusForbidden && got.Status != http.StatusUnsupportedMediaType {
				t.Errorf("%s: %d", name, got.Status)
			}
		}
		stranger := x.Browser()
		other := formToken.FindStringSubmatch(stranger.Get(x.Page("forgot-password")).Body)[1]
		for name, f := range map[string]url.Values{"no token": form("newPassword", NewPassword), "an empty one": form("form", "", "newPassword", NewPassword),
			"another visitor's": form("form", other, "newPassword", NewPassword), "a changed one": form("form", token[1:]+"A", "newPassword", NewPassword), "two": {"form": {token, token}, "newPassword": {NewPassword}},
			"two passwords": {"form": {token}, "newPassword": {NewPassword, "x"}}} {
			if got := b.Do("POST", x.Page("reset-password"), f.Encode(), nil); got.Status != http.StatusForbidden && got.Status != http.StatusBadRequest {
				t.Errorf("%s: %d", name, got.Status)
			}
		}
		if got := b.Do("POST", x.Page("reset-password")+"?form="+token+"&newPassword="+NewPassword, "", nil); got.Status != http.StatusForbidden && got.Status != http.StatusBadRequest {
			t.Errorf("the query as a form: %d", got.Status)
		}
		x.Unchanged(v, p)
		if got := b.Do("POST", x.Page("reset-password"), body, map[string]string{"Sec-Fetch-Site": "same-origin"}); got.Status != http.StatusOK {
			t.Errorf("our own form: %d", got.Status)
		}
	})
	row(t, "WEB-x2", "The cookie's attributes, and cookies of others", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		seen := x.Visit(t, x.Link(p), http.StatusSeeOther)
		set := seen.Header.Get("Set-Cookie")
		for _, want := range []string{"rf_" + x.Slug + "=", "HttpOnly", "SameSite=Lax", "Path=/apps/" + x.Slug, "Max-Age="} {
			if !strings.Contains(set, want) {
				t.Errorf("%s lacks %s", set, want)
			}
		}
		if strings.Contains(set, "Domain=") || len(seen.Header.Values("Set-Cookie")) != 1 {
			t.Errorf("%s", set)
		}
		value, _, _ := strings.Cut(strings.TrimPrefix(set, "rf_"+x.Slug+"="), ";")
		y := x.Second()
		for name, try := range map[string]struct {
			w     *World
			value string
		}{"changed": {x, value[:20] + "A" + value[21:]}, "cut": {x, value[:len(value)-4]}, "of another application": {y, value}, "empty": {x, ""}, "plain": {x, "e30"}, "huge": {x, strings.Repeat("A", 5000)}} {
			got := try.w.Browser().Do("GET", try.w.Page("reset-password"), "", map[string]string{"Cookie": "rf_" + try.w.Slug + "=" + try.value})
			if got.Status >= 500 || strings.Contains(got.Body, "v@"+x.Slug) || strings.Contains(got.Body, `autocomplete="username" value=`) {
				t.Errorf("%s: %d holds the account", name, got.Status)
			}
		}
		x.Unchanged(v, p)
	})
	row(t, "WEB-x3", "Markup sent to a page", func(t *testing.T, x *World) {
		const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
		b := x.Browser()
		ask := b.Get(x.Page("forgot-password") + "?email=" + url.QueryEscape(evil) + "&locale=" + url.QueryEscape(evil) + "&error=" + url.QueryEscape(evil))
		pages := []Seen{ask, b.Submit(ask, x.Page("forgot-password"), form("email", evil)), b.Submit(ask, x.Page("forgot-password"), form("email", "v@example.com", "flow", evil)),
			b.Submit(ask, x.Page("reset-password/code"), form("code", evil)), b.Get(x.Page("not-me") + "?request=" + url.QueryEscape(evil)), b.Get(x.Page("reset-password") + "?email_auth_code=" + url.QueryEscape(evil)),
			b.Get("/apps/" + url.PathEscape(evil) + "/forgot-password"), b.Get(x.Page(url.PathEscape(evil))), b.Get("/" + url.PathEscape(evil))}
		for i, seen := range pages {
			if seen.Status >= 500 || strings.Contains(seen.Body, "<script>alert") || strings.Contains(seen.Body, "<img src=x") {
				t.Errorf("page %d: %d", i, seen.Status)
			}
		}
	})
	row(t, "WEB-x4", "Another person's not-me link", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		b := x.Browser()
		seen := b.Get(x.Page("not-me") + "?request=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
		if strings.Contains(seen.Body, `name="form"`) {
			b.Submit(seen, x.Page("not-me"), nil)
		}
		for _, bad := range []string{p["emailAuthCode"], "", strings.Repeat("A", 300), "%00", "' OR 1=1"} {
			if got := x.Browser().Get(x.Page("not-me") + "?request=" + url.QueryEscape(bad)); got.Status >= 500 {
				t.Errorf("%q: %d", bad, got.Status)
			}
		}
		x.Unchanged(v, p)
	})
	row(t, "WEB-x5", "A page without its cookie, guessed at", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "direct_code")
		body := form("code", p["passwordResetCode"], "newPassword", NewPassword).Encode()
		for name, header := range map[string]map[string]string{"a foreign origin": {"Origin": "https://evil.example.org"}, "a cross-site fetch": {"Sec-Fetch-Site": "cross-site"}} {
			if got := x.Browser().Do("POST", x.Page("reset-password"), body, header); got.Status != http.StatusForbidden {
				t.Errorf("%s: %d", name, got.Status)
			}
		}
		refused := 0
		for range 25 { // one browser's address: guesses at codes from support are limited here as well
			got := x.Browser().Do("POST", x.Page("reset-password"), form("code", p.Wrong()["passwordResetCode"], "newPassword", NewPassword).Encode(), nil)
			if got.Status == http.StatusTooManyRequests {
				refused++
			}
		}
		if refused != 5 {
			t.Errorf("%d of 25 guesses were refused, want 5", refused)
		}
		x.Redeemed(p, v, NewPassword)
	})
}
