package attacks_test

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store"
)

// Time cannot be measured to prove a thing here, so these tests show it by
// construction. A backend compares IDs as it likes, and its time may tell how much
// of one was right: it is given hashes alone, which nobody can steer. The seals
// are compared by crypto/hmac and by the AEAD.

// witness is a backend that notes all that it is given.
type witness struct {
	store.Backend
	given strings.Builder
}

func (w *witness) note(v ...any) { fmt.Fprintf(&w.given, "%+v\n", v) }

func (w *witness) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	w.note(id, r)
	return w.Backend.Create(ctx, id, r)
}

func (w *witness) Load(ctx context.Context, id string) (store.Record, bool, error) {
	w.note(id)
	return w.Backend.Load(ctx, id)
}

func (w *witness) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	w.note(id, c)
	return w.Backend.Update(ctx, id, c)
}

func (w *witness) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	w.note(id, m)
	return w.Backend.Rotate(ctx, id, m)
}

func (w *witness) LoadFresh(ctx context.Context, ids ...string) (map[string]store.Record, error) {
	w.note(ids)
	return w.Backend.LoadFresh(ctx, ids...)
}

func (w *witness) End(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
	w.note(user, why, ids)
	return w.Backend.End(ctx, user, why, ids...)
}

func (w *witness) Delete(ctx context.Context, id string) (bool, error) {
	w.note(id)
	return w.Backend.Delete(ctx, id)
}

func TestAttackTimingOfTheLookup(t *testing.T) {
	w := &witness{Backend: kittest.NewBackend()}
	a := kittest.NewSite(kittest.StoreOver(w), sessionkit.Config{})
	for path, handler := range map[string]gin.HandlerFunc{
		"/login": kittest.SignIn("42"), "/set": kittest.Increment, "/renew": sessionkit.Renew, "/logout": sessionkit.Logout, "/": kittest.Whoami,
	} {
		a.On(path, handler)
	}
	b := kittest.NewBrowser(t, a)
	var secrets []string
	for _, path := range []string{"/set", "/login", "/", "/set", "/renew", "/logout"} {
		if b.Session() != "" {
			guess := []byte(b.Session()) // right but for the end
			guess[42] = map[bool]byte{true: 'B', false: 'A'}[guess[42] == 'A']
			assert.Empty(t, kittest.WithCookies(a, "/", kittest.SessionCookie+"="+string(guess)).Body.String())
			secrets = append(secrets, b.Session(), string(guess))
		}
		require.Less(t, b.Get(path).Code, http.StatusBadRequest)
	}
	require.Greater(t, len(secrets), 8)
	require.Greater(t, strings.Count(w.given.String(), "\n"), 10)
	for _, secret := range secrets {
		for i := range len(secret) - 8 {
			assert.NotContains(t, w.given.String(), secret[i:i+8], "no part of a secret is compared by a backend")
		}
	}
}

var (
	secretName  = regexp.MustCompile(`(?i)secret|\bmac\b|token\b|sealed`)
	harmless    = regexp.MustCompile(`^(""|nil|\d+|len\(.*\)|[a-z]\w*(Chars|Bytes))$`)
	comparisons = regexp.MustCompile(`^(bytes\.(Equal|Compare|HasPrefix|HasSuffix)|strings\.(Compare|EqualFold|HasPrefix|HasSuffix)|slices\.(Equal|Compare)|reflect\.DeepEqual)$`)
)

// variableTime returns the comparisons of secrets in a file that stop at the first
// difference.
func variableTime(t *testing.T, file string) (found []string, seals int) {
	t.Helper()
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, file, nil, 0)
	require.NoError(t, err)
	text := func(n ast.Node) string {
		var b bytes.Buffer
		require.NoError(t, printer.Fprint(&b, files, n))
		return b.String()
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			x, y := text(n.X), text(n.Y)
			if (n.Op == token.EQL || n.Op == token.NEQ) && secretName.MatchString(x+" "+y) && !harmless.MatchString(x) && !harmless.MatchString(y) {
				found = append(found, text(n))
			}
		case *ast.SwitchStmt:
			if n.Tag != nil && secretName.MatchString(text(n.Tag)) {
				found = append(found, "switch "+text(n.Tag))
			}
		case *ast.CallExpr:
			if call := text(n); comparisons.MatchString(text(n.Fun)) && secretName.MatchString(call) {
				found = append(found, call)
			} else if text(n.Fun) == "hmac.Equal" {
				seals++
			}
		}
		return true
	})
	return found, seals
}

// TestAttackTimingOfCompares reads the source: no secret, token or seal is compared
// in a time that depends on how much of it is right.
func TestAttackTimingOfCompares(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*.go", "store/*.go", "internal/*/*.go"} {
		found, err := filepath.Glob(filepath.Join("../../..", pattern))
		require.NoError(t, err)
		files = append(files, found...)
	}
	checked, seals := 0, 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		found, n := variableTime(t, file)
		assert.Empty(t, found, file)
		checked, seals = checked+1, seals+n
	}
	assert.Greater(t, checked, 20)
	assert.Equal(t, 1, seals, "the seal of a signed cookie is compared by hmac.Equal, and that of an encrypted one by the AEAD")

	// What the check is to find.
	bad := filepath.Join(t.TempDir(), "bad.go")
	require.NoError(t, os.WriteFile(bad, []byte(`package bad
func f(secret, other string, mac []byte) bool {
	switch secret { case other: return true }
	return secret == other || bytes.Equal(mac, nil) || strings.HasPrefix(other, secret)
}`), 0o600))
	found, _ := variableTime(t, bad)
	assert.Len(t, found, 4)
}
