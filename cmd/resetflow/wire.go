package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/resetflow/resetflow/api"
	"github.com/resetflow/resetflow/config"
	"github.com/resetflow/resetflow/directory"
	"github.com/resetflow/resetflow/directory/builtin"
	"github.com/resetflow/resetflow/flows"
	"github.com/resetflow/resetflow/internal/address"
	"github.com/resetflow/resetflow/internal/clientip"
	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/password"
	"github.com/resetflow/resetflow/internal/password/leaks"
	"github.com/resetflow/resetflow/internal/secret"
	"github.com/resetflow/resetflow/internal/settings"
	"github.com/resetflow/resetflow/notify"
	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/templates"
	"github.com/resetflow/resetflow/web"
	"github.com/resetflow/resetflow/workflow"
)

// service is everything `serve` and `demo` run, wired together.
type service struct {
	config   config.Config
	log      *slog.Logger
	db       *database.DB
	store    *storage.Store
	queue    *storage.Queue
	engine   *workflow.Engine
	chain    *storage.AuditChain
	accounts *builtin.Directory
	pool     *password.Pool
	sender   *notify.Sender
	ready    *readiness
	metrics  *metrics
	server   *http.Server
	leaked   *leaks.Filter // nil without breached.file
}

// demoParts is what only the demo has.
type demoParts struct {
	inbox web.Inbox
	front *web.Demo
}

