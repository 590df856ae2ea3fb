// Package attacks tries every published attack on a password reset against the
// real binary, over HTTP and SMTP, on SQLite and PostgreSQL and, where the
// attack aims at a code, in each flow. A row of the corpus is one test named by
// its id (`go test ./attacks -run /ADR-01`); ids such as ADR-x1 are attacks of
// the same group that no published row names. What cannot apply stands with its
// reason in docs/security-attacks.md.
package attacks
