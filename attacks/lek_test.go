package attacks

import (
	"crypto/md5"  //nolint:gosec // what an attacker would try
	"crypto/sha1" //nolint:gosec // what an attacker would try
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/internal/testkit/product"
)

// eight makes digits long enough not to stand in a log by chance.
var eight = map[string]any{"flows": map[string]any{"email_otp": map[string]any{"digits": 8, "lifetime": "10m"}}}

// secrets runs every flow and collects what must stand nowhere but in a mail
// or in the answer to its owner.
func (x *World) secrets(t *testing.T) map[string]string {
	t.Helper()
	v := x.Person("v")
	out := map[string]string{"the old password": OldPassword, "the API key": x.Key, "the admin token": x.Server.Admin}
	one := x.LogsIn(v, OldPassword)
	two := tokensOf(x.Refresh(one.refresh))
	out["an access token"], out["a refresh token"], out["its successor"] = one.access, one.refresh, two.refresh
	for _, flow := range flowNames {
		p := x.Proof(v, flow)
		for name, value := range p {
			out[flow+" "+name] = value
			out[flow+" "+name+" plain"] = strings.ReplaceAll(value, "-", "")
		}
		x.Introspect(p)
		x.Redeem(p.Wrong(), NewPassword)
		x.Redeem(p, "weak")
		if flow == "email_otp" {
			out["the link beside digits"] = product.LinkCode(x.MailsOf(v, "reset_code")[0].Text, "email_auth_code")
		} else {
			b := x.Browser()
			b.Get(x.Link(p))
			out["the cookie of "+flow] = b.Cookie()
			x.Call("GET", "/nowhere?email_auth_code="+p[p.Field()], "", "", nil)
			x.Call("GET", "/api/v1/"+p[p.Field()], x.Key, "", nil)
			x.Call("POST", "/api/v1/password-reset/reset-password?code="+p[p.Field()], x.Key, `{"emailAuthCode":["`+p[p.Field()]+`"]}`, nil)
		}
		out["the new password of "+flow] = NewPassword + flow
		statusIs(t, x.Redeem(p, NewPassword+flow), http.StatusOK)
		statusIs(t, x.Redeem(p, NewPassword+flow), http.StatusBadRequest)
	}
	x.Idle()
	return out
}

