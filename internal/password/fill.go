package password

import (
	"time"

	"golang.org/x/crypto/bcrypt"
)

// maxFill is how costly a foreign hash may be for others to be made as slow:
// bcrypt with a cost of 12 counts, 13 does not. One imported account must not
// make every wrong password take seconds.
const maxFill = 300 * time.Millisecond

// target is the work that every wrong password takes: the present algorithm's,
// and of each algorithm the heaviest hash that was met.
type target struct {
	argon  cost // its time is 0 where none was met
	bcrypt cost // its rounds are 0 where none was met
}

// learn raises the target to c, unless c is foreign and heavier than [maxFill],
// and returns it. What was met stays until the process ends: forgetting it
// would show an attacker when the last such account logged in.
func (p *Pool) learn(c cost) target {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.heaviest
	switch {
	case c != p.present && estimate(c) > max(maxFill, estimate(p.present)):
	case c.algorithm == Bcrypt && c.rounds > t.bcrypt.rounds:
		t.bcrypt = c
	case c.algorithm == Argon2id && c.work() > t.argon.work():
		t.argon = c
	}
	return *t
}

// bytes is the memory that the target's work takes at most.
func (t target) bytes() int64 {
	return max(t.argon.bytes(), t.bcrypt.bytes())
}

// work is what an argon2 hash costs: KiB times passes.
func (c cost) work() int64 { return int64(c.memory) * int64(c.time) }

// fill spends what a wrong password cost less than the target against a hash of
// cost done, so that neither the age of an account nor where it came from shows,
// nor that there is none. The bound: work is made equal, not time. An algorithm's
// speed differs by a few percent with its parameters, an imported hash of several
// lanes runs on several processors where its work is filled in the same way but
// by another split, and the first wrong password against the first hash of a kind
// that a process meets is slower than the others before it.
func (t target) fill(done cost, text string) {
	var argon int64
	rounds := 0
	if done.algorithm == Bcrypt {
		rounds = done.rounds
	} else {
		argon = done.work()
	}
	if missing := t.argon.work() - argon; missing > 0 {
		rest := t.argon
		rest.memory = uint32(missing / int64(rest.time))
		if rest.memory >= 8*uint32(rest.threads) {
			argonSum(text, make([]byte, 16), rest, 32)
		}
	}
	if t.bcrypt.rounds == 0 {
		return
	}
	if rounds == 0 {
		compareDummy(t.bcrypt.rounds, text)
		return
	}
	// Costs c, c+1, … target-1 together are what is missing: 2^target - 2^c.
	for ; rounds < t.bcrypt.rounds; rounds++ {
		compareDummy(rounds, text)
	}
}

func compareDummy(rounds int, text string) {
	if len(text) > bcryptBytes {
		text = text[:bcryptBytes]
	}
	_ = bcrypt.CompareHashAndPassword([]byte(dummy(cost{algorithm: Bcrypt, rounds: rounds})), []byte(text))
}
