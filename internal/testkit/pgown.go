package testkit

import (
	"bytes"
	"context"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Cluster is a PostgreSQL server of one test's own, which may be crashed. Unlike
// the shared one it writes what it has committed to its log before it answers.
type Cluster struct {
	t              testing.TB
	bin, dir, data string
	attr           *syscall.SysProcAttr
	log            bytes.Buffer
	watch          io.WriteCloser
	done           chan struct{}
}

// NewCluster makes and starts a server that ends with the test.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	attr, owner, err := unprivileged()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "resetflow-pg-own-") // not the test's: its parents are closed to the server's user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if owner != nil {
		if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	c := &Cluster{t: t, bin: bin, dir: dir, data: filepath.Join(dir, "data"), attr: attr}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", c.data, "-U", "postgres", "-A", "trust",
		"-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
	initdb.Dir, initdb.SysProcAttr = dir, attr
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v: %s", err, out)
	}
	c.Start()
	t.Cleanup(c.Crash)
	return c
}

// URL is the URL of the server's first database.
func (c *Cluster) URL() string { return "postgres://postgres@/postgres?host=" + url.QueryEscape(c.dir) }

// watchOwn is watcher without the removal of the folder, which a restart needs.
const watchOwn = `"$@" & pid=$!; cat >/dev/null; kill -QUIT $pid; wait $pid`

// Start starts the server and returns once it takes connections.
func (c *Cluster) Start() {
	c.t.Helper()
	cmd := exec.Command("/bin/sh", "-c", watchOwn, "sh", filepath.Join(c.bin, "postgres"), "-D", c.data,
		"-c", "listen_addresses=", "-c", "unix_socket_directories="+c.dir, "-c", "fsync=off", "-c", "synchronous_commit=on", "-c", "log_min_messages=fatal")
	cmd.Dir = c.dir
	cmd.Stdout, cmd.Stderr = &c.log, &c.log
	own := syscall.SysProcAttr{}
	if c.attr != nil {
		own = *c.attr
	}
	own.Setpgid = true
	cmd.SysProcAttr = &own
	watch, err := cmd.StdinPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	done := make(chan struct{})
	c.watch, c.done = watch, done
	go func() { _ = cmd.Wait(); close(done) }()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, c.URL())
		if err == nil {
			_ = conn.Close(ctx)
			return
		}
		if ctx.Err() != nil {
			c.t.Fatalf("PostgreSQL did not start within %s: %v", startTimeout, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Crash ends the server as `pg_ctl stop -m immediate` does: every connection is
// cut, nothing is written any more, and the next start recovers from the log.
func (c *Cluster) Crash() {
	c.t.Helper()
	if raw, err := os.ReadFile(filepath.Join(c.data, "postmaster.pid")); err == nil {
		first, _, _ := strings.Cut(string(raw), "\n")
		if pid, err := strconv.Atoi(first); err == nil {
			_ = syscall.Kill(pid, syscall.SIGQUIT)
		}
	}
	_ = c.watch.Close()
	select {
	case <-c.done:
	case <-time.After(startTimeout):
		c.t.Fatal("PostgreSQL did not end")
	}
}
