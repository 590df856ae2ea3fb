package workflow

import "fmt"

// State is where a request stands. Exactly one method sets it: [Engine.move].
type State string

// The states of a request.
const (
	StateRequested  State = "requested"  // accepted, the account is not looked up yet
	StateChallenged State = "challenged" // a code is on its way or delivered
	StateDecoy      State = "decoy"      // no account behind it; behaves like challenged
	StateApplying   State = "applying"   // the code was right, the directory is being told
	StateCompleted  State = "completed"  // the password is changed
	StateFailed     State = "failed"     // the directory refused for good
	StateLocked     State = "locked"     // the digits are used up; a mailed link still counts
	StateSuperseded State = "superseded" // replaced by a newer request, or the account moved on
	StateCancelled  State = "cancelled"  // withdrawn by the person or by an administrator
	StateExpired    State = "expired"    // its time ran out
)

// Event is what happens to a request.
type Event string

// The events of a request.
const (
	EventIssue     Event = "issue"     // the account was found: send the code
	EventMiss      Event = "miss"      // no such account, disabled, or nothing to reset
	EventSuppress  Event = "suppress"  // the account is over its mail budget
	EventResend    Event = "resend"    // send a new code for the same request
	EventReject    Event = "reject"    // a wrong code was tried
	EventLock      Event = "lock"      // the last attempt was used up by a wrong code
	EventClaim     Event = "claim"     // the right code: the single-use gate
	EventSettle    Event = "settle"    // the password and the revocations are in place
	EventRelease   Event = "release"   // the directory refused this time; the code stays usable
	EventGiveUp    Event = "give_up"   // the directory refused for good
	EventSupersede Event = "supersede" // a newer request or a completed reset replaced it
	EventOutdate   Event = "outdate"   // the account's generation moved
	EventCancel    Event = "cancel"    // withdrawn
	EventExpire    Event = "expire"    // time ran out
)

// Transition is one row of the table: on Event a request in From moves to To,
// and Leaves names what the row sends out.
type Transition struct {
	From   State
	On     Event
	To     State
	Leaves string
}

// transitions is the one transition table. docs/state.md is generated from it.
//
// A locked request keeps the exits of a challenged one: only its digits are
// used up, the link in the same mail survives (contract §5, §9 include_link).
var transitions = []Transition{
	{StateRequested, EventIssue, StateChallenged, "the flow's mail"},
	{StateRequested, EventMiss, StateDecoy, "no_account, where switched on"},
	{StateRequested, EventSuppress, StateDecoy, ""},
	{StateRequested, EventResend, StateRequested, ""},
	{StateRequested, EventReject, StateRequested, ""},
	{StateRequested, EventLock, StateLocked, ""},
	{StateRequested, EventSupersede, StateSuperseded, ""},
	{StateRequested, EventOutdate, StateSuperseded, ""},
	{StateRequested, EventCancel, StateCancelled, ""},
	{StateRequested, EventExpire, StateExpired, ""},

	{StateChallenged, EventResend, StateChallenged, "the flow's mail"},
	{StateChallenged, EventReject, StateChallenged, ""},
	{StateChallenged, EventLock, StateLocked, "request_locked"},
	{StateChallenged, EventClaim, StateApplying, ""},
	{StateChallenged, EventSupersede, StateSuperseded, ""},
	{StateChallenged, EventOutdate, StateSuperseded, ""},
	{StateChallenged, EventCancel, StateCancelled, ""},
	{StateChallenged, EventExpire, StateExpired, ""},

	{StateDecoy, EventResend, StateDecoy, ""},
	{StateDecoy, EventReject, StateDecoy, ""},
	{StateDecoy, EventLock, StateLocked, ""},
	{StateDecoy, EventSupersede, StateSuperseded, ""},
	{StateDecoy, EventCancel, StateCancelled, ""},
	{StateDecoy, EventExpire, StateExpired, ""},

	{StateApplying, EventSettle, StateCompleted, "password_updated unless skipped"},
	{StateApplying, EventRelease, StateChallenged, ""},
	{StateApplying, EventGiveUp, StateFailed, ""},

	{StateLocked, EventClaim, StateApplying, ""},
	{StateLocked, EventSupersede, StateSuperseded, ""},
	{StateLocked, EventOutdate, StateSuperseded, ""},
	{StateLocked, EventCancel, StateCancelled, ""},
	{StateLocked, EventExpire, StateExpired, ""},
}

type edge struct {
	from State
	on   Event
}

var table = func() map[edge]Transition {
	t := make(map[edge]Transition, len(transitions))
	for _, row := range transitions {
		t[edge{row.From, row.On}] = row
	}
	return t
}()

// Transitions returns a copy of the transition table in its written order.
func Transitions() []Transition { return append([]Transition(nil), transitions...) }

// States returns every state in the order of its first appearance.
func States() []State {
	return []State{StateRequested, StateChallenged, StateDecoy, StateApplying, StateCompleted,
		StateFailed, StateLocked, StateSuperseded, StateCancelled, StateExpired}
}

// Final reports whether nothing leads out of s.
func (s State) Final() bool {
	for _, row := range transitions {
		if row.From == s {
			return false
		}
	}
	return true
}

// Can reports whether the table has a row for (s, on).
func (s State) Can(on Event) bool { _, ok := table[edge{s, on}]; return ok }

// IllegalMoveError says that the table has no row for a move.
type IllegalMoveError struct {
	From State
	On   Event
}

func (e *IllegalMoveError) Error() string {
	return fmt.Sprintf("workflow: no transition from %s on %s", e.From, e.On)
}
