package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/resetflow/resetflow/internal/address"
	"github.com/resetflow/resetflow/internal/password"
	"github.com/resetflow/resetflow/internal/settings"
	"github.com/resetflow/resetflow/internal/strictjson"
	"github.com/resetflow/resetflow/workflow"
)

// rowFault is what is wrong with one row; the import goes on.
type rowFault struct{ error }

func fault(format string, args ...any) error { return rowFault{fmt.Errorf(format, args...)} }

// userRow is one row as it stands in the file.
type userRow struct {
	line                      int
	email, hash, name, locale string
	disabled                  string // "", "true" or "false"
	orgs                      []string
}

// Bounds of a user, as the admin API has them.
const (
	maxUserText = 200
	maxUserOrgs = 100
	maxUserHash = 500
)

// user judges the row. What it says never holds the hash.
func (r userRow) user() (workflow.NewUser, error) {
	u := workflow.NewUser{Name: r.name, Locale: r.locale, Hash: r.hash, Orgs: r.orgs}
	var ok bool
	if u.Email, ok = address.Parse(r.email); !ok {
		if r.email == "" {
			return u, fault("email: missing")
		}
		return u, fault("email: not an address we can write to")
	}
	if r.hash != "" && (len(r.hash) > maxUserHash || password.Known(r.hash) != nil) {
		return u, fault("password_hash: not an argon2id (PHC) or bcrypt hash with parameters within bounds")
	}
	if r.locale != "" && !settings.Locale(r.locale) {
		return u, fault("locale: not a language tag such as en or pt-BR")
	}
	if !text(r.name) {
		return u, fault("name: longer than %d characters, or with control characters", maxUserText)
	}
	if len(r.orgs) > maxUserOrgs {
		return u, fault("orgs: more than %d", maxUserOrgs)
	}
	for _, o := range r.orgs {
		if o == "" || !text(o) {
			return u, fault("orgs: an entry is empty, longer than %d characters, or holds control characters", maxUserText)
		}
	}
	switch strings.ToLower(r.disabled) {
	case "", "false", "0", "no":
	case "true", "1", "yes":
		u.Disabled = true
	default:
		return u, fault("disabled: neither true nor false")
	}
	return u, nil
}

func text(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxUserText && printable(s) == s && !strings.Contains(s, "\t")
}

// rowReader yields rows until io.EOF. A rowFault leaves the reader usable; the
// row then holds the line alone.
type rowReader interface{ next() (userRow, error) }

// newRowReader tells the form by the first character: JSON objects start with {.
func newRowReader(r io.Reader) (rowReader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	if mark, err := b.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = b.Discard(3)
	}
	for lines := 1; ; {
		c, err := b.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("1: the file is empty; write a header with email, or JSON lines")
		case err != nil:
			return nil, fmt.Errorf("1: cannot be read: %w", err)
		case c == '\n':
			lines++
		case c == ' ' || c == '\t' || c == '\r':
		default:
			if err := b.UnreadByte(); err != nil {
				return nil, err
			}
			if c == '{' {
				return &jsonRows{b, lines - 1}, nil
			}
			return newCSVRows(b, lines-1)
		}
	}
}

var columns = []string{"email", "password_hash", "name", "locale", "disabled", "orgs"}

type csvRows struct {
	r      *csv.Reader
	header []string
	skip   int // lines before the header
}

func newCSVRows(b *bufio.Reader, skip int) (*csvRows, error) {
	c := &csvRows{r: csv.NewReader(b), skip: skip}
	header, err := c.r.Read()
	if err != nil {
		return nil, fmt.Errorf("%d: the header cannot be read: %w", skip+1, err)
	}
	seen := map[string]bool{}
	for _, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		switch near := settings.Nearest(name, columns); {
		case near != name:
			return nil, fmt.Errorf("%d: unknown column %q; did you mean %s? (known: %s)", skip+1, name, near, strings.Join(columns, ", "))
		case seen[name]:
			return nil, fmt.Errorf("%d: the column %s stands twice; remove one", skip+1, name)
		}
		seen[name] = true
		c.header = append(c.header, name)
	}
	if !seen["email"] {
		return nil, fmt.Errorf("%d: the header has no column email; the first line must name the columns", skip+1)
	}
	c.r.FieldsPerRecord = -1 // a row that is too short is that row's fault
	return c, nil
}

func (c *csvRows) next() (userRow, error) {
	fields, err := c.r.Read()
	var broken *csv.ParseError
	switch {
	case errors.As(err, &broken):
		return userRow{line: c.skip + broken.StartLine}, fault("not CSV: %w", broken.Err)
	case err != nil:
		return userRow{}, err
	}
	line, _ := c.r.FieldPos(0)
	row := userRow{line: c.skip + line}
	if len(fields) != len(c.header) {
		return row, fault("%d fields where the header has %d", len(fields), len(c.header))
	}
	for i, value := range fields {
		switch c.header[i] {
		case "email":
			row.email = value
		case "password_hash":
			row.hash = value
		case "name":
			row.name = value
		case "locale":
			row.locale = value
		case "disabled":
			row.disabled = value
		case "orgs":
			for _, o := range strings.Split(value, ";") {
				if o = strings.TrimSpace(o); o != "" {
					row.orgs = append(row.orgs, o)
				}
			}
		}
	}
	return row, nil
}

type jsonRows struct {
	r    *bufio.Reader
	line int
}

// maxJSONLine is the longest line taken.
const maxJSONLine = 64 << 10

func (j *jsonRows) next() (userRow, error) {
	for {
		line, long, err := j.readLine()
		if err != nil {
			return userRow{line: j.line}, err
		}
		row := userRow{line: j.line}
		if long {
			return row, fault("longer than %d bytes", maxJSONLine)
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		err = j.parse(line, &row)
		return row, err
	}
}

func (j *jsonRows) readLine() (line []byte, long bool, err error) {
	for {
		part, err := j.r.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxJSONLine; !long {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == nil, errors.Is(err, io.EOF) && (len(line) > 0 || long):
			j.line++
			return line, long, nil
		}
		return nil, false, err
	}
}

func (j *jsonRows) parse(line []byte, row *userRow) error {
	var email, hash, snake, name, locale strictjson.Optional[string]
	var disabled strictjson.Optional[bool]
	var orgs strictjson.Optional[[]string]
	err := strictjson.Decode(line, strictjson.String("email", &email), strictjson.String("passwordHash", &hash),
		strictjson.String("password_hash", &snake), strictjson.String("name", &name), strictjson.String("locale", &locale),
		strictjson.Boolean("disabled", &disabled), strictjson.Strings("orgs", &orgs))
	if err != nil {
		return rowFault{because(err)}
	}
	if hash.Given && snake.Given {
		return fault("passwordHash: stands twice")
	}
	row.email, row.hash, row.name, row.locale, row.orgs = email.Value, hash.Value+snake.Value, name.Value, locale.Value, orgs.Value
	if disabled.Given {
		row.disabled = fmt.Sprint(disabled.Value)
	}
	return nil
}
