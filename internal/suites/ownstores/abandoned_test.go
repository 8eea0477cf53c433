package ownstores_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
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
