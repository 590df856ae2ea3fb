package attacks

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit/product"
)

const start = "request-password-reset"

func TestOTP(t *testing.T) {
	row(t, "OTP-01", "A million guesses at one request", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		wrong := p.Wrong()
		for i := range 5 {
			try := x.Introspect
			if i%2 == 1 { // both steps count on one counter
				try = func(p Proof) product.Answer { return x.Redeem(p, NewPassword) }
			}
			got := try(wrong)
			Violated(t, got, "verificationCode", "invalid_verification_code")
			if r := Remaining(got); r != strconv.Itoa(4-i) {
				t.Errorf("attempt %d leaves %s", i+1, r)
			}
		}
		for range 3 {
			Violated(t, x.Introspect(wrong), "requestCode", "invalid_request_code")
		}
		Violated(t, x.Redeem(p, NewPassword), "requestCode", "invalid_request_code")
		Violated(t, x.Workflow("resend", object("requestCode", p["requestCode"])), "requestCode", "invalid_request_code")
		x.Unchanged(v)
	})
	row(t, "OTP-02", "A new code for a new budget", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, tries := range []int{4, 2} {
			p := x.Proof(v, "email_otp")
			for range tries {
				Violated(t, x.Introspect(p.Wrong()), "verificationCode", "invalid_verification_code")
			}
			if tries == 2 { // six wrong ones over two requests: the budget is spent
				got, again := x.Redeem(p, NewPassword), x.Introspect(p.Wrong())
				Violated(t, got, "verificationCode", "invalid_verification_code")
				if Remaining(got) != "2" || Remaining(again) != "1" {
					t.Errorf("the right code answers %s, a wrong one %s", got.Body, again.Body)
				}
			}
		}
		codes := len(x.MailsOf(v, "reset_code"))
		statusIs(t, x.Ask(v, "email_otp"), http.StatusAccepted)
		link := product.LinkCode(x.Next(v, "reset_link", 0).Text, "email_auth_code")
		if n := len(x.MailsOf(v, "reset_code")); n != codes {
			t.Errorf("digits were mailed beyond the budget")
		}
		x.Unchanged(v)
		x.Redeemed(Proof{"emailAuthCode": link}, v, NewPassword)
	}, limited(map[string]any{"failedCodes": "6/h"}))
	row(t, "OTP-04", "One guess on each of many accounts", func(t *testing.T, x *World) {
		key := x.Publishable()
		for i := range 5 {
			got := x.Call("POST", "/api/v1/password-reset/"+start, key, object("email", x.Address(fmt.Sprint("u", i)), "flow", "email_otp"), nil)
			if i < 3 {
				statusIs(t, got, http.StatusAccepted)
			} else {
				Limited(t, got)
			}
		}
	}, limited(map[string]any{"perIp": "3/h", "perPeer": "3/h"}))
	row(t, "OTP-05", "A new address in each header", func(t *testing.T, x *World) {
		key, passed := x.Publishable(), 0
		for i, name := range []string{"", "X-Forwarded-For", "Forwarded", "X-Real-Ip", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP", "X-Cluster-Client-IP", "Fastly-Client-IP", "X-Resetflow-Client-IP", "Via"} {
			for j := range 4 {
				header := map[string]string{}
				if name != "" {
					header[name] = fmt.Sprintf("203.0.%d.%d", i, j)
				}
				if name == "Forwarded" {
					header[name] = "for=" + header[name]
				}
				got := x.Call("POST", "/api/v1/password-reset/"+start, key, object("email", x.Address(fmt.Sprint("u", i, "-", j))), header)
				if got.Status == http.StatusAccepted {
					passed++
				} else {
					Limited(t, got)
				}
			}
		}
		if passed != 6 { // three as a client, three as a proxy nobody named
			t.Errorf("%d calls passed two limits of 3", passed)
		}
	}, limited(map[string]any{"perIp": "3/h", "perPeer": "3/h"}))
	row(t, "OTP-07", "Addresses of one /64", func(t *testing.T, x *World) {
		for i := range 6 {
			got := x.From(fmt.Sprintf("2001:db8:1:2:%x::%x", i, i+1), start, object("email", x.Address(fmt.Sprint("u", i))))
			if i < 3 {
				statusIs(t, got, http.StatusAccepted)
			} else {
				Limited(t, got)
			}
		}
		statusIs(t, x.From("2001:db8:1:3::1", start, object("email", x.Address("other"))), http.StatusAccepted)
		for i, ip := range []string{"203.0.113.7", "::ffff:203.0.113.7", "::ffff:cb00:7107"} { // one address in three spellings
			statusIs(t, x.From(ip, start, object("email", x.Address(fmt.Sprint("m", i)))), http.StatusAccepted)
		}
		Limited(t, x.From("::ffff:203.0.113.7", start, object("email", x.Address("m9"))))
	}, limited(map[string]any{"perIp": "3/h"}))
	row(t, "OTP-08", "Everybody behind one address", func(t *testing.T, x *World) {
		const nat = "203.0.113.80"
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		for i := range 100 {
			statusIs(t, x.From(nat, start, object("email", x.Address(fmt.Sprint("u", i)))), http.StatusAccepted)
		}
		Limited(t, x.From(nat, start, object("email", x.Address("last"))))
		statusIs(t, x.From(nat, "introspect", p.With()), http.StatusOK)
		statusIs(t, x.From(nat, "reset-password", p.With("newPassword", NewPassword)), http.StatusOK)
	}, map[string]any{"limits": map[string]any{}})
	row(t, "OTP-10", "Other spellings of one address", func(t *testing.T, x *World) {
		for _, name := range []string{"v", "nobody"} {
			email := x.Address(name)
			if name == "v" {
				x.Person(name)
			}
			upper := func(s string) string { return string(append([]byte{s[0] - 32}, s[1:]...)) }
			spellings := []string{email, upper(email), name + "@" + upper(x.Slug) + ".EXAMPLE.Com", email}
			for i, s := range spellings {
				got := x.Ask(s, "email_link")
				if i < 2 {
					statusIs(t, got, http.StatusAccepted)
				} else {
					Limited(t, got)
				}
			}
			for _, s := range []string{email + " ", " " + email, email + "\t", email + "."} {
				Violated(t, x.Ask(s, "email_link"), "email", "invalid_email")
			}
		}
	}, limited(map[string]any{"perAddress": "2/h"}))
	row(t, "OTP-11", "Blanks and wide digits make another code", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		d := p["verificationCode"]
		wide := ""
		for _, r := range d {
			wide += string(r - '0' + '０')
		}
		left := 5
		variants := []string{d[:3] + " " + d[3:], " " + d, wide, d + "\u200b"}
		for _, s := range variants {
			got := x.Guess(p, s)
			if got.Status == http.StatusOK {
				continue // one normal form: the right code
			}
			left--
			if Remaining(got) != strconv.Itoa(left) {
				t.Errorf("%q: %d %s, want %d attempts left", s, got.Status, got.Body, left)
			}
		}
		statusIs(t, x.Redeem(p, NewPassword), http.StatusOK)
		for _, s := range append(variants, d) {
			Invalid(t, x.Guess(p, s), "email_otp")
		}
	})
	row(t, "OTP-13", "A crash for new counters", func(t *testing.T, x *World) {
		x = x.Own()
		x.Patch(limited(map[string]any{"perAddress": "2/h", "failedCodes": "4/h"}))
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		for range 3 {
			x.Introspect(p.Wrong())
		}
		statusIs(t, x.Ask(v, "email_link"), http.StatusAccepted)
		x.Kill()
		x.Run()
		if got := x.Introspect(p.Wrong()); Remaining(got) != "1" {
			t.Errorf("after a crash %d %s, want one attempt left", got.Status, got.Body)
		}
		got := x.Redeem(p, NewPassword) // the fourth wrong one spent the account's budget
		Violated(t, got, "verificationCode", "invalid_verification_code")
		Limited(t, x.Ask(v, "email_link"))
	})
	row(t, "OTP-14", "A counter that rolls back with the refusal", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		for range 10 {
			x.Redeem(p.Wrong(), NewPassword)
		}
		items := x.Must(http.StatusOK, "GET", "/admin/v1/applications/"+x.Slug+"/reset-requests", nil)["items"].([]any)
		if r := items[0].(map[string]any); len(items) != 1 || r["attempts"] != 5.0 || r["state"] != "locked" {
			t.Errorf("the row says %v", items)
		}
		var rejected int
		if err := x.DB.Read(t.Context()).Raw(`SELECT count(*) FROM audit WHERE application = ? AND event = 'authn_password_change_fail'`, x.Slug).Scan(&rejected).Error; err != nil || rejected < 10 {
			t.Errorf("%d of 10 wrong codes are in the audit trail, %v", rejected, err)
		}
	})
	row(t, "OTP-16", "Guesses on two nodes", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		nodes := []*World{x, x.Beside()}
		for i := range 5 {
			if got := nodes[i%2].Introspect(p.Wrong()); Remaining(got) != strconv.Itoa(4-i) {
				t.Errorf("guess %d: %s", i+1, got.Body)
			}
		}
		for _, n := range nodes {
			Violated(t, n.Redeem(p, NewPassword), "requestCode", "invalid_request_code")
		}
	})
	row(t, "OTP-17", "Many codes in one request", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		one := p.With("newPassword", NewPassword)
		for _, body := range []string{
			`{"requestCode":"` + p["requestCode"] + `","verificationCode":["000000","` + p["verificationCode"] + `"],"newPassword":"` + NewPassword + `"}`,
			`[` + p.Wrong().With() + `,` + one + `]`, p.Wrong().With() + one,
			`{"requestCode":"` + p["requestCode"] + `","verificationCode":"000000","verificationCode":"` + p["verificationCode"] + `","newPassword":"` + NewPassword + `"}`,
		} {
			Bad(t, x.Workflow("reset-password", body))
		}
		x.Unchanged(v)
		if got := x.Introspect(p); Remaining(got) != "5" {
			t.Errorf("%s", got.Body)
		}
		// HTTP/2 in clear, by which a connection would carry a thousand at once.
		for _, got := range x.Raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") {
			if got.Status < 400 {
				t.Errorf("HTTP/2 is spoken: %d", got.Status)
			}
		}
	})
	row(t, "OTP-19", "The lock as a weapon", func(t *testing.T, x *World) {
		v := x.Person("v")
		for range 2 { // the attacker uses up everything there is
			p := x.Proof(v, "email_otp")
			for range 5 {
				x.Introspect(p.Wrong())
			}
		}
		statusIs(t, x.Ask(v, "email_otp"), http.StatusAccepted)
		x.Idle()
		Limited(t, x.Ask(v, "email_otp"))
		x.Unchanged(v) // the login is not blocked
		mails := x.MailsOf(v, "reset_link")
		if len(mails) == 0 { // the third request's mail carried the link in place of digits
			t.Fatal("no link came in place of digits")
		}
		x.Redeemed(Proof{"emailAuthCode": product.LinkCode(mails[len(mails)-1].Text, "email_auth_code")}, v, NewPassword)
	}, limited(map[string]any{"failedCodes": "10/h", "perAddress": "3/h"}))
	row(t, "OTP-20", "Mail bombing", func(t *testing.T, x *World) {
		v := x.Person("v")
		for i := range 8 {
			flow := flowNames[i%2]
			Same(t, "beyond the cap on mails", x.Ask(v, flow), x.Ask(x.Address("nobody"), flow))
		}
		x.Idle()
		if n := len(x.MailsOf(v, "")); n != 3 {
			t.Errorf("%d mails for 8 requests under a cap of 3", n)
		}
	}, limited(map[string]any{"mailsPerAccount": "3/h"}))
	row(t, "OTP-22", "A request for everybody", func(t *testing.T, x *World) {
		all, statuses := Together(12, func(i int) product.Answer { return x.Ask(x.Address(fmt.Sprint("u", i)), "email_link") })
		if statuses[http.StatusAccepted] != 5 || statuses[http.StatusTooManyRequests] != 7 {
			t.Errorf("under a limit of 5: %v", statuses)
		}
		for _, got := range all {
			if got.Status != http.StatusAccepted {
				Limited(t, got)
			}
		}
		y := x.Second()
		statusIs(t, y.Ask(y.Person("v"), "email_link"), http.StatusAccepted)
	}, limited(map[string]any{"perApplication": "5/h"}))
	row(t, "OTP-26", "The right code while locked", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		for range 5 {
			x.Introspect(p.Wrong())
		}
		Same(t, "locked", x.Introspect(p), x.Introspect(p.Wrong()))
		Same(t, "locked", x.Redeem(p, NewPassword), x.Redeem(p.Wrong(), NewPassword), x.Redeem(p, "short"))
	})
}

