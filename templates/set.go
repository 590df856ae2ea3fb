package templates

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/text/language"
	"gopkg.in/yaml.v3"
)

//go:embed locales/*.yaml
var builtin embed.FS

// file is one locale's file.
type file struct {
	Language string    `yaml:"language"`
	Name     string    `yaml:"name"` // in the language itself, for a language chooser
	Dir      string    `yaml:"dir"`
	Formats  formats   `yaml:"formats"`
	Mail     mailTexts `yaml:"mail"`
	Page     PageTexts `yaml:"page"`

	lang locale
}

// Set holds the texts of every locale. It never changes after [New] and may be
// used by many goroutines.
type Set struct {
	order   []string // "en" first, the others by name
	files   map[string]*file
	matcher language.Matcher
}

// New reads the built-in locales. It fails on the first file with a missing or
// unknown key, a plural form that its language needs and does not have, or a
// {placeholder} that is unknown or left out.
func New() (*Set, error) { return load(builtin, "locales") }

// load reads every .yaml file of a folder.
func load(fsys fs.FS, folder string) (*Set, error) {
	entries, err := fs.ReadDir(fsys, folder)
	if err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	s := &Set{files: map[string]*file{}}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".yaml") {
			continue
		}
		raw, err := fs.ReadFile(fsys, path.Join(folder, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("templates: %w", err)
		}
		f, err := parse(raw)
		if err != nil {
			return nil, fmt.Errorf("templates: %s: %w", e.Name(), err)
		}
		if f.Language != strings.TrimSuffix(e.Name(), ".yaml") {
			return nil, fmt.Errorf("templates: %s: language is %q; name the file after it", e.Name(), f.Language)
		}
		s.files[f.Language] = f
		if f.Language != fallback {
			s.order = append(s.order, f.Language)
		}
	}
	if s.files[fallback] == nil {
		return nil, fmt.Errorf("templates: %s.yaml is missing; it is the last resort of every application", fallback)
	}
	s.order = append([]string{fallback}, s.order...)
	tags := make([]language.Tag, len(s.order))
	for i, name := range s.order {
		tags[i] = s.files[name].lang.tag
	}
	s.matcher = language.NewMatcher(tags)
	return s, nil
}

// parse reads and checks one locale.
func parse(raw []byte) (*file, error) {
	var f file
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil {
		return nil, err
	}
	tag, err := language.Parse(f.Language)
	if err != nil {
		return nil, fmt.Errorf("language: %q is not a language tag", f.Language)
	}
	if f.Dir != "ltr" && f.Dir != "rtl" {
		return nil, fmt.Errorf("dir: write ltr or rtl")
	}
	if len(f.Formats.Months) != 12 {
		return nil, fmt.Errorf("formats.months: name twelve months")
	}
	f.lang = locale{tag: tag, formats: f.Formats}
	f.Page.Locale, f.Page.Dir, f.Page.lang = f.Language, f.Dir, f.lang
	if err := f.check(); err != nil {
		return nil, err
	}
	return &f, nil
}

// fallback is the language every choice ends with.
const fallback = "en"

// Locales lists the tags of all locales, "en" first.
func (s *Set) Locales() []string { return append([]string(nil), s.order...) }

// Named pairs a locale with its name in its own language.
type Named struct{ Locale, Name string }

// Names lists all locales with their names, for a language chooser.
func (s *Set) Names() []Named {
	out := make([]Named, len(s.order))
	for i, l := range s.order {
		out[i] = Named{l, s.files[l].Name}
	}
	return out
}

// maxWanted bounds what is parsed of one wish; longer ones are passed over.
const maxWanted = 256

// Match returns the locale that fits the first wish it can fit at all: it tries
// each in the given order and ends with "en". A wish is a language tag or the
// value of an Accept-Language header (RFC 9110 §12.5.4).
func (s *Set) Match(wanted ...string) string {
	for _, w := range wanted {
		if w == "" || len(w) > maxWanted {
			continue
		}
		tags, _, err := language.ParseAcceptLanguage(w)
		if err != nil || len(tags) == 0 {
			continue
		}
		if _, i, confidence := s.matcher.Match(tags...); confidence != language.No {
			return s.order[i]
		}
	}
	return fallback
}

// Page returns the texts of the hosted pages in the locale that matches best.
// The result is shared: never write to it.
func (s *Set) Page(locale string) *PageTexts { return &s.files[s.Match(locale)].Page }
