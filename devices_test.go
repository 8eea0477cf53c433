package sessionkit_test

import (
	"errors"
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
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// newDevicesSite returns an application in which a user ends sessions.
func newDevicesSite(t *testing.T, b *backend) *site {
	t.Helper()
	a := newSite(storeOver(b), sessionkit.Config{})
	answer := func(c *gin.Context, err error) {
		if err != nil {
			c.String(http.StatusTeapot, err.Error())
		}
	}
	a.on("/login", func(c *gin.Context) { sessionkit.Login(c, c.Query("user")) })
	a.on("/", whoami)
	a.on("/devices", func(c *gin.Context) {
		list, err := sessionkit.Devices(c)
		answer(c, err)
		c.JSON(http.StatusOK, list)
		for _, s := range list {
			c.Writer.Header().Add("X-Device", s.ID)
		}
	})
	a.on("/id", func(c *gin.Context) { c.String(http.StatusOK, sessionkit.Current(c).ID) })
	a.on("/revoke", func(c *gin.Context) { answer(c, sessionkit.Revoke(c, c.Query("id"))) })
	a.on("/others", func(c *gin.Context) { answer(c, sessionkit.LogoutOthers(c)) })
	a.on("/everywhere", func(c *gin.Context) { answer(c, sessionkit.LogoutEverywhere(c)) })
	return a
}

func TestDevices(t *testing.T) {
	a := newDevicesSite(t, newBackend())
	who := func(b *browser) string { return b.get("/").Body.String() }
	id := func(b *browser) string { return b.get("/id").Body.String() }
	var alice []*browser
	for range 4 {
		b := newBrowser(t, a)
		b.get("/login?user=alice")
		alice = append(alice, b)
	}
	bob := newBrowser(t, a)
	bob.get("/login?user=bob")
	a.heard()

	assert.Equal(t, http.StatusOK, bob.get("/revoke?id="+id(alice[0])).Code)
	assert.Equal(t, "alice", who(alice[0]), "nobody revokes another user's session")
	assert.Empty(t, a.heard())

	revoked := id(alice[0])
	alice[1].get("/revoke?id=" + revoked)
	assert.Empty(t, who(alice[0]))
	events := a.heard()
	require.NotEmpty(t, events)
	assert.Equal(t, sessionkit.Event{Kind: sessionkit.EventRevoked, User: "alice", SessionID: revoked}, events[0])

	alice[1].get("/others")
	assert.Equal(t, "alice", who(alice[1]))
	assert.Empty(t, who(alice[2]))
	assert.Empty(t, who(alice[3]))

	alice[1].get("/revoke?id=" + id(alice[1]))
	assert.Empty(t, alice[1].session(), "revoking the current session signs out")

	alice[2].get("/login?user=alice")
	alice[3].get("/login?user=alice")
	w := alice[2].get("/everywhere")
	assert.Len(t, w.Header()["Set-Cookie"], 1)
	assert.Empty(t, who(alice[2]))
	assert.Empty(t, who(alice[3]))
	assert.Equal(t, "bob", who(bob))
	for _, path := range []string{"/devices", "/others", "/everywhere", "/revoke?id=x"} {
		w := alice[2].get(path)
		assert.Equal(t, http.StatusTeapot, w.Code)
		assert.Contains(t, w.Body.String(), "nobody is signed in")
	}
}

func TestDevicesDuringAnOutage(t *testing.T) {
	s := newBackend()
	a := newDevicesSite(t, s)
	b, other := newBrowser(t, a), newBrowser(t, a)
	b.get("/login?user=alice")
	other.get("/login?user=alice")
	id := other.get("/id").Body.String()
	for _, call := range []string{"list", "end", "load fresh"} {
		s.failing(errors.New("down"), call)
		for _, path := range []string{"/others", "/everywhere", "/revoke?id=" + id} {
			if call == "list" && path != "/others" && path != "/everywhere" {
				continue // it needs no list
			}
			w := b.get(path)
			assert.Equal(t, http.StatusTeapot, w.Code, "%s: %s", call, path)
			assert.Contains(t, w.Body.String(), "down")
			assert.NotEmpty(t, a.errors())
		}
		s.failing(nil)
		assert.Equal(t, "alice", b.get("/").Body.String())
		assert.Equal(t, "alice", other.get("/").Body.String())
	}
}

func TestCurrent(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := newSite(s, sessionkit.Config{})
			var got sessionkit.Session
			show := func(c *gin.Context) { got = sessionkit.Current(c) }
			a.on("/login", signIn("42"))
			a.on("/remember", signIn("42", sessionkit.Remember()))
			a.on("/set", increment)
			a.on("/", show)
			b := newBrowser(t, a)
			start := time.Now()
			b.get("/")
			assert.Equal(t, sessionkit.Session{Name: "session", CreatedAt: start, ExpiresAt: start.Add(time.Hour), EndsAt: start.Add(24 * time.Hour)}, got, "a visitor")
			b.get("/set")
			time.Sleep(10 * time.Minute)
			ua := "Browser/1.0 (\xff) " + strings.Repeat("ä", 300)
			r := b.request(http.MethodGet, "/login", "User-Agent", ua)
			r.RemoteAddr = "203.0.113.7:1234"
			b.do(r)
			time.Sleep(10 * time.Minute)
			b.get("/")
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
			b.get("/remember")
			b.get("/")
			assert.True(t, got.Remembered)
			assert.True(t, got.ExpiresAt.Equal(time.Now().Add(30*24*time.Hour)))
			assert.True(t, got.EndsAt.Equal(got.ExpiresAt))
		})
	})
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBackend()
		a := newSite(storeOver(s), sessionkit.Config{MaxSessions: 1})
		id := ""
		a.on("/visit", increment)
		a.on("/login", signIn("42"))
		a.on("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
		a.on("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
		a.on("/", func(c *gin.Context) { id = sessionkit.Current(c).ID })
		b := newBrowser(t, a)
		step := func(path string, kinds ...sessionkit.EventKind) []sessionkit.Event {
			t.Helper()
			b.get(path)
			events := a.heard()
			var got []sessionkit.EventKind
			for _, e := range events {
				got = append(got, e.Kind)
				if b.session() != "" {
					assert.NotEqual(t, b.session(), e.SessionID, "never the secret")
				}
			}
			assert.Equal(t, kinds, got, path)
			return events
		}
		step("/logout")
		step("/", nil...)
		e := step("/visit", sessionkit.EventCreated)
		step("/")
		assert.Equal(t, id, e[0].SessionID)
		step("/visit")
		visitor := id
		e = step("/login", sessionkit.EventSignedIn)
		step("/")
		assert.Equal(t, sessionkit.Event{Kind: sessionkit.EventSignedIn, User: "42", SessionID: id, PreviousID: visitor}, e[0])
		before := id
		e = step("/renew", sessionkit.EventRenewed)
		step("/")
		assert.Equal(t, sessionkit.Event{Kind: sessionkit.EventRenewed, User: "42", SessionID: id, PreviousID: before}, e[0])
		assert.NotEqual(t, before, id)

		first := b
		time.Sleep(time.Millisecond)
		b = newBrowser(t, a)
		e = step("/login", sessionkit.EventCreated, sessionkit.EventSignedIn, sessionkit.EventRevoked)
		assert.Equal(t, sessionkit.Event{Kind: sessionkit.EventRevoked, User: "42", SessionID: id}, e[2])
		b, first = first, b
		step("/") // the browser has a session that was revoked: nobody has made it up
		b = first
		step("/")
		out, signedOut := b.fork(), id
		e = step("/logout", sessionkit.EventSignedOut)
		assert.Equal(t, sessionkit.Event{Kind: sessionkit.EventSignedOut, User: "42", SessionID: id}, e[0])
		b = out
		e = step("/", sessionkit.EventRejected)
		assert.Equal(t, signedOut, e[0].SessionID, "after a sign-out the cookie should be gone")

		b = newBrowser(t, a)
		b.cookies[sessionCookie] = "malformed"
		e = step("/", sessionkit.EventRejected)
		assert.Equal(t, sessionkit.Event{Kind: sessionkit.EventRejected}, e[0])
		step("/login", sessionkit.EventRejected, sessionkit.EventCreated, sessionkit.EventSignedIn)
		step("/")
		time.Sleep(62 * time.Minute)
		handle := id
		e = step("/", sessionkit.EventExpired)
		assert.Equal(t, sessionkit.Event{Kind: sessionkit.EventExpired, User: "42", SessionID: handle}, e[0])

		down := errors.New("down")
		s.failing(down, "load")
		e = step("/", sessionkit.EventStoreError)
		assert.ErrorIs(t, e[0].Err, down)
		s.failing(down, "create")
		b = newBrowser(t, a)
		e = step("/login", sessionkit.EventStoreError)
		assert.ErrorIs(t, e[0].Err, down)
	})
}

