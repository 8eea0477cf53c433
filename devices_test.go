package sessionkit_test

import (
	"errors"
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
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// newDevicesSite returns an application in which a user ends sessions.
func newDevicesSite(t *testing.T, b *kittest.Backend) *kittest.Site {
	t.Helper()
	a := kittest.NewSite(kittest.StoreOver(b), sessionkit.Config{})
	answer := func(c *gin.Context, err error) {
		if err != nil {
			c.String(http.StatusTeapot, err.Error())
		}
	}
	a.On("/login", func(c *gin.Context) { sessionkit.Login(c, c.Query("user")) })
	a.On("/", kittest.Whoami)
	a.On("/devices", func(c *gin.Context) {
		list, err := sessionkit.Devices(c)
		answer(c, err)
		c.JSON(http.StatusOK, list)
		for _, s := range list {
			c.Writer.Header().Add("X-Device", s.ID)
		}
	})
	a.On("/id", func(c *gin.Context) { c.String(http.StatusOK, sessionkit.Current(c).ID) })
	a.On("/revoke", func(c *gin.Context) { answer(c, sessionkit.Revoke(c, c.Query("id"))) })
	a.On("/others", func(c *gin.Context) { answer(c, sessionkit.LogoutOthers(c)) })
	a.On("/everywhere", func(c *gin.Context) { answer(c, sessionkit.LogoutEverywhere(c)) })
	return a
}

func TestDevices(t *testing.T) {
	a := newDevicesSite(t, kittest.NewBackend())
	who := func(b *kittest.Browser) string { return b.Get("/").Body.String() }
	id := func(b *kittest.Browser) string { return b.Get("/id").Body.String() }
	var alice []*kittest.Browser
	for range 4 {
		b := kittest.NewBrowser(t, a)
		b.Get("/login?user=alice")
		alice = append(alice, b)
	}
	bob := kittest.NewBrowser(t, a)
	bob.Get("/login?user=bob")
	a.Heard()

	assert.Equal(t, http.StatusOK, bob.Get("/revoke?id="+id(alice[0])).Code)
	assert.Equal(t, "alice", who(alice[0]), "nobody revokes another user's session")
	assert.Empty(t, a.Heard())

	revoked := id(alice[0])
	alice[1].Get("/revoke?id=" + revoked)
	assert.Empty(t, who(alice[0]))
	events := a.Heard()
	require.NotEmpty(t, events)
	assert.Equal(t, sessionkit.Event{Kind: sessionkit.EventRevoked, User: "alice", SessionID: revoked}, events[0])

	alice[1].Get("/others")
	assert.Equal(t, "alice", who(alice[1]))
	assert.Empty(t, who(alice[2]))
	assert.Empty(t, who(alice[3]))

	alice[1].Get("/revoke?id=" + id(alice[1]))
	assert.Empty(t, alice[1].Session(), "revoking the current session signs out")

	alice[2].Get("/login?user=alice")
	alice[3].Get("/login?user=alice")
	w := alice[2].Get("/everywhere")
	assert.Len(t, w.Header()["Set-Cookie"], 1)
	assert.Empty(t, who(alice[2]))
	assert.Empty(t, who(alice[3]))
	assert.Equal(t, "bob", who(bob))
	for _, path := range []string{"/devices", "/others", "/everywhere", "/revoke?id=x"} {
		w := alice[2].Get(path)
		assert.Equal(t, http.StatusTeapot, w.Code)
		assert.Contains(t, w.Body.String(), "nobody is signed in")
	}
}

// TestDevicesOverARenewal: a session that Devices has found under the ID that another
// request has given it goes on as that has left it.
func TestDevicesOverARenewal(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	during := func() {}
	a.On("/login", kittest.SignIn("42"))
	for path, do := range map[string]gin.HandlerFunc{"/confirm": sessionkit.Confirm, "/remember": kittest.SignIn("42", sessionkit.Remember())} {
		a.On(path, func(c *gin.Context) { do(c); kittest.Name.Set(c, path) })
	}
	a.On("/renew", func(c *gin.Context) {
		sessions.Default(c).Set("count", 1)
		during()
		_, err := sessionkit.Devices(c)
		assert.NoError(t, err)
		sessionkit.Renew(c)
	})
	a.On("/", func(c *gin.Context) {
		s := sessionkit.Current(c)
		n, _ := kittest.Count.Get(c)
		name, _ := kittest.Name.Get(c)
		c.String(http.StatusOK, "%t %t %d %s", s.ConfirmedAt.After(s.SignedInAt), s.Remembered, n, name)
	})
	for path, want := range map[string]string{"/confirm": "true false 1 /confirm", "/remember": "false true 1 /remember"} {
		b := kittest.NewBrowser(t, a)
		b.Get("/login")
		during = func() { b.Get(path) }
		assert.Equal(t, http.StatusOK, b.Get("/renew").Code)
		assert.Equal(t, want, b.Get("/").Body.String())
	}
	assert.Empty(t, a.Errors())
}

// TestDevicesKnowTheRenewedSession: it is among the user's as the current one, whatever ID another
// request has given it meanwhile.
func TestDevicesKnowTheRenewedSession(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	during := func() {}
	a.On("/login", kittest.SignIn("42"))
	a.On("/renew", sessionkit.Renew)
	a.On("/devices", func(c *gin.Context) {
		before := sessionkit.Current(c).ID
		during()
		list, err := sessionkit.Devices(c)
		assert.NoError(t, err)
		if assert.Len(t, list, 1) {
			assert.NotEqual(t, before, list[0].ID)
			assert.Equal(t, sessionkit.Current(c).ID, list[0].ID)
		}
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	during = func() { b.Get("/renew") }
	assert.Equal(t, http.StatusOK, b.Get("/devices").Code)
}

func TestDevicesDuringAnOutage(t *testing.T) {
	s := kittest.NewBackend()
	a := newDevicesSite(t, s)
	b, other := kittest.NewBrowser(t, a), kittest.NewBrowser(t, a)
	b.Get("/login?user=alice")
	other.Get("/login?user=alice")
	id := other.Get("/id").Body.String()
	for _, call := range []string{"list", "end", "load fresh"} {
		s.Failing(errors.New("down"), call)
		for _, path := range []string{"/others", "/everywhere", "/revoke?id=" + id} {
			if call == "list" && path != "/others" && path != "/everywhere" {
				continue // it needs no list
			}
			w := b.Get(path)
			assert.Equal(t, http.StatusTeapot, w.Code, "%s: %s", call, path)
			assert.Contains(t, w.Body.String(), "down")
			assert.NotEmpty(t, a.Errors())
		}
		s.Failing(nil)
		assert.Equal(t, "alice", b.Get("/").Body.String())
		assert.Equal(t, "alice", other.Get("/").Body.String())
	}
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kittest.NewBackend()
		a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{MaxSessions: 1})
		id := ""
		a.On("/visit", kittest.Increment)
		a.On("/login", kittest.SignIn("42"))
		a.On("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
		a.On("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
		a.On("/", func(c *gin.Context) { id = sessionkit.Current(c).ID })
		b := kittest.NewBrowser(t, a)
		step := func(path string, kinds ...sessionkit.EventKind) []sessionkit.Event {
			t.Helper()
			b.Get(path)
			events := a.Heard()
			var got []sessionkit.EventKind
			for _, e := range events {
				got = append(got, e.Kind)
				if b.Session() != "" {
					assert.NotEqual(t, b.Session(), e.SessionID, "never the secret")
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
		b = kittest.NewBrowser(t, a)
		e = step("/login", sessionkit.EventCreated, sessionkit.EventSignedIn, sessionkit.EventRevoked)
		assert.Equal(t, sessionkit.Event{Kind: sessionkit.EventRevoked, User: "42", SessionID: id}, e[2])
		b, first = first, b
		step("/") // the browser has a session that was revoked: nobody has made it up
		b = first
		step("/")
		out, signedOut := b.Fork(), id
		e = step("/logout", sessionkit.EventSignedOut)
		assert.Equal(t, sessionkit.Event{Kind: sessionkit.EventSignedOut, User: "42", SessionID: id}, e[0])
		time.Sleep(time.Millisecond) // no request of before the sign-out is that late
		b = out
		e = step("/", sessionkit.EventRejected)
		assert.Equal(t, signedOut, e[0].SessionID, "after a sign-out the cookie should be gone")

		b = kittest.NewBrowser(t, a)
		b.Cookies[kittest.SessionCookie] = "malformed"
		e = step("/", sessionkit.EventRejected)
		assert.Equal(t, sessionkit.Event{Kind: sessionkit.EventRejected}, e[0])
		step("/login", sessionkit.EventRejected, sessionkit.EventCreated, sessionkit.EventSignedIn)
		step("/")
		time.Sleep(62 * time.Minute)
		handle := id
		e = step("/", sessionkit.EventExpired)
		assert.Equal(t, sessionkit.Event{Kind: sessionkit.EventExpired, User: "42", SessionID: handle}, e[0])

		down := errors.New("down")
		s.Failing(down, "load")
		e = step("/", sessionkit.EventStoreError)
		assert.ErrorIs(t, e[0].Err, down)
		s.Failing(down, "create")
		b = kittest.NewBrowser(t, a)
		e = step("/login", sessionkit.EventStoreError)
		assert.ErrorIs(t, e[0].Err, down)
	})
}

// TestEventsOfAPanic: that a session is removed which Save had stored is told also if
// nothing recovers, and so nothing answers.
func TestEventsOfAPanic(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/", func(c *gin.Context) {
		sessionkit.Login(c, "42")
		assert.NoError(t, sessions.Default(c).Save())
		panic("oops")
	})
	assert.PanicsWithValue(t, "oops", func() { kittest.NewBrowser(t, a).Get("/") })
	assert.Equal(t, []sessionkit.EventKind{sessionkit.EventCreated, sessionkit.EventSignedIn, sessionkit.EventSignedOut}, a.Kinds())
}

// TestVisitorAfterAFailedRevokeEveryone: who came after it is not concerned.
func TestVisitorAfterAFailedRevokeEveryone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := kittest.NewBackend()
		s := kittest.StoreOver(backend)
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/cart", kittest.Increment)
		a.On("/renew", sessionkit.Renew)
		kittest.NewBrowser(t, a).Get("/cart")
		backend.Failing(kittest.ErrDown, "end")
		_, err := s.RevokeEveryone(t.Context())
		require.ErrorIs(t, err, kittest.ErrDown)
		backend.Failing(nil)
		time.Sleep(time.Second)
		b := kittest.NewBrowser(t, a)
		b.Get("/cart")
		time.Sleep(30 * time.Minute)
		assert.Equal(t, http.StatusOK, b.Get("/renew").Code)
		n, err := s.RevokeEveryone(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 2, n)
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
	r.GET("/login", kittest.SignIn("42"))
	kittest.NewBrowser(t, r).Get("/login")
	assert.Equal(t, []string{"created 42", "signed-in 42"}, users)
}

// TestChangeByAnEvent: what OnEvent changes is saved, whatever the handler answers with.
func TestChangeByAnEvent(t *testing.T) {
	for name, answer := range map[string]gin.HandlerFunc{
		"a body":     func(c *gin.Context) { c.String(http.StatusOK, "welcome") },
		"a redirect": func(c *gin.Context) { c.Redirect(http.StatusSeeOther, "/") },
		"a status":   func(c *gin.Context) { c.Status(http.StatusNoContent) },
		"nothing":    func(*gin.Context) {},
	} {
		t.Run(name, func(t *testing.T) {
			var errs []error
			r := gin.New()
			r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{
				OnError: func(_ *gin.Context, err error) { errs = append(errs, err) },
				OnEvent: func(c *gin.Context, e sessionkit.Event) {
					if e.Kind == sessionkit.EventSignedIn {
						kittest.Name.Set(c, "of the event")
					}
				},
			}))
			r.POST("/login", kittest.SignIn("42"), answer)
			r.GET("/", func(c *gin.Context) {
				name, _ := kittest.Name.Get(c)
				c.String(http.StatusOK, name)
			})
			b := kittest.NewBrowser(t, r)
			b.Post("/login", nil)
			assert.Equal(t, "of the event", b.Get("/").Body.String())
			assert.Empty(t, errs)
		})
	}
}

