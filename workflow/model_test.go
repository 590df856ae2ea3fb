package workflow_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/resetflow/resetflow/flows"
	"github.com/resetflow/resetflow/flows/flowtest"
	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/workflow"
)

// code is what the model knows of one code that left.
type code struct {
	proof   workflow.Proof
	origin  workflow.Origin
	expires time.Time
	alive   bool
	wrong   int // wrong digits tried; 5 end the digits
}

func (c *code) good(now time.Time) bool {
	return c.alive && now.Before(c.expires) && (c.proof.VerificationCode == "" || c.wrong < 5)
}

// person is what the model knows of one account.
type person struct {
	email, id, password string
	disabled            bool
	codes               []*code
}

func (p *person) kill(origin workflow.Origin) {
	for _, c := range p.codes {
		if origin == "" || c.origin == origin {
			c.alive = false
		}
	}
}

// The invariants of the product against random operations, failing commits and
// a turning clock: a code works exactly when the model says so, changes one
// password once, and nothing but a right code changes anything.
func TestModel(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		rapid.Check(t, func(rt *rapid.T) {
			testkit.Truncate(t, db)
			var store *failing
			m := &model{t: rt, r: flowtest.New(t, db, flowtest.Options{
				Store: func(real *storage.Store) workflow.Store { store = &failing{Store: real}; return store },
				Settings: func(a *workflow.Application) {
					huge := workflow.Rate{N: 1_000_000, Per: time.Hour}
					a.Limits.FailedCodes, a.Limits.FailedLogins = huge, huge
				},
			})}
			m.store = store
			for _, name := range []string{"ada", "bob"} {
				u := m.r.User(m.r.App, name+"@example.com")
				m.people = append(m.people, &person{email: u.Email, id: u.ID, password: flowtest.OldPassword})
			}
			rt.Repeat(map[string]func(*rapid.T){
				"ask by link": func(rt *rapid.T) { m.ask(rt, flows.EmailLink) },
				"ask by otp":  func(rt *rapid.T) { m.ask(rt, flows.EmailOTP) },
				"operator":    m.operator,
				"redeem":      func(rt *rapid.T) { m.redeem(rt, false) },
				"crash":       func(rt *rapid.T) { m.redeem(rt, true) },
				"guess":       m.guess,
				"administer":  m.administer,
				"time":        m.time,
				"":            m.passwords,
			})
		})
	})
}

type model struct {
	t      *rapid.T
	r      *flowtest.Rig
	store  *failing
	people []*person
	count  int
}

func (m *model) someone(rt *rapid.T) *person {
	return m.people[rapid.IntRange(0, len(m.people)-1).Draw(rt, "who")]
}

func (m *model) some(rt *rapid.T) (*person, *code) {
	p := m.someone(rt)
	if len(p.codes) == 0 {
		rt.Skip("no code yet")
	}
	return p, p.codes[rapid.IntRange(0, len(p.codes)-1).Draw(rt, "code")]
}

func (m *model) ask(rt *rapid.T, flow workflow.FlowName) {
	p := m.someone(rt)
	before := len(m.r.Outbox.To(p.email))
	got := m.r.Ask(m.r.App, flow, p.email)
	mails := m.r.Outbox.To(p.email)
	if p.disabled {
		if len(mails) != before {
			rt.Fatalf("a disabled account was written to")
		}
		return
	}
	if len(mails) != before+1 {
		rt.Fatalf("%d mails, want one more than %d", len(mails), before)
	}
	p.kill(workflow.OriginUser)
	mail := mails[len(mails)-1]
	c := &code{origin: workflow.OriginUser, expires: got.ExpiresAt, alive: true}
	if flow == flows.EmailOTP {
		c.proof = workflow.Proof{RequestCode: got.RequestCode, VerificationCode: mail.Code}
	} else {
		c.proof = workflow.Proof{EmailAuthCode: flowtest.LinkCode(m.r.T, mail.Link, "email_auth_code")}
	}
	p.codes = append(p.codes, c)
}

func (m *model) operator(rt *rapid.T) {
	p := m.someone(rt)
	got, err := m.r.Engine.CreateLink(bg, m.r.App, workflow.OperatorInput{UserID: p.id, Client: flowtest.Caller})
	if p.disabled {
		if err == nil {
			rt.Fatal("an operator code for a disabled account")
		}
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	p.kill(workflow.OriginOperator)
	p.codes = append(p.codes, &code{origin: workflow.OriginOperator, expires: got.ExpiresAt, alive: true, proof: workflow.Proof{PasswordResetCode: got.Code}})
}

func (m *model) redeem(rt *rapid.T, crash bool) {
	p, c := m.some(rt)
	m.count++
	fresh := fmt.Sprintf("Brand-new-horse-battery-%d", m.count)
	good := c.good(m.r.Clock.Now()) && !p.disabled
	m.store.on.Store(crash)
	client := flowtest.Caller
	client.IP, client.KeyID = "", fmt.Sprint(m.count) // the limit on operator codes has a test of its own
	_, err := m.r.Engine.Reset(bg, m.r.App, workflow.ResetInput{Proof: c.proof, NewPassword: fresh, Client: client})
	m.store.on.Store(false)
	switch {
	case crash && err == nil:
		rt.Fatal("a reset whose commit failed was answered as done")
	case crash:
		if c.proof.VerificationCode != "" && !good && m.r.Clock.Now().Before(c.expires) {
			c.wrong++ // its reservation was committed before the failure
		}
	case good && err != nil:
		rt.Fatalf("a good code was refused: %v", err)
	case !good && err == nil:
		rt.Fatal("a dead code was taken")
	case good:
		p.password = fresh
		p.kill("")
		m.r.Work() // the confirmation
	default:
		var e *workflow.Error
		if !errors.As(err, &e) || e.Code != workflow.CodeViolations {
			rt.Fatalf("a dead code was refused with %v", err)
		}
	}
}

func (m *model) guess(rt *rapid.T) {
	_, c := m.some(rt)
	if c.proof.VerificationCode == "" {
		rt.Skip("not digits")
	}
	if _, err := m.r.Engine.Introspect(bg, m.r.App, wrongDigits(c.proof), flowtest.Caller); err == nil {
		rt.Fatal("wrong digits were taken")
	}
	if m.r.Clock.Now().Before(c.expires) {
		c.wrong++
	}
}

func (m *model) administer(rt *rapid.T) {
	p := m.someone(rt)
	p.disabled = rapid.Bool().Draw(rt, "disabled")
	if _, err := m.r.Directory.UpdateUser(bg, "acme", p.id, workflow.UserPatch{Disabled: &p.disabled}, "test"); err != nil {
		rt.Fatal(err)
	}
	p.codes = nil // whatever it was before, what was out is not asked for again; see the flow suite
}

func (m *model) time(rt *rapid.T) {
	m.r.Clock.Turn(time.Duration(rapid.IntRange(1, 20).Draw(rt, "minutes")) * time.Minute)
	if rapid.Bool().Draw(rt, "sweep") {
		if _, err := m.r.Engine.Sweep(bg); err != nil {
			rt.Fatal(err)
		}
	}
	m.r.Work()
}

// passwords holds after every step: each person's password is the model's.
func (m *model) passwords(rt *rapid.T) {
	for _, p := range m.people {
		_, err := m.r.Directory.Login(bg, m.r.App, p.email, p.password, workflow.Client{Actor: "test", KeyID: "login"})
		if (err == nil) == p.disabled {
			rt.Fatalf("%s (disabled: %v) logs in: %v", p.email, p.disabled, err)
		}
	}
}
