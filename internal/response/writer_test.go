package response_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/response"
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

func (w *holding) WriteHeaderNow() {}

func (w *holding) Written() bool { return false }

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
			s := kittest.NewBackend()
			a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{}, holdBack(last))
			a.On("/", kittest.SignIn("42"), func(c *gin.Context) {
				c.Header("X-Accel-Redirect", "/protected/file")
				c.JSON(http.StatusOK, "welcome")
				c.String(http.StatusOK, "welcome")
				c.Status(http.StatusOK)
			})
			a.On("/created", func(c *gin.Context) { c.Status(http.StatusCreated) })
			s.Failing(kittest.ErrDown, "create")
			w := kittest.NewBrowser(t, a).Get("/")
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.NotContains(t, w.Body.String(), "welcome")
			assert.Empty(t, w.Header().Get("X-Accel-Redirect"), "a server in front would send that in place of the 503")
			assert.Equal(t, http.StatusCreated, kittest.NewBrowser(t, a).Get("/created").Code)
			s.Failing(nil)
			assert.Equal(t, http.StatusOK, kittest.NewBrowser(t, a).Get("/").Code)
		})
	}
}

// TestFailureDropsWhatDescribesTheAnswer: a library in the page would take the 503 for the
// answer, and a server in front would send a file in its place. What belongs to the site stays.
func TestFailureDropsWhatDescribesTheAnswer(t *testing.T) {
	of := func(fields ...string) gin.HandlerFunc {
		return func(c *gin.Context) {
			for _, field := range fields {
				c.Header(field, "set")
			}
		}
	}
	site := []string{
		"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Content-Security-Policy", "Content-Security-Policy-Report-Only",
		"Strict-Transport-Security", "Server-Timing", "X-Request-Id", "X-Frame-Options", "X-Robots-Tag",
	}
	answer := []string{
		"X-Inertia", "X-Inertia-Location", "HX-Trigger", "X-Up-Events", "X-Up-Location", "Turbo-Location", "Turbo-Frame", "X-PJAX-URL",
		"X-Accel-Redirect", "X-Accel-Buffering", "X-Sendfile", "X-Sendfile2", "X-Lighttpd-Send-File", "X-LiteSpeed-Location", "X-Reproxy-URL",
		"Location", "Link", "Age", "Pragma", "Expires", "Warning", "Digest", "Repr-Digest", "Content-Digest", "Content-Language", "ETag",
		"Signature", "Signature-Input", "SourceMap", "Preference-Applied",
	}
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{}, of(site...))
	a.On("/", kittest.SignIn("42"), of(answer...), func(c *gin.Context) {
		c.Writer.Header()["x-inertia-version"] = []string{"set"} // as a handler may write it
		c.String(http.StatusOK, "welcome")
	})
	s.Failing(kittest.ErrDown, "create")
	w := kittest.NewBrowser(t, a).Get("/")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	for _, field := range site {
		assert.Equal(t, "set", w.Header().Get(field), field)
	}
	for field, lines := range w.Header() {
		if !slices.Contains(site, field) {
			assert.NotEqual(t, []string{"set"}, lines, field)
		}
	}
}

// TestFlushAfterAFailure: the client of a stream is told of the failure, and need not wait
// until the handler returns.
func TestFlushAfterAFailure(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
	told := httptest.NewRecorder()
	a.On("/", kittest.SignIn("42"), func(c *gin.Context) {
		c.SSEvent("", "welcome")
		c.Writer.Flush()
		assert.True(t, told.Flushed)
		assert.Equal(t, http.StatusServiceUnavailable, told.Code)
		assert.NotContains(t, told.Body.String(), "welcome")
	})
	s.Failing(kittest.ErrDown, "create")
	a.ServeHTTP(told, kittest.NewBrowser(t, a).Request(http.MethodGet, "/"))
}

