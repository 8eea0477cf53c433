package ginstores_test

import (
	"context"
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

// Until a session has moved, it has an ID that is not that of the session in the new store.

// idMove is an application after its move, and two browsers whose sessions, of one user, have
// yet to move.
type idMove struct {
	to       *store.Store
	after    *kittest.Site
	b, other *kittest.Browser
}

func eachIDMove(t *testing.T, test func(t *testing.T, m *idMove)) {
	t.Helper()
	fromGinContrib := func(t *testing.T, from sessions.Store) *idMove {
		t.Helper()
		to := memstore.New()
		t.Cleanup(func() { assert.NoError(t, to.Close()) })
		after := moveSite(from, to)
		after.On("/confirm", sessionkit.Confirm)
		return &idMove{to, after, visited(t, from, "/login").At(after), visited(t, from, "/visit", "/login").At(after)}
	}
	for name, begin := range map[string]func(t *testing.T) *idMove{
		"from the cookie": func(t *testing.T) *idMove { return fromGinContrib(t, gincookie.NewStore(kittest.TestSecret)) },
		"from a server":   func(t *testing.T) *idMove { return fromGinContrib(t, ginmemstore.NewStore(kittest.TestSecret)) },
		"from sessionkit": func(t *testing.T) *idMove {
			m := newOwnMove(t, sessionkit.Config{})
			return &idMove{m.to, m.after, m.visitor(t, "/login").At(m.after), m.visitor(t, "/login").At(m.after)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, begin(t)) })
		})
	}
}

// TestMigrateNewPassword: the session in which a user changes the password goes on, also if it
// has yet to move when it is to be spared. All others of the user end.
func TestMigrateNewPassword(t *testing.T) {
	for _, others := range []bool{false, true} {
		for _, flash := range []bool{false, true} {
			eachIDMove(t, func(t *testing.T, m *idMove) {
				m.after.On("/password", sessionkit.RequireSession(), func(c *gin.Context) {
					user, _ := sessionkit.User(c)
					if others {
						assert.NoError(t, sessionkit.LogoutOthers(c))
					}
					_, err := m.to.RevokeAll(c, user, sessionkit.Current(c).ID)
					assert.NoError(t, err)
					if flash {
						sessionkit.Flash(c, sessionkit.Success, "changed")
					}
				})
				assert.Equal(t, http.StatusOK, m.b.Get("/password").Code)
				assert.Equal(t, "42", m.b.Get("/").Body.String())
				assert.Empty(t, m.other.Get("/").Body.String())
				assert.Equal(t, http.StatusOK, m.b.Get("/confirm").Code)
				assert.Equal(t, "42", m.b.Get("/").Body.String(), "a new ID does not end it either")
				assert.Empty(t, m.after.Errors())

				_, err := m.to.RevokeAll(t.Context(), "42")
				require.NoError(t, err)
				assert.Empty(t, m.b.Get("/").Body.String(), "it was spared once")
			})
		}
	}
}

// TestMigrateNewPasswordInAPassiveRequest: which does not move the session. The next one finds it
// spared.
func TestMigrateNewPasswordInAPassiveRequest(t *testing.T) {
	eachIDMove(t, func(t *testing.T, m *idMove) {
		m.after.On("/password", sessionkit.RequireSession(sessionkit.GuardConfig{Passive: true}), func(c *gin.Context) {
			_, err := m.to.RevokeAll(c, "42", sessionkit.Current(c).ID)
			assert.NoError(t, err)
		})
		assert.Equal(t, http.StatusOK, m.b.Get("/password").Code)
		assert.Empty(t, kittest.UserSessions(t, m.to, "42"), "it has not moved")
		for range 2 {
			assert.Equal(t, "42", m.b.Get("/").Body.String())
		}
		assert.Empty(t, m.other.Get("/").Body.String())
	})
}

// TestMigrateLogoutOthersBesideAMove: another request of the session moves it meanwhile.
func TestMigrateLogoutOthersBesideAMove(t *testing.T) {
	eachIDMove(t, func(t *testing.T, m *idMove) {
		beside := m.b.Fork()
		m.after.On("/password", func(c *gin.Context) {
			user, _ := sessionkit.User(c)
			assert.Equal(t, "42", user)
			assert.Equal(t, http.StatusNoContent, beside.Get("/increment").Code)
			assert.NoError(t, sessionkit.LogoutOthers(c))
		})
		assert.Equal(t, http.StatusOK, m.b.Get("/password").Code)
		assert.Equal(t, "42", m.b.Get("/").Body.String())
		assert.Empty(t, m.other.Get("/").Body.String())
		assert.Empty(t, m.after.Errors())
	})
}

// TestMigrateJob: a job whose request has not moved the session finds it by the ID that it had
// then, once it has moved, for as long as it lives.
func TestMigrateJob(t *testing.T) {
	eachIDMove(t, func(t *testing.T, m *idMove) {
		var id string
		m.after.On("/job", func(c *gin.Context) {
			c.Status(http.StatusAccepted)
			c.Writer.WriteHeaderNow()
			id = sessionkit.Current(c).ID
			assert.Equal(t, id, sessions.Default(c).ID())
		})
		m.b.Get("/job")
		_, err := kittest.Name.UpdateIn(t.Context(), m.to, id, func(string) string { return "Ada" })
		require.ErrorIs(t, err, store.ErrEnded, "nothing has moved it")

		m.b.Get("/increment")
		_, err = kittest.Name.UpdateIn(t.Context(), m.to, id, func(string) string { return "Ada" })
		require.NoError(t, err)
		m.b.Get("/confirm")
		m.b.Use(2*time.Hour, 30*time.Minute)
		name, _, err := kittest.Name.GetFrom(t.Context(), m.to, id)
		require.NoError(t, err)
		assert.Equal(t, "Ada", name)

		require.NoError(t, m.to.Revoke(t.Context(), "42", id))
		assert.Empty(t, m.b.Get("/").Body.String())
		_, _, err = kittest.Name.GetFrom(t.Context(), m.to, id)
		require.ErrorIs(t, err, store.ErrEnded)
	})
}

// TestMigrateJobOfAVisitor: the ID leads on as long as nobody has signed in, as any of a visitor
// does.
func TestMigrateJobOfAVisitor(t *testing.T) {
	for _, moves := range []string{"/increment", "/renew", "/login"} {
		from, to := ginmemstore.NewStore(kittest.TestSecret), memstore.New()
		after := moveSite(from, to)
		var id string
		after.On("/id", func(c *gin.Context) {
			c.Writer.WriteHeaderNow()
			id = sessionkit.Current(c).ID
		})
		b := visited(t, from, "/visit").At(after)
		b.Get("/id")
		b.Get(moves)
		get := func() error {
			_, _, err := kittest.Name.GetFrom(context.Background(), to, id)
			return err
		}
		if moves == "/increment" {
			require.NoError(t, get())
			b.Get("/login")
		}
		require.ErrorIs(t, get(), store.ErrEnded, "whoever has the new ID may be somebody else")
		assert.NoError(t, to.Close())
	}
}

// TestMigrateOneTextHasNoID: other browsers may have the text, so that it is the ID of no session.
func TestMigrateOneTextHasNoID(t *testing.T) {
	from, to := gincookie.NewStore(kittest.TestSecret), memstore.New()
	after := moveSite(from, to)
	after.On("/id", func(c *gin.Context) {
		assert.Equal(t, sessionkit.Current(c).ID, sessions.Default(c).ID())
		c.String(http.StatusOK, sessionkit.Current(c).ID)
	})
	b := visited(t, from, "/visit").At(after)
	assert.Empty(t, b.Get("/id").Body.String())
	b.Get("/increment")
	_, _, err := kittest.Name.GetFrom(t.Context(), to, b.Get("/id").Body.String())
	require.NoError(t, err)
}

// TestMigrateConfirmBesideAMove: the ID of before the move leads to a session that one request has moved and another one renews.
func TestMigrateConfirmBesideAMove(t *testing.T) {
	eachIDMove(t, func(t *testing.T, m *idMove) {
		var id string
		beside := m.b.Fork()
		m.after.On("/both", func(c *gin.Context) {
			id = sessionkit.Current(c).ID
			beside.Get("/increment")
			sessionkit.Confirm(c)
		})
		assert.Equal(t, http.StatusOK, m.b.Get("/both").Code)
		assert.Equal(t, "42", m.b.Get("/").Body.String())
		_, _, err := kittest.Name.GetFrom(t.Context(), m.to, id)
		assert.NoError(t, err)
		assert.NoError(t, m.to.Revoke(t.Context(), "42", id))
		assert.Empty(t, m.b.Get("/").Body.String())
	})
}

// TestMigrateLoginBesideAMove: so it does if the same user signs in there.
func TestMigrateLoginBesideAMove(t *testing.T) {
	eachIDMove(t, func(t *testing.T, m *idMove) {
		var id string
		beside := m.b.Fork()
		m.after.On("/both", func(c *gin.Context) {
			id = sessionkit.Current(c).ID
			beside.Get("/increment")
			sessionkit.Login(c, "42")
		})
		assert.Equal(t, http.StatusOK, m.b.Get("/both").Code)
		assert.Equal(t, "42", m.b.Get("/").Body.String())
		_, _, err := kittest.Name.GetFrom(t.Context(), m.to, id)
		assert.NoError(t, err)
	})
}

// TestMigrateOneTextHasNoPreviousID: nor does an event tell the ID that all browsers with the text share.
func TestMigrateOneTextHasNoPreviousID(t *testing.T) {
	from := gincookie.NewStore(kittest.TestSecret)
	after := moveSite(from, memstore.New())
	b := visited(t, from, "/visit").At(after)
	after.Heard()
	b.Get("/login")
	for _, e := range after.Heard() {
		assert.Empty(t, e.PreviousID)
	}
}
