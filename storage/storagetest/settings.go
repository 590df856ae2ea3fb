package storagetest

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

var passed atomic.Int64

func settings(slug string, hosts ...string) workflow.Application {
	a := workflow.DefaultApplication(slug)
	a.Name = "Acme " + slug
	a.Flows["email_otp"] = workflow.FlowSettings{Enabled: true, Lifetime: workflow.Duration(10 * time.Minute), Digits: 6, MaxAttempts: 5, IncludeLink: true}
	a.Hosts = append(a.Hosts, hosts...)
	return a
}

func alike(t *testing.T, got, want workflow.Application) {
	t.Helper()
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if string(g) != string(w) || got.Version != want.Version {
		t.Errorf("application at version %d\ngot  %s\nwant %s at %d", got.Version, g, w, want.Version)
	}
}

func testApplications(t *testing.T, b Backend) {
	a := settings("acme", "reset.acme.test", "Login.acme.test")
	_, err := b.Application(ctx, "acme")
	mustBe(t, "before it is made", err, workflow.ErrNotFound)
	must(t, b.Create(ctx, a, "admin"))
	got, err := b.Application(ctx, "acme")
	must(t, err)
	a.Version = 1
	alike(t, *got, a)
	mustBe(t, "a taken slug", b.Create(ctx, settings("acme"), "admin"), workflow.ErrNotUnique)
	mustBe(t, "a taken host", b.Create(ctx, settings("two", "free.test", "login.ACME.test"), "admin"), workflow.ErrNotUnique)
	_, err = b.Application(ctx, "two")
	mustBe(t, "what failed", err, workflow.ErrNotFound)
	_, err = b.ByHost(ctx, "free.test")
	mustBe(t, "a host of what failed", err, workflow.ErrNotFound)
	for _, host := range []string{"reset.acme.test", "login.acme.test", "LOGIN.ACME.TEST"} {
		by, err := b.ByHost(ctx, host)
		must(t, err)
		if by.Slug != "acme" {
			t.Errorf("%s leads to %q", host, by.Slug)
		}
	}

	errs := race(16, func(i int) error {
		next := settings("acme", "new.acme.test")
		next.Version, next.Name = 1, fmt.Sprint(i)
		return b.Update(ctx, next, "admin")
	})
	if n := won(t, errs, workflow.ErrStale); n != 1 {
		t.Errorf("%d saved one version, want 1", n)
	}
	got, err = b.Application(ctx, "acme")
	must(t, err)
	if got.Version != 2 {
		t.Errorf("version %d, want 2 at once", got.Version)
	}
	_, err = b.ByHost(ctx, "login.acme.test")
	mustBe(t, "a host that was taken off", err, workflow.ErrNotFound)
	if by, err := b.ByHost(ctx, "new.acme.test"); err != nil || by.Version != 2 {
		t.Errorf("the new host: %v %v", by, err)
	}
	mustBe(t, "an unknown application", b.Update(ctx, settings("nobody"), "admin"), workflow.ErrNotFound)
	must(t, b.Create(ctx, settings("two", "two.test"), "admin"))
	taken := settings("two", "new.acme.test")
	taken.Version = 1
	mustBe(t, "another's host", b.Update(ctx, taken, "admin"), workflow.ErrNotUnique)
	if by, err := b.ByHost(ctx, "two.test"); err != nil || by.Slug != "two" {
		t.Errorf("its own host after a failed update: %v %v", by, err)
	}

	// An update that is rolled back is seen by nobody.
	rolled := settings("two")
	rolled.Version, rolled.Name = 1, "rolled back"
	err = b.Atomically(ctx, func(ctx ctxType) error {
		must(t, b.Update(ctx, rolled, "admin"))
		if in, err := b.Application(ctx, "two"); err != nil || in.Name != "rolled back" {
			t.Errorf("inside: %v %v", in, err)
		}
		return errLost
	})
	mustBe(t, "rolled back", err, errLost)
	if out, err := b.Application(ctx, "two"); err != nil || out.Name != "Acme two" {
		t.Errorf("after a rollback: %v %v", out, err)
	}

	must(t, b.Create(ctx, settings("three"), "admin"))
	var seen []string
	for cursor, page := "", 0; page == 0 || cursor != ""; page++ {
		apps, next, err := b.List(ctx, cursor, 2)
		must(t, err)
		for _, a := range apps {
			seen = append(seen, a.Slug)
		}
		cursor = next
	}
	if fmt.Sprint(seen) != "[acme three two]" {
		t.Errorf("listed %v", seen)
	}
	zero := workflow.Application{Slug: "zero"}
	if err := b.Create(ctx, zero, "admin"); err == nil {
		t.Error("settings that cannot be read again were kept")
	}
}

// eventually waits until ok holds: for what another node sees within 2 s.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func testApplicationNodes(t *testing.T, b Backend) {
	must(t, b.Create(ctx, settings("acme"), "admin"))
	k := key("k1", "acme", workflow.KeyPublishable, "https://a.test")
	must(t, b.CreateKey(ctx, k, "admin"))
	node := b.Node()
	a, err := node.Application(ctx, "acme")
	must(t, err)
	if _, err := node.Key(ctx, k.Hash); err != nil {
		t.Fatal(err)
	}
	changed := *a
	changed.Name = "Changed"
	must(t, b.Update(ctx, changed, "admin"))
	eventually(t, "an update on another node", func() bool {
		a, err := node.Application(ctx, "acme")
		return err == nil && a.Name == "Changed"
	})
	must(t, b.RevokeKey(ctx, "acme", "k1", "admin"))
	eventually(t, "a revocation on another node", func() bool { _, err := node.Key(ctx, k.Hash); return err != nil })
	eventually(t, "an origin on another node", func() bool { known, err := node.OriginKnown(ctx, "https://a.test"); return err == nil && !known })
	must(t, b.Delete(ctx, "acme", "admin"))
	must(t, b.Create(ctx, settings("acme", "again.test"), "admin"))
	eventually(t, "a new one in its place", func() bool {
		a, err := node.Application(ctx, "acme")
		return err == nil && len(a.Hosts) == 1
	})
}

