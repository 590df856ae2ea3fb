package e2e

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/resetflow/resetflow/internal/testkit/product"
)

// chromium finds the browser; a missing one fails with the command that mends it.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("RESETFLOW_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no Chromium was found; install it: apt-get install -y chromium")
	return ""
}

// browser opens a tab of a fresh profile. On a failed test a screenshot is kept
// in e2e/screenshots.
func browser(t *testing.T, o ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	opts := append([]chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-dev-shm-usage", true), chromedp.WindowSize(390, 844), chromedp.WSURLReadTimeout(60 * time.Second),
	}, o...)
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), opts...)
	tab, stopTab := chromedp.NewContext(alloc)
	ctx, stop := context.WithTimeout(tab, 90*time.Second)
	t.Cleanup(func() {
		if t.Failed() {
			keepScreenshot(t, ctx)
		}
		stop()
		stopTab()
		stopAlloc()
	})
	return ctx
}

func keepScreenshot(t *testing.T, ctx context.Context) {
	var png []byte
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	if err := chromedp.Run(ctx, chromedp.FullScreenshot(&png, 100)); err != nil {
		t.Logf("no screenshot: %v", err)
		return
	}
	name := filepath.Join("screenshots", strings.NewReplacer("/", "-", " ", "-").Replace(t.Name())+".png")
	if err := os.MkdirAll("screenshots", 0o755); err == nil {
		_ = os.WriteFile(name, png, 0o600)
		t.Logf("the page as it was: e2e/%s", name)
	}
}