// TestFailureThatOnErrorPanicsAbout: nothing of the handler's answer goes out.
func TestFailureThatOnErrorPanicsAbout(t *testing.T) {
	recovery := gin.RecoveryWithWriter(io.Discard)
	for by, config := range map[string]sessionkit.Config{
		"OnError": {OnError: func(_ *gin.Context, err error) { panic(err) }},
		"OnEvent": {OnEvent: func(_ *gin.Context, e sessionkit.Event) {
			if e.Kind == sessionkit.EventStoreError {
				panic(e.Err)
			}
		}},
	} {
		for how, answer := range map[string]gin.HandlerFunc{
			"a body":     func(c *gin.Context) { c.String(http.StatusCreated, "ordered") },
			"a redirect": func(c *gin.Context) { c.Redirect(http.StatusSeeOther, "/thanks") },
			"a hijack":   func(c *gin.Context) { _, _, _ = c.Writer.Hijack() },
		} {
			s := kittest.NewBackend()
			kit := sessionkit.Sessions(kittest.StoreOver(s), config)
			for order, chain := range map[string]gin.HandlersChain{"in front": {recovery, kit}, "on both sides": {recovery, kit, recovery}} {
				t.Run(by+", "+how+", the recovery "+order, func(t *testing.T) {
					r := gin.New()
					r.Use(chain...)
					r.GET("/login", kittest.SignIn("42"))
					r.POST("/", func(c *gin.Context) {
						kittest.Count.Set(c, 7)
						assert.NoError(t, sessionkit.SetCookie(c, "handlers", "x"))
						answer(c)
					})
					b := kittest.NewBrowser(t, r)
					b.Get("/login")
					s.Failing(kittest.ErrDown, "update")
					w := b.Post("/", nil)
					s.Failing(nil)
					assert.Equal(t, http.StatusServiceUnavailable, w.Code)
					assert.Contains(t, w.Body.String(), "could not be saved")
					assert.Empty(t, w.Header()["Location"])
					assert.Empty(t, w.Header()["Set-Cookie"])
				})
			}
		}
	}
}

func TestStatusIsSeenBeforeItIsSent(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{}, func(c *gin.Context) {
		c.Next()
		assert.Equal(t, http.StatusTeapot, c.Writer.Status(), "by a logger before the middleware")
	})
	a.On("/", func(c *gin.Context) {
		assert.Equal(t, http.StatusOK, c.Writer.Status())
		c.Status(http.StatusTeapot)
		c.Status(-1) // as c.Render is given to leave it
		assert.Equal(t, http.StatusTeapot, c.Writer.Status())
		assert.False(t, c.Writer.Written())
	})
	assert.Equal(t, http.StatusTeapot, kittest.NewBrowser(t, a).Get("/").Code)
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
		"gin's":                             {gin.RecoveryWithWriter(io.Discard), "oops"},
		"gin's, aborted":                    {gin.RecoveryWithWriter(io.Discard), http.ErrAbortHandler},
		"gin's, connection closed":          {gin.RecoveryWithWriter(io.Discard), fmt.Errorf("write: %w", syscall.EPIPE)},
		"gin's, connection reset":           {gin.RecoveryWithWriter(io.Discard), fmt.Errorf("write: %w", syscall.ECONNRESET)},
		"a status":                          {custom(func(c *gin.Context) { c.Status(http.StatusInternalServerError) }), "oops"},
		"a status, aborted":                 {custom(func(c *gin.Context) { c.Status(http.StatusBadGateway); c.Abort() }), "oops"},
		"a page":                            {custom(func(c *gin.Context) { c.String(http.StatusInternalServerError, "sorry") }), "oops"},
		"a page by a deep call":             {custom(func(c *gin.Context) { deep(c, 200) }), "oops"},
		"a page of another status":          {custom(func(c *gin.Context) { c.Abort(); c.String(http.StatusTeapot, "sorry") }), "oops"},
		"before the middleware, not behind": {func(*gin.Context) {}, "oops"},
	} {
		t.Run(name, func(t *testing.T) {
			a := kittest.NewSite(memstore.New(), sessionkit.Config{}, custom(func(c *gin.Context) { c.Status(http.StatusInternalServerError) }))
			a.Use(test.recovery)
			a.On("/", kittest.SignIn("42"), func(*gin.Context) { panic(test.value) })
			b := kittest.NewBrowser(t, a)
			w := b.Get("/")
			assert.Empty(t, b.Session())
			assert.Empty(t, a.Heard())
			lost, _ := test.value.(error)
			if errors.Is(lost, syscall.EPIPE) || errors.Is(lost, syscall.ECONNRESET) { // which is told, as it may be no panic
				assert.Equal(t, http.StatusServiceUnavailable, w.Code)
				assert.Len(t, a.Errors(), 1)
			}
			assert.Empty(t, a.Errors())
			if test.value == "oops" {
				assert.GreaterOrEqual(t, w.Code, http.StatusBadRequest)
			}
		})
	}
}

