package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// trail keeps what is recorded.
type trail struct{ *world }

func (w trail) AuditEvents(_ context.Context, _ string, q workflow.AuditQuery) ([]workflow.SealedEntry, string, error) {
	w.note("AuditEvents")
	w.audit = q
	return []workflow.SealedEntry{{AuditEntry: workflow.AuditEntry{ID: testID, At: testTime, Event: "authn_login_fail", RequestID: testID, AccountID: "u1",
		Actor: "key:1", ClientIP: "192.0.2.1", Cause: "unknown"}, Seq: 7, Hash: []byte{0xab, 0xcd}, KeyID: "k"},
		{AuditEntry: workflow.AuditEntry{ID: testID, At: testTime, Event: "authz_fail", Actor: "admin"}}}, "c", nil
}

func (w trail) Audit(_ context.Context, entries ...workflow.AuditEntry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.audited = append(w.audited, entries...)
	return w.auditErr
}

// told returns the recorded refusals as "application event actor cause".
func (w *world) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, e := range w.audited {
		out = append(out, strings.Join([]string{e.Application, e.Event, e.Actor, e.Cause}, " "))
	}
	w.audited = nil
	return out
}

func TestAuditEvents(t *testing.T) {
	f := start(t)
	id := testID.String()
	f.expect("events", f.admin("GET", "/acme/audit-events", ""), 200, `{"items":[{"id":"`+id+`","at":"2026-11-23T10:00:00.123456Z","event":"authn_login_fail","requestId":"`+id+
		`","userId":"u1","actor":"key:1","clientIp":"192.0.2.1","cause":"unknown","seq":7,"hash":"abcd","keyId":"k"},{"id":"`+id+
		`","at":"2026-11-23T10:00:00.123456Z","event":"authz_fail","actor":"admin"}],"nextCursor":"Yw"}`)
	f.admin("GET", "/acme/audit-events?event=e&request="+id+"&account=u1&since=2026-11-23T11:00:00%2B01:00&cursor=Yw&limit=3", "")
	if q := f.audit; q.Event != "e" || q.Request != testID || q.Account != "u1" || !q.Since.Equal(time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)) || q.Cursor != "c" || q.Limit != 3 {
		t.Errorf("asked for %+v", q)
	}
	for query, want := range map[string]string{
		"request=x": "request=invalid_value", "since=yesterday": "since=invalid_value", "since=0001-01-01T00:00:00Z": "since=invalid_value",
		"limit=0": "limit=invalid_value", "cursor=!": "cursor=invalid_value", "event=a&event=b": "event=invalid_value",
	} {
		f.took()
		if res := f.admin("GET", "/acme/audit-events?"+query, ""); res.status != 400 || res.vio(t) != want || strings.Contains(f.took(), "AuditEvents") {
			t.Errorf("%s: %d %s", query, res.status, res.body)
		}
	}
}

