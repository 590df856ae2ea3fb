package storagetest

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

func testRoundTrip(t *testing.T, b Backend) {
	r := challenged("ann")
	r.SealedHash, r.CodeHash = []byte("sealed\x00"), []byte{9, 8, 7}
	r.CompletedAt, r.AuthSessionUsed = r.CreatedAt.Add(time.Second), r.CreatedAt.Add(2*time.Second)
	r.Attempts = 2
	m, e := message(r), entry(r)
	must(t, b.Commit(ctx, workflow.Commit{New: []workflow.Request{r}, Messages: []workflow.Message{m}, Audit: []workflow.AuditEntry{e}}))
	if got := load(t, b, r); !reflect.DeepEqual(got, r) {
		t.Errorf("request\ngot  %+v\nwant %+v", got, r)
	}
	gotM, gotR, err := b.Message(ctx, app, m.ID)
	must(t, err)
	if !reflect.DeepEqual(gotM, m) || !reflect.DeepEqual(gotR, r) {
		t.Errorf("message\ngot  %+v %+v\nwant %+v", gotM, gotR, m)
	}
	line, err := b.Timeline(ctx, app, r.ID)
	must(t, err)
	if len(line) != 1 || !reflect.DeepEqual(line[0], e) {
		t.Errorf("audit\ngot  %+v\nwant %+v", line, e)
	}
	bare := workflow.Request{Application: app, ID: workflow.NewID(start()), Flow: "f", Origin: "user", State: workflow.StateRequested, Version: 1,
		Email: "x@example.test", CreatedAt: start(), ExpiresAt: start()}
	insert(t, b, bare)
	if got := load(t, b, bare); !reflect.DeepEqual(got, bare) {
		t.Errorf("bare request\ngot  %+v\nwant %+v", got, bare)
	}
	must(t, b.Commit(ctx, workflow.Commit{}))
}

// testVersions saves one row, then several at once, and looks at every field
// that may change.
func testVersions(t *testing.T, b Backend) {
	r := challenged("ann")
	insert(t, b, r)
	changed := r
	changed.State, changed.Sends, changed.LinkSent, changed.MaxAttempts = workflow.StateLocked, 3, false, 7
	changed.AccountID, changed.Generation, changed.KeyID, changed.CodeHash = "bob", []byte{5}, "k2", []byte{1}
	changed.Locale, changed.RedirectURL, changed.Actor, changed.Reason = "", "", "admin", ""
	changed.ExpiresAt, changed.CompletedAt = r.ExpiresAt.Add(time.Hour), r.CreatedAt.Add(time.Hour)
	changed.SkipConfirmation, changed.SealedHash, changed.AuthSession, changed.DisownedAt = false, []byte{2}, false, time.Time{}
	changed.AuthSessionUsed = r.CreatedAt
	must(t, b.Commit(ctx, workflow.Commit{Saved: []workflow.Request{changed}}))
	changed.Version = 2
	if got := load(t, b, r); !reflect.DeepEqual(got, changed) {
		t.Fatalf("saved\ngot  %+v\nwant %+v", got, changed)
	}
	mustBe(t, "an older version", b.Commit(ctx, workflow.Commit{Saved: []workflow.Request{r}}), workflow.ErrStale)
	unknown := challenged("cid")
	mustBe(t, "an unknown row", b.Commit(ctx, workflow.Commit{Saved: []workflow.Request{unknown}}), workflow.ErrStale)

	other := challenged("dan")
	insert(t, b, other)
	one, two := changed, other
	one.SealedHash, one.AuthSessionUsed = nil, time.Time{}
	two.State, two.Generation = workflow.StateSuperseded, nil
	must(t, b.Commit(ctx, workflow.Commit{Saved: []workflow.Request{one, two}}))
	one.Version, two.Version = 3, 2
	if got := load(t, b, one); !reflect.DeepEqual(got, one) {
		t.Errorf("first of two\ngot  %+v\nwant %+v", got, one)
	}
	if got := load(t, b, two); !reflect.DeepEqual(got, two) {
		t.Errorf("second of two\ngot  %+v\nwant %+v", got, two)
	}
}

