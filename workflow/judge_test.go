package workflow

import (
	"context"
	"errors"
	"testing"
)

// judges counts what it is asked.
type judges struct {
	bad         []Violation
	leaked      bool
	used        bool
	err         error
	asked, back int
}

func (j *judges) Check(PasswordPolicy, string, []string) []Violation { return j.bad }

func (j *judges) Leaked(context.Context, PasswordPolicy, string) (bool, error) {
	j.asked++
	return j.leaked, j.err
}

func (j *judges) Used(_ context.Context, _, _, _ string, n int) (bool, error) {
	j.back += n
	return j.used, nil
}

func TestJudgeAsksTheCheapRulesFirst(t *testing.T) {
	elsewhere := errors.New("nobody knows")
	for name, c := range map[string]struct {
		judges      judges
		account     string
		want        ViolationCode
		err         error
		asked, back int
	}{
		"a rule is broken":          {judges{bad: []Violation{{Code: VioTooShort}}, leaked: true, used: true}, "a", VioTooShort, nil, 0, 0},
		"it is leaked":              {judges{leaked: true, used: true}, "a", VioBreached, nil, 1, 0},
		"nobody knows":              {judges{err: elsewhere, used: true}, "a", "", elsewhere, 1, 0},
		"it was used":               {judges{used: true}, "a", VioRecentlyUsed, nil, 1, 3},
		"it is good":                {judges{}, "a", "", nil, 1, 3},
		"a new account has no past": {judges{used: true}, "", "", nil, 1, 0},
	} {
		j := c.judges
		bad, err := Judge(t.Context(), &j, &j, "acme", PasswordPolicy{History: 3}, c.account, "x", nil)
		if !errors.Is(err, c.err) || (len(bad) == 1) != (c.want != "") || len(bad) == 1 && bad[0].Code != c.want || j.asked != c.asked || j.back != c.back {
			t.Errorf("%s: %v, %v; asked %d, compared %d", name, bad, err, j.asked, j.back)
		}
	}
	j := judges{used: true}
	if bad, err := Judge(t.Context(), &j, &j, "acme", PasswordPolicy{}, "a", "x", nil); len(bad) > 0 || err != nil || j.back != 0 {
		t.Errorf("without a history: %v, %v", bad, err)
	}
	if bad, err := Judge(t.Context(), &j, nil, "acme", PasswordPolicy{History: 3}, "a", "x", nil); len(bad) > 0 || err != nil {
		t.Errorf("a directory that remembers nothing: %v, %v", bad, err)
	}
}
