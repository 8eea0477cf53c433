package attacks_test

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
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/suites/teststores"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// TestAttackCachePoisoning: a cache between the site and its visitors gives nobody
// what was meant for another.
func TestAttackCachePoisoning(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{})
		cached := func(c *gin.Context) {
			c.Header("Cache-Control", "public, max-age=600")
			for _, field := range ofSharedCaches {
				c.Header(field, "max-age=600")
			}
		}
		for path, handler := range map[string]gin.HandlerFunc{
			"/login": kittest.SignIn("42"), "/renew": sessionkit.Renew, "/logout": sessionkit.Logout, "/set": kittest.Increment,
			"/flash": func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "x") },
			"/read":  kittest.Whoami, "/flashes": func(c *gin.Context) { sessionkit.Flashes(c) },
			"/current": func(c *gin.Context) { sessionkit.Current(c) }, "/default": func(c *gin.Context) { sessions.Default(c).Get("x") },
			"/err": func(c *gin.Context) { _ = sessionkit.Err(c) },
		} {
			a.On(path, handler)
			a.On("/public"+path, cached, handler)
		}
		a.On("/guarded", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/in"}), kittest.Whoami)
		a.On("/private", func(c *gin.Context) { c.Header("Cache-Control", "Private , max-age=1") }, kittest.SignIn("42"))
		b := kittest.NewBrowser(t, a)
		for _, prefix := range []string{"", "/public"} {
			for _, path := range []string{"/set", "/flash", "/login", "/read", "/flashes", "/current", "/default", "/err", "/renew", "/logout"} {
				w := b.Get(prefix + path)
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
		assert.Equal(t, "Private , max-age=1", b.Get("/private").Header().Get("Cache-Control"))
		for _, visitor := range []*kittest.Browser{b, kittest.NewBrowser(t, a)} {
			w := visitor.Get("/guarded")
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"), "a guarded page, and its refusal")
			assert.Equal(t, []string{"Cookie"}, w.Header()["Vary"])
		}
		refused := b.Do(b.Request(http.MethodPost, "/read", "Sec-Fetch-Site", "cross-site"))
		assert.Equal(t, "no-store", refused.Header().Get("Cache-Control"), "a refusal is not remembered")
	})
}

// ofSharedCaches are what shared caches go by in place of Cache-Control: RFC 9213's, the
// same for one CDN alone, Edge's of the W3C, Akamai's, nginx's, and LiteSpeed's.
var ofSharedCaches = []string{
	"CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Surrogate-Control", "Edge-Control", "X-Accel-Expires", "X-LiteSpeed-Cache-Control",
}

func notShared(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	for _, field := range ofSharedCaches {
		assert.Empty(t, w.Header()[http.CanonicalHeaderKey(field)], "%s with status %d", field, w.Code)
	}
}

