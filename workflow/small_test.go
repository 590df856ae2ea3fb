package workflow

import (
	"encoding/json"
	"sort"
	"testing"
	"time"
)

type fixedClock struct{}

func (fixedClock) Now() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func TestIDsSortByTimeAndRoundTrip(t *testing.T) {
	base := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var ids []string
	for i := range 50 {
		id := NewID(base.Add(time.Duration(i) * time.Millisecond))
		back, ok := ParseID(id.String())
		if !ok || back != id {
			t.Fatalf("%s does not come back", id)
		}
		ids = append(ids, id.String())
	}
	if !sort.StringsAreSorted(ids) {
		t.Error("ids made one after the other are not in order")
	}
	for _, bad := range []string{"", "x", "0190-", "ZZZZZZZZ-0000-7000-8000-000000000000", "0190A000-0000-7000-8000-000000000000", ids[0] + " ", "999999999999999999999999999999999999"} {
		if _, ok := ParseID(bad); ok {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestRates(t *testing.T) {
	for _, good := range []string{"5/h", "1/s", "1000000000/d", "20/m"} {
		r, err := ParseRate(good)
		if err != nil || r.String() != good {
			t.Errorf("%q: %v %v", good, r, err)
		}
	}
	for _, bad := range []string{"", "5", "0/h", "-1/h", "5/w", "05/h", "5/h ", "1e3/h", "5/hh", "1000000001/h"} {
		if _, err := ParseRate(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestDurationsReadAsWritten(t *testing.T) {
	for in, want := range map[string]string{"30m": "30m", "24h": "24h", "90s": "1m30s", "1h30m": "1h30m", "10s": "10s"} {
		var d Duration
		if err := json.Unmarshal([]byte(`"`+in+`"`), &d); err != nil || d.String() != want {
			t.Errorf("%s: %s %v, want %s", in, d, err, want)
		}
	}
	var d Duration
	if json.Unmarshal([]byte(`30`), &d) == nil || json.Unmarshal([]byte(`"soon"`), &d) == nil {
		t.Error("a number or a word was taken for a duration")
	}
}

// Contract §9: 2, 5, 10, 20, 30, 30 … s for 15 minutes, then up to an hour apart.
func TestRetrySchedule(t *testing.T) {
	age, got := time.Duration(0), []time.Duration{}
	for try := 1; try <= 7; try++ {
		d := RetryDelay(try, age)
		got, age = append(got, d), age+d
	}
	want := []time.Duration{2, 5, 10, 20, 30, 30, 30}
	for i := range want {
		if got[i] != want[i]*time.Second {
			t.Errorf("wait %d is %s, want %s", i+1, got[i], want[i]*time.Second)
		}
	}
	for age := 15 * time.Minute; age < 72*time.Hour; age += RetryDelay(99, age) {
		if d := RetryDelay(99, age); d < 30*time.Second || d > time.Hour {
			t.Fatalf("after %s the wait is %s", age, d)
		}
	}
}

func TestNetworks(t *testing.T) {
	for in, want := range map[string]string{"203.0.113.7": "203.0.113.7", "::ffff:203.0.113.7": "203.0.113.7", "2001:db8:1:2:3::1": "2001:db8:1:2::/64", "x": "", "": ""} {
		if got := Network(in); got != want {
			t.Errorf("Network(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMaskAndRoughness(t *testing.T) {
	if got := mask("ada@example.com"); got != "a***@example.com" {
		t.Error(got)
	}
	if got := mask("é@example.com"); got != "é***@example.com" {
		t.Error(got)
	}
	if got := roughPlace("203.0.113.77"); got != "203.0.113.0/24" {
		t.Error(got)
	}
	if got := roughDevice("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"); got != "Firefox, Linux" {
		t.Error(got)
	}
	if got := roughDevice("curl/8"); got != "" {
		t.Error(got)
	}
}

// Every code an error or a violation can carry has a public sentence.
func TestErrorTableIsWhole(t *testing.T) {
	seen := map[ErrorCode]bool{}
	for _, r := range ErrorTable() {
		if seen[r.Code] || r.Sentence == "" || r.Class == "" {
			t.Errorf("row %s is twice or empty", r.Code)
		}
		seen[r.Code] = true
	}
	vs := map[ViolationCode]bool{}
	for _, r := range ViolationTable() {
		if vs[r.Code] || r.Sentence == "" {
			t.Errorf("row %s is twice or empty", r.Code)
		}
		vs[r.Code] = true
	}
}
