package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/config"
	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
)

// sealedBy waits until the running service has sealed what there is.
func sealedBy(t *testing.T, b *bench) string {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		out := b.ok("audit", "verify", "-a", "acme")
		if !strings.Contains(out, "not sealed") && !strings.Contains(out, " 0 rows") {
			return out
		}
		if time.Now().After(end) {
			t.Fatalf("nobody seals: %s", out)
		}
	}
}

func TestAuditVerifyAndExport(t *testing.T) {
	for kind, url := range testkit.Databases(t) {
		t.Run(kind, func(t *testing.T) {
			b, base := serving(t, url)
			b.start("serve").reach(base + "/healthz")
			b.write("acme.yaml", "application: acme\nflows: {email_link: {}}\n")
			b.ok("apply", "-f", "acme.yaml")
			key := strings.TrimSpace(b.ok("keys", "create", "-a", "acme", "--permission", "users:read"))
			if status, _ := post(t, base+"/api/v1/password-reset/request-password-reset", key, `{"email":"ada@example.com"}`); status != http.StatusForbidden {
				t.Fatalf("%d", status)
			}
			_, _ = post(t, base+"/api/v1/password-reset/request-password-reset", "rfsk_"+strings.Repeat("A", 43), `{"email":"ada@example.com"}`)
			out := sealedBy(t, b)
			head := strings.TrimSpace(out[strings.LastIndex(out, " ")+1:])
			if !strings.HasPrefix(out, "acme: 3 rows checked, head 3:") || len(head) != 66 {
				t.Errorf("verify says %q", out)
			}
			if out := b.ok("audit", "verify"); !strings.Contains(out, "(installation): ") || !strings.Contains(out, "acme: 3 rows") {
				t.Errorf("all chains: %q", out)
			}
			b.ok("audit", "verify", "-a", "acme", "--head", head)

			lines, stderr, code := b.run("audit", "export", "-a", "acme")
			if code != 0 || !strings.Contains(stderr, "acme: 3 rows, head "+head) {
				t.Errorf("export: %d %s", code, stderr)
			}
			var events []string
			for s := bufio.NewScanner(strings.NewReader(lines)); s.Scan(); {
				var row map[string]any
				if err := json.Unmarshal(s.Bytes(), &row); err != nil || len(row) != len(auditFields) || row["application"] != "acme" {
					t.Fatalf("%v %s", err, s.Bytes())
				}
				events = append(events, row["event"].(string))
			}
			if strings.Join(events, " ") != "authz_admin privilege_permissions_changed authz_fail" {
				t.Errorf("exported %q", events)
			}
			table, err := csv.NewReader(strings.NewReader(b.ok("audit", "export", "-a", "acme", "--format", "csv"))).ReadAll()
			if err != nil || len(table) != 4 || table[1][4] != "authz_admin" || table[0][0] != "application" {
				t.Errorf("%v %q", err, table)
			}
			if out := b.ok("audit", "export", "-a", "acme", "--since", "2100-01-01"); out != "" {
				t.Errorf("since the future: %s", out)
			}
			if out := b.ok("audit", "export", "--installation"); !strings.Contains(out, `"authn_login_fail"`) {
				t.Errorf("the unknown key left no row: %s", out)
			}
			for _, secret := range []string{key, key[5:], testKey} {
				if strings.Contains(lines, secret) {
					t.Error("a secret stands in the export")
				}
			}

			db, err := database.Open(t.Context(), strings.Replace(url, "sqlite:resetflow", "sqlite:"+b.dir+"/resetflow", 1), database.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			if err := db.Write(t.Context()).Exec(`UPDATE audit SET actor = 'nobody' WHERE application = 'acme' AND seq = 2`).Error; err != nil {
				t.Fatal(err)
			}
			b.fails(1, "acme: row 2 (", "audit", "verify", "-a", "acme")
			b.fails(1, "was changed", "audit", "verify")
		})
	}
}

func TestAuditUsage(t *testing.T) {
	b := newBench(t, "RESETFLOW_DATABASE_URL=sqlite:resetflow.db", "RESETFLOW_SECRET_KEYS="+testKey)
	b.fails(2, "--head: belongs to one chain", "audit", "verify", "--head", "1:"+strings.Repeat("ab", 32))
	b.fails(2, "--head: is not a number and a hash", "audit", "verify", "-a", "acme", "--head", "1:zz")
	b.fails(2, "--retired-keys: none.txt: cannot be read", "audit", "verify", "--retired-keys", "none.txt")
	b.fails(2, "--retired-keys", "audit", "verify", "--retired-keys", b.write("short.txt", "c2hvcnQ="))
	b.fails(2, "--application: missing", "audit", "export")
	b.fails(2, "--since: \"soon\" is no time", "audit", "export", "-a", "acme", "--since", "soon")
	b.fails(1, "acme: there is no such application", "audit", "export", "-a", "acme")
	b.ok("audit", "verify", "--retired-keys", b.write("old.txt", "Y2hhaW4ta2V5LXRoYXQtd2FzLXJldGlyZWQtMDAwMDE=\n"))
	bare := newBench(t, "RESETFLOW_DATABASE_URL=sqlite:resetflow.db")
	bare.fails(2, "secret_keys: missing", "audit", "verify")
}

// TestCSVIsNoFormula: a client chooses what stands in some fields, and somebody
// opens the file in a spreadsheet.
func TestCSVIsNoFormula(t *testing.T) {
	for _, text := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＋1", "－1", "＠x", `="a"`} {
		var b bytes.Buffer
		if err := csvLine(&b, text, "plain"); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(b.String(), `"'`) {
			t.Errorf("%q is written as %q", text, b.String())
		}
		// The reader of the standard library turns CRLF within a field into LF; alone each survives.
		if row, err := csv.NewReader(&b).Read(); err != nil || len(row) != 2 || row[0] != "'"+text || row[1] != "plain" {
			t.Errorf("%q reads back as %q, %v", text, row, err)
		}
	}
	var b bytes.Buffer
	_ = csvLine(&b, "", `a "b", c`, "é\nx", "a=b")
	if b.String() != "\"\",\"a \"\"b\"\", c\",\"é\nx\",\"a=b\"\r\n" {
		t.Errorf("%q", b.String())
	}
}

