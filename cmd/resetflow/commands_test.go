package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/internal/testkit"
)

func TestUsage(t *testing.T) {
	b := newBench(t)
	tests := []struct {
		want string
		args []string
	}{
		{"expected one of", nil},
		{"bogus", []string{"bogus"}},
		{"doctor", []string{"doctor"}}, // comes with a later release and is not offered
		{"--nope", []string{"serve", "--nope"}},
		{"expected", []string{"migrate"}},
		{"--file", []string{"apply"}},
		{"--application", []string{"export"}},
		{"--application: missing", []string{"keys", "create"}},
		{"--permission: missing", []string{"keys", "create", "--installation"}},
		{"--type", []string{"keys", "create", "-a", "acme", "--type", "admin"}},
		{"fish", []string{"completion", "powershell"}},
		{"--token", []string{"export", "-a", "acme", "--token", "x"}},
		{"--server: needs a token", []string{"export", "-a", "acme", "--server", "https://x.test"}},
		{"--server: must be an https address", []string{"export", "-a", "acme", "--server", "http://x.test", "--token", "x"}},
		{"none.yaml: cannot be read", []string{"serve", "-c", "none.yaml"}},
		{"none.yaml: cannot be read", []string{"apply", "-f", "none.yaml"}},
		{"none.csv: cannot be read", []string{"users", "import", "-a", "acme", "none.csv"}},
		{"users.csv:1: unknown column \"emial\"; did you mean email?", []string{"users", "import", "-a", "acme", b.write("users.csv", "emial\n")}},
		{"empty.csv:1: the file is empty", []string{"users", "import", "-a", "acme", b.write("empty.csv", "\n")}},
		{"bad.yaml:3: limits.per_adress: unknown key; did you mean per_address?", []string{"apply", "-f", b.write("bad.yaml", "application: acme\nlimits:\n  per_adress: 5/h\n")}},
		{"public_url: missing", []string{"serve"}},
		{"c.yaml:1: public_rul: unknown key; did you mean public_url?", []string{"serve", "-c", b.write("c.yaml", "public_rul: x")}},
		{"secret_keys: key 1", []string{"serve", "-c", b.write("short.yaml", "public_url: https://a.test\nsecret_keys: c2hvcnQ=")}},
		{"secret_keys: key 2 repeats", []string{"serve", "-c", b.write("twice.yaml", "public_url: https://a.test\nsecret_keys: ["+testKey+","+testKey+"]")}},
	}
	for _, tt := range tests {
		b.fails(2, tt.want, tt.args...)
	}
	for _, args := range [][]string{{"--help"}, {"keys", "create", "--help"}, {"users", "import", "--help"}} {
		if out := b.ok(args...); !strings.Contains(out, "Usage: resetflow") {
			t.Errorf("%v: %s", args, out)
		}
	}
	if out := b.ok("version"); !strings.HasPrefix(out, "resetflow ") || strings.Count(out, "\n") != 1 {
		t.Error(out)
	}
}

func TestCompletion(t *testing.T) {
	b := newBench(t)
	for shell, check := range map[string][]string{"bash": {"-n"}, "zsh": {"-n"}, "fish": {"--no-execute"}} {
		script := b.ok("completion", shell)
		if !strings.Contains(script, "import") || !strings.Contains(script, "dry-run") || strings.Contains(script, "doctor") {
			t.Errorf("%s:\n%s", shell, script)
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue // the shell is not on this machine
		}
		if out, err := exec.Command(path, append(check, filepath.Join(b.dir, b.write("script."+shell, script)))...).CombinedOutput(); err != nil {
			t.Errorf("%s does not read its script: %v\n%s", shell, err, out)
		}
	}
	// What a person sees after "resetflow keys <TAB>".
	script := b.write("c.bash", b.ok("completion", "bash")+`
COMP_WORDS=(resetflow keys ""); COMP_CWORD=2; _resetflow; echo "${COMPREPLY[@]}"
COMP_WORDS=(resetflow export --a); COMP_CWORD=2; _resetflow; echo "${COMPREPLY[@]}"
COMP_WORDS=(resetflow se); COMP_CWORD=1; _resetflow; echo "${COMPREPLY[@]}"
`)
	out, err := exec.Command("bash", filepath.Join(b.dir, script)).CombinedOutput()
	if err != nil || string(out) != "create list revoke --help\n--application\nserve\n" {
		t.Errorf("%v %q", err, out)
	}
}

