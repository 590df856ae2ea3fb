package tree

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// outside are folders that hold what is made here and not kept.
var outside = []string{".git", ".cache", "bin", "node_modules", "screenshots"}

// each calls fn for every text file of the project.
func each(t *testing.T, fn func(name string, text []byte)) {
	t.Helper()
	root := filepath.Join("..", "..")
	seen := 0
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains(outside, d.Name()) {
			return filepath.SkipDir
		}
		if !d.Type().IsRegular() || strings.HasPrefix(d.Name(), "resetflow.db") {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if bytes.IndexByte(text, 0) >= 0 {
			return nil // an image or a program
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		seen++
		fn(filepath.ToSlash(rel), text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 50 {
		t.Fatalf("only %d files were found; the test looks in the wrong place", seen)
	}
}

// homes are where people's files are; a path below one is of one machine only.
var homes = regexp.MustCompile(`(^|[\s"'` + "`" + `(=:])(/home/[a-z][a-z0-9_-]*/|/Users/[A-Za-z]|/root/|[A-Z]:\\Users\\)`)

// shared are parents that say nothing about a machine.
var shared = []string{"/", "/tmp", "/var/tmp", "/home", "/opt", "/srv", "/usr", "/src", "/app", "/builds", "/go"}

func TestNoPathOfAMachine(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	here := []string{regexp.QuoteMeta(root) + `\b`}
	if parent := filepath.Dir(root); !slices.Contains(shared, parent) {
		here = append(here, regexp.QuoteMeta(parent+string(filepath.Separator)))
	}
	local := regexp.MustCompile(`(^|[\s"'` + "`" + `(=:])(` + strings.Join(here, "|") + `)`)
	each(t, func(name string, text []byte) {
		for i, line := range bytes.Split(text, []byte("\n")) {
			if local.Match(line) || homes.Match(line) && name != "internal/tree/tree_test.go" {
				t.Errorf("%s:%d holds a path of one machine: %s", name, i+1, line)
			}
		}
	})
}

// link is a Markdown link or picture; the target ends before a title.
var link = regexp.MustCompile(`\]\(([^)\s]+)[^)]*\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	each(t, func(name string, text []byte) {
		if !strings.HasSuffix(name, ".md") {
			return
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			target, _, _ := strings.Cut(string(m[1]), "#")
			if target == "" || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join("..", "..", filepath.FromSlash(path.Dir(name)), target)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, target)
			}
		}
	})
}

// TestEveryPageIsInTheIndex keeps the README.md of each folder of docs complete.
func TestEveryPageIsInTheIndex(t *testing.T) {
	each(t, func(name string, _ []byte) {
		if !strings.HasPrefix(name, "docs/") || !strings.HasSuffix(name, ".md") || path.Base(name) == "README.md" {
			return
		}
		index, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(path.Dir(name)), "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(index, []byte("("+path.Base(name)+")")) {
			t.Errorf("%s/README.md does not name %s", path.Dir(name), path.Base(name))
		}
	})
}

// TestNamedTestsExist keeps the tests that pages point to as proof.
func TestNamedTestsExist(t *testing.T) {
	mention := regexp.MustCompile("`(Test[A-Z][A-Za-z0-9]*)`")
	declared := regexp.MustCompile(`(?m)^func (Test[A-Z][A-Za-z0-9]*)\(`)
	there, named := map[string]bool{}, map[string]string{}
	each(t, func(name string, text []byte) {
		switch {
		case strings.HasSuffix(name, "_test.go"):
			for _, m := range declared.FindAllSubmatch(text, -1) {
				there[string(m[1])] = true
			}
		case strings.HasSuffix(name, ".md"):
			for _, m := range mention.FindAllSubmatch(text, -1) {
				named[string(m[1])] = name
			}
		}
	})
	for test, page := range named {
		if !there[test] {
			t.Errorf("%s names %s, which is not there", page, test)
		}
	}
}
