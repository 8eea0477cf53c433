package ownstores_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// noEnds has a backend end and remove nothing.
func noEnds(b *kittest.Backend) { b.Failing(kittest.ErrDown, "end", "delete") }

// TestAbandonedSignIns: a sign-in that was stored, and whose later step failed as the taking
// back of it did, does not stay among the user's devices.
func TestAbandonedSignIns(t *testing.T) {
	for name, first := range map[string]string{"over another user": "/alice", "stored by Save before a panic": "/visitor"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := kittest.NewBackend()
				s := kittest.StoreOver(b)
				a := kittest.NewSite(s, sessionkit.Config{}, func(c *gin.Context) {
					defer func() {
						if recover() != nil {
							c.Status(http.StatusInternalServerError)
						}
					}()
					c.Next()
				})
				a.On("/visitor", kittest.ShowCount)
				a.On("/alice", kittest.SignIn("alice"))
				a.On("/bob", func(c *gin.Context) {
					_, over := sessionkit.User(c)
					sessionkit.Login(c, "bob")
					if over {
						noEnds(b)
						return
					}
					assert.NoError(t, sessions.Default(c).Save())
					noEnds(b)
					panic("the handler")
				})
				browser := kittest.NewBrowser(t, a)
				require.Equal(t, http.StatusOK, browser.Get(first).Code)
				assert.GreaterOrEqual(t, browser.Get("/bob").Code, http.StatusInternalServerError)
				require.Len(t, kittest.UserSessions(t, s, "bob"), 1, "it could not be taken back")
				b.Failing(nil)
				time.Sleep(2 * time.Second)
				assert.Empty(t, kittest.UserSessions(t, s, "bob"))
				require.NoError(t, s.Close())
			})
		})
	}
}

// TestAbandonedMove: of two requests that sign in over a session which has yet to move, one
// moves it. What the other has stored does not stay either.
func TestAbandonedMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, b := memstore.New(), kittest.NewBackend()
		to := kittest.StoreOver(b)
		old, _ := kitstore.Of(from)
		now := time.Now()
		token, _, _, err := old.Create(t.Context(), store.Record{Name: "session", Created: now, Seen: now, Expires: now.Add(time.Hour)}, signin.Attempt{})
		require.NoError(t, err)
		moved, _ := kitstore.Of(store.Migrate(from, to, "session"))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		adopt := func() kitstore.Mover {
			_, _, _, m, err := moved.(kitstore.Successor).Adopt(r, "session", []string{token})
			require.NoError(t, err)
			return m.(kitstore.Mover)
		}
		next := store.Record{Name: "session", User: "bob", Created: now, Seen: now, Expires: now.Add(time.Hour)}
		first, second := adopt(), adopt()
		_, _, _, found, err := first.SignIn(t.Context(), r, next, nil, signin.Attempt{Began: now})
		require.NoError(t, err)
		require.True(t, found)
		noEnds(b)
		_, _, _, _, err = second.SignIn(t.Context(), r, next, nil, signin.Attempt{Began: now})
		require.ErrorIs(t, err, kittest.ErrDown)
		require.Len(t, kittest.UserSessions(t, to, "bob"), 2)
		b.Failing(nil)
		time.Sleep(2 * time.Second)
		assert.Len(t, kittest.UserSessions(t, to, "bob"), 1)
		require.NoError(t, to.Close())
		require.NoError(t, from.Close())
	})
}
