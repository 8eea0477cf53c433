package ginstores_test

import (
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
)

// TestOptionsMaxAge: it is how long the session lives, on the server and in the
// browser, and a browser that was closed finds it again.
func TestOptionsMaxAge(t *testing.T) {
	const day = 24 * time.Hour
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := kittest.NewSite(s, sessionkit.Config{})
			options := func(seconds int) gin.HandlerFunc {
				return func(c *gin.Context) {
					session := sessions.Default(c)
					session.Options(sessions.Options{MaxAge: seconds, Path: "/"})
					assert.NoError(t, session.Save())
				}
			}
			month, second, none := options(30*86400), options(1), options(0)
			login := kittest.SignIn("42")
			a.On("/visit/month", kittest.Increment, month)
			a.On("/visit/second", kittest.Increment, second)
			a.On("/month", month)
			a.On("/second", second)
			a.On("/none", none)
			a.On("/login", login)
			a.On("/login-for-a-day", kittest.SignIn("42", sessionkit.Remember(), sessionkit.Lifetime(day)))
			a.On("/login-then-month", login, month)
			a.On("/month-then-login", month, login)
			a.On("/count", kittest.ShowCount)
			a.On("/", kittest.Whoami)
			age := func(b *kittest.Browser, target string) time.Duration {
				w := b.Get(target)
				require.Len(t, kittest.SetCookies(w), 1, target)
				return time.Duration(kittest.SetCookies(w)[0].MaxAge) * time.Second
			}
			lives := func(b *kittest.Browser) bool {
				return b.Get("/count").Body.String() == `{"n":1,"ok":true}` || b.Get("/").Body.String() != ""
			}

			// A visitor's session lives so long after its last use.
			b := kittest.NewBrowser(t, a)
			assert.Equal(t, 31*day, age(b, "/visit/month"), "its cookie is sent again at most once a day, and lives a day longer")
			assert.Empty(t, b.Get("/month").Header()["Set-Cookie"], "nothing has changed")
			for range 3 {
				time.Sleep(29 * day)
				require.True(t, lives(b))
			}
			time.Sleep(31 * day)
			assert.False(t, lives(b))

			// So short a life is no matter of the browser either.
			assert.LessOrEqual(t, age(b, "/visit/second"), 1*day+time.Second)
			time.Sleep(500 * time.Millisecond)
			require.True(t, lives(b))
			time.Sleep(2 * time.Second)
			assert.False(t, lives(b))
			b.Get("/visit/month")
			age(b, "/second")
			time.Sleep(2 * time.Second)
			assert.False(t, lives(b), "a session that is there already")

			// A signed-in session lives so long after the sign-in.
			for _, target := range []string{"/login-then-month", "/month-then-login"} {
				b := kittest.NewBrowser(t, a)
				assert.Equal(t, 30*day, age(b, target), target)
				for range 29 {
					time.Sleep(day)
					require.True(t, lives(b), target)
				}
				time.Sleep(day)
				assert.False(t, lives(b), target)
			}
			b = kittest.NewBrowser(t, a)
			b.Get("/login")
			assert.Equal(t, 30*day, age(b, "/month"))
			assert.Zero(t, age(b, "/none"), "without a MaxAge the cookie ends with the browser")
			time.Sleep(2 * time.Hour)
			assert.False(t, lives(b), "and the Config's deadlines hold")
			age(b, "/login-then-month")
			time.Sleep(day)
			assert.Equal(t, 30*day, age(b, "/login"), "another sign-in of the same user lasts as the one before")
			assert.Equal(t, 1*day, age(b, "/login-for-a-day"), "unless it says how long")
			b = kittest.NewBrowser(t, a)
			b.Get("/visit/month")
			assert.Zero(t, age(b, "/login"), "a sign-in has the deadlines of a user")
			time.Sleep(2 * time.Hour)
			assert.False(t, lives(b))
		})
	})
}