// TestWithoutAuditNothingHappens (INV-13): while audit rows cannot be written,
// requests, resets and administration are refused and change nothing; afterwards
// the very same calls pass.
func TestWithoutAuditNothingHappens(t *testing.T) {
	for kind, url := range testkit.Databases(t) {
		t.Run(kind, func(t *testing.T) {
			ctx := context.Background()
			l, err := config.Load("", []string{"RESETFLOW_DATABASE_URL=" + url, "RESETFLOW_DATABASE_AUTO_MIGRATE=true", "RESETFLOW_SECRET_KEYS=" + testKey,
				"RESETFLOW_PUBLIC_URL=http://localhost:8080", "RESETFLOW_ADMIN_TOKEN=" + testToken})
			if err != nil {
				t.Fatal(err)
			}
			db, err := openDatabase(ctx, l.Config)
			if err != nil {
				t.Fatal(err)
			}
			if err := migrated(ctx, db, l.Config); err != nil {
				t.Fatal(err)
			}
			quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
			s, err := wire(l.Config, db, quiet, quiet, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.close() })
			call := func(method, path, token, body string) (int, map[string]any) {
				t.Helper()
				r := httptest.NewRequest(method, path, strings.NewReader(body))
				r.Header.Set("Authorization", "Bearer "+token)
				if body != "" {
					r.Header.Set("Content-Type", "application/json")
				}
				w := httptest.NewRecorder()
				s.server.Handler.ServeHTTP(w, r)
				var answer map[string]any
				_ = json.Unmarshal(w.Body.Bytes(), &answer)
				return w.Code, answer
			}
			admin := "/admin/v1/applications"
			must := func(status int, answer map[string]any) map[string]any {
				t.Helper()
				if status >= 300 {
					t.Fatalf("%d %v", status, answer)
				}
				return answer
			}
			must(call("POST", admin, testToken, `{"application":"acme","flows":{"email_link":{},"direct_code":{"enabled":true}}}`))
			ada := must(call("POST", admin+"/acme/users", testToken, `{"email":"ada@example.com","password":"vile mango teapot 77"}`))["id"].(string)
			key := must(call("POST", admin+"/acme/keys", testToken, `{"name":"k","type":"secret","permissions":["password-reset-workflow:execute","password-reset-link:create","sessions:execute"]}`))
			secret, keyID := key["key"].(string), key["id"].(string)
			code := must(call("POST", "/api/v1/password-reset/create-password-reset-link", secret, `{"email":"ada@example.com"}`))["passwordResetCode"].(string)
			calls := []struct{ method, path, token, body string }{
				{"POST", "/api/v1/password-reset/request-password-reset", secret, `{"email":"ada@example.com"}`},
				{"POST", "/api/v1/password-reset/create-password-reset-link", secret, `{"email":"ada@example.com"}`},
				{"POST", "/api/v1/password-reset/reset-password", secret, `{"passwordResetCode":"` + code + `","newPassword":"calm otter violin 31"}`},
				{"POST", "/api/v1/auth/login", secret, `{"email":"ada@example.com","password":"vile mango teapot 77"}`},
				{"POST", admin, testToken, `{"application":"second"}`},
				{"PATCH", admin + "/acme", testToken, `{"name":"New"}`},
				{"POST", admin + "/acme/keys", testToken, `{"name":"l","type":"secret","permissions":["users:read"]}`},
				{"POST", admin + "/acme/users", testToken, `{"email":"bob@example.com"}`},
				{"PATCH", admin + "/acme/users/" + ada, testToken, `{"name":"Ada"}`},
				{"POST", admin + "/acme/users/" + ada + "/revoke-sessions", testToken, ""},
				{"POST", admin + "/acme/users/" + ada + "/require-reset", testToken, ""},
				{"DELETE", admin + "/acme/users/" + ada, testToken, ""},
				{"DELETE", admin + "/acme/keys/" + keyID, testToken, ""},
			}
			write := func(sql string) {
				t.Helper()
				if err := db.Write(ctx).Exec(sql).Error; err != nil {
					t.Fatal(err)
				}
			}
			// A limit is taken before the row and stays taken; everything else must stand as before.
			snapshot := func() string {
				var kept []string
				for _, line := range strings.Split(testkit.Dump(t, db), "\n") {
					if !strings.HasPrefix(line, "limits") && !strings.HasPrefix(line, "audit") && !strings.HasPrefix(line, "requests.attempts") {
						kept = append(kept, line)
					}
				}
				return strings.Join(kept, "\n")
			}
			before := snapshot()
			write(`ALTER TABLE audit RENAME TO audit_away`)
			for _, c := range calls {
				if status, answer := call(c.method, c.path, c.token, c.body); status < 500 {
					t.Errorf("%s %s: %d %v", c.method, c.path, status, answer)
				}
			}
			if status, _ := call("DELETE", admin+"/acme", testToken, ""); status < 500 {
				t.Errorf("deleting an application: %d", status)
			}
			write(`ALTER TABLE audit_away RENAME TO audit`)
			if after := snapshot(); after != before {
				t.Errorf("something happened without an audit row:\n%s\n---\n%s", before, after)
			}
			write(`DELETE FROM limits`)
			for i, c := range calls {
				if i == 1 { // it would end the code that is used next
					continue
				}
				if i == 3 {
					c.body = strings.Replace(c.body, "vile mango teapot 77", "calm otter violin 31", 1)
				}
				if status, answer := call(c.method, c.path, c.token, c.body); status >= 300 {
					t.Errorf("afterwards %s %s: %d %v", c.method, c.path, status, answer)
				}
			}
		})
	}
}
