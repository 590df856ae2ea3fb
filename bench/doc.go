// Package bench measures the real binary on SQLite and PostgreSQL and prints a
// report in Markdown:
//
//	go test ./bench -run '^$' -bench Report -timeout 25m
//
// The service runs as `resetflow serve`, the mail server and the callers in
// this process, everything on loopback and on the same processors. Numbers are
// printed beside the figure to reach; nothing fails because of a time.
//
// -pairs (or RESETFLOW_BENCH_PAIRS) says how many pairs of a known and an
// unknown address are timed for each flow, -load how long each load lasts.
// RESETFLOW_BENCH_STATEMENTS=FILE writes the statements of single resets there.
package bench
