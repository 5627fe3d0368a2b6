package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type arrow struct {
	folder string
	may    []string
}

// arrows are what docs/architecture.md says of who may know whom: a folder, and the folders of ours that it may import.
// The first that fits a package counts.
var arrows = []arrow{
	{"engine/internal", []string{"engine/internal"}},
	{"engine/enginetest", []string{"engine"}},
	{"engine/hours", nil}, // it knows of no stock
	{"engine", []string{"engine/internal", "engine/hours"}},
	{"server/webhook", []string{"engine"}},
	{"server/track", nil}, // it knows of no stock
	{"server/lines", nil},
	{"server", []string{"engine", "server/webhook", "server/track", "server/lines"}},
	{"bench", []string{"engine", "loadtest"}},
	{"loadtest", []string{"loadtest"}}, // it knows a server by its HTTP only
	{"cmd", []string{"cmd", "bench", "loadtest", "server", "engine"}},
}

func within(folder, name string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }

// arrowOf returns which of arrows is that of a file.
func arrowOf(name string) int {
	return slices.IndexFunc(arrows, func(a arrow) bool { return within(a.folder, name) })
}

// sources calls f with every Go file of the product, from the top of the repository.
func sources(t *testing.T, f func(name string, file *ast.File)) {
	t.Helper()
	files := token.NewFileSet()
	found := 0
	for i, a := range arrows {
		if _, err := os.Stat(filepath.Join(repository, a.folder)); err != nil {
			continue
		}
		err := fs.WalkDir(os.DirFS(repository), a.folder, func(name string, _ fs.DirEntry, err error) error {
			if err != nil || path.Ext(name) != ".go" {
				return err
			}
			if arrowOf(name) != i {
				return nil // its own turn comes
			}
			file, err := parser.ParseFile(files, filepath.Join(repository, name), nil, parser.ImportsOnly|parser.ParseComments)
			if err == nil {
				found++
				f(name, file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 50 {
		t.Errorf("only %d source files were found", found)
	}
}

func TestArchitectureDependenciesPointOneWay(t *testing.T) {
	sources(t, func(name string, file *ast.File) {
		if strings.HasSuffix(name, "_test.go") {
			return // a test may look at both sides of what it tests
		}
		from := arrows[arrowOf(name)]
		for _, spec := range file.Imports {
			imported, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), "onhand/")
			if ours && !slices.ContainsFunc(from.may, func(may string) bool { return within(may, imported) }) {
				t.Errorf("%s imports %s: %s may import %q of ours (docs/architecture.md)", name, imported, from.folder, from.may)
			}
		}
	})
}

func TestArchitectureEveryPackageSaysWhatItIs(t *testing.T) {
	said := make(map[string]bool)
	sources(t, func(name string, file *ast.File) {
		if dir := path.Dir(name); !strings.HasSuffix(name, "_test.go") {
			said[dir] = said[dir] || file.Doc != nil
		}
	})
	for dir, ok := range said {
		if !ok {
			t.Errorf("package %s has no doc", dir)
		}
		if name := path.Base(dir); slices.Contains([]string{"util", "utils", "common", "helpers", "types", "misc"}, name) {
			t.Errorf("package %s has a name that says nothing", dir)
		}
	}
}

func TestArchitectureTheTopHoldsFewThings(t *testing.T) {
	allowed := []string{
		"engine", "server", "bench", "loadtest", "cmd", "docs", "go.mod", "go.sum", "Makefile", "README.md", "LICENSE",
		"bin", "cover.html", // made by make, and ignored by git
	}
	entries, err := os.ReadDir(repository)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, ".") && !slices.Contains(allowed, name) && path.Ext(name) != ".out" && path.Ext(name) != ".test" && path.Ext(name) != ".prof" {
			t.Errorf("%s lies at the top of the repository", name)
		}
	}
}
