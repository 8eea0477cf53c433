package ginstores_test

import (
	"encoding/gob"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	gincookie "github.com/gin-contrib/sessions/cookie"
	ginmemstore "github.com/gin-contrib/sessions/memstore"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// The steps of docs/migrating.md that an application takes while processes of the step before
// still run, or before it has taken all of them.

// TestMigrateReplacedByNow: the old store is gone, and the application still signs in by values.
// Config.UserOf goes on telling who that is.
func TestMigrateReplacedByNow(t *testing.T) {
	eachMove(t, func(t *testing.T, from, to sessions.Store) {
		b := visited(t, from, "/login").At(moveSite(from, to))
		require.Equal(t, "42", b.Get("/").Body.String())
		gone := newOwnSite(to, sessionkit.Config{})
		b = b.At(gone)
		assert.Equal(t, "42", b.Get("/account").Body.String())
		b.Get("/own/login?user=43")
		assert.Equal(t, "43", b.Get("/account").Body.String())
		b.Get("/own/logout")
		assert.Equal(t, http.StatusUnauthorized, b.Get("/account").Code)

		b = kittest.NewBrowser(t, gone)
		b.Get("/visit?user=44")
		visitor := b.Session()
		b.Get("/own/login?user=44")
		assert.NotEqual(t, visitor, b.Session(), "a sign-in changes the ID")
		assert.Equal(t, "44", b.Get("/account").Body.String())
	})
}

// TestRollBack: someone who has moved is nobody in the old application, to which the site goes back.
// When the new one is back, it has their session of before, whoever has signed in meanwhile. If all
// sessions were ended, they sign in again.
func TestRollBack(t *testing.T) {
	for _, ended := range []bool{false, true} {
		eachMove(t, func(t *testing.T, from, to sessions.Store) {
			n := newTwoNodes(t, from, to)
			n.atOld("/login")
			require.Equal(t, "42", n.atNew("/"))
			n.atNew("/other")
			assert.Equal(t, "null", n.atOld("/"))
			n.atOld("/login")
			assert.Equal(t, "42", n.atOld("/"))
			want := "43"
			if ended {
				_, err := to.(*store.Store).RevokeEveryone(t.Context())
				require.NoError(t, err)
				want = ""
			}
			assert.Equal(t, want, n.atNew("/"))
		})
	}
}

// TestLoginBesideTheValue: processes of the release before ask for the value that says who is
// signed in. They see who signs in by Login if that is set as well, and sign them out.
func TestLoginBesideTheValue(t *testing.T) {
	s := memstore.New()
	week := sessionkit.Config{VisitorFor: 7 * 24 * time.Hour}
	before, after := newOwnSite(s, week), newOwnSite(s, week)
	before.On("/me", func(c *gin.Context) { c.JSON(http.StatusOK, sessions.Default(c).Get("user_id")) })
	after.On("/ends", func(c *gin.Context) { c.JSON(http.StatusOK, !sessionkit.Current(c).EndsAt.IsZero()) })
	b := kittest.NewBrowser(t, nil)
	at := func(a *kittest.Site, path string) string {
		b.Handler = a
		return b.Get(path).Body.String()
	}
	at(after, "/kit/login?user=1")
	assert.Equal(t, "null", at(before, "/me"), "Login alone")
	assert.Equal(t, "1", at(after, "/account"))
	at(before, "/own/logout")
	assert.Equal(t, "1", at(after, "/account"), "and there is no value to remove")

	at(after, "/both/login?user=2")
	assert.Equal(t, "2", at(before, "/me"))
	assert.Equal(t, "true", at(after, "/ends"), "it has the deadlines of Login")
	at(before, "/own/logout")
	assert.Equal(t, "|", at(after, "/"))
	at(after, "/both/login?user=2")
	at(after, "/kit/logout")
	assert.Equal(t, "null", at(before, "/me"))
	at(before, "/own/login?user=3")
	assert.Equal(t, "3", at(after, "/account"))
}

// TestTypedKeyOfAnotherName: processes of the release before cannot read what a typed key of a
// struct has stored, and overwrite it. Under another name it stands, and what they have stored is read.
func TestTypedKeyOfAnotherName(t *testing.T) {
	gob.Register([]kittest.Item{})
	s := memstore.New()
	before := kittest.NewSite(s, sessionkit.Config{})
	before.On("/add", func(c *gin.Context) {
		items, _ := sessions.Default(c).Get("cart").([]kittest.Item)
		sessions.Default(c).Set("cart", append(items, kittest.Item{Name: c.Query("item")}))
	})
	another := sessionkit.NewKey[[]kittest.Item]("cart2")
	after := kittest.NewSite(s, sessionkit.Config{})
	add := func(key sessionkit.Key[[]kittest.Item]) gin.HandlerFunc {
		return func(c *gin.Context) {
			old, _ := kittest.Cart.Get(c)
			_, err := key.Update(c, func(items []kittest.Item) []kittest.Item {
				if items == nil {
					items = old
				}
				return append(items, kittest.Item{Name: c.Query("item")})
			})
			assert.NoError(t, err)
		}
	}
	after.On("/add", add(another))
	after.On("/add-same", add(kittest.Cart))
	after.On("/cart", func(c *gin.Context) {
		items, ok := another.Get(c)
		if !ok {
			items, _ = kittest.Cart.Get(c)
		}
		for _, item := range items {
			c.String(http.StatusOK, item.Name+" ")
		}
	})
	visit := func(paths ...string) string {
		b := kittest.NewBrowser(t, before)
		for i, path := range paths {
			b.Handler = []http.Handler{before, after}[i%2]
			b.Get(path)
		}
		b.Handler = after
		return b.Get("/cart").Body.String()
	}
	assert.Equal(t, "tea ", visit("/add?item=tea"))
	assert.Equal(t, "milk ", visit("/add?item=tea", "/add-same?item=cake", "/add?item=milk"), "one name")
	assert.Equal(t, "tea cake ", visit("/add?item=tea", "/add?item=cake", "/add?item=milk"), "another name")
}

// TestAddFlashOfAKind: Flashes has no messages that were left under a kind of their own. They are
// where they were.
func TestAddFlashOfAKind(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/add", func(c *gin.Context) {
		sessions.Default(c).AddFlash("Saved")
		sessions.Default(c).AddFlash("No such item", "error")
	})
	a.On("/", func(c *gin.Context) {
		c.String(http.StatusOK, fmt.Sprint(sessionkit.Flashes(c), sessions.Default(c).Flashes("error")))
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/add")
	assert.Equal(t, "[{info Saved}] [No such item]", b.Get("/").Body.String())
	assert.Equal(t, "[] []", b.Get("/").Body.String())
}

// TestOldStoreWithoutMigrate: over the store that the application had, VisitorFor says how long
// those live who sign in by values. The Options of the store do not.
func TestOldStoreWithoutMigrate(t *testing.T) {
	const day = 24 * time.Hour
	for name, newOld := range map[string]func() sessions.Store{
		"cookie":   func() sessions.Store { return gincookie.NewStore(kittest.TestSecret) },
		"memstore": func() sessions.Store { return ginmemstore.NewStore(kittest.TestSecret) },
	} {
		for visitorFor, code := range map[time.Duration]int{0: http.StatusUnauthorized, 7 * day: http.StatusOK} {
			t.Run(fmt.Sprint(name, visitorFor), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					old := newOld()
					old.Options(sessions.Options{Path: "/", MaxAge: 7 * 86400})
					a := newOwnSite(old, sessionkit.Config{VisitorFor: visitorFor})
					a.On("/options", func(c *gin.Context) { sessions.Default(c).Options(sessions.Options{MaxAge: 7 * 86400}) })
					b := kittest.NewBrowser(t, a)
					w := b.Get("/own/login?user=1")
					assert.Equal(t, visitorFor > 0, kittest.SetCookies(w)[0].MaxAge > 0)
					time.Sleep(6 * day)
					assert.Equal(t, code, b.Get("/account").Code)

					b.Get("/own/login?user=1")
					w = b.Get("/options")
					assert.Positive(t, kittest.SetCookies(w)[0].MaxAge, "those of the session do")
					time.Sleep(6 * day)
					assert.Equal(t, http.StatusOK, b.Get("/account").Code)
				})
			})
		}
	}
}
