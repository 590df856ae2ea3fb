package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

func invalid(field string, code workflow.ViolationCode) error { return workflow.Violate(field, code) }

func TestLinkFlowFromQuestionToDone(t *testing.T) {
	b := newSite(t).browser()
	b.get("/apps/acme/forgot-password?redirectUrl=https://app.acme.test/login").status(200).
		holds(`autocomplete="username"`, `type="email"`, "Reset your password", "Send a code instead", "Acme").called()
	b.post("/apps/acme/forgot-password", "email", " Ada@Example.com ").to("/apps/acme/forgot-password/sent").
		holds("Check your mail", `<bdi class="value">Ada@Example.com</bdi>`, "You can ask again in 60 s", "30 minutes", "Look in spam").called("request")
	in := b.engine.last.request
	if in.Email != "ada@example.com" && in.Email != "Ada@example.com" || in.Flow != flowLink || in.RedirectURL != "https://app.acme.test/login" {
		t.Fatalf("asked with %+v", in)
	}
	if in.Client.IP != "203.0.113.9" || in.Client.Actor != "page" || in.Client.Trusted {
		t.Fatalf("client %+v", in.Client)
	}
	b.engine.calls = nil
	b.get("/apps/acme/reset-password?email_auth_code="+linkCode).called("introspect").holdsNot(linkCode).
		to("/apps/acme/reset-password").holdsNot(linkCode).called("introspect", "introspect").
		holds(`autocomplete="new-password"`, `name="username" autocomplete="username" value="ada@example.com" readonly`,
			`data-rule="too_short"`, "<noscript>", `name="confirmPassword"`)
	b.engine.receipt.RedirectURL = "https://app.acme.test/login"
	b.post("/apps/acme/reset-password", "newPassword", newPassword).status(200).
		holds("3 other sessions were ended", `href="https://app.acme.test/login"`, "Continue to Acme").holdsNot(newPassword)
	if r := b.engine.last.reset; r.NewPassword != newPassword || r.Proof != (workflow.Proof{EmailAuthCode: linkCode}) || r.SkipConfirmation {
		t.Fatalf("reset with another proof or password: %v", r.Proof.Kind())
	}
	if len(b.cookies) != 0 {
		t.Fatal("the cookie outlived the reset")
	}
}

func TestCodeFlowCountsOneLook(t *testing.T) {
	b := newSite(t).browser()
	b.get("/apps/acme/forgot-password").post("/apps/acme/forgot-password", "email", "ada@example.com", "flow", "email_otp").
		to("/apps/acme/reset-password/code").holds(`inputmode="numeric"`, `autocomplete="one-time-code"`, "6 digits").called("request")
	b.engine.introspectErr = workflow.Violate("verificationCode", workflow.VioInvalidVerificationCode, "attemptsRemaining", "3")
	b.post("/apps/acme/reset-password/code", "code", "111 111").status(400).
		holds("There is a problem", `href="#code"`, `id="code"`, "You have 3 attempts left", `value="111 111"`, `aria-invalid="true"`)
	b.engine.introspectErr = nil
	b.post("/apps/acme/reset-password/code", "code", "\u00a01２3-45 6\u2011 ").to("/apps/acme/reset-password").holdsNot("123456")
	want := workflow.Proof{RequestCode: "req-code-abc", VerificationCode: "123456"}
	if b.engine.last.proof != want {
		t.Fatal("the code was not brought into its normal form")
	}
	b.called("request", "introspect", "introspect") // the page behind must not ask again: that would count
	b.post("/apps/acme/reset-password", "newPassword", newPassword).status(200)
	if b.engine.last.reset.Proof != want {
		t.Fatal("reset with another proof")
	}
}

func TestSupportCode(t *testing.T) {
	b := newSite(t).browser()
	b.get("/apps/acme/reset-password/code").status(200).holds("Enter the code from support", `autocomplete="one-time-code"`)
	b.post("/apps/acme/reset-password/code", "code", "123456").status(400).holds("Enter the code as it stands").called()
	b.post("/apps/acme/reset-password/code", "code", "7k3qm-a1b2c-3d4e5 f6g7h").to("/apps/acme/reset-password")
	if got := b.engine.last.proof.PasswordResetCode; !strings.EqualFold(got, supportCode) {
		t.Fatal("another code arrived")
	}
	b = newSite(t).browser()
	b.get("/apps/acme/reset-password?password_reset_code=" + supportCode).to("/apps/acme/reset-password").holdsNot(supportCode)
	b.engine.introspectErr = invalid("passwordResetCode", workflow.VioInvalidResetCode)
	b.get("/apps/acme/reset-password").status(410).holds("ask them for a new one")
}

