package strictjson

import "github.com/resetflow/resetflow/workflow"

// Optional is a field's value and whether it was given. An explicit null is
// not given (contract §5).
type Optional[T any] struct {
	Given bool
	Value T
}

// Pointer returns the value's address, nil where the field was not given.
func (o Optional[T]) Pointer() *T {
	if !o.Given {
		return nil
	}
	return &o.Value
}

// Field is one documented field of a body and where its value goes.
type Field struct {
	name string
	want string
	set  func(Value) bool // false: the wrong type
}

// String is a field that holds a text.
func String(name string, to *Optional[string]) Field {
	return Field{name, "string", func(v Value) bool {
		*to = Optional[string]{true, v.Text}
		return v.Kind == Text
	}}
}

// Boolean is a field that holds true or false.
func Boolean(name string, to *Optional[bool]) Field {
	return Field{name, "boolean", func(v Value) bool {
		*to = Optional[bool]{true, v.Bool}
		return v.Kind == Bool
	}}
}

// Strings is a field that holds a list of texts.
func Strings(name string, to *Optional[[]string]) Field {
	return Field{name, "array of strings", func(v Value) bool {
		*to = Optional[[]string]{true, make([]string, 0, len(v.Items))}
		for _, item := range v.Items {
			if item.Kind != Text {
				return false
			}
			to.Value = append(to.Value, item.Text)
		}
		return v.Kind == Array
	}}
}

// Decode reads data as one object that holds nothing but fields. Every field
// that is wrong is named: unknown_field (also for another case), duplicate_field
// or invalid_type. Nothing in the targets counts when an error is returned.
func Decode(data []byte, fields ...Field) error {
	root, wrong, err := parse(data)
	if err != nil {
		return err
	}
members:
	for _, m := range root.Members {
		for _, f := range fields {
			if f.name != m.Name {
				continue
			}
			if m.Value.Kind != Null && !f.set(m.Value) && len(wrong[f.name]) == 0 {
				wrong.Add(f.name, workflow.VioInvalidType, "type", f.want)
			}
			continue members
		}
		if name := FieldName(m.Name); len(wrong[name]) == 0 {
			wrong.Add(name, workflow.VioUnknownField)
		}
	}
	return wrong.Err()
}
