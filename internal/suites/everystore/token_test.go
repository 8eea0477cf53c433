package everystore_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/suites/teststores"
)

func TestToken(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		const header, ask = "Authorization", "Bearer"
		a := kittest.NewTokenSite(s, header)
		w, none := kittest.Call(t, a, http.MethodGet, "/account", header, ask)
		assert.Equal(t, http.StatusUnauthorized, w.Code)
		assert.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"))
		assert.Empty(t, none, "who stores nothing gets no session")

		w, first := kittest.Call(t, a, http.MethodPost, "/login", header, ask)
		require.Equal(t, http.StatusOK, w.Code)
		require.True(t, strings.HasPrefix(first, "Bearer ") && len(first) > 40, first)
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		assert.Equal(t, []string{"Cookie, Authorization"}, w.Header()["Vary"])

		w, same := kittest.Call(t, a, http.MethodGet, "/account", header, first)
		assert.Equal(t, "42", w.Body.String())
		assert.Empty(t, same)
		current := first
		w, next := kittest.Call(t, a, http.MethodPost, "/set", header, strings.Replace(first, "Bearer", "bearer", 1))
		assert.Equal(t, http.StatusNoContent, w.Code)
		if next != "" { // a store that keeps the session in what the client holds
			current = next
		}
		w, _ = kittest.Call(t, a, http.MethodGet, "/count", header, current)
		assert.JSONEq(t, `{"n": 1, "ok": true}`, w.Body.String())

		w, renewed := kittest.Call(t, a, http.MethodPost, "/renew", header, current)
		assert.Equal(t, http.StatusOK, w.Code)
		require.NotEqual(t, current, renewed)
		w, _ = kittest.Call(t, a, http.MethodGet, "/", header, renewed)
		assert.Equal(t, "42", w.Body.String())

		w, none = kittest.Call(t, a, http.MethodPost, "/logout", header, renewed)
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Empty(t, none)
	})
}
