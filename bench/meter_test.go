package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// use is what the processes have used so far, or between two readings.
type use struct {
	service  time.Duration // processor time
	database time.Duration // of PostgreSQL's processes; SQLite runs in the service
	writes   int64         // write transactions: PostgreSQL numbers those that write
	wal      int64         // bytes of PostgreSQL's write-ahead log
	disk     int64         // bytes the service has sent to the disk: SQLite's files and log
}

func (u use) minus(o use) use {
	return use{u.service - o.service, u.database - o.database, u.writes - o.writes, u.wal - o.wal, u.disk - o.disk}
}

// meter reads what the service with the process id pid and its database use.
type meter struct {
	tb         testing.TB
	pid        int
	pg         *pgx.Conn // nil with SQLite
	postmaster int       // 0 where the server is not on this machine
}

func newMeter(tb testing.TB, pid int, url string) meter {
	tb.Helper()
	m := meter{tb: tb, pid: pid}
	if !strings.HasPrefix(url, "postgres") {
		return m
	}
	var err error
	if m.pg, err = pgx.Connect(context.Background(), url); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = m.pg.Close(context.Background()) })
	var backend int
	if err := m.pg.QueryRow(context.Background(), "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		tb.Fatal(err)
	}
	if p, ok := stat(backend); ok {
		m.postmaster = p.parent
	}
	return m
}

func (m meter) read() use {
	m.tb.Helper()
	var u use
	if p, ok := stat(m.pid); ok {
		u.service = p.used
	}
	u.disk = procInt(m.pid, "io", "write_bytes:")
	if m.pg == nil {
		return u
	}
	err := m.pg.QueryRow(context.Background(),
		"SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint, (pg_current_wal_insert_lsn() - '0/0')::bigint").Scan(&u.writes, &u.wal)
	if err != nil {
		m.tb.Fatal(err)
	}
	if m.postmaster == 0 {
		return u
	}
	// Those that ended are in the postmaster's own account.
	if p, ok := stat(m.postmaster); ok {
		u.database = p.used + p.waited
	}
	for _, p := range processes() {
		if p.parent == m.postmaster {
			u.database += p.used
		}
	}
	return u
}

// process is a line of /proc/PID/stat (proc(5)).
type process struct {
	pid, parent  int
	name         string
	used, waited time.Duration // of its own, and of children that ended
}

// tick is the unit of processor time in /proc on Linux: 100 a second.
const tick = 10 * time.Millisecond

func stat(pid int) (process, bool) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	// The name stands in parentheses and may hold anything.
	open, end := strings.IndexByte(string(raw), '('), strings.LastIndexByte(string(raw), ')')
	if open < 0 || end < open {
		return process{}, false
	}
	f := strings.Fields(string(raw[end+1:]))
	if len(f) < 15 {
		return process{}, false
	}
	n := func(i int) time.Duration { v, _ := strconv.ParseInt(f[i], 10, 64); return time.Duration(v) * tick }
	parent, _ := strconv.Atoi(f[1])
	return process{pid, parent, string(raw[open+1 : end]), n(11) + n(12), n(13) + n(14)}, true
}

func processes() []process {
	var out []process
	paths, _ := filepath.Glob("/proc/[0-9]*")
	for _, path := range paths {
		pid, _ := strconv.Atoi(filepath.Base(path))
		if p, ok := stat(pid); ok {
			out = append(out, p)
		}
	}
	return out
}

// child finds the service among this process's children.
func child(tb testing.TB) int {
	tb.Helper()
	for _, p := range processes() {
		if p.parent == os.Getpid() && p.name == "resetflow" {
			return p.pid
		}
	}
	tb.Fatal("the service is not among the children of this process")
	return 0
}

// memory returns the resident memory in MB now and at its peak.
func memory(pid int) (now, peak float64) {
	return float64(procInt(pid, "status", "VmRSS:")) / 1024, float64(procInt(pid, "status", "VmHWM:")) / 1024
}

func procInt(pid int, file, key string) int64 {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	_, after, _ := strings.Cut(string(raw), key)
	if f := strings.Fields(after); len(f) > 0 {
		v, _ := strconv.ParseInt(f[0], 10, 64)
		return v
	}
	return 0
}
