package templates

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/feature/plural"
)

var placeholder = regexp.MustCompile(`\{([^{}]*)\}`)

// check walks every text of a locale: none may be empty, and each must hold
// exactly the placeholders that its field's vars tag names.
func (f *file) check() error {
	for _, part := range []struct {
		name  string
		value any
	}{{"formats", f.Formats}, {"mail", f.Mail}, {"page", f.Page}} {
		if err := f.lang.walk(part.name, reflect.ValueOf(part.value), ""); err != nil {
			return err
		}
	}
	if strings.TrimSpace(f.Name) == "" {
		return fmt.Errorf("name: missing")
	}
	return nil
}

func (l locale) walk(at string, v reflect.Value, vars string) error {
	switch v.Kind() {
	case reflect.String:
		return checkText(at, v.String(), vars)
	case reflect.Slice:
		for i := range v.Len() {
			if err := l.walk(fmt.Sprintf("%s[%d]", at, i), v.Index(i), vars); err != nil {
				return err
			}
		}
	case reflect.Struct:
		if p, ok := v.Interface().(Plural); ok {
			return l.checkPlural(at, p, vars)
		}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			key := field.Tag.Get("yaml")
			if !field.IsExported() || key == "-" {
				continue
			}
			if err := l.walk(at+"."+key, v.Field(i), field.Tag.Get("vars")); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkPlural asks for every form that the numbers 0 to 200 need in l.
func (l locale) checkPlural(at string, p Plural, vars string) error {
	seen := map[plural.Form]bool{}
	for n := range 201 {
		form := l.pluralForm(n)
		if seen[form] {
			continue
		}
		seen[form] = true
		if err := checkText(fmt.Sprintf("%s (the form for %d)", at, n), p.form(form), vars); err != nil {
			return err
		}
	}
	return nil
}

// checkText refuses an empty text, an unknown and a missing placeholder.
func checkText(at, text, vars string) error {
	if strings.TrimSpace(text) == "" {
		return fmt.Errorf("%s: missing", at)
	}
	if text != Clean(text) && strings.TrimSpace(text) != Clean(text) {
		return fmt.Errorf("%s: holds control or direction characters, or blanks in a row", at)
	}
	var known []string
	if vars != "" {
		known = strings.Split(vars, ",")
	}
	var used []string
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(known, m[1]) {
			return fmt.Errorf("%s: {%s} is not known here; known: %s", at, m[1], orNone(known))
		}
		used = append(used, m[1])
	}
	for _, name := range known {
		if !slices.Contains(used, name) {
			return fmt.Errorf("%s: {%s} is left out", at, name)
		}
	}
	if strings.ContainsAny(placeholder.ReplaceAllString(text, ""), "{}") {
		return fmt.Errorf("%s: a brace is not closed", at)
	}
	return nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
