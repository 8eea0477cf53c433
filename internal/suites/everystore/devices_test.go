package everystore_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/suites/teststores"
)

func TestCurrent(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := kittest.NewSite(s, sessionkit.Config{})
			var got sessionkit.Session
			show := func(c *gin.Context) { got = sessionkit.Current(c) }
			a.On("/login", kittest.SignIn("42"))
			a.On("/remember", kittest.SignIn("42", sessionkit.Remember()))
			a.On("/set", kittest.Increment)
			a.On("/", show)
			b := kittest.NewBrowser(t, a)
			start := time.Now()
			b.Get("/")
			assert.Equal(t, sessionkit.Session{Name: "session", CreatedAt: start, ExpiresAt: start.Add(time.Hour), EndsAt: start.Add(24 * time.Hour)}, got, "a visitor")
			b.Get("/set")
			time.Sleep(10 * time.Minute)
			ua := "Browser/1.0 (\xff) " + strings.Repeat("ä", 300)
			r := b.Request(http.MethodGet, "/login", "User-Agent", ua)
			r.RemoteAddr = "203.0.113.7:1234"
			b.Do(r)
			time.Sleep(10 * time.Minute)
			b.Get("/")
			assert.True(t, got.CreatedAt.Equal(start))
			assert.True(t, got.SignedInAt.Equal(start.Add(10*time.Minute)))
			assert.True(t, got.LastSeenAt.Equal(start.Add(10*time.Minute)), "the use before this request")
			assert.True(t, got.ConfirmedAt.Equal(got.SignedInAt))
			assert.True(t, got.EndsAt.Equal(got.SignedInAt.Add(24*time.Hour)))
			assert.True(t, got.ExpiresAt.Equal(time.Now().Add(time.Hour)))
			assert.Equal(t, "42", got.User)
			assert.Equal(t, "203.0.113.7", got.IP)
			assert.LessOrEqual(t, len(got.UserAgent), 256)
			assert.Contains(t, got.UserAgent, "Browser/1.0 (?) ää")
			assert.False(t, got.Remembered)
			assert.NotEmpty(t, got.ID)
			b.Get("/remember")
			b.Get("/")
			assert.True(t, got.Remembered)
			assert.True(t, got.ExpiresAt.Equal(time.Now().Add(30*24*time.Hour)))
			assert.True(t, got.EndsAt.Equal(got.ExpiresAt))
		})
	})
}
