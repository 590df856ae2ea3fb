package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/resetflow/resetflow/"

// file is one Go file of the project. The files are read by this test itself:
// a test built on `go list` is cached and misses a new import.
type file struct {
	path    string // slash-separated, from the project's root
	pkg     string // its folder
	test    bool
	lines   int
	imports []string
	syntax  *ast.File
}

func files(t *testing.T) []file {
	t.Helper()
	root := filepath.Join("..", "..")
	var out []file
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		f := file{path: rel, pkg: filepath.ToSlash(filepath.Dir(rel)), test: strings.HasSuffix(rel, "_test.go"), lines: strings.Count(string(src), "\n"), syntax: syntax}
		for _, i := range syntax.Imports {
			p, _ := strconv.Unquote(i.Path.Value)
			f.imports = append(f.imports, p)
		}
		out = append(out, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("only %d files were found; the test looks in the wrong place", len(out))
	}
	return out
}

func top(pkg string) string { name, _, _ := strings.Cut(pkg, "/"); return name }

// adapters know workflow and what is below internal, and never each other.
// templates is a leaf that pages and mails share.
var adapters = map[string][]string{
	"web": {"templates"}, "notify": {"templates"}, "api": nil, "flows": nil, "storage": nil, "directory": nil, "templates": nil,
}

// suite reports whether a package is a shared test suite or fixture, which may
// wire several adapters, as cmd does.
func suite(pkg string) bool {
	for _, s := range []string{"flows/flowtest", "storage/storagetest", "directory/directorytest", "internal/testkit", "e2e", "bench"} {
		if pkg == s || strings.HasPrefix(pkg, s+"/") {
			return true
		}
	}
	return false
}

func TestImportsPointOneWay(t *testing.T) {
	for _, f := range files(t) {
		for _, imp := range f.imports {
			own, isOurs := strings.CutPrefix(imp, module)
			switch {
			case f.pkg == "workflow" && !f.test && (isOurs || strings.Contains(top(imp), ".")):
				t.Errorf("%s imports %s: the domain imports the standard library only", f.path, imp)
			case isOurs && top(own) == "config" && top(f.pkg) != "cmd" && top(f.pkg) != "config":
				t.Errorf("%s imports %s: configuration is cmd's alone", f.path, imp)
			case isOurs && top(own) == "cmd":
				t.Errorf("%s imports %s: nothing imports cmd", f.path, imp)
			}
			if f.test || suite(f.pkg) {
				continue
			}
			allowed, adapter := adapters[top(f.pkg)]
			_, other := adapters[top(own)]
			if isOurs && adapter && other && top(own) != top(f.pkg) && !contains(allowed, top(own)) {
				t.Errorf("%s imports %s: adapters never know each other", f.path, imp)
			}
			if isOurs && top(f.pkg) == "internal" && other && !(f.pkg == "internal/database" && own == "storage/migrations") && f.pkg != "internal/docgen" {
				t.Errorf("%s imports %s: internal is below the adapters", f.path, imp)
			}
			if strings.HasPrefix(imp, "gorm.io/") && top(f.pkg) != "storage" && top(f.pkg) != "directory" && f.pkg != "internal/database" {
				t.Errorf("%s imports %s: gorm stays below storage and directory", f.path, imp)
			}
			if strings.HasPrefix(imp, "github.com/labstack/echo") && top(f.pkg) != "api" && top(f.pkg) != "web" && top(f.pkg) != "cmd" {
				t.Errorf("%s imports %s: echo stays below api and web", f.path, imp)
			}
			if imp == "math/rand" {
				t.Errorf("%s imports math/rand: secrets come from crypto/rand, jitter from math/rand/v2", f.path)
			}
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func TestNoFileIsTooLong(t *testing.T) {
	for _, f := range files(t) {
		if f.lines > 500 {
			t.Errorf("%s has %d lines, more than 500: split it where a reader would", f.path, f.lines)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	said, seen := map[string]bool{}, map[string]bool{}
	for _, f := range files(t) {
		if f.test {
			continue
		}
		seen[f.pkg] = true
		if f.syntax.Doc != nil {
			said[f.pkg] = true
		}
	}
	for pkg := range seen {
		if !said[pkg] {
			t.Errorf("the package in %s has no comment", pkg)
		}
	}
}

func TestNoVagueNames(t *testing.T) {
	for _, f := range files(t) {
		base := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(f.path), ".go"), "_test")
		for _, vague := range []string{"utils", "util", "common", "helpers", "helper", "models", "types", "misc"} {
			if base == vague || filepath.Base(f.pkg) == vague {
				t.Errorf("%s: %q says nothing; name what it holds", f.path, vague)
			}
		}
	}
}

// Only Engine.move sets a state of a request, in the whole project.
func TestOneMethodSetsAState(t *testing.T) {
	for _, f := range files(t) {
		if f.test || f.pkg != "workflow" {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			fn, ok := n.(*ast.FuncDecl)
			if !ok {
				return true
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				set, ok := n.(*ast.AssignStmt)
				if !ok {
					return true
				}
				for _, left := range set.Lhs {
					if sel, ok := left.(*ast.SelectorExpr); ok && sel.Sel.Name == "State" && fn.Name.Name != "move" {
						t.Errorf("%s: %s assigns a State; only move does", f.path, fn.Name.Name)
					}
				}
				return true
			})
			return false
		})
	}
}

func TestNoTODOWithoutAnOwner(t *testing.T) {
	for _, f := range files(t) {
		for _, group := range f.syntax.Comments {
			for _, line := range strings.Split(group.Text(), "\n") {
				if strings.HasPrefix(line, "TODO") && !strings.HasPrefix(line, "TODO(") {
					t.Errorf("%s: a TODO names nobody: %s", f.path, line)
				}
			}
		}
	}
}
