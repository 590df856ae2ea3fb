package config

import (
	"fmt"
	"log/slog"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/resetflow/resetflow/internal/password/leaks"
	"github.com/resetflow/resetflow/internal/secret"
	"github.com/resetflow/resetflow/internal/settings"
)

// key is one key of the configuration: its default as one would write it and
// what checks and keeps a value. Texts of secret keys are never repeated.
type key struct {
	name     string
	fallback string
	secret   bool // may be given as …_file / …_FILE
	set      func(c *Config, text string) error
}

const (
	kib = 1 << 10
	mib = 1 << 20
	day = 24 * time.Hour
)

// keys lists every key in the order of the example file.
var keys = []key{
	{"listen", "127.0.0.1:8080", false, func(c *Config, s string) error { return address(&c.Listen, s) }},
	{"public_url", "", false, func(c *Config, s string) error { return publicURL(&c.PublicURL, s) }},
	{"database.url", "sqlite:resetflow.db", true, func(c *Config, s string) error { return databaseURL(&c.Database.URL, s) }},
	{"database.auto_migrate", "", false, func(c *Config, s string) error {
		if s == "" { // on for a local file, whose only user we are
			c.Database.AutoMigrate = c.Database.SQLite()
			return nil
		}
		return boolean(&c.Database.AutoMigrate, s)
	}},
	{"database.max_connections", "16", false, func(c *Config, s string) error { return integer(&c.Database.MaxConnections, s, 4, 1000) }},
	{"shutdown_timeout", "20s", false, func(c *Config, s string) error { return duration(&c.ShutdownTimeout, s, time.Second, time.Hour) }},
	{"retention.requests", "2160h", false, func(c *Config, s string) error { return duration(&c.Retention.Requests, s, time.Hour, 100*365*day) }},
	{"retention.messages", "2160h", false, func(c *Config, s string) error { return duration(&c.Retention.Messages, s, time.Hour, 100*365*day) }},
	{"retention.audit", "2160h", false, func(c *Config, s string) error { return duration(&c.Retention.Audit, s, time.Hour, 100*365*day) }},
	{"secret_keys", "", true, func(c *Config, s string) (err error) {
		if c.SecretKeys = nil; s == "" {
			return nil
		}
		if c.SecretKeys, err = secret.ParseKeys(s); err != nil {
			return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "secret_keys: "))
		}
		return nil
	}},
	{"smtp.url", "", true, func(c *Config, s string) error { return smtpURL(&c.SMTP.URL, s) }},
	{"mail.from", "", false, func(c *Config, s string) error {
		if s != "" && !settings.Mailbox(s) {
			return fmt.Errorf("not one mailbox; write it as Acme <no-reply@acme.example>")
		}
		c.Mail.From = s
		return nil
	}},
	{"admin.token", "", true, func(c *Config, s string) error { return adminToken(&c.Admin.Token, s) }},
	{"metrics.listen", "127.0.0.1:9464", false, func(c *Config, s string) error {
		if s == "" {
			c.Metrics.Listen = ""
			return nil
		}
		return address(&c.Metrics.Listen, s)
	}},
	{"trusted_proxies", "", false, func(c *Config, s string) error { return networks(&c.TrustedProxies, s) }},
	{"log.level", "info", false, func(c *Config, s string) error {
		if !slices.Contains([]string{"debug", "info", "warn", "error"}, s) {
			return fmt.Errorf("%q is not a level; use debug, info, warn or error", s)
		}
		return c.Log.Level.UnmarshalText([]byte(s))
	}},
	{"log.format", "", false, func(c *Config, s string) error {
		return oneOf(&c.Log.Format, s, "json", "text", "")
	}},
	{"tracing.otlp_endpoint", "", false, func(c *Config, s string) error { c.Tracing.OTLPEndpoint = s; return nil }},
	{"kdf.algorithm", "argon2id", false, func(c *Config, s string) error { return oneOf(&c.KDF.Algorithm, s, "argon2id", "bcrypt") }},
	{"kdf.argon2_time", "2", false, func(c *Config, s string) error { return integer(&c.KDF.Argon2Time, s, 1, 16) }},
	{"kdf.argon2_memory", "19MiB", false, func(c *Config, s string) error { return size(&c.KDF.Argon2Memory, s, 64*kib, 1024*mib) }},
	{"kdf.argon2_threads", "1", false, func(c *Config, s string) error { return integer(&c.KDF.Argon2Threads, s, 1, 16) }},
	{"kdf.bcrypt_cost", "12", false, func(c *Config, s string) error { return integer(&c.KDF.BcryptCost, s, 4, 15) }},
	{"kdf.max_concurrent", "0", false, func(c *Config, s string) error { return integer(&c.KDF.MaxConcurrent, s, 0, 4096) }},
	{"kdf.max_memory", "0", false, func(c *Config, s string) error { return size(&c.KDF.MaxMemory, s, 0, 1<<40) }},
	{"kdf.queue", "2s", false, func(c *Config, s string) error { return duration(&c.KDF.Queue, s, time.Millisecond, time.Minute) }},
	{"breached.file", "", false, func(c *Config, s string) error { c.Breached.File = s; return nil }},
	{"breached.url", leaks.DefaultURL, false, func(c *Config, s string) error {
		c.Breached.URL = s
		return leaks.CheckURL(s)
	}},
	{"breached.allow_private", "false", false, func(c *Config, s string) error { return boolean(&c.Breached.AllowPrivate, s) }},
}