// TestRevokeWithoutID is no revocation of the session that is about to begin.
func TestRevokeWithoutID(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"), func(c *gin.Context) { assert.NoError(t, sessionkit.Revoke(c, "")) })
	a.On("/", kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	assert.Equal(t, "42", b.Get("/").Body.String())
}

// TestRevokeByAnEarlierID: the user looks at their devices, shows who they are, goes back to the list
// as it was, and signs this device out.
func TestRevokeByAnEarlierID(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/confirm", sessionkit.Confirm)
	a.On("/id", func(c *gin.Context) { c.String(http.StatusOK, sessionkit.Current(c).ID) })
	a.On("/revoke", func(c *gin.Context) {
		assert.NoError(t, sessionkit.Revoke(c, c.Query("id")))
		sessionkit.Flash(c, sessionkit.Success, "Signed out")
		user, _ := sessionkit.User(c)
		c.String(http.StatusOK, "user %q", user)
	})
	a.On("/", kittest.Whoami)
	for _, confirmed := range []bool{false, true} {
		b, other := kittest.NewBrowser(t, a), kittest.NewBrowser(t, a)
		b.Get("/login")
		other.Get("/login")
		listed, others := b.Get("/id").Body.String(), other.Get("/id").Body.String()
		if confirmed {
			b.Get("/confirm")
			other.Get("/confirm")
		}
		copied := b.Fork()
		a.Heard()
		assert.Equal(t, `user "42"`, b.Get("/revoke?id="+others).Body.String(), "another one, by an earlier ID as well")
		assert.Empty(t, other.Get("/").Body.String())
		assert.Equal(t, []string{"revoked"}, a.KindNames())
		w := b.Get("/revoke?id=" + listed)
		assert.Equal(t, http.StatusOK, w.Code, "confirmed: %v: %v", confirmed, a.Errors())
		assert.Equal(t, `user ""`, w.Body.String())
		assert.Equal(t, []string{"signed-out", "created"}, a.KindNames(), "confirmed: %v", confirmed)
		assert.Empty(t, copied.Get("/").Body.String())
	}
}

// TestRevokeAfterTheRequest: what a goroutine ends that has a copy of the context has ended when the call
// returns, the request's own session as well.
func TestRevokeAfterTheRequest(t *testing.T) {
	for name, end := range map[string]func(c *gin.Context, id string) error{
		"Revoke":           sessionkit.Revoke,
		"LogoutEverywhere": func(c *gin.Context, _ string) error { return sessionkit.LogoutEverywhere(c) },
	} {
		for asked, ask := range map[string]gin.HandlerFunc{"asked before": func(c *gin.Context) { sessionkit.User(c) }, "not asked": func(*gin.Context) {}} {
			t.Run(name+", "+asked, func(t *testing.T) {
				backend := kittest.NewBackend()
				s := kittest.StoreOver(backend)
				a := kittest.NewSite(s, sessionkit.Config{})
				var copied *gin.Context
				a.On("/login", kittest.SignIn("42"))
				a.On("/copy", ask, func(c *gin.Context) { copied = c.Copy() })
				a.On("/", kittest.Whoami)
				b := kittest.NewBrowser(t, a)
				b.Get("/login")
				id, _ := store.ID(b.Session())
				b.Get("/copy")
				a.Heard()

				backend.Failing(kittest.ErrDown, "end")
				assert.ErrorIs(t, end(copied, id), kittest.ErrDown)
				assert.Len(t, kittest.UserSessions(t, s, "42"), 1)
				backend.Failing(nil)
				a.Heard()
				a.Errors()

				assert.NoError(t, end(copied, id))
				assert.Empty(t, kittest.UserSessions(t, s, "42"))
				assert.Equal(t, []string{"signed-out"}, a.KindNames())
				assert.Empty(t, a.Errors())
				user, _ := sessionkit.User(copied)
				assert.Empty(t, user)
				assert.Empty(t, b.Get("/").Body.String())
			})
		}
	}
}

// TestLogoutOthersDuringARenewal: whoever ends the others stays signed in, also
// where another request of theirs has renewed the session meanwhile.
func TestLogoutOthersDuringARenewal(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	meanwhile := func() {}
	a.On("/login", kittest.SignIn("42"))
	a.On("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
	a.On("/others", func(c *gin.Context) {
		sessionkit.User(c)
		meanwhile()
		assert.NoError(t, sessionkit.LogoutOthers(c))
	})
	a.On("/", kittest.Whoami)
	b, other := kittest.NewBrowser(t, a), kittest.NewBrowser(t, a)
	b.Get("/login")
	other.Get("/login")
	late := b.Fork()
	a.Heard()
	meanwhile = func() { b.Get("/renew") }
	late.Get("/others")
	assert.Equal(t, "42", b.Get("/").Body.String())
	assert.Empty(t, other.Get("/").Body.String())
	var revoked int
	for _, kind := range a.Kinds() {
		if kind == sessionkit.EventRevoked {
			revoked++
		}
	}
	assert.Equal(t, 1, revoked)
}

// TestEventsOfEndings are what the table of events says: which calls end sessions with an event.
func TestEventsOfEndings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/login", kittest.SignIn("42"))
		a.On("/login43", kittest.SignIn("43"))
		a.On("/visit", kittest.Increment)
		a.On("/confirm", sessionkit.Confirm)
		a.On("/logout", sessionkit.Logout)
		a.On("/", kittest.Whoami)
		b := kittest.NewBrowser(t, a)
		b.Get("/visit")
		b.Get("/logout")
		assert.Equal(t, []string{"created"}, a.KindNames(), "a visitor's sign-out is none")
		b.Get("/login")
		b.Get("/confirm")
		assert.Equal(t, []string{"created", "signed-in", "renewed"}, a.KindNames())
		b.Get("/login43")
		assert.ElementsMatch(t, []string{"signed-out", "created", "signed-in"}, a.KindNames())
		before := b.Fork()
		b.Get("/logout")
		assert.Equal(t, []string{"signed-out"}, a.KindNames())
		time.Sleep(time.Millisecond) // no request of before the sign-out is that late
		before.Get("/")
		assert.Equal(t, []string{"rejected"}, a.KindNames(), "its cookie")
		for name, end := range map[string]func() error{
			"Revoke":         func() error { return s.Revoke(t.Context(), "42", kittest.UserSessions(t, s, "42")[0].ID) },
			"RevokeAll":      func() error { _, err := s.RevokeAll(t.Context(), "42"); return err },
			"RevokeEveryone": func() error { _, err := s.RevokeEveryone(t.Context()); return err },
		} {
			time.Sleep(time.Millisecond) // a sign-in of that instant may have begun before
			b.Get("/login")
			a.Heard()
			require.NoError(t, end(), name)
			assert.Empty(t, b.Get("/").Body.String(), name)
			assert.Empty(t, a.KindNames(), name)
		}
	})
}

