package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/resetflow/resetflow/api"
	"github.com/resetflow/resetflow/config"
	"github.com/resetflow/resetflow/internal/settings"
	"github.com/resetflow/resetflow/notify"
	"github.com/resetflow/resetflow/web"
	"github.com/resetflow/resetflow/workflow"
)

type demoCommand struct {
	Listen string `default:"127.0.0.1:8080" placeholder:"ADDRESS" help:"Where to listen (default 127.0.0.1:8080)."`
}

// demoPatience keeps Ctrl-C below two seconds.
const demoPatience = 1500 * time.Millisecond

// demoFolder is removed by the second Ctrl-C too, which waits for nothing.
var demoFolder atomic.Value

// atOnce is what must not stay behind when the process ends at once.
func atOnce() {
	if folder, ok := demoFolder.Load().(string); ok && folder != "" {
		_ = os.RemoveAll(folder)
	}
}

const demoSlug = "acme"

var demoUsers = []workflow.NewUser{
	{Email: "ada@example.com", Name: "Ada", Locale: "en"},
	{Email: "bob@example.com", Name: "Bob", Locale: "en"},
}

// Run is the newcomer's one command: everything in memory and one folder.
func (c demoCommand) Run(ctx context.Context, w *world) (err error) {
	ln, err := listen(ctx, "--listen", c.Listen)
	if err != nil {
		return err
	}
	defer func() { _ = ln.Close() }()
	public, err := demoURL(ln.Addr())
	if err != nil {
		return wrongUsage(err)
	}
	folder, err := os.MkdirTemp("", "resetflow-demo-")
	if err != nil {
		return fmt.Errorf("demo: nothing can be written to %s; set TMPDIR to a folder of yours", os.TempDir())
	}
	demoFolder.Store(folder)
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	inbox, err := notify.NewInbox()
	if err != nil {
		return fmt.Errorf("demo: the inbox does not start: %w", err)
	}
	defer func() { _ = inbox.Close() }()

	cfg := demoConfig(c.Listen, public, folder, inbox.URL())
	db, err := openDatabase(ctx, cfg)
	if err != nil {
		return err
	}
	if err := migrated(ctx, db, cfg); err != nil {
		return errors.Join(err, db.Close())
	}
	log := slog.New(slog.NewTextHandler(w.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	slog.SetDefault(log)
	front := &web.Demo{Application: demoSlug, Flows: []string{"email_link", "email_otp", "direct_code"}}
	// The inbox is spoken to without TLS, over loopback; a warning would only worry.
	s, err := wire(cfg, db, log, slog.New(slog.DiscardHandler), &demoParts{shownInbox{inbox}, front})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	made, err := s.fillDemo(ctx, public)
	if err != nil {
		return errors.Join(err, s.close())
	}
	for _, u := range demoUsers {
		front.Accounts = append(front.Accounts, u.Email)
	}
	front.Lines = []string{made.otp(public), made.link(public)}
	made.print(w.stdout, public)
	if host, _, _ := net.SplitHostPort(ln.Addr().String()); !isLoopback(host) {
		fmt.Fprintln(w.stderr, "resetflow: warning: the demo can be reached from other machines, and its inbox shows every mail to everybody")
	}
	// A browser holds connections open; in a demo nobody waits for them.
	var cut cutOff
	if err := s.run(ctx, ln, nil); err != nil && !errors.As(err, &cut) {
		return err
	}
	fmt.Fprintln(w.stdout, "\nThe demo has ended and its folder is removed.")
	return nil
}

// demoURL is the address people open. The demo sends codes over http and shows
// every mail, so it belongs to this machine (or to a container's inside).
func demoURL(a net.Addr) (string, error) {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return "", err
	}
	switch ip := net.ParseIP(host); {
	case ip.IsUnspecified():
		host = "127.0.0.1"
	case !ip.IsLoopback():
		return "", fmt.Errorf("--listen: the demo shows every mail to everybody; listen on 127.0.0.1, or use serve")
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

func demoConfig(listen, public, folder, smtp string) config.Config {
	cfg := config.Defaults()
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	cfg.Listen, cfg.PublicURL, cfg.SecretKeys = listen, public, [][]byte{key}
	cfg.Database.URL = "sqlite:" + filepath.Join(folder, "resetflow.db")
	cfg.Metrics.Listen, cfg.ShutdownTimeout = "", demoPatience
	cfg.SMTP.URL, cfg.Mail.From = smtp, "Acme <no-reply@acme.example>"
	return cfg
}

// demoMade is what was made and is shown once.
type demoMade struct {
	passwords []string // of demoUsers, in order
	key       string
}

func demoApplication(public string) (workflow.Application, error) {
	return settings.Decode([]byte(`{"application":"`+demoSlug+`","name":"Acme",
		"flows":{"email_link":{},"email_otp":{},"direct_code":{"enabled":true}},
		"resendAfter":"10s","redirectUrls":["`+public+`/"],
		"limits":{"perAddress":"1000/h","perIp":"10000/h","perPeer":"10000/h","mailsPerAccount":"1000/h","failedCodes":"100/h","failedLogins":"100/h"}}`), policies())
}

func (s *service) fillDemo(ctx context.Context, public string) (demoMade, error) {
	var made demoMade
	app, err := demoApplication(public)
	if err != nil {
		return made, err
	}
	if err := s.store.Create(ctx, app, "demo"); err != nil {
		return made, err
	}
	for _, u := range demoUsers {
		plain := strings.ToLower(rand.Text()[:16])
		if u.Hash, err = s.pool.Hash(ctx, plain); err != nil {
			return made, err
		}
		if _, err := s.accounts.CreateUser(ctx, demoSlug, u, "demo"); err != nil {
			return made, err
		}
		made.passwords = append(made.passwords, plain)
	}
	key, row, err := api.NewKey(demoSlug, "demo", workflow.KeySecret,
		[]string{"password-reset-workflow:execute", "password-reset-link:create", "sessions:execute", "users:read", "reset-requests:read"}, nil, systemClock{}.Now())
	if err != nil {
		return made, err
	}
	made.key = key
	return made, s.store.CreateKey(ctx, row, "demo")
}

func (m demoMade) curl(public, path, body string) string {
	return fmt.Sprintf("curl -s %s/api/v1/password-reset/%s -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '%s'", public, path, m.key, body)
}

func (m demoMade) otp(public string) string {
	return m.curl(public, "request-password-reset", `{"email":"ada@example.com","flow":"email_otp"}`)
}

func (m demoMade) link(public string) string {
	return m.curl(public, "create-password-reset-link", `{"email":"bob@example.com","reason":"asked on the telephone"}`)
}

func (m demoMade) print(out io.Writer, public string) {
	fmt.Fprintf(out, `resetflow demo: application %s, all three flows, nothing leaves this machine.

  1. Start here            %s/
  2. Forgot my password    %s/apps/%s/forgot-password
  3. The mails             %s/dev/inbox
  4. Six digits by API     %s
  5. A link by an operator %s

`, demoSlug, public, public, demoSlug, public, m.otp(public), m.link(public))
	for i, u := range demoUsers {
		fmt.Fprintf(out, "  user     %s  password %s\n", u.Email, m.passwords[i])
	}
	fmt.Fprintf(out, "  API key  %s\n\nCtrl-C ends it and removes everything.\n", m.key)
}

// shownInbox shows the pages what the inbox got.
type shownInbox struct{ *notify.Inbox }

// Mails lists the mails, newest first.
func (i shownInbox) Mails() []web.InboxMail {
	got := i.Inbox.Mails()
	out := make([]web.InboxMail, len(got))
	for n, m := range got {
		out[n] = web.InboxMail{ID: m.Message, At: m.ReceivedAt, From: m.From, To: m.To, Subject: m.Subject, Text: m.Text, HTML: m.HTML}
	}
	return out
}