// TestPanicAfterAStatus: a handler that sets a status and then panics about a lost connection
// saves nothing, although the recovery leaves the status.
func TestPanicAfterAStatus(t *testing.T) {
	for name, answer := range map[string]gin.HandlerFunc{
		"a status":   func(c *gin.Context) { c.Status(http.StatusNoContent) },
		"a redirect": func(c *gin.Context) { c.Redirect(http.StatusSeeOther, "/") },
		"an error":   func(c *gin.Context) { _ = c.Error(io.ErrUnexpectedEOF); c.Redirect(http.StatusSeeOther, "/") },
	} {
		t.Run(name, func(t *testing.T) {
			a := kittest.NewSite(memstore.New(), sessionkit.Config{})
			a.Use(gin.RecoveryWithWriter(io.Discard))
			a.POST("/login", func(c *gin.Context) {
				sessionkit.Login(c, "42")
				answer(c)
				panic(fmt.Errorf("audit log: write: %w", syscall.EPIPE))
			})
			a.On("/", kittest.Whoami)
			b := kittest.NewBrowser(t, a)
			assert.Empty(t, b.Post("/login", nil).Header()["Set-Cookie"])
			assert.Empty(t, b.Get("/").Body.String())
		})
	}
}

// TestErrorOfAnotherConnection: a handler that records that its connection to a database or
// another server was lost, and answers, has not panicked.
func TestErrorOfAnotherConnection(t *testing.T) {
	onError := func(c *gin.Context) {
		if c.Next(); len(c.Errors) > 0 && !c.Writer.Written() {
			c.JSON(http.StatusBadRequest, c.Errors.Last().Error())
		}
	}
	for name, test := range map[string]struct {
		lost   error
		answer func(c *gin.Context)
		code   int
		more   []gin.HandlerFunc
	}{
		"a body":              {syscall.EPIPE, func(c *gin.Context) { c.AbortWithStatusJSON(http.StatusOK, "signed out") }, http.StatusOK, nil},
		"a status":            {syscall.ECONNRESET, func(c *gin.Context) { c.AbortWithStatus(http.StatusAccepted) }, http.StatusAccepted, nil},
		"a redirect":          {syscall.ECONNRESET, func(c *gin.Context) { c.Redirect(http.StatusSeeOther, "/"); c.Abort() }, http.StatusSeeOther, nil},
		"another's, later on": {syscall.EPIPE, func(c *gin.Context) { c.Abort() }, http.StatusBadRequest, []gin.HandlerFunc{onError}},
	} {
		t.Run(name, func(t *testing.T) {
			a := kittest.NewSite(memstore.New(), sessionkit.Config{})
			a.Use(test.more...)
			a.On("/login", kittest.SignIn("42"))
			a.On("/", kittest.Whoami)
			a.POST("/logout", func(c *gin.Context) {
				_ = c.Error(fmt.Errorf("audit log: write: %w", test.lost))
				sessionkit.Logout(c)
				sessionkit.Flash(c, sessionkit.Info, "Goodbye")
				test.answer(c)
			})
			a.On("/flashes", func(c *gin.Context) { c.JSON(http.StatusOK, len(sessionkit.Flashes(c))) })
			a.NoRoute(func(c *gin.Context) {
				c.Request.URL.Path = "/logout"
				a.ServeHTTP(c.Writer, c.Request)
			})
			for _, path := range []string{"/logout", "/served/again"} {
				b := kittest.NewBrowser(t, a)
				b.Get("/login")
				assert.Equal(t, test.code, b.Post(path, nil).Code, path)
				assert.Empty(t, b.Get("/").Body.String(), path)
				assert.Equal(t, "1", b.Get("/flashes").Body.String(), path)
			}
		})
	}
}

