// Package strictjson reads JSON the way contract §5 asks: one object, exact
// names, right types, and nothing a lenient reader would mend in silence.
//
// The standard decoder folds the case of names, keeps the last of two equal
// names, turns lone surrogates and bad bytes into U+FFFD and stops before
// trailing data, so that one body can mean two things to two readers
// (RFC 8259 §4 leaves duplicate names open, §8.2 unpaired surrogates). Here
// each of these is refused before anything is looked up.
//
// Errors are [workflow.Error]s: invalid_json for what is not one JSON object
// within the bounds, otherwise violations that name the field and never hold
// a value.
package strictjson

import (
	"unicode/utf8"

	"github.com/resetflow/resetflow/workflow"
)

// Bounds of a document. Bodies are limited in bytes before they come here;
// these keep memory and stack small for what fits.
const (
	MaxDepth  = 16   // nested arrays and objects
	MaxKeys   = 512  // object members in the whole document
	MaxValues = 4096 // values in the whole document
)

// Kind is the type of a JSON value.
type Kind uint8

// The kinds of values.
const (
	Null Kind = iota
	Bool
	Number
	Text
	Array
	Object
)

// String names k as JSON Schema does.
func (k Kind) String() string {
	return [...]string{"null", "boolean", "number", "string", "array", "object"}[k]
}

// Value is one parsed value. Only the fields of its Kind are filled.
type Value struct {
	Kind    Kind
	Bool    bool
	Text    string // a text's content, or a number's literal
	Items   []Value
	Members []Member
}

// Member is one name and value of an object, in written order.
type Member struct {
	Name  string
	Value Value
}

// Parse reads data as one JSON object, strictly. A name that stands twice in
// one object, at any depth, is a duplicate_field violation on its dotted path.
func Parse(data []byte) (Value, error) {
	v, dup, err := parse(data)
	if err != nil {
		return Value{}, err
	}
	if err := dup.Err(); err != nil {
		return Value{}, err
	}
	return v, nil
}

func parse(data []byte) (Value, workflow.Violations, error) {
	if !utf8.Valid(data) {
		return Value{}, nil, invalid()
	}
	s := scanner{data: data, duplicates: workflow.Violations{}}
	s.space()
	if s.peek() != '{' {
		return Value{}, nil, invalid()
	}
	v, ok := s.value("", 0)
	if !ok {
		return Value{}, nil, invalid()
	}
	s.space()
	if s.at != len(s.data) {
		return Value{}, nil, invalid()
	}
	return v, s.duplicates, nil
}

func invalid() error { return workflow.Fail(workflow.CodeInvalidJSON, nil) }

// maxName is the longest field name an answer repeats.
const maxName = 64

// FieldName returns name where an answer may repeat it: what looks like a
// field's name. Anything else was not meant as one, may be a secret in the
// wrong place, and becomes "(unknown)".
func FieldName(name string) string {
	if name == "" || len(name) > maxName {
		return "(unknown)"
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.') {
			return "(unknown)"
		}
	}
	return name
}
