package attacks

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/internal/testkit/product"
)

// OldPassword and NewPassword are what accounts start with and change to.
const (
	OldPassword = product.OldPassword
	NewPassword = product.NewPassword
)

// kinds are the databases every row runs on.
var kinds = []string{"sqlite", "postgres"}

// flowNames are the three ways to prove control of an account.
var flowNames = []string{"email_link", "email_otp", "direct_code"}

// permissions are what a row's own key may do.
var permissions = []string{"password-reset-workflow:execute", "password-reset-link:create", "sessions:execute"}

func TestMain(m *testing.M) {
	flag.Parse()
	parallel := "8" // rows mostly wait for mails, not for a processor
	flag.Visit(func(f *flag.Flag) {
		if f.Name == "test.parallel" {
			parallel = f.Value.String()
		}
	})
	_ = flag.Set("test.parallel", parallel)
	testkit.Main(m, endLasting, report)
}

// lasting stands in for the test that happens to come first where something is
// shared by all rows: what it registers ends with the package.
type lasting struct {
	testing.TB
}

var ending struct {
	mu    sync.Mutex
	funcs []func()
}

func (l lasting) Cleanup(fn func()) {
	ending.mu.Lock()
	defer ending.mu.Unlock()
	ending.funcs = append(ending.funcs, fn)
}

func (l lasting) TempDir() string {
	dir, err := os.MkdirTemp("", "resetflow-attacks-")
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func endLasting() {
	for i := len(ending.funcs) - 1; i >= 0; i-- {
		ending.funcs[i]()
	}
}

// target is one running service and a look into its database.
type target struct {
	once sync.Once
	node *product.Server
	db   *database.DB
	url  string

	besideOnce sync.Once
	beside     *product.Server
}

var targets = map[string]*target{"sqlite": {}, "postgres": {}}

// watch looks at every file the binary is built from, so that a cached result
// of these tests does not outlive a change: go test cannot know of the build.
func watch(t testing.TB) {
	err := filepath.WalkDir(product.Root(), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin"):
			return filepath.SkipDir
		case d.IsDir() || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		switch filepath.Ext(path) {
		case ".go", ".sql", ".html", ".css", ".js", ".yaml", ".json", ".toml", ".mod":
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (g *target) start(t testing.TB, kind string) {
	g.once.Do(func() {
		l := lasting{t}
		watch(l)
		binary := product.Build(l)
		l.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(binary)) })
		if g.url = "sqlite:" + filepath.Join(l.TempDir(), "reset.db"); kind == "postgres" {
			g.url = testkit.Postgres(l)
		}
		g.node = product.Start(l, product.Options{Database: g.url})
		db, err := database.Open(context.Background(), g.url, database.Options{MaxConnections: 4})
		if err != nil {
			t.Fatal(err)
		}
		l.Cleanup(func() { _ = db.Close() })
		g.db = db
	})
	if g.db == nil {
		t.Fatalf("the service on %s did not start; an earlier row says why", kind)
	}
}

// World is what one row attacks: a service, an application of its own with
// every flow on and wide limits, and a secret key of it.
type World struct {
	*product.Server

	T        *testing.T
	Kind     string // of the database: sqlite or postgres
	Slug     string
	Key      string
	DB       *database.DB // the service's database, from beside it
	Database string       // database.url, for a service of the row's own

	group *target
}

var slugs atomic.Int64

// wide are limits that only a row about limits changes.
var wide = map[string]any{
	"perAddress": "10000/h", "perIp": "1000000/h", "perPeer": "1000000/h", "perApplication": "1000000/h",
	"mailsPerAccount": "10000/h", "failedCodes": "10000/h", "failedLogins": "10000/h",
}

// limited is wide with some limits changed.
func limited(change map[string]any) map[string]any {
	limits := map[string]any{}
	for k, v := range wide {
		limits[k] = v
	}
	for k, v := range change {
		limits[k] = v
	}
	return map[string]any{"limits": limits}
}

// row declares one attack and runs it on both databases, as subtests
// "<id>/sqlite" and "<id>/postgres". over changes the row's application.
func row(t *testing.T, id, name string, attack func(t *testing.T, x *World), over ...map[string]any) {
	t.Helper()
	rowOnce(t, id, name, func(t *testing.T) {
		for _, kind := range kinds {
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				attack(t, newWorld(t, kind, id, over...))
			})
		}
	})
}

