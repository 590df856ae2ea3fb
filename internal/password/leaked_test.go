package password

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/workflow"
)

// list knows some passwords, or fails.
type list struct {
	known string
	err   error
	asked []string
}

func (l *list) Has(password string) (bool, error) {
	l.asked = append(l.asked, password)
	return password == l.known, l.err
}

type service struct{ list }

func (s *service) Has(_ context.Context, password string) (bool, error) { return s.list.Has(password) }

const strong = "cobalt lantern outing"

func TestLeaksOnFile(t *testing.T) {
	f := &list{known: "lampe\u0301e violette 9"}
	f.known, _ = Normal(f.known)
	c := NewChecker(Argon2id).WithLeaks(Leaks{File: f})
	p := workflow.PasswordPolicy{MinLength: 8, MaxLength: 128, Breached: "offline"}
	for _, mode := range []string{"offline", "online"} {
		p.Breached = mode
		got := c.Check(p, "lampe\u0301e violette 9", nil) // the file knows the normal form
		if len(got) != 1 || got[0].Code != workflow.VioBreached {
			t.Errorf("%s: %v", mode, got)
		}
	}
	if got := c.Check(p, strong, nil); len(got) != 0 {
		t.Errorf("not on the file: %v", got)
	}
	f.asked = nil
	p.Breached = "off"
	if got := c.Check(p, f.known, nil); len(got) != 0 || len(f.asked) != 0 {
		t.Errorf("off: %v, asked %d times", got, len(f.asked))
	}
}

func TestLeaksOnline(t *testing.T) {
	ctx := t.Context()
	broken := errors.New("the wire is cut")
	for _, row := range []struct {
		breached, fail string
		err            error
		want           bool
		wantErr        error
		asked          int
	}{
		{"online", "", nil, true, nil, 1},
		{"online", "closed", nil, true, nil, 1},
		{"online", "", broken, false, nil, 1},
		{"online", "open", broken, false, nil, 1},
		{"online", "closed", broken, false, workflow.ErrBusy, 1},
		{"offline", "closed", broken, false, nil, 0},
		{"off", "closed", broken, false, nil, 0},
	} {
		s := &service{list{known: strong, err: row.err}}
		var log bytes.Buffer
		c := NewChecker(Argon2id).WithLeaks(Leaks{Online: s, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		p := workflow.PasswordPolicy{MinLength: 8, MaxLength: 128, Breached: row.breached, BreachedFail: row.fail}
		if got := c.Check(p, strong, nil); len(got) != 0 || len(s.asked) != 0 {
			t.Errorf("%+v: Check %v asked outside", row, got)
		}
		got, err := c.Leaked(ctx, p, strong)
		if got != (row.want && row.err == nil) || !errors.Is(err, row.wantErr) || len(s.asked) != row.asked {
			t.Errorf("%+v: %v, %v, asked %d times", row, got, err, len(s.asked))
		}
		_, _ = c.Leaked(ctx, p, strong)
		if n := strings.Count(log.String(), "level=WARN"); n != min(1, row.asked) && row.err != nil || strings.Contains(log.String(), strong) {
			t.Errorf("%+v: %d warnings: %s", row, n, log.String())
		}
	}
	if got, err := NewChecker(Argon2id).Leaked(ctx, workflow.PasswordPolicy{Breached: "online"}, strong); got || err != nil {
		t.Errorf("nobody to ask: %v, %v", got, err)
	}
}

func TestAFileThatCannotBeRead(t *testing.T) {
	c := NewChecker(Argon2id).WithLeaks(Leaks{File: &list{err: errors.New("input/output error")}})
	p := workflow.PasswordPolicy{MinLength: 8, MaxLength: 128, Breached: "offline"}
	if got := c.Check(p, strong, nil); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if _, err := c.Leaked(t.Context(), p, strong); err != nil {
		t.Errorf("open: %v", err)
	}
	p.BreachedFail = "closed"
	if _, err := c.Leaked(t.Context(), p, strong); !errors.Is(err, workflow.ErrBusy) {
		t.Errorf("closed: %v", err)
	}
}

func TestPresetRules(t *testing.T) {
	unleash := workflow.PasswordPolicy{MinLength: 10, MaxLength: 128, RequireClasses: []string{"lower", "upper", "digit", "other"}, MaxRepeat: 2, Breached: "off"}
	singular := workflow.PasswordPolicy{MinLength: 8, MaxLength: MaxBytes, RequireClasses: []string{"upper", "lower", "digit", "special"}, Breached: "off"}
	for _, row := range []struct {
		p        workflow.PasswordPolicy
		pw, want string
	}{
		{unleash, "Kl1 mopfen", ""},
		{unleash, "Kl1-mopfe", "too_short"},
		{unleash, "kl1-mopfen", "missing_uppercase"},
		{unleash, "KL1-MOPFEN", "missing_lowercase"},
		{unleash, "Klm-mopfen", "missing_digit"},
		{unleash, "Kl1mopfenn", "missing_symbol"},
		{unleash, "Kl1-moppfen", ""},
		{unleash, "Kl1-mopppfen", "too_repetitive"},
		{unleash, "aaaaaaaaaaaaaaaaaa", "too_repetitive missing_uppercase missing_digit missing_symbol"},
		{unleash, "Password1!", ""},
		{singular, "Kl1mopfe", "missing_symbol"},
		{singular, "Kl1 mopf", "missing_symbol"},
		{singular, "Kl1§mopf", "missing_symbol"},
		{singular, `Kl1\mopf`, ""}, {singular, "Kl1-mopf", ""}, {singular, `Kl1"mopf`, ""},
		{singular, "Kl1-" + strings.Repeat("mopfen", 2000), ""},
		{singular, "Kl1-" + strings.Repeat("mopfen", 3000), "too_long"},
	} {
		if got := codes(row.p, row.pw); got != row.want {
			t.Errorf("%.20q: %q, want %q", row.pw, got, row.want)
		}
	}
	bad := NewChecker(Argon2id).Check(loose, "line\nbreak", nil)
	if len(bad) != 1 || bad[0].Attributes["kind"] != "control" {
		t.Errorf("%v", bad)
	}
}
