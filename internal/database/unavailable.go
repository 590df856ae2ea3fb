package database

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/driver/postgres"

	"github.com/resetflow/resetflow/workflow"
)

// pgDialector is gorm's, with failures of the way to the server told apart from
// failures of a statement.
type pgDialector struct{ *postgres.Dialector }

// Translate makes [workflow.ErrBusy] of a server that cannot be asked: callers
// answer that it is worth trying again, and not that something is broken.
func (d pgDialector) Translate(err error) error { return Unavailable(d.Dialector.Translate(err)) }

// Unavailable marks err as [workflow.ErrBusy] where the server is away.
func Unavailable(err error) error {
	if err == nil || errors.Is(err, workflow.ErrBusy) || !away(err) {
		return err
	}
	return fmt.Errorf("%w: the database cannot be reached: %w", workflow.ErrBusy, err)
}

// away reports whether err says that the server is not there, is leaving, or is
// full (PostgreSQL, appendix A: classes 08, 57P0x and 53).
func away(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "57P01", "57P02", "57P03", "53300", "53400":
			return true
		}
		return strings.HasPrefix(pg.Code, "08")
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) || pgconn.SafeToRetry(err) {
		return true
	}
	for _, gone := range []error{driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}
