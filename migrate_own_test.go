package sessionkit_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// ownMove is an application before and after its move from one store of this module to
// another.
type ownMove struct {
	from, to      *store.Store
	before, after *site
}

func newOwnMove(t *testing.T, config sessionkit.Config) *ownMove {
	t.Helper()
	m := &ownMove{from: memstore.New(), to: memstore.New()}
	t.Cleanup(func() {
		assert.NoError(t, m.from.Close())
		assert.NoError(t, m.to.Close())
	})
	m.before = newMovingSite(newSite(m.from, config))
	m.after = newMovingSite(newSite(store.Migrate(m.from, m.to, "session"), config))
	return m
}

func newMovingSite(a *site) *site {
	a.on("/", whoami)
	a.on("/count", showCount)
	a.on("/increment", increment)
	a.on("/login", signIn("42"))
	a.on("/remember", signIn("42", sessionkit.Remember()))
	a.on("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
	a.on("/everywhere", func(c *gin.Context) { _ = sessionkit.LogoutEverywhere(c) })
	a.on("/current", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Current(c)) })
	a.on("/fresh", sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: time.Hour}), whoami)
	a.on("/peek", sessionkit.RequireSession(sessionkit.GuardConfig{Passive: true}), whoami)
	return a
}

func (m *ownMove) visitor(t *testing.T, paths ...string) *browser {
	t.Helper()
	b := newBrowser(t, m.before)
	for _, path := range paths {
		require.Less(t, b.get(path).Code, http.StatusMultipleChoices)
	}
	return b
}

func TestMigrateOwn(t *testing.T) {
	m := newOwnMove(t, sessionkit.Config{})
	old := m.visitor(t, "/increment", "/login", "/increment")
	want := userSessions(t, m.from, "42")[0]

	b := old.at(m.after)
	assert.Equal(t, "42", b.get("/peek").Body.String())
	assert.Equal(t, old.session(), b.session(), "a passive request moves nothing")
	w := b.get("/fresh")
	assert.Equal(t, "42", w.Body.String(), "when the user signed in is known")
	assert.Len(t, setCookies(w), 1)
	assert.NotEqual(t, old.session(), b.session())
	assert.JSONEq(t, `{"n":2,"ok":true}`, b.get("/count").Body.String())
	assert.Empty(t, setCookies(b.get("/increment")), "it has moved once")
	got := userSessions(t, m.to, "42")[0]
	assert.True(t, want.CreatedAt.Equal(got.CreatedAt))
	assert.True(t, want.SignedInAt.Equal(got.SignedInAt))
	assert.True(t, want.EndsAt.Equal(got.EndsAt))
	assert.Empty(t, userSessions(t, m.from, "42"))
	assert.Empty(t, old.get("/").Body.String(), "the old store has it no more")

	late := old.at(m.after)
	assert.Equal(t, "42", late.get("/").Body.String(), "a request that was sent before the new cookie came")
	b.get("/logout")
	assert.Empty(t, b.get("/").Body.String())
	assert.Empty(t, old.at(m.after).get("/").Body.String(), "a copy of the old cookie opens nothing after the sign-out")
	for _, kind := range m.after.kinds() {
		assert.NotEqual(t, sessionkit.EventExpired, kind)
	}
	assert.Empty(t, m.after.errors())
}

func TestMigrateOwnVisitor(t *testing.T) {
	m := newOwnMove(t, sessionkit.Config{})
	b := m.visitor(t, "/increment").at(m.after)
	assert.Len(t, setCookies(b.get("/increment")), 1)
	assert.JSONEq(t, `{"n":2,"ok":true}`, b.get("/count").Body.String())
	b.get("/login")
	assert.Equal(t, "42", b.get("/").Body.String())
	assert.JSONEq(t, `{"n":2,"ok":true}`, b.get("/count").Body.String())
}

func TestMigrateOwnToken(t *testing.T) {
	m := newOwnMove(t, sessionkit.Config{TokenHeader: "Authorization"})
	b := newBrowser(t, m.before)
	token := b.get("/login", "Authorization", "Bearer").Header().Get("Authorization")
	b = b.at(m.after)
	w := b.get("/", "Authorization", token)
	assert.Equal(t, "42", w.Body.String())
	moved := w.Header().Get("Authorization")
	assert.NotEmpty(t, moved)
	assert.NotEqual(t, token, moved)
	for _, token := range []string{token, moved} {
		assert.Equal(t, "42", b.get("/", "Authorization", token).Body.String())
	}
	assert.Empty(t, b.get("/", "Authorization", "Bearer x").Body.String())
}

func TestMigrateOwnDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newOwnMove(t, sessionkit.Config{})
		idle, remembered, gone := m.visitor(t, "/login"), m.visitor(t, "/remember"), m.visitor(t, "/login")
		time.Sleep(50 * time.Minute)
		idle, remembered = idle.at(m.after), remembered.at(m.after)
		assert.Equal(t, "42", idle.get("/").Body.String())
		assert.Equal(t, "42", remembered.get("/").Body.String())
		time.Sleep(50 * time.Minute)
		assert.Equal(t, "42", idle.get("/").Body.String())
		w := gone.at(m.after).get("/fresh")
		assert.Equal(t, http.StatusUnauthorized, w.Code)
		assert.Contains(t, w.Body.String(), `"reason":"expired"`)
		time.Sleep(23 * time.Hour)
		assert.Empty(t, idle.get("/").Body.String())
		assert.Equal(t, "42", remembered.get("/").Body.String())
		time.Sleep(30 * 24 * time.Hour)
		assert.Empty(t, remembered.get("/").Body.String(), "its lifetime counts from the sign-in")
	})
}

// TestMigrateOwnStricter: a Config that has become stricter holds for what has yet to
// move.
func TestMigrateOwnStricter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newOwnMove(t, sessionkit.Config{})
		b := m.visitor(t, "/login")
		time.Sleep(30 * time.Minute)
		after := newMovingSite(newSite(store.Migrate(m.from, m.to, "session"), sessionkit.Config{IdleTimeout: 10 * time.Minute}))
		w := b.at(after).get("/fresh")
		assert.Contains(t, w.Body.String(), `"reason":"expired"`)
		assert.Contains(t, after.kinds(), sessionkit.EventExpired)
	})
}

func TestMigrateOwnRevocation(t *testing.T) {
	m := newOwnMove(t, sessionkit.Config{})
	moved, waiting, late := m.visitor(t, "/login").at(m.after), m.visitor(t, "/login").at(m.after), m.visitor(t, "/login").at(m.after)
	moved.get("/")
	moved.get("/everywhere")
	assert.Empty(t, moved.get("/").Body.String())
	assert.Empty(t, waiting.get("/").Body.String(), "what has yet to move ends as well")

	_, err := m.from.RevokeAll(t.Context(), "42")
	require.NoError(t, err)
	assert.Empty(t, late.get("/").Body.String(), "and what was ended in the old store does not move")
}

func TestMigrateOwnLosesNothingOfParallelRequests(t *testing.T) {
	m := newOwnMove(t, sessionkit.Config{})
	for range 50 {
		old := m.visitor(t, "/login")
		var all sync.WaitGroup
		browsers := make([]*browser, 8)
		for i := range browsers {
			browsers[i] = old.at(m.after)
			all.Go(func() { assert.Equal(t, http.StatusNoContent, browsers[i].get("/increment").Code) })
		}
		all.Wait()
		for _, b := range browsers {
			assert.Equal(t, browsers[0].session(), b.session())
			assert.Equal(t, "42", b.get("/").Body.String())
		}
		browsers[0].get("/logout")
		assert.Empty(t, browsers[1].get("/").Body.String())
	}
	assert.Empty(t, userSessions(t, m.from, "42"))
	assert.Empty(t, userSessions(t, m.to, "42"))
}

// TestMigrateFromAPlainOwnStore: a store of this module that was used by
// sessions.Sessions of gin-contrib is moved from as any other.
func TestMigrateFromAPlainOwnStore(t *testing.T) {
	from, to := memstore.New(), memstore.New()
	after := moveSite(from, to)
	b := visited(t, from, "/visit", "/login").at(after)
	assert.Equal(t, "42", b.get("/").Body.String())
	assert.NotContains(t, b.cookies, oldCookie)
	assert.JSONEq(t, `{"n":7,"ok":true}`, b.get("/count").Body.String())
}
