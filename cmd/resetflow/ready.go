package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/resetflow/resetflow/internal/clientip"
	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/notify"
)

// readiness judges /readyz. Only what a request needs makes it fail: the
// database. A mail server that is down is a warning, because requests are taken
// and their messages wait; failing here would take every node out of service.
type readiness struct {
	db      *database.DB
	sender  *notify.Sender
	smtp    bool // configured
	clients *clientip.Resolver
	mail    atomic.Value // string: the last probe's answer
	leaving atomic.Bool  // draining
}

const (
	mailEvery   = 15 * time.Second
	dbPatience  = 2 * time.Second
	proxyMemory = 10 * time.Minute
)

func newReadiness(db *database.DB, sender *notify.Sender, smtp bool, clients *clientip.Resolver) *readiness {
	r := &readiness{db: db, sender: sender, smtp: smtp, clients: clients}
	r.mail.Store("not probed yet")
	if !smtp {
		r.mail.Store("warn: smtp.url is not set; messages wait in the queue")
	}
	return r
}

// watch probes the mail server beside the requests: a probe may take seconds.
func (r *readiness) watch(ctx context.Context) {
	if !r.smtp {
		return
	}
	every(ctx, mailEvery, func(ctx context.Context) {
		if err := r.sender.Ping(ctx); err != nil {
			r.mail.Store("warn: the mail server does not answer; messages wait in the queue")
			return
		}
		r.mail.Store("ok")
	})
}

func (r *readiness) check(ctx context.Context) (bool, map[string]string) {
	ctx, cancel := context.WithTimeout(ctx, dbPatience)
	defer cancel()
	ready := true
	checks := map[string]string{"database": "ok", "smtp": r.mail.Load().(string)}
	if err := r.db.Ping(ctx); err != nil {
		ready, checks["database"] = false, "fail: the database does not answer"
	}
	if r.clients.Untrusted(proxyMemory) {
		checks["untrusted_proxy"] = "warn: a proxy outside trusted_proxies forwards requests; its clients share one limit"
	}
	if r.leaving.Load() {
		ready, checks["shutdown"] = false, "fail: shutting down"
	}
	return ready, checks
}
