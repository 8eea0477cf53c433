package documents_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// readsBody matches the methods and fields that wait for the body of a request.
var readsBody = regexp.MustCompile(`PostForm|FormFile|FormValue|ParseForm|MultipartForm|Bind|GetRawData|^Body$`)

// TestFormsAreReadBeforeUpdate: no function that the examples give to Key.Update waits for
// the client to send its form. Other requests may be waiting for the function.
func TestFormsAreReadBeforeUpdate(t *testing.T) {
	changes := 0
	for _, path := range files(t, ".go") {
		if strings.HasSuffix(path, "_test.go") && !strings.HasPrefix(path, "example_") {
			continue
		}
		positions := token.NewFileSet()
		file, err := parser.ParseFile(positions, path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			f, ok := n.(*ast.FuncLit)
			if !ok || !changesValue(f.Type) {
				return true
			}
			changes++
			ast.Inspect(f.Body, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					assert.NotRegexp(t, readsBody, s.Sel.Name, positions.Position(s.Pos()))
				}
				return true
			})
			return false
		})
	}
	assert.Greater(t, changes, 5)
}

// changesValue reports whether a function is a func(T) T.
func changesValue(f *ast.FuncType) bool {
	return f.Params.NumFields() == 1 && f.Results.NumFields() == 1 && types.ExprString(f.Params.List[0].Type) == types.ExprString(f.Results.List[0].Type)
}