// TestErrorAsOfAPanic: a handler that aborts, and the error of another connection that is recorded
// then, look like a panic of which gin.Recovery has written nothing. If a recovery stands behind the
// middleware, nothing is saved, and the answer says so.
func TestErrorAsOfAPanic(t *testing.T) {
	audit := func(lost error) gin.HandlerFunc {
		return func(c *gin.Context) {
			if c.Next(); c.Request.Method == http.MethodPost {
				_ = c.Error(fmt.Errorf("audit log: %w", lost))
			}
		}
	}
	onError := func(c *gin.Context) {
		if c.Next(); c.Errors.Last() != nil && !c.Writer.Written() {
			c.Status(http.StatusBadGateway)
		}
	}
	recovery := gin.RecoveryWithWriter(io.Discard)
	kit := func(heard *[]error) gin.HandlerFunc {
		return sessionkit.Sessions(memstore.New(), sessionkit.Config{OnError: func(_ *gin.Context, err error) { *heard = append(*heard, err) }})
	}
	for name, test := range map[string]struct {
		chain func(kit gin.HandlerFunc) gin.HandlersChain
		told  bool
	}{
		"no recovery":         {func(kit gin.HandlerFunc) gin.HandlersChain { return gin.HandlersChain{onError, kit} }, false},
		"a recovery in front": {func(kit gin.HandlerFunc) gin.HandlersChain { return gin.HandlersChain{onError, recovery, kit} }, false},
		"a recovery behind":   {func(kit gin.HandlerFunc) gin.HandlersChain { return gin.HandlersChain{onError, kit, recovery} }, true},
		"in a function, recovery behind": {func(kit gin.HandlerFunc) gin.HandlersChain {
			return gin.HandlersChain{onError, func(c *gin.Context) { kit(c) }, recovery}
		}, true},
		"in a function, recovery somewhere": {func(kit gin.HandlerFunc) gin.HandlersChain {
			return gin.HandlersChain{onError, recovery, func(c *gin.Context) { kit(c) }}
		}, true},
	} {
		for _, lost := range []error{syscall.EPIPE, syscall.ECONNRESET} {
			for how, answer := range map[string]gin.HandlerFunc{
				"a redirect": func(c *gin.Context) { c.Redirect(http.StatusSeeOther, "/") },
				"nothing":    func(*gin.Context) {},
			} {
				t.Run(fmt.Sprintf("%s, %s, %v", name, how, lost), func(t *testing.T) {
					var errs []error
					r := gin.New()
					r.Use(test.chain(kit(&errs))...)
					r.Use(audit(lost))
					r.GET("/login", kittest.SignIn("42"))
					r.GET("/", kittest.Whoami)
					r.POST("/logout", sessionkit.Logout, answer, (*gin.Context).Abort)
					r.POST("/read", func(c *gin.Context) { sessionkit.User(c) }, answer, (*gin.Context).Abort)
					r.NoRoute(func(c *gin.Context) {
						c.Request.URL.Path = strings.TrimPrefix(c.Request.URL.Path, "/again")
						r.ServeHTTP(c.Writer, c.Request)
					})
					for _, again := range []string{"", "/again"} {
						b := kittest.NewBrowser(t, r)
						b.Get("/login")
						assert.NotEqual(t, http.StatusServiceUnavailable, b.Post(again+"/read", nil).Code, "nothing is lost")
						assert.Empty(t, errs)
						code := b.Post(again+"/logout", nil).Code
						if test.told && (again == "" || how == "nothing") { // one that was served again has answered
							assert.Equal(t, http.StatusServiceUnavailable, code)
							assert.ErrorIs(t, errors.Join(errs...), lost)
							errs = nil
							assert.Equal(t, "42", b.Get("/").Body.String())
							continue
						}
						assert.NotEqual(t, http.StatusServiceUnavailable, code)
						assert.Empty(t, errs)
						assert.Empty(t, b.Get("/").Body.String())
					}
				})
			}
		}
	}
}

// TestRecoversBehind: a recovery is known by the name of its function. The handler that answers is none,
// nor is one of a package that is called so.
func TestRecoversBehind(t *testing.T) {
	const own, last = "github.com/gin-sessionkit/sessionkit.(*kit).serve-fm", "main.main.func1"
	gins := runtime.FuncForPC(reflect.ValueOf(gin.RecoveryWithWriter(io.Discard)).Pointer()).Name()
	for _, test := range []struct {
		want  bool
		names []string
	}{
		{true, []string{own, gins, last}},
		{true, []string{own, "main.(*app).recoverPanics-fm", last}},
		{true, []string{gins, "main.sessions.func1", last}},
		{false, []string{gins, own, last}},
		{false, []string{own, "main.recoverAccount"}},
		{false, []string{own, "example.com/recovery/account.Show", last}},
		{false, []string{own, "example.com/recovery.Show", last}},
		{false, []string{gins, own}},
		{false, nil},
	} {
		assert.Equal(t, test.want, response.RecoversBehind(test.names), test.names)
	}
}

