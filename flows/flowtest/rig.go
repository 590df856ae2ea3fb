// Package flowtest is what every flow must do, run through the real engine on
// every database: the happy path, replay, wrong proofs, locks, expiry, nothing
// secret at rest, decoys alike, and codes of another flow, application, account.
//
// A [Rig] is the engine on a real store and the builtin directory, with a clock
// that the test turns and an outbox in place of the mail server.
package flowtest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/directory"
	"github.com/resetflow/resetflow/directory/builtin"
	"github.com/resetflow/resetflow/flows"
	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/password"
	"github.com/resetflow/resetflow/internal/secret"
	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/workflow"
)

// Clock is a clock that the test turns.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now returns the turned time.
func (c *Clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

// Turn moves the clock by d.
func (c *Clock) Turn(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

// Outbox takes mails in place of a mail server.
type Outbox struct {
	mu    sync.Mutex
	mails []workflow.Mail
	fail  error
}

// Deliver keeps the mail, or fails as told by Fail.
func (o *Outbox) Deliver(_ context.Context, m workflow.Mail) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return o.fail
	}
	o.mails = append(o.mails, m)
	return nil
}

// Fail makes every delivery fail with err until nil is given.
func (o *Outbox) Fail(err error) { o.mu.Lock(); defer o.mu.Unlock(); o.fail = err }

// To returns the mails to an address, oldest first.
func (o *Outbox) To(address string) []workflow.Mail {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []workflow.Mail
	for _, m := range o.mails {
		if m.Message.To == address {
			out = append(out, m)
		}
	}
	return out
}

// Len counts all mails.
func (o *Outbox) Len() int { o.mu.Lock(); defer o.mu.Unlock(); return len(o.mails) }

// jobs is a queue that the test runs by hand. Jobs of a rolled back commit stay
// in it; they find no row and do nothing, as a queue may deliver twice.
type jobs struct {
	mu   sync.Mutex
	list []workflow.Job
}

func (q *jobs) Enqueue(_ context.Context, js ...workflow.Job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.list = append(q.list, js...)
	return nil
}

func (q *jobs) take() []workflow.Job {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := q.list
	q.list = nil
	return out
}

// Rig is an engine to test with.
type Rig struct {
	T         *testing.T
	DB        *database.DB
	Store     *storage.Store
	Directory *builtin.Directory
	Engine    *workflow.Engine
	Keys      *secret.Keyring
	Clock     *Clock
	Outbox    *Outbox
	App       *workflow.Application // "acme", all three flows on
	Other     *workflow.Application // "other", likewise
	Log       *bytes.Buffer

	pool *password.Pool
	jobs *jobs
}

// Options change what a rig is made of; zero values take the defaults.
type Options struct {
	Keys        [][]byte
	Directories func(real workflow.Directories) workflow.Directories
	Store       func(real *storage.Store) workflow.Store
	Settings    func(app *workflow.Application)
}

// Key is a fixed secret key for tests, different for each n.
func Key(n byte) []byte {
	k := make([]byte, 32)
	for i := range k {
		k[i] = n ^ byte(i*37+11)
	}
	return k
}

// New builds a rig on a migrated database.
func New(t *testing.T, db *database.DB, o Options) *Rig {
	t.Helper()
	if o.Keys == nil {
		o.Keys = [][]byte{Key(1)}
	}
	r := &Rig{T: t, DB: db, Clock: &Clock{now: time.Now().UTC().Truncate(time.Microsecond)}, Outbox: &Outbox{}, Log: &bytes.Buffer{}, jobs: &jobs{}}
	r.Store = storage.New(db, r.jobs, r.Clock)
	r.pool = password.NewPool(password.Options{Algorithm: "argon2id", Argon2Time: 1, Argon2Memory: 8, Argon2Threads: 1})
	r.App, r.Other = r.application("acme", o.Settings), r.application("other", o.Settings)
	r.Rekey(o)
	return r
}

func (r *Rig) application(slug string, change func(*workflow.Application)) *workflow.Application {
	app := workflow.DefaultApplication(slug)
	app.Name = slug
	app.Flows = map[workflow.FlowName]workflow.FlowSettings{
		flows.EmailLink:  {Enabled: true, Lifetime: workflow.Duration(30 * time.Minute)},
		flows.EmailOTP:   {Enabled: true, Lifetime: workflow.Duration(10 * time.Minute), Digits: 6, MaxAttempts: 5, IncludeLink: true},
		flows.DirectCode: {Enabled: true, Lifetime: workflow.Duration(24 * time.Hour)},
	}
	app.RedirectURLs = []string{"https://app.acme.test/login"}
	app.Limits.PerAddress = workflow.Rate{N: 10000, Per: time.Hour}
	app.Limits.PerIP = workflow.Rate{N: 1000000, Per: time.Hour}
	app.Limits.PerApplication = workflow.Rate{N: 1000000, Per: time.Hour}
	app.Limits.MailsPerAccount = workflow.Rate{N: 10000, Per: time.Hour}
	if change != nil {
		change(&app)
	}
	if err := r.Store.Create(context.Background(), app, "test"); err != nil {
		r.T.Fatal(err)
	}
	return &app
}

