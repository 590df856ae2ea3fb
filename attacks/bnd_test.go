package attacks

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/internal/testkit/product"
)

func TestBND(t *testing.T) {
	row(t, "BND-01", "The account named in the request", func(t *testing.T, x *World) {
		v := x.Person("v")
		id := x.UserID(v)
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			e := x.Person("e-" + strings.ReplaceAll(flow, "_", ""))
			p := x.Proof(e, flow)
			for name, value := range map[string]string{"userId": id, "email": v, "accountId": id, "id": id, "user": v, "application": x.Slug, "requestId": id, "login": v} {
				Violated(t, x.Workflow("reset-password", p.With("newPassword", NewPassword, name, value)), name, "unknown_field")
				Violated(t, x.Workflow("introspect", p.With(name, value)), name, "unknown_field")
			}
			x.Unchanged(v)
			x.Unchanged(e, p)
			if got := x.Workflow("reset-password?userId="+id+"&email="+v, p.With("newPassword", NewPassword)); got.Status != http.StatusOK {
				t.Errorf("%d %s", got.Status, got.Body)
			}
			x.Unchanged(v)
		})
	})

	row(t, "BND-02", "The requestCode of one with the digits of another", func(t *testing.T, x *World) {
		v, e := x.Person("v"), x.Person("e")
		theirs, own := x.Proof(v, "email_otp"), x.Proof(e, "email_otp")
		if theirs["verificationCode"] == own["verificationCode"] {
			own = x.Proof(e, "email_otp")
		}
		for i, swapped := range []Proof{
			{"requestCode": theirs["requestCode"], "verificationCode": own["verificationCode"]},
			{"requestCode": own["requestCode"], "verificationCode": theirs["verificationCode"]},
		} {
			got := x.Redeem(swapped, NewPassword)
			Invalid(t, got, "email_otp")
			if Remaining(got) != "4" {
				t.Errorf("swap %d left %s attempts", i, Remaining(got))
			}
		}
		for _, p := range []Proof{theirs, own} { // counted on both named requests
			if got := Remaining(x.Introspect(p)); got != "4" {
				t.Errorf("%s attempts are left", got)
			}
		}
		x.Unchanged(v, theirs)
		x.Unchanged(e, own)
	})

	row(t, "BND-x03", "The code of another flow", func(t *testing.T, x *World) {
		owners, all := x.proofs()
		fields := []string{"emailAuthCode", "passwordResetCode", "verificationCode", "requestCode"}
		for i, p := range all {
			for _, code := range p {
				for _, name := range fields {
					if _, own := p[name]; own && len(p) == 1 {
						continue
					}
					q, flow := Proof{name: code}, map[string]string{"emailAuthCode": "email_link", "passwordResetCode": "direct_code"}[name]
					if flow == "" {
						q, flow = Proof{"requestCode": strings.Repeat("A", 43), "verificationCode": "000000"}, "email_otp"
						q[name] = code
					}
					if name == "requestCode" && p.Flow() == "email_otp" {
						continue // a right requestCode with wrong digits is BND-02's
					}
					Invalid(t, x.Redeem(q, NewPassword), flow)
				}
			}
			x.Unchanged(owners[i], p)
		}
	})

	row(t, "BND-04", "Another token in place of a code", func(t *testing.T, x *World) {
		v := x.Person("v")
		login := x.Login(v, OldPassword)
		done := x.Person("done")
		receipt := x.Redeem(x.Proof(done, "email_link"), NewPassword)
		x.Ask(v, "email_link")
		mail := x.Next(v, "reset_link", 0)
		b := x.Browser()
		seen := b.Get(x.Page("forgot-password"))
		tokens := map[string]string{
			"access token": field(login, "accessToken"), "refresh token": field(login, "refreshToken"), "key": x.Key, "user id": x.UserID(v),
			"authSessionCode": field(receipt, "authSessionCode"), "not-me code": product.LinkCode(mail.Text, "request"), "cookie": b.Cookie(),
			"form token": formToken.FindStringSubmatch(seen.Body)[1], "admin token": x.Server.Admin, "message id": mail.MessageID,
		}
		for what, token := range tokens {
			if token == "" {
				t.Errorf("there is no %s", what)
				continue
			}
			for _, q := range []Proof{{"emailAuthCode": token}, {"passwordResetCode": token}, {"requestCode": token, "verificationCode": "000000"}} {
				got := x.Redeem(q, NewPassword)
				if Invalid(t, got, q.Flow()); strings.Contains(string(got.Body), token) {
					t.Errorf("the refusal repeats the %s", what)
				}
			}
		}
		x.Unchanged(v, Proof{"emailAuthCode": product.LinkCode(mail.Text, "email_auth_code")})
	}, map[string]any{"loginAfterReset": true})

	row(t, "BND-05", "The code of another application", func(t *testing.T, x *World) {
		y := x.Second()
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			y := y.on(t)
			v := x.Person("v-" + strings.ReplaceAll(flow, "_", ""))
			y.User(y.Slug, v)
			p := x.Proof(v, flow)
			Invalid(t, y.Redeem(p, NewPassword), flow)
			Invalid(t, y.Introspect(p), flow)
			if flow == "email_otp" {
				Violated(t, y.Workflow("resend", object("requestCode", p["requestCode"])), "requestCode", "invalid_request_code")
			} else if seen := y.Browser().Get(y.Link(p)); strings.Contains(seen.Body, `name="newPassword"`) {
				t.Error("the other application's page takes the link")
			}
			y.Unchanged(v)
			x.Unchanged(v, p)
			x.Redeemed(p, v, NewPassword)
			y.Unchanged(v)
		})
	})

	row(t, "BND-x06", "One person in two applications", func(t *testing.T, x *World) {
		y := x.Second()
		v := x.Person("v")
		y.User(y.Slug, v)
		ours, theirs := x.Login(v, OldPassword), y.Login(v, OldPassword)
		p, q := x.Proof(v, "direct_code"), y.Proof(v, "direct_code")
		x.Redeemed(p, v, NewPassword)
		y.Unchanged(v, q)
		statusIs(t, x.Call("GET", "/api/v1/auth/session", field(ours, "accessToken"), "", nil), http.StatusUnauthorized)
		statusIs(t, y.Call("GET", "/api/v1/auth/session", field(theirs, "accessToken"), "", nil), http.StatusOK)
		statusIs(t, x.Call("POST", "/api/v1/auth/refresh", x.Key, object("refreshToken", field(theirs, "refreshToken")), nil), http.StatusUnauthorized)
	})

	row(t, "BND-07", "Verified, says the client", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		for _, claim := range []string{`"verified":true`, `"state":"challenged"`, `"attempts":0`, `"attemptsRemaining":5`, `"flow":"email_otp"`, `"expiresAt":"2099-01-01T00:00:00Z"`, `"skipVerification":true`, `"result":"LOGIN_REQUIRED"`, `"generation":1`} {
			body := p.Wrong().With("newPassword", NewPassword)
			got := x.Workflow("reset-password", strings.TrimSuffix(body, "}")+","+claim+"}")
			Bad(t, got)
			if !strings.Contains(string(got.Body), "unknown_field") {
				t.Errorf("%s: %s", claim, got.Body)
			}
		}
		b := x.Browser()
		seen := b.Get(x.Page("forgot-password"))
		for _, fields := range []url.Values{{"newPassword": {NewPassword}, "verified": {"true"}}, {"newPassword": {NewPassword}, "email": {v}}} {
			b.Submit(seen, x.Page("reset-password"), fields)
		}
		if got := Remaining(x.Introspect(p)); got != "5" {
			t.Errorf("%s attempts are left", got)
		}
		x.Unchanged(v, p)
	})

	row(t, "BND-08", "Digits judged right for one, used by another", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		statusIs(t, x.Introspect(p), http.StatusOK)
		Violated(t, x.Workflow("reset-password", object("requestCode", p["requestCode"], "newPassword", NewPassword)), "verificationCode", "required")
		for _, digits := range []string{"", "null"} {
			q := object("requestCode", p["requestCode"], "verificationCode", digits, "newPassword", NewPassword)
			if digits == "null" {
				q = strings.Replace(q, `"null"`, "null", 1)
			}
			Bad(t, x.Workflow("reset-password", q))
		}
		Invalid(t, x.Redeem(p.Wrong(), NewPassword), "email_otp")
		// On the pages: the owner's browser has given the digits, the other knows the request's name alone.
		owner, other := x.Browser(), x.Browser()
		seen := owner.Submit(owner.Get(x.Page("forgot-password")), x.Page("forgot-password"), url.Values{"email": {v}, "flow": {"email_otp"}})
		digits := product.Digits(x.Next(v, "reset_code", 1).Text)
		form := owner.Submit(seen, x.Page("reset-password/code"), url.Values{"code": {digits}})
		if !strings.Contains(form.Body, `name="newPassword"`) {
			t.Fatalf("the right digits lead to %s: %d", form.Path, form.Status)
		}
		theirs := other.Get(x.Page("forgot-password"))
		other.Submit(theirs, x.Page("reset-password"), url.Values{"newPassword": {NewPassword}})
		if got := other.Get(x.Page("reset-password")); strings.Contains(got.Body, `type="password"`) {
			t.Error("another browser is offered a new password")
		}
		x.Unchanged(v)
		owner.Submit(form, x.Page("reset-password"), url.Values{"newPassword": {NewPassword}})
		if !x.Opens(v, NewPassword) {
			t.Error("the owner's own form failed")
		}
	})

	row(t, "BND-x09", "The form token of another browser", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		owner, other := x.Browser(), x.Browser()
		form := owner.Get(x.Link(p))
		theirs := other.Get(x.Page("forgot-password"))
		for _, body := range []string{
			url.Values{"form": {formToken.FindStringSubmatch(theirs.Body)[1]}, "newPassword": {NewPassword}}.Encode(),
			url.Values{"newPassword": {NewPassword}}.Encode(), url.Values{"form": {""}, "newPassword": {NewPassword}}.Encode(),
		} {
			Has(t, "a foreign form token", product.Answer{Status: owner.Do("POST", x.Page("reset-password"), body, nil).Status}, http.StatusForbidden)
		}
		own := url.Values{"form": {formToken.FindStringSubmatch(form.Body)[1]}, "newPassword": {NewPassword}}.Encode()
		for _, origin := range []string{"https://evil.org", "null", x.URL + ".evil.org", "http://127.0.0.1"} {
			Has(t, origin, product.Answer{Status: owner.Do("POST", x.Page("reset-password"), own, map[string]string{"Origin": origin}).Status}, http.StatusForbidden)
		}
		x.Unchanged(v, p)
	})

	row(t, "BND-10", "A cookie planted before the link is opened", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		attacker := x.Browser()
		attacker.Get(x.Page("forgot-password"))
		planted := attacker.Cookie()
		if planted == "" {
			t.Fatal("there is no cookie to plant")
		}
		victim := x.Browser()
		u, _ := url.Parse(x.URL + x.Page(""))
		victim.Jar.SetCookies(u, []*http.Cookie{{Name: "rf_" + x.Slug, Value: planted, Path: "/apps/" + x.Slug}})
		form := victim.Get(x.Link(p))
		if victim.Cookie() == planted {
			t.Error("the planted cookie stays")
		}
		if seen := attacker.Get(x.Page("reset-password")); strings.Contains(seen.Body, `type="password"`) {
			t.Error("the attacker's cookie now leads to the form")
		}
		attacker.Submit(attacker.Get(x.Page("forgot-password")), x.Page("reset-password"), url.Values{"newPassword": {"Attackers-own-battery-9"}})
		x.Unchanged(v, p)
		victim.Submit(form, x.Page("reset-password"), url.Values{"newPassword": {NewPassword}})
		if victim.Cookie() == planted || !x.Opens(v, NewPassword) {
			t.Error("after the reset the planted cookie is there, or the password is not")
		}
	})

	row(t, "BND-11", "Logging somebody into the attacker's account", func(t *testing.T, x *World) {
		e := x.Person("e")
		p := x.Proof(e, "email_link")
		victim := x.Browser()
		form := victim.Get(x.Link(p))
		u, _ := url.Parse(x.URL + x.Page(""))
		for _, c := range victim.Jar.Cookies(u) {
			if c.Name != "rf_"+x.Slug {
				t.Errorf("opening a link sets %s", c.Name)
			}
		}
		done := victim.Submit(form, x.Page("reset-password"), url.Values{"newPassword": {NewPassword}})
		if strings.Contains(done.Body, "accessToken") || len(victim.Jar.Cookies(u)) > 1 || victim.Cookie() != "" {
			t.Errorf("the reset logged in: %v", victim.Jar.Cookies(u))
		}
		q := x.Proof(e, "email_link")
		got := x.Redeem(q, "Another-horse-battery-88")
		if field(got, "result") != "LOGIN_REQUIRED" || strings.Contains(string(got.Body), "accessToken") || len(got.Header.Values("Set-Cookie")) > 0 {
			t.Errorf("%s", got.Body)
		}
	})

	row(t, "BND-x12", "The promised login, twice or elsewhere", func(t *testing.T, x *World) {
		login := map[string]any{"loginAfterReset": true}
		y := x.Second(login)
		v := x.Person("v")
		code := field(x.Redeem(x.Proof(v, "email_link"), NewPassword), "authSessionCode")
		if code == "" {
			t.Fatal("no authSessionCode")
		}
		Has(t, "elsewhere", y.Workflow("create-auth-session", object("authSessionCode", code)), http.StatusBadRequest)
		Has(t, "cut", x.Workflow("create-auth-session", object("authSessionCode", code[:len(code)-1])), http.StatusBadRequest)
		statusIs(t, x.Workflow("create-auth-session", object("authSessionCode", code)), http.StatusOK)
		Has(t, "twice", x.Beside().Workflow("create-auth-session", object("authSessionCode", code)), http.StatusBadRequest)
		late := field(x.Redeem(x.Proof(v, "email_link"), "Another-horse-battery-88"), "authSessionCode")
		x.PatchUser(v, map[string]any{"password": OldPassword})
		Has(t, "after another change", x.Workflow("create-auth-session", object("authSessionCode", late)), http.StatusBadRequest)
	}, map[string]any{"loginAfterReset": true})

	row(t, "BND-14", "An account without a password of its own", func(t *testing.T, x *World) {
		known := x.Ask(x.Person("known"), "email_link")
		sso := x.Address("sso")
		x.Must(http.StatusCreated, "POST", "/admin/v1/applications/"+x.Slug+"/users", map[string]any{"email": sso})
		for _, flow := range flowNames[:2] {
			got := x.Ask(sso, flow)
			statusIs(t, got, http.StatusAccepted)
			if flow == "email_link" {
				Same(t, "a known account and one without a password", known, got)
			}
		}
		got := x.Workflow("create-password-reset-link", object("email", sso))
		unknown := x.Workflow("create-password-reset-link", object("email", x.Address("nobody")))
		Has(t, "an operator's code", got, http.StatusNotFound)
		Same(t, "an operator's code for it and for nobody", unknown, got)
		x.NoMail(sso)
		if x.Opens(sso, NewPassword) || x.Login(sso, "").Status == http.StatusOK {
			t.Error("it logs in")
		}
	})

	row(t, "BND-x15", "The operator's flow from outside", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, flow := range []string{"direct_code", "DIRECT_CODE", "email_link ", "sms", "", "admin", "email_otp\x00"} {
			Violated(t, x.Ask(v, flow), "flow", "not_enabled")
		}
		weak := x.Server.Key(x.Slug, "secret", "password-reset-workflow:execute")
		got := x.Call("POST", "/api/v1/password-reset/create-password-reset-link", weak, object("email", v), nil)
		statusIs(t, got, http.StatusForbidden)
		x.NoMail(v)
	})

	row(t, "BND-16", "Downgrade to the weaker flow", func(t *testing.T, x *World) {
		v := x.Person("v")
		link := x.Proof(v, "email_link")
		direct := x.Proof(v, "direct_code")
		x.Patch(map[string]any{"flows": map[string]any{"email_link": map[string]any{"enabled": false}, "direct_code": map[string]any{"enabled": false}, "email_otp": map[string]any{"includeLink": false}}, "defaultFlow": "email_otp"})
		Violated(t, x.Ask(v, "email_link"), "flow", "not_enabled")
		Violated(t, x.Workflow("create-password-reset-link", object("email", v)), "flow", "not_enabled")
		Invalid(t, x.Redeem(link, NewPassword), "email_link")
		Invalid(t, x.Redeem(direct, NewPassword), "direct_code")
		otp := x.Proof(v, "email_otp")
		if mail := x.Next(v, "reset_code", 0); product.LinkCode(mail.Text, "email_auth_code") != "" {
			t.Error("the code mail holds a link all the same")
		}
		x.Unchanged(v, otp)
	})

	row(t, "BND-17", "An operator's code for one sets another's", func(t *testing.T, x *World) {
		v, e := x.Person("v"), x.Person("e")
		got := x.Workflow("create-password-reset-link", object("email", v, "userId", x.UserID(e)))
		Violated(t, got, "email", "must_be_null")
		p := x.Proof(e, "direct_code")
		for _, name := range []string{"email", "userId"} {
			Bad(t, x.Workflow("reset-password", p.With("newPassword", NewPassword, name, v)))
		}
		x.Redeemed(p, e, NewPassword)
		x.Unchanged(v)
	})

	row(t, "BND-x18", "An operator's code for another application's account", func(t *testing.T, x *World) {
		y := x.Second()
		theirs := y.Person("v")
		id := y.UserID(theirs)
		for _, body := range []string{object("userId", id), object("email", theirs), object("userId", "00000000-0000-7000-8000-000000000000")} {
			got := x.Workflow("create-password-reset-link", body)
			if got.Status != http.StatusNotFound || !strings.Contains(string(got.Body), "user_not_found") {
				t.Errorf("%s: %d %s", body, got.Status, got.Body)
			}
		}
		y.Unchanged(theirs)
	})

	row(t, "BND-19", "Key rotation accepts anything", func(t *testing.T, x *World) {
		enc := base64.StdEncoding.EncodeToString
		k1, k2 := enc([]byte("pYw3-Kd8x0Qz.Lf6tBn1;Vh5sRc9uJe2")), enc([]byte("aT7,mXq4^Gk0!wZr8Dv3%yNb6&HsPc5U"))
		y := x.Own("RESETFLOW_SECRET_KEYS=" + k1)
		owners, all := y.proofs()
		late := y.Person("late")
		lateProofs := y.Proof(late, "direct_code")
		y.Stop()
		both := *y
		both.Server = product.Start(t, product.Options{Database: y.Database, Env: []string{"RESETFLOW_SECRET_KEYS=" + k2 + "," + k1}})
		for i, p := range all {
			Invalid(t, both.Redeem(p.Wrong(), NewPassword), p.Flow())
			both.Redeemed(p, owners[i], NewPassword)
		}
		fresh := both.Proof(both.Person("fresh"), "email_link")
		pending := both.Proof(owners[0], "direct_code")
		both.Stop()
		only := *y
		only.Server = product.Start(t, product.Options{Database: y.Database, Env: []string{"RESETFLOW_SECRET_KEYS=" + k2}})
		Invalid(t, only.Redeem(lateProofs, NewPassword), "direct_code")
		only.Unchanged(late)
		only.Redeemed(fresh, x.Address("fresh"), NewPassword)
		only.Redeemed(pending, owners[0], "Another-horse-battery-88")
	})

	row(t, "BND-20", "A code as access token, an access token as key", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		login := x.Login(v, OldPassword)
		access, refresh := field(login, "accessToken"), field(login, "refreshToken")
		for _, bearer := range []string{p["emailAuthCode"], refresh, x.Key} {
			statusIs(t, x.Call("GET", "/api/v1/auth/session", bearer, "", nil), http.StatusUnauthorized)
		}
		for _, bearer := range []string{access, refresh, p["emailAuthCode"]} {
			statusIs(t, x.Call("POST", "/api/v1/password-reset/introspect", bearer, p.With(), nil), http.StatusUnauthorized)
			statusIs(t, x.Call("GET", "/admin/v1/applications/"+x.Slug+"/users", bearer, "", nil), http.StatusUnauthorized)
		}
		for _, token := range []string{access, p["emailAuthCode"]} {
			statusIs(t, x.Call("POST", "/api/v1/auth/refresh", x.Key, object("refreshToken", token), nil), http.StatusUnauthorized)
		}
		x.Unchanged(v, p)
	})
}
