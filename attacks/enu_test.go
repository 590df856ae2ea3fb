package attacks

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/internal/testkit/product"
)

// crowd is an address of each class that must not be told apart, all of one length.
func (x *World) crowd() map[string]string {
	x.T.Helper()
	out := map[string]string{"known": x.Person("known-a"), "unknown": x.Address("unkno-b"), "disabled": x.Person("disab-c"), "without a password": x.Address("nopas-d"), "of another application": x.Address("other-e")}
	x.PatchUser(out["disabled"], map[string]any{"disabled": true})
	x.Must(http.StatusCreated, "POST", "/admin/v1/applications/"+x.Slug+"/users", map[string]any{"email": out["without a password"]})
	y := x.Second()
	y.User(y.Slug, out["of another application"])
	return out
}

func TestENU(t *testing.T) {
	row(t, "ENU-01", "Who is known, by the answer", func(t *testing.T, x *World) {
		crowd := x.crowd()
		for _, flow := range flowNames[:2] {
			answers := map[string]string{}
			for class, email := range crowd {
				answers[class] = x.Wire(x.WirePost("/api/v1/password-reset/request-password-reset", object("email", email, "flow", flow)))
				if !strings.HasPrefix(answers[class], "HTTP/1.1 202 ") {
					t.Errorf("%s: %s", class, answers[class])
				}
			}
			Alike(t, flow, answers)
		}
		x.Idle()
		for class, email := range crowd {
			if n := len(x.MailsOf(email, "")); n > 0 != (class == "known") {
				t.Errorf("%s got %d mails", class, n)
			}
		}
	})
	row(t, "ENU-04", "Who is known, by the limit", func(t *testing.T, x *World) {
		crowd := x.crowd()
		for i := range 6 {
			answers := map[string]string{}
			for class, email := range crowd {
				answers[class] = x.Wire(x.WirePost("/api/v1/password-reset/request-password-reset", object("email", email, "flow", "email_link")))
			}
			Alike(t, fmt.Sprint("request ", i+1), answers)
			for _, a := range answers {
				if limited := strings.HasPrefix(a, "HTTP/1.1 429 "); limited != (i >= 3) {
					t.Errorf("request %d: %.60s", i+1, a)
				}
			}
		}
	}, limited(map[string]any{"perAddress": "3/h"}))
	row(t, "ENU-05", "A decoy's requestCode, to its end", func(t *testing.T, x *World) {
		codes := map[string]string{}
		for class, email := range x.crowd() {
			codes[class] = field(x.Ask(email, "email_otp"), "requestCode")
		}
		x.Idle()
		step := func(what, path string, body func(rc string) string, status int) {
			t.Helper()
			answers := map[string]string{}
			for class, rc := range codes {
				answers[class] = x.Wire(x.WirePost("/api/v1/password-reset/"+path, body(rc)))
				if !strings.HasPrefix(answers[class], fmt.Sprintf("HTTP/1.1 %d ", status)) {
					t.Errorf("%s, %s: %.200s, want %d", what, class, answers[class], status)
				}
			}
			Alike(t, what, answers)
		}
		wrong := func(rc string) string { return object("requestCode", rc, "verificationCode", "0000") }
		for i := range 2 {
			step(fmt.Sprint("wrong digits ", i), "introspect", wrong, 400)
		}
		step("sent again", "resend", func(rc string) string { return object("requestCode", rc) }, 202)
		x.Idle()
		step("a weak password", "reset-password", func(rc string) string {
			return object("requestCode", rc, "verificationCode", "0000", "newPassword", "x")
		}, 400)
		for i := range 4 { // the second of them locks
			step(fmt.Sprint("more wrong digits ", i), "introspect", wrong, 400)
		}
		step("sent again once locked", "resend", func(rc string) string { return object("requestCode", rc) }, 400)
		for class, email := range map[string]string{"known": x.Address("known-a"), "unknown": x.Address("unkno-b")} {
			codes[class] = field(x.Ask(email, "email_otp"), "requestCode")
		}
		x.Idle()
		x.Patch(map[string]any{"flows": map[string]any{"email_otp": map[string]any{"lifetime": "1s"}}})
		for class, email := range map[string]string{"known": x.Address("known-a"), "unknown": x.Address("unkno-b")} {
			codes[class] = field(x.Ask(email, "email_otp"), "requestCode")
		}
		delete(codes, "disabled")
		delete(codes, "without a password")
		delete(codes, "of another application")
		time.Sleep(1200 * time.Millisecond)
		step("expired", "introspect", wrong, 400)
		step("sent again once expired", "resend", func(rc string) string { return object("requestCode", rc) }, 400)
	})
	row(t, "ENU-07", "A weak password tells that the code is right", func(t *testing.T, x *World) {
		v := x.Person("v")
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			p := x.Proof(v, flow)
			Invalid(t, x.Redeem(p.Wrong(), "x"), flow)
			Invalid(t, x.Redeem(p.Wrong(), strings.Repeat("x", 2000)), flow)
			Violated(t, x.Redeem(p, "x"), "newPassword", "too_short")
		})
		x.Unchanged(v)
	})
	row(t, "ENU-08", "A hint in the answer", func(t *testing.T, x *World) {
		v := x.Person("victoria")
		for _, flow := range flowNames[:2] {
			got := x.Ask(v, flow)
			for _, hint := range []string{"victoria", "example.com", "***", "sent", "mail\"", "name", "user"} {
				if strings.Contains(string(got.Body), hint) {
					t.Errorf("%s holds %s", got.Body, hint)
				}
			}
		}
	})
	row(t, "ENU-10", "Who is known, by the pages' bytes", func(t *testing.T, x *World) {
		for _, flow := range flowNames[:2] {
			bodies, headers, next := map[string]string{}, map[string]string{}, map[string]string{}
			for class, email := range x.crowd2(flow) {
				b := x.Browser().Still()
				seen := b.Submit(b.Get(x.Page("forgot-password")), x.Page("forgot-password"), url.Values{"email": {email}, "flow": {flow}})
				if seen.Status != http.StatusSeeOther {
					t.Errorf("%s: %d", class, seen.Status)
				}
				to, cookie := seen.Header.Get("Location"), len(seen.Header.Get("Set-Cookie"))
				for _, name := range []string{"Set-Cookie", "Date", "X-Request-Id"} {
					seen.Header.Del(name)
				}
				headers[class], bodies[class] = fmt.Sprint(seen.Header, " and a cookie of ", cookie), seen.Body
				next[class] = masks.ReplaceAllString(strings.ReplaceAll(b.Get(to).Body, email, "<email>"), "$1")
			}
			Alike(t, "body", bodies)
			Alike(t, "headers", headers)
			Alike(t, "next page", next)
		}
	})
	row(t, "ENU-11", "A trace of the request elsewhere", func(t *testing.T, x *World) {
		v := x.Person("v")
		tokens := x.Login(v, OldPassword)
		look := func() string {
			session := x.Call("GET", "/api/v1/auth/session", field(tokens, "accessToken"), "", nil)
			policy := x.Call("GET", "/api/v1/password-reset/password-policy", x.Key, "", nil)
			jwks := x.Call("GET", "/apps/"+x.Slug+"/.well-known/jwks.json", "", "", nil)
			return string(session.Body) + string(policy.Body) + string(jwks.Body)
		}
		before := look()
		x.Ask(v, "email_link")
		x.Ask(v, "email_otp")
		x.Idle()
		if after := look(); before != after {
			t.Errorf("before %s\nafter %s", before, after)
		}
		x.Unchanged(v)
	})
	row(t, "ENU-13", "Accounts without a password, at the login", func(t *testing.T, x *World) {
		answers := map[string]string{}
		for class, email := range x.crowd() {
			answers[class] = x.Wire(x.WirePost("/api/v1/auth/login", object("email", email, "password", "Not-the-password-9")))
			if !strings.HasPrefix(answers[class], "HTTP/1.1 401 ") {
				t.Errorf("%s: %.100s", class, answers[class])
			}
		}
		answers["disabled, right password"] = x.Wire(x.WirePost("/api/v1/auth/login", object("email", x.Address("disab-c"), "password", OldPassword)))
		Alike(t, "login", answers)
	})
	row(t, "ENU-14", "Old hashes, at the login", func(t *testing.T, x *World) {
		hash, err := bcrypt.GenerateFromPassword([]byte(OldPassword), 5)
		if err != nil {
			t.Fatal(err)
		}
		old := x.Address("old")
		x.Must(http.StatusCreated, "POST", "/admin/v1/applications/"+x.Slug+"/users", map[string]any{"email": old, "passwordHash": string(hash)})
		answers := map[string]string{}
		for class, email := range map[string]string{"old": old, "new": x.Person("new"), "unknown": x.Address("unk")} {
			answers[class] = x.Wire(x.WirePost("/api/v1/auth/login", object("email", email, "password", "Not-the-password-9")))
		}
		Alike(t, "login", answers)
		if !x.Opens(old, OldPassword) {
			t.Error("an imported hash does not open")
		}
		var stored string
		if err := x.DB.Read(t.Context()).Raw(`SELECT password_hash FROM accounts WHERE application = ? AND email = ?`, x.Slug, old).Scan(&stored).Error; err != nil || !strings.HasPrefix(stored, "$argon2id$") {
			t.Errorf("the hash stays as it was: %.12s, %v", stored, err)
		}
	})
	row(t, "ENU-16", "Looking people up with a small key", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, key := range []string{x.Key, x.Publishable(), x.Server.Key(x.Slug, "secret", "reset-requests:read", "audit:read", "templates:read")} {
			for _, path := range []string{"/users?email=" + v, "/users", "/users/" + x.UserID(v)} {
				got := x.Call("GET", "/admin/v1/applications/"+x.Slug+path, key, "", nil)
				statusIs(t, got, http.StatusForbidden)
			}
		}
		Same(t, "creating a link", x.Call("POST", "/api/v1/password-reset/create-password-reset-link", x.Publishable(), object("email", v), nil),
			x.Call("POST", "/api/v1/password-reset/create-password-reset-link", x.Publishable(), object("email", x.Address("w")), nil))
	})
	row(t, "ENU-17", "Labels in metrics", func(t *testing.T, x *World) {
		metrics := product.FreeAddress(t)
		x = x.Own("RESETFLOW_METRICS_LISTEN=" + metrics)
		v := x.Person("victoria")
		x.Redeem(x.Proof(v, "email_link"), NewPassword)
		x.Login(v, "wrong")
		x.Call("GET", "/apps/"+x.Slug+"/reset-password?email_auth_code=canary", "", "", nil)
		resp := x.get(t, "http://"+metrics+"/metrics")
		if !strings.Contains(resp, "resetflow_http_requests_total") {
			t.Fatalf("no metrics: %.200s", resp)
		}
		for _, label := range []string{"victoria", x.Slug, "canary", "accepted", "unknown", x.UserID(v), "invalid_"} {
			if strings.Contains(resp, label) {
				t.Errorf("the metrics hold %q", label)
			}
		}
		for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/vars"} {
			statusIs(t, x.Call("GET", path, "", "", nil), http.StatusNotFound)
		}
		if pprof := x.get(t, "http://"+metrics+"/debug/pprof/"); strings.Contains(pprof, "goroutine") {
			t.Error("the metrics listener serves profiles")
		}
	})
	row(t, "ENU-19", "Identifiers that one database refuses", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, bad := range []string{`v\u0000@` + v[2:], `v\u0000`, `\u0000` + v, v + `\u0000`, `v\ud800@` + v[2:], strings.Repeat("v", 300) + v[1:]} {
			for _, step := range []string{start, "create-password-reset-link"} {
				Bad(t, x.Workflow(step, `{"email":"`+bad+`"}`))
			}
			Bad(t, x.Call("POST", "/api/v1/auth/login", x.Key, `{"email":"`+bad+`","password":"x"}`, nil))
		}
		x.NoMail(v)
	})
	row(t, "ENU-20", "Mail to addresses without an account", func(t *testing.T, x *World) {
		w := x.Address("w")
		quiet := x.Ask(w, "email_link")
		x.NoMail(w)
		x.Patch(map[string]any{"notifyUnknown": true})
		for _, flow := range flowNames[:2] {
			x.Ask(w, flow)
		}
		x.Idle()
		for _, m := range x.MailsOf(w, "") {
			if m.Kind != "no_account" || product.LinkCode(m.Text, "email_auth_code") != "" || product.Digits(m.Text) != "" {
				t.Errorf("an unknown address got %s: %s", m.Kind, m.Text)
			}
		}
		if len(x.MailsOf(w, "no_account")) == 0 {
			t.Error("notify_unknown told nobody")
		}
		Same(t, "told and not told", quiet, x.Ask(x.Address("z"), "email_link"))
	})
}

