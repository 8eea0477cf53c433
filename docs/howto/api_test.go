package howto_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// send sends a request to a handler. header has names and values in turn.
func send(r http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	q := httptest.NewRequest(method, "https://api.example.com"+path, nil)
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, q)
	return w
}

func TestAPI(t *testing.T) {
	r := howto.API(memstore.New(), "key")

	w := send(r, http.MethodPost, "/login", "Authorization", "Bearer")
	token := w.Header().Get("Authorization")
	require.True(t, strings.HasPrefix(token, "Bearer "), token)
	assert.Empty(t, w.Header()["Set-Cookie"])
	w = send(r, http.MethodGet, "/api/me", "Authorization", token)
	assert.JSONEq(t, `{"user":"42"}`, w.Body.String())

	w = send(r, http.MethodPost, "/login", "Sec-Fetch-Site", "same-origin")
	assert.Empty(t, w.Header().Get("Authorization"), "no script in a page sees the token")
	cookie, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")
	w = send(r, http.MethodGet, "/api/me", "Cookie", cookie)
	assert.JSONEq(t, `{"user":"42"}`, w.Body.String())

	w = send(r, http.MethodGet, "/api/me", "Authorization", "Bearer")
	assert.Equal(t, http.StatusUnauthorized, w.Code)
	assert.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"))
	assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))

	assert.Equal(t, http.StatusAccepted, send(r, http.MethodPost, "/jobs/report", "X-Api-Key", "key").Code)
	assert.Equal(t, http.StatusUnauthorized, send(r, http.MethodPost, "/jobs/report", "X-Api-Key", "other").Code)
	assert.Equal(t, http.StatusUnauthorized, send(r, http.MethodPost, "/jobs/report", "Cookie", cookie).Code)
	assert.Equal(t, http.StatusAccepted, send(r, http.MethodPost, "/jobs/report", "X-Api-Key", "key", "Sec-Fetch-Site", "cross-site").Code)
	assert.Equal(t, http.StatusForbidden, send(r, http.MethodPost, "/login", "Sec-Fetch-Site", "cross-site").Code)
}