// TestEventOfARenewalUnderWay: a session that is given a new ID while its user's others are
// ended is not found among them, and its end is told by the request that renews it.
func TestEventOfARenewalUnderWay(t *testing.T) {
	for path, code := range map[string]int{"/renew": http.StatusServiceUnavailable, "/logout": http.StatusOK} {
		backend := kittest.NewBackend()
		s := kittest.StoreOver(backend)
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/login", kittest.SignIn("42"))
		a.On("/renew", sessionkit.Renew)
		a.On("/logout", sessionkit.Logout)
		b, other := kittest.NewBrowser(t, a), kittest.NewBrowser(t, a)
		b.Get("/login")
		other.Get("/login")
		id, _ := store.ID(other.Session())
		a.Heard()
		a.On("/slow", func(c *gin.Context) {
			backend.Before = func(call string) {
				if call == "list" { // the boundary has moved
					backend.Before = nil
					assert.Equal(t, code, other.Get(path).Code, path)
				}
			}
			assert.NoError(t, sessionkit.LogoutOthers(c))
		})
		b.Get("/slow")
		assert.Len(t, kittest.UserSessions(t, s, "42"), 1)
		kind := sessionkit.EventRevoked
		if path == "/logout" {
			kind = sessionkit.EventSignedOut
		}
		events := a.Heard()
		require.NotEmpty(t, events, path)
		assert.Equal(t, sessionkit.Event{Kind: kind, User: "42", SessionID: id}, events[0], path)
		for _, own := range events[1:] { // its session gets a new ID
			assert.Equal(t, sessionkit.EventRenewed, own.Kind, path)
		}
	}
}