func testContenders(t *testing.T, b Backend) {
	for _, rows := range []int{1, 3} {
		read := make([]workflow.Request, rows)
		for i := range read {
			read[i] = challenged("ann" + string(rune('a'+i)))
		}
		insert(t, b, read...)
		errs := race(16, func(i int) error {
			saved := append([]workflow.Request(nil), read...)
			for j := range saved {
				saved[j].State, saved[j].Sends = workflow.StateCancelled, 100+i
			}
			return b.Commit(ctx, workflow.Commit{Saved: saved, Audit: []workflow.AuditEntry{entry(read[0])}})
		})
		if n := won(t, errs, workflow.ErrStale); n != 1 {
			t.Fatalf("%d of 16 saved %d rows of one version, want 1", n, rows)
		}
		first := load(t, b, read[0])
		for _, r := range read {
			if got := load(t, b, r); got.Version != 2 || got.Sends != first.Sends {
				t.Errorf("version %d, winner %d and %d, want 2 and one winner", got.Version, got.Sends, first.Sends)
			}
		}
		if line, err := b.Timeline(ctx, app, read[0].ID); err != nil || len(line) != 1 {
			t.Errorf("%d audit rows (%v), want the winner's alone", len(line), err)
		}
	}
}

// testStaleWritesNothing gives one stale row among good ones.
func testStaleWritesNothing(t *testing.T, b Backend) {
	good, stale, fresh := challenged("ann"), challenged("bob"), challenged("cid")
	insert(t, b, good, stale)
	good.State, stale.State, stale.Version = workflow.StateCancelled, workflow.StateCancelled, 7
	m, e := message(good), entry(good)
	for _, saved := range [][]workflow.Request{{stale}, {good, stale}, {stale, good}} {
		err := b.Commit(ctx, workflow.Commit{New: []workflow.Request{fresh}, Saved: saved, Messages: []workflow.Message{m}, Audit: []workflow.AuditEntry{e}})
		mustBe(t, "a stale row", err, workflow.ErrStale)
		nothingOf(t, b, fresh, m)
		if got := load(t, b, good); got.Version != 1 || got.State != workflow.StateChallenged {
			t.Fatalf("the good row was saved: %+v", got)
		}
	}
}

func nothingOf(t *testing.T, b Backend, r workflow.Request, m workflow.Message) {
	t.Helper()
	_, _, err := b.Request(ctx, app, workflow.Locator{ID: r.ID})
	mustBe(t, "a request of a failed commit", err, workflow.ErrNotFound)
	_, _, err = b.Message(ctx, app, m.ID)
	mustBe(t, "a message of a failed commit", err, workflow.ErrNotFound)
	for _, id := range []workflow.ID{r.ID, m.RequestID} {
		if line, err := b.Timeline(ctx, app, id); err != nil || len(line) != 0 {
			t.Fatalf("audit of a failed commit: %v %v", line, err)
		}
	}
	if n := b.Jobs(); n != 0 {
		t.Fatalf("%d jobs of a failed commit", n)
	}
}

func testLive(t *testing.T, b Backend) {
	first, second := challenged("ann"), challenged("ann")
	insert(t, b, first)
	mustBe(t, "a second live request", b.Commit(ctx, workflow.Commit{New: []workflow.Request{second}}), workflow.ErrLive)
	second.State = workflow.StateRequested
	second.AccountID = ""
	insert(t, b, second)
	second.State, second.AccountID = workflow.StateChallenged, "ann"
	mustBe(t, "becoming the second", b.Commit(ctx, workflow.Commit{Saved: []workflow.Request{second}}), workflow.ErrLive)
	second.State = workflow.StateLocked
	mustBe(t, "locked beside challenged", b.Commit(ctx, workflow.Commit{Saved: []workflow.Request{second}}), workflow.ErrLive)

	operator := challenged("ann")
	operator.Origin = workflow.OriginOperator
	elsewhere := challenged("ann")
	elsewhere.Application = "other"
	one, two := challenged(""), challenged("")
	one.State, two.State = workflow.StateLocked, workflow.StateLocked
	insert(t, b, operator, elsewhere, one, two) // locked decoys are nobody's
	list, err := b.Live(ctx, app, "ann", workflow.OriginUser)
	must(t, err)
	if len(list) != 1 || list[0].ID != first.ID {
		t.Errorf("live: %+v", list)
	}
	if list, err := b.Live(ctx, app, "", workflow.OriginUser); err != nil || len(list) != 0 {
		t.Errorf("live of nobody: %v %v", list, err)
	}
}