func TestLEK(t *testing.T) {
	row(t, "LEK-01", "The code in the answer", func(t *testing.T, x *World) {
		x.Patch(eight)
		v := x.Person("v")
		for i, path := range []string{"", "?debug=1", "?test=true&verbose=1", "?fields=*", "?env=dev"} {
			for _, flow := range flowNames[:2] {
				n := len(x.MailsOf(v, ""))
				got := x.Call("POST", "/api/v1/password-reset/"+start+path, x.Key, object("email", v, "flow", flow),
					map[string]string{"X-Resetflow-Client-IP": clientIP(), "Accept": "*/*", "X-Debug": "1", "X-Environment": "test"})
				statusIs(t, got, http.StatusAccepted)
				m := x.Next(v, "", n)
				for _, code := range []string{product.Digits(m.Text), product.LinkCode(m.Text, "email_auth_code")} {
					if code != "" && strings.Contains(jsonOf(got.Header)+string(got.Body), code) {
						t.Errorf("call %d %s: the answer holds the code", i, flow)
					}
				}
				for name := range got.JSON.(map[string]any) {
					if !strings.Contains("result flow requestCode expiresAt resendAfter", name) {
						t.Errorf("the answer holds %s", name)
					}
				}
			}
		}
	})
	row(t, "LEK-02", "The code in logs", func(t *testing.T, x *World) {
		x = x.Own("RESETFLOW_LOG_LEVEL=debug")
		x.Patch(eight)
		secrets := x.secrets(t)
		x.SMTP.SetFault("RCPT", testkit.Fault{Code: 550, Text: "no"})
		x.Ask(x.Person("w"), "email_link")
		x.Idle()
		x.Terminate()
		log := x.Log.String()
		if !strings.Contains(log, `"route":"/api/v1/password-reset/reset-password"`) {
			t.Fatalf("the log holds no calls: %.500s", log)
		}
		for what, secret := range secrets {
			if secret != "" && strings.Contains(log, secret) {
				t.Errorf("the log holds %s", what)
			}
		}
		if strings.Contains(log, "_code=") || strings.Contains(log, "@"+x.Slug+".") {
			t.Error("the log holds a query or an address")
		}
	})
	row(t, "LEK-04", "The code in metrics", func(t *testing.T, x *World) {
		metrics := product.FreeAddress(t)
		x = x.Own("RESETFLOW_METRICS_LISTEN=" + metrics)
		x.Patch(eight)
		secrets := x.secrets(t)
		shown := x.get(t, "http://"+metrics+"/metrics")
		for what, secret := range secrets {
			if secret != "" && strings.Contains(shown, secret) {
				t.Errorf("the metrics hold %s", what)
			}
		}
		if strings.Contains(shown, "_code=") || strings.Contains(shown, "nowhere") || !strings.Contains(shown, "/api/v1/password-reset/reset-password") {
			t.Error("a path stands in place of a route")
		}
	})
	row(t, "LEK-05", "The code by filters, sorting and relations", func(t *testing.T, x *World) {
		v := x.Person("v")
		proofs := []Proof{x.Proof(v, "email_otp"), x.Proof(v, "direct_code")}
		for _, path := range []string{"/reset-requests", "/messages", "/users", "/keys"} {
			plain := x.Admin("GET", path, "")
			statusIs(t, plain, http.StatusOK)
			for _, query := range []string{"?filter[code][$startsWith]=a", "?sort=code", "?sort=-password_hash", "?fields=*", "?include=codes,secret", "?populate=*", "?code_hash=x", "?password_hash[$gt]=a", "?select=code_hash", "?where=1=1"} {
				got := x.Admin("GET", path+query, "")
				if got.Status == http.StatusOK && string(got.Body) != string(plain.Body) {
					t.Errorf("%s%s shows something else: %s", path, query, got.Body)
				}
				Has(t, path+query, got, http.StatusOK, http.StatusBadRequest)
			}
			for _, name := range []string{"\"code", "ode\":", "hash", "Hash", "secret\":", "generation", "sealed", "requestCode", "verification"} {
				if strings.Contains(string(plain.Body), name) {
					t.Errorf("%s shows %s: %s", path, name, plain.Body)
				}
			}
			for _, p := range proofs {
				if strings.Contains(string(plain.Body), p[p.Field()]) {
					t.Errorf("%s shows a code", path)
				}
			}
		}
		items := x.Must(http.StatusOK, "GET", "/admin/v1/applications/"+x.Slug+"/reset-requests", nil)["items"].([]any)
		for _, item := range items {
			got := x.Admin("GET", "/reset-requests/"+item.(map[string]any)["id"].(string), "")
			for _, p := range proofs {
				if strings.Contains(string(got.Body), p[p.Field()]) || strings.Contains(string(got.Body), `"hash`) {
					t.Errorf("%s", got.Body)
				}
			}
		}
	})
	row(t, "LEK-08", "The code in the queue of mails", func(t *testing.T, x *World) {
		x = x.Own()
		x.Patch(eight)
		v := x.Person("v")
		x.SMTP.SetFault("MAIL", testkit.Fault{Code: 451, Text: "later", Times: 1})
		got := x.Ask(v, "email_otp")
		eventually(t, crashless, "the message is tried", func() bool { l := x.Ledger(); return len(l) > 0 && l[0]["attempts"].(float64) > 0 })
		waiting := testkit.Dump(t, x.DB)
		m := x.Next(v, "reset_code", 0)
		x.Idle()
		operator := x.Proof(v, "direct_code")["passwordResetCode"]
		after := testkit.Dump(t, x.DB)
		for what, secret := range map[string]string{"digits": product.Digits(m.Text), "the link": product.LinkCode(m.Text, "email_auth_code"), "requestCode": field(got, "requestCode"), "the code from support": operator, "it without hyphens": strings.ReplaceAll(operator, "-", ""), "the API key": x.Key, "the password": OldPassword} {
			if secret == "" || strings.Contains(waiting, secret) || strings.Contains(after, secret) {
				t.Errorf("the database holds %s", what)
			}
		}
	})
	row(t, "LEK-10", "Guessing codes from a stolen database", func(t *testing.T, x *World) {
		x = x.Own()
		v := x.Person("v")
		otp, operator := x.Proof(v, "email_otp"), x.Proof(v, "direct_code")["passwordResetCode"]
		link := product.LinkCode(x.MailsOf(v, "reset_code")[0].Text, "email_auth_code")
		dump := strings.ToLower(testkit.Dump(t, x.DB))
		plain := strings.ReplaceAll(operator, "-", "")
		for _, code := range []string{otp["verificationCode"], otp["requestCode"] + otp["verificationCode"], otp["requestCode"] + ":" + otp["verificationCode"], otp["requestCode"], operator, plain, strings.ToLower(plain), link} {
			a, b, c, d := md5.Sum([]byte(code)), sha1.Sum([]byte(code)), sha256.Sum256([]byte(code)), sha512.Sum512([]byte(code)) //nolint:gosec // what an attacker would try
			for _, sum := range [][]byte{a[:], b[:], c[:], d[:]} {
				for _, text := range []string{hex.EncodeToString(sum), strings.ToLower(base64.RawStdEncoding.EncodeToString(sum)), strings.ToLower(base64.RawURLEncoding.EncodeToString(sum))} {
					if strings.Contains(dump, text) {
						t.Errorf("a plain digest of %d bytes of a code stands in the database", len(sum))
					}
				}
			}
		}
	})
	row(t, "LEK-11", "What errors tell", func(t *testing.T, x *World) {
		for _, step := range []string{start, "resend", "introspect", "reset-password", "create-password-reset-link", "check-password", "create-auth-session"} {
			for _, body := range []string{`{`, `[]`, `null`, `""`, `1`, `{"email":1,"requestCode":1,"emailAuthCode":{},"userId":[],"password":true,"authSessionCode":null}`, `{"a":1}`, "\xff\xfe", `{"email":"` + strings.Repeat("x", 300) + `"}`, `{} {}`, `{"emailAuthCode":"\u0000"}`, `{"newPassword":1}`} {
				got := x.Workflow(step, body)
				Bad(t, got)
				for _, inside := range []string{".go:", "interface", "column", "constraint \"", "sqlite", "postgres", "no such", "syntax", "offset", "0x", "/tmp", "runtime", "nil", "EOF", "127.0.0.1"} {
					if strings.Contains(strings.ReplaceAll(string(got.Body), field(got, "ticket"), ""), inside) {
						t.Errorf("%s %.40q: %s", step, body, got.Body)
					}
				}
				if !strings.HasPrefix(got.Header.Get("Content-Type"), "application/problem+json") || field(got, "ticket") != got.Header.Get("X-Request-Id") {
					t.Errorf("%s: %v", step, got.Header)
				}
			}
		}
	})
	row(t, "LEK-13", "Doors left open", func(t *testing.T, x *World) {
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/vars", "/metrics", "/swagger", "/swagger/index.html", "/docs", "/graphql", "/.env", "/.git/config", "/resetflow.yaml", "/config", "/actuator", "/actuator/env", "/server-status", "/admin", "/admin/v1", "/dev/inbox", "/static/", "/apps", "/apps/", "/backup.sql", "/resetflow.db", "/api", "/api/v1", "/console", "/trace", "/.well-known/openid-configuration"} {
			for _, header := range []map[string]string{nil, {"Host": "localhost"}, {"X-Original-URL": "/healthz"}} {
				got := x.Browser().Still().Do("GET", path, "", header)
				if got.Status != http.StatusNotFound && got.Status != http.StatusMethodNotAllowed && got.Status != http.StatusUnauthorized {
					t.Errorf("%s: %d %.100s", path, got.Status, got.Body)
				}
			}
		}
		for _, path := range []string{"/admin/v1/applications", "/admin/v1/applications/" + x.Slug, "/api/v1/password-reset/password-policy"} {
			got := x.Call("GET", path, "", "", nil)
			if got.Status != http.StatusUnauthorized || got.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: %d", path, got.Status)
			}
		}
	})
	row(t, "LEK-14", "The code in the last words of a process", func(t *testing.T, x *World) {
		for _, signal := range []syscall.Signal{syscall.SIGABRT, syscall.SIGQUIT} {
			y := x.Own()
			y.Patch(eight)
			secrets := y.secrets(t)
			y.Signal(signal)
			if code := y.Ended(); code != 2 { // it ended itself: a signal that ends it would leave its memory as a file
				t.Errorf("%s: exit %d", signal, code)
			}
			for what, secret := range secrets {
				if secret != "" && strings.Contains(y.Log.String(), secret) {
					t.Errorf("%s: the last words hold %s", signal, what)
				}
			}
		}
	})
	row(t, "LEK-16", "Banners", func(t *testing.T, x *World) {
		for _, path := range []string{"/healthz", "/readyz", "/nowhere", x.Page("forgot-password"), "/api/v1/auth/session", "/openapi.yaml", "/"} {
			got := x.Call("GET", path, "", "", nil)
			for _, name := range []string{"Server", "X-Powered-By", "Via", "X-Version", "X-Runtime", "X-Response-Time", "Etag", "Last-Modified"} {
				if v := got.Header.Get(name); v != "" {
					t.Errorf("%s: %s: %s", path, name, v)
				}
			}
			for _, word := range []string{"go1.", "echo", "golang", "sqlite", "PostgreSQL", x.SMTP.Addr(), "goroutine"} {
				if strings.Contains(string(got.Body), word) {
					t.Errorf("%s tells of %s", path, word)
				}
			}
		}
		if raw := x.Wire("BROKEN\r\n\r\n"); strings.Contains(raw, "Server:") {
			t.Errorf("%s", raw)
		}
	})
}

