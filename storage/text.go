package storage

import (
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/resetflow/resetflow/workflow"
)

// ErrText says that a text holds a NUL or is not UTF-8. PostgreSQL refuses
// both and SQLite takes both; here they are refused before either is asked.
var ErrText = errors.New("storage: a text holds a NUL or is not valid UTF-8; check it where it comes in")

// clean reports whether both databases can hold every text alike.
func clean(texts ...string) bool {
	for _, t := range texts {
		if !utf8.ValidString(t) || strings.IndexByte(t, 0) >= 0 {
			return false
		}
	}
	return true
}

// scrub makes a text that only describes (a user agent, a server's reply) fit
// to be kept: it may be cut in the middle of a character, and no reset should
// fail over that.
func scrub(t string) string {
	if clean(t) {
		return t
	}
	return strings.ReplaceAll(strings.ToValidUTF8(t, "\uFFFD"), "\x00", "\uFFFD")
}

// micros is a time as it is stored: microseconds since the epoch, 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// moment reverses micros.
func moment(v int64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMicro(v).UTC()
}

// blob keeps "none" as NULL, whether it came as nil or as empty.
func blob(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// idText writes an id; the zero id is the empty text.
func idText(id workflow.ID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

// idOf reverses idText.
func idOf(s string) (workflow.ID, bool) {
	if s == "" {
		return workflow.ID{}, true
	}
	return workflow.ParseID(s)
}
