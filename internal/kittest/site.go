package kittest

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit"
)

// UnderWay runs a request that pauses in its handler, after it has read the
// session, while meanwhile runs.
func UnderWay(t *testing.T, a *Site, b *Browser, change gin.HandlerFunc, meanwhile func()) int {
	t.Helper()
	paused, goOn := make(chan struct{}), make(chan struct{})
	path := "/paused/" + t.Name()
	a.On(path, func(c *gin.Context) {
		Count.Get(c)
		close(paused)
		<-goOn
		change(c)
	})
	code := make(chan int)
	other := b.Fork()
	go func() { code <- other.Get(path).Code }()
	<-paused
	meanwhile()
	close(goOn)
	return <-code
}

// NewStreamSite returns an application with a stream that ends with its session,
// or after a minute, and says after how long.
func NewStreamSite(s sessions.Store) *Site {
	a := NewSite(s, sessionkit.Config{IdleTimeout: 30 * time.Second})
	a.On("/login", SignIn("42"))
	a.On("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
	a.On("/everywhere", func(c *gin.Context) { _ = sessionkit.LogoutEverywhere(c) })
	a.On("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
	a.On("/visit", Increment)
	a.On("/", Whoami)
	a.On("/stream", func(c *gin.Context) {
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

// Stream runs the stream, and meanwhile after ten seconds.
func Stream(b *Browser, meanwhile func()) string {
	body := make(chan string)
	other := b.Fork()
	go func() { body <- other.Get("/stream").Body.String() }()
	time.Sleep(10*time.Second + time.Millisecond)
	meanwhile()
	return <-body
}

// AwaitEnd waits until Done says that the session has ended.
func AwaitEnd(tb testing.TB, done <-chan struct{}) {
	tb.Helper()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		tb.Error("Done does not say that the session has ended")
	}
}

// Use has a browser use its session for so long, so often that it is never idle.
func (b *Browser) Use(d, every time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(every, time.Until(end)))
		b.Get("/")
	}
}

// At returns the browser with its cookies on another site.
func (b *Browser) At(handler http.Handler) *Browser {
	other := b.Fork()
	other.Handler = handler
	return other
}

func (a *Site) KindNames() []string {
	var names []string
	for _, kind := range a.Kinds() {
		names = append(names, string(kind))
	}
	return names
}

// NewTokenSite returns an application for browsers and for clients without cookies.
func NewTokenSite(s sessions.Store, header string) *Site {
	a := NewSite(s, sessionkit.Config{TokenHeader: header, ClearSiteData: []string{"cache"}})
	a.POST("/login", SignIn("42"))
	a.POST("/renew", sessionkit.Renew)
	a.POST("/logout", sessionkit.Logout)
	a.POST("/set", Increment)
	a.On("/", Whoami)
	a.On("/count", ShowCount)
	a.On("/account", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"}), Whoami)
	return a
}

// Call sends a request as a client without cookies does, from another origin. It
// returns the token that came back.
func Call(t *testing.T, a http.Handler, method, path, header, token string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "https://example.com"+path, nil)
	r.Header.Set(header, token)
	r.Header.Set("Origin", "https://elsewhere.example")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	assert.Empty(t, w.Header()["Set-Cookie"], "cookies are out of the way")
	assert.Empty(t, w.Header()["Clear-Site-Data"])
	return w, w.Header().Get(header)
}

// NewRulesSite returns an application with what the rules are tried on.
func NewRulesSite(s sessions.Store, config sessionkit.Config) *Site {
	a := NewSite(s, config)
	a.On("/set", Increment)
	a.On("/login", SignIn("42"))
	a.On("/remember", SignIn("42", sessionkit.Remember()))
	a.On("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
	a.On("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
	a.On("/account", sessionkit.RequireSession(), Whoami)
	a.On("/count", ShowCount)
	a.On("/", Whoami)
	return a
}
