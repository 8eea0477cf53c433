package everystore_test

import (
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