// TestRecoveriesBehindTheKitAfterTheHeader: what a handler changed before it panicked is
// not saved either. What was changed before the header went out is.
func TestRecoveriesBehindTheKitAfterTheHeader(t *testing.T) {
	page := func(c *gin.Context, _ any) { c.String(http.StatusInternalServerError, "sorry") }
	lost := fmt.Errorf("write: %w", syscall.EPIPE)
	for name, test := range map[string]struct {
		recovery gin.HandlerFunc
		then     func(c *gin.Context)
		saved    bool
	}{
		"gin's":           {gin.RecoveryWithWriter(io.Discard), func(*gin.Context) { panic("oops") }, false},
		"gin's, aborted":  {gin.RecoveryWithWriter(io.Discard), func(*gin.Context) { panic(http.ErrAbortHandler) }, false},
		"a page":          {gin.CustomRecoveryWithWriter(io.Discard, page), func(*gin.Context) { panic("oops") }, false},
		"no panic":        {gin.RecoveryWithWriter(io.Discard), func(c *gin.Context) { c.Status(http.StatusInternalServerError) }, true},
		"a lost client":   {gin.RecoveryWithWriter(io.Discard), func(c *gin.Context) { _ = c.Error(lost); c.Abort() }, true},
		"a handler's own": {func(*gin.Context) {}, func(*gin.Context) { defer func() { _ = recover() }(); panic("oops") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			a := kittest.NewSite(memstore.New(), sessionkit.Config{})
			a.On("/count", kittest.ShowCount)
			a.Use(test.recovery)
			a.On("/", kittest.Increment, func(c *gin.Context) {
				c.String(http.StatusOK, "begun")
				c.Writer.Flush()
				kittest.Increment(c)
				test.then(c)
			})
			b := kittest.NewBrowser(t, a)
			b.Get("/")
			n := 1
			if test.saved {
				n = 2
			}
			assert.JSONEq(t, fmt.Sprintf(`{"n":%d,"ok":true}`, n), b.Get("/count").Body.String())
			assert.Empty(t, a.Errors())
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
	group.GET("/login", kittest.SignIn("42"), kittest.Whoami)
	group.GET("/", kittest.Whoami)
	b := kittest.NewBrowser(t, r)
	assert.Len(t, kittest.SetCookies(b.Get("/login")), 1)
	assert.Equal(t, "42", b.Get("/").Body.String())
}

// TestUsedTwiceAroundAnother: also if the outer one's session has been changed.
func TestUsedTwiceAroundAnother(t *testing.T) {
	user, admin := sessionkit.Sessions(memstore.New()), sessionkit.Sessions(memstore.New(), sessionkit.Config{Name: "admin"})
	var between, seen string
	r := gin.New()
	r.GET("/login", user, kittest.Increment, admin, kittest.SignIn("root"), func(c *gin.Context) {
		c.Next()
		between, _ = sessionkit.User(c)
	}, user, kittest.Increment, kittest.SignIn("42"), admin, func(c *gin.Context) {
		c.Next()
		seen, _ = sessionkit.User(c)
	}, user, kittest.Whoami)
	r.GET("/", user, kittest.Whoami)
	r.GET("/count", user, kittest.ShowCount)
	r.GET("/admin", admin, kittest.Whoami)
	b := kittest.NewBrowser(t, r)
	w := b.Get("/login")
	assert.Equal(t, "42", w.Body.String())
	assert.Len(t, kittest.SetCookies(w), 2)
	assert.Equal(t, []string{"root", "root"}, []string{between, seen})
	assert.Equal(t, "42", b.Get("/").Body.String())
	assert.JSONEq(t, `{"n":2,"ok":true}`, b.Get("/count").Body.String())
	assert.Equal(t, "root", b.Get("/admin").Body.String())
}

func TestTwoOfOneName(t *testing.T) {
	r := gin.New()
	r.Use(gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, err any) { c.String(http.StatusInternalServerError, fmt.Sprint(err)) }))
	r.Use(sessionkit.Sessions(memstore.New()))
	r.GET("/same", sessionkit.Sessions(memstore.New()), kittest.SignIn("42"))
	r.GET("/other", sessionkit.Sessions(memstore.New(), sessionkit.Config{Name: "admin"}), kittest.SignIn("root"), kittest.Whoami)
	r.GET("/", kittest.Whoami)
	r.GET("/between", sessionkit.Sessions(memstore.New(), sessionkit.Config{Name: "admin"}), sessionkit.Sessions(memstore.New()), kittest.SignIn("42"))
	r.GET("/path", sessionkit.Sessions(memstore.New(), sessionkit.Config{Path: "/path"}), kittest.SignIn("42"))
	for _, path := range []string{"/same", "/between", "/path"} {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://example.com"+path, nil))
		assert.Contains(t, w.Body.String(), `sessionkit: Config.Name is "session": another Sessions of this name runs in the same request`)
	}
	b := kittest.NewBrowser(t, r)
	assert.Equal(t, "root", b.Get("/other").Body.String())
	assert.Empty(t, b.Get("/").Body.String())
}

// mounts are ways for an engine to have another one serve a request.
var mounts = map[string]func(http.Handler) gin.HandlerFunc{
	"WrapH":     gin.WrapH,
	"ServeHTTP": func(h http.Handler) gin.HandlerFunc { return func(c *gin.Context) { h.ServeHTTP(c.Writer, c.Request) } },
	"a prefix":  func(h http.Handler) gin.HandlerFunc { return gin.WrapH(http.StripPrefix("/in", h)) },
}

// TestTwoOfOneNameInTwoEngines: the outer one's cookie would take the place of the inner one's,
// in which somebody has just signed in.
func TestTwoOfOneNameInTwoEngines(t *testing.T) {
	store := memstore.New()
	for name, inner := range map[string]gin.HandlersChain{
		"another":             {sessionkit.Sessions(store)},
		"of another path":     {sessionkit.Sessions(store, sessionkit.Config{Path: "/in"})},
		"behind another name": {sessionkit.Sessions(memstore.New(), sessionkit.Config{Name: "admin"}), sessionkit.Sessions(store)},
	} {
		for by, mount := range mounts {
			t.Run(name+", by "+by, func(t *testing.T) {
				admin := gin.New()
				admin.Use(inner...)
				admin.NoRoute(kittest.SignIn("42"))
				r := gin.New()
				r.Use(sessionkit.Sessions(store), kittest.Increment)
				r.Any("/in/*path", mount(admin))
				assert.PanicsWithError(t, `sessionkit: Config.Name is "session": another Sessions of this name runs in the same request; `+
					"use that one, or give this one another Name", func() { kittest.NewBrowser(t, r).Post("/in/login", nil) })
			})
		}
	}
}

// TestUsedByTwoEngines: of which one has the other mounted. They have the one session, and
// handlers of either see what those of the other have changed.
func TestUsedByTwoEngines(t *testing.T) {
	user, admin := sessionkit.Sessions(memstore.New()), sessionkit.Sessions(memstore.New(), sessionkit.Config{Name: "admin"})
	for name, test := range map[string]struct{ outer, inner gin.HandlersChain }{
		"alone":              {gin.HandlersChain{user}, gin.HandlersChain{user}},
		"behind another":     {gin.HandlersChain{user}, gin.HandlersChain{admin, user}},
		"around another":     {gin.HandlersChain{user, admin, user}, gin.HandlersChain{user}},
		"both, in any order": {gin.HandlersChain{admin, user}, gin.HandlersChain{user, admin, user}},
	} {
		for by, mount := range mounts {
			t.Run(name+", by "+by, func(t *testing.T) {
				in := gin.New()
				in.Use(test.inner...)
				in.NoRoute(kittest.Increment, kittest.SignIn("42"), kittest.ShowCount)
				r := gin.New()
				var seen string
				r.Any("/in/*path", slices.Concat(test.outer, gin.HandlersChain{kittest.Increment, mount(in), func(c *gin.Context) { seen, _ = sessionkit.User(c) }})...)
				r.GET("/", user, kittest.Whoami)
				b := kittest.NewBrowser(t, r)
				w := b.Post("/in/login", nil)
				assert.JSONEq(t, `{"n":2,"ok":true}`, w.Body.String())
				assert.Len(t, kittest.SetCookies(w), 1)
				assert.Equal(t, "42", seen)
				assert.Equal(t, "42", b.Get("/").Body.String())
			})
		}
	}
}

// TestServedAgain: a fallback has its own engine serve another path, whether or not the
// session has been used by then.
func TestServedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		before gin.HandlerFunc
		count  int
	}{
		"unused":  {func(*gin.Context) {}, 2},
		"read":    {func(c *gin.Context) { kittest.Count.Get(c) }, 2},
		"changed": {kittest.Increment, 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := gin.New()
			r.Use(sessionkit.Sessions(memstore.New()))
			r.GET("/", kittest.Increment, kittest.ShowCount)
			r.NoRoute(test.before, func(c *gin.Context) {
				c.Request.URL.Path = "/"
				r.ServeHTTP(c.Writer, c.Request)
			})
			b := kittest.NewBrowser(t, r)
			b.Get("/")
			w := b.Get("/deep/link")
			assert.Equal(t, http.StatusOK, w.Code)
			assert.JSONEq(t, fmt.Sprintf(`{"n":%d,"ok":true}`, test.count), w.Body.String())
		})
	}
}

