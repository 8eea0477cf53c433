package sessionkit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// TestParallelRequestsLoseNothing holds 64 requests in their handlers until all of
// them have read the session, and then lets them save.
func TestParallelRequestsLoseNothing(t *testing.T) {
	const requests = 64
	var arrived sync.WaitGroup
	arrived.Add(requests)
	a := newSite(memstore.New(), sessionkit.Config{})
	a.on("/start", increment)
	a.on("/set/:n", func(c *gin.Context) {
		count.Get(c)
		arrived.Done()
		arrived.Wait()
		if n := c.Param("n"); len(n)%2 == 0 {
			sessionkit.NewKey[string]("typed"+n).Set(c, n)
		} else {
			sessions.Default(c).Set("typed"+n, n)
		}
		sessionkit.Flash(c, sessionkit.Info, c.Param("n"))
	})
	a.on("/check", func(c *gin.Context) {
		for n := range requests {
			v, ok := sessionkit.NewKey[string](fmt.Sprint("typed", n)).Get(c)
			assert.True(t, ok, "the value of request %d was lost", n)
			assert.Equal(t, fmt.Sprint(n), v)
		}
		assert.Len(t, sessionkit.Flashes(c), requests, "a flash message was lost")
		n, _ := count.Get(c)
		assert.Equal(t, 1, n)
	})
	b := newBrowser(t, a)
	b.get("/start")
	var done sync.WaitGroup
	for n := range requests {
		other := b.fork()
		done.Go(func() { other.get(fmt.Sprint("/set/", n)) })
	}
	done.Wait()
	b.get("/check")
	assert.Empty(t, a.errors())
}

// underWay runs a request that pauses in its handler, after it has read the
// session, while meanwhile runs.
func underWay(t *testing.T, a *site, b *browser, change gin.HandlerFunc, meanwhile func()) int {
	t.Helper()
	paused, goOn := make(chan struct{}), make(chan struct{})
	path := "/paused/" + t.Name()
	a.on(path, func(c *gin.Context) {
		count.Get(c)
		close(paused)
		<-goOn
		change(c)
	})
	code := make(chan int)
	other := b.fork()
	go func() { code <- other.get(path).Code }()
	<-paused
	meanwhile()
	close(goOn)
	return <-code
}

func TestLogoutWins(t *testing.T) {
	changes := map[string]gin.HandlerFunc{
		"typed value":   increment,
		"untyped value": func(c *gin.Context) { sessions.Default(c).Set("x", 1) },
		"flash":         func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "x") },
		"renew":         sessionkit.Renew,
		"after header":  func(c *gin.Context) { c.Status(http.StatusOK); c.Writer.Flush(); increment(c) },
	}
	endings := map[string]func(t *testing.T, b *browser){
		"logout":     func(_ *testing.T, b *browser) { b.get("/logout") },
		"everywhere": func(_ *testing.T, b *browser) { b.get("/everywhere") },
	}
	for ending, end := range endings {
		for name, change := range changes {
			t.Run(ending+" against "+name, func(t *testing.T) {
				s := memstore.New()
				a := newSite(s, sessionkit.Config{})
				a.on("/login", signIn("42"))
				a.on("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
				a.on("/everywhere", func(c *gin.Context) { assert.NoError(t, sessionkit.LogoutEverywhere(c)) })
				a.on("/", whoami)
				b := newBrowser(t, a)
				b.get("/login")
				old := b.fork()
				code := underWay(t, a, b, change, func() { end(t, b) })
				if name != "after header" {
					assert.Equal(t, http.StatusServiceUnavailable, code, "what was not saved does not look like success")
				}
				assert.Empty(t, old.get("/").Body.String(), "the old cookie opens nothing")
				assert.Empty(t, userSessions(t, s, "42"), "nothing came back to life")
				assert.Len(t, a.errors(), 1, "the lost change is reported")
			})
		}
	}
}

