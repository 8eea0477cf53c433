package cost_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

var (
	benchCount = sessionkit.NewKey[int]("count")
	benchName  = sessionkit.NewKey[string]("name")
)

// newBenchRouter returns a router with a handler for each kind of work, and a
// request of a visitor who is signed in and has two values.
func newBenchRouter(tb testing.TB) (*gin.Engine, func(path string) *http.Request) {
	tb.Helper()
	r := gin.New()
	r.GET("/bare", func(c *gin.Context) {
		if _, err := c.Cookie("__Host-Http-session"); err != nil {
			panic(err)
		}
		c.Status(http.StatusNoContent)
	})
	g := r.Group("", sessionkit.Sessions(memstore.New()))
	g.GET("/anonymous", func(c *gin.Context) { c.Status(http.StatusNoContent) })
	g.GET("/start", func(c *gin.Context) {
		sessionkit.Login(c, "42")
		benchCount.Set(c, 1)
		benchName.Set(c, "tea")
	})
	g.GET("/read", func(c *gin.Context) {
		n, ok := benchCount.Get(c)
		name, named := benchName.Get(c)
		if n == 0 || !ok || name != "tea" || !named {
			panic("the values are not there")
		}
		c.Status(http.StatusNoContent)
	})
	written := 1000 // Go keeps small numbers without allocating
	g.GET("/write", func(c *gin.Context) {
		written++
		benchCount.Set(c, written)
		c.Status(http.StatusNoContent)
	})
	g.GET("/update", func(c *gin.Context) {
		written++
		if _, err := benchCount.Update(c, func(int) int { return written }); err != nil {
			panic(err)
		}
		c.Status(http.StatusNoContent)
	})
	g.GET("/visit", func(c *gin.Context) {
		benchCount.Set(c, 1)
		benchName.Set(c, "tea")
	})
	g.GET("/sign-in", func(c *gin.Context) { sessionkit.Login(c, "42") })
	g.GET("/sign-out", func(c *gin.Context) { sessionkit.Logout(c) })
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/start", nil))
	cookies := kittest.SetCookies(w)
	return r, func(path string) *http.Request {
		req := httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil)
		for _, cookie := range cookies {
			req.AddCookie(cookie)
		}
		return req
	}
}

func BenchmarkRequest(b *testing.B) {
	r, request := newBenchRouter(b)
	for _, work := range []string{"bare", "anonymous", "read", "write", "update"} {
		b.Run(work, func(b *testing.B) {
			req := request("/" + work)
			w := kittest.Discard{}
			b.ReportAllocs()
			for b.Loop() {
				clear(w)
				r.ServeHTTP(w, req)
			}
		})
	}
}

// signInAndOut returns a function for each of the two, which works on another session in
// each call. The first must be called at least as often as the second.
func signInAndOut(tb testing.TB, r http.Handler, sessions int) (in, out func()) {
	tb.Helper()
	w := kittest.Discard{}
	requests := make([]*http.Request, sessions)
	send := func(req *http.Request, path string) {
		req.URL.Path = path
		clear(w)
		r.ServeHTTP(w, req)
	}
	keepCookie := func(req *http.Request) {
		pair, _, _ := strings.Cut(w["Set-Cookie"][0], ";")
		req.Header["Cookie"] = []string{pair}
	}
	for i := range requests {
		requests[i] = httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/visit", nil)
		send(requests[i], "/visit")
		keepCookie(requests[i])
	}
	ins, outs := 0, 0
	return func() {
			send(requests[ins], "/sign-in")
			keepCookie(requests[ins])
			ins++
		}, func() {
			send(requests[outs], "/sign-out")
			outs++
		}
}

func BenchmarkSignIn(b *testing.B) {
	const sessions = 1000
	r, _ := newBenchRouter(b)
	for _, work := range []string{"in", "out"} {
		b.Run(work, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				b.StopTimer()
				in, out := signInAndOut(b, r, 1)
				if work == "out" {
					in()
					in = out
				}
				if i%sessions == 0 {
					runtime.GC()
				}
				b.StartTimer()
				in()
			}
		})
	}
}
