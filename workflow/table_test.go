package workflow

import "testing"

// The laws of design §3: the table is a function, every state can be reached,
// and what is final has no exit.
func TestTableLaws(t *testing.T) {
	seen := map[edge]bool{}
	for _, row := range transitions {
		k := edge{row.From, row.On}
		if seen[k] {
			t.Errorf("two rows for %s on %s", row.From, row.On)
		}
		seen[k] = true
	}
	reached := map[State]bool{StateRequested: true}
	for range transitions {
		for _, row := range transitions {
			if reached[row.From] {
				reached[row.To] = true
			}
		}
	}
	for _, s := range States() {
		if !reached[s] {
			t.Errorf("no way leads to %s", s)
		}
	}
	for _, s := range []State{StateCompleted, StateFailed, StateSuperseded, StateCancelled, StateExpired} {
		if !s.Final() {
			t.Errorf("%s has an exit", s)
		}
	}
	for _, s := range []State{StateRequested, StateChallenged, StateDecoy, StateApplying, StateLocked} {
		if s.Final() {
			t.Errorf("%s has no exit", s)
		}
	}
}

// Only a challenged or locked row can be claimed, and a decoy never.
func TestOnlyLiveRowsCanBeClaimed(t *testing.T) {
	for _, s := range States() {
		want := s == StateChallenged || s == StateLocked
		if got := s.Can(EventClaim); got != want {
			t.Errorf("%s can be claimed: %v, want %v", s, got, want)
		}
		if got := (Request{State: s}).Live(); got != want {
			t.Errorf("%s is live: %v, want %v", s, got, want)
		}
	}
}

func TestMoveRefusesWhatTheTableDoesNotHold(t *testing.T) {
	e := &Engine{Options: Options{Clock: fixedClock{}}}
	for _, s := range States() {
		for _, on := range []Event{EventIssue, EventMiss, EventSuppress, EventResend, EventReject, EventLock, EventClaim, EventSettle,
			EventRelease, EventGiveUp, EventSupersede, EventOutdate, EventCancel, EventExpire} {
			r, u := &Request{State: s}, &unit{}
			err := e.move(u, r, on, system)
			if s.Can(on) != (err == nil) {
				t.Errorf("%s on %s: error %v, table says %v", s, on, err, s.Can(on))
			}
			if err != nil && (r.State != s || len(u.audit) != 0 || len(u.saved) != 0) {
				t.Errorf("%s on %s: a refused move left traces", s, on)
			}
			if err == nil && len(u.audit) != 1 {
				t.Errorf("%s on %s: %d audit entries, want 1", s, on, len(u.audit))
			}
		}
	}
}