// TestChangeFollowsARenewal: a session that gets a new ID while a request is under
// way lives on, and so does what that request changes. Its response sets no cookie:
// the browser has the one of the renewal.
func TestChangeFollowsARenewal(t *testing.T) {
	for name, change := range map[string]gin.HandlerFunc{
		"typed value":   increment,
		"untyped value": func(c *gin.Context) { sessions.Default(c).Set("count", 1) },
		"dropped value": func(c *gin.Context) { increment(c); cart.Delete(c) },
		"renew":         func(c *gin.Context) { increment(c); sessionkit.Renew(c) },
		"after header":  func(c *gin.Context) { c.Status(http.StatusOK); c.Writer.Flush(); increment(c) },
	} {
		t.Run(name, func(t *testing.T) {
			s := memstore.New()
			a := newSite(s, sessionkit.Config{})
			a.on("/login", func(c *gin.Context) { cart.Set(c, []item{{"tea", 1}}) }, signIn("42"))
			a.on("/renew", sessionkit.Renew)
			a.on("/name", func(c *gin.Context) { name := sessionkit.NewKey[string]("meanwhile"); name.Set(c, "kept") })
			a.on("/", showCount)
			a.on("/all", func(c *gin.Context) {
				v, _ := sessionkit.NewKey[string]("meanwhile").Get(c)
				_, carts := cart.Get(c)
				c.String(http.StatusOK, "%s %v", v, carts)
			})
			b := newBrowser(t, a)
			b.get("/login")
			code := underWay(t, a, b, change, func() { b.get("/renew"); b.get("/name"); b.get("/renew") })
			assert.Less(t, code, 300)
			assert.JSONEq(t, `{"n": 1, "ok": true}`, b.get("/").Body.String(), "the change is where the session is")
			assert.Equal(t, fmt.Sprintf("kept %v", name != "dropped value"), b.get("/all").Body.String(), "and takes nothing back")
			assert.Len(t, userSessions(t, s, "42"), 1)
			assert.Empty(t, a.errors())
		})
	}
}

// TestChangeDoesNotFollowASignIn: who has the cookie of a visitor need not be who
// signed in with it.
func TestChangeDoesNotFollowASignIn(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{})
	a.on("/visit", func(c *gin.Context) { cart.Set(c, []item{{"tea", 1}}) })
	a.on("/login", signIn("42"))
	a.on("/", showCount)
	b := newBrowser(t, a)
	b.get("/visit")
	code := underWay(t, a, b, increment, func() { b.get("/login") })
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.JSONEq(t, `{"n": 0, "ok": false}`, b.get("/").Body.String())
	require.Len(t, a.errors(), 1)
}

