package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/resetflow/resetflow/workflow"
)

// usageError is an error of usage or configuration: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func wrongUsage(err error) error { return usageError{err} }

// told is a failure whose lines stand on stderr already: exit code 1.
type told struct{}

func (told) Error() string { return "failed" }

// report prints err and returns the exit code.
func report(w *world, err error) int {
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, told{}):
		return 1
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		fmt.Fprintln(w.stderr, "resetflow: "+printable(line))
	}
	if errors.As(err, &usage) {
		return 2
	}
	return 1
}

// printable takes what steers a terminal out of a line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return '?'
		}
		return r
	}, s)
}

// because says a refusal of the domain or of the admin API in one line.
func because(err error) error {
	var e *workflow.Error
	if !errors.As(err, &e) {
		return err
	}
	if len(e.Violations) == 0 {
		return errors.New(e.Row().Sentence)
	}
	var parts []string
	for _, field := range e.Violations.Fields() {
		for _, v := range e.Violations[field] {
			parts = append(parts, field+": "+sentence(v.Code))
		}
	}
	return errors.New(strings.Join(parts, "; "))
}

func sentence(code workflow.ViolationCode) string {
	for _, row := range workflow.ViolationTable() {
		if row.Code == code {
			return strings.TrimSuffix(row.Sentence, ".")
		}
	}
	return string(code)
}
