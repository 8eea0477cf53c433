package documents_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testFunctions returns the names of the tests, fuzz targets and examples of the
// module.
func testFunctions(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		tree, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declaration := range tree.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
		return nil
	})
	require.NoError(t, err)
	return names
}

// requirements are those that docs/security.md must answer: how many each section
// of the standards has.
var requirements = map[string]int{
	"7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 3, "7.6": 2, "3.3": 5, "3.5": 8, "14.3": 3, "16.2": 5,
}

// TestSecurityDocument checks that every test it names exists, that each
// requirement is answered, and that what is met is shown by a test.
func TestSecurityDocument(t *testing.T) {
	text, err := os.ReadFile("docs/security.md")
	require.NoError(t, err)
	functions := testFunctions(t)
	named := regexp.MustCompile("`((?:Test|Fuzz|Example)[A-Za-z0-9_]+)`")
	cited := named.FindAllStringSubmatch(string(text), -1)
	assert.Greater(t, len(cited), 80)
	for _, match := range cited {
		assert.True(t, functions[match[1]], "there is no %s", match[1])
	}

	rows := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !regexp.MustCompile(`^ \d+\.\d`).MatchString(cells[1]) {
			continue
		}
		id, status := strings.TrimSpace(cells[1]), strings.TrimSpace(cells[3])
		rows[id] = append(rows[id], status)
		assert.Contains(t, []string{"met", "application's part", "not applicable"}, status, line)
		assert.NotEmpty(t, strings.TrimSpace(cells[2]), line)
		assert.NotEmpty(t, strings.TrimSpace(cells[4]), line)
		if status == "met" {
			assert.Regexp(t, named, cells[4], "%s is met: say which test shows it", id)
		}
	}
	for section, n := range requirements {
		for i := range n {
			id := fmt.Sprintf("%s.%d", section, i+1)
			assert.Len(t, rows[id], 1, "ASVS %s", id)
		}
	}
	for _, section := range []string{"5.1", "5.1 (6)", "5.1.1 (7)", "5.1.2", "5.2", "5.3"} {
		assert.NotEmpty(t, rows[section], "NIST SP 800-63B-4 section %s", section)
	}
}

// TestArchitectureDocument checks that each rule names tests that exist, and each row of
// "where to change what" one file.
func TestArchitectureDocument(t *testing.T) {
	text, err := os.ReadFile("docs/architecture.md")
	require.NoError(t, err)
	functions := testFunctions(t)
	rules := 0
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \| (.+) \| (.+) \|$`).FindAllStringSubmatch(string(text), -1) {
		rules++
		assert.Equal(t, fmt.Sprint(rules), row[1])
		names := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(row[3], -1)
		assert.NotEmpty(t, names, row[0])
		for _, name := range names {
			assert.True(t, functions[name[1]], "there is no %s", name[1])
		}
	}
	assert.Equal(t, 25, rules)

	_, table, ok := strings.Cut(string(text), "| to change | look in |")
	require.True(t, ok)
	places := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 || strings.HasPrefix(cells[1], "---") || strings.Contains(cells[1], "a backend") {
			continue // a backend has a folder
		}
		places++
		assert.Len(t, regexp.MustCompile(`\]\([^)]+\.go\)`).FindAllString(cells[2], -1), 1, "one file: %s", line)
	}
	assert.Greater(t, places, 20)
}
