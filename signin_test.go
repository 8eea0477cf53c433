package sessionkit_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
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

func TestDoneOverARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kittest.NewBrowser(t, kittest.NewStreamSite(memstore.New()))
		b.Get("/login")
		assert.Equal(t, "20s", kittest.Stream(b, func() {
			b.Get("/renew")
			time.Sleep(9 * time.Second)
			b.Get("/everywhere")
		}), "it goes on under the new ID and ends with it")
	})
}

// watching is a backend that tells at once of what has changed, and counts who wants to know.
type watching struct {
	store.Backend
	mu   sync.Mutex
	next int
	tell map[int]func()
}

func (w *watching) Watch(_ string, changed func()) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	n := w.next
	w.tell[n] = changed
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.tell, n)
	}
}

// changed has all look again, and returns how many there are then.
func (w *watching) changed() int {
	w.mu.Lock()
	for _, changed := range w.tell {
		changed()
	}
	w.mu.Unlock()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.tell)
}

// TestDoneOverRenewalsWatchesOneID: the one that the session has. A stream may outlast any number of
// them, and leaves none behind.
func TestDoneOverRenewalsWatchesOneID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &watching{Backend: memstore.NewBackend(), tell: make(map[int]func())}
		b := kittest.NewBrowser(t, kittest.NewStreamSite(kittest.StoreOver(backend)))
		b.Get("/login")
		assert.Equal(t, "10s", kittest.Stream(b, func() {
			for range 3 {
				b.Get("/renew")
				assert.Equal(t, 1, backend.changed())
			}
			b.Get("/everywhere")
			assert.Zero(t, backend.changed())
		}))
	})
}

func TestDoneOfAVisitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kittest.NewBrowser(t, kittest.NewStreamSite(memstore.New()))
		b.Get("/visit")
		assert.Equal(t, "11s", kittest.Stream(b, func() { b.Get("/login") }), "a visitor's session ends when somebody signs in")
	})
}

func TestDoneDuringAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kittest.NewBackend()
		b := kittest.NewBrowser(t, kittest.NewStreamSite(kittest.StoreOver(s)))
		b.Get("/login")
		assert.Equal(t, "20s", kittest.Stream(b, func() {
			s.Failing(errors.New("down"), "load")
			time.Sleep(5 * time.Second)
			s.Failing(nil)
			time.Sleep(4 * time.Second)
			b.Get("/logout")
		}), "a server that cannot be reached ends nothing")
	})
}

// TestDoneOfAFailedRequest: a stream whose session cannot be read or saved ends.
func TestDoneOfAFailedRequest(t *testing.T) {
	for operation, change := range map[string]gin.HandlerFunc{
		"load":   func(c *gin.Context) { sessionkit.User(c) },
		"update": kittest.Increment,
		"rotate": func(c *gin.Context) { sessionkit.Renew(c) },
	} {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, Done first: %v", operation, first), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := kittest.NewBackend()
					a := kittest.NewStreamSite(kittest.StoreOver(s))
					a.On("/events", func(c *gin.Context) {
						if first {
							sessionkit.Done(c)
							sessions.Default(c).Set("a", 1)
							assert.NoError(t, sessions.Default(c).Save())
						}
						change(c)
						c.SSEvent("", "hello")
						c.Writer.Flush()
						select {
						case <-sessionkit.Done(c):
						case <-time.After(time.Second):
							t.Error("it has not ended")
						}
					})
					b := kittest.NewBrowser(t, a)
					b.Get("/login")
					s.Failing(kittest.ErrDown, operation)
					assert.Equal(t, http.StatusServiceUnavailable, b.Get("/events").Code)
				})
			})
		}
	}
}

// TestDoneOfANewSession: of one that the very request begins.
func TestDoneOfANewSession(t *testing.T) {
	for name, before := range map[string]string{"no session before": "/", "a visitor's before": "/visit"} {
		for _, first := range []bool{true, false} {
			if first && before == "/visit" {
				continue // that one ends with its ID
			}
			t.Run(fmt.Sprintf("%s, Done first: %v", name, first), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := kittest.NewStreamSite(memstore.New())
					a.On("/events", func(c *gin.Context) {
						if first {
							sessionkit.Done(c)
							sessions.Default(c).Set("a", 1)
							assert.NoError(t, sessions.Default(c).Save())
						}
						sessionkit.Login(c, "42", sessionkit.IdleTimeout(time.Hour))
						ended := sessionkit.Done(c)
						c.Writer.Flush()
						start := time.Now()
						select {
						case <-ended:
						case <-time.After(time.Minute):
						}
						c.String(http.StatusOK, "%v", time.Since(start).Round(10*time.Second))
					})
					b, other := kittest.NewBrowser(t, a), kittest.NewBrowser(t, a)
					b.Get(before)
					other.Get("/login")
					body := make(chan string)
					go func() { body <- b.Get("/events").Body.String() }()
					time.Sleep(10 * time.Second)
					other.Get("/everywhere")
					assert.Equal(t, "10s", <-body)
				})
			})
		}
	}
}

// TestDoneOfASessionOfAnEvent: of one that OnEvent has begun, for a message after a sign-out.
func TestDoneOfASessionOfAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		r := gin.New()
		r.Use(sessionkit.Sessions(s, sessionkit.Config{OnEvent: func(c *gin.Context, e sessionkit.Event) {
			if e.Kind == sessionkit.EventSignedOut {
				sessionkit.Flash(c, sessionkit.Info, "Goodbye")
			}
		}}))
		r.GET("/login", kittest.SignIn("42"))
		r.GET("/stream", func(c *gin.Context) {
			sessionkit.Logout(c)
			ended := sessionkit.Done(c)
			c.Writer.Flush()
			assert.NoError(t, s.Revoke(c, "", sessionkit.Current(c).ID))
			kittest.AwaitEnd(t, ended)
		})
		b := kittest.NewBrowser(t, r)
		b.Get("/login")
		b.Get("/stream")
	})
}

// TestSignOutInAStream: what comes after it does not undo it, and one that fails is tried again
// when the handler returns.
func TestSignOutInAStream(t *testing.T) {
	for name, test := range map[string]struct {
		before, after gin.HandlerFunc
		fails         bool // to end the session, at first
		errs          []string
	}{
		"nothing else":    {},
		"then a panic":    {after: func(*gin.Context) { panic("oops") }},
		"then a value":    {after: kittest.Increment, errs: []string{"before writing"}},
		"a failure":       {fails: true, errs: []string{"down"}},
		"then a new user": {after: kittest.SignIn("43"), errs: []string{"before writing"}},
		"after an update that failed": {before: func(c *gin.Context) {
			_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
			assert.ErrorIs(t, err, kittest.ErrDown)
		}, errs: []string{"down"}},
	} {
		t.Run(name, func(t *testing.T) {
			backend := kittest.NewBackend()
			s := kittest.StoreOver(backend)
			a := kittest.NewSite(s, sessionkit.Config{}, gin.RecoveryWithWriter(io.Discard))
			a.On("/login", kittest.SignIn("42"), kittest.Increment)
			a.On("/stream", func(c *gin.Context) {
				c.Writer.Flush()
				ended := sessionkit.Done(c)
				if test.before != nil {
					backend.Failing(kittest.ErrDown, "update")
					test.before(c)
					backend.Failing(nil)
				}
				if test.fails {
					backend.Failing(kittest.ErrDown, "end")
					sessionkit.Logout(c)
					backend.Failing(nil)
					require.ErrorIs(t, sessionkit.Err(c), kittest.ErrDown)
					assert.Len(t, kittest.UserSessions(t, s, "42"), 1)
					return
				}
				sessionkit.Logout(c)
				kittest.AwaitEnd(t, ended)
				assert.Empty(t, kittest.UserSessions(t, s, "42"))
				assert.False(t, sessionkit.Resumes(c), "what every other request looks through")
				if test.after != nil {
					test.after(c)
				}
			})
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			b.Get("/stream")
			assert.Empty(t, kittest.UserSessions(t, s, "42"))
			assert.Empty(t, kittest.UserSessions(t, s, "43"))
			errs := a.Errors()
			require.Len(t, errs, len(test.errs))
			for i, err := range errs {
				assert.ErrorContains(t, err, test.errs[i])
			}
		})
	}
}

// TestSignOutByAnEvent: OnEvent may sign out the user whom the handler has just signed in, as for an
// account that is blocked. The cookie of the session that has ended is not sent.
func TestSignOutByAnEvent(t *testing.T) {
	for name, test := range map[string]struct {
		visit bool                 // there is a visitor's session before
		then  func(c *gin.Context) // after the sign-out
		fails string               // what OnError is told, "" for nothing
		full  bool                 // the store has no room for another session
		later bool                 // the sign-out is carried out when the handler has returned
		sent  bool                 // a session's cookie is
		shown string
	}{
		"a new session":             {shown: "[]"},
		"a visitor's":               {visit: true, shown: "[]"},
		"then a message":            {then: func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "blocked") }, sent: true, shown: "[{info blocked}]"},
		"then an answer":            {then: func(c *gin.Context) { c.String(http.StatusForbidden, "blocked") }, sent: true, shown: "[]"},
		"then a mistake":            {then: func(c *gin.Context) { sessionkit.Login(c, "") }, fails: "Login of user", shown: "[]"},
		"the store fails":           {fails: "down", later: true, sent: true, shown: "[]"},
		"then a value that is lost": {then: kittest.Increment, full: true, fails: "the store is full", shown: "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backend := kittest.NewBackend()
				s := kittest.StoreOver(backend)
				var errs []error
				r := gin.New()
				r.Use(sessionkit.Sessions(s, sessionkit.Config{
					OnError: func(_ *gin.Context, err error) { errs = append(errs, err) },
					OnEvent: func(c *gin.Context, e sessionkit.Event) {
						if e.Kind != sessionkit.EventSignedIn {
							return
						}
						if test.fails == "down" {
							backend.Failing(kittest.ErrDown, "end")
						}
						if test.full {
							backend.Failing(store.ErrFull, "create")
						}
						sessionkit.Logout(c)
						if test.then != nil {
							test.then(c)
						}
					},
				}))
				r.GET("/visit", kittest.Increment)
				r.GET("/login", kittest.SignIn("42"), func(c *gin.Context) {
					ended := sessionkit.Done(c)
					c.Writer.Flush()
					backend.Failing(nil)
					if !test.later {
						kittest.AwaitEnd(t, ended)
						assert.Empty(t, kittest.UserSessions(t, s, "42"))
					}
				})
				r.GET("/", func(c *gin.Context) {
					user, _ := sessionkit.User(c)
					c.String(http.StatusOK, "%s%v", user, sessionkit.Flashes(c))
				})
				b := kittest.NewBrowser(t, r)
				if test.visit {
					b.Get("/visit")
				}
				b.Get("/login")
				assert.Equal(t, test.sent, b.Session() != "")
				assert.Empty(t, kittest.UserSessions(t, s, "42"))
				assert.Equal(t, test.shown, b.Get("/").Body.String())
				if test.fails == "" {
					assert.Empty(t, errs)
					return
				}
				require.Len(t, errs, 1)
				assert.ErrorContains(t, errs[0], test.fails)
			})
		})
	}
}

// TestSignOutAfterAnEventThatPanics: a handler that recovers by itself goes on with its stream, in
// which a sign-out is carried out at once.
func TestSignOutAfterAnEventThatPanics(t *testing.T) {
	s := memstore.New()
	r := gin.New()
	r.Use(sessionkit.Sessions(s, sessionkit.Config{OnEvent: func(_ *gin.Context, e sessionkit.Event) {
		if e.Kind == sessionkit.EventSignedIn {
			panic("oops")
		}
	}}))
	r.GET("/login", kittest.SignIn("42"), func(c *gin.Context) {
		assert.Panics(t, c.Writer.Flush)
		assert.Len(t, kittest.UserSessions(t, s, "42"), 1)
		sessionkit.Logout(c)
		assert.Empty(t, kittest.UserSessions(t, s, "42"))
	})
	kittest.NewBrowser(t, r).Get("/login")
}

// TestEverywhereInAStream ends the current session too, at once, as Revoke of its own ID does.
func TestEverywhereInAStream(t *testing.T) {
	for name, end := range map[string]func(c *gin.Context) error{
		"LogoutEverywhere": sessionkit.LogoutEverywhere,
		"Revoke":           func(c *gin.Context) error { return sessionkit.Revoke(c, sessionkit.Current(c).ID) },
	} {
		t.Run(name, func(t *testing.T) {
			s := memstore.New()
			a := kittest.NewSite(s, sessionkit.Config{})
			a.On("/login", kittest.SignIn("42"))
			a.On("/stream", func(c *gin.Context) {
				c.Writer.Flush()
				ended := sessionkit.Done(c)
				assert.NoError(t, end(c))
				kittest.AwaitEnd(t, ended)
				assert.Empty(t, kittest.UserSessions(t, s, "42"))
			})
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			a.Heard()
			b.Get("/stream")
			assert.Equal(t, []sessionkit.EventKind{sessionkit.EventSignedOut}, a.Kinds())
			assert.Empty(t, a.Errors())
		})
	}
}

// TestRevokeThatFailsInAStream: Revoke of one's own session tells it, as of any other.
func TestRevokeThatFailsInAStream(t *testing.T) {
	backend := kittest.NewBackend()
	s := kittest.StoreOver(backend)
	a := kittest.NewSite(s, sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/stream", func(c *gin.Context) {
		c.Writer.Flush()
		id := sessionkit.Current(c).ID
		backend.Failing(kittest.ErrDown, "end")
		assert.ErrorIs(t, sessionkit.Revoke(c, id), kittest.ErrDown)
		assert.Len(t, kittest.UserSessions(t, s, "42"), 1)
		backend.Failing(nil)
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	b.Get("/stream")
	assert.Empty(t, kittest.UserSessions(t, s, "42"), "it is tried again in the end")
}

// TestAnswerAfterTheSessionHasEnded: nobody is told that waiting would help.
func TestAnswerAfterTheSessionHasEnded(t *testing.T) {
	s := memstore.New()
	a := kittest.NewSite(s, sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/set", func(c *gin.Context) {
		kittest.Increment(c)
		_, err := s.RevokeAll(c, "42")
		assert.NoError(t, err)
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	w := b.Get("/set")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Contains(t, w.Body.String(), "or sign in again")
	assert.NotContains(t, w.Body.String(), "seconds")
}

// TestDoneIsShared: one read a second for all streams of a session, and none
// after the last one has ended.
func TestDoneIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kittest.NewBackend()
		a := kittest.NewStreamSite(kittest.StoreOver(s))
		goOn := make(chan struct{})
		a.On("/wait", func(c *gin.Context) {
			done := sessionkit.Done(c)
			assert.Equal(t, done, sessionkit.Done(c))
			<-goOn
			select {
			case <-done:
				t.Error("the session has not ended")
			default:
			}
		})
		b := kittest.NewBrowser(t, a)
		b.Get("/login")
		finished := make(chan int)
		for range 5 {
			other := b.Fork()
			go func() { finished <- other.Get("/wait").Code }()
		}
		synctest.Wait()
		s.Called()
		time.Sleep(10*time.Second + time.Millisecond)
		assert.Len(t, s.Called(), 10)
		close(goOn)
		for range 5 {
			<-finished
		}
		s.Called()
		time.Sleep(10 * time.Second)
		assert.Empty(t, s.Called())
		// The bubble would not end with a goroutine in it.
	})
}

func TestCloseEndsTheWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		b := kittest.NewBrowser(t, kittest.NewStreamSite(s))
		b.Get("/login")
		assert.Equal(t, "10s", kittest.Stream(b, func() { assert.NoError(t, s.Close()) }))
		assert.Equal(t, "1m0s", kittest.Stream(b, func() {}), "the sessions are gone")
	})
}

// TestDoneAfterTheRequest is how a goroutine that outlives its request asks.
func TestDoneAfterTheRequest(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	var late *gin.Context
	a.On("/", func(c *gin.Context) { late = c.Copy(); late.Writer = c.Writer })
	b := kittest.NewBrowser(t, a)
	for _, path := range []string{"/", "/login", "/"} {
		b.Get(path)
		if path == "/login" {
			continue
		}
		select {
		case <-sessionkit.Done(late):
		case <-time.After(10 * time.Second):
			t.Error("the middleware has returned: it is closed")
		}
	}
}

// TestDoneAsTheRequestEnds is how a goroutine asks at the very moment that it ends.
func TestDoneAsTheRequestEnds(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	var asking sync.WaitGroup
	a.On("/", func(c *gin.Context) {
		sessionkit.User(c)
		late := c.Copy()
		late.Writer = c.Writer
		asking.Go(func() { <-sessionkit.Done(late) })
	})
	b := kittest.NewBrowser(t, a)
	for range 1000 {
		assert.Equal(t, http.StatusOK, b.Get("/").Code)
		asking.Wait()
	}
}

// TestUpdateAfterASignIn: what a request has said of the sign-in goes on when it comes
// upon a session that another request has given a new ID.
func TestUpdateAfterASignIn(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	count := sessionkit.NewKey[int]("count")
	var b *kittest.Browser
	a.On("/login", kittest.SignIn("42"))
	a.On("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
	for path, do := range map[string]gin.HandlerFunc{
		"/confirm":  sessionkit.Confirm,
		"/remember": func(c *gin.Context) { sessionkit.Login(c, "42", sessionkit.Remember()) },
	} {
		a.On(path, func(c *gin.Context) {
			do(c)
			b.Get("/renew")
			_, err := count.Update(c, func(n int) int { return n + 1 })
			assert.NoError(t, err)
		})
	}
	a.On("/", func(c *gin.Context) {
		s := sessionkit.Current(c)
		n, _ := count.Get(c)
		c.String(http.StatusOK, "%t %t %d", s.ConfirmedAt.After(s.SignedInAt), s.Remembered, n)
	})
	for path, want := range map[string]string{"/confirm": "true false 1", "/remember": "false true 1"} {
		b = kittest.NewBrowser(t, a)
		b.Get("/login")
		assert.Equal(t, http.StatusOK, b.Get(path).Code)
		assert.Equal(t, want, b.Get("/").Body.String(), path)
	}
	assert.Empty(t, a.Errors())
}

// TestLogoutWhoseCookieIsLost: a sign-out is carried out also if what the handler puts
// into a new session then cannot be stored.
func TestLogoutWhoseCookieIsLost(t *testing.T) {
	for name, lose := range map[string]func(c *gin.Context, leave func()){
		"the client is gone":     func(_ *gin.Context, leave func()) { leave() },
		"the response has begun": func(c *gin.Context, _ func()) { c.Writer.WriteHeaderNow() },
	} {
		t.Run(name, func(t *testing.T) {
			s := memstore.New()
			a := kittest.NewSite(s, sessionkit.Config{})
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			a.On("/login", kittest.SignIn("42"))
			a.On("/logout", func(c *gin.Context) {
				sessionkit.User(c)
				lose(c, leave)
				sessionkit.Logout(c)
				sessionkit.Flash(c, sessionkit.Info, "Goodbye")
			})
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			a.Heard()
			b.Do(b.Request(http.MethodGet, "/logout").WithContext(ctx))
			assert.Empty(t, kittest.UserSessions(t, s, "42"))
			assert.Equal(t, []string{"signed-out"}, a.KindNames())
			assert.Len(t, a.Errors(), 1, "the message is lost")
		})
	}
}

// TestErrorPageAfterAFailure: the page shows who is signed in, and what is stored, and not what
// could not be saved.
func TestErrorPageAfterAFailure(t *testing.T) {
	backend := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(backend), sessionkit.Config{
		UserOf: func(v map[any]any) string { id, _ := v["uid"].(string); return id },
		ErrorPage: func(c *gin.Context, p sessionkit.Problem) {
			user, ok := sessionkit.User(c)
			n, _ := kittest.Count.Get(c)
			c.String(p.Status, "%q %t %q %d %v", user, ok, sessionkit.Current(c).User, n, sessions.Default(c).Get("x"))
			assert.ErrorIs(t, sessionkit.Err(c), kittest.ErrDown)
		},
	})
	change := func(c *gin.Context) {
		kittest.Count.Set(c, 100)
		sessions.Default(c).Set("x", "y")
	}
	a.On("/login", kittest.SignIn("42"), kittest.Increment)
	a.On("/values", func(c *gin.Context) { sessions.Default(c).Set("uid", "43") }, kittest.Increment)
	fails := map[string]gin.HandlerFunc{
		"/fails/login":  func(c *gin.Context) { sessionkit.Login(c, "43") },
		"/fails/values": func(c *gin.Context) { sessions.Default(c).Set("uid", "44") },
		"/fails/logout": sessionkit.Logout,
		"/fails/clear":  func(c *gin.Context) { sessions.Default(c).Clear() },
		"/fails/set":    kittest.Increment,
		"/fails/save": func(c *gin.Context) {
			sessions.Default(c).Set("uid", "44")
			_ = sessions.Default(c).Save() // with a session it is saved with the response
		},
	}
	for path, handler := range fails {
		a.On(path, handler, change, func(c *gin.Context) {
			backend.Failing(kittest.ErrDown, "create", "update", "rotate", "end")
			c.String(http.StatusOK, "done")
		})
	}
	for _, before := range []struct{ path, shown string }{
		{"/", `"" false "" 0 <nil>`},
		{"/login", `"42" true "42" 1 <nil>`},
		{"/values", `"43" true "43" 1 <nil>`},
	} {
		for path := range fails {
			backend.Failing(nil)
			b := kittest.NewBrowser(t, a)
			b.Get(before.path)
			w := b.Get(path, "Accept", "text/html")
			assert.Equal(t, http.StatusServiceUnavailable, w.Code, before.path+path)
			assert.Equal(t, before.shown, w.Body.String(), before.path+path)
		}
	}
}

// TestErrorPageAfterARevocation: nor does it show the session that the sign-in was to take
// over, and which was found to be revoked.
func TestErrorPageAfterARevocation(t *testing.T) {
	backend := kittest.NewBackend()
	s := kittest.StoreOver(backend)
	a := kittest.NewSite(s, sessionkit.Config{ErrorPage: func(c *gin.Context, p sessionkit.Problem) {
		user, _ := sessionkit.User(c)
		n, _ := kittest.Count.Get(c)
		c.String(p.Status, "%q %d", user, n)
	}})
	a.On("/login", kittest.SignIn("42"), kittest.Increment)
	a.On("/again", func(c *gin.Context) {
		sessionkit.User(c)
		_, err := s.RevokeAll(c, "42")
		assert.NoError(t, err)
		sessionkit.Login(c, "42", sessionkit.Attempt(c, "42"))
		backend.Failing(kittest.ErrDown, "create")
		c.Status(http.StatusNoContent)
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	w := b.Get("/again", "Accept", "text/html")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Equal(t, `"" 0`, w.Body.String())
}

// TestSignInAgainBesideAnotherRequest: a sign-in over the user's own session, which
// another request comes upon before it is admitted, ends nothing that nobody has ended.
func TestSignInAgainBesideAnotherRequest(t *testing.T) {
	for name, call := range map[string]gin.HandlerFunc{
		"Confirm":      sessionkit.Confirm,
		"Login":        kittest.SignIn("42"),
		"LogoutOthers": func(c *gin.Context) { assert.NoError(t, sessionkit.LogoutOthers(c)) },
	} {
		t.Run(name, func(t *testing.T) {
			backend := kittest.NewBackend()
			s := kittest.StoreOver(backend)
			a := kittest.NewSite(s, sessionkit.Config{})
			a.On("/login", kittest.SignIn("42"))
			a.On("/", kittest.Whoami)
			_, err := s.RevokeAll(t.Context(), "42") // some time ago
			require.NoError(t, err)
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			again := b.Fork()
			var code int
			a.On("/beside", func(c *gin.Context) {
				sessionkit.User(c)
				rotated := false
				backend.Before = func(asked string) {
					rotated = rotated || asked == "rotate"
					if rotated && asked == "load fresh" { // it is stored, and reads the boundary
						backend.Before = nil
						_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
						assert.NoError(t, err)
						call(c)
						c.Writer.WriteHeaderNow()
					}
				}
				code = again.Get("/login").Code
			})
			assert.Equal(t, http.StatusOK, b.Get("/beside").Code)
			assert.Equal(t, http.StatusOK, code)
			assert.Len(t, kittest.UserSessions(t, s, "42"), 1)
			assert.Empty(t, a.Errors())
		})
	}
}

// TestWhatFollowsASignIn shows that a request that has stored a sign-in goes on with that,
// also if the user's sessions were ended some time before.
func TestWhatFollowsASignIn(t *testing.T) {
	save := func(c *gin.Context) { assert.NoError(t, sessions.Default(c).Save()) }
	answer := func(c *gin.Context) { c.String(http.StatusOK, "welcome") }
	logoutOthers := func(c *gin.Context) { assert.NoError(t, sessionkit.LogoutOthers(c)) }
	for name, test := range map[string]struct {
		store, then gin.HandlerFunc
		lives       int // sessions
	}{
		"saved, renewed":       {save, sessionkit.Renew, 2},
		"saved, confirmed":     {save, sessionkit.Confirm, 2},
		"saved, others end":    {save, logoutOthers, 1},
		"answered, others end": {answer, logoutOthers, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := memstore.New()
			a := kittest.NewSite(s, sessionkit.Config{})
			a.On("/visit", kittest.Increment)
			a.On("/login", kittest.SignIn("42"), test.store, test.then)
			a.On("/elsewhere", kittest.SignIn("42"))
			a.On("/", kittest.Whoami)
			for _, first := range []string{"/", "/visit"} {
				_, err := s.RevokeAll(t.Context(), "42")
				require.NoError(t, err)
				kittest.NewBrowser(t, a).Get("/elsewhere")
				b := kittest.NewBrowser(t, a)
				b.Get(first)
				assert.Equal(t, http.StatusOK, b.Get("/login").Code, first)
				assert.Equal(t, "42", b.Get("/").Body.String(), first)
				assert.Len(t, kittest.UserSessions(t, s, "42"), test.lives, first)
				assert.Empty(t, a.Errors())
			}
		})
	}
}

// newLifeSite returns an application that signs in as its routes say.
func newLifeSite(config sessionkit.Config) *kittest.Site {
	a := kittest.NewSite(memstore.New(), config)
	for path, options := range map[string][]sessionkit.LoginOption{
		"/login":       nil,
		"/remember":    {sessionkit.Remember()},
		"/admin":       {sessionkit.IdleTimeout(15 * time.Minute), sessionkit.Lifetime(8 * time.Hour)},
		"/customer":    {sessionkit.IdleTimeout(3 * time.Hour), sessionkit.Lifetime(36 * time.Hour)},
		"/longer":      {sessionkit.Remember(), sessionkit.Lifetime(30 * time.Hour)},
		"/remember/5m": {sessionkit.Remember(), sessionkit.IdleTimeout(5 * time.Minute), sessionkit.Lifetime(8 * time.Hour)},
	} {
		a.On(path, kittest.SignIn("42", options...))
	}
	a.On("/confirm", sessionkit.Confirm)
	a.On("/renew", sessionkit.Renew)
	a.On("/logout", sessionkit.Logout)
	a.On("/set", kittest.Increment)
	a.On("/read", kittest.ShowCount)
	a.On("/", kittest.Whoami)
	a.On("/fresh", sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: 10 * time.Minute}), kittest.Whoami)
	return a
}

// TestShortSignInBesideAChange: a change by a request that was under way while the user
// signed in anew does not give the session the life that it had before.
func TestShortSignInBesideAChange(t *testing.T) {
	update := func(c *gin.Context) { _, _ = kittest.Count.Update(c, func(n int) int { return n + 1 }) }
	for name, change := range map[string]gin.HandlerFunc{
		"Set":    kittest.Increment,
		"Update": update,
		"Renew":  func(c *gin.Context) { update(c); sessionkit.Renew(c) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := memstore.New()
				a := kittest.NewSite(s, sessionkit.Config{})
				a.On("/remember", kittest.SignIn("42", sessionkit.Remember()))
				a.On("/short", kittest.SignIn("42", sessionkit.IdleTimeout(5*time.Minute)))
				b := kittest.NewBrowser(t, a)
				b.Get("/remember")
				time.Sleep(2 * time.Minute)
				code := kittest.UnderWay(t, a, b, change, func() { b.Get("/short") })
				assert.Less(t, code, http.StatusMultipleChoices)
				time.Sleep(5 * time.Minute)
				assert.Len(t, kittest.UserSessions(t, s, "42"), 1)
				time.Sleep(time.Minute)
				assert.Empty(t, kittest.UserSessions(t, s, "42"))
				require.NoError(t, s.Close())
			})
		})
	}
}

// TestSignInsOfTheirOwnLength: administrators and customers in one application.
func TestSignInsOfTheirOwnLength(t *testing.T) {
	config := sessionkit.Config{RememberFor: 40 * time.Hour}
	for _, test := range []struct {
		path           string
		idle, lifetime time.Duration // 0: no idle timeout
		maxAge         int           // of the cookie
	}{
		{"/login", time.Hour, 24 * time.Hour, 0},
		{"/admin", 15 * time.Minute, 8 * time.Hour, 0},
		{"/customer", 3 * time.Hour, 36 * time.Hour, 0},
		{"/remember", 0, 40 * time.Hour, 40 * 3600},
		{"/longer", 0, 30 * time.Hour, 30 * 3600},
		{"/remember/5m", 5 * time.Minute, 8 * time.Hour, 8 * 3600},
	} {
		for _, then := range []string{"", "/renew", "/confirm", "/login", "/set"} {
			t.Run(test.path+then, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := kittest.NewBrowser(t, newLifeSite(config))
					w := b.Get(test.path)
					require.Len(t, kittest.SetCookies(w), 1)
					assert.Equal(t, test.maxAge, kittest.SetCookies(w)[0].MaxAge)
					began := time.Now()
					if then != "" {
						time.Sleep(4 * time.Minute)
						w := b.Get(then)
						require.Less(t, w.Code, 400)
						for _, c := range kittest.SetCookies(w) { // what is left of it
							left := test.maxAge
							if then != "/login" && left > 0 {
								left -= 4 * 60
							}
							assert.Equal(t, left, c.MaxAge, "of the new cookie")
						}
						if then == "/login" { // another sign-in, which lasts as the one before
							began = time.Now()
						}
					}
					every := test.lifetime / 7
					if test.idle > 0 {
						every = test.idle
						b.Get("/")
						time.Sleep(test.idle - time.Millisecond)
						require.Equal(t, "42", b.Get("/").Body.String(), "used within its idle timeout")
					}
					b.Use(time.Until(began.Add(test.lifetime-time.Millisecond)), every-time.Millisecond)
					require.Equal(t, "42", b.Get("/").Body.String(), "to the end of its lifetime")
					time.Sleep(time.Millisecond)
					assert.Empty(t, b.Get("/").Body.String(), "and no longer")

					if test.idle > 0 {
						c := kittest.NewBrowser(t, newLifeSite(config))
						c.Get(test.path)
						time.Sleep(test.idle + time.Minute)
						assert.Empty(t, c.Get("/").Body.String(), "unused for longer")
					}
				})
			})
		}
	}
}

func TestDurationsThatConfigWouldRefuse(t *testing.T) {
	for name, option := range map[string]sessionkit.LoginOption{
		"IdleTimeout": sessionkit.IdleTimeout(-time.Second), "Lifetime": sessionkit.Lifetime(0),
		"Lifetime 5ns": sessionkit.Lifetime(5), "Lifetime 401 days": sessionkit.Lifetime(401 * 24 * time.Hour),
	} {
		a := kittest.NewSite(memstore.New(), sessionkit.Config{})
		a.On("/", kittest.SignIn("42", option))
		b := kittest.NewBrowser(t, a)
		assert.Equal(t, http.StatusInternalServerError, b.Get("/").Code, name)
		assert.Empty(t, b.Cookies)
		errs := a.Errors()
		require.Len(t, errs, 1)
		assert.ErrorContains(t, errs[0], name[:8])
	}
}

// TestFresh: fresh is who has just shown who they are, by a sign-in that is remembered
// or not, or by a confirmation; not who comes back with a cookie that stayed.
func TestFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fresh := func(b *kittest.Browser) bool { return b.Get("/fresh").Code == http.StatusOK }
		a := newLifeSite(sessionkit.Config{})
		for _, path := range []string{"/login", "/remember", "/longer"} {
			b := kittest.NewBrowser(t, a)
			b.Get(path)
			assert.True(t, fresh(b), "%s counts", path)
			time.Sleep(10*time.Minute + time.Second)
			assert.False(t, fresh(b), "%s was too long ago", path)
			b.Get("/renew")
			assert.False(t, fresh(b), "a new ID is no confirmation")
			before := b.Session()
			b.Get("/confirm")
			assert.NotEqual(t, before, b.Session())
			assert.True(t, fresh(b), "it is confirmed")
			old := b.Fork()
			old.Cookies[kittest.SessionCookie] = before
			assert.False(t, fresh(old), "the ID of before opens nothing")
			time.Sleep(10*time.Minute + time.Second)
			assert.False(t, fresh(b))
			b.Get(path)
			assert.True(t, fresh(b), "a sign-in of the same user counts too")
		}
		visitor := kittest.NewBrowser(t, a)
		visitor.Get("/set")
		visitor.Get("/confirm")
		assert.False(t, fresh(visitor), "where nobody is signed in there is nothing to confirm")
	})
}

// TestVisitorWhoStays: the cookie of a session that is used does not run out, also if the first
// use of each day is by a response that can send none, such as that of a WebSocket.
func TestVisitorWhoStays(t *testing.T) {
	begun := func(c *gin.Context) { c.Writer.WriteHeaderNow() }
	update := func(c *gin.Context) {
		_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
		assert.NoError(t, err)
	}
	for name, first := range map[string]gin.HandlersChain{
		"read":         {begun, func(c *gin.Context) { kittest.Count.Get(c) }},
		"set":          {begun, kittest.Increment},
		"update":       {begun, update},
		"read in time": {kittest.ShowCount},
	} {
		for page, handler := range map[string]gin.HandlerFunc{"Get": kittest.ShowCount, "Set": kittest.Increment, "Update": update} {
			t.Run(name+", then "+page, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := memstore.New()
					defer func() { _ = s.Close() }()
					a := kittest.NewSite(s, sessionkit.Config{VisitorFor: 2 * time.Hour})
					a.On("/begin", kittest.Increment)
					a.On("/first", first...)
					a.On("/page", handler)
					b := kittest.NewBrowser(t, a)
					var ends time.Time
					sent := 0
					get := func(path string) {
						require.True(t, ends.IsZero() || time.Now().Before(ends), "the browser has dropped the cookie")
						for _, c := range kittest.SetCookies(b.Get(path)) {
							ends = time.Now().Add(time.Duration(c.MaxAge) * time.Second)
							sent++
						}
						counts, err := s.Count(t.Context())
						require.NoError(t, err)
						require.Equal(t, 1, counts.Live, "it is one session all the time")
					}
					get("/begin")
					for range 2 {
						for range 14 {
							time.Sleep(96 * time.Minute) // 15 times a day
							get("/page")
						}
						time.Sleep(96 * time.Minute)
						get("/first")
					}
					assert.InDelta(t, 3, sent, 1, "it is sent once a day")
					time.Sleep(2 * time.Hour)
					get("/page")
				})
			})
		}
	}
}

// TestVisitorAfterAnotherUse: nor does it if other requests, whose responses can send no cookie,
// record each use a moment before a page does.
func TestVisitorAfterAnotherUse(t *testing.T) {
	for name, page := range map[string]gin.HandlerFunc{"get": kittest.ShowCount, "set": kittest.Increment, "update": func(c *gin.Context) {
		_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
		assert.NoError(t, err)
	}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backend := kittest.NewBackend()
				a := kittest.NewSite(kittest.StoreOver(backend), sessionkit.Config{VisitorFor: 2 * time.Hour})
				a.On("/begin", kittest.Increment)
				a.On("/late", func(c *gin.Context) {
					c.Writer.WriteHeaderNow()
					kittest.Increment(c)
				})
				a.On("/late-read", func(c *gin.Context) { c.Writer.WriteHeaderNow() }, kittest.ShowCount)
				a.On("/hijack", func(c *gin.Context) {
					kittest.Count.Get(c)
					_, _, err := c.Writer.Hijack()
					assert.NoError(t, err)
				})
				a.On("/page", page)
				a.On("/count", kittest.ShowCount)
				a.POST("/login", kittest.SignIn("42"))
				b := kittest.NewBrowser(t, a)
				var ends time.Time
				sent := 0
				get := func(path string) {
					for _, c := range kittest.SetCookies(b.Get(path)) {
						ends = time.Now().Add(time.Duration(c.MaxAge) * time.Second)
						sent++
					}
				}
				get("/begin")
				for range 40 {
					time.Sleep(96 * time.Minute) // 15 times a day
					get("/late")
					time.Sleep(time.Second)
					get("/page")
					require.True(t, time.Now().Before(ends), "the browser has dropped the cookie")
				}
				assert.Equal(t, 3, sent, "it is sent once a day")

				for range 5 {
					time.Sleep(96 * time.Minute)
					get("/late") // of a new day
				}
				backend.Called()
				get("/late-read")
				assert.Equal(t, []string{"load"}, backend.Called(), "it can send no cookie either")
				a.ServeHTTP(&hijackable{ResponseRecorder: httptest.NewRecorder()}, b.Request(http.MethodGet, "/hijack"))
				assert.Equal(t, []string{"load"}, backend.Called(), "nor can a handshake")
				b.Post("/login", nil)
				backend.Called()
				get("/count")
				get("/count")
				assert.Equal(t, []string{"load", "load"}, backend.Called(), "a cookie that ends with the browser need not be sent")
			})
		})
	}
}

// TestVisitorWhoGetsNoAnswer: nor does it if the response with the day's cookie is lost or withheld.
func TestVisitorWhoGetsNoAnswer(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	update := func(c *gin.Context) {
		_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
		assert.NoError(t, err)
	}
	for name, first := range map[string]struct { // request of the second day
		ctx      context.Context
		handlers gin.HandlersChain
		lost     bool
	}{
		"answered":               {t.Context(), gin.HandlersChain{update}, false},
		"the client is gone":     {gone, gin.HandlersChain{kittest.ShowCount}, true},
		"so it is, and Set":      {gone, gin.HandlersChain{kittest.Increment}, true},
		"so it is, and Update":   {gone, gin.HandlersChain{update}, true},
		"Update, then a panic":   {t.Context(), gin.HandlersChain{update, func(*gin.Context) { panic("oops") }}, false},
		"Update, then a refusal": {t.Context(), gin.HandlersChain{update, func(c *gin.Context) { sessionkit.Login(c, "") }}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := memstore.New()
				defer func() { assert.NoError(t, s.Close()) }()
				a := kittest.NewSite(s, sessionkit.Config{VisitorFor: 2 * time.Hour}, gin.RecoveryWithWriter(io.Discard))
				a.On("/begin", kittest.Increment)
				a.On("/first", first.handlers...)
				a.On("/page", kittest.ShowCount)
				b := kittest.NewBrowser(t, a)
				var ends time.Time
				sent := 0
				get := func(path string, ctx context.Context, lost bool) {
					require.True(t, ends.IsZero() || time.Now().Before(ends), "the browser has dropped the cookie")
					w := httptest.NewRecorder()
					a.ServeHTTP(w, b.Request(http.MethodGet, path).WithContext(ctx))
					for _, c := range kittest.SetCookies(w) {
						if !lost {
							b.Cookies[c.Name] = c.Value
							ends = time.Now().Add(time.Duration(c.MaxAge) * time.Second)
							sent++
						}
					}
				}
				get("/begin", t.Context(), false)
				for range 14 {
					time.Sleep(96 * time.Minute)
					get("/page", t.Context(), false)
				}
				time.Sleep(97 * time.Minute)
				get("/first", first.ctx, first.lost)
				for range 8 {
					time.Sleep(96 * time.Minute)
					get("/page", t.Context(), false)
				}
				assert.Equal(t, 2, sent, "it is sent once a day")
				counts, err := s.Count(t.Context())
				require.NoError(t, err)
				assert.Equal(t, 1, counts.Live, "it is one session all the time")
			})
		})
	}
}

// TestVisitors: a visitor's session outlives the browser, and makes nobody's sign-in
// longer.
func TestVisitors(t *testing.T) {
	const keep, day = 3 * 24 * time.Hour, 24 * time.Hour
	const age = int((keep + day) / time.Second)
	synctest.Test(t, func(t *testing.T) {
		a := newLifeSite(sessionkit.Config{VisitorFor: keep})
		a.On("/update", func(c *gin.Context) { _, _ = kittest.Count.Update(c, func(n int) int { return n + 1 }) })
		kept := func(b *kittest.Browser) bool { return b.Get("/read").Body.String() != `{"n":0,"ok":false}` }
		begin := func() *kittest.Browser {
			b := kittest.NewBrowser(t, a)
			w := b.Get("/set")
			require.Len(t, kittest.SetCookies(w), 1)
			require.Equal(t, age, kittest.SetCookies(w)[0].MaxAge)
			return b
		}
		assert.Empty(t, kittest.SetCookies(kittest.NewBrowser(t, a).Get("/read")), "nothing stored, no cookie")

		for _, use := range []string{"/read", "/update", "/set"} {
			b := begin()
			sent := 0
			for range 8 * 4 { // four times a day, for longer than VisitorFor
				time.Sleep(6 * time.Hour)
				w := b.Get(use)
				for _, c := range kittest.SetCookies(w) {
					sent++
					assert.Equal(t, age, c.MaxAge)
				}
			}
			assert.InDelta(t, 8, sent, 1, "%s: the cookie is sent again once a day", use)
			time.Sleep(keep - time.Minute)
			assert.True(t, kept(b))
			time.Sleep(keep + 2*time.Minute)
			assert.False(t, kept(b), "unused for longer than VisitorFor")
		}

		b := begin()
		w := b.Get("/login")
		assert.Zero(t, kittest.SetCookies(w)[0].MaxAge, "a sign-in ends with the browser again")
		b.Use(23*time.Hour, 50*time.Minute)
		assert.Equal(t, "42", b.Get("/").Body.String())
		assert.True(t, kept(b), "the cart is the user's now")
		time.Sleep(time.Hour)
		assert.Empty(t, b.Get("/").Body.String(), "and has the user's deadlines")
		assert.False(t, kept(b))

		b = begin()
		b.Get("/remember")
		b.Get("/logout")
		assert.False(t, kept(b), "signing out ends it")
		assert.Equal(t, age, kittest.SetCookies(b.Get("/set"))[0].MaxAge, "and a new visit begins")
	})
}

func TestSecretStandsInTheCookieAlone(t *testing.T) {
	s := kittest.NewBackend()
	kept := kittest.StoreOver(s)
	a := kittest.NewSite(kept, sessionkit.Config{})
	var handles []string
	a.On("/login", kittest.SignIn("42"))
	a.On("/", func(c *gin.Context) {
		handles = append(handles, sessionkit.Current(c).ID, sessions.Default(c).ID())
		kittest.Whoami(c)
	})
	b := kittest.NewBrowser(t, a)
	seen := make(map[string]bool)
	values := make([]map[byte]bool, 32)
	for range 100 {
		b.Get("/login")
		raw, err := base64.RawURLEncoding.DecodeString(b.Session())
		require.NoError(t, err)
		require.Len(t, raw, 32, "256 bits")
		for i, c := range raw {
			if values[i] == nil {
				values[i] = make(map[byte]bool)
			}
			values[i][c] = true
		}
		assert.False(t, seen[b.Session()], "no secret comes twice")
		seen[b.Session()] = true
	}
	for i := range values {
		assert.Greater(t, len(values[i]), 50, "each byte is random")
	}
	b.Get("/")
	sum := sha256.Sum256([]byte(b.Session()))
	handle := base64.RawURLEncoding.EncodeToString(sum[:])
	assert.Equal(t, []string{handle, handle}, handles, "the public handle is the hash")

	list := kittest.UserSessions(t, kept, "42")
	require.Len(t, list, 1)
	record, found, err := s.Backend.Load(t.Context(), list[0].ID)
	require.NoError(t, err)
	require.True(t, found, "the store knows the session by the public handle")
	for _, text := range []string{fmt.Sprintf("%+v", record), fmt.Sprintf("%+v %#v", list, list), fmt.Sprintf("%+v", a.Heard())} {
		assert.NotContains(t, text, b.Session(), "the secret is kept nowhere")
	}
	b.Cookies[kittest.SessionCookie] = handle
	assert.Empty(t, b.Get("/").Body.String(), "who reads the database cannot sign in with it")
}

func TestSeenIsWrittenOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kittest.NewBackend()
		a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
		a.On("/set", kittest.Increment)
		a.On("/renew", func(c *gin.Context) { sessionkit.Renew(c); c.Writer.Flush() })
		a.On("/", kittest.ShowCount)
		a.On("/stream", func(c *gin.Context) {
			kittest.ShowCount(c)
			c.Writer.Flush()
			time.Sleep(time.Hour / 2)
		})
		a.On("/seen", func(c *gin.Context) {
			c.String(http.StatusOK, sessionkit.Current(c).LastSeenAt.Format(time.TimeOnly))
		})
		b := kittest.NewBrowser(t, a)
		b.Get("/set")
		s.Called()
		for range 59 {
			b.Get("/")
			time.Sleep(time.Second)
		}
		assert.NotContains(t, s.Called(), "update", "a read is one store read and no write")
		time.Sleep(time.Second)
		w := b.Get("/")
		assert.Equal(t, []string{"load", "update"}, s.Called())
		assert.Empty(t, w.Header()["Set-Cookie"])
		time.Sleep(time.Minute)
		b.Get("/set")
		assert.Equal(t, []string{"load", "update"}, s.Called(), "together with what else changed")
		b.Get("/")
		assert.Equal(t, []string{"load"}, s.Called())
		time.Sleep(time.Minute)
		b.Get("/renew")
		assert.Equal(t, []string{"load", "rotate", "load fresh"}, s.Called(), "a renewal records it as well, and reads the boundary")
		b.Get("/stream")
		assert.Equal(t, []string{"load"}, s.Called(), "that a response takes long is no use of the session")
		b.Get("/")
		assert.Equal(t, []string{"load", "update"}, s.Called())

		time.Sleep(time.Minute)
		s.Failing(errors.New("down"), "update")
		assert.Equal(t, http.StatusOK, b.Get("/").Code, "the answer does not depend on it")
		assert.Len(t, a.Errors(), 1, "but it is reported")
	})
}

// TestPanicBeforeTheSessionIsAskedFor: whoever asks for it after that, to write a log or a
// page, neither uses it nor is kept from answering.
func TestPanicBeforeTheSessionIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kittest.NewBackend()
		a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{}, func(c *gin.Context) {
			func() {
				defer func() { _ = recover() }()
				c.Next()
			}()
			if !c.Writer.Written() {
				user, _ := sessionkit.User(c)
				c.String(http.StatusInternalServerError, "sorry, "+user)
			}
		})
		a.On("/login", kittest.SignIn("42"), func(c *gin.Context) { c.String(http.StatusOK, "welcome") })
		a.On("/behind", func(*gin.Context) { panic("oops") })
		a.On("/before", func(c *gin.Context) {
			c.Next()
			sessionkit.User(c)
		}, gin.RecoveryWithWriter(io.Discard), func(*gin.Context) { panic("oops") })
		b := kittest.NewBrowser(t, a)
		b.Get("/login")
		for _, path := range []string{"/behind", "/before"} {
			time.Sleep(time.Minute) // so that use would be recorded
			s.Called()
			assert.Equal(t, http.StatusInternalServerError, b.Get(path).Code)
			assert.Equal(t, []string{"load"}, s.Called(), path)
		}
		s.Failing(kittest.ErrDown, "load")
		w := b.Get("/behind")
		assert.Equal(t, http.StatusInternalServerError, w.Code)
		assert.Equal(t, "sorry, ", w.Body.String())
	})
}

// TestSignInWithADeadID: whoever knows the ID of a visitor and the password of the user that the
// visitor has become is signed in, and that is all. What the user has proved since stays theirs.
func TestSignInWithADeadID(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	proved := sessionkit.NewKey[bool]("second factor")
	a.On("/item", kittest.Increment)
	a.On("/login", kittest.SignIn("42"))
	a.On("/code", sessionkit.Confirm, func(c *gin.Context) { proved.Set(c, true) })
	a.On("/bob", kittest.SignIn("bob"))
	a.On("/logout", sessionkit.Logout)
	a.On("/", func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		n, _ := kittest.Count.Get(c)
		p, _ := proved.Get(c)
		c.String(http.StatusOK, "%q %d %t", user, n, p)
	})
	for _, between := range [][]string{{"/login"}, {"/login", "/code"}, {"/login", "/logout"}, {"/login", "/bob"}, {"/bob"}} {
		b := kittest.NewBrowser(t, a)
		b.Get("/item")
		late := b.Fork()
		for _, path := range between {
			b.Get(path)
		}
		stands := b.Get("/").Body.String()
		late.Get("/login")
		assert.Equal(t, `"42" 0 false`, late.Get("/").Body.String(), between)
		assert.Equal(t, stands, b.Get("/").Body.String(), between)
	}
}

// TestLateRequestAfterASignInOverAnother: a request that the browser sent before somebody signed
// in over another user, or a visitor, leaves the new sign-in and its cookie alone.
func TestLateRequestAfterASignInOverAnother(t *testing.T) {
	byValues := func(v map[any]any) string { id, _ := v["uid"].(string); return id }
	signIns := map[string]func(c *gin.Context, user string){
		"Login":         func(c *gin.Context, user string) { sessionkit.Login(c, user) },
		"Logout, Login": func(c *gin.Context, user string) { sessionkit.Logout(c); sessionkit.Login(c, user) },
		"values":        func(c *gin.Context, user string) { sessions.Default(c).Set("uid", user) },
	}
	for how, signIn := range signIns {
		for _, before := range []string{"", "alice", "bob"} {
			t.Run(how+" over "+before, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := kittest.NewSite(memstore.New(), sessionkit.Config{UserOf: byValues})
					a.On("/login", func(c *gin.Context) { signIn(c, c.Query("user")) })
					a.On("/visit", kittest.Increment)
					a.On("/flash", func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "x") })
					a.On("/", kittest.Whoami)
					b := kittest.NewBrowser(t, a)
					b.Get("/visit")
					if before != "" {
						b.Get("/login?user=" + before)
					}
					late := b.Fork()
					b.Get("/login?user=bob")
					for _, path := range []string{"/visit", "/flash"} {
						assert.Empty(t, late.Fork().Get(path).Header()["Set-Cookie"], path)
					}
					assert.Equal(t, "bob", b.Get("/").Body.String())
					time.Sleep(2 * time.Minute)
					assert.Equal(t, http.StatusNoContent, late.Get("/visit").Code, "no request is that late: it begins a session")
				})
			})
		}
	}
}

// TestSlowRequest: a request is as late as it was when it arrived, also if its handler asks for the
// session only when it has read a long body. Whatever has ended the session meanwhile, its answer
// does not take the place of the cookie that the browser has by then.
func TestSlowRequest(t *testing.T) {
	for name, between := range map[string][]string{
		"renewed": {"/renew"}, "others signed out": {"/others"}, "replaced": {"/bob"},
		"signed out and in": {"/logout", "/login"}, "a visitor signs in": {"/login"},
	} {
		for _, takes := range []time.Duration{30 * time.Second, 5 * time.Minute} {
			t.Run(fmt.Sprint(name, ", ", takes), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, slow := newSlowSite(t, takes)
					b := kittest.NewBrowser(t, a)
					if b.Get("/visit"); name != "a visitor signs in" {
						b.Get("/login")
					}
					flash, nobody := slow(b, "/flash"), slow(b, "/nobody")
					for _, path := range between {
						time.Sleep(5 * time.Second)
						b.Get(path)
					}
					stands := b.Get("/").Body.String()
					require.NotEmpty(t, stands)
					a.Heard()
					w := <-flash
					assert.Equal(t, http.StatusServiceUnavailable, w.Code)
					assert.Empty(t, w.Header()["Set-Cookie"])
					w = <-nobody
					assert.Equal(t, http.StatusOK, w.Code)
					assert.Empty(t, w.Body.String(), "who is signed in")
					assert.Empty(t, w.Header()["Set-Cookie"])
					assert.Empty(t, a.Heard())
					assert.Equal(t, stands, b.Get("/").Body.String())
				})
			})
		}
	}
}

// TestSlowRequestInTheMillisecondOfASignOut: the stores tell no smaller difference, but what arrived
// first is late all the same.
func TestSlowRequestInTheMillisecondOfASignOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, slow := newSlowSite(t, time.Second)
		b := kittest.NewBrowser(t, a)
		b.Get("/login")
		time.Sleep(100 * time.Microsecond)
		flash := slow(b, "/flash")
		time.Sleep(100 * time.Microsecond)
		b.Get("/logout")
		b.Get("/login")
		w := <-flash
		assert.Equal(t, http.StatusServiceUnavailable, w.Code)
		assert.Empty(t, w.Header()["Set-Cookie"])
	})
}

// TestSlowSignOut: a slow request signs the browser out all the same, or somebody in.
func TestSlowSignOut(t *testing.T) {
	for name, between := range map[string][]string{"renewed": {"/renew"}, "signed out and in": {"/logout", "/login"}, "revoked and signed in": {"/revoked", "/login"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, slow := newSlowSite(t, 5*time.Minute)
				b := kittest.NewBrowser(t, a)
				b.Get("/login")
				in, out, goodbye := slow(b, "/in"), slow(b, "/out"), slow(b, "/goodbye")
				for _, path := range between {
					time.Sleep(5 * time.Second)
					b.Get(path)
				}
				require.Equal(t, "42", b.Get("/").Body.String())
				for _, answer := range []<-chan *httptest.ResponseRecorder{out, goodbye} {
					w := <-answer
					assert.Equal(t, http.StatusOK, w.Code)
					require.Len(t, kittest.SetCookies(w), 1)
					next := b.Fork()
					next.Cookies[kittest.SessionCookie] = kittest.SetCookies(w)[0].Value
					assert.Empty(t, next.Get("/").Body.String())
				}
				w := <-in
				require.Len(t, kittest.SetCookies(w), 1)
				b.Cookies[kittest.SessionCookie] = kittest.SetCookies(w)[0].Value
				assert.Equal(t, "late", b.Get("/").Body.String())
			})
		})
	}
}

// TestMessageAfterRevokeAll: who sets a new password by a link ends all sessions of the user, also
// the one that the same browser has, and finds the message on the next page.
func TestMessageAfterRevokeAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/login", kittest.SignIn("42"))
		a.On("/reset", func(c *gin.Context) {
			time.Sleep(time.Second) // to hash a password takes its time
			_, err := s.RevokeAll(c, "42")
			assert.NoError(t, err)
			sessionkit.Flash(c, sessionkit.Success, "The new password counts from now on")
		})
		a.On("/", kittest.Whoami)
		a.On("/message", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Flashes(c)) })
		b := kittest.NewBrowser(t, a)
		b.Get("/login")
		assert.Equal(t, http.StatusOK, b.Get("/reset").Code)
		assert.Empty(t, b.Get("/").Body.String())
		assert.Contains(t, b.Get("/message").Body.String(), "The new password counts from now on")
	})
}

// TestSaveAfterTheLogoutOfARevokedSession: what is set after it is in a new session, which has its ID
// by then.
func TestSaveAfterTheLogoutOfARevokedSession(t *testing.T) {
	s := memstore.New()
	a := kittest.NewSite(s, sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/logout", func(c *gin.Context) {
		sessionkit.Logout(c)
		view := sessions.Default(c)
		view.Set("x", "1")
		assert.NoError(t, view.Save())
		assert.NotEmpty(t, view.ID())
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	_, err := s.RevokeAll(t.Context(), "42")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, b.Get("/logout").Code)
}

// newSlowSite returns an application with requests of which a function sends one, and returns
// where its answer comes: the client takes some time to send the body.
func newSlowSite(t *testing.T, takes time.Duration) (a *kittest.Site, slow func(b *kittest.Browser, path string) <-chan *httptest.ResponseRecorder) {
	s := memstore.New()
	a = kittest.NewSite(s, sessionkit.Config{})
	body := func(*gin.Context) { time.Sleep(takes) }
	flash := func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Success, "Done") }
	a.On("/visit", kittest.Increment)
	a.On("/login", kittest.SignIn("42"))
	a.On("/bob", kittest.SignIn("bob"))
	a.On("/renew", sessionkit.Renew)
	a.On("/others", func(c *gin.Context) { assert.NoError(t, sessionkit.LogoutOthers(c)) })
	a.On("/revoked", func(c *gin.Context) {
		_, err := s.RevokeAll(c, "42")
		assert.NoError(t, err)
	})
	a.On("/logout", sessionkit.Logout)
	a.On("/flash", body, flash)
	a.On("/nobody", body, kittest.Whoami)
	a.On("/in", body, kittest.SignIn("late"))
	a.On("/out", body, sessionkit.Logout)
	a.On("/goodbye", body, sessionkit.Logout, flash)
	a.On("/", kittest.Whoami)
	return a, func(b *kittest.Browser, path string) <-chan *httptest.ResponseRecorder {
		answer, other := make(chan *httptest.ResponseRecorder, 1), b.Fork()
		go func() { answer <- other.Get(path) }()
		return answer
	}
}

// TestAttemptThatFails: where it could not be noted what had been ended, nobody is signed in.
func TestAttemptThatFails(t *testing.T) {
	backend := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(backend), sessionkit.Config{})
	a.On("/login", func(c *gin.Context) {
		backend.Failing(kittest.ErrDown, "load fresh")
		attempt := sessionkit.Attempt(c, "42")
		backend.Failing(nil)
		sessionkit.Login(c, "42", attempt)
		assert.ErrorIs(t, sessionkit.Err(c), kittest.ErrDown)
	})
	b := kittest.NewBrowser(t, a)
	w := b.Get("/login")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Empty(t, w.Header()["Set-Cookie"])
}

// TestRejectedAfterASignInOverAnother: for a moment the old cookie is that of a late request, and
// then that of a session which nobody has.
func TestRejectedAfterASignInOverAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := kittest.NewSite(memstore.New(), sessionkit.Config{})
		a.On("/alice", kittest.SignIn("alice"))
		a.On("/bob", kittest.SignIn("bob"))
		a.On("/", kittest.Whoami)
		b := kittest.NewBrowser(t, a)
		b.Get("/alice")
		old := b.Fork()
		id, _ := store.ID(old.Session())
		b.Get("/bob")
		a.Heard()
		old.Get("/")
		assert.Empty(t, a.Heard())
		time.Sleep(time.Minute)
		old.Get("/")
		assert.Equal(t, []sessionkit.Event{{Kind: sessionkit.EventRejected, SessionID: id}}, a.Heard())
	})
}

// TestCookieOfALateRequestBesideTheRight: a cookie of the same name that leads nowhere any more, as a
// longer Path may have kept one, is no reason to refuse what the session of the other one is asked to
// do.
func TestCookieOfALateRequestBesideTheRight(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/alice", kittest.SignIn("alice"))
	a.On("/bob", kittest.SignIn("bob"))
	a.On("/goodbye", sessionkit.Logout, func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "Goodbye") })
	a.On("/", kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	b.Get("/alice")
	old := b.Session()
	b.Get("/bob")
	both := kittest.SessionCookie + "=" + old + "; " + kittest.SessionCookie + "=" + b.Session()
	assert.Equal(t, "bob", kittest.WithCookies(a, "/", both).Body.String())
	w := kittest.WithCookies(a, "/goodbye", both)
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Len(t, kittest.SetCookies(w), 1)
	assert.Empty(t, b.Get("/").Body.String())
}

// TestChangeOvertakenByRenewals: a change finds its session again, also if that gets yet another ID
// right before it is made there.
func TestChangeOvertakenByRenewals(t *testing.T) {
	backend := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(backend), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/renew", sessionkit.Renew)
	a.On("/", kittest.ShowCount)
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	left := 0
	backend.Before = func(call string) {
		if call == "update" && left > 0 {
			left--
			b.Get("/renew")
		}
	}
	code := kittest.UnderWay(t, a, b, kittest.Increment, func() { b.Get("/renew"); left = 3 })
	assert.Equal(t, http.StatusNoContent, code)
	assert.Zero(t, left)
	assert.JSONEq(t, `{"n": 1, "ok": true}`, b.Get("/").Body.String())
}

// TestLogoutThatClearsNothing: without Config.ClearSiteData there is no such header, not even an
// empty one.
func TestLogoutThatClearsNothing(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/logout", sessionkit.Logout)
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	w := b.Get("/logout")
	assert.Contains(t, w.Header().Get("Set-Cookie"), "Max-Age=0")
	assert.NotContains(t, w.Header(), "Clear-Site-Data")
}

// TestLogoutOverTwoConnections: a browser that has a cookie of each kind, as it has signed in over
// HTTPS and over plain HTTP, is signed out with both that it sends, whatever follows.
func TestLogoutOverTwoConnections(t *testing.T) {
	goodbye := func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "Goodbye") }
	for name, test := range map[string]struct {
		config sessionkit.Config
		host   string
		out    string // the connection over which the user signs out
	}{
		"on localhost, over plain HTTP": {host: "localhost", out: "http"},
		"on localhost, over HTTPS":      {host: "localhost", out: "https"},
		"with InsecureHTTP":             {config: sessionkit.Config{InsecureHTTP: true}, host: "nas.lan", out: "https"},
	} {
		for path, after := range map[string]string{"/logout": "", "/goodbye": "", "/switch": "bob"} {
			t.Run(name+path, func(t *testing.T) {
				a := kittest.NewSite(memstore.New(), test.config)
				a.On("/login", kittest.SignIn("42"))
				a.On("/logout", sessionkit.Logout)
				a.On("/goodbye", sessionkit.Logout, goodbye)
				a.On("/switch", sessionkit.Logout, kittest.SignIn("bob"))
				a.On("/", kittest.Whoami)
				jar := make(map[string]*http.Cookie)
				get := func(scheme, path string) string {
					r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+test.host+path, nil)
					for _, c := range jar {
						if !c.Secure || scheme == "https" || test.host == "localhost" {
							r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
						}
					}
					w := httptest.NewRecorder()
					a.ServeHTTP(w, r)
					for _, c := range kittest.SetCookies(w) {
						if jar[c.Name] = c; c.MaxAge < 0 {
							delete(jar, c.Name)
						}
					}
					return w.Body.String()
				}
				get("http", "/login")
				get("https", "/login")
				require.Len(t, jar, 2)
				require.Equal(t, "42", get("http", "/"))
				get(test.out, path)
				assert.Equal(t, after, get(test.out, "/"))
				assert.NotEqual(t, "42", get("http", "/"))
				assert.NotEqual(t, "42", get("https", "/"))
			})
		}
	}
}

// TestLogoutLeavesTheCookieOfAnotherApplication: "session" is a name that many use.
func TestLogoutLeavesTheCookieOfAnotherApplication(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/logout", sessionkit.Logout)
	b := kittest.NewBrowser(t, a)
	b.Cookies["session"] = "of another application"
	b.Get("/login")
	b.Get("/logout")
	assert.Equal(t, map[string]string{"session": "of another application"}, b.Cookies)
}

// TestClearSiteDataBesideANewSession: browsers would delete its cookie with all others.
func TestClearSiteDataBesideANewSession(t *testing.T) {
	goodbye := func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "Goodbye") }
	const rest = `"cache", "storage", "executionContexts", "clientHints", "prefetchCache", "prerenderCache"`
	for _, test := range []struct {
		directives   []string
		alone, along string // of a sign-out alone, and beside a new session
	}{
		{[]string{"cookies"}, `"cookies"`, ""},
		{[]string{"cache", "cookies", "storage"}, `"cache", "cookies", "storage"`, `"cache", "storage"`},
		{[]string{"*"}, `"*"`, rest},
		{[]string{"cookies", "*"}, `"cookies", "*"`, rest},
	} {
		for name, after := range map[string]gin.HandlersChain{
			"nothing":                  nil,
			"a message":                {goodbye},
			"a sign-in":                {kittest.SignIn("bob")},
			"a message that is stored": {goodbye, func(c *gin.Context) { assert.NoError(t, sessions.Default(c).Save()) }},
			"a message by OnEvent":     {func(c *gin.Context) { c.Set("leaves", true) }},
		} {
			t.Run(fmt.Sprint(test.directives, " ", name), func(t *testing.T) {
				r := gin.New()
				r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{
					ClearSiteData: test.directives,
					OnEvent: func(c *gin.Context, e sessionkit.Event) {
						if e.Kind == sessionkit.EventSignedOut && c.GetBool("leaves") {
							goodbye(c)
						}
					},
				}))
				r.GET("/login", kittest.SignIn("42"))
				r.GET("/logout", append(gin.HandlersChain{sessionkit.Logout}, after...)...)
				b := kittest.NewBrowser(t, r)
				b.Get("/login")
				w := b.Get("/logout")
				want := test.along
				if name == "nothing" {
					want = test.alone
				}
				assert.Equal(t, want, w.Header().Get("Clear-Site-Data"))
				assert.Equal(t, want != "", w.Header()["Clear-Site-Data"] != nil)
				assert.Equal(t, name != "nothing", b.Session() != "")
			})
		}
	}
}

// TestLateLogoutAfterASignInOverAnother: it is that of the user before.
func TestLateLogoutAfterASignInOverAnother(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{ClearSiteData: []string{"cookies"}})
	a.On("/alice", kittest.SignIn("alice"))
	a.On("/bob", kittest.SignIn("bob"))
	a.On("/logout", sessionkit.Logout)
	a.On("/goodbye", sessionkit.Logout, func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "Goodbye") })
	a.On("/", kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	b.Get("/alice")
	late := b.Fork()
	b.Get("/bob")
	for path, code := range map[string]int{"/logout": http.StatusOK, "/goodbye": http.StatusOK} { // the message is lost, which OnError is told
		w := late.Fork().Get(path)
		assert.Equal(t, code, w.Code, path)
		assert.Empty(t, w.Header()["Set-Cookie"], "%s: the browser has the cookie of bob", path)
		assert.Empty(t, w.Header()["Clear-Site-Data"], path)
	}
	assert.Equal(t, "bob", b.Get("/").Body.String())

	late.Get("/alice")
	assert.Equal(t, "alice", late.Get("/").Body.String(), "a late sign-in stands, by itself")
	assert.Equal(t, "bob", b.Get("/").Body.String())
	b.Get("/logout")
	assert.NotContains(t, b.Cookies, kittest.SessionCookie, "a sign-out in time drops the cookie")
}

// TestLogoutBesideASignInOverAnother: so it is if the request was under way when somebody signed in.
func TestLogoutBesideASignInOverAnother(t *testing.T) {
	for _, before := range []string{"/visit", "/alice"} {
		for name, leave := range map[string]gin.HandlerFunc{
			"without a message": func(*gin.Context) {},
			"with a message":    func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "Goodbye") },
		} {
			t.Run(before[1:]+", "+name, func(t *testing.T) {
				a := kittest.NewSite(memstore.New(), sessionkit.Config{ClearSiteData: []string{"cookies"}})
				a.On("/visit", kittest.Increment)
				a.On("/alice", kittest.SignIn("alice"))
				a.On("/bob", sessionkit.Logout, kittest.SignIn("bob"))
				a.On("/", kittest.Whoami)
				b := kittest.NewBrowser(t, a)
				b.Get(before)
				late := b.Request(http.MethodGet, "/logout")
				a.On("/logout", func(c *gin.Context) {
					sessionkit.User(c)
					b.Get("/bob")
					sessionkit.Logout(c)
				}, leave)
				w := b.Do(late)
				assert.Equal(t, http.StatusOK, w.Code)
				assert.Empty(t, w.Header()["Clear-Site-Data"])
				assert.Equal(t, "bob", b.Get("/").Body.String())
			})
		}
	}
}

// TestLateLogoutOfAVisitor: a sign-out that was sent before somebody signed in signs the browser out,
// whether or not it leaves a message. But if the sign-in has replaced the visitor's session, the
// browser has the cookie of another, which stays.
func TestLateLogoutOfAVisitor(t *testing.T) {
	for _, path := range []string{"/logout", "/goodbye"} {
		for signIn, left := range map[string]string{"/login": "", "/renew": "", "/login-anew": "42"} {
			t.Run(path[1:]+" after "+signIn[1:], func(t *testing.T) {
				a := kittest.NewSite(memstore.New(), sessionkit.Config{})
				a.On("/visit", kittest.Increment)
				a.On("/renew", sessionkit.Renew)
				a.On("/login", kittest.SignIn("42"))
				a.On("/login-anew", sessionkit.Logout, kittest.SignIn("42"))
				a.On("/logout", sessionkit.Logout)
				a.On("/goodbye", sessionkit.Logout, func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "Goodbye") })
				a.On("/", kittest.Whoami)
				b := kittest.NewBrowser(t, a)
				b.Get("/visit")
				late := b.Request(http.MethodGet, path)
				b.Get(signIn)
				assert.Equal(t, http.StatusOK, b.Do(late).Code)
				assert.Equal(t, left, b.Get("/").Body.String())
			})
		}
	}
}

// TestSignOutWithAnEarlierID: the session ends also if it was renewed since, and the browser does not
// know that: the answer was lost, or somebody has a copy of the cookie.
func TestSignOutWithAnEarlierID(t *testing.T) {
	for _, after := range []time.Duration{30 * time.Second, 2 * time.Minute, 50 * time.Minute} {
		for _, path := range []string{"/logout", "/goodbye"} {
			t.Run(fmt.Sprint(path[1:], ", ", after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := memstore.New()
					a := kittest.NewSite(s, sessionkit.Config{})
					a.On("/visit", kittest.Increment)
					a.On("/login", kittest.SignIn("42"))
					a.On("/bob", kittest.SignIn("bob"))
					a.On("/renew", sessionkit.Renew)
					a.On("/logout", sessionkit.Logout)
					a.On("/goodbye", sessionkit.Logout, func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "Goodbye") })
					a.On("/count", kittest.ShowCount)
					a.On("/", kittest.Whoami)
					b, replaced, visitor := kittest.NewBrowser(t, a), kittest.NewBrowser(t, a), kittest.NewBrowser(t, a)
					b.Get("/login")
					replaced.Get("/login")
					visitor.Get("/visit")
					thief, bob, other := b.Fork(), replaced.Fork(), visitor.Fork()
					thief.Get("/renew")
					bob.Get("/renew")
					bob.Get("/bob")
					other.Get("/renew")
					time.Sleep(after)
					a.Heard()

					assert.Equal(t, http.StatusOK, b.Get(path).Code)
					assert.Contains(t, a.KindNames(), "signed-out")
					assert.Empty(t, thief.Get("/").Body.String())
					assert.Empty(t, kittest.UserSessions(t, s, "42"))

					assert.Equal(t, http.StatusOK, replaced.Get(path).Code)
					assert.Equal(t, http.StatusOK, visitor.Get(path).Code)
					assert.NotContains(t, a.KindNames(), "signed-out")
					assert.Equal(t, "bob", bob.Get("/").Body.String(), "that is another sign-in")
					assert.JSONEq(t, `{"n": 1, "ok": true}`, other.Get("/count").Body.String(), "of a visitor, nobody knows whose it is by now")
				})
			})
		}
	}
}

// TestPanicOfALateRequest: an error page in front of the middleware sees nobody signed in, whatever
// the handlers did.
func TestPanicOfALateRequest(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{}, gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) {
		user, _ := sessionkit.User(c)
		n, _ := kittest.Count.Get(c)
		c.String(http.StatusInternalServerError, "sorry, %q %d", user, n)
	}))
	a.On("/login", kittest.SignIn("42"), kittest.Increment)
	a.On("/renew", sessionkit.Renew)
	a.On("/logout", sessionkit.Logout, func(*gin.Context) { panic("oops") })
	a.On("/again", kittest.SignIn("42"), func(*gin.Context) { panic("oops") })
	a.On("/", kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	late := b.Fork()
	b.Get("/renew")
	for _, path := range []string{"/logout", "/again"} {
		assert.Equal(t, `sorry, "" 0`, late.Get(path).Body.String(), path)
	}
	assert.Equal(t, "42", b.Get("/").Body.String(), "nothing has ended")
}

// TestOnEventOfACrossOriginRequest: what it changes in the session is not saved, and not lost without a
// word. It is told also if the page cannot be written.
func TestOnEventOfACrossOriginRequest(t *testing.T) {
	for name, change := range map[string]gin.HandlerFunc{"Set": kittest.Increment, "Logout": sessionkit.Logout, "nothing": func(*gin.Context) {}} {
		var kinds []sessionkit.EventKind
		var errs []error
		r := gin.New()
		r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{
			OnEvent: func(c *gin.Context, e sessionkit.Event) {
				if kinds = append(kinds, e.Kind); e.Kind == sessionkit.EventCrossOrigin {
					change(c)
				}
			},
			OnError:   func(_ *gin.Context, err error) { errs = append(errs, err) },
			ErrorPage: func(*gin.Context, sessionkit.Problem) { panic("the template is broken") },
		}))
		r.Any("/login", kittest.SignIn("42"))
		r.Any("/", kittest.Whoami)
		b := kittest.NewBrowser(t, r)
		b.Get("/login")
		kinds = nil
		assert.Equal(t, http.StatusForbidden, b.Do(b.Request(http.MethodPost, "/", "Sec-Fetch-Site", "same-site")).Code)
		require.NotEmpty(t, errs)
		assert.ErrorContains(t, errs[0], "refused a cross-origin POST")
		if name == "nothing" {
			assert.Len(t, errs, 1)
		} else if assert.Len(t, errs, 2, name) {
			assert.ErrorContains(t, errs[1], "Config.OnEvent")
		}
		assert.Equal(t, "42", b.Get("/").Body.String())
		page := b.Request(http.MethodPost, "/", "Sec-Fetch-Site", "same-site", "Accept", "text/html")
		assert.Panics(t, func() { r.ServeHTTP(httptest.NewRecorder(), page) })
		assert.Equal(t, []sessionkit.EventKind{"cross-origin", "cross-origin"}, kinds)
	}
}

func TestCrossOriginProtection(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{TrustedOrigins: []string{"https://app.example.org"}})
	ran := 0
	a.Any("/", func(c *gin.Context) { ran++; c.Status(http.StatusNoContent) })
	tests := []struct {
		method  string
		headers []string
		want    int
	}{
		{"GET", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 204},
		{"HEAD", []string{"Sec-Fetch-Site", "cross-site"}, 204},
		{"OPTIONS", []string{"Origin", "https://evil.example"}, 204},
		{"POST", nil, 204},
		{"POST", []string{"Sec-Fetch-Site", "same-origin", "Origin", "https://example.com"}, 204},
		{"POST", []string{"Sec-Fetch-Site", "none"}, 204},
		{"POST", []string{"Origin", "https://example.com"}, 204},
		{"POST", []string{"Origin", "https://app.example.org"}, 204},
		{"POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://app.example.org"}, 204},
		{"POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{"POST", []string{"Sec-Fetch-Site", "same-site", "Origin", "https://sub.example.com"}, 403},
		{"POST", []string{"Origin", "https://evil.example"}, 403},
		{"POST", []string{"Origin", "null"}, 403},
		{"PUT", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"PATCH", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"DELETE", []string{"Sec-Fetch-Site", "cross-site"}, 403},

		// The handshake of a WebSocket, which can do what a POST can.
		{"GET", []string{"Upgrade", "websocket", "Connection", "Upgrade"}, 204},
		{"GET", []string{"Upgrade", "websocket", "Sec-Fetch-Site", "same-origin", "Origin", "https://example.com"}, 204},
		{"GET", []string{"Upgrade", "websocket", "Origin", "https://example.com"}, 204},
		{"GET", []string{"Upgrade", "websocket", "Origin", "https://app.example.org"}, 204},
		{"GET", []string{"Upgrade", "websocket", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{"GET", []string{"Upgrade", "WebSocket", "Sec-Fetch-Site", "same-site", "Origin", "https://sub.example.com"}, 403},
		{"GET", []string{"Upgrade", "h2c, websocket", "Origin", "https://evil.example"}, 403},
		{"GET", []string{"Upgrade", "h2c", "Origin", "https://evil.example"}, 204},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.method, test.headers), func(t *testing.T) {
			ran = 0
			b := kittest.NewBrowser(t, a)
			w := b.Do(b.Request(test.method, "/", test.headers...))
			assert.Equal(t, test.want, w.Code)
			errs, kinds := a.Errors(), a.Kinds()
			if test.want != http.StatusForbidden {
				assert.Equal(t, 1, ran)
				assert.Empty(t, errs)
				return
			}
			assert.Zero(t, ran, "the handler does not run")
			assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			assert.Contains(t, w.Body.String(), `"reason":"cross-origin"`)
			assert.NotContains(t, w.Body.String(), "evil.example")
			assert.NotContains(t, w.Body.String(), "TrustedOrigins", "the remedy is not for the other site")
			assert.Equal(t, []sessionkit.EventKind{sessionkit.EventCrossOrigin}, kinds)
			require.Len(t, errs, 1)
			if slices.Contains(test.headers, "null") { // which TrustedOrigins does not take
				assert.ErrorContains(t, errs[0], "Referrer-Policy same-origin")
				assert.NotContains(t, errs[0].Error(), "TrustedOrigins")
				return
			}
			assert.ErrorContains(t, errs[0], "TrustedOrigins")
			assert.ErrorContains(t, errs[0], "a middleware for CORS must stand before Sessions")
			if origin := b.Request(test.method, "/", test.headers...).Header.Get("Origin"); origin != "" {
				assert.ErrorContains(t, errs[0], origin)
			}
		})
	}
}

// TestRefusedRequestBeginsNoSession: another site's POST comes without the SameSite cookie, and
// the cookie of a session that its page began would take the place of that one in the browser.
func TestRefusedRequestBeginsNoSession(t *testing.T) {
	for name, page := range map[string]gin.HandlerFunc{
		"Set":   kittest.Increment,
		"Flash": func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Error, "no") },
		"Login": func(c *gin.Context) { sessionkit.Login(c, "mallory") },
		"Save": func(c *gin.Context) {
			sessions.Default(c).Set("csrf", "x")
			assert.NoError(t, sessions.Default(c).Save())
			assert.Equal(t, "x", sessions.Default(c).Get("csrf"), "the page has what it is shown with")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := memstore.New()
			a := kittest.NewSite(s, sessionkit.Config{ErrorPage: func(c *gin.Context, p sessionkit.Problem) {
				page(c)
				c.String(p.Status, p.Detail)
			}})
			a.POST("/", kittest.Whoami)
			a.On("/visits", kittest.Increment)
			crossSite := []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Origin", "https://evil.example"}

			w := kittest.NewBrowser(t, a).Post("/", nil, crossSite...)
			assert.Equal(t, http.StatusForbidden, w.Code)
			assert.Equal(t, "The request came from another site.", w.Body.String())
			assert.Empty(t, w.Header()["Set-Cookie"])
			counts, err := s.Count(t.Context())
			require.NoError(t, err)
			assert.Zero(t, counts.Live)
			errs := a.Errors()
			require.Len(t, errs, 2, "what is lost is reported, once")
			require.ErrorContains(t, errs[1], "what Config.ErrorPage stored for a cross-origin request is lost")
			assert.Equal(t, []sessionkit.EventKind{sessionkit.EventCrossOrigin}, a.Kinds())

			b := kittest.NewBrowser(t, a)
			b.Get("/visits")
			assert.Equal(t, http.StatusForbidden, b.Post("/", nil, crossSite...).Code)
			assert.Len(t, a.Errors(), 1, "a session whose cookie came is changed")
		})
	}
}

func TestCorruptRecord(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/set", kittest.Increment)
	a.On("/", kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	old := b.Session()
	a.Kinds()
	s.Failing(fmt.Errorf("reading: %w", store.ErrCorrupt), "load")
	w := b.Get("/")
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Empty(t, w.Body.String())
	errs := a.Errors()
	require.Len(t, errs, 1, "it is reported")
	require.ErrorIs(t, errs[0], store.ErrCorrupt)
	assert.Equal(t, http.StatusNoContent, b.Get("/set").Code)
	assert.NotEqual(t, old, b.Session(), "the visitor starts afresh")
}

// TestBadValue: one value that does not decode takes no other down with it.
func TestBadValue(t *testing.T) {
	s := kittest.NewBackend()
	kept := kittest.StoreOver(s)
	a := kittest.NewSite(kept, sessionkit.Config{})
	a.On("/", func(c *gin.Context) {
		n, ok := kittest.Count.Get(c)
		assert.True(t, ok)
		assert.Equal(t, 7, n)
		for _, bad := range []string{"name", "cart"} {
			_, ok := sessionkit.NewKey[string](bad).Get(c)
			assert.False(t, ok)
			_, ok = sessionkit.NewKey[[]kittest.Item](bad).Get(c)
			assert.False(t, ok)
		}
		assert.Nil(t, sessions.Default(c).Get("name"))
		assert.Equal(t, 7, sessions.Default(c).Get("count"))
		kittest.Increment(c)
	})
	secret, id := storedIn(t, kept, store.Record{
		Created: time.Now(), Seen: time.Now(), Expires: time.Now().Add(time.Hour),
		Values: map[string]string{"count": `7`, "name": `{"broken`, "cart": `["json",[{"Name":1}]]`, "_kit:sign_in": `["json",0]`, `_key:["`: `1`},
	})
	b := kittest.NewBrowser(t, a)
	b.Cookies[kittest.SessionCookie] = secret
	assert.Equal(t, http.StatusNoContent, b.Get("/").Code)
	record, _, err := s.Backend.Load(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, `8`, record.Values["count"])
	assert.Equal(t, `{"broken`, record.Values["name"], "what cannot be read is left for who can")
}

// TestDeepJSON: what could not be read back is refused, and what stood there stands.
func TestDeepJSON(t *testing.T) {
	type tree struct {
		Children []json.RawMessage `json:"children"`
	}
	key := sessionkit.NewKey[tree]("tree")
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/", func(c *gin.Context) {
		n, _ := strconv.Atoi(c.Query("deep"))
		key.Set(c, tree{[]json.RawMessage{json.RawMessage(strings.Repeat("[", n) + strings.Repeat("]", n))}})
	})
	a.On("/read", func(c *gin.Context) {
		v, ok := key.Get(c)
		c.JSON(http.StatusOK, gin.H{"ok": ok, "length": len(v.Children)})
	})
	b := kittest.NewBrowser(t, a)
	for _, n := range []int{1, 9_000, 9_996, 9_997, 9_998, 9_999, 10_000, 100_000} {
		stored := b.Get("/?deep="+strconv.Itoa(n)).Code == http.StatusOK
		errs := a.Errors()
		if n <= 9_000 {
			assert.True(t, stored)
		}
		if n >= 10_000 {
			assert.False(t, stored, "%d", n)
			require.Len(t, errs, 1)
			assert.ErrorContains(t, errs[0], "tree")
		}
		assert.JSONEq(t, `{"ok": true, "length": 1}`, b.Get("/read").Body.String(), "after %d", n)
		a.Errors()
	}
}

// storedIn puts a record into a store, and returns the token that opens it and its ID.
func storedIn(t *testing.T, s *store.Store, r store.Record) (token, id string) {
	t.Helper()
	server, ok := kitstore.Of(s)
	require.True(t, ok)
	token, id, _, err := server.Create(t.Context(), r, signin.Attempt{Began: time.Now()})
	require.NoError(t, err)
	return token, id
}

// TestSignOutBesideWhatIsRefused: a sign-out is carried out also if a change after it cannot be
// saved, or one before it.
func TestSignOutBesideWhatIsRefused(t *testing.T) {
	type unregistered struct{ N int }
	for name, refused := range map[string]func(c *gin.Context){
		"a value":     func(c *gin.Context) { sessions.Default(c).Set("x", unregistered{1}) },
		"a sign-in":   func(c *gin.Context) { sessionkit.Login(c, "") },
		"a typed one": func(c *gin.Context) { sessionkit.NewKey[any]("x").Set(c, func() {}) },
	} {
		t.Run(name, func(t *testing.T) {
			s := memstore.New()
			a := kittest.NewSite(s, sessionkit.Config{})
			a.On("/login", kittest.SignIn("42"))
			a.On("/after", sessionkit.Logout, refused)
			a.On("/", kittest.Whoami)
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			copied := b.Fork()
			assert.GreaterOrEqual(t, b.Get("/after").Code, http.StatusInternalServerError)
			assert.Empty(t, b.Session(), "the browser has dropped the cookie")
			assert.Empty(t, copied.Get("/").Body.String())
			assert.Empty(t, kittest.UserSessions(t, s, "42"))
		})
	}
}

// TestSignOutInAStreamBesideALateSignIn: a sign-out that failed is tried again, also if the
// values then say that another user has signed in, for which it is too late.
func TestSignOutInAStreamBesideALateSignIn(t *testing.T) {
	backend := kittest.NewBackend()
	s := kittest.StoreOver(backend)
	a := kittest.NewSite(s, sessionkit.Config{UserOf: func(values map[any]any) string { user, _ := values["user"].(string); return user }})
	a.On("/login", kittest.SignIn("alice"))
	a.On("/stream", func(c *gin.Context) {
		sessionkit.User(c)
		c.Writer.Flush()
		backend.Failing(kittest.ErrDown, "end")
		sessionkit.Logout(c)
		backend.Failing(nil)
		sessions.Default(c).Set("user", "bob")
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	require.Len(t, kittest.UserSessions(t, s, "alice"), 1)
	b.Get("/stream")
	assert.Empty(t, kittest.UserSessions(t, s, "alice"))
	assert.Empty(t, kittest.UserSessions(t, s, "bob"))
}
