package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
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

// importMemory is what the widespread parameters of other systems ask for
// (RFC 9106 §4, second choice).
const importMemory = 64 << 20

// Options of a [Pool]. Zero values mean contract §3's defaults.
type Options struct {
	Algorithm     Algorithm
	Argon2Time    int           // passes
	Argon2Memory  int           // KiB
	Argon2Threads int           // lanes
	BcryptCost    int           // 4 to 15
	MaxConcurrent int           // hashes at once; default: the CPUs Go may use
	MaxMemory     int64         // bytes over all hashes at once; default: MaxConcurrent present hashes, at least 64 MiB for imported ones
	Queue         time.Duration // work that may wait; what does not fit is refused
}

// Pool makes and verifies hashes within bounds of CPU and memory. It implements
// workflow.Hasher and is safe for concurrent use.
type Pool struct {
	present cost
	gate    *gate
	dummy   string

	mu       sync.Mutex
	heaviest target
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
		memory = max(int64(slots)*c.bytes(), importMemory)
	}
	queue := o.Queue
	if queue <= 0 {
		queue = 2 * time.Second
	}
	p := &Pool{present: c, dummy: dummy(c), gate: newGate(slots, max(memory, c.bytes()), queue, estimate(c))}
	p.learn(c)
	return p
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
	var bad *CharacterError
	switch {
	case errors.Is(err, errLong):
		return "", workflow.Violate("newPassword", workflow.VioTooLong, "maxBytes", fmt.Sprint(MaxBytes))
	case errors.As(err, &bad):
		return "", workflow.Violate("newPassword", workflow.VioInvalidCharacter, "kind", bad.Kind)
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

// forms are what a password may have been hashed as: its normal form and, where
// that differs or is missing, its raw bytes, as another system may have hashed
// them before the hash was imported. How many there are depends on the password
// alone, so the time of two tries tells nothing about an account.
func forms(password string) []form {
	if len(password) > MaxBytes {
		return []form{{}}
	}
	normal, err := Normal(password)
	if err == nil && normal == password {
		return []form{{normal, true}}
	}
	return []form{{normal, err == nil}, {password, password != ""}}
}

// form is a text to try. Where it cannot be right another one is hashed
// instead, so that it takes as long as a wrong one.
type form struct {
	text     string
	possible bool
}

// fits leaves out what the algorithm would not look at.
func (f form) fits(c cost) form {
	f.possible = f.possible && !(c.algorithm == Bcrypt && (len(f.text) > bcryptBytes || strings.IndexByte(f.text, 0) >= 0))
	if !f.possible {
		f.text = "impossible"
	}
	return f
}

// Verify reports whether password fits hash, and whether the hash should be
// made anew because the parameters changed or it is not of the normal form. A
// password that cannot be right (too long, without any form) takes as long as a
// wrong one, and a wrong one as long for every hash, see [Pool.fill]. The error
// is [ErrUnknown] for a text that is no hash, [workflow.ErrBusy], or ctx's.
func (p *Pool) Verify(ctx context.Context, hash, password string) (ok, rehash bool, err error) {
	c, err := costOf(hash)
	if err != nil {
		return false, false, err
	}
	heaviest := p.learn(c)
	err = p.gate.run(ctx, max(c.bytes(), heaviest.bytes()), func() error {
		for i, f := range forms(password) {
			f = f.fits(c)
			if matches(hash, c, f.text) && f.possible {
				ok, rehash = true, rehash || i > 0
			}
			if !ok {
				heaviest.fill(c, f.text)
			}
		}
		return nil
	})
	return ok && err == nil, ok && (rehash || c != p.present), err
}

// Any reports whether password fits one of hashes, those that cannot be
// verified left out. Each is a turn of its own in the queue, so that a long
// history does not keep others waiting. The error is [workflow.ErrBusy] or ctx's.
func (p *Pool) Any(ctx context.Context, hashes []string, password string) (bool, error) {
	tries := forms(password)
	for _, hash := range hashes {
		c, err := costOf(hash)
		if err != nil {
			continue
		}
		found := false
		err = p.gate.run(ctx, c.bytes(), func() error {
			for _, f := range tries {
				f = f.fits(c)
				found = found || f.possible && matches(hash, c, f.text)
			}
			return nil
		})
		if found || err != nil {
			return found && err == nil, err
		}
	}
	return false, nil
}

// Takes returns nil for a hash that can be verified here, within the pool's
// memory, so that an import can refuse the others while somebody is looking.
// It wraps [ErrUnknown].
func (p *Pool) Takes(hash string) error {
	c, err := costOf(hash)
	if err != nil {
		return err
	}
	if c.bytes() > p.gate.memory {
		return fmt.Errorf("%w: argon2id with %d MiB, and all hashes together may take %d MiB (kdf.max_memory)", ErrUnknown, c.bytes()>>20, p.gate.memory>>20)
	}
	p.learn(c)
	return nil
}

func matches(hash string, c cost, text string) bool {
	if c.algorithm == Bcrypt {
		return bcrypt.CompareHashAndPassword([]byte(hash), []byte(text)) == nil
	}
	h, err := parseArgon(hash)
	if err != nil {
		return false
	}
	return subtle.ConstantTimeCompare(argonSum(text, h.salt, c, uint32(len(h.sum))), h.sum) == 1
}

func argonSum(normal string, salt []byte, c cost, length uint32) []byte {
	return argon2.IDKey([]byte(normal), salt, c.time, c.memory, c.threads, length)
}