func TestOTPMore(t *testing.T) {
	row(t, "OTP-x1", "Parallel guesses beyond the limit, on two nodes", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		nodes := []*World{x, x.Beside()}
		all, _ := Together(30, func(i int) product.Answer { return nodes[i%2].Guess(p, fmt.Sprintf("%06d", i)) })
		left := []string{}
		for _, got := range all {
			if r := Remaining(got); r != "" {
				left = append(left, r)
			} else {
				Violated(t, got, "requestCode", "invalid_request_code")
			}
		}
		slices.Sort(left)
		if !slices.Equal(left, []string{"0", "1", "2", "3", "4"}) {
			t.Errorf("judged with %v attempts left", left)
		}
		Violated(t, x.Redeem(p, NewPassword), "requestCode", "invalid_request_code")
	})
	row(t, "OTP-x2", "A code sent again for new attempts", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		for range 3 {
			x.Introspect(p.Wrong())
		}
		statusIs(t, x.Workflow("resend", object("requestCode", p["requestCode"])), http.StatusAccepted)
		p["verificationCode"] = product.Digits(x.Next(v, "reset_code", 1).Text)
		if got := x.Introspect(p.Wrong()); Remaining(got) != "1" {
			t.Errorf("%s", got.Body)
		}
		x.Redeemed(p, v, NewPassword)
	})
	row(t, "OTP-x4", "Guesses at a code from support", func(t *testing.T, x *World) {
		const evil = "203.0.113.66"
		v := x.Person("v")
		p := x.Proof(v, "direct_code")
		statusIs(t, x.From(evil, "introspect", p.With()), http.StatusOK) // a right one costs nothing
		for i := range 22 {
			got := x.From(evil, "introspect", p.Wrong().With())
			if i < 20 {
				Violated(t, got, "passwordResetCode", "invalid_password_reset_code")
			} else {
				Limited(t, got)
			}
		}
		Limited(t, x.From(evil, "reset-password", p.With("newPassword", NewPassword)))
		x.Redeemed(p, v, NewPassword) // its owner comes from elsewhere
	})
	row(t, "OTP-x5", "The budget of an account that is not there", func(t *testing.T, x *World) {
		answers := map[string][]product.Answer{}
		for _, email := range []string{x.Person("v"), x.Address("w")} {
			for range 2 {
				got := x.Ask(email, "email_otp")
				x.Idle()
				p := Proof{"requestCode": field(got, "requestCode"), "verificationCode": "000000"}
				for range 3 {
					answers[email] = append(answers[email], x.Introspect(p))
				}
				answers[email] = append(answers[email], x.Workflow("resend", object("requestCode", p["requestCode"])))
			}
		}
		for i, got := range answers[x.Address("v")] {
			Same(t, fmt.Sprint("call ", i), got, answers[x.Address("w")][i])
		}
	}, limited(map[string]any{"failedCodes": "3/h"}))
	row(t, "OTP-x6", "Requests of one moment inside the cool-down", func(t *testing.T, x *World) {
		v := x.Person("v")
		nodes := []*World{x, x.Beside()}
		all, statuses := Together(12, func(i int) product.Answer { return nodes[i%2].From("203.0.113.5", start, object("email", v)) })
		if statuses[http.StatusAccepted] != 1 || statuses[http.StatusTooManyRequests] != 11 {
			t.Errorf("%v", statuses)
		}
		for _, got := range all {
			if after, _ := strconv.Atoi(got.Header.Get("Retry-After")); got.Status != http.StatusAccepted && (field(got, "code") != "cooldown_active" || after < 1 || after > 60) {
				t.Errorf("%s after %d s", got.Body, after)
			}
		}
		statusIs(t, x.From("203.0.113.6", start, object("email", v)), http.StatusAccepted) // the owner is somebody else
		Limited(t, x.From("203.0.113.6", "resend", object("requestCode", requestCode(t, x, v))))
	}, map[string]any{"resendAfter": "60s"})
	row(t, "OTP-x7", "Refused calls that push the limit away", func(t *testing.T, x *World) {
		email := x.Address("v")
		statusIs(t, x.Ask(email, "email_link"), http.StatusAccepted)
		last := 1 << 30
		for range 6 {
			got := x.Ask(email, "email_link")
			Limited(t, got)
			after, _ := strconv.Atoi(got.Header.Get("Retry-After"))
			if after > last {
				t.Errorf("the wait grew from %d to %d s", last, after)
			}
			last = after
		}
	}, limited(map[string]any{"perAddress": "1/h"}))
	row(t, "OTP-x8", "Parallel requests beyond the address's limit, on two nodes", func(t *testing.T, x *World) {
		v := x.Person("v")
		nodes := []*World{x, x.Beside()}
		_, statuses := Together(16, func(i int) product.Answer { return nodes[i%2].Ask(v, flowNames[i%2]) })
		if statuses[http.StatusAccepted] != 4 || statuses[http.StatusTooManyRequests] != 12 {
			t.Errorf("under a limit of 4: %v", statuses)
		}
	}, limited(map[string]any{"perAddress": "4/h"}))
	row(t, "OTP-x9", "Malformed calls that use up somebody's limit", func(t *testing.T, x *World) {
		v := x.Person("v")
		for range 5 {
			Bad(t, x.Workflow(start, `{"email":"`+v+`","x":1}`))
			Violated(t, x.Workflow(start, object("email", v, "redirectUrl", "https://evil.example.org/")), "redirectUrl", "not_allowed")
			Violated(t, x.Workflow(start, object("email", v, "flow", "direct_code")), "flow", "not_enabled")
			x.Call("POST", "/api/v1/password-reset/"+start, "rfsk_nokey", object("email", v), nil)
		}
		statusIs(t, x.Ask(v, "email_link"), http.StatusAccepted)
	}, limited(map[string]any{"perAddress": "1/h"}))
	row(t, "OTP-x10", "Guesses at a password, then the right one", func(t *testing.T, x *World) {
		v, w := x.Person("v"), x.Address("w")
		for range 4 {
			Same(t, "login", x.Login(v, "wrong-"+OldPassword), x.Login(w, "wrong-"+OldPassword))
		}
		Same(t, "beyond the budget the right password is no better", x.Login(v, OldPassword), x.Login(v, "wrong"), x.Login(w, "wrong"))
		statusIs(t, x.Login(v, OldPassword), http.StatusUnauthorized)
		statusIs(t, x.Redeem(x.Proof(v, "email_link"), NewPassword), http.StatusOK) // and never blocks a reset
	}, limited(map[string]any{"failedLogins": "3/h"}))
	row(t, "OTP-x11", "Right codes use up nothing, a prefix is no code", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		if len(p["verificationCode"]) != 8 {
			t.Fatalf("%d digits, want 8", len(p["verificationCode"]))
		}
		for range 8 {
			if got := x.Introspect(p); Remaining(got) != "5" {
				t.Fatalf("%d %s", got.Status, got.Body)
			}
		}
		for i, s := range []string{p["verificationCode"][:6], p["verificationCode"] + "0", "0" + p["verificationCode"]} {
			if got := x.Guess(p, s); Remaining(got) != strconv.Itoa(4-i) {
				t.Errorf("%d %s", got.Status, got.Body)
			}
		}
		x.Redeemed(p, v, NewPassword)
	}, map[string]any{"flows": map[string]any{"email_otp": map[string]any{"enabled": true, "digits": 8, "lifetime": "10m"}}, "defaultFlow": "email_otp"})
	row(t, "OTP-x12", "Passwords judged without end", func(t *testing.T, x *World) {
		limited := 0
		for range 65 {
			if got := x.From("203.0.113.9", "check-password", object("password", "tulip-harbor")); got.Status == http.StatusTooManyRequests {
				Limited(t, got)
				limited++
			}
		}
		if limited < 3 {
			t.Errorf("%d of 65 checks within a moment were refused", limited)
		}
	})
	row(t, "OTP-x14", "An address that is none", func(t *testing.T, x *World) {
		for _, ip := range []string{"a", "1.2.3", "1.2.3.4.5", "1.2.3.4, 5.6.7.8", "::1%eth0", "0.0.0.0", "127.0.0.1:80", "[::1]", "01.2.3.4", "999.1.1.1", "1.2.3.4 "} {
			got := x.Wire("POST /api/v1/password-reset/" + start + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + x.Key + "\r\nContent-Type: application/json\r\nX-Resetflow-Client-IP: " + ip + "\r\nContent-Length: 25\r\n\r\n" + `{"email":"v@example.test"}`[:25])
			if ip != "1.2.3.4 " && !strings.HasPrefix(got, "HTTP/1.1 400 ") { // blanks at the end are the header's, not the value's
				t.Errorf("%q: %.100s", ip, got)
			}
		}
		key := x.Publishable()
		for _, ip := range []string{"a", "", "unknown", "1.2.3.4, a", strings.Repeat("1.2.3.4,", 200)} {
			got := x.Call("POST", "/api/v1/password-reset/"+start, key, object("email", x.Address("w"+fmt.Sprint(len(ip)))), map[string]string{"X-Forwarded-For": ip})
			Has(t, ip, got, http.StatusAccepted, http.StatusTooManyRequests)
		}
		Limited(t, x.Call("POST", "/api/v1/password-reset/"+start, key, object("email", x.Address("last")), map[string]string{"X-Forwarded-For": "b"}))
	}, limited(map[string]any{"perIp": "3/h", "perPeer": "3/h"}))
	row(t, "OTP-x13", "A guess that ends before its answer", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		for wait := 5 * time.Millisecond; wait < time.Second; wait *= 3 { // the caller hangs up, sooner or later
			x.Cut("POST", "/api/v1/password-reset/introspect", p.Wrong().With(), wait)
		}
		got := x.Introspect(p.Wrong())
		if r := Remaining(got); r == "4" { // how many arrived is chance; that none counted is not
			t.Errorf("guesses whose caller hung up cost nothing: %s", got.Body)
		}
	})
}

// requestCode asks for digits and returns the name of the request.
func requestCode(t *testing.T, x *World, email string) string {
	t.Helper()
	got := x.From("203.0.113.6", start, object("email", "r-"+email, "flow", "email_otp"))
	statusIs(t, got, http.StatusAccepted)
	return field(got, "requestCode")
}

// Cut sends a call and hangs up after a moment.
func (x *World) Cut(method, path, body string, after time.Duration) {
	conn := x.Dial()
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", method, path, x.Host(), x.Key, len(body), body)
	time.Sleep(after)
}
