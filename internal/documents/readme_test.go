package documents_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestREADME compares the program in the README with the Example that is run.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	_, program, ok := strings.Cut(string(readme), "```go\n")
	require.True(t, ok, "the README has a program")
	program, _, _ = strings.Cut(program, "```")

	squeezed := strings.Join(strings.Fields(string(source)), " ")
	checked := 0
	for line := range strings.Lines(program) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "var ")) // the Example has them in a group
		if line == "" || line == "package main" || strings.HasPrefix(line, `"`) || strings.HasPrefix(line, "import") ||
			strings.HasPrefix(line, "func main") || strings.HasPrefix(line, "log.Fatal") {
			continue // what makes it a program of its own
		}
		assert.True(t, strings.Contains(squeezed, strings.Join(strings.Fields(line), " ")), "the README's program is the Example: %s", line)
		checked++
	}
	assert.Greater(t, checked, 20)

	for _, command := range []string{"go run ./example", "go test work"} {
		assert.Contains(t, string(readme), command)
	}
}
