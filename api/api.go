// Package api is resetflow for programs: the workflow API, sessions, the admin
// API and the health routes, on echo (contract §3 to §7).
//
// One route table (routes.go) says for every method and path which credential,
// permission and boundary it asks for; routes come from nowhere else, and what
// the table does not name is refused. Handlers judge the shape of input and
// write answers; every rule of a reset is the engine's.
//
// What the web package needs without importing this one: the ticket of a
// request stands in the answer's X-Request-Id header, and the values set with
// echo's Context.Set under "application" and "key" go to the log line.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/resetflow/resetflow/internal/clientip"
	"github.com/resetflow/resetflow/workflow"
)

// Engine is what the API uses of the workflow engine. Errors are [workflow.Error]s.
type Engine interface {
	Request(ctx context.Context, app *workflow.Application, in workflow.RequestInput) (workflow.Accepted, error)
	Resend(ctx context.Context, app *workflow.Application, requestCode string, c workflow.Client) (workflow.Accepted, error)
	Introspect(ctx context.Context, app *workflow.Application, p workflow.Proof, c workflow.Client) (workflow.Introspection, error)
	Reset(ctx context.Context, app *workflow.Application, in workflow.ResetInput) (workflow.Receipt, error)
	CreateLink(ctx context.Context, app *workflow.Application, in workflow.OperatorInput) (workflow.OperatorCode, error)
	RedeemAuthSession(ctx context.Context, app *workflow.Application, code string) (accountID string, err error)
	Cancel(ctx context.Context, app *workflow.Application, id workflow.ID, actor string) error
	RetryMessage(ctx context.Context, app *workflow.Application, id workflow.ID, actor string) error
}

// Requests loads one request; the store has it.
type Requests interface {
	Request(ctx context.Context, application string, at workflow.Locator) (workflow.Request, []workflow.Request, error)
}

// Messages loads one message; the ledger has it.
type Messages interface {
	Message(ctx context.Context, application string, id workflow.ID) (workflow.Message, workflow.Request, error)
}

// Settings read and write an application's JSON form; the functions of
// internal/settings are these.
type Settings struct {
	Decode func(body []byte, flows []workflow.FlowPolicy) (workflow.Application, error)
	Merge  func(current workflow.Application, patch []byte, flows []workflow.FlowPolicy) (workflow.Application, error)
	Encode func(app workflow.Application, flows ...workflow.FlowPolicy) ([]byte, error)
}

// Deps is everything the API stands on. Fields without "optional" are required.
type Deps struct {
	Engine       Engine
	Applications workflow.Registry
	Keys         workflow.APIKeys
	Users        workflow.Users
	Sessions     workflow.Sessions
	History      workflow.History
	Requests     Requests
	Messages     Messages
	Trail        Trail // nil: refusals are not recorded, and audit-events fails
	Policies     workflow.Policies
	Hasher       workflow.Hasher
	Limiter      workflow.Limiter
	Clock        workflow.Clock
	KnownHash    func(hash string) error // nil where a foreign hash can be verified here
	Flows        []workflow.FlowPolicy
	Settings     Settings
	Clients      *clientip.Resolver

	AdminToken string // "" closes it
	PublicURL  string // an https URL switches HSTS on

	// Ready runs the readiness checks. Optional: ready without checks.
	Ready func(ctx context.Context) (ready bool, checks map[string]string)
	// Log gets a line for each request. Optional: slog's default.
	Log *slog.Logger
	// Observe counts a request under its route pattern. Optional.
	Observe func(method, route string, status int, took time.Duration)
	// Page answers errors of paths outside the API for people; false leaves the
	// answer to the API's problem+json. Optional.
	Page func(c echo.Context, err *workflow.Error) bool
}

type server struct {
	Deps
	admin [32]byte // SHA-256 of the admin token
	hsts  bool
	told  refusals
}

func newServer(d Deps) *server {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Clients == nil {
		d.Clients = clientip.New(nil)
	}
	s := &server{Deps: d, hsts: isHTTPS(d.PublicURL)}
	s.admin = digest(d.AdminToken)
	return s
}

// NewServer makes the echo instance that the API and the pages share: headers,
// tickets, log line, metrics, deadline, recovery and the error answer stand
// around every route, also around those registered later. The API's own routes
// are registered.
func NewServer(d Deps) *echo.Echo {
	s := newServer(d)
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Logger.SetOutput(discard{})
	e.HTTPErrorHandler = s.fail
	// Nothing may ask echo for an address: unset, it believes any client's
	// headers. Ours comes from the resolver.
	e.IPExtractor = func(r *http.Request) string {
		ip, _, _ := s.Clients.Resolve(r)
		return ip.String()
	}
	e.Pre(s.around)
	s.register(e)
	return e
}

// Register adds the API's routes to e, whose error handler and middleware are
// the caller's business; [NewServer] does both.
func Register(e *echo.Echo, d Deps) { newServer(d).register(e) }

func (s *server) register(e *echo.Echo) {
	routes := table()
	for i := range routes {
		rt := &routes[i]
		h := s.handler(rt)
		e.Add(rt.method, rt.path, h)
		if rt.method == http.MethodGet {
			e.Add(http.MethodHead, rt.path, h)
		}
		if rt.crossOrigin() {
			e.Add(http.MethodOptions, rt.path, s.preflight(rt))
		}
	}
}

// HTTPServer wraps h with the time-outs and bounds of the service; the caller
// listens and shuts down.
func HTTPServer(h http.Handler, addr string) *http.Server {
	return &http.Server{
		Addr:                         addr,
		Handler:                      h,
		ReadHeaderTimeout:            5 * time.Second,
		ReadTimeout:                  15 * time.Second,
		WriteTimeout:                 35 * time.Second,
		IdleTimeout:                  60 * time.Second,
		MaxHeaderBytes:               16 << 10,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
