package bench

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/internal/testkit/product"
)

var (
	pairsFlag = flag.Int("pairs", number("RESETFLOW_BENCH_PAIRS", 10_000), "pairs of a known and an unknown address for each flow")
	loadFlag  = flag.Duration("load", 8*time.Second, "how long each load lasts")
)

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// TestMain switches fsync on: without it commits and the log cost nothing.
func TestMain(m *testing.M) {
	if os.Getenv(testkit.EnvFsync) == "" {
		_ = os.Setenv(testkit.EnvFsync, "on")
	}
	product.Main(m)
}

// flowNames are the flows whose code comes by mail.
var flowNames = []string{"email_link", "email_otp"}

// size is how much is measured.
type size struct {
	pairs  int
	load   time.Duration
	idle   int // single deliveries of each flow
	starts int
}

// measured is the report on one database.
type measured struct {
	ready              time.Duration
	rest, rested, peak float64 // MB
	idle               map[string]times
	pairs              map[string]comparison
	asks               times
	asked              time.Duration
	cheap, standard    map[string]resets
	counted            map[string]counted
	postgres           bool
}

// BenchmarkReport prints the report. It runs once, whatever -benchtime says.
func BenchmarkReport(b *testing.B) {
	if b.N > 1 {
		return
	}
	s := size{pairs: *pairsFlag, load: *loadFlag, idle: 150, starts: 7}
	out := strings.Builder{}
	load, _ := os.ReadFile("/proc/loadavg")
	others, _, _ := strings.Cut(string(load), " ")
	fmt.Fprintf(&out, "\n%d processors for everything, load of others before the run %s, %s, %d clients, 8 KiB written and synced in %s.\n\n",
		runtime.NumCPU(), others, runtime.Version(), clients, show(fsyncTime(b)))
	listing := io.Discard
	if path := os.Getenv("RESETFLOW_BENCH_STATEMENTS"); path != "" {
		f, err := os.Create(path)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		listing = f
	}
	pg := measure(b, "PostgreSQL", testkit.Postgres(b), testkit.Postgres(b), s, listing)
	lite := measure(b, "SQLite", file(b), file(b), s, listing)
	table(&out, pg, lite)
	fmt.Println(out.String())
}

func file(tb testing.TB) string { return "sqlite:" + filepath.Join(tb.TempDir(), "bench.db") }

// measure runs everything on one kind of database; url and second are empty
// databases, the second one for counting statements.
func measure(tb testing.TB, name, url, second string, s size, listing io.Writer) measured {
	tb.Helper()
	begin := time.Now()
	say := func(what string) { fmt.Fprintf(os.Stderr, "%6.1fs %s: %s\n", time.Since(begin).Seconds(), name, what) }
	out := measured{
		postgres: strings.HasPrefix(url, "postgres"),
		idle:     map[string]times{}, pairs: map[string]comparison{}, counted: map[string]counted{},
		cheap: map[string]resets{}, standard: map[string]resets{},
	}
	mails := newSink(tb)
	accounts := 2*s.pairs + 4000
	say("making accounts")
	seed(tb, url, accounts)
	seed(tb, second, 4000)

	say("counting statements")
	func() {
		inside := &scope{TB: tb}
		defer inside.end()
		t, seen := observed(inside, second, mails, 4000)
		for _, flow := range flowNames {
			c := countStatements(inside, t, seen, flow, s.load/4)
			c.write(listing, name+", "+flow)
			out.counted[flow] = c
		}
	}()

	say("starting")
	out.ready = startToReady(tb, url, mails, s.starts)
	server, t := start(tb, url, mails, accounts, cheapest)
	pid := child(tb)
	m := newMeter(tb, pid, url)
	time.Sleep(2 * time.Second)
	out.rest, _ = memory(pid)

	for _, flow := range flowNames {
		say("single deliveries, " + flow)
		out.idle[flow] = deliveries(tb, t, flow, s.idle)
	}
	for _, flow := range flowNames {
		say("pairs, " + flow)
		out.pairs[flow] = compare(tb, t, flow, s.pairs)
		mails.quiet(time.Second)
	}
	for _, flow := range flowNames {
		say("full resets, " + flow)
		_ = fullResets(tb, t, m, flow, s.load/8) // warm
		out.cheap[flow] = fullResets(tb, t, m, flow, s.load)
	}
	say("request steps")
	out.asks, out.asked = asks(tb, t, s.load)
	mails.quiet(2 * time.Second)
	_, out.peak = memory(pid)
	time.Sleep(3 * time.Second)
	out.rested, _ = memory(pid)
	server.Stop()

	server, t = start(tb, url, mails, accounts, standard)
	m = newMeter(tb, child(tb), url)
	for _, flow := range flowNames {
		say("full resets at the default hash, " + flow)
		_ = fullResets(tb, t, m, flow, s.load/8)
		out.standard[flow] = fullResets(tb, t, m, flow, s.load)
	}
	server.Stop()
	say("done")
	return out
}

// scope ends what was registered with it before the benchmark itself ends.
type scope struct {
	testing.TB
	ends []func()
}

func (s *scope) Cleanup(f func()) { s.ends = append(s.ends, f) }

func (s *scope) end() {
	for i := len(s.ends) - 1; i >= 0; i-- {
		s.ends[i]()
	}
}