// TestServedAgainInFront: a fallback in front of the middleware acts when that has saved.
func TestServedAgainInFront(t *testing.T) {
	r := gin.New()
	r.Use(func(c *gin.Context) {
		if c.Next(); c.Writer.Status() == http.StatusNotFound {
			c.Request.URL.Path = "/"
			r.ServeHTTP(c.Writer, c.Request)
		}
	})
	var errs []error
	r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{OnError: func(_ *gin.Context, err error) { errs = append(errs, err) }}))
	r.GET("/", kittest.Increment, kittest.ShowCount)
	b := kittest.NewBrowser(t, r)
	b.Get("/")
	assert.JSONEq(t, `{"n":2,"ok":true}`, b.Get("/deep/link").Body.String())
	assert.Empty(t, errs)
}

// TestServedAgainPanics: what has panicked saves nothing, whoever recovers.
func TestServedAgainPanics(t *testing.T) {
	kit, admin := sessionkit.Sessions(memstore.New()), sessionkit.Sessions(memstore.New(), sessionkit.Config{Name: "admin"})
	recoveries := map[string]gin.HandlerFunc{
		"gin's":    gin.RecoveryWithWriter(io.Discard),
		"a status": gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) { c.Status(http.StatusInternalServerError) }),
	}
	for by, recovery := range recoveries {
		for order, chain := range map[string]gin.HandlersChain{
			"in front":         {recovery, kit},
			"behind":           {kit, recovery},
			"with another one": {recovery, admin, kit},
		} {
			for _, value := range []any{"oops", http.ErrAbortHandler, syscall.EPIPE} {
				t.Run(fmt.Sprintf("%s, %s, %v", by, order, value), func(t *testing.T) {
					r := gin.New()
					r.Use(chain...)
					r.GET("/", kittest.SignIn("42"), func(*gin.Context) { panic(value) })
					r.NoRoute(func(c *gin.Context) {
						c.Request.URL.Path = "/"
						r.ServeHTTP(c.Writer, c.Request)
					})
					b := kittest.NewBrowser(t, r)
					b.Get("/deep/link")
					assert.Empty(t, b.Cookies)
				})
			}
		}
	}
}

