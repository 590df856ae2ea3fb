package e2e

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/internal/testkit/product"
)

// A wrong configuration stops serve before anything is made: exit 2 and one line
// on stderr that names the key. The file's keys are tried beside the command.
func TestWrongEnvironment(t *testing.T) {
	t.Parallel()
	const key, other = "NtZpRjpUiXJzXo7UbEfXU3vNvvbQKcqkTtYkvdIC9u8=", "q1Y7fYk3v2mGf0b3bDq0E6C1yq1Qm4l3iB1oKk0Yw2E="
	right := map[string]string{"PUBLIC_URL": "https://reset.example.com", "SECRET_KEYS": key}
	for _, tt := range []struct{ variable, value, want string }{
		{"PUBLIC_URL", "", "public_url: missing"},
		{"PUBLIC_URL", "http://reset.example.com", "public_url: \"http://reset.example.com\" must be https"},
		{"PUBLIC_URL", "reset.example.com", "public_url: "},
		{"SECRET_KEYS", "", "secret_keys: missing"},
		{"SECRET_KEYS", "c2hvcnQ=", "secret_keys: key 1"},
		{"SECRET_KEYS", key + "," + other + "," + key, "secret_keys: key 3 repeats"},
		{"SECRET_KEYS", strings.Repeat("A", 43) + "=", "secret_keys: key 1"},
		{"SMTP_URL", "smtp://127.0.0.1:2525?tls=off", "mail.from: missing"},
		{"SMTP_URL", "http://127.0.0.1", "smtp.url: "},
		{"ADMIN_TOKEN", "short-hunter2", "admin.token: "},
		{"DATABASE_URL", "mysql://root:hunter2@h/d", "database.url: "},
		{"TRUSTED_PROXIES", "10.0.0.0/99", "trusted_proxies: "},
		{"KDF_ARGON2_MEMORY", "1TiB", "kdf.argon2_memory: "},
		{"SHUTDOWN_TIMEOUT", "-1s", "shutdown_timeout: "},
	} {
		dir := t.TempDir()
		cmd := exec.Command(product.Build(t), "serve")
		cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir}
		for name, value := range right {
			cmd.Env = append(cmd.Env, "RESETFLOW_"+name+"="+value)
		}
		cmd.Env = append(cmd.Env, "RESETFLOW_"+tt.variable+"="+tt.value)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 {
			t.Errorf("%s=%s: %v, want exit 2; stderr: %s", tt.variable, tt.value, err, stderr.String())
			continue
		}
		if line := stderr.String(); strings.Count(line, "\n") != 1 || !strings.Contains(line, tt.want) || strings.Contains(line, "hunter2") || stdout.Len() > 0 {
			t.Errorf("%s: stderr %q, want one line holding %q and no secret", tt.variable, line, tt.want)
		}
		if made, _ := filepath.Glob(filepath.Join(dir, "*")); len(made) > 0 {
			t.Errorf("%s: it made %v", tt.variable, made)
		}
	}
}
