package attacks_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// TestAttackSiblingInChromium: mallory, on a sibling subdomain, plants the cookie of a
// session of her own in alice's browser. The __Host- prefix is what keeps it out; with
// Domain or another Path the cookie has none, as docs/security.md says.
func TestAttackSiblingInChromium(t *testing.T) {
	ctx := newChromium(t)
	for name, test := range map[string]struct {
		config sessionkit.Config
		scope  string // the attributes of mallory's cookie
		want   string // who is signed in in alice's browser
	}{
		"as it is":      {sessionkit.Config{}, "; Path=/", "alice"},
		"a longer path": {sessionkit.Config{}, "; Path=/app/", "alice"},
		"Config.Path":   {sessionkit.Config{Path: "/app"}, "; Path=/app/", "mallory"},
		"Config.Domain": {sessionkit.Config{Domain: "example.com"}, "; Path=/", "mallory"},
	} {
		t.Run(name, func(t *testing.T) {
			a := kittest.NewSite(memstore.New(), test.config)
			a.GET("/app/login", func(c *gin.Context) { sessionkit.Login(c, c.Query("user")) })
			a.GET("/app/me", kittest.Whoami)
			w := httptest.NewRecorder()
			a.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://www.example.com/app/login?user=mallory", nil))
			hers, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")
			site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.Host, "evil.") {
					w.Header().Set("Set-Cookie", hers+"; Domain=example.com; Secure; HttpOnly"+test.scope)
					return
				}
				a.ServeHTTP(w, r)
			}))
			t.Cleanup(site.Close)
			at := func(host string) string { return strings.Replace(site.URL, "127.0.0.1", host, 1) }

			open(t, ctx, at("www.example.com")+"/app/login?user=alice")
			require.Equal(t, "alice", open(t, ctx, at("www.example.com")+"/app/me"))
			open(t, ctx, at("evil.example.com")+"/")
			assert.Equal(t, test.want, open(t, ctx, at("www.example.com")+"/app/me"))
		})
	}
}

// open loads a page and returns its text.
func open(t *testing.T, ctx context.Context, address string) string { //nolint:revive // as testing's helpers, t comes first
	t.Helper()
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(address)))
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	require.NoError(t, err)
	return text
}
