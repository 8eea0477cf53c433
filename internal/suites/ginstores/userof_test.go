package ginstores_test

import (
	"fmt"
	"net/http"
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
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// newOwnSite is an application in the middle of a move: it signs in and out in each
// way that there is.
func newOwnSite(s sessions.Store, config sessionkit.Config) *kittest.Site {
	config.UserOf = kittest.UserOf
	a := kittest.NewSite(s, config)
	set := func(c *gin.Context) {
		id := 0
		_, _ = fmt.Sscan(c.Query("user"), &id)
		sessions.Default(c).Set("user_id", id)
	}
	a.On("/own/login", set)
	a.On("/own/login-anew", func(c *gin.Context) { sessions.Default(c).Clear(); set(c) })
	a.On("/own/logout", func(c *gin.Context) { sessions.Default(c).Delete("user_id") })
	a.On("/own/clear", func(c *gin.Context) { sessions.Default(c).Clear() })
	a.On("/kit/login", func(c *gin.Context) { sessionkit.Login(c, c.Query("user")) })
	a.On("/kit/logout", sessionkit.Logout)
	a.On("/kit/renew", sessionkit.Renew)
	a.On("/kit/confirm", sessionkit.Confirm)
	a.On("/both/login", func(c *gin.Context) { set(c); sessionkit.Login(c, c.Query("user")) })
	a.On("/both/login-first", func(c *gin.Context) { sessionkit.Login(c, c.Query("user")); set(c) })
	a.On("/visit", func(c *gin.Context) { kittest.Name.Set(c, "cart of "+c.Query("user")) })
	// Each is answered who is signed in, by the middleware and by the application.
	a.On("/", func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		assertAgree(c, user)
		v, _ := kittest.Name.Get(c)
		c.String(http.StatusOK, user+"|"+v)
	})
	a.On("/account", sessionkit.RequireSession(), kittest.Whoami)
	return a
}

// assertAgree panics, so that the test fails, if the middleware and the application's values
// name two different users.
func assertAgree(c *gin.Context, user string) {
	if own, ok := sessions.Default(c).Get("user_id").(int); ok && fmt.Sprint(own) != user {
		panic(fmt.Sprintf("the application says %d and the middleware says %q", own, user))
	}
}

// TestUserOf: whatever signs in or out, by values or by Login, the two never name
// different users, and nobody is who they were not made by the last sign-in.
func TestUserOf(t *testing.T) {
	logins := []string{"/own/login", "/own/login-anew", "/kit/login", "/both/login", "/both/login-first"}
	logouts := []string{"/own/logout", "/own/clear", "/kit/logout"}
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := newOwnSite(s, sessionkit.Config{})
		who := func(b *kittest.Browser) string {
			w := b.Get("/")
			require.Equal(t, http.StatusOK, w.Code, "%s %v", w.Body, a.Errors())
			user, _, _ := strings.Cut(w.Body.String(), "|")
			assert.Equal(t, user != "", b.Get("/account").Code == http.StatusOK)
			return user
		}
		for _, login := range logins {
			for _, between := range []string{"", "/visit?user=1", "/kit/renew", "/kit/confirm", "/own/login?user=1", "/kit/login?user=1"} {
				for _, again := range logins {
					b := kittest.NewBrowser(t, a)
					b.Get("/visit?user=0")
					visitor := b.Session()
					b.Get(login + "?user=1")
					require.Equal(t, "1", who(b), login)
					assert.NotEqual(t, visitor, b.Session(), "a sign-in changes the ID")
					first := b.Fork()
					if between != "" {
						b.Get(between)
						require.Equal(t, "1", who(b), between)
					}
					b.Get(again + "?user=2")
					require.Equal(t, "2", who(b), "%s, %s, %s", login, between, again)
					if _, own := s.(*store.Store); own {
						assert.Empty(t, who(first), "the session of the first has ended")
					}
				}
			}
			for _, logout := range logouts {
				if logout == "/own/logout" && login == "/kit/login" {
					continue // there is no value that the application could remove
				}
				b := kittest.NewBrowser(t, a)
				b.Get("/visit?user=1")
				b.Get(login + "?user=1")
				signedIn := b.Fork()
				b.Get(logout)
				assert.Empty(t, who(b), "%s, %s", login, logout)
				if _, own := s.(*store.Store); own {
					assert.Empty(t, who(signedIn), "a copy of the cookie: %s, %s", login, logout)
				}
				if logout == "/own/logout" && login == "/own/login" {
					assert.Contains(t, b.Get("/").Body.String(), "cart of 1", "what the application has left stays")
				}
				b.Get("/own/login?user=2")
				assert.Equal(t, "2", who(b), "%s, %s", login, logout)
			}
		}
		assert.Empty(t, a.Errors())
	})
}

// TestUserOfIsKnownToTheStore: who signs in by values is among the user's sessions.
func TestUserOfIsKnownToTheStore(t *testing.T) {
	s := memstore.New()
	a := newOwnSite(s, sessionkit.Config{MaxSessions: 2})
	first, second := kittest.NewBrowser(t, a), kittest.NewBrowser(t, a)
	first.Get("/own/login?user=1")
	second.Get("/own/login?user=1")
	require.Len(t, kittest.UserSessions(t, s, "1"), 2)
	assert.Equal(t, []sessionkit.EventKind{"created", "signed-in", "created", "signed-in"}, a.Kinds())
	kittest.NewBrowser(t, a).Get("/own/login?user=1")
	assert.Equal(t, "|", first.Get("/").Body.String(), "MaxSessions")
	n, err := s.RevokeAll(t.Context(), "1")
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	assert.Equal(t, "|", second.Get("/").Body.String())
}

