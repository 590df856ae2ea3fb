package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/internal/testkit/product"
)

// No secret stands in the log, even at level debug, or in the database: neither
// in its rows nor, with SQLite, in the bytes of its files.
func TestNoSecretAtRest(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			url := "sqlite:" + filepath.Join(folder, "reset.db")
			if kind == "postgres" {
				url = testkit.Postgres(t)
			}
			raw := make([]byte, 32)
			_, _ = rand.Read(raw) // never fails (crypto/rand)
			secretKey := base64.StdEncoding.EncodeToString(raw)
			s := product.Start(t, product.Options{Database: url, Env: []string{"RESETFLOW_LOG_LEVEL=debug", "RESETFLOW_SECRET_KEYS=" + secretKey}})
			secrets := spill(t, s)
			secrets["secret key"], secrets["admin token"] = secretKey, s.Admin
			idle(t, s, "acme", settled)
			// Read while it runs: SQLite has not yet moved its -wal file into the file.
			atRest := dumped(t, url)
			names, _ := filepath.Glob(filepath.Join(folder, "*"))
			for _, name := range names {
				raw, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				atRest += string(raw)
			}
			s.Stop()
			log := s.Log.String()
			if !strings.Contains(log, `"DEBUG"`) && !strings.Contains(log, `"INFO"`) || !strings.Contains(log, "/api/v1/password-reset/reset-password") {
				t.Error("the log holds no requests: the test has shown nothing")
			}
			if !strings.Contains(atRest, "ada@example.com") {
				t.Error("the database holds no account: the test has shown nothing")
			}
			for name, secret := range secrets {
				if len(secret) < 8 {
					t.Fatalf("the %s is %d characters long: the flow did not get there", name, len(secret))
				}
				for form, text := range map[string]string{
					"as it is": secret, "without hyphens": strings.ReplaceAll(secret, "-", ""), "in hexadecimal": hex.EncodeToString([]byte(secret)),
					"in base64": strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="),
				} {
					if strings.Contains(log, text) {
						t.Errorf("the %s stands in the log, %s", name, form)
					}
					if strings.Contains(atRest, text) {
						t.Errorf("the %s stands in the database, %s", name, form)
					}
				}
			}
		})
	}
}