func TestENUMore(t *testing.T) {
	row(t, "ENU-x1", "Who is known, by a mail server that refuses", func(t *testing.T, x *World) {
		x = x.Own()
		v, w := x.Person("v"), x.Address("w")
		for verb, fault := range map[string]testkit.Fault{"RCPT": {Code: 550, Text: "no such user"}, "MAIL": {Code: 451, Text: "later"}, "GREETING": {Hang: true}} {
			x.SMTP.SetFault(verb, fault)
			for _, flow := range flowNames[:2] {
				a, b := x.Ask(v, flow), x.Ask(w, flow)
				Same(t, verb+" "+flow, a, b)
				if flow == "email_otp" {
					p, q := Proof{"requestCode": field(a, "requestCode"), "verificationCode": "000000"}, Proof{"requestCode": field(b, "requestCode"), "verificationCode": "000000"}
					Same(t, verb+" wrong", x.Introspect(p), x.Introspect(q))
					Same(t, verb+" again", x.Workflow("resend", object("requestCode", p["requestCode"])), x.Workflow("resend", object("requestCode", q["requestCode"])))
				}
			}
			x.SMTP.SetFault(verb, testkit.Fault{})
		}
	})
	row(t, "ENU-x2", "Support's view of who is there", func(t *testing.T, x *World) {
		crowd := x.crowd()
		answers := []product.Answer{}
		for class, email := range crowd {
			if class != "known" {
				answers = append(answers, x.Workflow("create-password-reset-link", object("email", email)))
			}
		}
		answers = append(answers, x.Workflow("create-password-reset-link", object("userId", "00000000-0000-7000-8000-000000000000")), x.Workflow("create-password-reset-link", object("userId", "' OR 1=1")))
		Same(t, "not found", answers...)
		statusIs(t, answers[0], http.StatusNotFound)
	})
	row(t, "ENU-x3", "The code of somebody whose account is gone", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		wrong := x.Redeem(p.Wrong(), NewPassword)
		unknown := x.Redeem(Proof{"emailAuthCode": "AAAA"}, NewPassword)
		statusIs(t, x.Admin("DELETE", "/users/"+x.UserID(v), ""), http.StatusNoContent)
		Same(t, "wrong, unknown, of a deleted account", wrong, unknown, x.Redeem(p, NewPassword), x.Redeem(p, "x"))
	})
	row(t, "ENU-x5", "A login by the hash that stands in for none", func(t *testing.T, x *World) {
		crowd := x.crowd()
		for _, class := range []string{"unknown", "without a password", "disabled"} {
			for _, password := range []string{"\u0000", " ", "x", "dummy", "password", "$argon2id$v=19$m=1024,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
				Has(t, class, x.Login(crowd[class], password), http.StatusUnauthorized)
			}
			Has(t, class, x.Login(crowd[class], ""), http.StatusBadRequest)
		}
	})
	row(t, "ENU-x4", "The wait between asking and resolving", func(t *testing.T, x *World) {
		v, w := x.Person("v"), x.Address("w")
		for range 3 { // judged at once, mostly before anybody was looked up
			a, b := x.Ask(v, "email_otp"), x.Ask(w, "email_otp")
			p, q := Proof{"requestCode": field(a, "requestCode"), "verificationCode": "12345"}, Proof{"requestCode": field(b, "requestCode"), "verificationCode": "12345"}
			Same(t, "at once", x.Introspect(p), x.Introspect(q))
		}
	})
}

// crowd2 is a crowd of fresh addresses of one length for a second use.
func (x *World) crowd2(tag string) map[string]string {
	x.T.Helper()
	out := map[string]string{"known": x.Person("kn-" + tag), "unknown": x.Address("un-" + tag), "disabled": x.Person("di-" + tag)}
	x.PatchUser(out["disabled"], map[string]any{"disabled": true})
	return out
}

func (x *World) get(t *testing.T, url string) string {
	t.Helper()
	y := *x.Server
	y.URL = url
	return string(y.Call("GET", "", "", "", nil).Body)
}
