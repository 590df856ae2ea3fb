package api

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

var testTime = time.Date(2026, 11, 23, 10, 0, 0, 123456000, time.UTC)

type clock struct{}

func (clock) Now() time.Time { return testTime }

// world is what stands behind the API in these tests. Every call that reaches
// it is counted, so that a test can say that nothing was looked up.
type world struct {
	mu       sync.Mutex
	calls    []string
	err      error // what the engine answers, nil for success
	request  workflow.RequestInput
	reset    workflow.ResetInput
	proof    workflow.Proof
	operator workflow.OperatorInput
	client   workflow.Client
	receipt  workflow.Receipt
	refused  *workflow.Refusal
	quota    workflow.Quota
	keys     map[string]workflow.APIKey
	created  workflow.APIKey
	user     workflow.NewUser
	patch    workflow.UserPatch
	actor    string
	stale    int
	query    workflow.RequestQuery
	cursor   string
	limit    int
	panics   bool
	hashErr  error
	audit    workflow.AuditQuery
	audited  []workflow.AuditEntry
	auditErr error
	full     string // the one quota that has nothing left
}

func (w *world) note(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.calls) > 1000 {
		w.calls = nil
	}
	w.calls = append(w.calls, name)
}

func (w *world) took() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := strings.Join(w.calls, " ")
	w.calls = nil
	return s
}

type engine struct{ *world }

func (w engine) Request(_ context.Context, _ *workflow.Application, in workflow.RequestInput) (workflow.Accepted, error) {
	w.note("Request")
	if w.panics {
		panic("canary-" + in.Email)
	}
	w.request, w.client = in, in.Client
	a := workflow.Accepted{Flow: "email_link", ExpiresAt: testTime.Add(30 * time.Minute), ResendAfter: 60 * time.Second}
	if in.Flow == "email_otp" {
		a.Flow, a.RequestCode = in.Flow, "rq"
	}
	return a, w.err
}

func (w engine) Resend(_ context.Context, _ *workflow.Application, _ string, c workflow.Client) (workflow.Accepted, error) {
	w.note("Resend")
	return workflow.Accepted{Flow: "email_otp", RequestCode: "rq", ExpiresAt: testTime, ResendAfter: 1500 * time.Millisecond}, w.err
}

func (w engine) Introspect(_ context.Context, app *workflow.Application, p workflow.Proof, c workflow.Client) (workflow.Introspection, error) {
	w.note("Introspect")
	w.proof = p
	return workflow.Introspection{Flow: "email_otp", ExpiresAt: testTime, AttemptsRemaining: 0, CountsAttempts: p.RequestCode != "",
		MaskedEmail: "a•••@example.com", Email: "ada@example.com", Locale: "en", Policy: app.Policy}, w.err
}

func (w engine) Reset(_ context.Context, _ *workflow.Application, in workflow.ResetInput) (workflow.Receipt, error) {
	w.note("Reset")
	w.reset = in
	return w.receipt, w.err
}

func (w engine) CreateLink(_ context.Context, _ *workflow.Application, in workflow.OperatorInput) (workflow.OperatorCode, error) {
	w.note("CreateLink")
	w.operator = in
	return workflow.OperatorCode{Code: "7K3QM-1", Link: "https://id.test/?a=1&b=2", ExpiresAt: testTime, RequestID: testID}, w.err
}

func (w engine) RedeemAuthSession(context.Context, *workflow.Application, string) (string, error) {
	w.note("RedeemAuthSession")
	return "u1", w.err
}

func (w engine) Cancel(_ context.Context, _ *workflow.Application, _ workflow.ID, actor string) error {
	w.note("Cancel")
	w.actor = actor
	return w.err
}

func (w engine) RetryMessage(_ context.Context, _ *workflow.Application, _ workflow.ID, actor string) error {
	w.note("RetryMessage")
	w.actor = actor
	return w.err
}

var testID = workflow.NewID(testTime)

type registry struct{ *world }

func application(slug string) *workflow.Application {
	app := workflow.DefaultApplication(slug)
	app.Name = strings.ToUpper(slug)
	return &app
}

func (w registry) Application(_ context.Context, slug string) (*workflow.Application, error) {
	w.note("Application")
	if slug != "acme" && slug != "other" {
		return nil, workflow.ErrNotFound
	}
	return application(slug), nil
}