func dumped(t *testing.T, url string) string {
	t.Helper()
	db, err := database.Open(context.Background(), url, database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	return testkit.Dump(t, db)
}

// spill goes through all flows, rightly and wrongly, and returns every secret by its name.
func spill(t *testing.T, s *product.Server) map[string]string {
	t.Helper()
	s.Application("acme", map[string]any{"loginAfterReset": true, "flows": map[string]any{
		"email_link": map[string]any{"enabled": true}, "email_otp": map[string]any{"enabled": true, "digits": 8}, "direct_code": map[string]any{"enabled": true}}})
	const reset, auth = "/api/v1/password-reset/", "/api/v1/auth/"
	out := map[string]string{
		"old password": OldPassword, "first password": "Canary-one-of-sparrows-31", "second password": "Canary-two-of-sparrows-32", "third password": "Canary-three-of-sparrows-33",
		"weak password": "canary77", "misplaced password": "Canary-misplaced-sparrow-34", "wrong password": "Canary-wrong-sparrow-35",
		"wrong key": "rfsk_CanaryWrongKeyCanaryWrongKeyCanaryWrongKeyCan", "wrong link code": "CanaryLinkCodeCanaryLinkCodeCanaryLinkCode1", "wrong digits": "91827364",
	}
	key := s.Key("acme", "secret", all...)
	out["API key"], out["publishable key"] = key, s.Key("acme", "publishable", "sessions:execute")
	s.User("acme", "ada@example.com")
	s.User("acme", "bob@example.com")
	must := func(name, path, body string, fields map[string]string) {
		t.Helper()
		got := s.Call("POST", path, key, body, nil)
		if got.Status/100 != 2 {
			t.Fatalf("%s: %d %s", path, got.Status, got.Body)
		}
		for k, f := range fields {
			out[name+" "+k] = field(got, f)
		}
	}
	tokens := map[string]string{"access token": "accessToken", "refresh token": "refreshToken"}
	must("login's", auth+"login", `{"email":"ada@example.com","password":"`+OldPassword+`"}`, tokens)
	must("refreshed", auth+"refresh", `{"refreshToken":"`+out["login's refresh token"]+`"}`, tokens)

	must("link's", reset+"request-password-reset", `{"email":"ada@example.com","flow":"email_link"}`, nil)
	mail := s.SMTP.Wait(t, "ada@example.com", "reset_link").Text
	out["link code"], out["not-me code"] = product.LinkCode(mail, "email_auth_code"), product.LinkCode(mail, "request")
	for _, path := range []string{"reset-password?email_auth_code=" + out["link code"], "not-me?request=" + out["not-me code"]} {
		if got := s.Call("GET", "/apps/acme/"+path, "", "", nil); got.Status >= http.StatusBadRequest {
			t.Fatalf("the page of a link answers %d", got.Status)
		}
	}
	proof := `{"emailAuthCode":"` + out["link code"] + `"`
	must("link's", reset+"introspect", proof+`}`, nil)
	for _, body := range []string{ // refused in many ways
		proof + `,"newPassword":"` + out["weak password"] + `"}`, proof + `,"newPassword":1,"password":"` + out["misplaced password"] + `"}`,
		proof + `,"` + out["misplaced password"] + `":1}`, proof + `,"newPassword":"` + out["misplaced password"], `{"emailAuthCode":"` + out["wrong link code"] + `","newPassword":"` + out["wrong password"] + `"}`,
	} {
		if got := s.Call("POST", reset+"reset-password", key, body, nil); got.Status != http.StatusBadRequest {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	}
	s.Call("POST", reset+"check-password?password="+out["misplaced password"], key, `{"password":"`+out["misplaced password"]+`"}`, nil)
	s.Call("GET", "/"+out["link code"]+"/"+out["misplaced password"], "", "", nil)
	s.Call("POST", reset+"reset-password", out["wrong key"], proof+`}`, map[string]string{"User-Agent": out["misplaced password"], "Cookie": "rf_acme=" + out["misplaced password"]})
	s.Call("POST", auth+"login", key, `{"email":"ada@example.com","password":"`+out["wrong password"]+`"}`, nil)
	must("link's", reset+"reset-password", proof+`,"newPassword":"`+out["first password"]+`"}`, map[string]string{"auth session code": "authSessionCode"})
	must("auth session's", reset+"create-auth-session", `{"authSessionCode":"`+out["link's auth session code"]+`"}`, tokens)

	must("digits'", reset+"request-password-reset", `{"email":"bob@example.com","flow":"email_otp","locale":"de"}`, map[string]string{"request code": "requestCode"})
	mail = s.SMTP.Wait(t, "bob@example.com", "reset_code").Text
	out["digits"], out["code of the link beside the digits"] = product.Digits(mail), product.LinkCode(mail, "email_auth_code")
	pair := `{"requestCode":"` + out["digits' request code"] + `","verificationCode":"`
	if got := s.Call("POST", reset+"introspect", key, pair+out["wrong digits"]+`"}`, nil); got.Status != http.StatusBadRequest {
		t.Errorf("wrong digits: %d", got.Status)
	}
	must("digits'", reset+"reset-password", pair+out["digits"]+`","newPassword":"`+out["second password"]+`"}`, map[string]string{"auth session code": "authSessionCode"})

	must("operator's", reset+"create-password-reset-link", `{"email":"ada@example.com","reason":"on the telephone"}`, map[string]string{"code": "passwordResetCode"})
	if got := s.Call("GET", "/apps/acme/reset-password?password_reset_code="+out["operator's code"], "", "", nil); got.Status >= http.StatusBadRequest {
		t.Errorf("the page of an operator's link answers %d", got.Status)
	}
	must("operator's", reset+"reset-password", `{"passwordResetCode":"`+out["operator's code"]+`","newPassword":"`+out["third password"]+`"}`, map[string]string{"auth session code": "authSessionCode"})
	return out
}