// TestUserOfWithinARequest: a handler that signs in by values is told so at once.
func TestUserOfWithinARequest(t *testing.T) {
	a := newOwnSite(memstore.New(), sessionkit.Config{})
	a.On("/now", func(c *gin.Context) {
		sessions.Default(c).Set("user_id", 7)
		user, _ := sessionkit.User(c)
		assert.Equal(t, "7", user)
		assert.Equal(t, "7", sessionkit.Current(c).User)
		sessions.Default(c).Delete("user_id")
		_, ok := sessionkit.User(c)
		assert.False(t, ok)
	})
	a.On("/nonsense", func(c *gin.Context) { sessions.Default(c).Set("other", "x") })
	b := kittest.NewBrowser(t, a)
	b.Get("/now")
	assert.Empty(t, b.Session())
	b.Get("/nonsense")
	assert.Equal(t, "|", b.Get("/").Body.String())
}

// TestUserOfBesideAnotherRequest: a sign-in as the user whom the values name stands, also if another
// request has ended their session meanwhile, or signed in there: the values have gone with it, and
// that they name nobody any more is no sign-out.
func TestUserOfBesideAnotherRequest(t *testing.T) {
	for _, other := range []string{"/kit/logout", "/own/logout", "/kit/login?user=1", "/kit/login?user=2", "/own/login?user=2"} {
		s := memstore.New()
		a := newOwnSite(s, sessionkit.Config{})
		b := kittest.NewBrowser(t, a)
		b.Get("/own/login?user=1")
		beside := b.Fork()
		a.On("/slow", func(c *gin.Context) {
			sessionkit.User(c)
			beside.Get(other)
			sessionkit.Login(c, "1")
		})
		assert.Equal(t, http.StatusOK, b.Get("/slow").Code, other)
		assert.Equal(t, "1|", b.Get("/").Body.String(), other)
		assert.Equal(t, http.StatusOK, b.Get("/account").Code, other)
		assert.Empty(t, a.Errors(), other)
	}
}

// TestUserOfOfAnUnknownKind: a function that returns what cannot be a user signs
// nobody in.
func TestUserOfOfAnUnknownKind(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{UserOf: func(map[any]any) string { return strings.Repeat("x", 256) }})
	a.On("/set", kittest.Increment)
	a.On("/", kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	b.Get("/")
	assert.Empty(t, a.Errors(), "it is not asked about nothing")
	b.Get("/set")
	assert.Empty(t, b.Get("/").Body.String())
	assert.ErrorContains(t, a.Errors()[0], "Config.UserOf")
}

// TestUserOfThatCameLater: sessions that are there already are read by it, also
// without a sign-in that this package has seen.
func TestUserOfThatCameLater(t *testing.T) {
	s := memstore.New()
	before := kittest.NewSite(s, sessionkit.Config{})
	before.On("/login", func(c *gin.Context) { sessions.Default(c).Set("user_id", 1) })
	before.On("/", kittest.Whoami)
	b := kittest.NewBrowser(t, before)
	b.Get("/login")
	require.Empty(t, b.Get("/").Body.String())
	after := newOwnSite(s, sessionkit.Config{})
	b = b.At(after)
	for _, target := range []string{"", "/visit?user=1", "/kit/renew", "/visit?user=2", "/kit/confirm"} {
		if target != "" {
			b.Get(target)
		}
		assert.True(t, strings.HasPrefix(b.Get("/").Body.String(), "1|"), target)
	}
	assert.Len(t, kittest.UserSessions(t, s, "1"), 1, "once it has a new ID it is among the user's")
	b.Get("/own/logout")
	assert.True(t, strings.HasPrefix(b.Get("/").Body.String(), "|"))
	assert.Empty(t, kittest.UserSessions(t, s, "1"))
}

// TestUserOfDeadlines: such a sign-in lasts as a visitor's session does, and one by
// Login as a user's.
func TestUserOfDeadlines(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		a := newOwnSite(s, sessionkit.Config{VisitorFor: 7 * day})
		b := kittest.NewBrowser(t, a)
		w := b.Get("/own/login?user=1")
		assert.Equal(t, int((8*day)/time.Second), kittest.SetCookies(w)[0].MaxAge)
		for range 20 {
			time.Sleep(6 * day)
			require.Equal(t, http.StatusOK, b.Get("/account").Code)
		}
		w = b.Get("/kit/login?user=1")
		assert.Zero(t, kittest.SetCookies(w)[0].MaxAge)
		time.Sleep(2 * time.Hour)
		assert.Equal(t, http.StatusUnauthorized, b.Get("/account").Code)
		require.NoError(t, s.Close())
	})
}

// TestUserOfTwice: one of the two would be forgotten.
func TestUserOfTwice(t *testing.T) {
	s := memstore.New()
	assert.PanicsWithError(t, "sessionkit: Config.UserOf: store.Migrate was given such a function already; give it once", func() {
		sessionkit.Sessions(store.Migrate(memstore.New(), s, "old", kittest.UserOf), sessionkit.Config{UserOf: kittest.UserOf})
	})
	assert.NotPanics(t, func() {
		sessionkit.Sessions(store.Migrate(memstore.New(), s, "old"), sessionkit.Config{UserOf: kittest.UserOf})
	})
}
