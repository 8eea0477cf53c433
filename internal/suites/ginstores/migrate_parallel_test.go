package ginstores_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/gin-contrib/sessions"
	gincookie "github.com/gin-contrib/sessions/cookie"
	ginmemstore "github.com/gin-contrib/sessions/memstore"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// Of parallel requests that move one session each stores a new one, and only the first mark counts. For
// a moment the others are there as well. Which one is met first by chance, so each test tries several times.
const chances = 10

// eachFrom runs f with each kind of store of gin-contrib, several times.
func eachFrom(t *testing.T, f func(t *testing.T, from sessions.Store, back *kittest.Backend)) {
	t.Helper()
	for i := range chances {
		for name, from := range map[string]sessions.Store{
			"cookie": gincookie.NewStore(fmt.Appendf(nil, "%032d", i)), "memstore": ginmemstore.NewStore(kittest.TestSecret),
		} {
			t.Run(fmt.Sprint(name, i), func(t *testing.T) { f(t, from, kittest.NewBackend()) })
		}
	}
}

// TestMigrateMaxSessionsOfParallelRequests: one browser that sends several requests after the deploy has
// signed in once.
func TestMigrateMaxSessionsOfParallelRequests(t *testing.T) {
	eachFrom(t, func(t *testing.T, from sessions.Store, back *kittest.Backend) {
		before := visited(t, from, "/login")
		after := moveSite(from, kittest.StoreOver(back), sessionkit.Config{MaxSessions: 1})
		held := hold(after, "/held", func(c *gin.Context) { kittest.Name.Set(c, "Grace") })
		moved, trims, stored, goOn := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
		var creates, lists atomic.Int32
		first, second := make(chan int), make(chan int)
		b, other := before.At(after), before.At(after)
		go func() { second <- other.Get("/held").Code }()
		<-held.loaded
		back.Before = func(call string) {
			switch {
			case call == "list" && lists.Add(1) == 1: // the first request has moved the session, and is about to count
				close(moved)
				<-trims
			case call == "create" && creates.Add(1) == 4: // the second one has stored its own, and finds that it is not needed
				close(stored)
				<-goOn
			}
		}
		go func() { first <- b.Get("/").Code }()
		<-moved
		close(held.goOn)
		<-stored
		close(trims)
		assert.Equal(t, http.StatusOK, <-first)
		close(goOn)
		assert.Equal(t, http.StatusOK, <-second)
		assert.Equal(t, "42", b.Get("/").Body.String())
		assert.Len(t, kittest.UserSessions(t, kittest.StoreOver(back), "42"), 1)
		assert.Empty(t, after.Errors())
	})
}

// whileOneMoves runs f while a request of b to a held path has stored a new session, and has yet to find
// that f has put up a mark meanwhile.
func whileOneMoves(back *kittest.Backend, held heldRoute, b *kittest.Browser, f func()) {
	stored, goOn, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		b.Get("/held")
	}()
	<-held.loaded
	var creates atomic.Int32
	back.Before = func(call string) {
		if call == "create" && creates.Add(1) == 2 {
			close(stored)
			<-goOn
		}
	}
	close(held.goOn)
	<-stored
	f()
	close(goOn)
	<-done
}

// TestMigrateChangeBesideAMove: what a request changes is in the session that the browser goes on with.
func TestMigrateChangeBesideAMove(t *testing.T) {
	eachFrom(t, func(t *testing.T, from sessions.Store, back *kittest.Backend) {
		before := visited(t, from, "/login")
		after := moveSite(from, kittest.StoreOver(back))
		held := hold(after, "/held", func(c *gin.Context) { kittest.Name.Set(c, "Grace") })
		changes := hold(after, "/changes", func(c *gin.Context) { kittest.Count.Set(c, 5) })
		b := before.At(after)
		whileOneMoves(back, held, before.At(after), func() {
			w := changes.during(before.At(after), "/changes", func() { b.Get("/renew") })
			assert.Equal(t, http.StatusOK, w.Code)
		})
		assert.JSONEq(t, `{"n":5,"ok":true}`, b.Get("/count").Body.String())
	})
}

// TestMigrateSignOutBesideAMove: a sign-out holds that was sent before the answer to a renewal.
func TestMigrateSignOutBesideAMove(t *testing.T) {
	eachFrom(t, func(t *testing.T, from sessions.Store, back *kittest.Backend) {
		before := visited(t, from, "/login")
		after := moveSite(from, kittest.StoreOver(back))
		held := hold(after, "/held", func(c *gin.Context) { kittest.Name.Set(c, "Grace") })
		b := before.At(after)
		whileOneMoves(back, held, before.At(after), func() {
			b.Get("/") // it moves
			late := b.Fork()
			b.Get("/renew") // in another tab
			assert.Equal(t, http.StatusOK, late.Get("/logout").Code)
		})
		assert.Empty(t, b.Get("/").Body.String())
		assert.Empty(t, kittest.UserSessions(t, kittest.StoreOver(back), "42"))
	})
}

// TestMigrateUpdateBesideARenewal: of two updates both count, also if another request has renewed the moved
// session before the second one gets to it.
func TestMigrateUpdateBesideARenewal(t *testing.T) {
	for _, renews := range []string{"/renew", "/login", "/others"} {
		for name, from := range map[string]sessions.Store{
			"cookie": gincookie.NewStore(kittest.TestSecret), "memstore": ginmemstore.NewStore(kittest.TestSecret),
		} {
			t.Run(name+renews, func(t *testing.T) {
				update := func(c *gin.Context) {
					n, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
					assert.NoError(t, err)
					c.JSON(http.StatusOK, n)
				}
				before := visited(t, from, "/visit", "/login") // the count is 7
				after := moveSite(from, memstore.New())
				after.On("/update", update)
				after.On("/others", func(c *gin.Context) { assert.NoError(t, sessionkit.LogoutOthers(c)) })
				held := hold(after, "/held", update)
				b := before.At(after)
				w := held.during(before.At(after), "/held", func() {
					assert.Equal(t, "8", b.Get("/update").Body.String())
					b.Get(renews)
				})
				assert.Equal(t, "9", w.Body.String())
				assert.JSONEq(t, `{"n":9,"ok":true}`, b.Get("/count").Body.String())
			})
		}
	}
}