// TestAttackSharedCaches: the words of a middleware or handler to shared caches do not
// stand beside no-store, wherever that is sessionkit's.
func TestAttackSharedCaches(t *testing.T) {
	shared := func(c *gin.Context) {
		for _, field := range ofSharedCaches {
			c.Header(field, "600")
		}
	}
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{TokenHeader: "X-Session-Token"}, shared)
	a.On("/login", shared, kittest.SignIn("42"))
	a.On("/guarded", shared, sessionkit.RequireSession(), kittest.Whoami)
	a.On("/limited", shared, sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/in"}), kittest.Whoami)
	a.On("/set", shared, kittest.Increment)
	a.POST("/", kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	check := func(what string, w *httptest.ResponseRecorder, status int) {
		t.Helper()
		assert.Equal(t, status, w.Code, what)
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"), what)
		notShared(t, w)
	}
	check("the guard's refusal", b.Get("/guarded"), http.StatusUnauthorized)
	check("its redirect", b.Get("/limited", "Accept", "text/html"), http.StatusSeeOther)
	check("another site's request", b.Do(b.Request(http.MethodPost, "/", "Sec-Fetch-Site", "cross-site")), http.StatusForbidden)
	check("the session's cookie", b.Get("/login"), http.StatusOK)
	check("a guarded page", b.Get("/guarded"), http.StatusOK)
	check("a token", kittest.NewBrowser(t, a).Get("/login", "X-Session-Token", ""), http.StatusOK)
	s.Failing(kittest.ErrDown, "update")
	check("a failed save", b.Get("/set"), http.StatusServiceUnavailable)
	s.Failing(kittest.ErrDown, "load")
	check("a failed read", b.Get("/guarded"), http.StatusServiceUnavailable)
}

// TestAttackSecondUser: what one user leaves in a browser is out of the next one's
// reach, however the first one's session ended.
func TestAttackSecondUser(t *testing.T) {
	typed := sessionkit.NewFlash[kittest.Item]("typed")
	ends := map[string]func(b *kittest.Browser){
		"sign-out":              func(b *kittest.Browser) { b.Get("/logout") },
		"gin-contrib sign-out":  func(b *kittest.Browser) { b.Get("/legacy") },
		"expiry":                func(*kittest.Browser) { time.Sleep(2 * time.Hour) },
		"another user signs in": func(*kittest.Browser) {},
	}
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
				t.Helper()
				synctest.Test(t, func(t *testing.T) {
					a := kittest.NewSite(s, sessionkit.Config{ClearSiteData: []string{"cache", "storage"}})
					a.On("/login", func(c *gin.Context) { sessionkit.Login(c, c.Query("user")) })
					a.On("/fill", func(c *gin.Context) {
						kittest.Name.Set(c, "alice's")
						sessionkit.Flash(c, sessionkit.Info, "alice's")
						typed.Add(c, kittest.Item{Name: "alice's", N: 1})
						sessions.Default(c).Set("legacy", "alice's")
						sessions.Default(c).AddFlash("alice's")
					})
					a.On("/logout", sessionkit.Logout)
					a.On("/legacy", func(c *gin.Context) {
						sessions.Default(c).Clear()
						sessions.Default(c).Options(sessions.Options{MaxAge: -1})
					})
					a.On("/look", sessionkit.RequireSession(), func(c *gin.Context) {
						kept, _ := kittest.Name.Get(c)
						user, _ := sessionkit.User(c)
						legacy := sessions.Default(c)
						c.JSON(http.StatusOK, gin.H{
							"user": user, "name": kept, "legacy": legacy.Get("legacy"), "flashes": sessionkit.Flashes(c),
							"typed": typed.Take(c), "ginFlashes": legacy.Flashes(), "since": sessionkit.Current(c).CreatedAt,
						})
					})
					b := kittest.NewBrowser(t, a)
					b.Get("/login?user=alice")
					b.Get("/fill")
					alice := b.Fork()
					began := time.Now()
					end(b)
					if how == "sign-out" {
						assert.Equal(t, http.StatusUnauthorized, b.Get("/look").Code, "nobody is signed in")
					}
					time.Sleep(time.Second)
					b.Get("/login?user=bob")
					w := b.Get("/look")
					assert.NotContains(t, w.Body.String(), "alice", "bob sees nothing of alice")
					assert.Contains(t, w.Body.String(), "bob")
					var seen struct{ Since time.Time }
					require.NoError(t, json.Unmarshal(w.Body.Bytes(), &seen))
					assert.True(t, seen.Since.After(began), "it is another session")
					assert.Equal(t, "no-store", w.Header().Get("Cache-Control"), "the back button shows nothing either")
					if !strings.Contains(t.Name(), "cookie") { // there a copy of the cookie is good until its deadline
						assert.Equal(t, http.StatusUnauthorized, alice.Get("/look").Code, "alice's session is over")
					}
				})
			})
		})
	}
}

// TestAttackContextOfAnother: a middleware answers for a slow handler and does not wait for it, so that
// gin gives its context to the next client. That one has the session of its own cookie.
func TestAttackContextOfAnother(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/login", func(c *gin.Context) { sessionkit.Login(c, c.Query("user")) })
	a.On("/me", kittest.Whoami)
	alice, bob, visitor := kittest.NewBrowser(t, a), kittest.NewBrowser(t, a), kittest.NewBrowser(t, a)
	alice.Get("/login?user=alice")
	bob.Get("/login?user=bob")
	var next *http.Request
	a.On("/slow", func(c *gin.Context) {
		kittest.Name.Set(c, "alice's")
		c.Request = next
		a.HandleContext(c) // what gin does with a context once it has answered
	})
	for user, b := range map[string]*kittest.Browser{"bob": bob, "": visitor} {
		next = b.Request(http.MethodGet, "/me")
		assert.Equal(t, user, alice.Get("/slow").Body.String())
	}
}
