package password

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/resetflow/resetflow/workflow"
)

var (
	_ workflow.Hasher   = (*Pool)(nil)
	_ workflow.Policies = (*Checker)(nil)
)

func light(o Options) *Pool {
	o.Argon2Memory, o.Argon2Time = 64, 1
	o.BcryptCost = 4
	return NewPool(o)
}

func verify(t *testing.T, p *Pool, hash, pw string) (bool, bool) {
	t.Helper()
	ok, rehash, err := p.Verify(t.Context(), hash, pw)
	if err != nil {
		t.Fatal(err)
	}
	return ok, rehash
}

func TestHashAndVerify(t *testing.T) {
	for _, algorithm := range []Algorithm{Argon2id, Bcrypt} {
		p := light(Options{Algorithm: algorithm})
		for _, pw := range []string{"correct horse", " blank at both ends ", "пароль и ещё", "👩‍👩‍👧‍👦 ❤️ family", "שלום עולם", "$argon2id$v=19$x"} {
			hash, err := p.Hash(t.Context(), pw)
			if err != nil {
				t.Fatalf("%s: %v", algorithm, err)
			}
			if err := Known(hash); err != nil {
				t.Fatalf("%s: own hash is unknown: %v", algorithm, err)
			}
			if strings.Contains(hash, pw) {
				t.Error("the hash holds the password")
			}
			if ok, rehash := verify(t, p, hash, pw); !ok || rehash {
				t.Errorf("%s: right password: ok %v, rehash %v", algorithm, ok, rehash)
			}
			for _, wrong := range []string{pw + "x", strings.TrimSpace(pw) + "\t", pw[1:], "", pw + "\x00", strings.Repeat("a", MaxBytes+1)} {
				if ok, _ := verify(t, p, hash, wrong); ok {
					t.Errorf("%s: a wrong password fits", algorithm)
				}
			}
		}
		if ok, _ := verify(t, p, p.Dummy(), "impossible"); ok {
			t.Errorf("%s: a password fits the dummy", algorithm)
		}
	}
}

func TestNormalForms(t *testing.T) {
	p := light(Options{})
	hash, _ := p.Hash(t.Context(), "caf\u00e9 au lait")
	for _, same := range []string{"cafe\u0301 au lait", "caf\u00e9\u00a0au\u3000lait"} {
		if ok, _ := verify(t, p, hash, same); !ok {
			t.Errorf("%q is not the same password", same)
		}
	}
	for _, other := range []string{"cafe au lait", "Caf\u00e9 au lait", "caf\u00e9 au lait "} {
		if ok, _ := verify(t, p, hash, other); ok {
			t.Errorf("%q passes for another", other)
		}
	}
	for bad, want := range map[string]string{"": "empty", "\u200d\ufe0f": "empty", "tab\there": "control", "null\x00byte": "control", "bell\a": "control", "bad\xffutf8": "encoding",
		"line\nbreak": "control", "bidi\u202eoverride": "invisible", "zero\u200bwidth": "invisible", "soft\u00adhyphen": "invisible", "grapheme\u034fjoiner": "invisible",
		"selector\ufe00": "invisible", "hangul\u115ffiller": "invisible", "line\u2028separator": "invisible", "apple\uf8ff": "private_use", "not\ufffea character": "noncharacter",
		"none\u0378yet": "unassigned", "jamo\u1100": "old_hangul", "a\u00b7b": "context", "emoji 👩\u200d👩 and\ttab": "control"} {
		got, err := Normal(bad)
		var kind *CharacterError
		if !errors.As(err, &kind) || kind.Kind != want {
			t.Errorf("%q: %q, %v, want %s", bad, got, err, want)
		}
	}
	if got, err := Normal("l\u00b7l in Catalan"); err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := Normal(strings.Repeat("a", MaxBytes+1)); !errors.Is(err, errLong) {
		t.Error(err)
	}
	if _, err := Normal(strings.Repeat("\U0001d15e", 3000)); err == nil { // twice as long in NFC
		t.Error("a password grows beyond the bound")
	}
	one, _ := Normal("a\ufe0fe\u0301")
	two, err := Normal("a\ufe0f\u00e9")
	if err != nil || one != two {
		t.Errorf("pieces around a joiner: %q, %q, %v", one, two, err)
	}
}

func TestBcryptTraps(t *testing.T) {
	p := light(Options{Algorithm: Bcrypt})
	var e *workflow.Error
	_, err := p.Hash(t.Context(), strings.Repeat("a", 73))
	if !errors.As(err, &e) || e.Violations["newPassword"][0].Code != workflow.VioTooLong {
		t.Errorf("73 bytes: %v", err)
	}
	hash, err := p.Hash(t.Context(), strings.Repeat("a", 72))
	if err != nil || !strings.HasPrefix(hash, "$2b$04$") {
		t.Fatalf("%.7s, %v", hash, err)
	}
	if ok, _ := verify(t, p, hash, strings.Repeat("a", 73)); ok {
		t.Error("what stands behind 72 bytes does not count")
	}
	if ok, _ := verify(t, p, hash, strings.Repeat("a", 72)); !ok {
		t.Error("72 bytes do not fit")
	}
	raw, _ := bcrypt.GenerateFromPassword([]byte("abcabc"), 4)
	for _, letter := range []string{"$2a$", "$2b$", "$2y$"} {
		imported := letter + string(raw[4:])
		if ok, _ := verify(t, p, imported, "abcabc"); !ok {
			t.Errorf("%s is not read", letter)
		}
		if ok, _ := verify(t, p, imported, "abcabc\x00"); ok {
			t.Errorf("%s: NUL ends the password", letter)
		}
	}
}

