package sessionkit_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// holding is a writer that holds the response back until the handlers have
// returned, as those of middlewares for timeouts do.
type holding struct {
	gin.ResponseWriter
	status int
	last   bool // the last status counts, not the first
	body   []byte
}

func (w *holding) WriteHeader(code int) {
	if w.status == 0 || w.last {
		w.status = code
	}
}

func (w *holding) Write(b []byte) (int, error) {
	w.body = append(w.body, b...)
	return len(b), nil
}

func (w *holding) WriteString(s string) (int, error) { return w.Write([]byte(s)) }
func (w *holding) WriteHeaderNow()                   {}
func (w *holding) Written() bool                     { return false }

func holdBack(last bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		w := &holding{ResponseWriter: c.Writer, last: last}
		c.Writer = w
		c.Next()
		w.ResponseWriter.WriteHeader(w.status)
		_, _ = w.ResponseWriter.Write(w.body)
	}
}

// TestFailureThroughAWriterThatHoldsBack: whichever status counts there, that of a
// failed save is the 503.
func TestFailureThroughAWriterThatHoldsBack(t *testing.T) {
	for _, last := range []bool{false, true} {
		t.Run(fmt.Sprintf("last status counts: %v", last), func(t *testing.T) {
			s := newBackend()
			a := newSite(storeOver(s), sessionkit.Config{}, holdBack(last))
			a.on("/", signIn("42"), func(c *gin.Context) {
				c.Header("X-Accel-Redirect", "/protected/file")
				c.JSON(http.StatusOK, "welcome")
				c.String(http.StatusOK, "welcome")
				c.Status(http.StatusOK)
			})
			a.on("/created", func(c *gin.Context) { c.Status(http.StatusCreated) })
			s.failing(errDown, "create")
			w := newBrowser(t, a).get("/")
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.NotContains(t, w.Body.String(), "welcome")
			assert.Empty(t, w.Header().Get("X-Accel-Redirect"), "a server in front would send that in place of the 503")
			assert.Equal(t, http.StatusCreated, newBrowser(t, a).get("/created").Code)
			s.failing(nil)
			assert.Equal(t, http.StatusOK, newBrowser(t, a).get("/").Code)
		})
	}
}

func TestStatusIsSeenBeforeItIsSent(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{}, func(c *gin.Context) {
		c.Next()
		assert.Equal(t, http.StatusTeapot, c.Writer.Status(), "by a logger before the kit")
	})
	a.on("/", func(c *gin.Context) {
		assert.Equal(t, http.StatusOK, c.Writer.Status())
		c.Status(http.StatusTeapot)
		c.Status(-1) // as c.Render is given to leave it
		assert.Equal(t, http.StatusTeapot, c.Writer.Status())
		assert.False(t, c.Writer.Written())
	})
	assert.Equal(t, http.StatusTeapot, newBrowser(t, a).get("/").Code)
}

// TestRecoveriesBehindTheKit: a handler that panicked saves nothing,
// whatever they make of it.
func TestRecoveriesBehindTheKit(t *testing.T) {
	custom := func(f func(c *gin.Context)) gin.HandlerFunc {
		return gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) { f(c) })
	}
	var deep func(c *gin.Context, n int)
	deep = func(c *gin.Context, n int) {
		if n == 0 {
			c.String(http.StatusInternalServerError, "sorry")
			return
		}
		deep(c, n-1)
	}
	for name, test := range map[string]struct {
		recovery gin.HandlerFunc
		value    any
	}{
		"gin's":                      {gin.RecoveryWithWriter(io.Discard), "oops"},
		"gin's, aborted":             {gin.RecoveryWithWriter(io.Discard), http.ErrAbortHandler},
		"gin's, connection closed":   {gin.RecoveryWithWriter(io.Discard), fmt.Errorf("write: %w", syscall.EPIPE)},
		"gin's, connection reset":    {gin.RecoveryWithWriter(io.Discard), fmt.Errorf("write: %w", syscall.ECONNRESET)},
		"a status":                   {custom(func(c *gin.Context) { c.Status(http.StatusInternalServerError) }), "oops"},
		"a status, aborted":          {custom(func(c *gin.Context) { c.Status(http.StatusBadGateway); c.Abort() }), "oops"},
		"a page":                     {custom(func(c *gin.Context) { c.String(http.StatusInternalServerError, "sorry") }), "oops"},
		"a page by a deep call":      {custom(func(c *gin.Context) { deep(c, 200) }), "oops"},
		"a page of another status":   {custom(func(c *gin.Context) { c.Abort(); c.String(http.StatusTeapot, "sorry") }), "oops"},
		"before the kit, not behind": {func(*gin.Context) {}, "oops"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newSite(memstore.New(), sessionkit.Config{}, custom(func(c *gin.Context) { c.Status(http.StatusInternalServerError) }))
			a.Use(test.recovery)
			a.on("/", signIn("42"), func(*gin.Context) { panic(test.value) })
			b := newBrowser(t, a)
			w := b.get("/")
			assert.Empty(t, b.session())
			assert.Empty(t, a.heard())
			if test.value == "oops" {
				assert.GreaterOrEqual(t, w.Code, http.StatusBadRequest)
			}
		})
	}
}

// TestUsedTwice: by the engine and again by a group.
func TestUsedTwice(t *testing.T) {
	kit := sessionkit.Sessions(memstore.New())
	r := gin.New()
	r.Use(kit, func(c *gin.Context) {
		sessionkit.Flash(c, sessionkit.Info, "seen")
		c.Next()
	})
	group := r.Group("/", kit)
	group.GET("/login", signIn("42"), whoami)
	group.GET("/", whoami)
	b := newBrowser(t, r)
	assert.Len(t, setCookies(b.get("/login")), 1)
	assert.Equal(t, "42", b.get("/").Body.String())
}

func TestTwoOfOneName(t *testing.T) {
	r := gin.New()
	r.Use(gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, err any) { c.String(http.StatusInternalServerError, fmt.Sprint(err)) }))
	r.Use(sessionkit.Sessions(memstore.New()))
	r.GET("/same", sessionkit.Sessions(memstore.New()), signIn("42"))
	r.GET("/other", sessionkit.Sessions(memstore.New(), sessionkit.Config{Name: "admin"}), signIn("root"), whoami)
	r.GET("/", whoami)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://example.com/same", nil))
	assert.Contains(t, w.Body.String(), `sessionkit: Config.Name is "session": another Sessions of this name runs in the same request`)
	b := newBrowser(t, r)
	assert.Equal(t, "root", b.get("/other").Body.String())
	assert.Empty(t, b.get("/").Body.String())
}

// TestOneInsideAnother: a middleware before the inner one goes on with the session
// that it knows.
func TestOneInsideAnother(t *testing.T) {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()), func(c *gin.Context) {
		c.Next()
		increment(c)
	})
	r.GET("/admin", sessionkit.Sessions(memstore.New(), sessionkit.Config{Name: "admin"}), signIn("root"))
	r.GET("/count", showCount)
	b := newBrowser(t, r)
	b.get("/admin")
	assert.JSONEq(t, `{"n":1,"ok":true}`, b.get("/count").Body.String())
}
