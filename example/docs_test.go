package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFilesAreShort keeps the application a tutorial.
func TestFilesAreShort(t *testing.T) {
	for _, pattern := range []string{"*.go", "static/*", "templates/*"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, name := range files {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			if !strings.HasSuffix(name, "_test.go") {
				assert.LessOrEqual(t, strings.Count(string(text), "\n"), 200, name)
			}
		}
	}
}

var (
	links = regexp.MustCompile(`\]\(([^):]+)\)`)
	calls = regexp.MustCompile("`(?:[a-z]+\\.|Config\\.)?([A-Z][A-Za-z]*)")
)

// TestReadmeNamesEachFile: whoever looks for "how do I" finds every file, and in
// it the calls that the table promises.
func TestReadmeNamesEachFile(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var named []string
	for line := range strings.Lines(string(readme)) {
		var files strings.Builder
		for _, link := range links.FindAllStringSubmatch(line, -1) {
			named = append(named, link[1])
			text, err := os.ReadFile(link[1])
			if link[1] != "testdata/axe-core" {
				assert.NoError(t, err)
			}
			files.Write(text)
		}
		for _, call := range calls.FindAllStringSubmatch(line, -1) {
			if files.Len() > 0 {
				assert.Contains(t, files.String(), call[1], line)
			}
		}
	}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		if !strings.HasSuffix(name, "_test.go") && name != "source.go" {
			assert.True(t, slices.Contains(named, name), "%s is not in README.md", name)
		}
	}
}