func TestRehash(t *testing.T) {
	old, _ := light(Options{Algorithm: Bcrypt}).Hash(t.Context(), "the right one")
	cheap, _ := NewPool(Options{Argon2Memory: 32, Argon2Time: 1}).Hash(t.Context(), "the right one")
	p := light(Options{})
	for _, hash := range []string{old, cheap} {
		if ok, rehash := verify(t, p, hash, "the right one"); !ok || !rehash {
			t.Errorf("old parameters: ok %v, rehash %v", ok, rehash)
		}
		if ok, rehash := verify(t, p, hash, "the wrong one"); ok || rehash {
			t.Errorf("wrong password: ok %v, rehash %v", ok, rehash)
		}
	}
}

func TestKnownRefuses(t *testing.T) {
	good := light(Options{}).Dummy()
	parts := strings.Split(good, "$")
	with := func(i int, s string) string {
		p := append([]string(nil), parts...)
		p[i] = s
		return strings.Join(p, "$")
	}
	for name, hash := range map[string]string{
		"empty": "", "plain": "password", "memory": with(3, "m=16777216,t=1,p=1"), "passes": with(3, "m=64,t=1000000,p=1"),
		"threads": with(3, "m=64,t=1,p=255"), "work": with(3, "m=262144,t=32,p=1"), "wraps": with(3, "m=4294967295,t=1,p=1"), "overflow": with(3, "m=99999999999999999999,t=1,p=1"),
		"zero": with(3, "m=64,t=0,p=1"), "sign": with(3, "m=+64,t=1,p=1"), "order": with(3, "t=1,m=64,p=1"), "more": with(3, "m=64,t=1,p=1,keyid=a"),
		"version": with(2, "v=16"), "short salt": with(4, "AAAA"), "short sum": with(5, "AAAA"), "padding": with(5, parts[5]+"="), "argon2i": with(1, "argon2i"),
		"bcrypt cost": "$2b$31$" + strings.Repeat("a", 53), "bcrypt short": "$2b$10$" + strings.Repeat("a", 52), "bcrypt letter": "$2x$10$" + strings.Repeat("a", 53), "bcrypt character": "$2b$10$" + strings.Repeat("!", 53),
	} {
		if err := Known(hash); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := light(Options{}).Verify(t.Context(), hash, "x"); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: verified: %v", name, err)
		}
	}
}

func TestOptionsCheck(t *testing.T) {
	for _, o := range []Options{{Algorithm: "md5"}, {Argon2Memory: -1}, {Argon2Memory: 1 << 20}, {Argon2Threads: 300}, {Argon2Time: 99}, {Algorithm: Bcrypt, BcryptCost: 31}, {Algorithm: Bcrypt, BcryptCost: 3}} {
		if o.Check() == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	if err := (Options{}).Check(); err != nil {
		t.Error(err)
	}
}

func TestGateBounds(t *testing.T) {
	for name, g := range map[string]*gate{"by number": newGate(2, 1<<40, time.Hour, time.Millisecond), "by memory": newGate(100, 250, time.Hour, time.Millisecond)} {
		var mu sync.Mutex
		running, most := 0, 0
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				err := g.run(context.Background(), 100, func() error {
					mu.Lock()
					running++
					most = max(most, running)
					mu.Unlock()
					time.Sleep(time.Millisecond)
					mu.Lock()
					running--
					mu.Unlock()
					return nil
				})
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		wg.Wait()
		if most != 2 || g.running != 0 || g.used != 0 || len(g.waiting) != 0 {
			t.Errorf("%s: %d at once; left %d, %d bytes", name, most, g.running, g.used)
		}
	}
}

func TestGateRefuses(t *testing.T) {
	g := newGate(1, 100, 30*time.Second, 10*time.Second) // three may wait
	hold, held := make(chan struct{}), make(chan struct{})
	results := make(chan error, 4)
	go func() { results <- g.run(context.Background(), 500, func() error { close(held); <-hold; return nil }) }()
	<-held
	ctx, cancel := context.WithCancel(context.Background())
	for range 3 {
		go func() { results <- g.run(ctx, 10, func() error { return nil }) }()
	}
	waiting := func() int { g.mu.Lock(); defer g.mu.Unlock(); return len(g.waiting) }
	for waiting() < 3 {
		time.Sleep(time.Millisecond)
	}
	if err := g.run(context.Background(), 10, func() error { return nil }); !errors.Is(err, workflow.ErrBusy) {
		t.Errorf("the fourth in the queue: %v", err)
	}
	cancel()
	for range 3 {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up: %v", err)
		}
	}
	close(hold)
	if err := <-results; err != nil || g.running != 0 || g.used != 0 || waiting() != 0 {
		t.Errorf("%v; left %d, %d bytes, %d waiting", err, g.running, g.used, waiting())
	}
	if err := g.run(ctx, 10, func() error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a dead context works: %v", err)
	}
}
