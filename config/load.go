package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sort"
	"strings"

	"github.com/resetflow/resetflow/internal/settings"
)

// DefaultFile is read where no file is named and it is there.
const DefaultFile = "resetflow.yaml"

// entry is a key's text and where it was set.
type entry struct {
	text  string
	where string // "resetflow.yaml:3" or "RESETFLOW_PUBLIC_URL"
}

// Load reads path, or [DefaultFile] where path is empty and the file is there,
// then the variables of environ ("NAME=value"), which win. The error holds one
// line and says so where more is wrong.
func Load(path string, environ []string) (Loaded, error) {
	var file map[string]entry
	var wrong problems
	explicit := path != ""
	if !explicit {
		path = DefaultFile
	}
	body, err := os.ReadFile(path)
	switch {
	case err == nil:
		file = readFile(path, body, &wrong)
	case !explicit && errors.Is(err, fs.ErrNotExist):
	default:
		return Loaded{}, fmt.Errorf("%s: cannot be read: %s", path, reason(err))
	}
	env, unknown := readEnvironment(environ)
	l := Loaded{Warnings: unknown}
	for _, k := range keys {
		e, set, err := resolve(k, file, env)
		if err != nil {
			wrong.add(err.Error())
			continue
		}
		if !set {
			e = entry{text: k.fallback}
		}
		if err := k.set(&l.Config, e.text); err != nil {
			wrong.add(at(e.where, k.name, err))
		}
	}
	if len(wrong) == 0 {
		if name, err := l.check(); err != nil {
			wrong.add(name + ": " + err.Error())
		}
	}
	if err := wrong.err(); err != nil {
		return Loaded{}, err
	}
	l.Warnings = append(l.Warnings, l.warnings()...)
	return l, nil
}

func at(where, name string, err error) string {
	if where == "" {
		return name + ": " + err.Error()
	}
	return where + ": " + name + ": " + err.Error()
}

// resolve finds the text of k: the environment, then the file; in each the key
// itself or, for a secret, the file that holds it.
func resolve(k key, file, env map[string]entry) (entry, bool, error) {
	for _, layer := range []map[string]entry{env, file} {
		direct, isSet := layer[k.name]
		from, isFile := layer[k.fileKey()]
		isFile = isFile && k.secret && from.text != ""
		switch {
		case isSet && isFile && direct.text != "":
			return entry{}, false, fmt.Errorf("%s: %s is set as well as %s (%s); remove one of them", from.where, k.fileKey(), k.name, direct.where)
		case isFile:
			body, err := os.ReadFile(from.text)
			if err != nil {
				return entry{}, false, fmt.Errorf("%s: %s: the file %q cannot be read: %s", from.where, k.fileKey(), from.text, reason(err))
			}
			return entry{strings.TrimRight(string(body), "\r\n"), from.where}, true, nil
		case isSet:
			return direct, true, nil
		}
	}
	return entry{}, false, nil
}

// reason is an error of the file system without the operation and the path.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// readEnvironment picks our variables; what it does not know only warns,
// because orchestrators inject names of their own (a Kubernetes service called
// resetflow gives RESETFLOW_PORT).
func readEnvironment(environ []string) (set map[string]entry, warnings []string) {
	byVariable := map[string]string{}
	var names []string
	for _, k := range keys {
		known := []string{k.name}
		if k.secret {
			known = append(known, k.fileKey())
		}
		for _, name := range known {
			byVariable[variable(name)] = name
			names = append(names, variable(name))
		}
	}
	set = map[string]entry{}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "RESETFLOW_") {
			continue
		}
		if key, ok := byVariable[name]; ok {
			set[key] = entry{value, name}
			continue
		}
		warnings = append(warnings, fmt.Sprintf("%s: unknown variable, ignored; the nearest known one is %s", name, settings.Nearest(name, names)))
	}
	sort.Strings(warnings)
	return set, warnings
}

// problems are lines of what is wrong.
type problems []string

func (p *problems) add(line string) { *p = append(*p, line) }

// err is nil, or one line: the first problem and how many more there are.
func (p problems) err() error {
	switch len(p) {
	case 0:
		return nil
	case 1:
		return errors.New(p[0])
	case 2:
		return fmt.Errorf("%s (and one more)", p[0])
	}
	return fmt.Errorf("%s (and %d more)", p[0], len(p)-1)
}