// TestLogoutOthersEndsCopies: whoever has a copy of the cookie is signed out as well. A stream,
// which can send no other cookie, leaves it as it is.
func TestLogoutOthersEndsCopies(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/", kittest.Whoami)
	others := func(c *gin.Context) { assert.NoError(t, sessionkit.LogoutOthers(c)) }
	a.On("/others", others)
	a.On("/stream", func(c *gin.Context) { c.Writer.Flush() }, others)
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	for path, left := range map[string]string{"/others": "", "/stream": "42"} {
		thief := b.Fork()
		assert.Equal(t, http.StatusOK, b.Get(path).Code, path)
		assert.Equal(t, "42", b.Get("/").Body.String(), path)
		assert.Equal(t, left, thief.Get("/").Body.String(), path)
		assert.Empty(t, a.Errors(), path)
	}
}

// TestSignInUnderWayThatEndsOthers: a sign-in with a password that is changed while it is
// under way does not stand, also if its own request then ends the user's sessions.
func TestSignInUnderWayThatEndsOthers(t *testing.T) {
	others := func(c *gin.Context) { assert.ErrorIs(t, sessionkit.LogoutOthers(c), store.ErrEnded) }
	for name, test := range map[string]struct {
		noted  bool
		then   gin.HandlerFunc
		spares bool // who has changed the password stays signed in
	}{
		"others":               {false, others, true},
		"others, with Attempt": {true, others, true},
		"everywhere, and signs in again": {false, func(c *gin.Context) {
			assert.NoError(t, sessionkit.LogoutEverywhere(c))
			sessionkit.Login(c, "42")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := kittest.NewSite(memstore.New(), sessionkit.Config{})
			b, thief := kittest.NewBrowser(t, a), kittest.NewBrowser(t, a)
			a.On("/login", kittest.SignIn("42"))
			a.On("/password", func(c *gin.Context) { assert.NoError(t, sessionkit.LogoutOthers(c)) })
			a.On("/slow", func(c *gin.Context) {
				var options []sessionkit.LoginOption
				if test.noted {
					options = append(options, sessionkit.Attempt(c, "42"))
				}
				b.Get("/password") // the old one was right
				sessionkit.Login(c, "42", options...)
				test.then(c)
			})
			a.On("/", kittest.Whoami)
			b.Get("/login")
			assert.Equal(t, http.StatusServiceUnavailable, thief.Get("/slow").Code)
			assert.Empty(t, thief.Get("/").Body.String())
			assert.Equal(t, test.spares, b.Get("/").Body.String() == "42")
		})
	}
}

