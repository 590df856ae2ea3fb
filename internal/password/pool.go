package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/resetflow/resetflow/workflow"
)

// Algorithm names how new hashes are made.
type Algorithm string

// The algorithms. Both verify, whichever makes.
const (
	Argon2id Algorithm = "argon2id" // RFC 9106
	Bcrypt   Algorithm = "bcrypt"   // for directories that need it; takes 72 bytes
)

// Options of a [Pool]. Zero values mean contract §3's defaults.
type Options struct {
	Algorithm     Algorithm
	Argon2Time    int           // passes
	Argon2Memory  int           // KiB
	Argon2Threads int           // lanes
	BcryptCost    int           // 4 to 15
	MaxConcurrent int           // hashes at once; default: the CPUs Go may use
	MaxMemory     int64         // bytes over all hashes at once; default: MaxConcurrent present hashes
	Queue         time.Duration // work that may wait; what does not fit is refused
}

// Pool makes and verifies hashes within bounds of CPU and memory. It implements
// workflow.Hasher and is safe for concurrent use.
type Pool struct {
	present cost
	gate    *gate
	dummy   string
}

// Check returns why o makes no pool, naming the configuration key, or nil.
func (o Options) Check() error {
	if o.Algorithm != "" && o.Algorithm != Argon2id && o.Algorithm != Bcrypt {
		return fmt.Errorf("kdf.algorithm: %q is neither argon2id nor bcrypt", o.Algorithm)
	}
	if o.Argon2Time < 0 || o.Argon2Memory < 0 || o.Argon2Threads < 0 ||
		o.Argon2Time > maxArgonTime || o.Argon2Memory > maxArgonMemory || o.Argon2Threads > maxArgonThreads {
		return fmt.Errorf("kdf.argon2_*: take at most time %d, memory %d MiB and threads %d", maxArgonTime, maxArgonMemory>>10, maxArgonThreads)
	}
	if err := Known(dummy(o.cost())); err != nil {
		return fmt.Errorf("kdf: %w", err)
	}
	return nil
}

func (o Options) cost() cost {
	if o.Algorithm == Bcrypt {
		return cost{algorithm: Bcrypt, rounds: or(o.BcryptCost, 12)}
	}
	return cost{algorithm: Argon2id, time: uint32(or(o.Argon2Time, 2)), memory: uint32(or(o.Argon2Memory, 19<<10)), threads: uint8(or(o.Argon2Threads, 1))}
}

// NewPool makes a pool; it does no hashing. It panics with options that do not
// pass [Options.Check]: the configuration is checked before anything is wired.
func NewPool(o Options) *Pool {
	if err := o.Check(); err != nil {
		panic(err)
	}
	c := o.cost()
	slots := o.MaxConcurrent
	if slots <= 0 {
		slots = runtime.GOMAXPROCS(0)
	}
	memory := o.MaxMemory
	if memory <= 0 {
		memory = int64(slots) * c.bytes()
	}
	queue := o.Queue
	if queue <= 0 {
		queue = 2 * time.Second
	}
	return &Pool{present: c, dummy: dummy(c), gate: newGate(slots, max(memory, c.bytes()), queue, estimate(c))}
}

func or(v, otherwise int) int {
	if v == 0 {
		return otherwise
	}
	return v
}

// estimate is how long a hash may take before any was measured.
func estimate(c cost) time.Duration {
	if c.algorithm == Bcrypt {
		return time.Duration(1<<c.rounds) * 60 * time.Microsecond
	}
	return time.Duration(c.memory) * time.Duration(c.time) * 550 * time.Nanosecond
}

// Dummy returns a hash of the present cost for accounts that do not exist, so
// that their login does the same work. No password fits it.
func (p *Pool) Dummy() string { return p.dummy }

