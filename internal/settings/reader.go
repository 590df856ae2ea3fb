package settings

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/resetflow/resetflow/internal/strictjson"
	"github.com/resetflow/resetflow/workflow"
)

// reader fills an application from a parsed document and gathers what is wrong.
type reader struct {
	bad   workflow.Violations
	named bool // the document has a name key
}

// member is a documented key of an object and what reads its value.
type member struct {
	name string
	read func(path string, v strictjson.Value)
}

// refuse adds a violation unless path has one: the first is the one to mend.
func (r *reader) refuse(path string, code workflow.ViolationCode, attrs ...string) {
	if len(r.bad[path]) == 0 {
		r.bad.Add(path, code, attrs...)
	}
}

func (r *reader) kind(path string, v strictjson.Value, want strictjson.Kind, name string) bool {
	if v.Kind != want {
		r.refuse(path, workflow.VioInvalidType, "type", name)
	}
	return v.Kind == want
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// object reads an object that holds nothing but members.
func (r *reader) object(path string, v strictjson.Value, members ...member) {
	if !r.kind(path, v, strictjson.Object, "object") {
		return
	}
	for _, m := range v.Members {
		if i := find(members, m.Name); i >= 0 {
			members[i].read(below(path, m.Name), m.Value)
			continue
		}
		names := make([]string, len(members))
		for i := range members {
			names[i] = members[i].name
		}
		r.refuse(below(path, strictjson.FieldName(m.Name)), workflow.VioUnknownField, "nearest", Nearest(m.Name, names))
	}
}

func find(members []member, name string) int {
	for i := range members {
		if members[i].name == name {
			return i
		}
	}
	return -1
}

func (r *reader) nested(name string, members ...member) member {
	return member{name, func(path string, v strictjson.Value) { r.object(path, v, members...) }}
}

func (r *reader) text(name string, to *string) member {
	return member{name, func(path string, v strictjson.Value) {
		if r.kind(path, v, strictjson.Text, "string") {
			*to = v.Text
		}
	}}
}

func (r *reader) boolean(name string, to *bool) member {
	return member{name, func(path string, v strictjson.Value) {
		if r.kind(path, v, strictjson.Bool, "boolean") {
			*to = v.Bool
		}
	}}
}

// integer takes digits only: 6.0 and 6e0 are other types in half of all clients.
func (r *reader) integer(name string, to *int, least, most int) member {
	return member{name, func(path string, v strictjson.Value) {
		if !r.kind(path, v, strictjson.Number, "integer") {
			return
		}
		n, err := strconv.Atoi(v.Text)
		switch {
		case errors.Is(err, strconv.ErrRange) && strings.HasPrefix(v.Text, "-"):
			n = math.MinInt
		case errors.Is(err, strconv.ErrRange):
			n = math.MaxInt
		case err != nil:
			r.refuse(path, workflow.VioInvalidType, "type", "integer")
			return
		}
		if r.between(path, n, least, most) {
			*to = n
		}
	}}
}

func (r *reader) between(path string, n, least, most int) bool {
	switch {
	case n < least:
		r.refuse(path, workflow.VioTooSmall, "min", strconv.Itoa(least))
	case n > most:
		r.refuse(path, workflow.VioTooLarge, "max", strconv.Itoa(most))
	default:
		return true
	}
	return false
}

func (r *reader) duration(name string, to *workflow.Duration, least, most time.Duration) member {
	return member{name, func(path string, v strictjson.Value) {
		if !r.kind(path, v, strictjson.Text, "duration") {
			return
		}
		d, err := time.ParseDuration(v.Text)
		switch {
		case err != nil:
			r.refuse(path, workflow.VioInvalidValue, "form", "a duration such as 15m")
		case d < least:
			r.refuse(path, workflow.VioTooSmall, "min", workflow.Duration(least).String())
		case d > most:
			r.refuse(path, workflow.VioTooLarge, "max", workflow.Duration(most).String())
		default:
			*to = workflow.Duration(d)
		}
	}}
}

func (r *reader) rate(name string, to *workflow.Rate) member {
	return member{name, func(path string, v strictjson.Value) {
		if !r.kind(path, v, strictjson.Text, "rate") {
			return
		}
		rate, err := workflow.ParseRate(v.Text)
		if err != nil {
			r.refuse(path, workflow.VioInvalidValue, "form", "a rate such as 5/h, with s, m, h or d")
			return
		}
		*to = rate
	}}
}

// maxItems bounds every list of settings.
const maxItems = 100

func (r *reader) texts(name string, to *[]string) member {
	return member{name, func(path string, v strictjson.Value) {
		if !r.kind(path, v, strictjson.Array, "array of strings") {
			return
		}
		if len(v.Items) > maxItems {
			r.refuse(path, workflow.VioTooLong, "max", strconv.Itoa(maxItems))
			return
		}
		out := make([]string, 0, len(v.Items))
		for i, item := range v.Items {
			if r.kind(below(path, strconv.Itoa(i)), item, strictjson.Text, "string") {
				out = append(out, item.Text)
			}
		}
		*to = out
	}}
}
