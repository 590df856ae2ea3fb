package storagetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

func testLedger(t *testing.T, b Backend) {
	r := challenged("ann")
	first, second, third, alone := message(r), message(r), message(r), message(r)
	second.Send, third.Send = 2, 2
	second.ID, third.ID = workflow.NewID(start().Add(time.Second)), workflow.NewID(start().Add(2*time.Second))
	alone.RequestID = workflow.ID{}
	must(t, b.Commit(ctx, workflow.Commit{New: []workflow.Request{r}, Messages: []workflow.Message{first, second, third, alone}}))
	for send, want := range map[int]workflow.Message{1: first, 2: third} {
		if got, err := b.OfRequest(ctx, app, r.ID, send); err != nil || got.ID != want.ID {
			t.Errorf("send %d: %s (%v), want %s", send, got.ID, err, want.ID)
		}
	}
	_, err := b.OfRequest(ctx, app, r.ID, 3)
	mustBe(t, "a send that was not", err, workflow.ErrNotFound)
	_, err = b.OfRequest(ctx, app, workflow.ID{}, 1)
	mustBe(t, "no request", err, workflow.ErrNotFound)
	got, none, err := b.Message(ctx, app, alone.ID)
	must(t, err)
	if got.ID != alone.ID || !none.ID.IsZero() {
		t.Errorf("a message of no request came with %+v", none)
	}

	now := start()
	must(t, b.Record(ctx, app, first.ID, workflow.Outcome{State: workflow.MessageQueued, Reply: "451 later\xff\x00", NextTry: now.Add(time.Minute), At: now}))
	got, _, err = b.Message(ctx, app, first.ID)
	must(t, err)
	if got.Attempts != 1 || got.State != workflow.MessageQueued || !got.NextTry.Equal(now.Add(time.Minute)) || got.LastReply[:9] != "451 later" || !got.SentAt.IsZero() {
		t.Errorf("after a refusal: %+v", got)
	}
	must(t, b.Record(ctx, app, first.ID, workflow.Outcome{State: workflow.MessageSent, Reply: "250 ok", At: now}))
	must(t, b.Record(ctx, app, first.ID, workflow.Outcome{State: workflow.MessageFailed, Reply: "550 no", At: now.Add(time.Hour)}))
	got, _, err = b.Message(ctx, app, first.ID)
	must(t, err)
	if got.State != workflow.MessageSent || !got.SentAt.Equal(now) || got.LastReply != "250 ok" || got.Attempts != 3 {
		t.Errorf("what is sent must stay sent: %+v", got)
	}
	mustBe(t, "an unknown message", b.Record(ctx, app, workflow.NewID(now), workflow.Outcome{State: workflow.MessageSent}), workflow.ErrNotFound)
}

func testSweep(t *testing.T, b Backend) {
	now := start()
	var rows []workflow.Request
	for i, state := range workflow.States() {
		r := challenged(string(state))
		r.State, r.ExpiresAt = state, now.Add(-time.Duration(i+1)*time.Minute)
		rows = append(rows, r)
	}
	other := challenged("other")
	other.Application, other.ExpiresAt = "other", now.Add(-time.Hour)
	insert(t, b, append(rows, other, challenged("later"))...)
	list, err := b.Overdue(ctx, now, 100)
	must(t, err)
	if len(list) != 5 || list[0].ID != other.ID {
		t.Errorf("overdue: %d rows, want requested, challenged, decoy, locked and another application's first", len(list))
	}
	for _, r := range list {
		if r.State.Final() || r.State == workflow.StateApplying {
			t.Errorf("overdue in %s", r.State)
		}
	}
	if list, err := b.Overdue(ctx, now, 2); err != nil || len(list) != 2 {
		t.Errorf("at most two: %d %v", len(list), err)
	}

	applying := challenged("moving")
	insert(t, b, applying)
	b.SetNow(now.Add(time.Hour))
	applying.State = workflow.StateApplying
	must(t, b.Commit(ctx, workflow.Commit{Saved: []workflow.Request{applying}}))
	if list, err := b.Unsettled(ctx, now.Add(time.Hour), 10); err != nil || len(list) != 1 || list[0].Email != "applying@example.test" {
		t.Errorf("unsettled before it moved: %+v %v", list, err)
	}
	b.SetNow(now.Add(3 * time.Hour)) // another save in the same state does not make it younger
	applying.Version = 2
	must(t, b.Commit(ctx, workflow.Commit{Saved: []workflow.Request{applying}}))
	if list, err := b.Unsettled(ctx, now.Add(time.Hour+time.Second), 10); err != nil || len(list) != 2 {
		t.Errorf("unsettled: %d rows (%v), want 2", len(list), err)
	}
}

