package everystore_test

import (
	"encoding/json"
	"net/http"
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
	"github.com/gin-sessionkit/sessionkit/store"
)

func TestGuardReasons(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := kittest.NewSite(s, sessionkit.Config{IdleTimeout: 30 * time.Minute})
			a.On("/visit", kittest.Increment)
			a.On("/login", kittest.SignIn("42"))
			a.On("/remember", kittest.SignIn("42", sessionkit.Remember()))
			a.On("/confirm", sessionkit.Confirm)
			a.On("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
			a.On("/account", sessionkit.RequireSession(), kittest.Whoami)
			a.On("/danger", sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: 5 * time.Minute}), kittest.Whoami)
			b := kittest.NewBrowser(t, a)
			reason := func(path string) string {
				w := b.Get(path)
				if w.Code == http.StatusOK {
					return w.Body.String()
				}
				var problem struct{ Reason string }
				require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
				return problem.Reason
			}
			assert.Equal(t, "not-signed-in", reason("/account"))
			b.Get("/visit")
			assert.Equal(t, "not-signed-in", reason("/account"))
			time.Sleep(31 * time.Minute)
			assert.Equal(t, "not-signed-in", reason("/account"), "a visitor's session that ran out was no sign-in")

			b.Get("/login")
			assert.Equal(t, "42", reason("/account"))
			assert.Equal(t, "42", reason("/danger"))
			time.Sleep(5 * time.Minute)
			assert.Equal(t, "42", reason("/danger"))
			time.Sleep(time.Second)
			assert.Equal(t, "stale", reason("/danger"))
			b.Get("/login")
			assert.Equal(t, "42", reason("/danger"), "signing in again is recent")

			b.Get("/remember")
			assert.Equal(t, "42", reason("/account"))
			assert.Equal(t, "42", reason("/danger"), "a sign-in with Remember is as recent as any")
			time.Sleep(5*time.Minute + time.Second)
			assert.Equal(t, "stale", reason("/danger"), "to come back with a remembered cookie is no sign-in")
			id := b.Session()
			b.Get("/confirm")
			assert.NotEqual(t, id, b.Session(), "a confirmation changes the ID")
			assert.Equal(t, "42", reason("/danger"))
			time.Sleep(5*time.Minute + time.Second)
			assert.Equal(t, "stale", reason("/danger"))
			time.Sleep(29 * 24 * time.Hour)
			assert.Equal(t, "42", reason("/account"), "and Remember is not lost by it")
			time.Sleep(24 * time.Hour)
			assert.Equal(t, "expired", reason("/account"), "nor is it made longer")

			b.Get("/login")
			time.Sleep(31 * time.Minute)
			assert.Equal(t, "expired", reason("/account"))
			assert.Equal(t, "expired", reason("/account"), "also the second time")
			if _, own := s.(*store.Store); own {
				b.Get("/login")
				time.Sleep(31 * time.Minute)
				a.Kinds()
				time.Sleep(14 * time.Hour)
				assert.Equal(t, "expired", reason("/account"), "the next morning, when no store knows it any more")
				assert.Equal(t, []sessionkit.EventKind{sessionkit.EventExpired}, a.Kinds(), "nobody has made that cookie up")
				b.Get("/visit")
				assert.Equal(t, "not-signed-in", reason("/account"), "a visitor's session has taken its place")
				time.Sleep(14 * time.Hour)
				assert.Equal(t, "not-signed-in", reason("/account"))

				b.Get("/login")
				_, err := s.(*store.Store).RevokeAll(t.Context(), "42")
				require.NoError(t, err)
				a.Kinds()
				time.Sleep(59 * time.Minute)
				assert.Equal(t, "revoked", reason("/account"), "as long as the record is kept")
				assert.Empty(t, a.Kinds())
			}
			b.Get("/login")
			b.Get("/logout")
			assert.Equal(t, "not-signed-in", reason("/account"))
		})
	})
}