func (w registry) List(_ context.Context, cursor string, limit int) ([]workflow.Application, string, error) {
	w.note("List")
	w.cursor, w.limit = cursor, limit
	return []workflow.Application{*application("acme"), *application("other")}, "other", nil
}

func (w registry) Create(_ context.Context, app workflow.Application, actor string) error {
	w.note("Create")
	w.actor = actor
	if app.Slug == "acme" {
		return workflow.ErrNotUnique
	}
	return nil
}

func (w registry) Update(context.Context, workflow.Application, string) error {
	w.note("Update")
	if w.stale > 0 {
		w.stale--
		return workflow.ErrStale
	}
	return nil
}

func (w registry) Delete(_ context.Context, slug, actor string) error { w.note("Delete"); return nil }
func (w registry) ByHost(context.Context, string) (*workflow.Application, error) {
	return nil, workflow.ErrNotFound
}

type keyring struct{ *world }

func (w keyring) CreateKey(_ context.Context, k workflow.APIKey, actor string) error {
	w.note("CreateKey")
	w.created, w.actor = k, actor
	return nil
}

func (w keyring) Key(_ context.Context, hash []byte) (workflow.APIKey, error) {
	w.note("Key")
	if k, ok := w.keys[string(hash)]; ok {
		return k, nil
	}
	return workflow.APIKey{}, workflow.ErrNotFound
}

func (w keyring) Keys(context.Context, string, string, int) ([]workflow.APIKey, string, error) {
	w.note("Keys")
	return []workflow.APIKey{{ID: "k1", Name: "n", Type: workflow.KeySecret, Permissions: []string{"users:read"}, Hash: []byte("canary-hash"), LastFour: "abcd", Prefix: "rfsk", CreatedAt: testTime}}, "", nil
}

func (w keyring) RevokeKey(_ context.Context, _, id, _ string) error {
	w.note("RevokeKey")
	if id != "k1" {
		return workflow.ErrNotFound
	}
	return nil
}

func (w keyring) OriginKnown(_ context.Context, origin string) (bool, error) {
	w.note("OriginKnown")
	return origin == "https://shop.test" || origin == "https://elsewhere.test", nil
}

type users struct{ *world }

func testUser(id string) workflow.User {
	return workflow.User{ID: id, Email: "ada@example.com", Name: "Ada", HasPassword: true, CreatedAt: testTime, UpdatedAt: testTime}
}

func (w users) find(id string) error {
	if id != "u1" {
		return workflow.ErrNotFound
	}
	return nil
}

func (w users) CreateUser(_ context.Context, _ string, u workflow.NewUser, actor string) (workflow.User, error) {
	w.note("CreateUser")
	w.user, w.actor = u, actor
	if u.Email == "taken@example.com" {
		return workflow.User{}, workflow.ErrNotUnique
	}
	return testUser("u1"), nil
}

func (w users) User(_ context.Context, _, id string) (workflow.User, error) {
	w.note("User")
	return testUser(id), w.find(id)
}

func (w users) ListUsers(_ context.Context, _, email, cursor string, limit int) ([]workflow.User, string, error) {
	w.note("ListUsers")
	w.cursor, w.limit = cursor, limit
	return []workflow.User{testUser("u1")}, "u1", nil
}

func (w users) UpdateUser(_ context.Context, _, id string, p workflow.UserPatch, _ string) (workflow.User, error) {
	w.note("UpdateUser")
	w.patch = p
	return testUser(id), w.find(id)
}

func (w users) DeleteUser(_ context.Context, _, id, _ string) error {
	w.note("DeleteUser")
	return w.find(id)
}

func (w users) EndSessions(_ context.Context, _, id, _ string) (workflow.Revoked, error) {
	w.note("EndSessions")
	return workflow.Revoked{Sessions: 2, RefreshTokens: 3}, w.find(id)
}

func (w users) RequireReset(_ context.Context, _, id, _ string) error {
	w.note("RequireReset")
	return w.find(id)
}

type sessions struct{ *world }

var testTokens = workflow.Tokens{AccessToken: "at", RefreshToken: "rt", TokenType: "Bearer", ExpiresIn: 300}

func (w sessions) Login(_ context.Context, _ *workflow.Application, email, _ string, c workflow.Client) (workflow.Tokens, error) {
	w.note("Login")
	w.client = c
	return testTokens, w.err
}

