package sessionkit_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
)

// TestAttackCachePoisoning: a cache between the site and its visitors gives nobody
// what was meant for another.
func TestAttackCachePoisoning(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		a := newSite(s, sessionkit.Config{})
		cached := func(c *gin.Context) {
			c.Header("Cache-Control", "public, max-age=600")
			for _, field := range ofSharedCaches {
				c.Header(field, "max-age=600")
			}
		}
		for path, handler := range map[string]gin.HandlerFunc{
			"/login": signIn("42"), "/renew": sessionkit.Renew, "/logout": sessionkit.Logout, "/set": increment,
			"/flash": func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "x") },
			"/read":  whoami, "/flashes": func(c *gin.Context) { sessionkit.Flashes(c) },
			"/current": func(c *gin.Context) { sessionkit.Current(c) }, "/default": func(c *gin.Context) { sessions.Default(c).Get("x") },
			"/err": func(c *gin.Context) { _ = sessionkit.Err(c) },
		} {
			a.on(path, handler)
			a.on("/public"+path, cached, handler)
		}
		a.on("/guarded", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/in"}), whoami)
		a.on("/private", func(c *gin.Context) { c.Header("Cache-Control", "Private , max-age=1") }, signIn("42"))
		b := newBrowser(t, a)
		for _, prefix := range []string{"", "/public"} {
			for _, path := range []string{"/set", "/flash", "/login", "/read", "/flashes", "/current", "/default", "/err", "/renew", "/logout"} {
				w := b.get(prefix + path)
				assert.Equal(t, []string{"Cookie"}, w.Header()["Vary"], "%s%s: what depends on the session says so", prefix, path)
				cache := w.Header().Get("Cache-Control")
				if cache == "no-store" {
					notShared(t, w)
				}
				switch {
				case len(w.Header()["Set-Cookie"]) > 0:
					assert.Equal(t, "no-store", cache, "%s%s: a response that sets the session's cookie is nobody else's", prefix, path)
				case prefix == "":
					assert.Empty(t, cache, path)
				default:
					assert.Equal(t, "public, max-age=600", cache, "%s: the handler's word stands otherwise", path)
					assert.Equal(t, "max-age=600", w.Header().Get("Surrogate-Control"), path)
				}
			}
		}
		assert.Equal(t, "Private , max-age=1", b.get("/private").Header().Get("Cache-Control"))
		for _, visitor := range []*browser{b, newBrowser(t, a)} {
			w := visitor.get("/guarded")
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"), "a guarded page, and its refusal")
			assert.Equal(t, []string{"Cookie"}, w.Header()["Vary"])
		}
		refused := b.do(b.request(http.MethodPost, "/read", "Sec-Fetch-Site", "cross-site"))
		assert.Equal(t, "no-store", refused.Header().Get("Cache-Control"), "a refusal is not remembered")
	})
}

// ofSharedCaches are what shared caches go by in place of Cache-Control: RFC 9213's, the
// same for one CDN alone, Edge's of the W3C, and nginx's.
var ofSharedCaches = []string{"CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Surrogate-Control", "X-Accel-Expires"}

func notShared(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	for _, field := range ofSharedCaches {
		assert.Empty(t, w.Header()[http.CanonicalHeaderKey(field)], "%s with status %d", field, w.Code)
	}
}

