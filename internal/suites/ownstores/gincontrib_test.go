package ownstores_test

import (
	"net/http"
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// besides are requests that come while another one of the same browser is under way.
type besides struct {
	*kittest.Site
	*kittest.Browser

	meanwhile func()
}

// beside returns a browser in which alice is signed in.
func beside(t *testing.T, s sessions.Store, config sessionkit.Config) *besides {
	t.Helper()
	b := &besides{Site: kittest.NewSite(s, config)}
	b.On("/login", func(c *gin.Context) {
		if config.UserOf == nil {
			sessionkit.Login(c, "alice")
		}
		sessions.Default(c).Set("user", "alice")
	})
	b.On("/logout", sessionkit.Logout)
	b.On("/renew", func(c *gin.Context) { sessionkit.Renew(c); kittest.Name.Set(c, "Ada") })
	b.On("/show", func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		name, _ := kittest.Name.Get(c)
		n, _ := kittest.Count.Get(c)
		c.JSON(http.StatusOK, gin.H{"user": user, "name": name, "n": n, "tea": sessions.Default(c).Get("tea")})
	})
	b.Browser = kittest.NewBrowser(t, b.Site)
	b.Get("/login")
	return b
}

// underWay sends a request, and others when its handler calls meanwhile.
func (b *besides) underWay(t *testing.T, path string, meanwhile func()) {
	t.Helper()
	r := b.Request(http.MethodGet, path)
	b.meanwhile = meanwhile
	require.Equal(t, http.StatusOK, b.Do(r).Code)
}

// TestGinContribBesideARenewal: what another request has put into the session is not taken
// for what the handler has removed by sessions.Default(c).
func TestGinContribBesideARenewal(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		for name, userOf := range map[string]func(map[any]any) string{
			"signed in by Login": nil,
			"signed in by values": func(values map[any]any) string {
				user, _ := values["user"].(string)
				return user
			},
		} {
			t.Run(name, func(t *testing.T) {
				b := beside(t, p[0], sessionkit.Config{UserOf: userOf})
				b.On("/tea", func(c *gin.Context) {
					sessions.Default(c).Set("tea", "green")
					b.meanwhile()
					c.String(http.StatusOK, "done")
				})
				b.underWay(t, "/tea", func() { b.Get("/renew") })
				assert.JSONEq(t, `{"user": "alice", "name": "Ada", "n": 0, "tea": "green"}`, b.Get("/show").Body.String())
				assert.Empty(t, b.Errors())
			})
		}
	})
}

// TestGinContribBesideASignOut: a sign-in whose session has ended meanwhile begins with
// nothing of it, also where sessions.Default(c) has shown its values.
func TestGinContribBesideASignOut(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		b := beside(t, p[0], sessionkit.Config{})
		b.On("/again", func(c *gin.Context) {
			assert.Equal(t, "alice", sessions.Default(c).Get("user"))
			sessionkit.Login(c, "alice")
			b.meanwhile()
			c.String(http.StatusOK, "done")
		})
		b.Get("/renew")
		other := b.Fork()
		b.underWay(t, "/again", func() { other.Get("/logout") })
		assert.JSONEq(t, `{"user": "alice", "name": "", "n": 0, "tea": null}`, b.Get("/show").Body.String())
	})
}

// TestGinContribWithinAnUpdate: the function that an Update is given may use the session,
// in either way.
func TestGinContribWithinAnUpdate(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		for name, set := range map[string]func(c *gin.Context){
			"sessions.Default": func(c *gin.Context) { sessions.Default(c).Set("name", "Ada") },
			"Key.Set":          func(c *gin.Context) { kittest.Name.Set(c, "Ada") },
		} {
			t.Run(name, func(t *testing.T) {
				b := beside(t, p[0], sessionkit.Config{})
				b.On("/count", func(c *gin.Context) {
					assert.Nil(t, sessions.Default(c).Get("tea"))
					_, err := kittest.Count.Update(c, func(n int) int { set(c); return n + 1 })
					assert.NoError(t, err)
				})
				b.Get("/count")
				assert.JSONEq(t, `{"user": "alice", "name": "Ada", "n": 1, "tea": null}`, b.Get("/show").Body.String())
			})
		}
	})
}

// TestCookieOfTheRenewalStays: a request that another one has overtaken, which gave the
// session a new ID, does not know that one's cookie, and sends none.
func TestCookieOfTheRenewalStays(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		for name, follow := range map[string]func(c *gin.Context) error{
			"Update": func(c *gin.Context) error {
				_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
				return err
			},
			"Devices": func(c *gin.Context) error {
				_, err := sessionkit.Devices(c)
				return err
			},
		} {
			t.Run(name, func(t *testing.T) {
				b := beside(t, p[0], sessionkit.Config{})
				b.On("/longer", func(c *gin.Context) {
					sessionkit.User(c)
					b.meanwhile()
					assert.NoError(t, follow(c))
					sessions.Default(c).Options(sessions.Options{MaxAge: 3600}) // in a cookie of another age
					c.String(http.StatusOK, "done")
				})
				b.underWay(t, "/longer", func() { b.Get("/renew") })
				assert.Contains(t, b.Get("/show").Body.String(), `"user":"alice"`)
			})
		}
	})
}

// TestCookieOfTheRenewalStaysAfterAMove is the same for a session that the overtaken
// request has moved from another store.
func TestCookieOfTheRenewalStaysAfterAMove(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		old := memstore.New()
		b := beside(t, store.Migrate(old, p[0], "session"), sessionkit.Config{})
		b.On("/count", func(c *gin.Context) {
			_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
			assert.NoError(t, err)
			b.meanwhile()
			sessions.Default(c).Set("tea", "green")
			c.String(http.StatusOK, "done")
		})
		b.Cookies = beside(t, old, sessionkit.Config{}).Cookies
		b.underWay(t, "/count", func() { b.Get("/renew") })
		assert.JSONEq(t, `{"user": "alice", "name": "Ada", "n": 1, "tea": "green"}`, b.Get("/show").Body.String())
	})
}
