package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/workflow"
)

type exportAuditCommand struct {
	configFlag
	Application  string `short:"a" xor:"which" placeholder:"SLUG" help:"The application."`
	Installation bool   `xor:"which" help:"The installation's own rows."`
	Since        string `placeholder:"TIME" help:"Rows of this time and later: 2026-11-23, 2026-11-23T10:00:00Z, or how long ago, as in 24h."`
	Format       string `enum:"jsonl,csv" default:"jsonl" help:"jsonl (one JSON object a line) or csv."`
}

// Run streams the rows, oldest first; the head goes to stderr.
func (c exportAuditCommand) Run(ctx context.Context, w *world) error {
	if c.Application == "" && !c.Installation {
		return wrongUsage(errors.New("--application: missing; name the application, or say --installation"))
	}
	since, err := moment(c.Since, time.Now())
	if err != nil {
		return wrongUsage(err)
	}
	l, err := c.load(w)
	if err != nil {
		return err
	}
	db, store, err := openAudit(ctx, l.Config)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if c.Application != "" {
		if _, err := store.Application(ctx, c.Application); err != nil {
			return because(notFound(c.Application, err))
		}
	}
	out := bufio.NewWriterSize(w.stdout, 64<<10)
	row := jsonRow(out)
	if c.Format == "csv" {
		row = csvRow(out)
		if err := csvLine(out, auditFields...); err != nil {
			return err
		}
	}
	n, head := 0, storage.AuditHead{}
	err = store.EachAuditEvent(ctx, c.Application, since, func(e workflow.SealedEntry) error {
		n++
		if e.Seq > head.Seq {
			head = storage.AuditHead{Seq: e.Seq, Hash: e.Hash}
		}
		return row(e)
	})
	if err = errors.Join(err, out.Flush()); err != nil {
		return err
	}
	fmt.Fprintf(w.stderr, "%s: %d rows, head %s\n", chainName(c.Application), n, head)
	return nil
}

// moment reads a time, a day or how long before now; "" is the zero time.
func moment(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1970 {
			return t, nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 && now.Add(-d).Year() >= 1970 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("--since: %q is no time; write 2026-11-23, 2026-11-23T10:00:00Z, or how long ago, as in 24h", s)
}

var auditFields = []string{"application", "seq", "id", "at", "event", "requestId", "userId", "actor", "clientIp", "move", "from", "to", "cause", "hash", "keyId"}

func auditValues(e workflow.SealedEntry) []string {
	request := ""
	if !e.RequestID.IsZero() {
		request = e.RequestID.String()
	}
	return []string{e.Application, strconv.FormatInt(e.Seq, 10), e.ID.String(), e.At.UTC().Format("2006-01-02T15:04:05.000000Z"), e.Event, request,
		e.AccountID, e.Actor, e.ClientIP, string(e.Move), string(e.From), string(e.To), e.Cause, hex.EncodeToString(e.Hash), e.KeyID}
}

// jsonRow writes an entry as one JSON object a line, with the same fields in
// every line.
func jsonRow(out io.Writer) func(workflow.SealedEntry) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return func(e workflow.SealedEntry) error {
		v := auditValues(e)
		return enc.Encode(struct {
			Application string `json:"application"`
			Seq         int64  `json:"seq"`
			ID          string `json:"id"`
			At          string `json:"at"`
			Event       string `json:"event"`
			RequestID   string `json:"requestId"`
			UserID      string `json:"userId"`
			Actor       string `json:"actor"`
			ClientIP    string `json:"clientIp"`
			Move        string `json:"move"`
			From        string `json:"from"`
			To          string `json:"to"`
			Cause       string `json:"cause"`
			Hash        string `json:"hash"`
			KeyID       string `json:"keyId"`
		}{v[0], e.Seq, v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12], v[13], v[14]})
	}
}

func csvRow(out io.Writer) func(workflow.SealedEntry) error {
	return func(e workflow.SealedEntry) error { return csvLine(out, auditValues(e)...) }
}

// csvLine writes a line of CSV (RFC 4180 §2), every field in quotes. A field
// that a spreadsheet would take for a formula gets an apostrophe in front.
func csvLine(out io.Writer, fields ...string) error {
	var b strings.Builder
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		if first, _ := utf8.DecodeRuneInString(f); f != "" && strings.ContainsRune(formulas, first) {
			b.WriteByte('\'')
		}
		b.WriteString(strings.ReplaceAll(f, `"`, `""`))
		b.WriteByte('"')
	}
	b.WriteString("\r\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// formulas are the characters a formula may begin with, the full-width ones too.
const formulas = "=+-@\t\r\n＝＋－＠"