// TestEventsMayUseTheSession: OnEvent runs inside the request.
func TestEventsMayUseTheSession(t *testing.T) {
	r := gin.New()
	var users []string
	r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{OnEvent: func(c *gin.Context, e sessionkit.Event) {
		user, _ := sessionkit.User(c)
		users = append(users, string(e.Kind)+" "+user)
	}}))
	r.GET("/login", signIn("42"))
	newBrowser(t, r).get("/login")
	assert.Equal(t, []string{"created 42", "signed-in 42"}, users)
}

// TestRevokeWithoutID is no revocation of the session that is about to begin.
func TestRevokeWithoutID(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{})
	a.on("/login", signIn("42"), func(c *gin.Context) { assert.NoError(t, sessionkit.Revoke(c, "")) })
	a.on("/", whoami)
	b := newBrowser(t, a)
	b.get("/login")
	assert.Equal(t, "42", b.get("/").Body.String())
}

// TestLogoutOthersDuringARenewal: whoever ends the others stays signed in, also
// where another request of theirs has renewed the session meanwhile.
func TestLogoutOthersDuringARenewal(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{})
	meanwhile := func() {}
	a.on("/login", signIn("42"))
	a.on("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
	a.on("/others", func(c *gin.Context) {
		sessionkit.User(c)
		meanwhile()
		assert.NoError(t, sessionkit.LogoutOthers(c))
	})
	a.on("/", whoami)
	b, other := newBrowser(t, a), newBrowser(t, a)
	b.get("/login")
	other.get("/login")
	late := b.fork()
	a.heard()
	meanwhile = func() { b.get("/renew") }
	late.get("/others")
	assert.Equal(t, "42", b.get("/").Body.String())
	assert.Empty(t, other.get("/").Body.String())
	var revoked int
	for _, kind := range a.kinds() {
		if kind == sessionkit.EventRevoked {
			revoked++
		}
	}
	assert.Equal(t, 1, revoked)
}

