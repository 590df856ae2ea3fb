package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"syscall"
)

type serveCommand struct{ configFlag }

// Run serves until the first SIGTERM or SIGINT and drains then.
func (c serveCommand) Run(ctx context.Context, w *world) error {
	l, err := c.load(w)
	if err != nil {
		return err
	}
	if err := l.CheckServe(); err != nil {
		return wrongUsage(err)
	}
	log := newLogger(w.stderr, l.Log)
	slog.SetDefault(log)
	for _, warning := range l.Warnings {
		log.Warn(warning)
	}
	// Listening comes first: a taken port must show before anything is changed.
	ln, err := listen(ctx, "listen", l.Listen)
	if err != nil {
		return err
	}
	defer func() { _ = ln.Close() }()
	metricsListener, err := listenMetrics(ctx, l.Metrics.Listen)
	if err != nil {
		return err
	}
	db, err := openDatabase(ctx, l.Config)
	if err != nil {
		return err
	}
	if err := migrated(ctx, db, l.Config); err != nil {
		return errors.Join(err, db.Close())
	}
	s, err := wire(l.Config, db, log, log, nil)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	log.Info("resetflow serves", "version", currentVersion(), "address", ln.Addr().String(), "public_url", l.PublicURL, "database", string(db.Dialect()))
	return s.run(ctx, ln, metricsListener)
}

// run serves on ln until ctx ends, drains and closes. It owns the listeners.
func (s *service) run(ctx context.Context, ln, metricsListener net.Listener) (err error) {
	defer func() { err = errors.Join(err, s.close()) }()
	running, stop := context.WithCancel(context.Background())
	defer stop()
	wait, err := s.background(running)
	if err != nil {
		return err
	}
	defer func() { stop(); wait() }()
	debug.FreeOSMemory() // what starting needed and nobody needs again
	failed := make(chan error, 2)
	if metricsListener != nil {
		m := s.metrics.server()
		defer func() { _ = m.Close() }()
		go serveOn(m, metricsListener, failed)
	}
	go serveOn(s.server, ln, failed)
	select {
	case <-ctx.Done():
	case err := <-failed:
		return errors.Join(err, s.drain(s.config.ShutdownTimeout))
	}
	s.log.Info("shutting down; running requests and jobs finish", "within", s.config.ShutdownTimeout.String())
	if err := s.drain(s.config.ShutdownTimeout); err != nil {
		return err
	}
	s.log.Info("stopped")
	return nil
}

func serveOn(server *http.Server, ln net.Listener, failed chan<- error) {
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		failed <- fmt.Errorf("listen: %w", err)
	}
}

// listen opens a port; its error names the key.
func listen(ctx context.Context, key, address string) (net.Listener, error) {
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return ln, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %s is taken by another program; end that, or choose another port", key, address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: %s is not allowed for this user; choose a port above 1023", key, address)
	}
	reason := err.Error()
	if i := strings.LastIndex(reason, ": "); i >= 0 {
		reason = reason[i+2:]
	}
	return nil, fmt.Errorf("%s: cannot listen on %s: %s; choose an address of this machine", key, address, reason)
}

func listenMetrics(ctx context.Context, address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	return listen(ctx, "metrics.listen", address)
}
