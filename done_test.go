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

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// newStreamSite returns an application with a stream that ends with its session,
// or after a minute, and says after how long.
func newStreamSite(s sessions.Store) *site {
	a := newSite(s, sessionkit.Config{IdleTimeout: 30 * time.Second})
	a.on("/login", signIn("42"))
	a.on("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
	a.on("/everywhere", func(c *gin.Context) { _ = sessionkit.LogoutEverywhere(c) })
	a.on("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
	a.on("/visit", increment)
	a.on("/", whoami)
	a.on("/stream", func(c *gin.Context) {
		start := time.Now()
		c.Writer.Flush()
		select {
		case <-sessionkit.Done(c):
		case <-time.After(time.Minute):
		}
		c.String(http.StatusOK, "%v", time.Since(start).Truncate(time.Second))
	})
	return a
}

// stream runs the stream, and meanwhile after ten seconds.
func stream(b *browser, meanwhile func()) string {
	body := make(chan string)
	other := b.fork()
	go func() { body <- other.get("/stream").Body.String() }()
	time.Sleep(10*time.Second + time.Millisecond)
	meanwhile()
	return <-body
}

func TestDone(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := newStreamSite(s)
			b := newBrowser(t, a)
			b.get("/login")
			if t.Name() != "TestDone/cookie" { // there a copy of the cookie stays good
				assert.Equal(t, "11s", stream(b, func() { b.get("/logout") }))
				b.get("/login")
			}
			assert.Equal(t, "33s", stream(b, func() {}), "at the idle timeout")
			assert.Equal(t, "1m0s", stream(newBrowser(t, a), func() {}), "a visitor has no session that could end")
		})
	})
}

func TestDoneOverARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrowser(t, newStreamSite(memstore.New()))
		b.get("/login")
		assert.Equal(t, "20s", stream(b, func() {
			b.get("/renew")
			time.Sleep(9 * time.Second)
			b.get("/everywhere")
		}), "it goes on under the new ID and ends with it")
	})
}

func TestDoneOfAVisitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrowser(t, newStreamSite(memstore.New()))
		b.get("/visit")
		assert.Equal(t, "11s", stream(b, func() { b.get("/login") }), "a visitor's session ends when somebody signs in")
	})
}

func TestDoneDuringAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBackend()
		b := newBrowser(t, newStreamSite(storeOver(s)))
		b.get("/login")
		assert.Equal(t, "20s", stream(b, func() {
			s.failing(errors.New("down"), "load")
			time.Sleep(5 * time.Second)
			s.failing(nil)
			time.Sleep(4 * time.Second)
			b.get("/logout")
		}), "a server that cannot be reached ends nothing")
	})
}

// TestDoneIsShared: one read a second for all streams of a session, and none
// after the last one has ended.
func TestDoneIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBackend()
		a := newStreamSite(storeOver(s))
		goOn := make(chan struct{})
		a.on("/wait", func(c *gin.Context) {
			done := sessionkit.Done(c)
			assert.Equal(t, done, sessionkit.Done(c))
			<-goOn
			select {
			case <-done:
				t.Error("the session has not ended")
			default:
			}
		})
		b := newBrowser(t, a)
		b.get("/login")
		finished := make(chan int)
		for range 5 {
			other := b.fork()
			go func() { finished <- other.get("/wait").Code }()
		}
		synctest.Wait()
		s.called()
		time.Sleep(10*time.Second + time.Millisecond)
		assert.Len(t, s.called(), 10)
		close(goOn)
		for range 5 {
			<-finished
		}
		s.called()
		time.Sleep(10 * time.Second)
		assert.Empty(t, s.called())
		// The bubble would not end with a goroutine in it.
	})
}

func TestDoneEndsWithTheRequest(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := newSite(s, sessionkit.Config{})
			var done <-chan struct{}
			a.on("/login", signIn("42"))
			a.on("/", func(c *gin.Context) { done = sessionkit.Done(c) })
			b := newBrowser(t, a)
			for _, path := range []string{"/", "/login", "/"} {
				b.get(path)
				<-done
			}
		})
	})
}

func TestCloseEndsTheWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		b := newBrowser(t, newStreamSite(s))
		b.get("/login")
		assert.Equal(t, "10s", stream(b, func() { assert.NoError(t, s.Close()) }))
		assert.Equal(t, "1m0s", stream(b, func() {}), "the sessions are gone")
	})
}

// TestDoneAfterTheRequest is how a goroutine that outlives its request asks.
func TestDoneAfterTheRequest(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{})
	a.on("/login", signIn("42"))
	var late *gin.Context
	a.on("/", func(c *gin.Context) { late = c.Copy(); late.Writer = c.Writer })
	b := newBrowser(t, a)
	for _, path := range []string{"/", "/login", "/"} {
		b.get(path)
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