// testReplacing ends one live request and makes another live in one commit, in
// both orders and both ways.
func testReplacing(t *testing.T, b Backend) {
	old := challenged("ann")
	insert(t, b, old)
	for i := range 8 {
		next := challenged("ann")
		old = load(t, b, old)
		old.State = workflow.StateSuperseded
		if i%2 == 0 {
			must(t, b.Commit(ctx, workflow.Commit{New: []workflow.Request{next}, Saved: []workflow.Request{old}}))
		} else {
			next.State, next.AccountID = workflow.StateRequested, ""
			insert(t, b, next)
			next.State, next.AccountID = workflow.StateChallenged, "ann"
			saved := []workflow.Request{next, old}
			if i%4 == 1 {
				saved = []workflow.Request{old, next}
			}
			must(t, b.Commit(ctx, workflow.Commit{Saved: saved}))
		}
		if got := load(t, b, next); got.State != workflow.StateChallenged {
			t.Fatalf("round %d: %s", i, got.State)
		}
		if got := load(t, b, old); got.State != workflow.StateSuperseded {
			t.Fatalf("round %d: the old one is %s", i, got.State)
		}
		old = next
	}
}

func testLiveContenders(t *testing.T, b Backend) {
	errs := race(16, func(int) error {
		r := challenged("ann")
		return b.Commit(ctx, workflow.Commit{New: []workflow.Request{r}})
	})
	if n := won(t, errs, workflow.ErrLive); n != 1 {
		t.Fatalf("%d live requests of one account, want 1", n)
	}
	if list, err := b.Live(ctx, app, "ann", workflow.OriginUser); err != nil || len(list) != 1 {
		t.Fatalf("%d live rows (%v), want 1", len(list), err)
	}
}

func testRollback(t *testing.T, b Backend) {
	r := challenged("ann")
	m, e := message(r), entry(r)
	job := workflow.Job{Kind: workflow.JobMessage, Application: app, ID: m.ID}
	all := workflow.Commit{New: []workflow.Request{r}, Messages: []workflow.Message{m}, Jobs: []workflow.Job{job}, Audit: []workflow.AuditEntry{e}}
	no := errors.New("no")
	err := b.Atomically(ctx, func(ctx ctxType) error {
		must(t, b.Commit(ctx, all))
		if _, _, err := b.Request(ctx, app, workflow.Locator{ID: r.ID}); err != nil {
			t.Errorf("a transaction does not see its own row: %v", err)
		}
		return no
	})
	if err != no { //nolint:errorlint // it must be handed on as it is
		t.Fatalf("got %v, want the function's own error", err)
	}
	nothingOf(t, b, r, m)

	// The failure comes last, by the index, after everything else was written.
	live := challenged("bob")
	insert(t, b, live)
	second := challenged("bob")
	bad := all
	bad.New = []workflow.Request{r, second}
	mustBe(t, "a second live request", b.Commit(ctx, bad), workflow.ErrLive)
	nothingOf(t, b, r, m)

	must(t, b.Commit(ctx, all))
	if n := b.Jobs(); n != 1 {
		t.Errorf("%d jobs, want 1", n)
	}
}

func testFailingQueue(t *testing.T, b Backend) {
	saved, r := challenged("ann"), challenged("bob")
	insert(t, b, saved)
	m := message(r)
	no := errors.New("queue is full")
	b.FailJobs(no)
	saved.State = workflow.StateCancelled
	err := b.Commit(ctx, workflow.Commit{New: []workflow.Request{r}, Saved: []workflow.Request{saved}, Messages: []workflow.Message{m},
		Jobs: []workflow.Job{{Kind: workflow.JobMessage, Application: app, ID: m.ID}}, Audit: []workflow.AuditEntry{entry(r)}})
	mustBe(t, "a queue that refuses", err, no)
	b.FailJobs(nil)
	nothingOf(t, b, r, m)
	if got := load(t, b, saved); got.Version != 1 {
		t.Errorf("a row was saved all the same: %+v", got)
	}
}
