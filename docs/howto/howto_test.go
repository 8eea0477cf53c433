package howto_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// squeeze returns text with its layout made one.
func squeeze(text string) string { return strings.Join(strings.Fields(text), " ") }

// TestDocument: each snippet of the document is code of a file here, which the tests
// run. Every section has one of 5 to 25 lines, before what there is to know.
func TestDocument(t *testing.T) {
	document, err := os.ReadFile("../howto.md")
	require.NoError(t, err)
	var files []string
	for _, pattern := range []string{"*.go", "testdata/*.*"} {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			files = append(files, squeeze(string(text)))
		}
	}
	fence := regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")
	sections := strings.Split(string(document), "\n## ")[1:]
	assert.Len(t, sections, 17)
	for _, section := range sections {
		title, text, _ := strings.Cut(section, "\n")
		assert.True(t, strings.HasPrefix(strings.TrimSpace(text), "```"), "%s: the snippet comes first", title)
		snippets := fence.FindAllStringSubmatch(text, -1)
		assert.NotEmpty(t, snippets, title)
		for _, snippet := range snippets {
			lines := strings.Count(snippet[2], "\n")
			if snippet[1] != "sh" {
				assert.True(t, lines >= 5 && lines <= 25 || lines < 5 && len(snippets) > 1, "%s: a snippet of %d lines", title, lines)
				assert.True(t, standsIn(files, squeeze(snippet[2])), "%s: no file has this snippet:\n%s", title, snippet[2])
			}
		}
	}
}

func standsIn(files []string, snippet string) bool {
	for _, file := range files {
		if strings.Contains(file, snippet) {
			return true
		}
	}
	return false
}