// TestAClockThatStandsStill tells no sign-in from one that was to be ended: it is
// refused, and nothing goes on for ever.
func TestAClockThatStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(1500 * time.Nanosecond) // between two of the microseconds in which boundaries are kept
		s := memstore.New()
		a := newSite(s, sessionkit.Config{})
		a.on("/", func(c *gin.Context) {
			_, err := s.RevokeAll(c.Request.Context(), "42")
			assert.NoError(t, err)
			sessionkit.Login(c, "42")
		})
		b := newBrowser(t, a)
		assert.Equal(t, http.StatusServiceUnavailable, b.get("/").Code)
		assert.Empty(t, b.session())
	})
}

// TestListedSessionEnds: what a list says of a session counts from its sign-in, also if
// it has begun with that.
func TestListedSessionEnds(t *testing.T) {
	s := memstore.New()
	defer func() { assert.NoError(t, s.Close()) }()
	a := newSite(s, sessionkit.Config{})
	a.on("/login", signIn("42"))
	newBrowser(t, a).get("/login")
	list, err := s.Sessions(t.Context(), "42")
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.True(t, list[0].EndsAt.Equal(list[0].SignedInAt.Add(24*time.Hour)), "%v, signed in at %v", list[0].EndsAt, list[0].SignedInAt)
}
