package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// repository is the top of the repository, as seen from this package.
const repository = "../.."

// documents returns the paths of all Markdown documents, from the top of the repository.
func documents(t *testing.T) []string {
	t.Helper()
	paths := []string{"README.md"}
	err := fs.WalkDir(os.DirFS(repository), "docs", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func readFromTop(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	fenced  = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	spanned = regexp.MustCompile("`[^`\n]*`")
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	linked  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	markup  = regexp.MustCompile("[`*]|\\]\\([^)]*\\)|\\[")
	// alerted is a document named outside of Markdown: in an alert, in what a program says.
	alerted = regexp.MustCompile(`\bdocs/[A-Za-z0-9_./-]+\.[a-z]+(?:#[a-z0-9-]+)?`)
)

// anchors returns the anchors of a document's headings, as GitHub makes them: lower case, no punctuation, blanks as
// hyphens, and a number behind what comes again.
func anchors(text string) map[string]bool {
	all := make(map[string]bool)
	seen := make(map[string]int)
	for _, h := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		var b strings.Builder
		for _, r := range strings.ToLower(markup.ReplaceAllString(h[1], "")) {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				b.WriteRune(r)
			case r == ' ':
				b.WriteByte('-')
			}
		}
		anchor := b.String()
		if n := seen[anchor]; n > 0 {
			anchor += "-" + strconv.Itoa(n)
		}
		seen[b.String()]++
		all[anchor] = true
	}
	return all
}

// checkLink reports a link to a file or heading that is not there. from is the folder that it is relative to.
func checkLink(t *testing.T, where, from, link string) {
	t.Helper()
	path, anchor, hasAnchor := strings.Cut(link, "#")
	target := where
	if path != "" {
		target = filepath.Join(from, path)
		if _, err := os.Stat(filepath.Join(repository, target)); err != nil {
			t.Errorf("%s links to %s, which is not there", where, link)
			return
		}
	}
	if hasAnchor && filepath.Ext(target) == ".md" && !anchors(readFromTop(t, target))[anchor] {
		t.Errorf("%s links to %s, but %s has no such heading", where, link, target)
	}
}

func TestDocsLinksLeadSomewhere(t *testing.T) {
	links := 0
	for _, path := range documents(t) {
		text := spanned.ReplaceAllString(fenced.ReplaceAllString(readFromTop(t, path), ""), "")
		for _, l := range linked.FindAllStringSubmatch(text, -1) {
			if strings.Contains(l[1], "://") || strings.HasPrefix(l[1], "mailto:") {
				continue // the tests need no network
			}
			links++
			checkLink(t, path, filepath.Dir(path), l[1])
		}
	}
	if links < 20 {
		t.Errorf("only %d links were found", links)
	}
}

func TestDocsNamedInAlertsAndMessagesAreThere(t *testing.T) {
	named := 0
	err := fs.WalkDir(os.DirFS(repository), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && strings.HasPrefix(d.Name(), ".") && d.Name() != ".ci" {
			return fs.SkipDir
		}
		switch filepath.Ext(path) {
		case ".go", ".yml", ".yaml", ".service", ".json":
		default:
			if d.Name() != "Makefile" && d.Name() != "Containerfile" {
				return nil
			}
		}
		for _, name := range alerted.FindAllString(readFromTop(t, path), -1) {
			named++
			checkLink(t, path, ".", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if named < 10 {
		t.Errorf("only %d documents are named", named)
	}
}

func TestDocsAnchorsAreMadeAsGitHubMakesThem(t *testing.T) {
	have := anchors("# The `MARK` file, and why?\n## Twice\n## Twice\n```sh\n# no heading\n```\n### [A link](x.md) & more\n")
	for _, want := range []string{"the-mark-file-and-why", "twice", "twice-1", "a-link--more"} {
		if !have[want] {
			t.Errorf("there is no anchor %q among %v", want, have)
		}
	}
	if have["no-heading"] {
		t.Error("a comment in a code block became a heading")
	}
}
