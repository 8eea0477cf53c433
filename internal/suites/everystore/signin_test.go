package everystore_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/suites/teststores"
)

func TestDone(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := kittest.NewStreamSite(s)
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			if t.Name() != "TestDone/cookie" { // there a copy of the cookie stays good
				assert.Equal(t, "11s", kittest.Stream(b, func() { b.Get("/logout") }))
				b.Get("/login")
			}
			assert.Equal(t, "33s", kittest.Stream(b, func() {}), "at the idle timeout")
			assert.Equal(t, "1m0s", kittest.Stream(kittest.NewBrowser(t, a), func() {}), "a visitor has no session that could end")
		})
	})
}

func TestDoneEndsWithTheRequest(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := kittest.NewSite(s, sessionkit.Config{})
			var done <-chan struct{}
			a.On("/login", kittest.SignIn("42"))
			a.On("/", func(c *gin.Context) { done = sessionkit.Done(c) })
			b := kittest.NewBrowser(t, a)
			for _, path := range []string{"/", "/login", "/"} {
				b.Get(path)
				<-done
			}
		})
	})
}

// TestSignOutInAStream: once the header has gone out a sign-out is carried out at once, in
// whichever way it is called for, and Done tells it. The handler may run for hours.
func TestSignOutInAStream(t *testing.T) {
	for name, signOut := range map[string]gin.HandlerFunc{
		"Logout":       sessionkit.Logout,
		"Logout twice": func(c *gin.Context) { sessionkit.Logout(c); sessionkit.Logout(c) },
		"Clear":        func(c *gin.Context) { sessions.Default(c).Clear() },
		"Options":      func(c *gin.Context) { sessions.Default(c).Options(sessions.Options{MaxAge: -1}) },
		"Logout after a value that cannot be saved": func(c *gin.Context) {
			sessionkit.NewKey[map[string]any]("bad").Set(c, map[string]any{"f": func() {}})
			sessionkit.Logout(c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
				isCookie := strings.HasSuffix(t.Name(), "/cookie") // which nothing but a response can end
				for _, first := range []bool{true, false} {
					a := kittest.NewSite(s, sessionkit.Config{})
					a.On("/login", kittest.SignIn("42"))
					a.On("/", kittest.Whoami)
					signedOut, goOn := make(chan struct{}), make(chan struct{})
					a.On("/stream", func(c *gin.Context) {
						c.Writer.Flush()
						sessionkit.User(c)
						if first {
							sessionkit.Done(c)
						}
						signOut(c)
						if !isCookie {
							kittest.AwaitEnd(t, sessionkit.Done(c))
						}
						close(signedOut)
						<-goOn
						user, _ := sessionkit.User(c)
						assert.Empty(t, user)
					})
					b := kittest.NewBrowser(t, a)
					b.Get("/login")
					a.Heard()
					ended := make(chan int)
					stream := b.Fork()
					go func() { ended <- stream.Get("/stream").Code }()
					<-signedOut
					events, meanwhile := a.Kinds(), b.Get("/").Body.String()
					a.Heard() // of the cookie that opens nothing
					close(goOn)
					assert.Equal(t, http.StatusOK, <-ended)
					if isCookie {
						assert.Equal(t, "42", meanwhile)
						assert.Len(t, a.Errors(), 1)
						continue
					}
					assert.Equal(t, []sessionkit.EventKind{sessionkit.EventSignedOut}, events)
					assert.Empty(t, meanwhile, "while the handler runs")
					assert.Empty(t, b.Get("/").Body.String())
					assert.NotContains(t, a.Kinds(), sessionkit.EventSignedOut, "it is told once")
				}
			})
		})
	}
}