func testPrune(t *testing.T, b Backend) {
	must(t, b.Create(ctx, settings(app), "admin"))
	now := start()
	long := now.Add(-1000 * time.Hour)
	at := func(account string, state workflow.State, ended time.Time) (workflow.Request, workflow.Message) {
		b.SetNow(ended)
		r := challenged(account)
		r.ID, r.State, r.CreatedAt, r.ExpiresAt = workflow.NewID(ended), workflow.StateChallenged, ended, ended
		m := message(r)
		m.ID, m.CreatedAt = workflow.NewID(ended), ended
		e := entry(r)
		e.ID, e.At = workflow.NewID(ended), ended
		must(t, b.Commit(ctx, workflow.Commit{New: []workflow.Request{r}, Messages: []workflow.Message{m}, Audit: []workflow.AuditEntry{e}}))
		if state != workflow.StateChallenged {
			r.State = state
			must(t, b.Commit(ctx, workflow.Commit{Saved: []workflow.Request{r}}))
		}
		return r, m
	}
	gone1, goneM := at("one", workflow.StateCompleted, long)
	gone2, _ := at("two", workflow.StateExpired, long)
	open, openM := at("open", workflow.StateChallenged, long)
	recent, recentM := at("recent", workflow.StateCancelled, now)
	before := now.Add(-time.Hour)
	keep := workflow.Retention{Requests: before, Audit: before}
	if n, err := b.Prune(ctx, keep, 1); err != nil || n != 1 {
		t.Fatalf("pruned %d (%v), want 1 at a time", n, err)
	}
	if n, err := b.Prune(ctx, keep, 10); err != nil || n != 1 {
		t.Fatalf("pruned %d (%v), want the other one", n, err)
	}
	if n, err := b.Prune(ctx, keep, 10); err != nil || n != 0 {
		t.Fatalf("pruned %d (%v), want none", n, err)
	}
	for _, r := range []workflow.Request{gone1, gone2} {
		_, _, err := b.Request(ctx, app, workflow.Locator{ID: r.ID})
		mustBe(t, "a pruned request", err, workflow.ErrNotFound)
		if line, err := b.Timeline(ctx, app, r.ID); err != nil || len(line) != 0 {
			t.Errorf("audit older than the bound stays: %v %v", line, err)
		}
	}
	_, _, err := b.Message(ctx, app, goneM.ID)
	mustBe(t, "a message of a pruned request", err, workflow.ErrNotFound)
	load(t, b, open)
	load(t, b, recent)
	for _, m := range []workflow.Message{openM, recentM} {
		if _, _, err := b.Message(ctx, app, m.ID); err != nil {
			t.Errorf("a message that must stay: %v", err)
		}
	}
	if line, err := b.Timeline(ctx, app, recent.ID); err != nil || len(line) != 1 {
		t.Errorf("recent audit: %v %v", line, err)
	}
	// Each kind by its own time: messages go, their requests stay.
	if _, err := b.Prune(ctx, workflow.Retention{Messages: now.Add(time.Hour)}, 10); err != nil {
		t.Fatal(err)
	}
	load(t, b, recent)
	if _, _, err := b.Message(ctx, app, openM.ID); err != nil {
		t.Errorf("a queued message was pruned: %v", err)
	}
	short, full := quota("per_ip", "short", 1, time.Hour, false), quota("per_address", "full", 1, time.Hour, true)
	must(t, take(b, short, full))
	if _, err := b.Prune(ctx, keep, 10); err != nil {
		t.Fatal(err)
	}
	mustBe(t, "a limit that is in use", take(b, short), errRefused)
	mustBe(t, "a limit that is in use", take(b, full), errRefused)
}