func (w sessions) Open(context.Context, *workflow.Application, string, workflow.Client) (workflow.Tokens, error) {
	w.note("Open")
	return testTokens, nil
}

func (w sessions) Refresh(context.Context, *workflow.Application, string) (workflow.Tokens, error) {
	w.note("Refresh")
	return testTokens, w.err
}

func (w sessions) Session(_ context.Context, token string) (workflow.Session, error) {
	w.note("Session")
	if token != "access.token.ok" {
		return workflow.Session{}, workflow.Fail(workflow.CodeInvalidGrant, nil)
	}
	return workflow.Session{Application: "acme", UserID: "u1", Email: "ada@example.com", SessionID: "s1", ExpiresAt: testTime}, nil
}

func (w sessions) Logout(_ context.Context, token string) error {
	w.note("Logout")
	if token != "access.token.ok" {
		return workflow.Fail(workflow.CodeInvalidGrant, nil)
	}
	return nil
}

func (w sessions) JWKS(*workflow.Application) ([]byte, error) { return []byte(`{"keys":[]}`), nil }

type history struct{ *world }

func testRequest() workflow.Request {
	return workflow.Request{Application: "acme", ID: testID, Flow: "email_otp", Origin: workflow.OriginUser, State: workflow.StateChallenged,
		Email: "ada@example.com", AccountID: "u1", Generation: []byte("canary-generation"), KeyID: "canary-key", CodeHash: []byte("canary-hash"),
		SealedHash: []byte("canary-sealed"), Sends: 1, Actor: "page", CreatedAt: testTime, ExpiresAt: testTime}
}

func testMessage() workflow.Message {
	return workflow.Message{Application: "acme", ID: testID, RequestID: testID, Kind: workflow.KindResetCode, State: workflow.MessageQueued, To: "ada@example.com", LastReply: "451 later", NextTry: testTime, CreatedAt: testTime}
}

func (w history) Requests(_ context.Context, _ string, q workflow.RequestQuery) ([]workflow.Request, string, error) {
	w.note("Requests")
	w.query = q
	return []workflow.Request{testRequest()}, "", nil
}

func (w history) Timeline(context.Context, string, workflow.ID) ([]workflow.AuditEntry, error) {
	w.note("Timeline")
	return []workflow.AuditEntry{{At: testTime, Event: "authn_password_reset_requested", Actor: "page", Move: workflow.EventIssue, From: workflow.StateRequested, To: workflow.StateChallenged}}, nil
}

func (w history) Messages(context.Context, string, workflow.MessageQuery) ([]workflow.Message, string, error) {
	w.note("Messages")
	return []workflow.Message{testMessage()}, "", nil
}

type rows struct{ *world }

func (w rows) Request(_ context.Context, _ string, at workflow.Locator) (workflow.Request, []workflow.Request, error) {
	w.note("RequestRow")
	if at.ID != testID {
		return workflow.Request{}, nil, workflow.ErrNotFound
	}
	return testRequest(), nil, nil
}

func (w rows) Message(_ context.Context, _ string, id workflow.ID) (workflow.Message, workflow.Request, error) {
	w.note("MessageRow")
	if id != testID {
		return workflow.Message{}, workflow.Request{}, workflow.ErrNotFound
	}
	return testMessage(), testRequest(), nil
}

type passwords struct{ *world }

func (w passwords) Check(_ workflow.PasswordPolicy, password string, _ []string) []workflow.Violation {
	w.note("Check")
	if len(password) < 8 {
		return []workflow.Violation{{Code: workflow.VioTooShort, Attributes: map[string]string{"minLength": "8"}}}
	}
	return nil
}

func (w passwords) Hash(_ context.Context, password string) (string, error) {
	w.note("Hash")
	return "$argon2id$fake", w.hashErr
}

type limiter struct{ *world }

func (w limiter) Take(_ context.Context, _ string, q ...workflow.Quota) (*workflow.Refusal, error) {
	if q[0].Name == "audit" {
		return nil, nil
	}
	w.note("Take")
	w.quota = q[0]
	if q[0].Name == w.full {
		return &workflow.Refusal{Quota: q[0], After: time.Second}, nil
	}
	return w.refused, nil
}
func (w limiter) Return(context.Context, string, workflow.Quota) error { return nil }
func (w limiter) Spent(context.Context, string, workflow.Quota) (bool, error) {
	return false, nil
}
