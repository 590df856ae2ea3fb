package web

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// verdict is what the script is told about a password being typed.
type verdict struct {
	Score  int                      `json:"score"`
	Word   string                   `json:"word"`
	Failed []workflow.ViolationCode `json:"failed"`
}

// checkPassword judges a password while it is typed, for a browser that holds
// a code. It stores and logs nothing, and each address may ask a bounded number
// of times.
func (s *server) checkPassword(v *visit) error {
	if v.Request().Method != http.MethodPost {
		v.Response().Header().Set("Allow", "POST")
		return v.NoContent(http.StatusMethodNotAllowed)
	}
	f, err := v.form()
	if err != nil {
		return v.NoContent(http.StatusForbidden)
	}
	if _, ok := v.state.proof(); !ok {
		return v.NoContent(http.StatusForbidden)
	}
	if !s.checks.allow(v.client().IP, v.now()) {
		v.Response().Header().Set("Retry-After", "2")
		return v.NoContent(http.StatusTooManyRequests)
	}
	password := f.Get("password")
	out := verdict{Score: s.Strength(password), Failed: []workflow.ViolationCode{}}
	out.Word = v.texts.Password.StrengthWord(out.Score)
	for _, x := range s.Policies.Check(v.app.Policy, password, []string{v.state.Account, v.app.Name, v.app.Slug}) {
		out.Failed = append(out.Failed, x.Code)
	}
	if out.Score < v.app.Policy.MinStrength && !slices.Contains(out.Failed, workflow.VioTooWeak) {
		out.Failed = append(out.Failed, workflow.VioTooWeak) // the policy may have stopped at an earlier rule
	}
	return v.JSON(http.StatusOK, out)
}

// throttle allows every address two looks a second with a burst of thirty. It
// lives in this process: it saves CPU and guards no secret.
type throttle struct {
	mu   sync.Mutex
	next map[string]time.Time
}

const (
	throttleEvery = 500 * time.Millisecond
	throttleBurst = 30
	throttleSize  = 10_000
)

func newThrottle() *throttle { return &throttle{next: map[string]time.Time{}} }

func (t *throttle) allow(key string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.next) >= throttleSize {
		for k, at := range t.next {
			if !at.After(now) {
				delete(t.next, k)
			}
		}
		if len(t.next) >= throttleSize {
			return false
		}
	}
	at := t.next[key]
	if at.Before(now) {
		at = now
	}
	if at.Sub(now) > throttleEvery*(throttleBurst-1) {
		return false
	}
	t.next[key] = at.Add(throttleEvery)
	return true
}