func testHistory(t *testing.T, b Backend) {
	var want []workflow.Request
	base := start()
	for i := range 7 {
		r := challenged(fmt.Sprint("u", i%2))
		r.ID = workflow.NewID(base.Add(time.Duration(i) * time.Second))
		r.State = workflow.StateCompleted
		if i == 3 {
			r.State, r.Flow = workflow.StateFailed, "email_link"
		}
		m := message(r)
		m.ID = workflow.NewID(base.Add(time.Duration(i) * time.Second))
		if i == 4 {
			m.State = workflow.MessageFailed
		}
		must(t, b.Commit(ctx, workflow.Commit{New: []workflow.Request{r}, Messages: []workflow.Message{m}}))
		want = append([]workflow.Request{r}, want...)
	}
	var got []workflow.Request
	pages := 0
	for cursor := ""; pages == 0 || cursor != ""; pages++ {
		rows, next, err := b.Requests(ctx, app, workflow.RequestQuery{Cursor: cursor, Limit: 3})
		must(t, err)
		got, cursor = append(got, rows...), next
	}
	if pages != 3 || len(got) != 7 {
		t.Fatalf("%d rows on %d pages", len(got), pages)
	}
	for i := range want {
		if got[i].ID != want[i].ID {
			t.Errorf("row %d is not the newest first", i)
		}
	}
	for name, c := range map[string]struct {
		q workflow.RequestQuery
		n int
	}{
		"email": {workflow.RequestQuery{Email: "u0@example.test", Limit: 50}, 4},
		"state": {workflow.RequestQuery{State: workflow.StateFailed, Limit: 50}, 1},
		"flow":  {workflow.RequestQuery{Flow: "email_link", Limit: 50}, 1},
		"all":   {workflow.RequestQuery{Flow: "email_otp", State: workflow.StateCompleted, Email: "u1@example.test", Limit: 50}, 2},
		"none":  {workflow.RequestQuery{Email: "u%@example.test", Limit: 50}, 0},
		"like":  {workflow.RequestQuery{Email: "u_@example.test", Limit: 50}, 0},
		"limit": {workflow.RequestQuery{Limit: 0}, 1},
	} {
		if rows, _, err := b.Requests(ctx, app, c.q); err != nil || len(rows) != c.n {
			t.Errorf("%s: %d rows (%v), want %d", name, len(rows), err, c.n)
		}
	}
	rows, next, err := b.Messages(ctx, app, workflow.MessageQuery{Limit: 5})
	must(t, err)
	rest, end, err := b.Messages(ctx, app, workflow.MessageQuery{Limit: 5, Cursor: next})
	must(t, err)
	if len(rows) != 5 || len(rest) != 2 || end != "" {
		t.Errorf("messages: pages of %d and %d", len(rows), len(rest))
	}
	if rows, _, err := b.Messages(ctx, app, workflow.MessageQuery{State: workflow.MessageFailed, Limit: 5}); err != nil || len(rows) != 1 {
		t.Errorf("failed messages: %d %v", len(rows), err)
	}
	for _, cursor := range []string{"x", "1=1 OR id", want[0].ID.String() + "0", "\x00", "\xff"} {
		_, _, err := b.Requests(ctx, app, workflow.RequestQuery{Cursor: cursor, Limit: 1})
		badCursor(t, err)
		_, _, err = b.Messages(ctx, app, workflow.MessageQuery{Cursor: cursor, Limit: 1})
		badCursor(t, err)
	}

	r := want[0]
	var entries []workflow.AuditEntry
	for i := range 3 {
		e := entry(r)
		e.At = base.Add(time.Duration(2-i) * time.Second)
		entries = append(entries, e)
	}
	must(t, b.Audit(ctx, entries...))
	must(t, b.Audit(ctx, workflow.AuditEntry{Application: app, Event: "authz_fail", RequestID: r.ID})) // id and time are filled in
	line, err := b.Timeline(ctx, app, r.ID)
	must(t, err)
	if len(line) != 4 || !line[0].At.Equal(base) {
		t.Errorf("timeline: %+v", line)
	}
	for i := 1; i < len(line); i++ {
		if line[i].At.Before(line[i-1].At) {
			t.Errorf("timeline is not oldest first at %d", i)
		}
	}
}

func badCursor(t *testing.T, err error) {
	t.Helper()
	var e *workflow.Error
	if !errors.As(err, &e) || len(e.Violations["cursor"]) != 1 {
		t.Errorf("a bad cursor: %v, want a violation on cursor", err)
	}
}