// Hash returns the PHC string (or the modular crypt form of bcrypt) of the
// password's normal form. A password without one, or too long for the
// algorithm, is a [workflow.Error] with a violation of newPassword;
// [workflow.ErrBusy] when the pool and its queue are full.
func (p *Pool) Hash(ctx context.Context, password string) (string, error) {
	normal, err := Normal(password)
	switch {
	case errors.Is(err, errLong):
		return "", workflow.Violate("newPassword", workflow.VioTooLong, "maxBytes", fmt.Sprint(MaxBytes))
	case err != nil:
		return "", workflow.Violate("newPassword", workflow.VioInvalidCharacter)
	case p.present.algorithm == Bcrypt && len(normal) > bcryptBytes:
		return "", workflow.Violate("newPassword", workflow.VioTooLong, "maxBytes", fmt.Sprint(bcryptBytes))
	}
	var hash string
	err = p.gate.run(ctx, p.present.bytes(), func() error {
		if p.present.algorithm == Bcrypt {
			b, err := bcrypt.GenerateFromPassword([]byte(normal), p.present.rounds)
			// The library writes the old letter; what it does is revision b.
			hash = strings.Replace(string(b), "$2a$", "$2b$", 1)
			return err
		}
		salt := make([]byte, 16)
		if _, err := rand.Read(salt); err != nil {
			return err
		}
		hash = formatArgon(p.present, salt, argonSum(normal, salt, p.present, 32))
		return nil
	})
	if err != nil {
		return "", err
	}
	return hash, nil
}

// Verify reports whether password fits hash, and whether the hash should be
// made anew because the parameters changed. A password that cannot be right
// (too long, without normal form) takes as long as a wrong one. The error is
// [ErrUnknown] for a text that is no hash, [workflow.ErrBusy], or ctx's.
func (p *Pool) Verify(ctx context.Context, hash, password string) (ok, rehash bool, err error) {
	c, err := costOf(hash)
	if err != nil {
		return false, false, err
	}
	normal, nerr := Normal(password)
	possible := nerr == nil && !(c.algorithm == Bcrypt && (len(normal) > bcryptBytes || strings.IndexByte(normal, 0) >= 0))
	if !possible {
		normal = "impossible"
	}
	err = p.gate.run(ctx, max(c.bytes(), p.present.bytes()), func() error {
		ok = matches(hash, c, normal) && possible
		if !ok {
			p.pad(c, normal)
		}
		return nil
	})
	return ok && err == nil, ok && c != p.present, err
}

func matches(hash string, c cost, normal string) bool {
	if c.algorithm == Bcrypt {
		return bcrypt.CompareHashAndPassword([]byte(hash), []byte(normal)) == nil
	}
	h, err := parseArgon(hash)
	if err != nil {
		return false
	}
	return subtle.ConstantTimeCompare(argonSum(normal, h.salt, c, uint32(len(h.sum))), h.sum) == 1
}

// pad spends what a wrong password cost less against an old, cheaper hash than
// against one of today, so that the age of an account does not show.
func (p *Pool) pad(c cost, normal string) {
	switch {
	case c.algorithm != p.present.algorithm:
	case c.algorithm == Bcrypt:
		// Costs c, c+1, … present-1 together are what is missing: 2^present - 2^c.
		for rounds := c.rounds; rounds < p.present.rounds; rounds++ {
			_ = bcrypt.CompareHashAndPassword([]byte(dummy(cost{algorithm: Bcrypt, rounds: rounds})), []byte(normal))
		}
	default:
		missing := int64(p.present.memory)*int64(p.present.time) - int64(c.memory)*int64(c.time)
		if passes := missing / int64(p.present.memory); passes > 0 {
			rest := p.present
			rest.time = uint32(passes)
			argonSum(normal, make([]byte, 16), rest, 32)
		}
	}
}

func argonSum(normal string, salt []byte, c cost, length uint32) []byte {
	return argon2.IDKey([]byte(normal), salt, c.time, c.memory, c.threads, length)
}
