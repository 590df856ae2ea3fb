package storagetest

import (
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// testTenants calls every method with the application of somebody else, and
// with patterns that would match any.
func testTenants(t *testing.T, b Backend) {
	r := challenged("ann")
	r.CodeHash = []byte{1}
	done := challenged("bob")
	done.State, done.CompletedAt = workflow.StateCompleted, start()
	m := message(r)
	must(t, b.Commit(ctx, workflow.Commit{New: []workflow.Request{r, done}, Messages: []workflow.Message{m}, Audit: []workflow.AuditEntry{entry(r)}}))
	must(t, b.Create(ctx, settings(app), "admin"))
	k := key("k1", app, workflow.KeySecret)
	must(t, b.CreateKey(ctx, k, "admin"))
	for _, other := range []string{"other", "", "%", "acm_", "a%", "ACME", "acme ", "acme\x00", "\xff", "' OR 1=1 --"} {
		_, _, err := b.Request(ctx, other, workflow.Locator{ID: r.ID})
		mustBe(t, other+": request", err, workflow.ErrNotFound)
		_, _, err = b.Request(ctx, other, workflow.Locator{Hashes: [][]byte{{1}}})
		mustBe(t, other+": request by hash", err, workflow.ErrNotFound)
		if list, err := b.Live(ctx, other, "ann", workflow.OriginUser); err != nil || len(list) != 0 {
			t.Errorf("%q: live %v %v", other, list, err)
		}
		if _, ok, err := b.ReserveAttempt(ctx, other, r.ID, start(), guesses); err != nil || ok {
			t.Errorf("%q: reserved %v %v", other, ok, err)
		}
		mustBe(t, other+": return", b.ReturnAttempt(ctx, other, r.ID, guesses), workflow.ErrNotFound)
		mustBe(t, other+": login", b.RedeemAuthSession(ctx, other, done.ID, start().Add(-time.Hour), start()), workflow.ErrNotFound)
		_, _, err = b.Message(ctx, other, m.ID)
		mustBe(t, other+": message", err, workflow.ErrNotFound)
		_, err = b.OfRequest(ctx, other, r.ID, 1)
		mustBe(t, other+": message of request", err, workflow.ErrNotFound)
		mustBe(t, other+": record", b.Record(ctx, other, m.ID, workflow.Outcome{State: workflow.MessageSent}), workflow.ErrNotFound)
		if rows, _, err := b.Requests(ctx, other, workflow.RequestQuery{Limit: 9}); err != nil || len(rows) != 0 {
			t.Errorf("%q: requests %v %v", other, rows, err)
		}
		if rows, _, err := b.Messages(ctx, other, workflow.MessageQuery{Limit: 9}); err != nil || len(rows) != 0 {
			t.Errorf("%q: messages %v %v", other, rows, err)
		}
		if rows, err := b.Timeline(ctx, other, r.ID); err != nil || len(rows) != 0 {
			t.Errorf("%q: timeline %v %v", other, rows, err)
		}
		if rows, _, err := b.Keys(ctx, other, "", 9); err != nil || len(rows) != 0 {
			t.Errorf("%q: keys %v %v", other, rows, err)
		}
		mustBe(t, other+": revoke", b.RevokeKey(ctx, other, "k1", "admin"), workflow.ErrNotFound)
		_, err = b.Application(ctx, other)
		mustBe(t, other+": application", err, workflow.ErrNotFound)
		mustBe(t, other+": delete", b.Delete(ctx, other, "admin"), workflow.ErrNotFound)
	}
	stolen := r
	stolen.Application, stolen.State = "other", workflow.StateCancelled
	mustBe(t, "saving another's row", b.Commit(ctx, workflow.Commit{Saved: []workflow.Request{stolen}}), workflow.ErrStale)
	twin := message(r)
	twin.ID, twin.Application = m.ID, "other"
	must(t, b.Commit(ctx, workflow.Commit{Messages: []workflow.Message{twin}})) // the same id is another row
	if _, req, err := b.Message(ctx, "other", m.ID); err != nil || !req.ID.IsZero() {
		t.Errorf("a message reached another application's request: %+v %v", req, err)
	}
	q := quota("cooldown", "x", 1, time.Hour, true)
	must(t, take(b, q))
	if refused, err := b.Take(ctx, "other", q); err != nil || refused != nil {
		t.Errorf("a limit is shared with another application: %v %v", refused, err)
	}
	if got := load(t, b, r); got.Attempts != 0 || got.Version != 1 {
		t.Errorf("somebody else changed the row: %+v", got)
	}
}

// testOddTexts hands in what one of the databases refuses or takes for more
// than text.
func testOddTexts(t *testing.T, b Backend) {
	insert(t, b, challenged("ann"))
	for _, odd := range []string{"a\x00b", "\xff", "a\xc3", "\xed\xa0\x80"} {
		r := challenged("bob")
		r.Email = odd
		if err := b.Commit(ctx, workflow.Commit{New: []workflow.Request{r}}); err == nil {
			t.Errorf("%q was kept as an address", odd)
		}
		m := message(challenged("cid"))
		m.To = odd
		if err := b.Commit(ctx, workflow.Commit{Messages: []workflow.Message{m}}); err == nil {
			t.Errorf("%q was kept as a recipient", odd)
		}
		if _, err := b.Take(ctx, app, quota("per_ip", odd, 5, time.Hour, false)); err == nil {
			t.Errorf("%q was counted as a key", odd)
		}
		if list, err := b.Live(ctx, app, odd, workflow.OriginUser); err != nil || len(list) != 0 {
			t.Errorf("%q: %v %v", odd, list, err)
		}
		if rows, _, err := b.Requests(ctx, app, workflow.RequestQuery{Email: odd, Limit: 9}); err != nil || len(rows) != 0 {
			t.Errorf("%q: %v %v", odd, rows, err)
		}
		if err := b.Create(ctx, settings(odd), "admin"); err == nil {
			t.Errorf("%q was kept as a slug", odd)
		}
		if err := b.CreateKey(ctx, key(odd, "", workflow.KeySecret), "admin"); err == nil {
			t.Errorf("%q was kept as a key's id", odd)
		}
		if _, err := b.ByHost(ctx, odd); err == nil {
			t.Errorf("%q is a host", odd)
		}
		// What only describes is mended: no reset fails over half a character.
		r = challenged("dan")
		r.AccountID, r.UserAgent, r.Reason = workflow.NewID(start()).String(), "UA "+odd, odd
		e := entry(r)
		e.Actor, e.ClientIP = odd, odd
		must(t, b.Commit(ctx, workflow.Commit{New: []workflow.Request{r}, Audit: []workflow.AuditEntry{e}}))
		if got := load(t, b, r); got.UserAgent[:3] != "UA " {
			t.Errorf("user agent %q", got.UserAgent)
		}
	}
	// Marks of SQL and of patterns are text like any other.
	for _, text := range []string{"%", "_", "?", "$1", "@name", "'; DROP TABLE requests; --", `\`, "\"", "%_\\%"} {
		r := challenged("odd" + text)
		insert(t, b, r)
		if rows, _, err := b.Requests(ctx, app, workflow.RequestQuery{Email: r.Email, Limit: 9}); err != nil || len(rows) != 1 || rows[0].ID != r.ID {
			t.Errorf("%q: %d rows %v", text, len(rows), err)
		}
		q := quota("per_ip", text, 1, time.Hour, false)
		must(t, take(b, q))
		mustBe(t, text, take(b, q), errRefused)
	}
}

// testTimes hands in times of other zones, to the microsecond, around the ends
// of a lifetime.
func testTimes(t *testing.T, b Backend) {
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("JST", 9*3600), time.FixedZone("PST", -8*3600), time.Local} {
		r := challenged("ann" + zone.String())
		r.CreatedAt, r.ExpiresAt = r.CreatedAt.In(zone), r.ExpiresAt.In(zone)
		insert(t, b, r)
		got := load(t, b, r)
		if !got.CreatedAt.Equal(r.CreatedAt) || !got.ExpiresAt.Equal(r.ExpiresAt) || got.ExpiresAt.Location() != time.UTC || !got.CompletedAt.IsZero() {
			t.Errorf("%s: %v to %v", zone, got.CreatedAt, got.ExpiresAt)
		}
		for _, now := range []time.Time{r.ExpiresAt, r.ExpiresAt.UTC(), r.ExpiresAt.Local(), r.ExpiresAt.In(time.FixedZone("", -11*3600))} {
			if _, ok, err := b.ReserveAttempt(ctx, app, r.ID, now, guesses); ok || err != nil {
				t.Errorf("%s: an expired code counts at %v: %v %v", zone, now, ok, err)
			}
			if list, err := b.Overdue(ctx, now, 50); err != nil || len(list) == 0 {
				t.Errorf("%s: not overdue at %v: %v", zone, now, err)
			}
		}
		if _, ok, err := b.ReserveAttempt(ctx, app, r.ID, r.ExpiresAt.Add(-time.Microsecond).Local(), guesses); !ok || err != nil {
			t.Errorf("%s: a valid code is lost: %v %v", zone, ok, err)
		}
		r.State, r.Version = workflow.StateCancelled, 1
		must(t, b.Commit(ctx, workflow.Commit{Saved: []workflow.Request{r}}))
	}
}
