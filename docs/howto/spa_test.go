package howto_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/gin-contrib/cors"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// singlePage is a page with the script of the document.
func singlePage(t *testing.T) http.Handler {
	t.Helper()
	script, err := os.ReadFile("testdata/spa.js")
	require.NoError(t, err)
	r := gin.New()
	r.GET("/", html("<!doctype html><title>app</title><script>"+string(script)+"</script>"))
	return r
}

func TestSinglePage(t *testing.T) {
	for name, test := range map[string]struct {
		serve    func(t *testing.T, name string, handler http.Handler) string
		app, api string
		signedIn bool
	}{
		"in development":              {serve, "localhost", "localhost", true},
		"in production":               {serveTLS, "app.example.com", "api.example.com", true},
		"of another site":             {serve, "localhost", "127.0.0.1", false}, // third-party cookies
		"of another site, over HTTPS": {serveTLS, "app.example.com", "127.0.0.1", false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTab(t)
			app := test.serve(t, test.app, singlePage(t))
			api := test.serve(t, test.api, howto.SinglePageAPI(memstore.New(), app))
			b.open(app)
			call := func(method, path string) string {
				return js[string](b, fmt.Sprintf("call(%q, %q).then((r) => r.text().then((text) => r.status + ' ' + text))", method, api+path))
			}
			assert.Contains(t, call("POST", "/api/cart?item=tea"), `401 {"title":"Unauthorized"`)
			assert.Equal(t, "204 ", call("POST", "/login"))
			got := call("POST", "/api/cart?item=tea")
			if !test.signedIn {
				assert.Contains(t, got, `"reason":"not-signed-in"`)
				return
			}
			assert.Equal(t, `200 ["tea"]`, got)
			assert.Contains(t, js[string](b, fmt.Sprintf("fetch(%q, {method: 'POST'}).then((r) => r.text())", api+"/api/cart")), "not-signed-in",
				"without credentials no cookie comes")

			stranger := strings.Replace(app, test.app, "127.0.0.1", 1)
			b.open(stranger)
			assert.Equal(t, "TypeError: Failed to fetch", js[string](b, fmt.Sprintf("call('POST', %q).catch(String)", api+"/api/cart")))
		})
	}
}

// TestOrderOfCORS: with Sessions first a script is not told why it was refused, and
// the middleware says so in the log.
func TestOrderOfCORS(t *testing.T) {
	const app, other = "https://app.example.com", "https://other.example.com"
	allow := cors.New(cors.Config{AllowOrigins: []string{app, other}, AllowCredentials: true})
	for _, first := range []string{"cors", "sessions"} {
		log := logged(t)
		kit := sessionkit.Sessions(memstore.New(), sessionkit.Config{TrustedOrigins: []string{app}})
		r := gin.New()
		if first == "cors" {
			r.Use(allow, kit)
		} else {
			r.Use(kit, allow)
		}
		r.POST("/", func(c *gin.Context) { c.Status(http.StatusNoContent) })
		post := func(origin string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			q := httptest.NewRequest(http.MethodPost, "https://api.example.com/", nil)
			q.Header.Set("Origin", origin)
			q.Header.Set("Sec-Fetch-Site", "same-site")
			r.ServeHTTP(w, q)
			return w
		}
		w := post(app)
		assert.Equal(t, http.StatusNoContent, w.Code)
		assert.Equal(t, app, w.Header().Get("Access-Control-Allow-Origin"))
		w = post(other)
		assert.Equal(t, http.StatusForbidden, w.Code)
		assert.Contains(t, w.Body.String(), `"reason":"cross-origin"`)
		assert.Equal(t, first == "cors", w.Header().Get("Access-Control-Allow-Origin") != "")
		assert.Contains(t, log.String(), "if it is one of yours, add it to Config.TrustedOrigins")
	}
}

// TestOriginsThatCORSRefuses: gin-contrib/cors answers in front of the middleware, which then
// has nothing to tell, also if the origin is hidden by a page of the site itself.
func TestOriginsThatCORSRefuses(t *testing.T) {
	for _, test := range []struct {
		policy string
		cors   bool
		origin string
		want   int
	}{
		{"no-referrer", true, "null", http.StatusForbidden},
		{"no-referrer", false, "null", http.StatusNoContent},
		{"same-origin", true, "", http.StatusNoContent},
	} {
		log := logged(t)
		var events []sessionkit.Event
		var origin string
		answers := make(chan int, 1)
		r := gin.New()
		r.Use(func(c *gin.Context) {
			c.Next()
			if c.Request.Method == http.MethodPost {
				origin = c.GetHeader("Origin")
				assert.LessOrEqual(t, c.Writer.Size(), 0, "the answer is empty")
				answers <- c.Writer.Status()
			}
		})
		if test.cors {
			r.Use(cors.New(cors.Config{AllowOrigins: []string{"https://app.example.com"}}))
		}
		r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{OnEvent: func(_ *gin.Context, e sessionkit.Event) { events = append(events, e) }}))
		r.GET("/", func(c *gin.Context) {
			c.Header("Referrer-Policy", test.policy)
			html(`<!doctype html><title>Shop</title><form method="post"><button>Go</button></form>`)(c)
		})
		r.POST("/", func(c *gin.Context) { c.Status(http.StatusNoContent) })
		site := serveTLS(t, "shop.example.com", r)
		b := newTab(t)
		b.open(site)
		b.press("button")
		assert.Equal(t, test.want, <-answers, test)
		if test.origin == "" {
			test.origin = site
		}
		assert.Equal(t, test.origin, origin, test)
		assert.Empty(t, events)
		assert.NotContains(t, log.String(), "sessionkit")
	}
}
