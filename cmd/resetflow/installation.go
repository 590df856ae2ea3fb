package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/user"
	"strings"
	"time"

	"github.com/resetflow/resetflow/config"
	"github.com/resetflow/resetflow/flows"
	"github.com/resetflow/resetflow/workflow"
)

// configFlag names the configuration file.
type configFlag struct {
	Config string `short:"c" placeholder:"FILE" help:"Configuration file (default: resetflow.yaml, if there is one)."`
}

// load reads the configuration; its errors are exit code 2.
func (f configFlag) load(w *world) (config.Loaded, error) {
	l, err := config.Load(f.Config, w.environ)
	if err != nil {
		return l, wrongUsage(err)
	}
	return l, nil
}

// target is where a command works: directly on the configured database, or on
// a running service through its admin API.
type target struct {
	configFlag
	Server string `placeholder:"URL" help:"Work through the admin API of this service instead of the database."`
	Token  string `placeholder:"TOKEN" help:"Admin token or API key for --server (default: $RESETFLOW_ADMIN_TOKEN)."`
}

// installation is what the commands need of either. Errors are the domain's.
type installation interface {
	application(ctx context.Context, slug string) (workflow.Application, error)
	create(ctx context.Context, app workflow.Application) error
	// update saves app over old, which was read before.
	update(ctx context.Context, old, app workflow.Application) error
	createKey(ctx context.Context, k newKey) (key, id string, err error)
	keys(ctx context.Context, application string) ([]workflow.APIKey, error)
	revokeKey(ctx context.Context, application, id string) error
	createUser(ctx context.Context, application string, u workflow.NewUser) error
	userExists(ctx context.Context, application, email string) (bool, error)
	close()
}

// newKey is a key to make.
type newKey struct {
	application, name    string
	kind                 workflow.KeyType
	permissions, origins []string
}

// open connects. Warnings of the configuration go to stderr.
func (t target) open(ctx context.Context, w *world) (installation, error) {
	if t.Server == "" {
		if t.Token != "" {
			return nil, wrongUsage(errors.New("--token: only for --server; the database needs none"))
		}
		l, err := t.load(w)
		if err != nil {
			return nil, err
		}
		for _, warning := range l.Warnings {
			fmt.Fprintln(w.stderr, "resetflow: warning: "+printable(warning))
		}
		return openLocal(ctx, l.Config)
	}
	token := t.Token
	if token == "" {
		token = variable(w.environ, "RESETFLOW_ADMIN_TOKEN")
	}
	if token == "" {
		return nil, wrongUsage(errors.New("--server: needs a token; set RESETFLOW_ADMIN_TOKEN or --token"))
	}
	u, err := url.Parse(strings.TrimRight(t.Server, "/"))
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return nil, wrongUsage(errors.New("--server: must be an https address such as https://reset.example.com, because the token travels over it (http for loopback only)"))
	}
	return newRemote(u.String(), token), nil
}

func variable(environ []string, name string) string {
	value := ""
	for _, pair := range environ {
		if v, ok := strings.CutPrefix(pair, name+"="); ok {
			value = v
		}
	}
	return value
}

// policies are the rules of the flows this program knows.
func policies() []workflow.FlowPolicy {
	var out []workflow.FlowPolicy
	for _, f := range flows.Builtin() {
		out = append(out, f.Policy())
	}
	return out
}

// actor names who runs a command, for the audit trail.
func actor() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return "command:" + u.Username
	}
	return "command"
}

// notFound says which application is meant.
func notFound(application string, err error) error {
	if errors.Is(err, workflow.ErrNotFound) {
		return fmt.Errorf("%s: there is no such application; apply it first", application)
	}
	return err
}

// systemClock is the one clock of the program.
type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }
