package concurrency_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// TestParallelRequestsLoseNothing holds 64 requests in their handlers until all of
// them have read the session, and then lets them save.
func TestParallelRequestsLoseNothing(t *testing.T) {
	const requests = 64
	var arrived sync.WaitGroup
	arrived.Add(requests)
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/start", kittest.Increment)
	a.On("/set/:n", func(c *gin.Context) {
		kittest.Count.Get(c)
		arrived.Done()
		arrived.Wait()
		if n := c.Param("n"); len(n)%2 == 0 {
			sessionkit.NewKey[string]("typed"+n).Set(c, n)
		} else {
			sessions.Default(c).Set("typed"+n, n)
		}
		sessionkit.Flash(c, sessionkit.Info, c.Param("n"))
	})
	a.On("/check", func(c *gin.Context) {
		for n := range requests {
			v, ok := sessionkit.NewKey[string](fmt.Sprint("typed", n)).Get(c)
			assert.True(t, ok, "the value of request %d was lost", n)
			assert.Equal(t, fmt.Sprint(n), v)
		}
		assert.Len(t, sessionkit.Flashes(c), requests, "a flash message was lost")
		n, _ := kittest.Count.Get(c)
		assert.Equal(t, 1, n)
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/start")
	var done sync.WaitGroup
	for n := range requests {
		other := b.Fork()
		done.Go(func() { other.Get(fmt.Sprint("/set/", n)) })
	}
	done.Wait()
	b.Get("/check")
	assert.Empty(t, a.Errors())
}

func TestLogoutWins(t *testing.T) {
	changes := map[string]gin.HandlerFunc{
		"typed value":   kittest.Increment,
		"untyped value": func(c *gin.Context) { sessions.Default(c).Set("x", 1) },
		"flash":         func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "x") },
		"renew":         sessionkit.Renew,
		"after header":  func(c *gin.Context) { c.Status(http.StatusOK); c.Writer.Flush(); kittest.Increment(c) },
	}
	endings := map[string]func(t *testing.T, b *kittest.Browser){
		"logout":     func(_ *testing.T, b *kittest.Browser) { b.Get("/logout") },
		"everywhere": func(_ *testing.T, b *kittest.Browser) { b.Get("/everywhere") },
	}
	for ending, end := range endings {
		for name, change := range changes {
			t.Run(ending+" against "+name, func(t *testing.T) {
				s := memstore.New()
				a := kittest.NewSite(s, sessionkit.Config{})
				a.On("/login", kittest.SignIn("42"))
				a.On("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
				a.On("/everywhere", func(c *gin.Context) { assert.NoError(t, sessionkit.LogoutEverywhere(c)) })
				a.On("/", kittest.Whoami)
				b := kittest.NewBrowser(t, a)
				b.Get("/login")
				old := b.Fork()
				code := kittest.UnderWay(t, a, b, change, func() { end(t, b) })
				if name != "after header" {
					assert.Equal(t, http.StatusServiceUnavailable, code, "what was not saved does not look like success")
				}
				assert.Empty(t, old.Get("/").Body.String(), "the old cookie opens nothing")
				assert.Empty(t, kittest.UserSessions(t, s, "42"), "nothing came back to life")
				assert.Len(t, a.Errors(), 1, "the lost change is reported")
			})
		}
	}
}

// TestChangeFollowsARenewal: a session that gets a new ID while a request is under
// way lives on, and so does what that request changes. Its response sets no cookie:
// the browser has the one of the renewal.
func TestChangeFollowsARenewal(t *testing.T) {
	for name, change := range map[string]gin.HandlerFunc{
		"typed value":   kittest.Increment,
		"untyped value": func(c *gin.Context) { sessions.Default(c).Set("count", 1) },
		"dropped value": func(c *gin.Context) { kittest.Increment(c); kittest.Cart.Delete(c) },
		"renew":         func(c *gin.Context) { kittest.Increment(c); sessionkit.Renew(c) },
		"after header":  func(c *gin.Context) { c.Status(http.StatusOK); c.Writer.Flush(); kittest.Increment(c) },
	} {
		t.Run(name, func(t *testing.T) {
			s := memstore.New()
			a := kittest.NewSite(s, sessionkit.Config{})
			a.On("/login", func(c *gin.Context) { kittest.Cart.Set(c, []kittest.Item{{Name: "tea", N: 1}}) }, kittest.SignIn("42"))
			a.On("/renew", sessionkit.Renew)
			a.On("/name", func(c *gin.Context) { name := sessionkit.NewKey[string]("meanwhile"); name.Set(c, "kept") })
			a.On("/", kittest.ShowCount)
			a.On("/all", func(c *gin.Context) {
				v, _ := sessionkit.NewKey[string]("meanwhile").Get(c)
				_, carts := kittest.Cart.Get(c)
				c.String(http.StatusOK, "%s %v", v, carts)
			})
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			code := kittest.UnderWay(t, a, b, change, func() { b.Get("/renew"); b.Get("/name"); b.Get("/renew") })
			assert.Less(t, code, 300)
			assert.JSONEq(t, `{"n": 1, "ok": true}`, b.Get("/").Body.String(), "the change is where the session is")
			assert.Equal(t, fmt.Sprintf("kept %v", name != "dropped value"), b.Get("/all").Body.String(), "and takes nothing back")
			assert.Len(t, kittest.UserSessions(t, s, "42"), 1)
			assert.Empty(t, a.Errors())
		})
	}
}

// TestRenewalsInAnyOrder: of two requests that renew a session, one finds it under the ID
// that the other has given it. Whichever answer comes last, its cookie opens the session.
func TestRenewalsInAnyOrder(t *testing.T) {
	for name, find := range map[string]gin.HandlerFunc{
		"Update":  func(c *gin.Context) { _, _ = kittest.Count.Update(c, func(n int) int { return n + 1 }) },
		"Take":    func(c *gin.Context) { kittest.Name.Take(c) },
		"Devices": func(c *gin.Context) { _, _ = sessionkit.Devices(c) },
	} {
		for call, renew := range map[string]gin.HandlerFunc{"Renew": sessionkit.Renew, "Confirm": sessionkit.Confirm} {
			t.Run(name+", "+call, func(t *testing.T) {
				a := kittest.NewSite(memstore.New(), sessionkit.Config{})
				a.On("/login", kittest.SignIn("42"), func(c *gin.Context) { kittest.Name.Set(c, "x") })
				a.On("/renew", sessionkit.Renew)
				a.On("/", func(c *gin.Context) {
					s := sessionkit.Current(c)
					c.String(http.StatusOK, "%s %t", s.User, s.ConfirmedAt.After(s.SignedInAt))
				})
				b := kittest.NewBrowser(t, a)
				b.Get("/login")
				first := b.Fork()
				code := kittest.UnderWay(t, a, b, func(c *gin.Context) {
					find(c)
					renew(c)
					kittest.Cart.Set(c, []kittest.Item{{Name: "tea", N: 1}})
				}, func() { first.Get("/renew") })
				assert.Equal(t, http.StatusOK, code)
				assert.Equal(t, fmt.Sprintf("42 %t", call == "Confirm"), first.Get("/").Body.String(), "whose cookie came last")
				assert.Empty(t, a.Errors())
			})
		}
	}
}

// TestChangeDoesNotFollowASignIn: who has the cookie of a visitor need not be who
// signed in with it.
func TestChangeDoesNotFollowASignIn(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/visit", func(c *gin.Context) { kittest.Cart.Set(c, []kittest.Item{{Name: "tea", N: 1}}) })
	a.On("/login", kittest.SignIn("42"))
	a.On("/", kittest.ShowCount)
	b := kittest.NewBrowser(t, a)
	b.Get("/visit")
	code := kittest.UnderWay(t, a, b, kittest.Increment, func() { b.Get("/login") })
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.JSONEq(t, `{"n": 0, "ok": false}`, b.Get("/").Body.String())
	require.Len(t, a.Errors(), 1)
}

// TestLogoutWinsOverRenewal: the renewal is saved first, but the logout was asked
// for under the old ID.
func TestLogoutWinsOverRenewal(t *testing.T) {
	s := memstore.New()
	a := kittest.NewSite(s, sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
	a.On("/", kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	code := kittest.UnderWay(t, a, b, func(c *gin.Context) { sessionkit.Logout(c) }, func() { b.Get("/renew") })
	assert.Equal(t, http.StatusOK, code)
	assert.Empty(t, b.Get("/").Body.String(), "the renewed session has ended as well")
	assert.Empty(t, kittest.UserSessions(t, s, "42"))
}

// TestSignInTwiceAtOnce: a double click on the sign-in button.
func TestSignInTwiceAtOnce(t *testing.T) {
	s := memstore.New()
	a := kittest.NewSite(s, sessionkit.Config{})
	a.On("/cart", kittest.Increment)
	a.On("/login", kittest.SignIn("42"))
	a.On("/", kittest.ShowCount)
	b := kittest.NewBrowser(t, a)
	b.Get("/cart")
	second := b.Fork()
	code := kittest.UnderWay(t, a, second, kittest.SignIn("42"), func() { b.Get("/login") })
	assert.Equal(t, http.StatusOK, code)
	assert.JSONEq(t, `{"n": 1, "ok": true}`, b.Get("/").Body.String())
	assert.Len(t, kittest.UserSessions(t, s, "42"), 2, "both sign-ins stand")
}

// TestFailedSignInChangesNoOtherRequest: a sign-in that comes too late, and then is not stored
// either, leaves alone what another request of the visitor has loaded.
func TestFailedSignInChangesNoOtherRequest(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
	a.On("/visit", func(c *gin.Context) { kittest.Name.Set(c, "before") })
	a.On("/login", kittest.SignIn("42"))
	b := kittest.NewBrowser(t, a)
	b.Get("/visit")
	a.On("/", func(c *gin.Context) {
		kittest.Name.Get(c)
		code := kittest.UnderWay(t, a, b, func(c *gin.Context) {
			sessionkit.Login(c, "42")
			s.Failing(errors.New("full"), "create")
			c.String(http.StatusOK, "welcome")
			s.Failing(nil)
			kittest.Name.Set(c, "after")
		}, func() { b.Fork().Get("/login") })
		assert.Equal(t, http.StatusServiceUnavailable, code)
		name, _ := kittest.Name.Get(c)
		assert.Equal(t, "before", name)
	})
	assert.Equal(t, http.StatusOK, b.Get("/").Code)
}

func TestParallelSignInsKeepTheLimit(t *testing.T) {
	const limit = 3
	s := memstore.New()
	a := kittest.NewSite(s, sessionkit.Config{MaxSessions: limit})
	a.On("/login", kittest.SignIn("42"))
	var done sync.WaitGroup
	for range 4 * limit {
		done.Go(func() { kittest.NewBrowser(t, a).Get("/login") })
	}
	done.Wait()
	assert.Len(t, kittest.UserSessions(t, s, "42"), limit)
	revoked := 0
	for _, e := range a.Heard() {
		if e.Kind == sessionkit.EventRevoked {
			revoked++
			assert.Equal(t, "42", e.User)
		}
	}
	assert.Equal(t, 3*limit, revoked)
}

// TestLaterCommitsCarryWhatIsNew: a request that saves more than once does not
// write again what another one has changed since.
func TestLaterCommitsCarryWhatIsNew(t *testing.T) {
	for later, change := range map[string]gin.HandlerFunc{
		"set":    func(c *gin.Context) { kittest.Name.Set(c, "late") },
		"delete": kittest.Cart.Delete,
		"seen":   func(*gin.Context) {},
	} {
		t.Run(later, func(t *testing.T) {
			a := kittest.NewSite(memstore.New(), sessionkit.Config{})
			a.On("/start", func(c *gin.Context) { kittest.Cart.Set(c, []kittest.Item{{Name: "tea", N: 1}}) })
			a.On("/set", kittest.Increment)
			a.On("/check", kittest.ShowCount)
			b := kittest.NewBrowser(t, a)
			a.On("/long", func(c *gin.Context) {
				kittest.Increment(c)
				c.Writer.Flush()
				b.Fork().Get("/set")
				change(c)
				n, ok := kittest.Count.Get(c)
				assert.True(t, ok && n == 1, "the request sees what it has set")
			})
			b.Get("/start")
			b.Get("/long")
			assert.JSONEq(t, `{"n": 2, "ok": true}`, b.Get("/check").Body.String())
		})
	}
}

// TestHitFromManyGoroutines is for the race detector.
func TestHitFromManyGoroutines(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{MaxSessions: 5})
	a.On("/login", kittest.SignIn("42"))
	a.On("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
	a.On("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
	a.On("/write", func(c *gin.Context) { kittest.Increment(c); sessionkit.Flash(c, sessionkit.Info, "x") })
	a.On("/read", func(c *gin.Context) {
		sessionkit.Flashes(c)
		kittest.Cart.Get(c)
		sessions.Default(c).Get("count")
		sessionkit.Current(c)
	})
	a.On("/devices", func(c *gin.Context) { _, _ = sessionkit.Devices(c) })
	a.On("/others", func(c *gin.Context) { _ = sessionkit.LogoutOthers(c) })
	a.On("/goroutines", func(c *gin.Context) {
		var done sync.WaitGroup
		for range 8 {
			done.Go(func() {
				kittest.Count.Get(c)
				kittest.Name.Set(c, "x")
				sessions.Default(c).Set("y", "x")
				sessions.Default(c).Get("x")
				sessionkit.Flash(c, sessionkit.Info, "x")
				sessionkit.User(c)
				_ = sessionkit.Err(c)
			})
		}
		done.Wait()
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	var done sync.WaitGroup
	for i, path := range []string{"/login", "/logout", "/renew", "/write", "/read", "/devices", "/others", "/goroutines"} {
		for range 4 {
			other := b.Fork()
			done.Go(func() {
				for n := range 30 {
					if (n+i)%7 == 0 {
						other.Get("/login")
					}
					code := other.Get(path).Code
					assert.Contains(t, []int{http.StatusOK, http.StatusNoContent, http.StatusServiceUnavailable}, code)
				}
			})
		}
	}
	done.Wait()
}

// TestFailedSaveBesideGoroutines: goroutines of the handler may use the session while the
// page takes the place of its answer.
func TestFailedSaveBesideGoroutines(t *testing.T) {
	s := kittest.NewBackend()
	var uses atomic.Int32
	var after *gin.Context
	r := gin.New()
	r.Use(func(c *gin.Context) {
		c.Next()
		after = c.Copy()
		after.Errors = c.Errors
	}, sessionkit.Sessions(kittest.StoreOver(s), sessionkit.Config{OnError: func(*gin.Context, error) {}, ErrorPage: func(c *gin.Context, p sessionkit.Problem) {
		for n := uses.Load(); uses.Load() < n+2; { // which tells the goroutine nothing
			runtime.Gosched()
		}
		_ = c.Error(errors.New("of the page"))
		c.Set("set", "by the page")
		user, _ := sessionkit.User(c)
		c.String(p.Status, "sorry, "+user)
	}}))
	r.GET("/login", kittest.SignIn("42"))
	r.GET("/", func(c *gin.Context) {
		kittest.Count.Set(c, 7)
		var group sync.WaitGroup
		var stop atomic.Bool
		group.Go(func() {
			for !stop.Load() {
				kittest.Count.Get(c)
				uses.Add(1)
			}
		})
		c.String(http.StatusOK, "done")
		stop.Store(true)
		group.Wait()
	})
	b := kittest.NewBrowser(t, r)
	b.Get("/login")
	s.Failing(kittest.ErrDown, "update")
	w := b.Get("/", "Accept", "text/html")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Equal(t, "sorry, 42", w.Body.String())
	assert.Equal(t, "by the page", after.GetString("set"))
	assert.ErrorContains(t, after.Errors[0], "of the page")
}

// TestChangeFromGoroutineDuringTheCommit: it is saved, also if the handler has returned.
func TestChangeFromGoroutineDuringTheCommit(t *testing.T) {
	committing, changed := make(chan struct{}), make(chan struct{})
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{OnEvent: func(_ *gin.Context, e sessionkit.Event) {
		if e.Kind == sessionkit.EventSignedIn {
			close(committing)
			<-changed
		}
	}}))
	r.POST("/login", kittest.SignIn("42"), func(c *gin.Context) {
		c = c.Copy()
		go func() {
			defer close(changed)
			<-committing
			kittest.Count.Set(c, 7)
		}()
	})
	r.GET("/", kittest.ShowCount)
	b := kittest.NewBrowser(t, r)
	b.Post("/login", nil)
	assert.JSONEq(t, `{"n": 7, "ok": true}`, b.Get("/").Body.String())
}

func TestUsedFromGoroutineAfterTheRequest(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	goOn, done := make(chan struct{}), make(chan struct{})
	a.On("/", func(c *gin.Context) {
		kittest.Increment(c)
		later := c.Copy()
		go func() {
			defer close(done)
			<-goOn
			n, _ := kittest.Count.Get(later)
			assert.Equal(t, 1, n)
			kittest.Count.Set(later, 2)
		}()
	})
	kittest.NewBrowser(t, a).Get("/")
	close(goOn)
	<-done
	errs := a.Errors()
	require.Len(t, errs, 1, "a change that comes too late is not dropped silently")
	assert.ErrorContains(t, errs[0], "after the request had ended")
}

// TestErrorAfterTheRequest: gin has given the request's context to another one by then, and
// OnError must not be shown that.
func TestErrorAfterTheRequest(t *testing.T) {
	var later *gin.Context
	var told []string
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{OnError: func(c *gin.Context, err error) {
		n, _ := kittest.Count.Get(c)
		told = append(told, fmt.Sprint(c.Request.URL.Path, " of ", c.ClientIP(), " with ", n, ": ", err))
	}}))
	r.GET("/set", kittest.Increment)
	r.GET("/first", func(c *gin.Context) {
		kittest.Count.Get(c)
		later = c.Copy()
	})
	r.GET("/second", func(*gin.Context) {
		sessions.Default(later).Set("name", "x")
		sessionkit.Login(later, "42")
	})
	b := kittest.NewBrowser(t, r)
	b.Get("/set")
	b.Get("/first")
	b.Get("/second")
	require.Len(t, told, 2)
	for _, told := range told {
		assert.Contains(t, told, "/first of 192.0.2.1 with 1: sessionkit: the session was changed after the request had ended")
	}
}

// lostAnswers is a backend whose answers to changes do not arrive.
type lostAnswers struct{ store.Backend }

func (b lostAnswers) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	_, err := b.Backend.Update(ctx, id, c)
	return store.Outcome{}, errors.Join(errors.New("connection reset by peer"), err)
}

func TestLostAnswerIsNotDenied(t *testing.T) {
	a := kittest.NewSite(kittest.StoreOver(lostAnswers{memstore.NewBackend()}), sessionkit.Config{})
	a.On("/login", kittest.SignIn("alice"))
	a.On("/increment", kittest.Increment)
	a.On("/count", kittest.ShowCount)
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	w := b.Get("/increment")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.JSONEq(t, `{"n":1,"ok":true}`, b.Get("/count").Body.String(), "the change was made")
	assert.NotContains(t, w.Body.String(), "hanged", "nobody can say whether it was")
}

// TestCookiesFromManyGoroutines is one that the race detector watches as well.
func TestCookiesFromManyGoroutines(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	const goroutines, each = 8, 20
	a.On("/", func(c *gin.Context) {
		kittest.Count.Set(c, 1)
		var group sync.WaitGroup
		for i := range goroutines {
			group.Go(func() {
				for n := range each {
					if i == 0 {
						sessionkit.DeleteCookie(c, fmt.Sprintf("gone%d", n))
						continue
					}
					assert.NoError(t, sessionkit.SetCookie(c, fmt.Sprintf("c%d.%d", i, n), "x"))
				}
			})
		}
		group.Wait()
		group.Go(func() { assert.NoError(t, sessions.Default(c).Save()) })
		c.String(http.StatusOK, "x")
		group.Wait()
	})
	for range 20 {
		got := len(kittest.SetCookies(kittest.NewBrowser(t, a).Get("/")))
		assert.GreaterOrEqual(t, got, goroutines*each+1)
	}
}

// TestEventsOfACopy: what a goroutine of a request finds out is told with the
// context that it has. The request's own may be another request's by then.
func TestEventsOfACopy(t *testing.T) {
	heard := make(chan *gin.Context, 10)
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{OnEvent: func(c *gin.Context, _ sessionkit.Event) { heard <- c }}))
	copied := make(chan *gin.Context, 1)
	r.GET("/", func(c *gin.Context) {
		later := c.Copy()
		copied <- later
		done := make(chan struct{})
		go func() {
			defer close(done)
			sessionkit.User(later)
		}()
		<-done
	})
	b := kittest.NewBrowser(t, r)
	b.Cookies[kittest.SessionCookie] = strings.Repeat("A", 43)
	b.Get("/")
	assert.Same(t, <-copied, <-heard)
}