func do(t *testing.T, ctx context.Context, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// submit presses a button by the keyboard, as it moves no target while the page
// settles, and waits until another page is there, whole.
func submit(t *testing.T, ctx context.Context, selector string) {
	t.Helper()
	do(t, ctx, chromedp.Evaluate(`window.before = true`, nil), chromedp.Focus(selector, chromedp.ByQuery), chromedp.KeyEvent(kb.Enter))
	for {
		var fresh bool
		// while the pages change hands there is nothing to ask; the tab's deadline ends the wait
		if err := chromedp.Run(ctx, chromedp.Evaluate(`!window.before && document.readyState === "complete"`, &fresh)); err != nil && ctx.Err() != nil {
			t.Fatal(err)
		}
		if fresh {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func text(t *testing.T, ctx context.Context) string {
	t.Helper()
	var out string
	do(t, ctx, chromedp.Text("main", &out, chromedp.ByQuery))
	return out
}

func address(t *testing.T, ctx context.Context) *url.URL {
	t.Helper()
	var out string
	do(t, ctx, chromedp.Location(&out))
	u, err := url.Parse(out)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// ask goes through the forgot-password page.
func ask(t *testing.T, ctx context.Context, s *product.Server, slug, email, button string) {
	t.Helper()
	do(t, ctx, chromedp.Navigate(s.URL+"/apps/"+slug+"/forgot-password"), chromedp.SendKeys("#email", email, chromedp.ByQuery))
	submit(t, ctx, button)
	if got := text(t, ctx); !strings.Contains(got, email) {
		t.Fatalf("the next page does not show the address as typed: %s", got)
	}
}

const mainButton = "form button.button:not(.second)"

// A link: page, mail, page, new password, the other session is out, the
// confirmation arrives; the code never stands in the address bar or the page.
func TestLinkInTheBrowser(t *testing.T) {
	s := start(t, "sqlite")
	s.Application("acme", nil)
	s.User("acme", "ada@example.com")
	key := s.Key("acme", "secret", "sessions:execute")
	access := login(t, s, key, "ada@example.com", OldPassword, http.StatusOK)
	ctx := browser(t)
	ask(t, ctx, s, "acme", "ada@example.com", mainButton)
	link := resetLink(t, s.SMTP.Wait(t, "ada@example.com", "reset_link").Text, "email_auth_code")
	code := product.LinkCode(link, "email_auth_code")

	do(t, ctx, chromedp.Navigate(link), chromedp.WaitVisible("#newPassword", chromedp.ByQuery))
	var html string
	do(t, ctx, chromedp.OuterHTML("html", &html, chromedp.ByQuery))
	if u := address(t, ctx); u.RawQuery != "" || strings.Contains(u.String(), code) || strings.Contains(html, code) {
		t.Errorf("the code stands in the address bar or the page: %s", u.Path)
	}
	// looking again changes nothing
	do(t, ctx, chromedp.Reload(), chromedp.WaitVisible("#newPassword", chromedp.ByQuery))

	// a weak password is refused at the field, in words, with the focus on the summary
	do(t, ctx, chromedp.SendKeys("#newPassword", "password", chromedp.ByQuery))
	submit(t, ctx, mainButton)
	var focused bool
	do(t, ctx, chromedp.WaitVisible("#newPassword-wrong", chromedp.ByQuery), chromedp.Evaluate(`document.activeElement.classList.contains("summary")`, &focused))
	if !focused {
		t.Error("the error summary does not have the focus")
	}
	do(t, ctx, chromedp.SendKeys("#newPassword", NewPassword, chromedp.ByQuery))
	submit(t, ctx, mainButton)
	if got := text(t, ctx); !strings.Contains(got, "1 ") {
		t.Errorf("the success page does not say what was ended: %s", got)
	}
	if got := s.Call("GET", "/api/v1/auth/session", access, "", nil); got.Status != http.StatusUnauthorized {
		t.Errorf("the other session still lives: %d", got.Status)
	}
	login(t, s, key, "ada@example.com", OldPassword, http.StatusUnauthorized)
	login(t, s, key, "ada@example.com", NewPassword, http.StatusOK)
	s.SMTP.Wait(t, "ada@example.com", "password_updated")
	noCookie(t, ctx, "rf_acme")

	// the used link says so and offers a new one
	do(t, ctx, chromedp.Navigate(link))
	if got := text(t, ctx); !strings.Contains(got, "used") {
		t.Errorf("a used link: %s", got)
	}
}

// Digits typed with a blank, on the page that follows; then the new password.
func TestDigitsInTheBrowser(t *testing.T) {
	s := start(t, "sqlite")
	s.Application("acme", map[string]any{"defaultFlow": "email_otp"})
	s.User("acme", "ada@example.com")
	key := s.Key("acme", "secret", "sessions:execute")
	ctx := browser(t)
	ask(t, ctx, s, "acme", "ada@example.com", mainButton)
	code := product.Digits(s.SMTP.Wait(t, "ada@example.com", "reset_code").Text)
	var mode string
	do(t, ctx, chromedp.AttributeValue("#code", "autocomplete", &mode, nil, chromedp.ByQuery))
	if mode != "one-time-code" {
		t.Errorf("the code field is %q", mode)
	}
	do(t, ctx, chromedp.SendKeys("#code", "000000", chromedp.ByQuery))
	if code == "000000" {
		t.Fatal("one in a million: run again")
	}
	submit(t, ctx, mainButton)
	do(t, ctx, chromedp.WaitVisible("#code-wrong", chromedp.ByQuery), chromedp.Evaluate(`document.querySelector("#code").value = ""`, nil), chromedp.SendKeys("#code", code[:3]+" "+code[3:], chromedp.ByQuery))
	submit(t, ctx, mainButton)
	do(t, ctx, chromedp.WaitVisible("#newPassword", chromedp.ByQuery), chromedp.SendKeys("#newPassword", NewPassword, chromedp.ByQuery))
	submit(t, ctx, mainButton)
	login(t, s, key, "ada@example.com", NewPassword, http.StatusOK)
}

// A code from support, typed in small letters with blanks.
func TestDirectCodeInTheBrowser(t *testing.T) {
	s := start(t, "sqlite")
	s.Application("acme", nil)
	s.User("acme", "ada@example.com")
	key := s.Key("acme", "secret", "sessions:execute", "password-reset-link:create")
	made := s.Call("POST", "/api/v1/password-reset/create-password-reset-link", key, `{"email":"ada@example.com","reason":"test"}`, nil)
	code := made.JSON.(map[string]any)["passwordResetCode"].(string)
	ctx := browser(t)
	do(t, ctx, chromedp.Navigate(s.URL+"/apps/acme/reset-password/code"), chromedp.SendKeys("#code", strings.ToLower(strings.ReplaceAll(code, "-", " ")), chromedp.ByQuery))
	submit(t, ctx, mainButton)
	do(t, ctx, chromedp.WaitVisible("#newPassword", chromedp.ByQuery), chromedp.SendKeys("#newPassword", NewPassword, chromedp.ByQuery))
	submit(t, ctx, mainButton)
	login(t, s, key, "ada@example.com", NewPassword, http.StatusOK)
}

// The same way without scripts, in German, in the dark.
func TestWithoutScriptsInGerman(t *testing.T) {
	s := start(t, "sqlite")
	s.Application("acme", nil)
	s.User("acme", "ada@example.com")
	key := s.Key("acme", "secret", "sessions:execute")
	ctx := browser(t)
	do(t, ctx, emulation.SetScriptExecutionDisabled(true), network.Enable(), network.SetExtraHTTPHeaders(network.Headers{"Accept-Language": "de"}),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}))
	ask(t, ctx, s, "acme", "ada@example.com", mainButton)
	mail := s.SMTP.Wait(t, "ada@example.com", "reset_link")
	if !strings.Contains(mail.Subject, "Passwort") {
		t.Errorf("the mail's subject is %q", mail.Subject)
	}
	do(t, ctx, chromedp.Navigate(resetLink(t, mail.Text, "email_auth_code")), chromedp.WaitVisible("#confirmPassword", chromedp.ByQuery),
		chromedp.SendKeys("#newPassword", NewPassword, chromedp.ByQuery), chromedp.SendKeys("#confirmPassword", NewPassword, chromedp.ByQuery))
	submit(t, ctx, mainButton)
	login(t, s, key, "ada@example.com", NewPassword, http.StatusOK)
}

// "This was not me": the link in the mail cancels the request.
func TestNotMeInTheBrowser(t *testing.T) {
	s := start(t, "sqlite")
	s.Application("acme", nil)
	s.User("acme", "ada@example.com")
	ctx := browser(t)
	ask(t, ctx, s, "acme", "ada@example.com", mainButton)
	mail := s.SMTP.Wait(t, "ada@example.com", "reset_link")
	var notMe string
	for _, word := range strings.Fields(mail.Text) {
		if strings.Contains(word, "/not-me") {
			notMe = word
		}
	}
	do(t, ctx, chromedp.Navigate(notMe))
	submit(t, ctx, mainButton)
	do(t, ctx, chromedp.Navigate(resetLink(t, mail.Text, "email_auth_code")))
	if got := text(t, ctx); !strings.Contains(got, "used") {
		t.Errorf("the cancelled link: %s", got)
	}
}

func resetLink(t *testing.T, mail, param string) string {
	t.Helper()
	for _, line := range strings.Split(mail, "\n") {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "http") && strings.Contains(line, param+"=") {
			return line
		}
	}
	t.Fatalf("the mail has no link alone on its line")
	return ""
}

func login(t *testing.T, s *product.Server, key, email, password string, want int) string {
	t.Helper()
	got := s.Call("POST", "/api/v1/auth/login", key, `{"email":"`+email+`","password":"`+password+`"}`, nil)
	if got.Status != want {
		t.Errorf("login: %d, want %d: %s", got.Status, want, got.Body)
	}
	m, _ := got.JSON.(map[string]any)
	access, _ := m["accessToken"].(string)
	return access
}

func noCookie(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	do(t, ctx, chromedp.ActionFunc(func(ctx context.Context) error {
		cookies, err := network.GetCookies().Do(ctx)
		if err != nil {
			return err
		}
		for _, c := range cookies {
			if c.Name == name {
				t.Errorf("the cookie %s is still there", name)
			}
		}
		return nil
	}))
}