func TestDeadLinkOffersANewOneByOneClick(t *testing.T) {
	b := newSite(t).browser()
	b.get("/apps/acme/forgot-password").post("/apps/acme/forgot-password", "email", "ada@example.com").to("/apps/acme/forgot-password/sent")
	b.engine.introspectErr = invalid("emailAuthCode", workflow.VioInvalidEmailAuthCode)
	b.get("/apps/acme/reset-password?email_auth_code=" + linkCode).status(303)
	b.get("/apps/acme/reset-password").status(410).holds("This link does not work any more", "Send me a new one", "ada@example.com", `action="/apps/acme/resend"`)
	b.get("/apps/acme/reset-password").status(410) // a reload says the same
	b.engine.calls = nil
	b.token()
	b.post("/apps/acme/resend").to("/apps/acme/forgot-password/sent").called("request").holds("We have sent a new message")
	b.get("/apps/acme/forgot-password/sent").holdsNot("We have sent a new message")

	stranger := newSite(t).browser() // this browser never knew the address
	stranger.engine.introspectErr = b.engine.introspectErr
	stranger.get("/apps/acme/reset-password?email_auth_code=" + linkCode)
	stranger.get("/apps/acme/reset-password").status(410).holds(`href="/apps/acme/forgot-password">Send me a new one`)
}

func TestResend(t *testing.T) {
	b := newSite(t).browser()
	b.get("/apps/acme/forgot-password").post("/apps/acme/forgot-password", "email", "ada@example.com", "flow", "email_otp").to("/apps/acme/reset-password/code")
	b.engine.resendErr = &workflow.Error{Code: workflow.CodeCooldown, RetryAfter: 41500 * time.Millisecond}
	b.post("/apps/acme/resend").status(429).holds("You can ask again in 42 seconds", `data-again="42"`)
	if b.res.Header.Get("Retry-After") != "42" {
		t.Fatal("Retry-After is missing")
	}
	b.engine.resendErr = nil
	b.post("/apps/acme/resend").to("/apps/acme/reset-password/code").called("request", "resend req-code-abc", "resend req-code-abc")
	b.engine.resendErr = invalid("requestCode", workflow.VioInvalidRequestCode) // used up: a new request
	b.engine.calls = nil
	b.post("/apps/acme/resend").to("/apps/acme/reset-password/code").called("resend req-code-abc", "request")
	b.get("/apps/acme/resend").status(405)
}

func TestWeakPasswordKeepsTheCode(t *testing.T) {
	b := newSite(t).browser()
	b.get("/apps/acme/reset-password?email_auth_code=" + linkCode).to("/apps/acme/reset-password")
	v := workflow.Violations{}
	v.Add("newPassword", workflow.VioTooShort, "minLength", "8")
	v.Add("newPassword", workflow.VioBreached)
	b.engine.resetErr = &workflow.Error{Code: workflow.CodeViolations, Violations: v}
	b.post("/apps/acme/reset-password", "newPassword", "hunter2").status(400).
		holds(`role="alert"`, `href="#newPassword"`, "Use at least 8 characters", "known from data leaks", "ada@example.com").holdsNot("hunter2")
	b.post("/apps/acme/reset-password").status(400).holds("Enter a new password")
	b.post("/apps/acme/reset-password", "newPassword", newPassword, "confirmPassword", "other").status(400).holds("not the same")
	b.engine.resetErr = &workflow.Error{Code: workflow.CodeOverloaded, RetryAfter: 2 * time.Second}
	b.post("/apps/acme/reset-password", "newPassword", newPassword).status(503).holds("Many people are here right now", "Set new password")
	b.engine.resetErr = nil
	b.post("/apps/acme/reset-password", "newPassword", newPassword).status(200).holds("Your password is changed")
	b.get("/apps/acme/forgot-password").holds("Reset your password")
}

func TestCodeThatDiedMeanwhile(t *testing.T) {
	b := newSite(t).browser()
	b.get("/apps/acme/reset-password?email_auth_code=" + linkCode).to("/apps/acme/reset-password")
	b.engine.resetErr = invalid("emailAuthCode", workflow.VioInvalidEmailAuthCode)
	b.post("/apps/acme/reset-password", "newPassword", newPassword).status(410).holds("This link does not work any more")
}

