package strictjson

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/resetflow/resetflow/workflow"
)

// scanner is a recursive descent over RFC 8259's grammar. data is valid UTF-8.
type scanner struct {
	data       []byte
	at         int
	keys       int
	values     int
	duplicates workflow.Violations
}

func (s *scanner) peek() byte {
	if s.at < len(s.data) {
		return s.data[s.at]
	}
	return 0
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// take steps over c after blanks and reports whether it stood there.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) word(w string) bool {
	if !strings.HasPrefix(string(s.data[s.at:min(len(s.data), s.at+len(w))]), w) {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scanner) value(path string, depth int) (Value, bool) {
	s.values++
	if depth > MaxDepth || s.values > MaxValues {
		return Value{}, false
	}
	s.space()
	switch c := s.peek(); {
	case c == '{':
		return s.object(path, depth)
	case c == '[':
		return s.array(path, depth)
	case c == '"':
		t, ok := s.text()
		return Value{Kind: Text, Text: t}, ok
	case c == 't':
		return Value{Kind: Bool, Bool: true}, s.word("true")
	case c == 'f':
		return Value{Kind: Bool}, s.word("false")
	case c == 'n':
		return Value{Kind: Null}, s.word("null")
	case c == '-' || digit(c):
		t, ok := s.number()
		return Value{Kind: Number, Text: t}, ok
	}
	return Value{}, false
}

func (s *scanner) object(path string, depth int) (Value, bool) {
	v := Value{Kind: Object}
	s.at++
	if s.take('}') {
		return v, true
	}
	seen := map[string]bool{}
	for {
		s.space()
		if s.peek() != '"' {
			return v, false
		}
		name, ok := s.text()
		if s.keys++; !ok || s.keys > MaxKeys || !s.take(':') {
			return v, false
		}
		below := join(path, name)
		if seen[name] && len(s.duplicates[below]) == 0 {
			s.duplicates.Add(below, workflow.VioDuplicateField)
		}
		seen[name] = true
		m, ok := s.value(below, depth+1)
		if !ok {
			return v, false
		}
		v.Members = append(v.Members, Member{name, m})
		if s.take(',') {
			continue
		}
		return v, s.take('}')
	}
}

func join(path, name string) string {
	if name = FieldName(name); path == "" {
		return name
	}
	return path + "." + name
}

func (s *scanner) array(path string, depth int) (Value, bool) {
	v := Value{Kind: Array}
	s.at++
	if s.take(']') {
		return v, true
	}
	for {
		m, ok := s.value(path, depth+1)
		if !ok {
			return v, false
		}
		v.Items = append(v.Items, m)
		if s.take(',') {
			continue
		}
		return v, s.take(']')
	}
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func (s *scanner) digits() bool {
	from := s.at
	for digit(s.peek()) {
		s.at++
	}
	return s.at > from
}

func (s *scanner) number() (string, bool) {
	from := s.at
	if s.peek() == '-' {
		s.at++
	}
	if s.peek() == '0' {
		s.at++
	} else if !s.digits() {
		return "", false
	}
	if s.peek() == '.' {
		s.at++
		if !s.digits() {
			return "", false
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		if !s.digits() {
			return "", false
		}
	}
	return string(s.data[from:s.at]), true
}

func (s *scanner) text() (string, bool) {
	s.at++
	from := s.at
	var b []byte // nil until the first escape
	for s.at < len(s.data) {
		switch c := s.data[s.at]; {
		case c == '"':
			raw := s.data[from:s.at]
			s.at++
			if b == nil {
				return string(raw), true
			}
			return string(append(b, raw...)), true
		case c < 0x20:
			return "", false
		case c == '\\':
			b = append(b, s.data[from:s.at]...)
			r, ok := s.escape()
			if !ok {
				return "", false
			}
			b = utf8.AppendRune(b, r)
			from = s.at
		default:
			s.at++
		}
	}
	return "", false
}

// escape reads one escape sequence; a surrogate counts only as half of a pair.
func (s *scanner) escape() (rune, bool) {
	s.at++
	c := s.peek()
	s.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
		r, ok := s.hex()
		if !ok || !utf16.IsSurrogate(r) {
			return r, ok
		}
		if !s.word(`\u`) {
			return 0, false
		}
		low, ok := s.hex()
		if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
			return 0, false
		}
		return r, true
	}
	return 0, false
}

func (s *scanner) hex() (r rune, ok bool) {
	if s.at+4 > len(s.data) {
		return 0, false
	}
	for range 4 {
		c := s.data[s.at]
		s.at++
		switch {
		case digit(c):
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
