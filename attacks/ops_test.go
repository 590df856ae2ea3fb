package attacks

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/internal/testkit/product"
)

// goodKey is a secret key that serve takes.
var goodKey = func() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails (crypto/rand since Go 1.24)
	return base64.StdEncoding.EncodeToString(b)
}()

// starts runs the binary with nothing but env until it ends or a moment has
// passed; code is -1 where it still ran.
func starts(t *testing.T, args []string, env ...string) (code int, said string) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 6*time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, product.Build(t), args...) //nolint:gosec // the binary under test
	cmd.Dir, cmd.Env = t.TempDir(), append([]string{"HOME=" + t.TempDir(), "RESETFLOW_METRICS_LISTEN="}, env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, out.String()
	case errors.As(err, &exit):
		return exit.ExitCode(), out.String()
	}
	t.Fatal(err)
	return 0, ""
}

func TestOPS(t *testing.T) {
	rowOnce(t, "OPS-01", "Unsafe settings at the start", func(t *testing.T) {
		for _, c := range []struct {
			name, value, says string
		}{
			{"PUBLIC_URL", "", "public_url"}, {"PUBLIC_URL", "http://reset.example.com", "https"}, {"PUBLIC_URL", "https://u:canary-secret@reset.example.com", "public_url"}, {"PUBLIC_URL", "reset.example.com", "public_url"}, {"PUBLIC_URL", "https://", "public_url"},
			{"SECRET_KEYS", "", "secret_keys"}, {"SECRET_KEYS", "canary-secret", "secret_keys"}, {"SECRET_KEYS", "changemechangemechangemechangemechangemechan=", "secret_keys"}, {"SECRET_KEYS", strings.Repeat("A", 43) + "=", "secret_keys"},
			{"SECRET_KEYS", goodKey + "," + goodKey, "secret_keys"}, {"SECRET_KEYS", "MDEyMzQ1Njc4OWFiY2RlZg==", "secret_keys"},
			{"ADMIN_TOKEN", "canary-secret", "admin.token"}, {"ADMIN_TOKEN", "admin", "admin.token"},
			{"TRUSTED_PROXIES", "0.0.0.0/0", "trusted_proxies"}, {"TRUSTED_PROXIES", "::/0", "trusted_proxies"}, {"TRUSTED_PROXIES", "10.0.0.0/8,0.0.0.0/0", "trusted_proxies"}, {"TRUSTED_PROXIES", "*", "trusted_proxies"},
			{"SMTP_URL", "http://canary-secret@x", "smtp.url"}, {"SMTP_URL", "smtp://user:canary-secret@mx.example.com:25?tls=off", "smtp.url"}, {"SMTP_URL", "smtp://mx.example.com?insecure=1", "smtp.url"},
			{"KDF_ARGON2_MEMORY", "0", "kdf.argon2_memory"}, {"KDF_ARGON2_TIME", "0", "kdf.argon2_time"}, {"KDF_ALGORITHM", "md5", "kdf.algorithm"}, {"KDF_BCRYPT_COST", "1", "kdf.bcrypt_cost"},
			{"DATABASE_URL", "mysql://root:canary-secret@x/y", "database.url"}, {"DATABASE_URL", "sqlite:", "database.url"}, {"LOG_LEVEL", "everything", "log.level"}, {"SHUTDOWN_TIMEOUT", "0", "shutdown_timeout"}, {"RETENTION_AUDIT", "-1h", "retention.audit"}, {"MAIL_FROM", "Acme <a@b.test>\r\nBcc: x@y.test", "mail.from"},
		} {
			t.Run(c.name+" "+c.value, func(t *testing.T) {
				env := map[string]string{"LISTEN": product.FreeAddress(t), "PUBLIC_URL": "https://reset.example.com", "SECRET_KEYS": goodKey, "MAIL_FROM": "a@acme.test"}
				env[c.name] = c.value
				var list []string
				for k, v := range env {
					list = append(list, "RESETFLOW_"+k+"="+v)
				}
				code, said := starts(t, []string{"serve"}, list...)
				if code != 2 || !strings.Contains(said, c.says) || strings.Contains(said, "canary") || strings.Count(strings.TrimSpace(said), "\n") > 0 {
					t.Errorf("exit %d: %s", code, said)
				}
			})
		}
		for _, args := range [][]string{{"serve", "--config", "missing.yaml"}, {"serve", "--debug"}, {"nonsense"}} {
			if code, said := starts(t, args, "RESETFLOW_PUBLIC_URL=https://reset.example.com", "RESETFLOW_SECRET_KEYS="+goodKey); code != 2 && code != 1 {
				t.Errorf("%v: exit %d: %s", args, code, said)
			}
		}
	})
	row(t, "OPS-02", "Settings applied by half", func(t *testing.T, x *World) {
		before := string(x.Admin("GET", "", "").Body)
		for _, patch := range []string{`{"name":"Changed","flows":{"email_link":{"lifetime":"0s"}}}`, `{"name":"Changed","flows":{"email_link":{"lifetime":"25h"}}}`, `{"name":"Changed","flows":{"email_otp":{"lifetime":"11m"}}}`, `{"name":"Changed","flows":{"email_otp":{"maxAttempts":0}}}`, `{"name":"Changed","flows":{"email_otp":{"maxAttempts":11}}}`, `{"name":"Changed","flows":{"email_otp":{"digits":5}}}`,
			`{"name":"Changed","limits":{"perAddress":"-1/h"}}`, `{"name":"Changed","limits":{"perAddress":"0/h"}}`, `{"name":"Changed","resendAfter":"-1s"}`, `{"name":"Changed","resendAfter":"0s"}`, `{"name":"Changed","unknown":1}`, `{"name":"Changed","sessions":{"access":"-5m"}}`, `{"name":"Changed","webhooks":[{"url":"http://127.0.0.1/","events":["*"]}]}`, `{"name":"Changed","application":"other"}`, `{"name":"Changed","name":"Twice"}`, `{"name":"Changed","mail":{"from":"x"}}`, `{"name":"Changed","flows":{"email_link":{"lifetime":"inf"}}}`, `{"name":"Changed"`} {
			statusIs(t, x.Admin("PATCH", "", patch), http.StatusBadRequest)
		}
		if after := string(x.Admin("GET", "", "").Body); after != before {
			t.Errorf("before %s\nafter %s", before, after)
		}
	})
	rowOnce(t, "OPS-05", "A database that others read", func(t *testing.T) {
		dir := t.TempDir()
		s := product.Start(t, product.Options{Database: "sqlite:" + filepath.Join(dir, "data", "reset.db")})
		s.Application("acme", nil)
		s.User("acme", "v@example.com")
		seen := 0
		for _, name := range []string{"data", "data/reset.db", "data/reset.db-wal", "data/reset.db-shm"} {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Error(err)
				continue
			}
			if seen++; info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %o", name, info.Mode().Perm())
			}
		}
		if seen != 4 {
			t.Errorf("%d files", seen)
		}
	})
	rowOnce(t, "OPS-07", "Several databases in memory", func(t *testing.T) {
		for _, path := range []string{"sqlite::memory:", "sqlite::memory:?cache=shared"} {
			code, said := starts(t, []string{"serve"}, "RESETFLOW_LISTEN="+product.FreeAddress(t), "RESETFLOW_PUBLIC_URL=https://reset.example.com", "RESETFLOW_SECRET_KEYS="+goodKey, "RESETFLOW_DATABASE_URL="+path)
			if code < 1 || !strings.Contains(said, "database.url") {
				t.Errorf("%s: exit %d: %s", path, code, said)
			}
		}
	})
	rowOnce(t, "OPS-08", "Libraries with known holes", func(t *testing.T) {
		raw, err := os.ReadFile(filepath.Join(product.Root(), "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		for module, least := range map[string][3]int{"github.com/wneessen/go-mail": {0, 7, 1}, "golang.org/x/crypto": {0, 35, 0}, "golang.org/x/net": {0, 38, 0}, "github.com/golang-jwt/jwt/v5": {5, 2, 2}, "github.com/go-jose/go-jose/v4": {4, 0, 5}, "github.com/jackc/pgx/v5": {5, 5, 4}} {
			m := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(module) + ` v(\d+)\.(\d+)\.(\d+)`).FindStringSubmatch(string(raw))
			if m == nil {
				continue // not used
			}
			var have [3]int
			for i := range have {
				_, _ = fmt.Sscan(m[i+1], &have[i])
			}
			if have[0] < least[0] || have[0] == least[0] && (have[1] < least[1] || have[1] == least[1] && have[2] < least[2]) {
				t.Errorf("%s is %v, known holes below %v", module, have, least)
			}
		}
	})
	rowOnce(t, "OPS-10", "Two databases, two answers", func(t *testing.T) {
		var worlds []*World
		for _, kind := range kinds {
			x := newWorld(t, kind, "OPS-10")
			x.Person("v")
			worlds = append(worlds, x)
		}
		both := func(what string, call func(x *World) product.Answer) {
			t.Helper()
			var answers []product.Answer
			for _, x := range worlds {
				got := call(x)
				got.Body = []byte(strings.ReplaceAll(strings.ReplaceAll(string(got.Body), x.Slug, "slug"), x.UserID(x.Address("v")), "id"))
				answers = append(answers, got)
			}
			Same(t, what, answers...)
		}
		for _, email := range []string{"v@slug.example.com", "V@SLUG.example.com", "\u212a@x.test", "ı@x.test", "İ@x.test", "ſ@x.test", "v\u0000@x.test", strings.Repeat("a", 65) + "@x.test", "é@x.test", "e\u0301@x.test", "v@xn--nxasmq6b.test", "%@x.test", "_@x.test", "'@x.test", "😀@x.test"} {
			body := func(x *World) string { return strings.ReplaceAll(email, "slug", x.Slug) }
			for _, step := range []string{start, "create-password-reset-link"} {
				both(step+" "+email, func(x *World) product.Answer {
					got := x.Workflow(step, object("email", body(x)))
					if step != start && got.Status == http.StatusCreated {
						got.Body = nil
					}
					return got
				})
			}
			both("find "+email, func(x *World) product.Answer {
				got := x.Admin("GET", "/users?email="+url.QueryEscape(body(x)), "")
				got.Body = []byte(regexp.MustCompile(`"(created|updated)At":"[^"]*"`).ReplaceAllString(string(got.Body), ""))
				return got
			})
			both("login "+email, func(x *World) product.Answer { return x.Login(body(x), "Not-the-password-9") })
		}
		for _, code := range []string{"x", "' OR 1=1 --", "%", "\u0000", strings.Repeat("A", 86), "é", "00000-00000-00000-00000"} {
			for _, name := range []string{"emailAuthCode", "passwordResetCode"} {
				both(name+" "+code, func(x *World) product.Answer { return x.Redeem(Proof{name: code}, NewPassword) })
			}
			both("requestCode "+code, func(x *World) product.Answer {
				return x.Introspect(Proof{"requestCode": code, "verificationCode": code})
			})
		}
		for _, id := range []string{"1", "-1", "99999999999999999999", "abc", "0x1", "1e3", "%00", nobody, "%ff", "1%20OR%201=1"} {
			for _, path := range []string{"/users/", "/reset-requests/", "/messages/"} {
				both(path+id, func(x *World) product.Answer { return x.Admin("GET", path+id, "") })
			}
		}
	})
	row(t, "OPS-11", "A readiness that lies", func(t *testing.T, x *World) {
		address := product.FreeAddress(t)
		y := x.Own("RESETFLOW_SMTP_URL=smtp://" + address + "?tls=off")
		eventually(t, crashless, "readyz warns of the mail server", func() bool {
			got := y.Call("GET", "/readyz", "", "", nil)
			return got.Status == http.StatusOK && strings.Contains(string(got.Body), `"smtp":"warn`)
		})
		if x.Kind != "postgres" {
			return
		}
		cluster := testkit.NewCluster(t)
		s := product.Start(t, product.Options{Database: cluster.URL()})
		statusIs(t, s.Call("GET", "/readyz", "", "", nil), http.StatusOK)
		cluster.Crash()
		eventually(t, crashless, "readyz says that the database is away", func() bool { return s.Call("GET", "/readyz", "", "", nil).Status == http.StatusServiceUnavailable })
		statusIs(t, s.Call("GET", "/healthz", "", "", nil), http.StatusOK)
		cluster.Start()
		eventually(t, crashless, "readyz says that it is back", func() bool { return s.Call("GET", "/readyz", "", "", nil).Status == http.StatusOK })
	})
}

func TestOPSMore(t *testing.T) {
	rowOnce(t, "OPS-x1", "Open to the world by default", func(t *testing.T) {
		_, said := starts(t, []string{"serve"}, "RESETFLOW_PUBLIC_URL=https://reset.example.com", "RESETFLOW_SECRET_KEYS="+goodKey)
		if !strings.Contains(said, "127.0.0.1:8080") || strings.Contains(said, "0.0.0.0") || strings.Contains(said, "[::]") { // where it listens, or that the port is taken
			t.Errorf("%s", said)
		}
	})
}