// Rekey builds the engine anew with other keys (or ports), on the same data.
func (r *Rig) Rekey(o Options) {
	r.T.Helper()
	var err error
	if r.Keys, err = secret.NewKeyring(o.Keys...); err != nil {
		r.T.Fatal(err)
	}
	r.Directory = builtin.New(r.DB, r.Keys, r.pool, r.Store, r.Clock, builtin.Options{Issuer: "https://reset.example"})
	var dirs workflow.Directories = directory.NewSet(r.Directory)
	if o.Directories != nil {
		dirs = o.Directories(dirs)
	}
	var store workflow.Store = r.Store
	if o.Store != nil {
		store = o.Store(r.Store)
	}
	r.Engine, err = workflow.New(workflow.Options{
		Store: store, Ledger: r.Store, Sweeping: r.Store, Limiter: r.Store, Directories: dirs, Applications: r.Store,
		Hasher: r.pool, Policies: password.NewChecker("argon2id"), Keys: r.Keys, Deliverer: r.Outbox, Clock: r.Clock, Flows: flows.Builtin(),
		PublicURL: "https://reset.example", MessageIDDomain: "reset.example",
		Logger: slog.New(slog.NewJSONHandler(&lockedBuffer{buf: r.Log}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		r.T.Fatal(err)
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf *bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// OldPassword is what every account of a rig starts with.
const OldPassword = "Old-tulip-harbor-41!"

// NewPassword satisfies the default policy.
const NewPassword = "Brand-new-horse-battery-7"

// User creates an account.
func (r *Rig) User(app *workflow.Application, email string) workflow.User {
	r.T.Helper()
	hash, err := r.Hash(OldPassword)
	if err != nil {
		r.T.Fatal(err)
	}
	u, err := r.Directory.CreateUser(context.Background(), app.Slug, workflow.NewUser{Email: email, Hash: hash}, "test")
	if err != nil {
		r.T.Fatal(err)
	}
	return u
}

// Hash hashes a password as the product does.
func (r *Rig) Hash(pw string) (string, error) { return r.pool.Hash(context.Background(), pw) }

// Login tries a password.
func (r *Rig) Login(app *workflow.Application, email, pw string) (workflow.Tokens, error) {
	return r.Directory.Login(context.Background(), app, email, pw, Caller)
}

// Caller is a trusted server that names its end user.
var Caller = workflow.Client{Actor: "key:test", KeyID: "test", Trusted: true, IP: "203.0.113.7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0"}

// Work runs every job once, and those they make; errors that ask for a later
// try put the job back for the next call.
func (r *Rig) Work() {
	r.T.Helper()
	var later []workflow.Job
	for {
		list := r.jobs.take()
		if len(list) == 0 {
			break
		}
		for _, j := range list {
			var retry *workflow.RetryError
			if err := r.Engine.Work(context.Background(), j); errors.As(err, &retry) {
				later = append(later, j)
			} else if err != nil {
				r.T.Errorf("job %s: %v", j.Kind, err)
			}
		}
	}
	_ = r.jobs.Enqueue(context.Background(), later...)
}

// Jobs returns the waiting jobs and leaves them.
func (r *Rig) Jobs() []workflow.Job {
	r.jobs.mu.Lock()
	defer r.jobs.mu.Unlock()
	return append([]workflow.Job(nil), r.jobs.list...)
}

// Ask starts a reset and runs its job.
func (r *Rig) Ask(app *workflow.Application, flow workflow.FlowName, email string) workflow.Accepted {
	r.T.Helper()
	r.Clock.Turn(time.Millisecond)
	in := workflow.RequestInput{Email: email, Flow: flow, Client: Caller}
	in.Client.IP = "" // no address: the cool-down counts by key
	in.Client.KeyID = "k" + workflow.NewID(r.Clock.Now()).String()
	out, err := r.Engine.Request(context.Background(), app, in)
	if err != nil {
		r.T.Fatalf("request for %s: %v", flow, err)
	}
	r.Work()
	return out
}

// Last returns the newest mail to an address.
func (r *Rig) Last(email string) workflow.Mail {
	r.T.Helper()
	all := r.Outbox.To(email)
	if len(all) == 0 {
		r.T.Fatalf("no mail reached %s", email)
	}
	return all[len(all)-1]
}

// Reset redeems a proof with NewPassword.
func (r *Rig) Reset(app *workflow.Application, p workflow.Proof) (workflow.Receipt, error) {
	return r.Engine.Reset(context.Background(), app, workflow.ResetInput{Proof: p, NewPassword: NewPassword, Client: Caller})
}

// Row loads a request.
func (r *Rig) Row(app *workflow.Application, id workflow.ID) workflow.Request {
	r.T.Helper()
	row, _, err := r.Store.Request(context.Background(), app.Slug, workflow.Locator{ID: id})
	if err != nil {
		r.T.Fatal(err)
	}
	return row
}
