package web

import (
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/resetflow/resetflow/templates"
	"github.com/resetflow/resetflow/workflow"
)

// Engine is what the pages ask of the workflow.
type Engine interface {
	Request(ctx context.Context, app *workflow.Application, in workflow.RequestInput) (workflow.Accepted, error)
	Resend(ctx context.Context, app *workflow.Application, requestCode string, c workflow.Client) (workflow.Accepted, error)
	Introspect(ctx context.Context, app *workflow.Application, p workflow.Proof, c workflow.Client) (workflow.Introspection, error)
	Reset(ctx context.Context, app *workflow.Application, in workflow.ResetInput) (workflow.Receipt, error)
	NotMe(ctx context.Context, app *workflow.Application, code string, c workflow.Client) (workflow.Disowned, error)
}

// Applications finds the application of a path or of a mapped host.
// [workflow.Registry] has these methods.
type Applications interface {
	Application(ctx context.Context, slug string) (*workflow.Application, error)
	ByHost(ctx context.Context, host string) (*workflow.Application, error)
	List(ctx context.Context, cursor string, limit int) (apps []workflow.Application, next string, err error)
}

// Texts holds the words of the pages. [templates.Set] implements it.
type Texts interface {
	// Page returns the texts of the best fitting language there is.
	Page(locale string) *templates.PageTexts
	// Match returns the language that fits the first wish it can fit; a wish
	// is a tag or an Accept-Language header.
	Match(wanted ...string) string
	// Names lists the languages there are.
	Names() []templates.Named
}

// Clients tells the address of the end user behind a request.
type Clients interface {
	// Resolve returns the address to count and record; peer marks a private
	// forwarder that is not a trusted proxy, warn that it should be one.
	Resolve(r *http.Request) (ip netip.Addr, peer, warn bool)
}

// Deps is what the pages need from outside. Inbox and Demo are nil outside of
// `resetflow demo`; Logger defaults to slog.Default.
type Deps struct {
	Engine       Engine
	Applications Applications
	Texts        Texts
	Keys         workflow.Keys
	Clock        workflow.Clock
	Policies     workflow.Policies
	Strength     func(password string) int         // 0 to 4
	Canonical    func(email string) (string, bool) // contract §5's address grammar
	PublicURL    string                            // scheme://host[:port]
	Clients      Clients
	Inbox        Inbox
	Demo         *Demo
	Logger       *slog.Logger
}

// server is the set of pages with its parsed templates.
type server struct {
	Deps
	origin string // of the public URL
	secure bool   // cookies carry Secure
	views  map[string]*template.Template
	static *assets
	checks *throttle
}

// Register adds the pages to e. It fails on a dependency that is missing or a
// public URL that is none.
func Register(e *echo.Echo, d Deps) error {
	s, err := newServer(d)
	if err != nil {
		return err
	}
	pages := map[string]func(*visit) error{
		"/forgot-password":      s.forgot,
		"/forgot-password/sent": s.sent,
		"/reset-password":       s.reset,
		"/reset-password/code":  s.code,
		"/resend":               s.resend,
		"/check-password":       s.checkPassword,
		"/not-me":               s.notMe,
	}
	for path, page := range pages {
		e.Any("/apps/:slug"+path, s.handle(page))
		e.Any(path, s.handle(page))
	}
	e.RouteNotFound("/apps/*", s.handle(func(v *visit) error { return errNotFound }))
	e.Any("/.well-known/change-password", s.handleAnywhere(s.wellKnown))
	e.Any("/", s.handleAnywhere(s.front))
	e.Any("/static/:file", s.serveStatic)
	e.Any("/static/theme/:file", s.serveTheme)
	if d.Inbox != nil {
		e.Any("/dev/inbox", s.handleAnywhere(s.inbox))
		e.Any("/dev/inbox/:id", s.handleAnywhere(s.inboxMail))
		e.Any("/dev/inbox/:id/html", s.inboxHTML)
	}
	return nil
}

func newServer(d Deps) (*server, error) {
	switch {
	case d.Engine == nil, d.Applications == nil, d.Texts == nil, d.Keys == nil, d.Clock == nil,
		d.Policies == nil, d.Strength == nil, d.Canonical == nil, d.Clients == nil:
		return nil, errors.New("web: a dependency is missing; set every field of web.Deps but Inbox, Demo and Logger")
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	u, err := url.Parse(d.PublicURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("web: public_url must be http(s)://host[:port]")
	}
	s := &server{Deps: d, origin: strings.ToLower(u.Scheme + "://" + u.Host), checks: newThrottle()}
	s.secure = !(u.Scheme == "http" && loopback(u.Hostname()))
	if s.static, err = loadAssets(); err != nil {
		return nil, err
	}
	if s.views, err = loadViews(); err != nil {
		return nil, err
	}
	return s, nil
}

// loopback reports whether host is this machine.
func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