// TestTwoEngines: of two names, and where one engine alone has sessions.
func TestTwoEngines(t *testing.T) {
	serve := func(outer, inner gin.HandlersChain) *kittest.Browser {
		admin := gin.New()
		admin.Use(inner...)
		admin.POST("/in/login", kittest.SignIn("42"))
		admin.GET("/in/user", kittest.Whoami)
		r := gin.New()
		r.Use(outer...)
		r.Any("/in/*path", gin.WrapH(admin))
		return kittest.NewBrowser(t, r)
	}
	kit := sessionkit.Sessions(memstore.New())
	other := sessionkit.Sessions(memstore.New(), sessionkit.Config{Name: "site"})
	for name, b := range map[string]*kittest.Browser{
		"two names": serve(gin.HandlersChain{other, kittest.Increment}, gin.HandlersChain{kit}),
		"one":       serve(nil, gin.HandlersChain{kit}),
	} {
		assert.Equal(t, http.StatusOK, b.Post("/in/login", nil).Code, name)
		assert.Equal(t, "42", b.Get("/in/user").Body.String(), name)
	}
}

// TestTwoOfOneTokenHeader: a response has room for the token of one of them.
func TestTwoOfOneTokenHeader(t *testing.T) {
	serve := func(inner string) int {
		r := gin.New()
		r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{TokenHeader: "Authorization"}))
		r.GET("/", sessionkit.Sessions(memstore.New(), sessionkit.Config{Name: "admin", TokenHeader: inner}), kittest.SignIn("root"))
		return kittest.NewBrowser(t, r).Get("/").Code
	}
	for _, same := range []string{"Authorization", "authorization"} {
		assert.PanicsWithError(t, `sessionkit: Config.TokenHeader is "Authorization": another Sessions in the same request sends its tokens there; `+
			"give this one another TokenHeader", func() { serve(same) })
	}
	for _, other := range []string{"X-Admin-Token", ""} {
		assert.Equal(t, http.StatusOK, serve(other))
	}
}

// TestOneInsideAnother: a middleware before the inner one goes on with the session
// that it knows.
func TestOneInsideAnother(t *testing.T) {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()), func(c *gin.Context) {
		c.Next()
		kittest.Increment(c)
	})
	r.GET("/admin", sessionkit.Sessions(memstore.New(), sessionkit.Config{Name: "admin"}), kittest.SignIn("root"))
	r.GET("/count", kittest.ShowCount)
	b := kittest.NewBrowser(t, r)
	b.Get("/admin")
	assert.JSONEq(t, `{"n":1,"ok":true}`, b.Get("/count").Body.String())
}