// TestAClockThatStandsStill tells no sign-in from one that was to be ended: it is
// refused, and nothing goes on for ever.
func TestAClockThatStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(1500 * time.Nanosecond) // between two of the microseconds in which boundaries are kept
		s := memstore.New()
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/", func(c *gin.Context) {
			_, err := s.RevokeAll(c.Request.Context(), "42")
			assert.NoError(t, err)
			sessionkit.Login(c, "42")
		})
		b := kittest.NewBrowser(t, a)
		assert.Equal(t, http.StatusServiceUnavailable, b.Get("/").Code)
		assert.Empty(t, b.Session())
	})
}

// TestListedSessionEnds: what a list says of a session counts from its sign-in, also if
// it has begun with that.
func TestListedSessionEnds(t *testing.T) {
	s := memstore.New()
	defer func() { assert.NoError(t, s.Close()) }()
	a := kittest.NewSite(s, sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	kittest.NewBrowser(t, a).Get("/login")
	list, err := s.Sessions(t.Context(), "42")
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.True(t, list[0].EndsAt.Equal(list[0].SignedInAt.Add(24*time.Hour)), "%v, signed in at %v", list[0].EndsAt, list[0].SignedInAt)
}

// TestRevokeAllOfTwoNames: what the documents call for a changed password if an area has a
// session of its own ends those there, too, which LogoutOthers leaves.
func TestRevokeAllOfTwoNames(t *testing.T) {
	s := memstore.New()
	r := gin.New()
	r.Use(sessionkit.Sessions(s))
	r.GET("/login", kittest.SignIn("root"))
	r.GET("/", kittest.Whoami)
	r.GET("/others", func(c *gin.Context) { assert.NoError(t, sessionkit.LogoutOthers(c)) })
	r.GET("/all", func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		_, err := s.RevokeAll(c, user, sessionkit.Current(c).ID)
		assert.NoError(t, err)
	})
	admin := r.Group("/admin", sessionkit.Sessions(s, sessionkit.Config{Name: "admin"}))
	admin.GET("/login", kittest.SignIn("root"))
	admin.GET("", kittest.Whoami)
	thief, owner := kittest.NewBrowser(t, r), kittest.NewBrowser(t, r)
	thief.Get("/login")
	thief.Get("/admin/login")
	owner.Get("/login")

	owner.Get("/others")
	assert.Empty(t, thief.Get("/").Body.String())
	assert.Equal(t, "root", thief.Get("/admin").Body.String(), "of another name")
	owner.Get("/all")
	assert.Empty(t, thief.Get("/admin").Body.String())
	assert.Equal(t, "root", owner.Get("/").Body.String(), "the current session stays")
}