const acme = `application: acme
name: Acme
flows:
  email_link: {}
  email_otp: {digits: 8, lifetime: 20m}
hosts: [reset.acme.test]
limits: {per_ip: 7/m}
`

// eachInstallation runs fn on both databases, directly and through the admin API.
func eachInstallation(t *testing.T, fn func(t *testing.T, b *bench, more ...string)) {
	for kind, url := range testkit.Databases(t) {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t, "RESETFLOW_DATABASE_URL="+url, "RESETFLOW_DATABASE_AUTO_MIGRATE=true")
			fn(t, b)
		})
	}
	t.Run("server", func(t *testing.T) {
		addr := freePort(t)
		b := newBench(t, "RESETFLOW_DATABASE_URL=sqlite:resetflow.db", "RESETFLOW_LISTEN="+addr, "RESETFLOW_PUBLIC_URL=http://"+addr,
			"RESETFLOW_SECRET_KEYS="+testKey, "RESETFLOW_ADMIN_TOKEN="+testToken, "RESETFLOW_METRICS_LISTEN=")
		b.start("serve").reach("http://" + addr + "/readyz")
		fn(t, b, "--server", "http://"+addr)
	})
}

func with(more []string, args ...string) []string { return append(args, more...) }

func TestApplyAndExport(t *testing.T) {
	eachInstallation(t, func(t *testing.T, b *bench, more ...string) {
		b.write("acme.yaml", acme)
		if out := b.ok(with(more, "apply", "-f", "acme.yaml", "--dry-run")...); !strings.Contains(out, "acme: would be created") {
			t.Error(out)
		}
		b.fails(1, "acme: there is no such application", with(more, "export", "--application", "acme")...)
		out := b.ok(with(more, "apply", "-f", "acme.yaml")...)
		for _, want := range []string{"acme: created\n", "~ limits.per_ip: 100/h → 7/m", "+ flows.email_otp.digits: 8", "~ hosts: [] → [reset.acme.test]"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		if out := b.ok(with(more, "apply", "-f", "acme.yaml")...); out != "acme: unchanged\n" {
			t.Errorf("apply is not idempotent: %s", out)
		}
		exported := b.ok(with(more, "export", "--application", "acme")...)
		b.write("again.yaml", exported)
		if out := b.ok(with(more, "apply", "-f", "again.yaml")...); out != "acme: unchanged\n" {
			t.Errorf("the export does not say the same: %s\n%s", out, exported)
		}
		// What is left out goes back to its default, a flow goes away.
		b.write("acme.yaml", strings.NewReplacer("  email_otp: {digits: 8, lifetime: 20m}\n", "", "limits: {per_ip: 7/m}\n", "").Replace(acme))
		if out := b.ok(with(more, "apply", "-f", "acme.yaml", "--dry-run")...); !strings.Contains(out, "acme: would be changed") {
			t.Error(out)
		}
		out = b.ok(with(more, "apply", "-f", "acme.yaml")...)
		if !strings.Contains(out, "acme: changed\n") || !strings.Contains(out, "~ limits.per_ip: 7/m → 100/h") || !strings.Contains(out, "- flows.email_otp.digits: 8") {
			t.Error(out)
		}
		if now := b.ok(with(more, "export", "--application", "acme")...); strings.Contains(now, "email_otp") || !strings.Contains(now, "per_ip: 100/h") {
			t.Error(now)
		}
		b.write("other.yaml", "application: other\nhosts: [reset.acme.test]\n")
		b.fails(1, "other: hosts: one of them belongs to another application", with(more, "apply", "-f", "other.yaml")...)
	})
}

func TestApplyFromStandardInput(t *testing.T) {
	b := newBench(t)
	if out, _, code := b.feed("application: a\n---\napplication: b\n", "apply", "-f", "-"); code != 0 || out != "a: created\nb: created\n" {
		t.Errorf("%d %s", code, out)
	}
}

func TestKeys(t *testing.T) {
	eachInstallation(t, func(t *testing.T, b *bench, more ...string) {
		b.fails(1, "acme: there is no such application", with(more, "keys", "create", "--application", "acme")...)
		b.write("acme.yaml", acme)
		b.ok(with(more, "apply", "-f", "acme.yaml")...)
		stdout, stderr, code := b.run(with(more, "keys", "create", "-a", "acme", "--name", "backend",
			"--permission", "password-reset-workflow:execute,password-reset-link:create")...)
		key := strings.TrimSuffix(stdout, "\n")
		if code != 0 || !strings.HasPrefix(key, "rfsk_") || strings.ContainsAny(key, " \n") || strings.Contains(stderr, key) {
			t.Fatalf("exit %d, the key must stand alone on stdout (%d bytes); stderr %s", code, len(stdout), stderr)
		}
		b.fails(2, "permissions", with(more, "keys", "create", "-a", "acme", "--permission", "all")...)
		list := b.ok(with(more, "keys", "list", "-a", "acme")...)
		if !strings.Contains(list, "backend") || !strings.Contains(list, "rfsk_…"+key[len(key)-4:]) || strings.Contains(list, key) || strings.Count(list, "\n") != 2 {
			t.Error(list)
		}
		id := strings.Fields(strings.Split(list, "\n")[1])[0]
		b.ok(with(more, "keys", "revoke", "-a", "acme", id)...)
		if list := b.ok(with(more, "keys", "list", "-a", "acme")...); !strings.Contains(list, "revoked ") {
			t.Error(list)
		}
		b.fails(1, "there is no such active key", with(more, "keys", "revoke", "-a", "acme", id)...)
	})
}

func TestImport(t *testing.T) {
	eachInstallation(t, func(t *testing.T, b *bench, more ...string) {
		b.write("acme.yaml", acme)
		b.ok(with(more, "apply", "-f", "acme.yaml")...)
		b.write("users.csv", "\ufeffemail,password_hash,name,locale,disabled,orgs\n"+
			"ada@example.com,"+testHash+",Ada,en,false,sales;support\n"+
			"not an address,,X,en,,\n"+
			"Bob@Example.com,,\"Bob\nB\",,,\n"+
			"cy@example.com,md5:abc,Cy,,,\n"+
			"dee@example.com,,Dee,de,true,\n"+
			"ADA@example.com,,again,,,\n"+
			"short@example.com\n"+
			"eve@example.com,,Eve,en_US,,\n"+
			"fay@example.com,,Fay,,perhaps,\n")
		want := []string{"users.csv:3: email: not an address", "users.csv:4: name: ", "users.csv:6: password_hash: not an argon2id",
			"users.csv:8: email: ", "users.csv:9: 1 fields where the header has 6", "users.csv:10: locale: ", "users.csv:11: disabled: "}
		for _, dry := range []bool{true, false} {
			args, word := with(more, "users", "import", "--application", "acme", "users.csv"), "imported"
			if dry {
				args, word = append(args, "--dry-run"), "would import"
			}
			stdout, stderr, code := b.run(args...)
			if code != 1 || stdout != word+" 2 users, 7 rows bad\n" {
				t.Errorf("dry run %v: exit %d, %s%s", dry, code, stdout, stderr)
			}
			for i, line := range strings.Split(strings.TrimSpace(stderr), "\n") {
				if i >= len(want) || !strings.HasPrefix(line, want[i]) {
					t.Errorf("dry run %v, line %d: %s", dry, i, line)
				}
			}
			if strings.Contains(stderr, "md5:abc") {
				t.Error("a hash stands in the output")
			}
		}
		b.write("users.jsonl", `{"email":"gus@example.com","passwordHash":"`+testHash+`","orgs":["a"]}`+"\n\n"+
			`{"email":"hal@example.com","admin":true}`+"\n"+
			`{"email":"dee@example.com"}`+"\n"+
			`{"email":`+"\n"+
			`{"email":"ivy@example.com","disabled":true}`)
		stdout, stderr, code := b.run(with(more, "users", "import", "-a", "acme", "users.jsonl")...)
		if code != 1 || stdout != "imported 2 users, 3 rows bad\n" || !strings.Contains(stderr, "users.jsonl:3: admin: ") ||
			!strings.Contains(stderr, "users.jsonl:4: email: the application has a user") || !strings.Contains(stderr, "users.jsonl:5: ") {
			t.Errorf("exit %d, %s%s", code, stdout, stderr)
		}
		if out, _, code := b.feed("email\nzoe@example.com\n", with(more, "users", "import", "-a", "acme", "-")...); code != 0 || out != "imported 1 user, 0 rows bad\n" {
			t.Errorf("exit %d, %s", code, out)
		}
		b.fails(1, "nobody: there is no such application", with(more, "users", "import", "-a", "nobody", "users.csv")...)
	})
}

func TestMigrate(t *testing.T) {
	for kind, url := range testkit.Databases(t) {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t, "RESETFLOW_DATABASE_URL="+url, "RESETFLOW_DATABASE_AUTO_MIGRATE=false",
				"RESETFLOW_PUBLIC_URL=http://localhost", "RESETFLOW_SECRET_KEYS="+testKey, "RESETFLOW_LISTEN="+freePort(t), "RESETFLOW_METRICS_LISTEN=")
			stdout, stderr, code := b.run("migrate", "status")
			if code != 1 || !strings.HasPrefix(stdout, "missing 0001") || !strings.Contains(stderr, "run resetflow migrate up") {
				t.Errorf("exit %d, %s%s", code, stdout, stderr)
			}
			b.fails(1, "run resetflow migrate up", "serve")
			b.fails(1, "run resetflow migrate up", "keys", "list", "-a", "acme")
			if out := b.ok("migrate", "up"); !strings.HasPrefix(out, "applied 0001") {
				t.Error(out)
			}
			for _, args := range [][]string{{"migrate", "up"}, {"migrate", "status"}} {
				if out := b.ok(args...); out != "the schema is up to date\n" {
					t.Errorf("%v: %s", args, out)
				}
			}
		})
	}
	b := newBench(t, "RESETFLOW_DATABASE_URL=postgres://u:hunter2@127.0.0.1:1/x")
	b.fails(1, "database.url", "migrate", "status")
	if _, stderr, _ := b.run("migrate", "status"); strings.Contains(stderr, "hunter2") {
		t.Error("the password stands in the error")
	}
}

// A warning about an unknown variable does not stop a command.
func TestUnknownVariableWarns(t *testing.T) {
	b := newBench(t, "RESETFLOW_PORT=tcp://10.0.0.1:80")
	b.write("acme.yaml", acme)
	_, stderr, code := b.run("apply", "-f", "acme.yaml")
	if code != 0 || !strings.Contains(stderr, "warning: RESETFLOW_PORT: unknown variable") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

func TestTakenPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	b := newBench(t, "RESETFLOW_PUBLIC_URL=http://localhost", "RESETFLOW_SECRET_KEYS="+testKey)
	b.fails(1, "--listen: "+taken+" is taken by another program", "demo", "--listen", taken)
	b.env = append(b.env, "RESETFLOW_LISTEN="+taken)
	b.fails(1, "listen: "+taken+" is taken by another program", "serve")
	if _, err := os.Stat(filepath.Join(b.dir, "resetflow.db")); err == nil {
		t.Error("a database was made before the port was had")
	}
	b.env = append(b.env, "RESETFLOW_LISTEN="+freePort(t), "RESETFLOW_METRICS_LISTEN="+taken)
	b.fails(1, "metrics.listen: "+taken+" is taken by another program", "serve")
}