func TestForgotMistakesKeepWhatWasTyped(t *testing.T) {
	b := newSite(t).browser()
	b.get("/apps/acme/forgot-password")
	b.post("/apps/acme/forgot-password", "email", `"><script>alert(1)</script>`).status(400).
		holds("Enter an e-mail address such as", "&#34;&gt;&lt;script&gt;", `<title>Error: `).holdsNot("<script>alert")
	b.post("/apps/acme/forgot-password", "email", "  ").status(400).holds("Enter your e-mail address")
	b.post("/apps/acme/forgot-password", "email", "ada@example.com", "flow", "direct_code").status(400).called()
	b.engine.requestErr = &workflow.Error{Code: workflow.CodeRateLimited, RetryAfter: 5 * time.Minute}
	b.post("/apps/acme/forgot-password", "email", "ada@example.com").status(429).holds("You can go on in 5 minutes", `value="ada@example.com"`)
	b.engine.requestErr = workflow.Fail(workflow.CodeInternal, nil)
	b.post("/apps/acme/forgot-password", "email", "ada@example.com").status(500).holds("Nothing was changed", b.res.Header.Get("X-Request-Id"))
	if id := b.res.Header.Get("X-Request-Id"); id == "" || !strings.Contains(b.log.String(), id) || strings.Contains(b.log.String(), "ada@") {
		t.Fatalf("the ticket and nothing personal belongs into the log: %s", b.log)
	}
}

func TestNotMe(t *testing.T) {
	b := newSite(t).browser()
	b.engine.disowned = workflow.DisownedStopped
	b.get("/apps/acme/not-me?request=secretcode").called().to("/apps/acme/not-me").holds("Stop this request?").holdsNot("secretcode").called()
	b.post("/apps/acme/not-me").status(200).holds("The request is stopped").called("cancel")
	if b.engine.last.cancel != "secretcode" {
		t.Fatal("another code was cancelled")
	}
	b.get("/apps/acme/not-me").holds("There is nothing to stop")
	b.engine.disowned = workflow.DisownedNothing
	b.get("/apps/acme/not-me?request=secretcode").to("/apps/acme/not-me")
	b.post("/apps/acme/not-me").status(200).holds("There is nothing to stop", "Did somebody else change your password?").holdsNot("The request is stopped")
	b.engine.disowned = workflow.DisownedSecured
	b.get("/apps/acme/not-me?changed=secretcode").to("/apps/acme/not-me").holds("Did you not change your password?").holdsNot("secretcode")
	b.post("/apps/acme/not-me").status(200).holds("Your account is on hold")
	newSite(t).browser().get("/apps/acme/not-me").holds("Your browser did not keep our cookie")
}

func TestWithoutCookiesACodeCanBeTyped(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	b.get("/apps/acme/reset-password").status(200).holds("Your browser did not keep our cookie", `name="code"`, `name="newPassword"`)
	own := http.Header{"Origin": {b.public}}
	send := func(body string, h http.Header) *browser {
		b.cookies = nil
		b.cookies = map[string]*http.Cookie{}
		return b.send("/apps/acme/reset-password", body, h)
	}
	send("code="+supportCode+"&newPassword=abcdefghij", http.Header{}).status(403).called() // nothing says the form was ours
	send("code=nonsense&newPassword=abcdefghij", own).status(400).holds("Enter the code as it stands").called()
	b.engine.resetErr = invalid("newPassword", workflow.VioTooWeak)
	send("code="+supportCode+"&newPassword=abcdefghij", own).status(400).holds("easy to guess", `value="`+supportCode+`"`).holdsNot("abcdefghij")
	b.engine.resetErr = nil
	send("code=https%3A%2F%2Fid.example.org%2Fapps%2Facme%2Freset-password%3Femail_auth_code%3D"+linkCode+"&newPassword=abcdefghij", own).
		status(200).holds("Your password is changed")
	if b.engine.last.reset.Proof != (workflow.Proof{EmailAuthCode: linkCode}) {
		t.Fatal("the pasted link was read wrongly")
	}
	b.cookies = map[string]*http.Cookie{}
	b.send("/apps/acme/forgot-password", "email=ada%40example.com", own).status(403).holds("Your browser did not keep our cookie")
}

func TestFlowsThatAreOff(t *testing.T) {
	b := newSite(t, func(_ *Deps, a *workflow.Application) {
		delete(a.Flows, flowLink) // the default one: the other takes its place
	}).browser()
	b.get("/apps/acme/forgot-password").holds("Send code").holdsNot("instead")
	b.post("/apps/acme/forgot-password", "email", "ada@example.com").to("/apps/acme/reset-password/code")
	none := newSite(t, func(_ *Deps, a *workflow.Application) { a.Flows = nil }).browser()
	none.get("/apps/acme/forgot-password").status(200).holds("This way is not available here").holdsNot(`name="email"`)
}
