package documents_test

import (
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestArchitectureTable checks that each package refers to what the table of the parts says.
func TestArchitectureTable(t *testing.T) {
	text, err := os.ReadFile("docs/architecture.md")
	require.NoError(t, err)
	row := regexp.MustCompile(`(?m)^\| (\[.+\)) \| .+ \| (.*) ?\|$`)
	link := regexp.MustCompile(`\[[^\]]+\]\(\.\./((?:internal/|store)[^)]*)\)`)
	said := make(map[string]string)
	for _, match := range row.FindAllStringSubmatch(string(text), -1) {
		for _, folder := range link.FindAllStringSubmatch(match[1], -1) {
			if info, err := os.Stat(folder[1]); err == nil && info.IsDir() {
				said[folder[1]] = strings.TrimSpace(strings.Replace(match[2], "and the types of store", "store", 1))
			}
		}
	}
	assert.Len(t, said, 19)
	for folder, names := range said {
		listed := strings.FieldsFunc(names, func(r rune) bool { return r == ',' || r == ' ' })
		slices.Sort(listed)
		assert.Equal(t, listed, references(t, folder), folder)
	}
}

// references returns the packages of this module that a package refers to, and gin.
func references(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	require.NoError(t, err)
	names := []string{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range tree.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			if strings.HasPrefix(imported, "github.com/gin-sessionkit/sessionkit/") || imported == "github.com/gin-gonic/gin" {
				names = append(names, path.Base(imported))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
