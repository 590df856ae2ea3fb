package bench

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/api"
	"github.com/resetflow/resetflow/directory"
	"github.com/resetflow/resetflow/directory/builtin"
	"github.com/resetflow/resetflow/flows"
	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/password"
	"github.com/resetflow/resetflow/internal/settings"
	"github.com/resetflow/resetflow/notify"
	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/templates"
	"github.com/resetflow/resetflow/workflow"
)

// statements counts what is sent to a database. Everything between two
// readings counts, also what the queue and the caches ask by themselves.
type statements struct {
	mu     sync.Mutex
	texts  []string
	open   bool // SQLite's one writer is within a transaction
	count  int  // without begin, commit and rollback
	writes int  // write transactions, on SQLite
}

func (s *statements) see(sql string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts = append(s.texts, sql)
	switch verb := strings.ToLower(strings.SplitN(strings.TrimSpace(sql), " ", 2)[0]); verb {
	case "begin":
		s.open = true
	case "commit":
		s.open = false
		s.writes++
	case "rollback":
		s.open = false
	default:
		s.count++
		if !s.open && writing.MatchString(sql) {
			s.writes++
		}
	}
}

var writing = regexp.MustCompile(`(?i)\b(insert into|update|delete from)\b`)

func (s *statements) take() (count, writes int, texts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	count, writes, texts = s.count, s.writes, s.texts
	s.count, s.writes, s.texts = 0, 0, nil
	return count, writes, texts
}

// observed runs the service in this process, wired as cmd does, on a database
// whose statements are seen. It is for counting; times are taken elsewhere.
func observed(tb testing.TB, url string, s *sink, accounts int) (*target, *statements) {
	tb.Helper()
	ctx := context.Background()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	seen := &statements{}
	db, err := database.Open(ctx, url, database.Options{Statements: seen.see})
	must(err)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	texts, err := templates.New()
	must(err)
	server, err := notify.ParseURL(s.url())
	must(err)
	sender, err := notify.NewSender(notify.Options{From: "no-reply@acme.test", Templates: texts, Server: &server, Logger: log})
	must(err)
	var engine *workflow.Engine
	queue, err := storage.NewQueue(db, storage.QueueOptions{Logger: log, Work: func(ctx context.Context, j workflow.Job) error { return engine.Work(ctx, j) }})
	must(err)
	store, keys, pool := storage.New(db, queue, systemClock{}), keyring(tb), cheap()
	accountsOf := builtin.New(db, keys, pool, store, systemClock{}, builtin.Options{})
	checker := password.NewChecker(password.Argon2id)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	public := "http://" + l.Addr().String()
	engine, err = workflow.New(workflow.Options{
		Store: store, Ledger: store, Sweeping: store, Limiter: store, Directories: directory.NewSet(accountsOf), Applications: store,
		Hasher: pool, Policies: checker, Keys: keys, Deliverer: sender, Clock: systemClock{}, Flows: flows.Builtin(),
		PublicURL: public, MessageIDDomain: "acme.test", MatchLocale: texts.Match, Logger: log,
	})
	must(err)
	e := api.NewServer(api.Deps{
		Engine: engine, Applications: store, Keys: store, Users: accountsOf, Sessions: accountsOf, History: store, Requests: store,
		Messages: store, Policies: checker, Hasher: pool, Limiter: store, Clock: systemClock{}, KnownHash: password.Known,
		Flows: policies(), Settings: api.Settings{Decode: settings.Decode, Merge: settings.Merge, Encode: settings.Encode}, PublicURL: public, Log: log,
	})
	running, stop := context.WithCancel(ctx)
	must(queue.Start(running))
	loops := sync.WaitGroup{}
	loops.Go(func() { store.Run(running) })
	h := api.HTTPServer(e, l.Addr().String())
	go func() { _ = h.Serve(l) }()
	tb.Cleanup(func() {
		stop()
		_ = h.Close()
		bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		_ = queue.Stop(bounded)
		loops.Wait()
		sender.Close()
		_ = db.Close()
	})
	key, row, err := api.NewKey("acme", "bench", workflow.KeySecret, []string{"password-reset-workflow:execute"}, nil, time.Now())
	must(err)
	must(store.CreateKey(ctx, row, "bench"))
	return &target{host: l.Addr().String(), key: key, sink: s, accounts: accounts}, seen
}

// counted is what a full reset sends to the database.
type counted struct {
	statements float64 // of each reset, at 16 clients
	writes     float64 // write transactions of each; SQLite only
	alone      []string
	total      map[string]float64 // by text, of each reset at 16 clients
}

func countStatements(tb testing.TB, t *target, seen *statements, flow string, d time.Duration) counted {
	tb.Helper()
	var out counted
	c, err := t.dial()
	if err != nil {
		tb.Fatal(err)
	}
	defer c.close()
	// The second one alone: the first fills caches.
	for range 2 {
		t.sink.quiet(200 * time.Millisecond)
		seen.take()
		if err := c.reset(flow); err != nil {
			tb.Fatal(err)
		}
		t.sink.quiet(200 * time.Millisecond)
		_, _, out.alone = seen.take()
	}
	r := fullResets(tb, t, meter{tb: tb}, flow, d)
	n, writes, texts := seen.take()
	out.statements, out.writes = r.each(float64(n)), r.each(float64(writes))
	out.total = map[string]float64{}
	for _, text := range texts {
		out.total[squeeze(text)] += 1 / float64(r.count)
	}
	return out
}

var blanks = regexp.MustCompile(`\s+`)

func squeeze(sql string) string { return strings.TrimSpace(blanks.ReplaceAllString(sql, " ")) }

// write lists what was counted, the sequence of a single reset first.
func (c counted) write(w io.Writer, title string) {
	fmt.Fprintf(w, "# %s: one reset alone\n", title)
	for _, text := range c.alone {
		fmt.Fprintf(w, "%s\n", squeeze(text))
	}
	fmt.Fprintf(w, "\n# %s: of each reset at %d clients\n", title, clients)
	var list []string
	for text := range c.total {
		list = append(list, text)
	}
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(cmp.Compare(c.total[b], c.total[a]), cmp.Compare(a, b)) })
	for _, text := range list {
		fmt.Fprintf(w, "%6.2f  %s\n", c.total[text], text)
	}
	fmt.Fprintln(w)
}
