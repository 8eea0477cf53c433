package everystore_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/suites/teststores"
)

func TestFlashes(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		typed := sessionkit.NewFlash[kittest.Item]("typed")
		other := sessionkit.NewFlash[int]("typed2")
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/add", func(c *gin.Context) {
			sessionkit.Flash(c, sessionkit.Success, "one")
			sessionkit.Flash(c, sessionkit.Warning, "two")
			typed.Add(c, kittest.Item{Name: "a", N: 1})
			typed.Add(c, kittest.Item{Name: "b", N: 2})
			other.Add(c, 7)
			c.Redirect(http.StatusSeeOther, "/hop")
		})
		a.On("/hop", func(c *gin.Context) { c.Redirect(http.StatusSeeOther, "/hop2") })
		a.On("/hop2", func(c *gin.Context) { kittest.Count.Set(c, 1); c.Redirect(http.StatusSeeOther, "/read") })
		a.On("/read", func(c *gin.Context) {
			sessionkit.FlashNow(c, sessionkit.Error, "now")
			if c.Query("keep") != "" {
				defer sessionkit.KeepFlashes(c)
			}
			c.Header("X-Flashes", fmt.Sprint(sessionkit.Flashes(c)))
			assert.Empty(t, sessionkit.Flashes(c), "they are read once")
		})
		a.On("/typed", func(c *gin.Context) {
			assert.Equal(t, []kittest.Item{{Name: "a", N: 1}, {Name: "b", N: 2}}, typed.Take(c))
			assert.Equal(t, []int{7}, other.Take(c))
			assert.Empty(t, typed.Take(c))
		})
		b := kittest.NewBrowser(t, a)
		b.Get("/add")
		b.Get("/hop")
		b.Get("/hop2")
		assert.Equal(t, "[{success one} {warning two} {error now}]", b.Get("/read?keep=1").Header().Get("X-Flashes"))
		assert.Equal(t, "[{success one} {warning two} {error now}]", b.Get("/read").Header().Get("X-Flashes"), "kept for one more request")
		assert.Equal(t, "[{error now}]", b.Get("/read").Header().Get("X-Flashes"))
		b.Get("/typed")
		assert.Empty(t, a.Errors())
	})
}

// TestTypedFlashesOfTheRequest: those that the request itself has left are taken with the
// stored ones, in its own session and in one that a sign-in has moved.
func TestTypedFlashesOfTheRequest(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		typed := sessionkit.NewFlash[int]("typed")
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/take", func(c *gin.Context) {
			typed.Add(c, 2)
			if c.Query("view") != "" {
				sessions.Default(c).Set("x", 1)
			}
			if c.Query("login") != "" {
				sessionkit.Login(c, "42")
			}
			c.Header("X-Taken", fmt.Sprint(typed.Take(c), typed.Take(c)))
			if c.Query("again") != "" {
				typed.Add(c, 3)
			}
		})
		a.On("/add", func(c *gin.Context) { typed.Add(c, 1) })
		for _, query := range []string{"?", "?view=1", "?login=1", "?login=1&view=1"} {
			b := kittest.NewBrowser(t, a)
			assert.Equal(t, "[2] []", b.Get("/take"+query).Header().Get("X-Taken"), query)
			b.Get("/add")
			assert.Equal(t, "[1 2] []", b.Get("/take"+query+"&again=1").Header().Get("X-Taken"), query)
			assert.Equal(t, "[3 2] []", b.Get("/take"+query).Header().Get("X-Taken"), query)
			assert.Equal(t, "[2] []", b.Get("/take"+query).Header().Get("X-Taken"), query)
		}
		assert.Empty(t, a.Errors())
	})
}

func TestFlashesBesideGinContrib(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/add", func(c *gin.Context) {
			legacy := sessions.Default(c)
			legacy.AddFlash("legacy")
			legacy.AddFlash(7)
			legacy.AddFlash("of another kind", "kind")
			sessionkit.Flash(c, sessionkit.Success, "kit")
		})
		a.On("/legacy", func(c *gin.Context) {
			legacy := sessions.Default(c)
			assert.Equal(t, []any{"of another kind"}, legacy.Flashes("kind"))
			assert.Equal(t, []any{"legacy", 7}, legacy.Flashes())
			assert.Empty(t, legacy.Flashes())
			assert.Equal(t, []sessionkit.FlashMessage{{Level: sessionkit.Success, Text: "kit"}}, sessionkit.Flashes(c))
		})
		a.On("/kit", func(c *gin.Context) {
			if c.Query("view") != "" {
				sessions.Default(c).Get("x")
			}
			want := []sessionkit.FlashMessage{{Level: sessionkit.Info, Text: "legacy"}, {Level: sessionkit.Success, Text: "kit"}}
			assert.Equal(t, want, sessionkit.Flashes(c))
			assert.Empty(t, sessionkit.Flashes(c))
		})
		a.On("/left", func(c *gin.Context) {
			assert.Equal(t, []any{7}, sessions.Default(c).Flashes(), "what is not text is left for who understands it")
			assert.Empty(t, sessionkit.Flashes(c))
		})
		b := kittest.NewBrowser(t, a)
		b.Get("/add")
		b.Get("/legacy")
		for _, query := range []string{"", "?view=1"} {
			b = kittest.NewBrowser(t, a)
			b.Get("/add")
			b.Get("/kit" + query)
			b.Get("/left")
		}
		assert.Empty(t, a.Errors())
	})
}

// TestFlashesWhereAnotherValueStands: gorilla's panic there, and who chose the key,
// or what stands in the store, may not be the programmer.
func TestFlashesWhereAnotherValueStands(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/", func(c *gin.Context) {
			legacy := sessions.Default(c)
			legacy.Set("kind", "a text")
			assert.Empty(t, legacy.Flashes("kind"))
			assert.Equal(t, "a text", legacy.Get("kind"), "it is left alone")
			legacy.AddFlash("x", "kind")
			legacy.AddFlash("y", "kind")
			assert.Equal(t, []any{"x", "y"}, legacy.Flashes("kind"))
			legacy.Set("_flash", 7)
			assert.Empty(t, sessionkit.Flashes(c))
			legacy.AddFlash("z")
		})
		a.On("/next", func(c *gin.Context) {
			assert.Equal(t, []sessionkit.FlashMessage{{Level: sessionkit.Info, Text: "z"}}, sessionkit.Flashes(c))
		})
		b := kittest.NewBrowser(t, a)
		b.Get("/")
		b.Get("/next")
		assert.Empty(t, a.Errors())
	})
}

// TestFlashesThatNobodyReads: they leave room for the next one, also in a store that bounds
// the session.
func TestFlashesThatNobodyReads(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{})
		n := 0
		a.On("/save", func(c *gin.Context) {
			n++
			sessionkit.Flash(c, sessionkit.Success, fmt.Sprintf("Your changes have been saved. (%d)", n))
		})
		a.On("/show", func(c *gin.Context) {
			messages := sessionkit.Flashes(c)
			assert.Greater(t, len(messages), 5)
			for i, m := range messages {
				assert.Contains(t, m.Text, fmt.Sprintf("(%d)", n-len(messages)+1+i), "the latest stay")
			}
		})
		b := kittest.NewBrowser(t, a)
		for range 110 {
			b.Get("/save")
		}
		b.Get("/show")
		assert.Empty(t, a.Errors())
	})
}