// TestLogoutWinsOverRenewal: the renewal is saved first, but the logout was asked
// for under the old ID.
func TestLogoutWinsOverRenewal(t *testing.T) {
	s := memstore.New()
	a := newSite(s, sessionkit.Config{})
	a.on("/login", signIn("42"))
	a.on("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
	a.on("/", whoami)
	b := newBrowser(t, a)
	b.get("/login")
	code := underWay(t, a, b, func(c *gin.Context) { sessionkit.Logout(c) }, func() { b.get("/renew") })
	assert.Equal(t, http.StatusOK, code)
	assert.Empty(t, b.get("/").Body.String(), "the renewed session has ended as well")
	assert.Empty(t, userSessions(t, s, "42"))
}

// TestSignInTwiceAtOnce: a double click on the sign-in button.
func TestSignInTwiceAtOnce(t *testing.T) {
	s := memstore.New()
	a := newSite(s, sessionkit.Config{})
	a.on("/cart", increment)
	a.on("/login", signIn("42"))
	a.on("/", showCount)
	b := newBrowser(t, a)
	b.get("/cart")
	second := b.fork()
	code := underWay(t, a, second, signIn("42"), func() { b.get("/login") })
	assert.Equal(t, http.StatusOK, code)
	assert.JSONEq(t, `{"n": 1, "ok": true}`, b.get("/").Body.String())
	assert.Len(t, userSessions(t, s, "42"), 2, "both sign-ins stand")
}

func TestParallelSignInsKeepTheLimit(t *testing.T) {
	const limit = 3
	s := memstore.New()
	a := newSite(s, sessionkit.Config{MaxSessions: limit})
	a.on("/login", signIn("42"))
	var done sync.WaitGroup
	for range 4 * limit {
		done.Go(func() { newBrowser(t, a).get("/login") })
	}
	done.Wait()
	assert.Len(t, userSessions(t, s, "42"), limit)
	revoked := 0
	for _, e := range a.heard() {
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
		"set":    func(c *gin.Context) { name.Set(c, "late") },
		"delete": cart.Delete,
		"seen":   func(*gin.Context) {},
	} {
		t.Run(later, func(t *testing.T) {
			a := newSite(memstore.New(), sessionkit.Config{})
			a.on("/start", func(c *gin.Context) { cart.Set(c, []item{{"tea", 1}}) })
			a.on("/set", increment)
			a.on("/check", showCount)
			b := newBrowser(t, a)
			a.on("/long", func(c *gin.Context) {
				increment(c)
				c.Writer.Flush()
				b.fork().get("/set")
				change(c)
				n, ok := count.Get(c)
				assert.True(t, ok && n == 1, "the request sees what it has set")
			})
			b.get("/start")
			b.get("/long")
			assert.JSONEq(t, `{"n": 2, "ok": true}`, b.get("/check").Body.String())
		})
	}
}

// TestHitFromManyGoroutines is for the race detector.
func TestHitFromManyGoroutines(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{MaxSessions: 5})
	a.on("/login", signIn("42"))
	a.on("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
	a.on("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
	a.on("/write", func(c *gin.Context) { increment(c); sessionkit.Flash(c, sessionkit.Info, "x") })
	a.on("/read", func(c *gin.Context) {
		sessionkit.Flashes(c)
		cart.Get(c)
		sessions.Default(c).Get("count")
		sessionkit.Current(c)
	})
	a.on("/devices", func(c *gin.Context) { _, _ = sessionkit.Devices(c) })
	a.on("/others", func(c *gin.Context) { _ = sessionkit.LogoutOthers(c) })
	a.on("/goroutines", func(c *gin.Context) {
		var done sync.WaitGroup
		for range 8 {
			done.Go(func() {
				count.Get(c)
				name.Set(c, "x")
				sessions.Default(c).Set("y", "x")
				sessions.Default(c).Get("x")
				sessionkit.Flash(c, sessionkit.Info, "x")
				sessionkit.User(c)
				_ = sessionkit.Err(c)
			})
		}
		done.Wait()
	})
	b := newBrowser(t, a)
	b.get("/login")
	var done sync.WaitGroup
	for i, path := range []string{"/login", "/logout", "/renew", "/write", "/read", "/devices", "/others", "/goroutines"} {
		for range 4 {
			other := b.fork()
			done.Go(func() {
				for n := range 30 {
					if (n+i)%7 == 0 {
						other.get("/login")
					}
					code := other.get(path).Code
					assert.Contains(t, []int{http.StatusOK, http.StatusNoContent, http.StatusServiceUnavailable}, code)
				}
			})
		}
	}
	done.Wait()
}

func TestUsedFromGoroutineAfterTheRequest(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{})
	goOn, done := make(chan struct{}), make(chan struct{})
	a.on("/", func(c *gin.Context) {
		increment(c)
		later := c.Copy()
		go func() {
			defer close(done)
			<-goOn
			n, _ := count.Get(later)
			assert.Equal(t, 1, n)
			count.Set(later, 2)
		}()
	})
	newBrowser(t, a).get("/")
	close(goOn)
	<-done
	errs := a.errors()
	require.Len(t, errs, 1, "a change that comes too late is not dropped silently")
	assert.ErrorContains(t, errs[0], "after the request had ended")
}

// lostAnswers is a backend whose answers to changes do not arrive.
type lostAnswers struct{ store.Backend }

func (b lostAnswers) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	_, err := b.Backend.Update(ctx, id, c)
	return store.Outcome{}, errors.Join(errors.New("connection reset by peer"), err)
}

func TestLostAnswerIsNotDenied(t *testing.T) {
	a := newSite(storeOver(lostAnswers{memstore.NewBackend()}), sessionkit.Config{})
	a.on("/login", signIn("alice"))
	a.on("/increment", increment)
	a.on("/count", showCount)
	b := newBrowser(t, a)
	b.get("/login")
	w := b.get("/increment")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.JSONEq(t, `{"n":1,"ok":true}`, b.get("/count").Body.String(), "the change was made")
	assert.NotContains(t, w.Body.String(), "hanged", "nobody can say whether it was")
}

// TestCookiesFromManyGoroutines is one that the race detector watches as well.
func TestCookiesFromManyGoroutines(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{})
	const goroutines, each = 8, 20
	a.on("/", func(c *gin.Context) {
		count.Set(c, 1)
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
		got := len(setCookies(newBrowser(t, a).get("/")))
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
	b := newBrowser(t, r)
	b.cookies[sessionCookie] = strings.Repeat("A", 43)
	b.get("/")
	assert.Same(t, <-copied, <-heard)
}