// wire builds a service on an opened and migrated database. Nothing runs yet.
func wire(c config.Config, db *database.DB, log, mailLog *slog.Logger, demo *demoParts) (*service, error) {
	keyring, err := secret.NewKeyring(c.SecretKeys...)
	if err != nil {
		return nil, wrongUsage(named("secret_keys", err))
	}
	s := &service{config: c, log: log, db: db, pool: newPool(c.KDF), metrics: newMetrics()}
	texts, err := templates.New()
	if err != nil {
		return nil, err
	}
	if s.sender, err = newSender(c, texts, mailLog); err != nil {
		return nil, err
	}
	s.queue, err = storage.NewQueue(db, storage.QueueOptions{
		Work:   func(ctx context.Context, job workflow.Job) error { return s.engine.Work(ctx, job) },
		Logger: log,
	})
	if err != nil {
		return nil, err
	}
	s.store = storage.New(db, s.queue, systemClock{})
	s.chain = storage.NewAuditChain(s.store, keyring)
	accounts := builtin.New(db, keyring, s.pool, s.store, systemClock{}, builtin.Options{Issuer: c.PublicURL})
	s.accounts = accounts
	checker, err := s.newChecker(c, log)
	if err != nil {
		return nil, err
	}
	s.engine, err = workflow.New(workflow.Options{
		Store: s.store, Ledger: s.store, Sweeping: s.store, Limiter: s.store, Directories: directory.NewSet(accounts), Applications: s.store,
		Hasher: s.pool, Policies: checker, Keys: keyring, Deliverer: s.sender, Clock: systemClock{}, Flows: flows.Builtin(),
		PublicURL: c.PublicURL, MessageIDDomain: c.MailDomain(), MatchLocale: texts.Match, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	clients := clientip.New(c.TrustedProxies)
	s.ready = newReadiness(db, s.sender, c.SMTP.URL != "", clients)
	e := api.NewServer(api.Deps{
		Engine: s.engine, Applications: s.store, Keys: s.store, Users: accounts, Sessions: accounts, History: s.store, Requests: s.store,
		Messages: s.store, Trail: s.store, Policies: checker, Hasher: s.pool, Limiter: s.store, Clock: systemClock{}, KnownHash: s.pool.Takes,
		Flows: policies(), Settings: api.Settings{Decode: settings.Decode, Merge: settings.Merge, Encode: settings.Encode},
		Clients: clients, AdminToken: c.Admin.Token, PublicURL: c.PublicURL, Ready: s.ready.check, Log: log, Observe: s.metrics.observe,
	})
	pages := web.Deps{
		Engine: s.engine, Applications: s.store, Texts: texts, Keys: keyring, Clock: systemClock{}, Policies: checker,
		Strength: password.Strength, Canonical: address.Parse, PublicURL: c.PublicURL, Clients: clients, Logger: log,
	}
	if demo != nil {
		pages.Inbox, pages.Demo = demo.inbox, demo.front
	}
	if err := web.Register(e, pages); err != nil {
		return nil, err
	}
	s.server = api.HTTPServer(e, c.Listen)
	return s, nil
}

func newPool(k config.KDF) *password.Pool {
	return password.NewPool(password.Options{
		Algorithm: password.Algorithm(k.Algorithm), Argon2Time: k.Argon2Time, Argon2Memory: int(k.Argon2Memory >> 10), Argon2Threads: k.Argon2Threads,
		BcryptCost: k.BcryptCost, MaxConcurrent: k.MaxConcurrent, MaxMemory: k.MaxMemory, Queue: k.Queue,
	})
}

// newChecker makes the judge of new passwords, with what the configuration says
// about leaks.
func (s *service) newChecker(c config.Config, log *slog.Logger) (*password.Checker, error) {
	known := password.Leaks{Logger: log, Online: leaks.NewOnline(leaks.OnlineOptions{URL: c.Breached.URL, AllowPrivate: c.Breached.AllowPrivate})}
	if c.Breached.File != "" {
		filter, err := leaks.Open(c.Breached.File)
		if err != nil {
			return nil, wrongUsage(named("breached.file", err))
		}
		s.leaked, known.File = filter, filter
	}
	return password.NewChecker(password.Algorithm(c.KDF.Algorithm)).WithLeaks(known), nil
}

// newSender makes the sender; without smtp.url it keeps messages in the queue.
func newSender(c config.Config, texts *templates.Set, log *slog.Logger) (*notify.Sender, error) {
	o := notify.Options{From: c.Mail.From, Templates: texts, Logger: log}
	if c.SMTP.URL != "" {
		server, err := notify.ParseURL(c.SMTP.URL)
		if err != nil {
			return nil, wrongUsage(named("smtp.url", err))
		}
		o.Server = &server
	}
	return notify.NewSender(o)
}

// The background's rhythm.
const (
	sweepEvery  = 2 * time.Second
	pruneEvery  = time.Hour
	pruneBatch  = 500
	backgroundP = 30 * time.Second // patience of one step
)

// background starts the queue and the loops that end with ctx. The returned
// function waits for the loops.
func (s *service) background(ctx context.Context) (wait func(), err error) {
	if err := s.queue.Start(ctx); err != nil {
		return nil, fmt.Errorf("the job queue does not start: %w", err)
	}
	loops := []func(context.Context){s.store.Run, s.ready.watch, s.sweep, s.prune, s.seal, s.pruneAudit}
	done := make(chan struct{}, len(loops))
	for _, loop := range loops {
		go func() {
			defer func() { done <- struct{}{} }()
			loop(ctx)
		}()
	}
	return func() {
		for range loops {
			<-done
		}
	}, nil
}

// every runs step now and then every interval until ctx ends.
func every(ctx context.Context, interval time.Duration, step func(ctx context.Context)) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		bounded, cancel := context.WithTimeout(ctx, backgroundP)
		step(bounded)
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// sweep expires overdue requests and finishes what a crash left half done.
func (s *service) sweep(ctx context.Context) {
	every(ctx, sweepEvery, func(ctx context.Context) {
		for {
			moved, err := s.engine.Sweep(ctx)
			if err != nil && ctx.Err() == nil {
				s.log.Error("sweeping failed; it is tried again", "error", err)
			}
			if err != nil || moved < 100 {
				return
			}
		}
	})
}

// prune deletes in small batches what retention says is old, and sessions that
// ended as long ago as requests may.
func (s *service) prune(ctx context.Context) {
	every(ctx, pruneEvery, func(ctx context.Context) {
		now, r := systemClock{}.Now(), s.config.Retention
		keep := workflow.Retention{Requests: now.Add(-r.Requests), Messages: now.Add(-r.Messages), Audit: now.Add(-r.Audit)}
		for {
			n, err := s.store.Prune(ctx, keep, pruneBatch)
			ended, serr := s.accounts.Prune(ctx, keep.Requests, pruneBatch)
			if err = errors.Join(err, serr); err != nil && ctx.Err() == nil {
				s.log.Error("pruning failed; it is tried again in an hour", "error", err)
			}
			if err != nil || n < pruneBatch && ended < pruneBatch {
				return
			}
		}
	})
}

// close ends what holds connections.
func (s *service) close() error {
	s.sender.Close()
	if s.leaked != nil {
		_ = s.leaked.Close()
	}
	return s.db.Close()
}

// cutOff says that something was still running when patience ended.
type cutOff struct{ error }

// drain ends the service: no new work, what runs may finish within patience.
func (s *service) drain(patience time.Duration) error {
	s.ready.leaving.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	jobs := make(chan error, 1)
	go func() { jobs <- s.queue.Stop(ctx) }()
	err := s.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		_ = s.server.Close()
		err = cutOff{fmt.Errorf("shutdown_timeout: requests were still running after %s and were cut off; raise it if they need longer", patience)}
	}
	switch stop := <-jobs; {
	case errors.Is(stop, context.DeadlineExceeded) && err == nil:
		err = cutOff{fmt.Errorf("shutdown_timeout: jobs were still running after %s; they run again at the next start", patience)}
	case stop != nil && err == nil:
		err = stop
	}
	return err
}