// TestAttackSharedCaches: the words of a middleware or handler to shared caches do not
// stand beside no-store, wherever that is the kit's.
func TestAttackSharedCaches(t *testing.T) {
	shared := func(c *gin.Context) {
		for _, field := range ofSharedCaches {
			c.Header(field, "600")
		}
	}
	s := newBackend()
	a := newSite(storeOver(s), sessionkit.Config{TokenHeader: "X-Session-Token"}, shared)
	a.on("/login", shared, signIn("42"))
	a.on("/guarded", shared, sessionkit.RequireSession(), whoami)
	a.on("/limited", shared, sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/in"}), whoami)
	a.on("/set", shared, increment)
	a.POST("/", whoami)
	b := newBrowser(t, a)
	check := func(what string, w *httptest.ResponseRecorder, status int) {
		t.Helper()
		assert.Equal(t, status, w.Code, what)
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"), what)
		notShared(t, w)
	}
	check("the guard's refusal", b.get("/guarded"), http.StatusUnauthorized)
	check("its redirect", b.get("/limited", "Accept", "text/html"), http.StatusSeeOther)
	check("another site's request", b.do(b.request(http.MethodPost, "/", "Sec-Fetch-Site", "cross-site")), http.StatusForbidden)
	check("the session's cookie", b.get("/login"), http.StatusOK)
	check("a guarded page", b.get("/guarded"), http.StatusOK)
	check("a token", newBrowser(t, a).get("/login", "X-Session-Token", ""), http.StatusOK)
	s.failing(errDown, "update")
	check("a failed save", b.get("/set"), http.StatusServiceUnavailable)
	s.failing(errDown, "load")
	check("a failed read", b.get("/guarded"), http.StatusServiceUnavailable)
}

// TestAttackSecondUser: what one user leaves in a browser is out of the next one's
// reach, however the first one's session ended.
func TestAttackSecondUser(t *testing.T) {
	typed := sessionkit.NewFlash[item]("typed")
	ends := map[string]func(b *browser){
		"sign-out":              func(b *browser) { b.get("/logout") },
		"gin-contrib sign-out":  func(b *browser) { b.get("/legacy") },
		"expiry":                func(*browser) { time.Sleep(2 * time.Hour) },
		"another user signs in": func(*browser) {},
	}
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s sessions.Store) {
				t.Helper()
				synctest.Test(t, func(t *testing.T) {
					a := newSite(s, sessionkit.Config{ClearSiteData: []string{"cache", "storage"}})
					a.on("/login", func(c *gin.Context) { sessionkit.Login(c, c.Query("user")) })
					a.on("/fill", func(c *gin.Context) {
						name.Set(c, "alice's")
						sessionkit.Flash(c, sessionkit.Info, "alice's")
						typed.Add(c, item{"alice's", 1})
						sessions.Default(c).Set("legacy", "alice's")
						sessions.Default(c).AddFlash("alice's")
					})
					a.on("/logout", sessionkit.Logout)
					a.on("/legacy", func(c *gin.Context) {
						sessions.Default(c).Clear()
						sessions.Default(c).Options(sessions.Options{MaxAge: -1})
					})
					a.on("/look", sessionkit.RequireSession(), func(c *gin.Context) {
						kept, _ := name.Get(c)
						user, _ := sessionkit.User(c)
						legacy := sessions.Default(c)
						c.JSON(http.StatusOK, gin.H{
							"user": user, "name": kept, "legacy": legacy.Get("legacy"), "flashes": sessionkit.Flashes(c),
							"typed": typed.Take(c), "ginFlashes": legacy.Flashes(), "since": sessionkit.Current(c).CreatedAt,
						})
					})
					b := newBrowser(t, a)
					b.get("/login?user=alice")
					b.get("/fill")
					alice := b.fork()
					began := time.Now()
					end(b)
					if how == "sign-out" {
						assert.Equal(t, http.StatusUnauthorized, b.get("/look").Code, "nobody is signed in")
					}
					time.Sleep(time.Second)
					b.get("/login?user=bob")
					w := b.get("/look")
					assert.NotContains(t, w.Body.String(), "alice", "bob sees nothing of alice")
					assert.Contains(t, w.Body.String(), "bob")
					var seen struct{ Since time.Time }
					require.NoError(t, json.Unmarshal(w.Body.Bytes(), &seen))
					assert.True(t, seen.Since.After(began), "it is another session")
					assert.Equal(t, "no-store", w.Header().Get("Cache-Control"), "the back button shows nothing either")
					if !strings.Contains(t.Name(), "cookie") { // there a copy of the cookie is good until its deadline
						assert.Equal(t, http.StatusUnauthorized, alice.get("/look").Code, "alice's session is over")
					}
				})
			})
		})
	}
}