// TestRefusedCredentials: what is refused leaves a row, and a flood one row only.
func TestRefusedCredentials(t *testing.T) {
	f := start(t)
	weak := f.key("weak", workflow.KeySecret, "acme", nil, string(PermSessions))
	greedy := f.key("greedy", workflow.KeyPublishable, "acme", []string{"https://shop.test"}, string(PermWorkflow), string(PermUsersRead))
	gone := f.key("gone", workflow.KeySecret, "deleted", nil, string(PermWorkflow))
	unknown, _, _ := NewKey("acme", "n", workflow.KeySecret, []string{string(PermWorkflow)}, nil, testTime)
	ask, admins := reset+"/request-password-reset", "/admin/v1/applications/acme/users"
	for name, tc := range map[string]struct {
		method, path string
		headers      []string
		want         string
	}{
		"none":                {"POST", ask, nil, ""},
		"two":                 {"POST", ask, []string{"X-Api-Key", weak, "Authorization", "Bearer " + weak}, ""},
		"right":               {"POST", ask, []string{"X-Api-Key", f.keys["secret"]}, ""},
		"not there":           {"GET", "/admin/v1/applications/acme/users/none", []string{"X-Api-Key", f.keys["secret"]}, ""},
		"unknown key":         {"POST", ask, []string{"X-Api-Key", unknown}, " authn_login_fail unknown api_key:rfsk"},
		"no key at all":       {"GET", admins, []string{"Authorization", "Bearer wrong-admin-token"}, " authn_login_fail unknown credential"},
		"of a gone one":       {"POST", ask, []string{"X-Api-Key", gone}, "deleted authn_login_fail key:gone api_key:rfsk"},
		"permission":          {"POST", ask, []string{"X-Api-Key", weak}, "acme authz_fail key:weak password-reset-workflow:execute"},
		"admin's permission":  {"GET", admins, []string{"X-Api-Key", greedy}, "acme authz_fail key:greedy users:read"},
		"admin token":         {"POST", ask, []string{"Authorization", "Bearer " + adminToken}, " authz_fail admin password-reset-workflow:execute"},
		"another application": {"GET", admins, []string{"X-Api-Key", f.keys["other"]}, "other authz_fail key:other application"},
		"installation":        {"POST", "/admin/v1/applications", []string{"X-Api-Key", f.keys["other"]}, "other authz_fail key:other applications:write"},
		"origin":              {"POST", ask, []string{"X-Api-Key", greedy, "Origin", "https://evil.test"}, "acme authz_fail key:greedy origin"},
	} {
		f.told()
		headers := append([]string{"Content-Type", "application/json"}, tc.headers...)
		for range 5 {
			f.do(tc.method, tc.path, someRequest, headers...)
		}
		var want []string
		if tc.want != "" {
			want = []string{tc.want}
		}
		if got := f.told(); !slices.Equal(got, want) {
			t.Errorf("%s: recorded %q, want %q", name, got, want)
		}
	}
}

func TestRefusalIsRecordedWithItsClient(t *testing.T) {
	f := start(t)
	weak := f.key("weak", workflow.KeySecret, "acme", nil, string(PermSessions))
	f.auditErr = errors.New("disk full")
	if res := f.post(reset+"/request-password-reset", someRequest, weak, "X-Forwarded-For", "203.0.113.9"); res.status != 403 {
		t.Errorf("without a trail the refusal is %d", res.status)
	}
	if len(f.audited) != 1 || f.audited[0].ClientIP != "203.0.113.9" || !f.audited[0].At.Equal(testTime) || f.audited[0].ID.IsZero() {
		t.Errorf("recorded %+v", f.audited)
	}
	if !strings.Contains(f.log.String(), "could not be recorded") || strings.Contains(f.log.String(), weak) {
		t.Error("nobody is told that the trail has a hole, or a key stands in the log")
	}
}

// TestRefusalsAreBounded: neither memory nor rows grow with a flood from many clients.
func TestRefusalsAreBounded(t *testing.T) {
	var r refusals
	rows := 0
	for i := range 5 * maxRefusals {
		if r.first(string(rune(i)), testTime) {
			rows++
		}
	}
	if rows != maxRefusals || len(r.seen) != maxRefusals {
		t.Errorf("%d rows, %d in memory", rows, len(r.seen))
	}
	if !r.first("next", testTime.Add(61*time.Second)) || len(r.seen) != 1 {
		t.Error("the next minute begins with a full memory")
	}
}

// TestLimitOfOursIsRecorded: check-password is the one limit the API counts itself.
func TestLimitOfOursIsRecorded(t *testing.T) {
	f := start(t)
	f.full = "check_password"
	for range 3 {
		if res := f.post(reset+"/check-password", `{"password":"x"}`, f.keys["secret"]); res.status != http.StatusTooManyRequests {
			t.Fatalf("%d", res.status)
		}
	}
	if got := f.told(); !slices.Equal(got, []string{"acme excess_rate_limit_exceeded key:secret check_password"}) {
		t.Errorf("recorded %q", got)
	}
}
