package main

import (
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"github.com/resetflow/resetflow/config"
)

// newLogger logs as text on a terminal and as JSON elsewhere, unless told.
func newLogger(out io.Writer, c config.Log) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Level}
	format := c.Format
	if f, ok := out.(*os.File); ok && format == "" && term.IsTerminal(int(f.Fd())) {
		format = "text"
	}
	if format == "text" {
		return slog.New(slog.NewTextHandler(out, options))
	}
	return slog.New(slog.NewJSONHandler(out, options))
}