// rowOnce declares one attack that needs no running service, or several.
func rowOnce(t *testing.T, id, name string, attack func(t *testing.T)) {
	t.Helper()
	t.Run(id, func(t *testing.T) {
		t.Parallel()
		t.Log(name)
		registry.add(t, id)
		attack(t)
	})
}

func newWorld(t *testing.T, kind, id string, over ...map[string]any) *World {
	t.Helper()
	g := targets[kind]
	g.start(t, kind)
	x := &World{Server: g.node.For(t), T: t, Kind: kind, DB: g.db, Database: g.url, group: g}
	x.Slug = fmt.Sprintf("%s-%d", strings.ToLower(id), slugs.Add(1))
	x.Application(x.Slug, settings(over...))
	x.Key = x.Server.Key(x.Slug, "secret", permissions...)
	return x
}

func settings(over ...map[string]any) map[string]any {
	app := map[string]any{"limits": wide}
	for _, o := range over {
		for k, v := range o {
			app[k] = v
		}
	}
	return app
}

// Second makes another application on the same service, with its own key.
func (x *World) Second(over ...map[string]any) *World {
	x.T.Helper()
	y := *x
	y.Slug = fmt.Sprintf("%s-b%d", x.Slug, slugs.Add(1))
	y.Application(y.Slug, settings(over...))
	y.Key = y.Server.Key(y.Slug, "secret", permissions...)
	return &y
}

// Beside is x through the second node: on PostgreSQL another process on the
// same database, on SQLite, which has one node, x itself.
func (x *World) Beside() *World {
	x.T.Helper()
	if x.Kind != "postgres" {
		return x
	}
	x.group.besideOnce.Do(func() { x.group.beside = x.group.node.For(lasting{x.T}).Beside() })
	if x.group.beside == nil {
		x.T.Fatal("the second node did not start; an earlier row says why")
	}
	y := *x
	y.Server = x.group.beside.For(x.T)
	return &y
}

// on is x reporting to another test.
func (x *World) on(t *testing.T) *World {
	y := *x
	y.T, y.Server = t, x.Server.For(t)
	return &y
}

// EachFlow runs an attack for every flow, as subtests.
func (x *World) EachFlow(attack func(t *testing.T, x *World, flow string)) {
	for _, flow := range flowNames {
		x.T.Run(flow, func(t *testing.T) { attack(t, x.on(t), flow) })
	}
}

// registry counts the rows that held.
var registry = &results{rows: map[string]bool{}}

type results struct {
	mu   sync.Mutex
	rows map[string]bool // id: held
}

func (r *results) add(t *testing.T, id string) {
	r.mu.Lock()
	_, twice := r.rows[id]
	r.rows[id] = false
	r.mu.Unlock()
	if twice {
		t.Errorf("the row %s is declared twice", id)
	}
	t.Cleanup(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.rows[id] = !t.Failed()
	})
}

// report prints held and total by group.
func report() {
	if !testing.Verbose() || len(registry.rows) == 0 {
		return
	}
	held, total := map[string]int{}, map[string]int{}
	for id, ok := range registry.rows {
		group, _, _ := strings.Cut(id, "-")
		for _, g := range []string{group, "all"} {
			total[g]++
			if ok {
				held[g]++
			}
		}
	}
	groups := make([]string, 0, len(total))
	for g := range total {
		if g != "all" {
			groups = append(groups, g)
		}
	}
	sort.Strings(groups)
	for _, g := range append(groups, "all") {
		fmt.Printf("attacks: %-4s %3d/%d held\n", g, held[g], total[g]) //nolint:forbidigo // the report is what the command is for
	}
}

// Workflow posts to a step of the workflow with the row's key, each call as
// another end user, so that no cool-down stands between them.
func (x *World) Workflow(step, body string) product.Answer {
	x.T.Helper()
	return x.Call("POST", "/api/v1/password-reset/"+step, x.Key, body, map[string]string{"X-Resetflow-Client-IP": clientIP()})
}

var clients atomic.Int64

// clientIP is an end user's address that no call had before.
func clientIP() string {
	n := clients.Add(1)
	return fmt.Sprintf("198.%d.%d.%d", 18+n>>16&1, n>>8&255, n&255)
}

// statusIs fails the test unless an answer has a status.
func statusIs(t *testing.T, got product.Answer, status int) {
	t.Helper()
	if got.Status != status {
		t.Errorf("%d %s, want %d %s", got.Status, got.Body, status, http.StatusText(status))
	}
}