// variable is the environment variable of a key.
func variable(name string) string {
	return "RESETFLOW_" + strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
}

func (k key) fileKey() string { return k.name + "_file" }

// Defaults returns the configuration without file and environment.
func Defaults() Config {
	var c Config
	for _, k := range keys {
		if err := k.set(&c, k.fallback); err != nil {
			panic("config: the default of " + k.name + ": " + err.Error()) // a mistake in the table above
		}
	}
	return c
}

// check judges what needs several keys. It returns the key to name.
func (c *Config) check() (name string, err error) {
	switch {
	case c.SMTP.URL != "" && c.Mail.From == "":
		return "mail.from", fmt.Errorf("missing; with smtp.url set it the sender, as in Acme <no-reply@acme.example>")
	case c.KDF.MaxMemory > 0 && c.KDF.Algorithm == "argon2id" && c.KDF.MaxMemory < c.KDF.Argon2Memory:
		return "kdf.max_memory", fmt.Errorf("smaller than one hash of kdf.argon2_memory; raise it, or leave it 0")
	}
	return "", nil
}

// warnings are what is taken and worth a word. What smtp.url says about TLS is
// warned about by the sender itself.
func (c *Config) warnings() []string {
	var w []string
	if c.Tracing.OTLPEndpoint != "" {
		w = append(w, "tracing.otlp_endpoint: tracing is not available in this version; nothing is sent")
	}
	if c.KDF.Algorithm == "bcrypt" && c.KDF.BcryptCost < 10 {
		w = append(w, "kdf.bcrypt_cost: below 10 hashes are quickly guessed once stolen; for tests and benchmarks only")
	}
	return w
}

// CheckServe tells what `serve` cannot do without.
func (c *Config) CheckServe() error {
	switch {
	case c.PublicURL == "":
		return fmt.Errorf("public_url: missing; set the address people reach this service at, as in https://reset.example.com")
	case c.SecretKeys == nil:
		return fmt.Errorf("secret_keys: missing; make one with: openssl rand -base64 32")
	}
	return nil
}

// MailDomain is the right side of Message-ID: the sender's domain, else public_url's host.
func (c *Config) MailDomain() string {
	if a, err := mail.ParseAddress(c.Mail.From); err == nil {
		return a.Address[strings.LastIndexByte(a.Address, '@')+1:]
	}
	return hostOf(c.PublicURL)
}

// Leveler is the configured level for a handler.
func (l Log) Leveler() slog.Leveler { return l.Level }