// TestRevokeAllWithoutAnID: the ID of a request that has no session yet spares nobody.
func TestRevokeAllWithoutAnID(t *testing.T) {
	s := memstore.New()
	a := kittest.NewSite(s, sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/", kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	n, err := s.RevokeAll(t.Context(), "42", "")
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.Empty(t, b.Get("/").Body.String())
}

// TestAllHasASignInOfItsOwn shows that All has the session of a sign-in whose visitor was given another
// ID meanwhile, at once.
func TestAllHasASignInOfItsOwn(t *testing.T) {
	s := memstore.New()
	a := kittest.NewSite(s, sessionkit.Config{})
	meanwhile := func() {}
	a.On("/visit", kittest.Increment)
	a.On("/renew", sessionkit.Renew)
	a.On("/login", func(c *gin.Context) {
		sessionkit.User(c) // loads
		meanwhile()
		sessionkit.Login(c, "42")
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/visit")
	b.Get("/login") // the session got a new ID a moment ago
	other := b.Fork()
	meanwhile = func() { other.Get("/renew") }
	require.Equal(t, http.StatusOK, b.Get("/login").Code)
	require.Empty(t, a.Errors())

	listed, err := s.Sessions(t.Context(), "42")
	require.NoError(t, err)
	require.NotEmpty(t, listed)
	var all []string
	for session, err := range s.All(t.Context()) {
		require.NoError(t, err)
		all = append(all, session.ID)
	}
	for _, session := range listed {
		assert.Contains(t, all, session.ID, "a live session that All leaves out")
	}
}
