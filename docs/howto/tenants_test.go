package howto_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// TestTenants: the first user of one tenant sends their cookie to the host of another, and is nobody
// there.
func TestTenants(t *testing.T) {
	s := memstore.New()
	r := gin.New()
	r.Use(sessionkit.Sessions(s))
	howto.Tenants(r, func(host string) string {
		tenant, ok := strings.CutSuffix(host, ".example.com")
		if !ok {
			return ""
		}
		return tenant
	}, func(_, _, _ string) (string, bool) { return "1", true })
	mine := sessionkittest.Visitor(t, r, sessionkittest.At("https://shop.example.com"))
	theirs := sessionkittest.Visitor(t, r, sessionkittest.At("https://bank.example.com"))
	for _, client := range []*sessionkittest.Client{mine, theirs} {
		require.Equal(t, http.StatusSeeOther, client.Post("/login", nil).Code)
		assert.Equal(t, "1", client.Get("/account").Body.String())
	}
	at := func(host string) int {
		own := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://shop.example.com/account", nil)
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+"/account", nil)
		for _, cookie := range mine.Jar.Cookies(own.URL) {
			request.AddCookie(cookie)
		}
		w := httptest.NewRecorder()
		r.ServeHTTP(w, request)
		return w.Code
	}
	assert.Equal(t, http.StatusOK, at("shop.example.com"))
	assert.Equal(t, http.StatusForbidden, at("bank.example.com"))
	assert.Equal(t, http.StatusForbidden, at("example.org"))

	n, err := s.RevokeAll(t.Context(), "shop/1")
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.Equal(t, http.StatusOK, theirs.Get("/account").Code)
}