func key(id, application string, kind workflow.KeyType, origins ...string) workflow.APIKey {
	return workflow.APIKey{ID: id, Application: application, Name: "web", Type: kind, Permissions: []string{"users:read", "users:write"},
		AllowedOrigins: append([]string{}, origins...), Prefix: "rfsk", LastFour: "wxyz", Hash: []byte("hash of " + id + application), CreatedAt: start()}
}

func testKeys(t *testing.T, b Backend) {
	must(t, b.Create(ctx, settings("acme"), "admin"))
	k, all := key("k1", "acme", workflow.KeyPublishable, "https://a.test", "https://b.test"), key("k2", "", workflow.KeySecret, "https://c.test")
	_, err := b.Key(ctx, k.Hash)
	mustBe(t, "before it is made", err, workflow.ErrNotFound)
	must(t, b.CreateKey(ctx, k, "admin"))
	must(t, b.CreateKey(ctx, all, "admin"))
	for _, want := range []workflow.APIKey{k, all, k} {
		got, err := b.Key(ctx, want.Hash)
		must(t, err)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	same := key("k3", "acme", workflow.KeySecret)
	same.Hash = k.Hash
	mustBe(t, "a taken hash", b.CreateKey(ctx, same, "admin"), workflow.ErrNotUnique)
	mustBe(t, "no such application", b.CreateKey(ctx, key("k4", "nobody", workflow.KeySecret), "admin"), workflow.ErrNotFound)
	for _, hash := range [][]byte{nil, {}, []byte("other")} {
		_, err := b.Key(ctx, hash)
		mustBe(t, "a hash of nothing", err, workflow.ErrNotFound)
	}
	for origin, want := range map[string]bool{"https://a.test": true, "https://b.test": true, "https://c.test": false, "": false, "https://%": false} {
		if known, err := b.OriginKnown(ctx, origin); err != nil || known != want {
			t.Errorf("origin %q: %v %v, want %v", origin, known, err, want)
		}
	}
	mustBe(t, "another application's key", b.RevokeKey(ctx, "", "k1", "admin"), workflow.ErrNotFound)
	must(t, b.RevokeKey(ctx, "acme", "k1", "admin"))
	_, err = b.Key(ctx, k.Hash)
	mustBe(t, "a revoked key", err, workflow.ErrNotFound)
	mustBe(t, "revoked twice", b.RevokeKey(ctx, "acme", "k1", "admin"), workflow.ErrNotFound)
	if known, err := b.OriginKnown(ctx, "https://a.test"); err != nil || known {
		t.Errorf("an origin of a revoked key: %v %v", known, err)
	}
	for i := range 3 {
		must(t, b.CreateKey(ctx, key(fmt.Sprint("n", i), "acme", workflow.KeySecret), "admin"))
	}
	list, next, err := b.Keys(ctx, "acme", "", 3)
	must(t, err)
	rest, end, err := b.Keys(ctx, "acme", next, 3)
	must(t, err)
	if len(list) != 3 || len(rest) != 1 || end != "" || list[0].RevokedAt.IsZero() {
		t.Errorf("pages of %d and %d, next %q", len(list), len(rest), end)
	}
	if own, _, err := b.Keys(ctx, "", "", 10); err != nil || len(own) != 1 || own[0].ID != "k2" {
		t.Errorf("the installation's own: %+v %v", own, err)
	}
}

func testDelete(t *testing.T, b Backend) {
	must(t, b.Create(ctx, settings(app, "acme.test"), "admin"))
	must(t, b.Create(ctx, settings("other", "other.test"), "admin"))
	kept := challenged("ann")
	kept.Application = "other"
	r := challenged("ann")
	m := message(r)
	k := key("k1", app, workflow.KeySecret)
	must(t, b.CreateKey(ctx, k, "admin"))
	insert(t, b, kept)
	must(t, b.Commit(ctx, workflow.Commit{New: []workflow.Request{r}, Messages: []workflow.Message{m}, Audit: []workflow.AuditEntry{entry(r)}}))
	one := quota("cooldown", "x", 1, time.Hour, true)
	must(t, take(b, one))
	must(t, b.Delete(ctx, app, "admin"))
	mustBe(t, "deleted twice", b.Delete(ctx, app, "admin"), workflow.ErrNotFound)
	_, err := b.Application(ctx, app)
	mustBe(t, "the application", err, workflow.ErrNotFound)
	_, err = b.ByHost(ctx, "acme.test")
	mustBe(t, "its host", err, workflow.ErrNotFound)
	_, err = b.Key(ctx, k.Hash)
	mustBe(t, "its key", err, workflow.ErrNotFound)
	nothingOf(t, b, r, m)
	must(t, take(b, one))
	load(t, b, kept)
	if _, err := b.Application(ctx, "other"); err != nil {
		t.Errorf("the other application: %v", err)
	}
}