func TestPassive(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			const idle = 30 * time.Minute
			a := kittest.NewSite(s, sessionkit.Config{IdleTimeout: idle})
			a.On("/login", kittest.SignIn("42"))
			a.On("/me", sessionkit.RequireSession(sessionkit.GuardConfig{Passive: true}), func(c *gin.Context) {
				c.String(http.StatusOK, time.Until(sessionkit.Current(c).ExpiresAt).String())
			})
			a.On("/use", sessionkit.RequireSession(), func(c *gin.Context) {
				c.String(http.StatusOK, time.Until(sessionkit.Current(c).ExpiresAt).String())
			})
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			time.Sleep(10 * time.Minute)
			assert.Equal(t, "20m0s", b.Get("/me").Body.String())
			time.Sleep(10 * time.Minute)
			assert.Equal(t, "10m0s", b.Get("/me").Body.String(), "asking is no use")
			assert.Equal(t, "30m0s", b.Get("/use").Body.String())
			for range 4 {
				time.Sleep(idle / 4)
				b.Get("/me")
			}
			time.Sleep(time.Minute)
			assert.Equal(t, http.StatusUnauthorized, b.Get("/me").Code)
		})
	})
}

// TestUploadBeyondTheIdleTimeout: a request that comes within the idle timeout is use of the
// session, also if it takes so long that the timeout passes meanwhile. What a page asks by itself
// is none, whichever guards are in front of it.
func TestUploadBeyondTheIdleTimeout(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := kittest.NewSite(s, sessionkit.Config{})
			a.On("/login", kittest.SignIn("42"))
			a.On("/", kittest.Whoami)
			account := a.Group("/", sessionkit.RequireSession())
			account.POST("/upload", func(c *gin.Context) {
				time.Sleep(10 * time.Minute) // the body comes
				sessionkit.Flash(c, sessionkit.Success, "Uploaded")
				c.Status(http.StatusNoContent)
			})
			asking := sessionkit.RequireSession(sessionkit.GuardConfig{Passive: true})
			account.GET("/expiry", asking, kittest.Whoami)
			a.POST("/draft", asking, kittest.Whoami)
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			time.Sleep(55 * time.Minute)
			assert.Equal(t, http.StatusNoContent, b.Post("/upload", nil).Code)
			assert.Empty(t, a.Errors())
			for range 2 {
				time.Sleep(24 * time.Minute)
				assert.Equal(t, "42", b.Get("/expiry").Body.String())
				assert.Equal(t, "42", b.Post("/draft", nil).Body.String())
			}
			time.Sleep(15 * time.Minute)
			assert.Empty(t, b.Get("/").Body.String(), "it has not been used")
		})
	})
}

// TestPrefetch: a page that nobody has asked for yet takes no message away, and is use of the
// session: it is shown without another request once the user goes there.
func TestPrefetch(t *testing.T) {
	notes := sessionkit.NewFlash[int]("notes")
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := kittest.NewSite(s, sessionkit.Config{IdleTimeout: 30 * time.Minute})
			a.On("/login", kittest.SignIn("42"), func(c *gin.Context) {
				sessionkit.Flash(c, sessionkit.Info, "hello")
				sessions.Default(c).AddFlash("old hello")
				notes.Add(c, 7)
			})
			a.On("/", func(c *gin.Context) {
				user, _ := sessionkit.User(c)
				sessionkit.FlashNow(c, sessionkit.Info, "now")
				c.JSON(http.StatusOK, gin.H{
					"user": user, "flashes": len(sessionkit.Flashes(c)), "notes": notes.Take(c), "old": sessions.Default(c).Flashes("other"),
				})
			})
			a.On("/expires", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Current(c).ExpiresAt) })
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			for _, header := range [][]string{{"Sec-Purpose", "prefetch"}, {"Sec-Purpose", "prefetch;prerender"}, {"Purpose", "prefetch"}, {"X-Sec-Purpose", "prefetch"}, {"HX-Preloaded", "true"}} {
				assert.JSONEq(t, `{"user":"42","flashes":1,"notes":null,"old":null}`, b.Get("/", header...).Body.String())
			}
			assert.JSONEq(t, `{"user":"42","flashes":3,"notes":[7],"old":null}`, b.Get("/").Body.String())
			for range 3 {
				time.Sleep(20 * time.Minute)
				var expires time.Time
				assert.NoError(t, json.Unmarshal(b.Get("/expires", "Sec-Purpose", "prefetch").Body.Bytes(), &expires))
				assert.WithinDuration(t, time.Now().Add(30*time.Minute), expires, time.Millisecond)
			}
			assert.Contains(t, b.Get("/").Body.String(), `"user":"42"`, "it has been in use")
		})
	})
}
