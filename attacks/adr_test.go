package attacks

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/flows/flowtest"
	"github.com/resetflow/resetflow/workflow"
)

const request = "request-password-reset"

// refused asks with each text as the address and expects B and no effect.
func refused(t *testing.T, x *World, victim string, addresses ...string) {
	t.Helper()
	for _, a := range addresses {
		got := x.Workflow(request, object("email", a))
		if got.Status != http.StatusBadRequest {
			t.Errorf("%q: %d %s", a, got.Status, got.Body)
		}
		Bad(t, got)
	}
	x.NoMail(victim)
	x.Unchanged(victim)
}

// unrelated asks with each text as the address and expects N and no mail to the victim.
func unrelated(t *testing.T, x *World, victim string, addresses ...string) {
	t.Helper()
	for _, a := range addresses {
		got := x.Workflow(request, object("email", a))
		if got.Status != http.StatusAccepted && got.Status != http.StatusBadRequest {
			t.Errorf("%q: %d %s", a, got.Status, got.Body)
		}
	}
	x.NoMail(append(addresses, victim)...)
	x.Unchanged(victim)
}

func TestADR(t *testing.T) {
	row(t, "ADR-01", "Two addresses in an array", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, email := range []string{`["` + v + `","` + x.Evil() + `"]`, `["` + v + `"]`, `{"0":"` + v + `","1":"` + x.Evil() + `"}`, `[["` + v + `"]]`} {
			got := x.Workflow(request, `{"email":`+email+`}`)
			Violated(t, got, "email", "invalid_type")
		}
		x.NoMail(v)
		x.Unchanged(v)
	})

	row(t, "ADR-02", "Address list in one string", func(t *testing.T, x *World) {
		v := x.Person("v")
		var list []string
		for _, sep := range []string{",", ";", " ", "%20", "\n", "\r\n", "|", ", ", "\t", "\x00", "&email=", "%0a", "%2c", "、"} {
			list = append(list, x.Evil()+sep+v, v+sep+x.Evil())
		}
		refused(t, x, v, list...)
	})

	row(t, "ADR-x03", "Another recipient beside the address", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, name := range []string{"cc", "bcc", "to", "recipient", "email[]", "email2", "emails", "sendTo", "username"} {
			got := x.Workflow(request, object("email", v, name, x.Evil()))
			Bad(t, got)
			if !strings.Contains(string(got.Body), "unknown_field") {
				t.Errorf("%s: %d %s", name, got.Status, got.Body)
			}
		}
		x.NoMail(v)
	})

	row(t, "ADR-04", "Duplicate form and query keys", func(t *testing.T, x *World) {
		v := x.Person("v")
		b := x.Browser()
		page := b.Get(x.Page("forgot-password"))
		if got := b.Submit(page, x.Page("forgot-password"), url.Values{"email": {v, x.Evil()}}); got.Status != http.StatusBadRequest {
			t.Errorf("a field twice: %d", got.Status)
		}
		if got := b.Submit(page, x.Page("forgot-password"), url.Values{"email": {x.Evil(), v}}); got.Status != http.StatusBadRequest {
			t.Errorf("a field twice: %d", got.Status)
		}
		Bad(t, x.Call("POST", "/api/v1/password-reset/"+request, x.Key, "email="+v+"&email="+x.Evil(), map[string]string{"Content-Type": "application/x-www-form-urlencoded"}))
		x.NoMail(v)
		b.Submit(page, x.Page("forgot-password")+"?email="+x.Evil(), url.Values{"email": {v}})
		x.Next(v, "reset_link", 0)
		x.Workflow(request+"?email="+x.Evil(), object("email", v))
		x.Next(v, "reset_link", 1)
		x.NoMail()
	})

	row(t, "ADR-05", "Duplicate JSON keys", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, body := range []string{
			`{"email":"` + v + `","email":"` + x.Evil() + `"}`, `{"email":"` + x.Evil() + `","email":"` + v + `"}`,
			`{"email":"` + v + `","\u0065mail":"` + x.Evil() + `"}`, `{"email":null,"email":"` + x.Evil() + `"}`,
		} {
			Violated(t, x.Workflow(request, body), "email", "duplicate_field")
		}
		x.NoMail(v)
	})

	row(t, "ADR-x06", "Look-alike JSON keys", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, name := range []string{"Email", "EMAIL", "emaiL", "emaıl", "email ", " email", "email\x00", "e-mail", "е\x6dail", "ｅmail", "Flow", "redirectURL"} {
			got := x.Workflow(request, object("email", v, name, x.Evil()))
			Bad(t, got)
			if got.Status != http.StatusBadRequest {
				t.Errorf("%q is taken", name)
			}
			if name != "Flow" && name != "redirectURL" {
				Bad(t, x.Workflow(request, object(name, x.Evil())))
			}
		}
		p := x.Proof(v, "email_link")
		for _, name := range []string{"newPaſſword", "NewPassword", "newpassword", "new_password"} {
			Bad(t, x.Workflow("reset-password", p.With("newPassword", NewPassword, name, "Another-horse-battery-88")))
		}
		x.Unchanged(v, p)
	})

	row(t, "ADR-07", "Mail to the request's spelling", func(t *testing.T, x *World) {
		v := x.Person("mike")
		known, unknown := x.Ask(x.Person("other"), "email_link"), x.Ask(strings.Replace(v, "mike", "mıke", 1), "email_link")
		Same(t, "a known address and its look-alike", known, unknown)
		unrelated(t, x, v, strings.Replace(v, "mike", "mıke", 1), strings.Replace(v, "mike", "mĳke", 1), strings.Replace(v, "mike", "mikė", 1))
		x.Ask(strings.ToUpper(v), "email_link")
		if m := x.Next(v, "reset_link", 0); len(m.EnvelopeTo) != 1 || m.EnvelopeTo[0] != v {
			t.Errorf("went to %v", m.EnvelopeTo)
		}
	})

	row(t, "ADR-08", "Unicode case folding", func(t *testing.T, x *World) {
		for _, name := range []string{"k", "s", "i", "ss", "a"} {
			x.Person(name)
		}
		domain := strings.TrimPrefix(x.Address(""), "@")
		for _, name := range []string{"\u212a", "\u017f", "\u0130", "\u0131", "\u00df", "\u1e9e", "\u212b", "i\u0307"} {
			got := x.Workflow(request, object("email", name+"@"+domain))
			if got.Status != http.StatusAccepted && got.Status != http.StatusBadRequest {
				t.Errorf("%q: %d %s", name, got.Status, got.Body)
			}
			if got := x.Login(name+"@"+domain, OldPassword); got.Status == http.StatusOK {
				t.Errorf("%q logs somebody else in", name)
			}
		}
		x.NoMail("k@"+domain, "s@"+domain, "i@"+domain, "ss@"+domain, "a@"+domain)
	})

	row(t, "ADR-x09", "Two spellings of one letter", func(t *testing.T, x *World) {
		v := x.Person("ren\u00e9")
		got := x.Must(http.StatusOK, "GET", "/admin/v1/applications/"+x.Slug+"/users?email="+url.QueryEscape(x.Address("rene\u0301")), nil)
		if len(got["items"].([]any)) != 1 {
			t.Error("NFD does not find what NFC stored")
		}
		twin := x.Admin("POST", "/users", object("email", x.Address("rene\u0301"), "password", OldPassword))
		statusIs(t, twin, http.StatusConflict)
		x.Ask(x.Address("rene\u0301"), "email_link")
		x.Next(v, "reset_link", 0)
		unrelated(t, x, x.Person("plain"), x.Address("rene"))
	})

	row(t, "ADR-10", "Compatibility forms", func(t *testing.T, x *World) {
		v, a := x.Person("demo"), x.Person("admin")
		unrelated(t, x, v, strings.Replace(v, "demo", "demⓞ", 1), strings.Replace(a, "admin", "ａdmin", 1), strings.Replace(a, "admin", "ªdmin", 1), strings.Replace(v, ".example", "․example", 1), strings.Replace(v, "@", "＠", 1))
		x.NoMail(v, a)
		refused(t, x, v, strings.Replace(v, "example", "exⓐmple", 1), strings.Replace(v, ".com", "。com", 1), strings.Replace(v, "example", "ｅxample", 1))
	})

	row(t, "ADR-11", "Blanks around the identifier", func(t *testing.T, x *World) {
		v := x.Person("v")
		var list []string
		for _, blank := range []string{" ", "\u00a0", "\u200b", "\t", "\u2060", "\ufeff", "\u3000", "\u00ad", "\u202e", "\n", "\u2028"} {
			list = append(list, blank+v, v+blank, strings.Replace(v, "@", blank+"@", 1), strings.Replace(v, "@", "@"+blank, 1))
		}
		refused(t, x, v, list...)
		for _, a := range list[:8] {
			Bad(t, x.Admin("POST", "/users", object("email", a, "password", OldPassword)))
		}
	})

	row(t, "ADR-x12", "Header injection through the address", func(t *testing.T, x *World) {
		v := x.Person("v")
		var list []string
		for _, end := range []string{"\r\nBcc: ", "\nBcc: ", "\rBcc: ", "%0d%0aBcc: ", "\u2028Bcc:", "\x0b\x0cBcc:", "\r\n\r\n", "\r\nRCPT TO:<"} {
			list = append(list, v+end+x.Evil())
		}
		refused(t, x, v, list...)
		for _, c := range x.SMTP.Commands("RCPT") {
			if strings.Contains(c, x.Slug+".evil.") {
				t.Error(c)
			}
		}
	})

	row(t, "ADR-13", "Wildcards as identifier or code", func(t *testing.T, x *World) {
		v := x.Person("b_b")
		x.Person("bxb")
		domain := strings.TrimPrefix(x.Address(""), "@")
		unrelated(t, x, v, "%@"+domain, "_@"+domain, "b%@"+domain, "*@"+domain, "b?b@"+domain, "___@"+domain)
		x.Ask(v, "email_link")
		x.Next(v, "reset_link", 0)
		x.NoMail(x.Address("bxb"))
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			p := x.Proof(v, flow)
			for _, wild := range []string{"%", "_", "*", strings.Repeat("_", 6), strings.Repeat("_", 20), "%%%%%%", ".*"} {
				q := Proof{}
				for k := range p {
					q[k] = wild
				}
				if got := x.Redeem(q, NewPassword); got.Status != http.StatusBadRequest {
					t.Errorf("%q: %d", wild, got.Status)
				}
			}
			x.Unchanged(v, p)
		})
	})

	row(t, "ADR-14", "A name equal to another's address", func(t *testing.T, x *World) {
		v := x.Person("v")
		thief := x.Address("thief")
		x.Must(http.StatusCreated, "POST", "/admin/v1/applications/"+x.Slug+"/users", map[string]any{"email": thief, "password": OldPassword, "name": v})
		p := x.Proof(v, "email_link")
		x.NoMail(thief)
		x.Redeemed(p, v, NewPassword)
		x.Unchanged(thief)
	})

	row(t, "ADR-x15", "One account in two spellings of case", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, twin := range []string{strings.ToUpper(v), strings.Replace(v, "v@", "V@", 1), strings.Replace(v, "example", "EXAMPLE", 1)} {
			got := x.Admin("POST", "/users", object("email", twin, "password", OldPassword))
			if got.Status != http.StatusConflict || !strings.Contains(string(got.Body), "not_unique") {
				t.Errorf("%s: %d %s", twin, got.Status, got.Body)
			}
		}
	})

	row(t, "ADR-16", "Quoted local part", func(t *testing.T, x *World) {
		v := x.Person("v")
		domain := strings.TrimPrefix(v, "v@")
		refused(t, x, v, `"`+x.Evil()+` x"@`+domain, `"v"@`+domain, `"t@x.org> ORCPT=`+x.Evil()+`"@`+domain, `v"@`+domain, `"`+x.Evil()+`"`+v, `v\@`+x.Evil())
	})

	row(t, "ADR-17", "ESMTP parameter smuggling", func(t *testing.T, x *World) {
		v := x.Person("v")
		smuggled := []string{v + "> ORCPT=rfc822;" + x.Evil(), v + "> NOTIFY=SUCCESS", v + ">\r\nRCPT TO:<" + x.Evil(), v + " SIZE=1"}
		refused(t, x, v, smuggled...)
		for _, a := range smuggled {
			Bad(t, x.Admin("POST", "/users", object("email", a, "password", OldPassword)))
		}
		x.Ask(v, "email_link")
		x.Next(v, "reset_link", 0)
		n := 0
		for _, c := range x.SMTP.Commands("RCPT") {
			if strings.Contains(c, v) {
				n++
				if c != "RCPT TO:<"+v+">" {
					t.Errorf("on the wire: %s", c)
				}
			}
		}
		if n != 1 {
			t.Errorf("%d recipients on the wire", n)
		}
	})

	row(t, "ADR-x18", "Display names, comments, groups, routes and old hacks", func(t *testing.T, x *World) {
		v := x.Person("v")
		domain := strings.TrimPrefix(v, "v@")
		refused(t, x, v, "V <"+v+">", "<"+v+">", v+" ("+x.Evil()+")", "v("+x.Evil()+")@"+domain, "g:"+v+","+x.Evil()+";", "<@evil.example.org:"+v+">", "@evil.example.org:"+v, x.Evil()+"@"+domain, v+"@evil.example.org", "mailto:"+v+"?cc="+x.Evil(), "v@"+domain+"@", "@"+domain, "v@")
		unrelated(t, x, v, "e%evil.example.org@"+domain, "evil.example.org!e@"+domain, "v+x@"+domain, "v/x@"+domain)
	})

	row(t, "ADR-19", "Encoded-word address", func(t *testing.T, x *World) {
		v := x.Person("v")
		refused(t, x, v, "=?utf-8?q?v=40"+strings.TrimPrefix(v, "v@")+"=3e=00?="+x.Evil()[1:], "=?utf-8?b?dkB4?="+x.Evil()[1:], "=?utf-8?q?=76?=@"+strings.TrimPrefix(v, "v@"))
	})

	row(t, "ADR-20", "IDN and punycode twins", func(t *testing.T, x *World) {
		v := x.Address("v")
		x.User(x.Slug, "v@b\u00fccher."+x.Slug+".example.com")
		stored := "v@xn--bcher-kva." + x.Slug + ".example.com"
		x.Ask("v@xn--bcher-kva."+x.Slug+".example.com", "email_link")
		x.Next(stored, "reset_link", 0)
		x.Ask("v@bu\u0308cher."+x.Slug+".example.com", "email_link")
		x.Next(stored, "reset_link", 1)
		x.User(x.Slug, v)
		latin := strings.Replace(v, "example", "ex\u0430mple", 1) // Cyrillic a
		unrelated(t, x, v, latin, strings.Replace(v, ".com", ".c\u03bfm", 1))
		Bad(t, x.Workflow(request, object("email", "v@xn--a."+x.Slug+".example.com")))
		Bad(t, x.Workflow(request, object("email", "v@xn--example-.com")))
	})

	row(t, "ADR-x21", "Trailing dots and empty labels", func(t *testing.T, x *World) {
		v := x.Person("v")
		refused(t, x, v, v+".", strings.Replace(v, "@", "@.", 1), strings.Replace(v, ".example", "..example", 1), "."+v, strings.Replace(v, "@", ".@", 1), "v..v@"+strings.TrimPrefix(v, "v@"), v+"/", v+"#", v+"%00", strings.Replace(v, "v@", "v@-", 1), v+":25")
	})

	row(t, "ADR-22", "Local and odd domains", func(t *testing.T, x *World) {
		v := x.Person("v")
		refused(t, x, v, "root@localhost", "v@[127.0.0.1]", "v@x", "v@127.0.0.1", "v@[IPv6:::1]", "v@0x7f.1", "root", "v@127.1", "v@1")
		if strings.Contains(x.SMTP.Wire(), "root@localhost") {
			t.Error("a mail went to root@localhost")
		}
	})

	row(t, "ADR-23", "Accounts nobody may reset", func(t *testing.T, x *World) {
		known := x.Ask(x.Person("known"), "email_link")
		service := x.Address("service")
		id := x.User(x.Slug, service)
		x.Must(http.StatusOK, "PATCH", "/admin/v1/applications/"+x.Slug+"/users/"+id, map[string]any{"disabled": true})
		for _, flow := range flowNames[:2] {
			got := x.Ask(service, flow)
			statusIs(t, got, http.StatusAccepted)
			if flow == "email_link" {
				Same(t, "a known and a disabled account", known, got)
			}
		}
		x.Ask("placeholder@placeholder.org", "email_link")
		x.NoMail(service, "placeholder@placeholder.org")
	})

	row(t, "ADR-x24", "Header injection through the name", func(t *testing.T, x *World) {
		for i, name := range []string{"x\r\nBcc: " + x.Evil(), "x\nTo: " + x.Evil(), "\"><" + x.Evil() + ">", "=?utf-8?q?=0d=0aBcc:_" + x.Evil() + "?=", x.Evil() + ","} {
			v := x.Address("n" + string(rune('a'+i)))
			got := x.Admin("POST", "/users", object("email", v, "password", OldPassword, "name", name))
			if got.Status != http.StatusCreated {
				Bad(t, got)
				continue
			}
			x.Ask(v, "email_link")
			if m := x.Next(v, "reset_link", 0); len(m.EnvelopeTo) != 1 {
				t.Errorf("%q: %v", name, m.EnvelopeTo)
			}
		}
		x.NoMail()
		for line := range strings.SplitSeq(x.SMTP.Wire(), "\n") {
			if low := strings.ToLower(line); (strings.HasPrefix(low, "bcc:") || strings.HasPrefix(low, "to:")) && strings.Contains(low, x.Slug+".evil.") && !strings.Contains(low, x.Slug+".example") {
				t.Errorf("a header of the attacker's: %s", line)
			}
		}
	})

	row(t, "ADR-25", "Rerouting through a header", func(t *testing.T, x *World) {
		v := x.Person("v")
		for i, name := range []string{"X-Debug-Mail-To", "X-Mail-To", "X-Forwarded-Email", "X-Test-Recipient", "X-Original-To", "Reply-To", "X-User", "X-Remote-User"} {
			got := x.Call("POST", "/api/v1/password-reset/"+request, x.Key, object("email", v), map[string]string{name: x.Evil(), "X-Resetflow-Client-IP": clientIP()})
			statusIs(t, got, http.StatusAccepted)
			if m := x.Next(v, "reset_link", i); len(m.EnvelopeTo) != 1 {
				t.Errorf("%s: %v", name, m.EnvelopeTo)
			}
		}
		x.NoMail()
	})

	rigRow(t, "ADR-26", "The address changes between request and mail", func(t *testing.T, r *flowtest.Rig) {
		ctx := context.Background()
		for _, when := range []string{"before the account is looked up", "before the mail leaves"} {
			old, now := strings.ReplaceAll(when, " ", ".")+"@example.com", strings.ReplaceAll(when, " ", ".")+".new@example.com"
			u := r.User(r.App, old)
			if _, err := r.Engine.Request(ctx, r.App, workflow.RequestInput{Email: old, Flow: "email_link", Client: workflow.Client{Actor: "key:x", KeyID: when}}); err != nil {
				t.Fatal(err)
			}
			if when == "before the mail leaves" {
				r.Outbox.Fail(&workflow.RetryError{After: 1, Cause: errors.New("down")})
				r.Work()
				r.Outbox.Fail(nil)
			}
			if _, err := r.Directory.UpdateUser(ctx, "acme", u.ID, workflow.UserPatch{Email: &now}, "test"); err != nil {
				t.Fatal(err)
			}
			r.Work()
			r.Work()
			if n := len(r.Outbox.To(old)) + len(r.Outbox.To(now)); n != 0 {
				t.Errorf("%s: %d mails left", when, n)
			}
		}
	})

	row(t, "ADR-x27", "The address changes after the mail", func(t *testing.T, x *World) {
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			v, now := x.Address("old-"+flow), x.Address("new-"+flow)
			id := x.User(x.Slug, v)
			p := x.Proof(v, flow)
			x.Must(http.StatusOK, "PATCH", "/admin/v1/applications/"+x.Slug+"/users/"+id, map[string]any{"email": now})
			Invalid(t, x.Redeem(p, NewPassword), flow)
			Invalid(t, x.Introspect(p), flow)
			if !x.Opens(now, OldPassword) {
				t.Error("the password changed")
			}
		})
	})
}
