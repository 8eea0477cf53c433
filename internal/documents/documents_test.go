package documents_test

import (
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// files returns the paths of the repository's files with an extension, but for
// those of packages that are installed in it.
func files(t *testing.T, extension string) []string {
	t.Helper()
	var paths []string
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || path != "." && strings.HasPrefix(entry.Name(), ".")):
			return filepath.SkipDir
		case filepath.Ext(path) == extension:
			paths = append(paths, path)
		}
		return nil
	}))
	return paths
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// tokens returns Go code without its comments and its layout.
func tokens(code string) string {
	var b strings.Builder
	file := token.NewFileSet().AddFile("", -1, len(code))
	var s scanner.Scanner
	s.Init(file, []byte(code), nil, 0)
	for {
		_, tok, literal := s.Scan()
		switch {
		case tok == token.EOF:
			return b.String()
		case tok == token.SEMICOLON:
			literal = ";"
		case literal == "":
			literal = tok.String()
		}
		b.WriteString(literal + " ")
	}
}

var fence = regexp.MustCompile("(?ms)^ *```(\\w*)\n(.*?)^ *```$")

// TestSnippets compares the Go code in the documents with the code that is compiled
// and run: each part of a snippet, up to an empty line between declarations or
// statements of the outermost block, stands in a Go file of the repository. The
// README's program has a test of its own.
func TestSnippets(t *testing.T) {
	var code strings.Builder
	for _, path := range files(t, ".go") {
		code.WriteString(tokens(readFile(t, path)))
	}
	compiled := code.String()
	checked := 0
	for _, path := range files(t, ".md") {
		for _, block := range fence.FindAllStringSubmatch(readFile(t, path), -1) {
			if block[1] != "go" || path == "README.md" && strings.HasPrefix(block[2], "package main") {
				continue
			}
			for _, part := range parts(block[2]) {
				want := strings.TrimSuffix(tokens(part), "; ")
				assert.True(t, strings.Contains(compiled, want), "%s: no Go file has this code:\n%s", path, part)
				checked++
			}
		}
	}
	assert.Greater(t, checked, 5)
}

// parts splits code at the empty lines that stand outside all braces.
func parts(code string) []string {
	var list []string
	depth, from := 0, 0
	for i, r := range code {
		switch r {
		case '{', '(':
			depth++
		case '}', ')':
			depth--
		case '\n':
			if depth == 0 && strings.HasPrefix(code[i:], "\n\n") {
				list = append(list, code[from:i])
				from = i
			}
		}
	}
	return append(list, code[from:])
}

var (
	quoted  = regexp.MustCompile("`[^`\n]*`")
	link    = regexp.MustCompile(`!?\[[^\]\n]*\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
)

// TestLinks follows the links between the documents and to the code.
func TestLinks(t *testing.T) {
	checked := 0
	for _, path := range files(t, ".md") {
		text := quoted.ReplaceAllString(fence.ReplaceAllString(readFile(t, path), ""), "")
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			target, err := url.Parse(found[1])
			if !assert.NoError(t, err, path) || target.Scheme != "" {
				continue
			}
			to := path
			if target.Path != "" {
				to = filepath.Join(filepath.Dir(path), filepath.FromSlash(target.Path))
			}
			_, err = os.Stat(to)
			if assert.NoError(t, err, "%s links to %s", path, found[1]) && target.Fragment != "" {
				assert.Contains(t, anchors(readFile(t, to)), target.Fragment, "%s links to %s", path, found[1])
			}
			checked++
		}
	}
	assert.Greater(t, checked, 5)
}

// anchors returns the names by which the headings of a document are linked to.
func anchors(text string) []string {
	var list []string
	seen := make(map[string]int)
	for _, found := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, found[1])
		if n := seen[name]; n > 0 {
			list = append(list, fmt.Sprintf("%s-%d", name, n))
		} else {
			list = append(list, name)
		}
		seen[name]++
	}
	return list
}

func TestAnchors(t *testing.T) {
	assert.Equal(t, []string{"from-gin-contribsessions", "1-change-one-line", "twice", "twice-1"},
		anchors("# From gin-contrib/sessions\n```\n# no heading\n```\n### 1. Change `one` line\n## Twice\n## Twice\n"))
	assert.Equal(t, []string{"a()", "\n\nb{\n\nc}"}, parts("a()\n\nb{\n\nc}"))
	assert.Equal(t, tokens("f( a )  // why\n"), tokens("f(a)\n"))
}
