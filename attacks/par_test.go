package attacks

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/internal/testkit/product"
)

const redeem = "reset-password"

// spoiled sends each value, as JSON, in place of the code of every flow and
// expects B, before anything is looked up and without effect.
func spoiled(x *World, values ...string) {
	x.T.Helper()
	x.EachFlow(func(t *testing.T, x *World, flow string) {
		v := x.Person("v-" + strings.ReplaceAll(flow, "_", ""))
		p := x.Proof(v, flow)
		for _, value := range values {
			for _, name := range []string{p.Field(), "requestCode"} {
				code, named := p[name]
				if !named {
					continue
				}
				for _, step := range []string{redeem, "introspect"} {
					body := p.With("newPassword", NewPassword)
					if step == "introspect" {
						body = p.With()
					}
					body = strings.Replace(body, `"`+code+`"`, value, 1)
					got := x.Workflow(step, body)
					if got.Status != http.StatusBadRequest {
						t.Errorf("%s %s %s: %d %s", step, name, value, got.Status, got.Body)
					}
					Bad(t, got)
				}
			}
		}
		x.Unchanged(v)
		x.Redeemed(p, v, NewPassword) // nothing was counted or spent
	})
}

func TestPAR(t *testing.T) {
	row(t, "PAR-01", "Empty code", func(t *testing.T, x *World) {
		spoiled(x, `""`, `" "`, `"   "`, `"\u0000"`)
		for _, body := range []string{`{}`, `{"newPassword":"` + NewPassword + `"}`} {
			got := x.Workflow(redeem, body)
			for _, name := range []string{"emailAuthCode", "requestCode", "verificationCode", "passwordResetCode"} {
				Violated(t, got, name, "required")
			}
		}
		Violated(t, x.Workflow("resend", `{"requestCode":""}`), "requestCode", "too_short")
		Violated(t, x.Workflow("resend", `{}`), "requestCode", "required")
	}, map[string]any{"flows": manyAttempts})

	row(t, "PAR-02", "null code", func(t *testing.T, x *World) {
		spoiled(x, `null`)
		for _, step := range []string{redeem, "introspect", request, "resend", "create-password-reset-link", "create-auth-session"} {
			Bad(t, x.Workflow(step, `null`))
			Bad(t, x.Workflow(step, `{"emailAuthCode":null,"requestCode":null,"verificationCode":null,"passwordResetCode":null,"newPassword":null,"email":null}`))
		}
	})

	row(t, "PAR-x03", "true, false and words that are no JSON", func(t *testing.T, x *World) {
		spoiled(x, `true`, `false`, `undefined`, `NaN`, `Infinity`, `None`, `'a'`)
	})

	row(t, "PAR-04", "An array", func(t *testing.T, x *World) {
		spoiled(x, `[]`, `["a"]`, `[null]`, `[""]`, `[true]`, `[["a"]]`)
		for _, name := range []string{"emailAuthCode[]", "passwordResetCode[0]", "code[]"} {
			Bad(t, x.Workflow(redeem, object(name, "x", "newPassword", NewPassword)))
		}
	})

	row(t, "PAR-05", "An object or operator", func(t *testing.T, x *World) {
		spoiled(x, `{}`, `{"$gt":""}`, `{"$ne":null}`, `{"$regex":".*"}`, `{"toString":"x"}`, `{"__proto__":{}}`)
		for _, name := range []string{"__proto__", "constructor", "$where", "emailAuthCode[$ne]", "emailAuthCode.$gt"} {
			Bad(t, x.Workflow(redeem, object(name, "x", "newPassword", NewPassword)))
		}
	})

	row(t, "PAR-x06", "A code wrapped in text", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, flow := range []string{"email_link", "direct_code"} {
			p := x.Proof(v, flow)
			code := p[p.Field()]
			for _, wrap := range []string{`["` + code + `"]`, `{"code":"` + code + `"}`, `"` + code + `"`, code + "," + code, "[" + code + "]", code + "\u200b", "\ufeff" + code} {
				Invalid(t, x.Redeem(Proof{p.Field(): wrap}, NewPassword), flow)
			}
			x.Unchanged(v, p)
		}
	})

	row(t, "PAR-07", "A number in place of a code", func(t *testing.T, x *World) {
		spoiled(x, `0`, `123456`, `1.23456e5`, `-1`, `1e309`, `0.0`, `00`, `0x1`, `18446744073709551616`)
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		number := strings.Replace(p.With("newPassword", NewPassword), `"`+p["verificationCode"]+`"`, strings.TrimLeft(p["verificationCode"], "0")+".0", 1)
		Bad(t, x.Workflow(redeem, number))
		for _, text := range []string{"0e1", "0e123456"} {
			Invalid(t, x.Redeem(Proof{"requestCode": p["requestCode"], "verificationCode": text}, NewPassword), "email_otp")
			Invalid(t, x.Redeem(Proof{"passwordResetCode": text}, NewPassword), "direct_code")
		}
		x.Unchanged(v, p)
	})

	row(t, "PAR-08", "Signs that a filter empties", func(t *testing.T, x *World) {
		spoiled(x, `"'"`, `"\t"`, `"%00"`, `"\u0000"`)
		for _, text := range []string{"-", "----", "- - -", `\`, "\u00a0", "\u200b", "=", "''"} {
			Invalid(t, x.Redeem(Proof{"emailAuthCode": text}, NewPassword), "email_link")
			Invalid(t, x.Redeem(Proof{"passwordResetCode": text}, NewPassword), "direct_code")
			Invalid(t, x.Redeem(Proof{"requestCode": text, "verificationCode": text}, NewPassword), "email_otp")
		}
	}, map[string]any{"flows": manyAttempts})

	row(t, "PAR-x09", "SQL in every text", func(t *testing.T, x *World) {
		v := x.Person("v")
		all := []Proof{x.Proof(v, "direct_code"), x.Proof(v, "email_link")}
		for _, sql := range []string{"' OR 1=1 --", "1=1 OR ''=''", "'; DROP TABLE requests; --", "x' UNION SELECT 1 --", "1) OR (1=1", "\\' OR 1=1 --", "$1", "?", "@p1", "{{1}}"} {
			Invalid(t, x.Redeem(Proof{"emailAuthCode": sql}, NewPassword), "email_link")
			Invalid(t, x.Redeem(Proof{"passwordResetCode": sql}, NewPassword), "direct_code")
			Invalid(t, x.Redeem(Proof{"requestCode": sql, "verificationCode": sql}, NewPassword), "email_otp")
			Has(t, sql, x.Login(v, sql), http.StatusUnauthorized)
			for _, path := range []string{"/users?email=", "/reset-requests?email=", "/reset-requests?state=", "/reset-requests?cursor=", "/users?limit=", "/messages?state="} {
				got := x.Admin("GET", path+queryEscape(sql), "")
				if got.Status >= 500 {
					t.Errorf("%s%s: %d", path, sql, got.Status)
				}
			}
		}
		x.Unchanged(v, all...)
	})

	row(t, "PAR-10", "A condition as id", func(t *testing.T, x *World) {
		x.Person("v")
		for _, id := range []string{"1=1 OR ''=''", "1=1", "' OR '1'='1", "%27%20OR%201=1", "id IS NOT NULL", "*", "%25"} {
			for _, path := range []string{"/users/", "/reset-requests/", "/messages/"} {
				Has(t, path+id, x.Admin("GET", path+queryEscape(id), ""), http.StatusNotFound, http.StatusBadRequest)
			}
			Has(t, "delete "+id, x.Admin("DELETE", "/users/"+queryEscape(id), ""), http.StatusNotFound, http.StatusBadRequest)
			Has(t, "revoke "+id, x.Admin("DELETE", "/keys/"+queryEscape(id), ""), http.StatusNotFound, http.StatusBadRequest)
			Has(t, "an operator's code", x.Workflow("create-password-reset-link", object("userId", id)), http.StatusNotFound, http.StatusBadRequest)
		}
		x.Unchanged(x.Address("v"))
	})

	row(t, "PAR-11", "Ids that are none", func(t *testing.T, x *World) {
		var first []int
		for _, id := range []string{"99999999999999999999", "abc", "-1", "1e3", "0x1", "0", "null", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", strings.Repeat("9", 5000), "%00", "%ff", "..%2f..", "%F0%9F%98%80"} {
			for _, path := range []string{"/users/" + id, "/reset-requests/" + id, "/messages/" + id, "/users/" + id + "/revoke-sessions", "/reset-requests/" + id + "/cancel"} {
				method := "GET"
				if strings.Count(path, "/") == 3 {
					method = "POST"
				}
				got := x.Admin(method, path, "")
				Has(t, method+" "+path[:min(60, len(path))], got, http.StatusNotFound, http.StatusBadRequest)
				first = append(first, got.Status)
			}
			for _, page := range []string{"/apps/" + id + "/forgot-password", "/apps/" + id + "/.well-known/jwks.json"} {
				if got := x.Browser().Get(page); got.Status >= 500 {
					t.Errorf("%.60s: %d", page, got.Status)
				}
			}
		}
		alike(t, "PAR-11", x.Kind, fmt.Sprint(first))
	})

	row(t, "PAR-x12", "NUL and very long texts", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		for _, code := range []string{p["emailAuthCode"] + "\x00", "\x00" + p["emailAuthCode"], strings.Repeat("A", 513), strings.Repeat("A", 15000)} {
			Invalid(t, x.Redeem(Proof{"emailAuthCode": code}, NewPassword), "email_link")
		}
		statusIs(t, x.Workflow(redeem, object("emailAuthCode", strings.Repeat("A", 17000), "newPassword", NewPassword)), http.StatusRequestEntityTooLarge)
		for _, email := range []string{v + "\x00", "v\x00@x.org", strings.Repeat("v", 65) + "@x.org", strings.Repeat("v", 15000) + "@x.org", "v@" + strings.Repeat("a", 64) + ".org", "v@" + strings.Repeat("a.", 130) + "org"} {
			Violated(t, x.Workflow(request, object("email", email)), "email", "invalid_email")
		}
		for name, value := range map[string]string{"flow": strings.Repeat("f", 5000), "locale": strings.Repeat("e", 5000), "redirectUrl": "https://app.acme.test/" + strings.Repeat("x", 5000), "challenge": strings.Repeat("x", 5000)} {
			if got := x.Workflow(request, object("email", x.Address("nobody"), name, value)); got.Status >= 500 {
				t.Errorf("%s: %d", name, got.Status)
			}
		}
		for name, value := range map[string]string{"name": "a\x00b", "locale": "en\x00"} {
			Bad(t, x.Admin("POST", "/users", object("email", x.Address("nul"), "password", OldPassword, name, value)))
		}
		x.Unchanged(v, p)
	})

	row(t, "PAR-13", "Invalid UTF-8 and lone surrogates", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		for _, bad := range []string{"\xff", "\xc0\xae", "\xed\xa0\x80", "\xf4\x90\x80\x80", `\ud800`, `\udfff`, `\ud800x`, `\udc00\ud800`} {
			for _, body := range []string{
				`{"emailAuthCode":"` + bad + `","newPassword":"` + NewPassword + `"}`, strings.Replace(p.With("newPassword", NewPassword+"X"), "X", bad, 1),
				`{"email":"v` + bad + `@x.org"}`, `{"em` + bad + `ail":"` + v + `"}`,
			} {
				got := x.Workflow(redeem, body)
				if got.Status != http.StatusBadRequest {
					t.Errorf("%q: %d %s", body, got.Status, got.Body)
				}
				Bad(t, x.Workflow(request, body))
			}
			b := x.Browser()
			token := formToken.FindStringSubmatch(b.Get(x.Page("forgot-password")).Body)[1]
			form := "form=" + token + "&email=v" + strings.ReplaceAll(queryEscape(bad), "%5C", "\\") + "@x.org"
			if got := b.Do("POST", x.Page("forgot-password"), form, nil); got.Status != http.StatusBadRequest {
				t.Errorf("%q in a form: %d", bad, got.Status)
			}
		}
		x.Unchanged(v, p)
	})

	row(t, "PAR-14", "A second document", func(t *testing.T, x *World) {
		v := x.Person("v")
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			p := x.Proof(v, flow)
			good := p.With("newPassword", NewPassword)
			for _, after := range []string{good, "{}", "x", "]", "}", ",", "\x00", "/* */", "// x", "[]", "null", "\ufeff"} {
				Bad(t, x.Workflow(redeem, good+after))
				Bad(t, x.Workflow(redeem, good+"\n"+after))
			}
			x.Unchanged(v, p)
		})
	})

	row(t, "PAR-x15", "What some parsers forgive", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, body := range []string{
			"\ufeff" + object("email", v), `{"email":"` + v + `",}`, `{email:"` + v + `"}`, `{'email':'` + v + `'}`, `{"email":"` + v + `"/**/}`, `[{"email":"` + v + `"}]`, `"` + v + `"`,
			`{"email":"` + v + "\n" + `"}`, `{"email":"` + v + "\t" + `"}`, `{"email":"\x76` + v + `"}`, `{"email":"` + v, `{"email" "` + v + `"}`, "\v" + object("email", v), `)]}',` + object("email", v), `{"email":"` + v + `","flow":"email_link";}`,
		} {
			if got := x.Workflow(request, body); got.Status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", body, got.Status, got.Body)
			}
		}
		x.NoMail(v)
	})

	row(t, "PAR-16", "The path's id overridden by the body", func(t *testing.T, x *World) {
		v, e := x.Person("v"), x.Person("e")
		y := x.Second()
		for _, body := range []string{`{"id":"` + x.UserID(v) + `","disabled":true}`, `{"userId":"` + x.UserID(v) + `","disabled":true}`, `{"slug":"` + y.Slug + `","disabled":true}`, `{"application":"` + y.Slug + `","disabled":true}`} {
			Bad(t, x.Admin("PATCH", "/users/"+x.UserID(e), body))
		}
		x.Unchanged(v)
		x.Unchanged(e)
		Bad(t, x.Admin("PATCH", "", `{"application":"`+y.Slug+`"}`))
		Bad(t, x.Admin("PATCH", "", `{"slug":"`+y.Slug+`"}`))
		x.Admin("PATCH", "/users/"+x.UserID(e)+"?id="+x.UserID(v), `{"disabled":true}`)
		x.Unchanged(v)
	})

	row(t, "PAR-17", "Empty body", func(t *testing.T, x *World) {
		for _, step := range []string{redeem, "introspect", request, "resend", "create-password-reset-link", "create-auth-session", "check-password"} {
			for _, body := range []string{"", " ", "\n", "\x00"} {
				got := x.Call("POST", "/api/v1/password-reset/"+step, x.Key, body, map[string]string{"Content-Type": "application/json"})
				if got.Status != http.StatusBadRequest {
					t.Errorf("%s %q: %d %s", step, body, got.Status, got.Body)
				}
			}
		}
		for _, path := range []string{"/users", "/keys"} {
			Bad(t, x.Admin("POST", path, " "))
		}
		Bad(t, x.Call("POST", "/api/v1/auth/login", x.Key, "", map[string]string{"Content-Type": "application/json"}))
	})

	row(t, "PAR-x18", "Another content type", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		for _, kind := range []string{"application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", "application/xml", "text/json", "application/json; charset=utf-16", "application/json; charset=iso-8859-1", "application/jsonx", "application/json, text/plain", "application/merge-patch+json", "x"} {
			got := x.Call("POST", "/api/v1/password-reset/"+redeem, x.Key, p.With("newPassword", NewPassword), map[string]string{"Content-Type": kind})
			if got.Status != http.StatusUnsupportedMediaType {
				t.Errorf("%s: %d %s", kind, got.Status, got.Body)
			}
		}
		x.Unchanged(v, p)
	})

	row(t, "PAR-19", "Deep, wide and long JSON", func(t *testing.T, x *World) {
		v := x.Person("v")
		var keys strings.Builder
		for i := range 100000 {
			fmt.Fprintf(&keys, `"k%d":1,`, i)
		}
		for what, body := range map[string]string{
			"a megabyte of [": strings.Repeat("[", 1<<20), "deep": `{"email":` + strings.Repeat("[", 7000) + strings.Repeat("]", 7000) + "}", "deep objects": strings.Repeat(`{"a":`, 3000) + "1" + strings.Repeat("}", 3000),
			"100,000 keys": "{" + keys.String() + `"email":"` + v + `"}`, "1,500 keys": "{" + keys.String()[:12000] + `"email":"` + v + `"}`, "a long number": `{"email":` + strings.Repeat("9", 10<<20) + `}`, "a number of 15 kB": `{"email":` + strings.Repeat("9", 15000) + `}`, "an exponent": `{"email":1e999999999}`,
		} {
			got, err := x.Try("POST", "/api/v1/password-reset/"+request, x.Key, body, nil)
			if err != nil {
				if len(body) < 1<<20 {
					t.Errorf("%s: %v", what, err)
				}
				continue // the service hung up on what is far too long
			}
			if len(got.Body) > 32<<10 {
				t.Errorf("%s: the refusal has %d bytes", what, len(got.Body))
			}
			Bad(t, got)
		}
		x.NoMail(v)
		statusIs(t, x.Ask(v, "email_link"), http.StatusAccepted)
	})

	row(t, "PAR-20", "A compressed bomb", func(t *testing.T, x *World) {
		v := x.Person("v")
		var small, large bytes.Buffer
		for buf, text := range map[*bytes.Buffer]string{&small: object("email", v), &large: strings.Repeat(" ", 5<<20) + object("email", v)} {
			w := gzip.NewWriter(buf)
			_, _ = w.Write([]byte(text))
			_ = w.Close()
		}
		for _, body := range []string{small.String(), large.String()} {
			for _, kind := range []string{"gzip", "deflate", "br", "identity", "gzip, gzip", "x-gzip"} {
				statusIs(t, x.Call("POST", "/api/v1/password-reset/"+request, x.Key, body, map[string]string{"Content-Encoding": kind}), http.StatusUnsupportedMediaType)
			}
		}
		x.NoMail(v)
	})

	row(t, "PAR-x21", "Another method by a header or field", func(t *testing.T, x *World) {
		v := x.Person("v")
		id := x.UserID(v)
		for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"} {
			x.Call("GET", "/admin/v1/applications/"+x.Slug+"/users/"+id+"?_method=DELETE", x.Server.Admin, "", map[string]string{name: "DELETE"})
			x.Call("POST", "/admin/v1/applications/"+x.Slug+"/users/"+id+"?_method=DELETE", x.Server.Admin, "{}", map[string]string{name: "DELETE"})
		}
		x.Unchanged(v)
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE", "TRACE", "FOO"} {
			got := x.Call(method, "/api/v1/password-reset/"+request, x.Key, "", nil)
			if got.Status != http.StatusMethodNotAllowed && got.Status != http.StatusNotFound {
				t.Errorf("%s: %d", method, got.Status)
			}
		}
		x.NoMail(v)
	})

	row(t, "PAR-22", "Path tricks", func(t *testing.T, x *World) {
		v := x.Person("v")
		statusIs(t, x.From("203.0.113.90", request, object("email", v)), http.StatusAccepted)
		for _, path := range []string{"/request-password-reset/", "//request-password-reset", "/request-password-reset/.", "/./request-password-reset", "/%72equest-password-reset", "/request-password-reset;x", "/REQUEST-PASSWORD-RESET", "/request-password-reset%20", "/request-password-reset%00", "/x/../request-password-reset", "/request-password-reset%2f", "/request%2Dpassword-reset", "/request-password-reset.json"} {
			body := object("email", v)
			head := fmt.Sprintf("Host: %s\r\nContent-Length: %d\r\nX-Resetflow-Client-IP: 203.0.113.90\r\n", x.Host(), len(body))
			got := x.Raw(x.Post("/api/v1/password-reset"+path, head, body))
			if len(got) != 1 {
				t.Fatalf("%s: %v", path, got)
			}
			Has(t, path, got[0], http.StatusNotFound, http.StatusTooManyRequests, http.StatusBadRequest)
		}
		for _, path := range []string{"/admin/v1/applications/", "//admin/v1/applications", "/admin/v1/../v1/applications", "/admin/v1/%61pplications", "/ADMIN/v1/applications", "/admin/v1/applications;x", "/api/../admin/v1/applications"} {
			got := x.Raw("GET " + path + " HTTP/1.1\r\nHost: " + x.Host() + "\r\nConnection: close\r\n\r\n")
			if len(got) != 1 || got[0].Status == http.StatusOK || got[0].Status >= 500 {
				t.Errorf("%s without a credential: %v", path, got)
			}
		}
		x.Idle()
		if n := len(x.MailsOf(v, "")); n != 1 {
			t.Errorf("%d mails", n)
		}
	}, map[string]any{"resendAfter": "10m"})

	row(t, "PAR-23", "Duplicate headers and smuggling", func(t *testing.T, x *World) {
		v := x.Person("v")
		body := object("email", v)
		host := "Host: " + x.Host() + "\r\n"
		length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
		for what, head := range map[string]string{
			"two lengths": host + length + "Content-Length: 5\r\n", "CL and TE": host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "TE twice": host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
			"an odd TE": host + length + "Transfer-Encoding: xchunked\r\n", "a signed length": host + "Content-Length: +5\r\n", "a negative length": host + "Content-Length: -5\r\n", "a list of lengths": host + "Content-Length: 5, 5\r\n",
			"two credentials": host + length + "Authorization: Bearer " + x.Server.Admin + "\r\n", "key and bearer": host + length + "X-Api-Key: " + x.Key + "\r\n", "a blank before the colon": host + length + "X-A : b\r\n", "a bare NUL": host + length + "X-A: a\x00b\r\n",
			"two content types": host + length + "Content-Type: text/plain\r\n", "two client addresses": host + length + "X-Resetflow-Client-IP: 192.0.2.1\r\nX-Resetflow-Client-IP: 192.0.2.2\r\n",
		} {
			sent := body
			if what == "CL and TE" {
				sent = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n%s\r\n", len(body), body, host)
			}
			got := x.Raw(x.Post("/api/v1/password-reset/"+request, head, sent))
			switch {
			case what == "CL and TE": // Go drops the length, as RFC 9112 §6.3 allows, and closes the connection
				if len(got) > 1 {
					t.Errorf("%s: %d answers", what, len(got))
				}
			case len(got) != 1 || got[0].Status != http.StatusBadRequest && got[0].Status != http.StatusUnsupportedMediaType && got[0].Status != http.StatusNotImplemented:
				t.Errorf("%s: %v", what, got)
			}
		}
		x.Idle()
		if n := len(x.MailsOf(v, "")); n > 1 {
			t.Errorf("%d mails", n)
		}
	})

	row(t, "PAR-x24", "Odd framing", func(t *testing.T, x *World) {
		v := x.Person("v")
		host := "Host: " + x.Host() + "\r\n"
		for what, raw := range map[string]string{
			"bad chunk":       x.Post("/api/v1/password-reset/"+request, host+"Transfer-Encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n"),
			"huge chunk":      x.Post("/api/v1/password-reset/"+request, host+"Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\n{}"),
			"a version":       strings.Replace(x.Post("/api/v1/password-reset/"+request, host+"Content-Length: 2\r\n", "{}"), "HTTP/1.1", "HTTP/9.9", 1),
			"no version":      "GET /healthz\r\n\r\n",
			"a lone LF":       "GET /healthz HTTP/1.1\nHost: x\n\n",
			"HTTP/2 preface":  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
			"a folded header": "GET /healthz HTTP/1.1\r\n" + host + "X-A: b\r\n c\r\nConnection: close\r\n\r\n",
			"a long header":   "GET /healthz HTTP/1.1\r\n" + host + "X-A: " + strings.Repeat("a", 2<<20) + "\r\n\r\n",
			"garbage":         "\x16\x03\x01\x02\x00\x01\x00",
		} {
			for _, got := range x.rawQuiet(raw) {
				if got.Status >= 500 && got.Status != http.StatusNotImplemented && got.Status != http.StatusHTTPVersionNotSupported {
					t.Errorf("%s: %d %s", what, got.Status, got.Body)
				}
			}
		}
		x.NoMail(v)
		statusIs(t, x.Ask(v, "email_link"), http.StatusAccepted)
	})

	row(t, "PAR-25", "Zero values that are not written", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		Invalid(t, x.Introspect(p.Wrong()), "email_otp")
		Invalid(t, x.Introspect(p.Wrong()), "email_otp")
		statusIs(t, x.Introspect(p), http.StatusOK)
		var attempts int
		if err := x.DB.Read(context.Background()).Raw("SELECT attempts FROM requests WHERE application = ? AND state = 'challenged'", x.Slug).Scan(&attempts).Error; err != nil || attempts != 2 {
			t.Errorf("%d attempts, want the two wrong ones: %v", attempts, err)
		}
		x.PatchUser(v, map[string]any{"disabled": true, "name": "Somebody"})
		if x.Opens(v, OldPassword) {
			t.Error("a disabled account logs in")
		}
		x.PatchUser(v, map[string]any{"disabled": false, "name": ""})
		var user struct {
			Disabled bool
			Name     string
		}
		if err := x.DB.Read(context.Background()).Raw("SELECT disabled, name FROM accounts WHERE application = ?", x.Slug).Scan(&user).Error; err != nil || user.Disabled || user.Name != "" {
			t.Errorf("%+v %v", user, err)
		}
		Has(t, "require a reset", x.Admin("POST", "/users/"+x.UserID(v)+"/require-reset", ""), http.StatusOK, http.StatusNoContent)
		Has(t, "login", x.Login(v, OldPassword), http.StatusForbidden)
		x.Redeemed(x.Proof(v, "email_link"), v, NewPassword) // clears it
		x.Patch(map[string]any{"resendAfter": "5s", "confirmation": map[string]any{"enabled": false, "allowSkip": false}, "redirectUrls": []string{}})
		app := x.Must(http.StatusOK, "GET", "/admin/v1/applications/"+x.Slug, nil)
		if fmt.Sprint(app["confirmation"]) != "map[allowSkip:false enabled:false]" || fmt.Sprint(app["redirectUrls"]) != "[]" {
			t.Errorf("%v %v", app["confirmation"], app["redirectUrls"])
		}
	})

	row(t, "PAR-26", "Conditions left over from another look-up", func(t *testing.T, x *World) {
		const n = 12
		emails, proofs := make([]string, n), make([]Proof, n)
		for i := range n {
			emails[i] = x.Person(fmt.Sprintf("p%02d", i))
			proofs[i] = x.Proof(emails[i], "direct_code")
		}
		answers, _ := Together(n*6, func(i int) product.Answer {
			if i%2 == 0 {
				return x.Introspect(proofs[i%n])
			}
			return x.Admin("GET", "/users?email="+emails[i%n], "")
		})
		for i, got := range answers {
			if i%2 == 1 && !strings.Contains(string(got.Body), `"`+emails[i%n]+`"`) || got.Status != http.StatusOK {
				t.Errorf("%d %s, want %s", got.Status, got.Body, emails[i%n])
			}
		}
		x.Redeemed(proofs[3], emails[3], NewPassword)
		for i := range n {
			if i != 3 {
				x.Unchanged(emails[i], proofs[i])
			}
		}
	})
}