func TestLEKMore(t *testing.T) {
	row(t, "LEK-x1", "Keys, hashes and tokens in views and rows", func(t *testing.T, x *World) {
		x = x.Own()
		v := x.Person("v")
		one := x.LogsIn(v, OldPassword)
		p := x.Proof(v, "email_link")
		b := x.Browser()
		b.Get(x.Link(p))
		views := ""
		for _, path := range []string{"", "/keys", "/users", "/users/" + x.UserID(v), "/reset-requests", "/messages", "/audit-events"} {
			views += string(x.Admin("GET", path, "").Body)
		}
		dump := testkit.Dump(t, x.DB)
		for what, secret := range map[string]string{"the API key": x.Key, "its random part": x.Key[5:], "the admin token": x.Server.Admin, "an access token": one.access, "a refresh token": one.refresh, "a link": p["emailAuthCode"], "a cookie": b.Cookie()} {
			if strings.Contains(views, secret) {
				t.Errorf("a view holds %s", what)
			}
			if strings.Contains(dump, secret) {
				t.Errorf("the database holds %s", what)
			}
		}
		if strings.Contains(views, "$argon2") {
			t.Error("a view holds a hash")
		}
	})
	row(t, "LEK-x2", "Secrets of the configuration", func(t *testing.T, x *World) {
		key := base64.StdEncoding.EncodeToString([]byte("canary-canary-canary-canary-3141"))
		x = x.Own("RESETFLOW_LOG_LEVEL=debug", "RESETFLOW_SECRET_KEYS="+key)
		x.secrets(t)
		shown := x.Log.String() + string(x.Call("GET", "/readyz", "", "", nil).Body) + testkit.Dump(t, x.DB)
		for _, secret := range []string{key, "canary-canary", x.Server.Admin, hex.EncodeToString([]byte("canary-canary-canary-canary-3141"))} {
			if strings.Contains(shown, secret) {
				t.Errorf("%.6s… of the configuration is shown", secret)
			}
		}
	})
}