// TestFailureBesideAnother: of two, one fails to save. The other's session has been saved,
// and it may have a new ID, so its cookie is sent.
func TestFailureBesideAnother(t *testing.T) {
	login := kittest.SignIn("42")
	write := func(c *gin.Context) { c.String(http.StatusOK, "welcome") }
	change := func(c *gin.Context) {
		kittest.Increment(c)
		http.SetCookie(c.Writer, &http.Cookie{Name: "handlers", Value: "1"})
	}
	early := func(c *gin.Context) {
		login(c)
		assert.NoError(t, sessions.Default(c).Save())
	}
	for name, test := range map[string]struct {
		outer, inner []gin.HandlerFunc // of which change fails
		saved        string
	}{
		"the outer one":                     {[]gin.HandlerFunc{change}, []gin.HandlerFunc{login}, "inner"},
		"the outer one, at the first byte":  {[]gin.HandlerFunc{change}, []gin.HandlerFunc{login, write}, "inner"},
		"the inner one":                     {[]gin.HandlerFunc{login}, []gin.HandlerFunc{change, write}, "outer"},
		"the inner one, after a Save early": {[]gin.HandlerFunc{early}, []gin.HandlerFunc{change, write}, "outer"},
	} {
		for _, mounted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, in another engine: %t", name, mounted), func(t *testing.T) {
				backends := map[string]*kittest.Backend{"outer": kittest.NewBackend(), "inner": kittest.NewBackend()}
				for of, backend := range backends {
					if of != test.saved {
						backend.Failing(kittest.ErrDown, "create")
					}
				}
				outer := sessionkit.Sessions(kittest.StoreOver(backends["outer"]), sessionkit.Config{Name: "outer"})
				inner := sessionkit.Sessions(kittest.StoreOver(backends["inner"]), sessionkit.Config{Name: "inner"})
				behind := slices.Concat([]gin.HandlerFunc{inner}, test.inner)
				if mounted {
					in := gin.New()
					in.GET("/", behind...)
					behind = []gin.HandlerFunc{gin.WrapH(in)}
				}
				r := gin.New()
				r.GET("/", slices.Concat([]gin.HandlerFunc{outer}, test.outer, behind)...)
				r.GET("/outer", outer, kittest.Whoami)
				r.GET("/inner", inner, kittest.Whoami)
				b := kittest.NewBrowser(t, r)
				assert.Equal(t, http.StatusServiceUnavailable, b.Get("/").Code)
				assert.Len(t, b.Cookies, 1)
				assert.Equal(t, "42", b.Get("/"+test.saved).Body.String())
			})
		}
	}
}

// TestSignOutBesideAFailure: of two, the outer one fails to save. The sign-out of the inner one
// stands, and the browser is told all of it.
func TestSignOutBesideAFailure(t *testing.T) {
	for _, mounted := range []bool{false, true} {
		t.Run(fmt.Sprintf("in another engine: %t", mounted), func(t *testing.T) {
			backend := kittest.NewBackend()
			backend.Failing(kittest.ErrDown, "create")
			outer := sessionkit.Sessions(kittest.StoreOver(backend), sessionkit.Config{Name: "outer"})
			inner := sessionkit.Sessions(memstore.New(), sessionkit.Config{ClearSiteData: []string{"storage"}})
			behind := []gin.HandlerFunc{inner, sessionkit.Logout}
			if mounted {
				in := gin.New()
				in.GET("/logout", behind...)
				behind = []gin.HandlerFunc{gin.WrapH(in)}
			}
			r := gin.New()
			r.GET("/login", inner, kittest.SignIn("42"))
			r.GET("/logout", slices.Concat([]gin.HandlerFunc{outer, kittest.Increment}, behind)...)
			b := kittest.NewBrowser(t, r)
			b.Get("/login")
			w := b.Get("/logout")
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.Empty(t, b.Cookies)
			assert.Equal(t, `"storage"`, w.Header().Get("Clear-Site-Data"))
		})
	}
}

// TestDoneBesideAFailure: of two, one fails to save. The client has got an error, so the stream
// ends, whichever session it waits for.
func TestDoneBesideAFailure(t *testing.T) {
	for _, fails := range []string{"outer", "inner"} {
		for _, before := range []bool{false, true} {
			for _, mounted := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, Done before the header: %t, in another engine: %t", fails, before, mounted), func(t *testing.T) {
					backends := map[string]*kittest.Backend{"outer": kittest.NewBackend(), "inner": kittest.NewBackend()}
					outer := sessionkit.Sessions(kittest.StoreOver(backends["outer"]), sessionkit.Config{Name: "outer"})
					inner := sessionkit.Sessions(kittest.StoreOver(backends["inner"]), sessionkit.Config{Name: "inner"})
					behind := []gin.HandlerFunc{inner, kittest.Increment, func(c *gin.Context) {
						if before {
							sessionkit.Done(c)
						}
						c.Writer.Flush()
						kittest.AwaitEnd(t, sessionkit.Done(c))
					}}
					if mounted {
						in := gin.New()
						in.GET("/stream", behind...)
						behind = []gin.HandlerFunc{gin.WrapH(in)}
					}
					r := gin.New()
					r.GET("/login", outer, kittest.SignIn("42"), inner, kittest.SignIn("root"))
					r.GET("/stream", slices.Concat([]gin.HandlerFunc{outer, kittest.Increment, func(c *gin.Context) {
						ended := sessionkit.Done(c)
						c.Next()
						kittest.AwaitEnd(t, ended)
					}}, behind)...)
					b := kittest.NewBrowser(t, r)
					b.Get("/login")
					assert.Len(t, b.Cookies, 2)
					backends[fails].Failing(kittest.ErrDown, "update")
					assert.Equal(t, http.StatusServiceUnavailable, b.Get("/stream").Code)
				})
			}
		}
	}
}
