package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const (
	keyA = "NtZpRjpUiXJzXo7UbEfXU3vNvvbQKcqkTtYkvdIC9u8="
	keyB = "9aPzlkCFHcVVhZz2Jk0aDqfPpSzTzqvJ0VkYyqg7e3Y="
)

func write(t *testing.T, name, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The example is the documentation: it must load, name every key, and show the defaults.
func TestExampleShowsTheDefaults(t *testing.T) {
	l, err := Load("resetflow.example.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(l.Config, Defaults()) || len(l.Warnings) != 0 {
		t.Errorf("the example loads to\n%+v %q\nthe defaults are\n%+v", l.Config, l.Warnings, Defaults())
	}
	body, err := os.ReadFile("resetflow.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var wrong problems
	found := readFile("resetflow.example.yaml", body, &wrong)
	for _, k := range keys {
		e, there := found[k.name]
		if !there {
			t.Errorf("the example does not name %s", k.name)
		}
		if e.text != k.fallback {
			t.Errorf("%s: the example says %q, the default is %q", k.name, e.text, k.fallback)
		}
	}
}

func TestDefaults(t *testing.T) {
	c := Defaults()
	if c.Listen != "127.0.0.1:8080" || !c.Database.AutoMigrate || c.Database.MaxConnections != 16 || c.ShutdownTimeout != 20*time.Second ||
		c.Retention.Audit != 90*24*time.Hour || c.Metrics.Listen != "127.0.0.1:9464" || c.KDF.Argon2Memory != 19<<20 || c.KDF.Queue != 2*time.Second {
		t.Errorf("%+v", c)
	}
}

func TestEnvironmentWins(t *testing.T) {
	path := write(t, "c.yaml", "listen: :1\npublic_url: https://a.test\nmetrics: {listen: ':9'}\ntrusted_proxies: [10.0.0.0/8, '::1']\ndatabase: {url: 'postgres://h/d'}\n")
	l, err := Load(path, []string{"RESETFLOW_LISTEN=:2", "RESETFLOW_METRICS_LISTEN=", "RESETFLOW_KDF_ARGON2_TIME=3", "HOME=/x",
		"RESETFLOW_PORT=tcp://1", "RESETFLOW_SMTP_URI=x"})
	if err != nil {
		t.Fatal(err)
	}
	if l.Listen != ":2" || l.PublicURL != "https://a.test" || l.Metrics.Listen != "" || l.KDF.Argon2Time != 3 || l.Database.AutoMigrate {
		t.Errorf("%+v", l.Config)
	}
	if len(l.TrustedProxies) != 2 || l.TrustedProxies[1].String() != "::1/128" {
		t.Errorf("trusted_proxies %v", l.TrustedProxies)
	}
	if len(l.Warnings) != 2 || !strings.Contains(l.Warnings[1], "RESETFLOW_SMTP_URI") || !strings.Contains(l.Warnings[1], "RESETFLOW_SMTP_URL") {
		t.Errorf("warnings %q", l.Warnings)
	}
	if l, err = Load(path, []string{"RESETFLOW_PUBLIC_URL="}); err != nil || l.PublicURL != "" {
		t.Errorf("an empty variable is an empty value: %q %v", l.PublicURL, err)
	}
}

func TestSecretsFromFiles(t *testing.T) {
	secrets := write(t, "keys", keyA+","+keyB+"\n")
	token := write(t, "token", strings.Repeat("t", 40)+"\r\n")
	path := write(t, "c.yaml", "secret_keys_file: "+secrets+"\nadmin: {token_file: "+token+"}\n")
	l, err := Load(path, nil)
	if err != nil || len(l.SecretKeys) != 2 || len(l.Admin.Token) != 40 {
		t.Fatalf("%v %d %q", err, len(l.SecretKeys), l.Admin.Token)
	}
	if l, err = Load(path, []string{"RESETFLOW_SECRET_KEYS=" + keyB}); err != nil || len(l.SecretKeys) != 1 {
		t.Errorf("the variable does not win over the file's file: %v", err)
	}
	path = write(t, "c.yaml", "secret_keys: ["+keyB+"]\n")
	if l, err = Load(path, []string{"RESETFLOW_SECRET_KEYS_FILE=" + secrets}); err != nil || len(l.SecretKeys) != 2 {
		t.Errorf("the variable's file does not win: %v", err)
	}
	for _, env := range [][]string{
		{"RESETFLOW_SECRET_KEYS_FILE=/does/not/exist"},
		{"RESETFLOW_SECRET_KEYS_FILE=" + secrets, "RESETFLOW_SECRET_KEYS=" + keyA},
	} {
		if _, err := Load(path, env); err == nil || !strings.Contains(err.Error(), "secret_keys_file") || strings.Contains(err.Error(), keyA) {
			t.Errorf("%v: %v", env, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	l, err := Load("", []string{"RESETFLOW_TRACING_OTLP_ENDPOINT=http://x", "RESETFLOW_KDF_ALGORITHM=bcrypt", "RESETFLOW_KDF_BCRYPT_COST=4",
		"RESETFLOW_SMTP_URL=smtp://h:25?tls=off", "RESETFLOW_MAIL_FROM=a@b.test"})
	if err != nil || len(l.Warnings) != 2 {
		t.Fatalf("%v %q", err, l.Warnings)
	}
	for i, key := range []string{"tracing.otlp_endpoint: ", "kdf.bcrypt_cost: "} {
		if !strings.HasPrefix(l.Warnings[i], key) {
			t.Errorf("warning %q does not name %s", l.Warnings[i], key)
		}
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct{ yaml, want string }{
		{"listn: x", "c.yaml:1: listn: unknown key; did you mean listen?"},
		{"listen: :1\n\ndatabse:\n  url: x", "c.yaml:3: databse: unknown key; did you mean database?"},
		{"smtp:\n  uri: x", "c.yaml:2: smtp.uri: unknown key; did you mean smtp.url?"},
		{"listen_file: x", "c.yaml:1: listen_file: unknown key"},
		{"Listen: :1", "c.yaml:1: Listen: unknown key; did you mean listen?"},
		{"listen: :1\nlisten: :2", "c.yaml:2: listen: stands twice"},
		{"smtp: {url: ''}\nsmtp: {url: ''}", "c.yaml:2: smtp: stands twice"},
		{"- a", "c.yaml:1: must be a list of keys"},
		{"smtp: x", "c.yaml:1: smtp: must be a list of keys"},
		{"listen: {a: b}", "c.yaml:1: listen: must be one value"},
		{"listen: [\n", "c.yaml:1: not YAML"},
		{"listen: :1\n---\nlisten: :2", "a second document"},
		{"listen: 8080", "c.yaml:1: listen: "},
		{"listen: :99999", "listen: "},
		{"listen: ''", "listen: "},
		{"public_url: reset.example.com", "public_url: "},
		{"public_url: http://reset.example.com", "must be https"},
		{"public_url: https://reset.example.com/x", "must end after the host"},
		{"public_url: https://reset.example.com?x=1", "must end after the host"},
		{"public_url: https://u:hunter2@reset.example.com", "must not hold a user"},
		{"public_url: https://reset.example.com:0", "no valid port"},
		{"public_url: https://", "public_url: "},
		{"database: {url: 'mysql://root:hunter2@h/d'}", "database.url: neither"},
		{"database: {url: 'postgres://u:hunter2@h:x/d'}", "database.url: not an address"},
		{"database: {url: 'sqlite:'}", "database.url: neither"},
		{"database: {url: ''}", "database.url: neither"},
		{"database: {auto_migrate: yes}", "database.auto_migrate: "},
		{"database: {max_connections: 3}", "database.max_connections: "},
		{"database: {max_connections: many}", "database.max_connections: "},
		{"shutdown_timeout: 20", "shutdown_timeout: "},
		{"shutdown_timeout: -1s", "shutdown_timeout: "},
		{"retention: {audit: 90d}", "retention.audit: "},
		{"retention: {requests: 1m}", "retention.requests: "},
		{"secret_keys: aHVudGVyMg==", "secret_keys: key 1"},
		{"secret_keys: hunter2-hunter2", "secret_keys: key 1"},
		{"secret_keys: '" + keyA + "," + keyA + "'", "secret_keys: key 2 repeats"},
		{"smtp: {url: 'http://h'}\nmail: {from: a@b.test}", "smtp.url: "},
		{"smtp: {url: 'smtp://u:hunter2@h?tls=maybe'}\nmail: {from: a@b.test}", "smtp.url: takes no parameter"},
		{"smtp: {url: 'smtps://u:hunter2@h?tls=off'}\nmail: {from: a@b.test}", "smtp.url: takes no parameter"},
		{"smtp: {url: 'smtp://u:hunter2@h:x'}\nmail: {from: a@b.test}", "smtp.url: "},
		{"smtp: {url: 'smtp://h'}", "mail.from: missing"},
		{"mail: {from: 'A <a@b.test>, c@d.test'}", "mail.from: not one mailbox"},
		{"mail: {from: \"a@b.test\\r\\nBcc: x@y.test\"}", "mail.from: not one mailbox"},
		{"admin: {token: hunter2}", "admin.token: shorter than 32"},
		{"admin: {token: 'hunter2 hunter2 hunter2 hunter2 hunter2'}", "admin.token: holds a character"},
		{"metrics: {listen: x}", "metrics.listen: "},
		{"trusted_proxies: [10.0.0.0/33]", "trusted_proxies: "},
		{"trusted_proxies: [proxy]", "trusted_proxies: "},
		{"trusted_proxies: 0.0.0.0/0", "trusts everybody"},
		{"log: {level: loud}", "log.level: "},
		{"log: {format: xml}", "log.format: "},
		{"kdf: {algorithm: md5}", "kdf.algorithm: "},
		{"kdf: {argon2_memory: 19}", "kdf.argon2_memory: "},
		{"kdf: {argon2_memory: -19MiB}", "kdf.argon2_memory: "},
		{"kdf: {argon2_memory: 99999999999GiB}", "kdf.argon2_memory: "},
		{"kdf: {argon2_time: 0}", "kdf.argon2_time: "},
		{"kdf: {bcrypt_cost: 3}", "kdf.bcrypt_cost: "},
		{"kdf: {queue: 0s}", "kdf.queue: "},
		{"kdf: {max_memory: 1MiB}", "kdf.max_memory: "},
		{"listen: x\nlog: {level: x, format: x}", "(and 2 more)"},
	}
	for _, tt := range tests {
		path := write(t, "c.yaml", tt.yaml)
		_, err := Load(path, nil)
		if err == nil {
			t.Errorf("%q was taken", tt.yaml)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), path) && !strings.HasPrefix(tt.want, "mail.from: missing") && !strings.HasPrefix(tt.want, "kdf.max_memory") {
			t.Errorf("%q: %v, want %s", tt.yaml, err, tt.want)
		}
		if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: more than a line, or a secret: %q", tt.yaml, err)
		}
	}
}

func TestErrorNamesTheVariable(t *testing.T) {
	_, err := Load("", []string{"RESETFLOW_SHUTDOWN_TIMEOUT="})
	if err == nil || !strings.HasPrefix(err.Error(), "RESETFLOW_SHUTDOWN_TIMEOUT: shutdown_timeout: ") {
		t.Error(err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "no.yaml"), nil); err == nil || !strings.Contains(err.Error(), "no.yaml: cannot be read") {
		t.Error(err)
	}
}

func TestCheckServe(t *testing.T) {
	l, err := Load("", []string{"RESETFLOW_PUBLIC_URL=HTTP://LOCALHOST:8080/"})
	if err != nil || l.PublicURL != "http://localhost:8080" {
		t.Fatalf("%q %v", l.PublicURL, err)
	}
	if err := l.CheckServe(); err == nil || !strings.HasPrefix(err.Error(), "secret_keys: ") {
		t.Error(err)
	}
	l.PublicURL = ""
	if err := l.CheckServe(); err == nil || !strings.HasPrefix(err.Error(), "public_url: ") {
		t.Error(err)
	}
	l, err = Load("", []string{"RESETFLOW_PUBLIC_URL=https://a.test", "RESETFLOW_SECRET_KEYS=" + keyA, "RESETFLOW_MAIL_FROM=Acme <x@mail.test>"})
	if err != nil || l.CheckServe() != nil || l.MailDomain() != "mail.test" {
		t.Errorf("%v %v", err, l.MailDomain())
	}
}
