package sessionkit_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	gincookie "github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

func TestMain(m *testing.M) { kittest.Main(m) }

func TestSavedBeforeAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file.txt")
	require.NoError(t, os.WriteFile(path, []byte("content"), 0o600))
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/file", func(c *gin.Context) { kittest.Count.Set(c, 7); c.File(path) })
	a.On("/", kittest.ShowCount)
	b := kittest.NewBrowser(t, a)
	assert.Equal(t, "content", b.Get("/file").Body.String())
	assert.JSONEq(t, `{"n": 7, "ok": true}`, b.Get("/").Body.String())
}

// hijackable is a response that can be taken over.
type hijackable struct{ *httptest.ResponseRecorder }

func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }

func TestSavedBeforeAHijack(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
	a.On("/start", kittest.Increment)
	a.On("/hijack", func(c *gin.Context) {
		kittest.Increment(c)
		if _, _, err := c.Writer.Hijack(); err != nil {
			return // the answer has been given
		}
		s.On("hijacked") //nolint:errcheck // only to be seen among the calls
	})
	a.On("/", kittest.ShowCount)
	b := kittest.NewBrowser(t, a)
	hijack := func(b *kittest.Browser) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		a.ServeHTTP(hijackable{w}, b.Request(http.MethodGet, "/hijack"))
		return w
	}
	b.Get("/start")
	s.Called()
	hijack(b)
	assert.Equal(t, []string{"load", "update", "hijacked"}, s.Called())
	s.Failing(errors.New("down"), "update")
	assert.Equal(t, http.StatusServiceUnavailable, hijack(b).Code)
	s.Failing(nil)
	assert.JSONEq(t, `{"n": 2, "ok": true}`, b.Get("/").Body.String())
	a.Errors()
	a.Kinds()

	w := hijack(kittest.NewBrowser(t, a))
	assert.Equal(t, http.StatusInternalServerError, w.Code, "a hijacked connection takes no new cookie, however often it is tried")
	assert.Empty(t, w.Header()["Retry-After"])
	errs := a.Errors()
	require.Len(t, errs, 1)
	assert.ErrorContains(t, errs[0], "a handshake sends no cookie; begin the session in a request before it")
	assert.Empty(t, a.Kinds(), "the store has done its part")
}

// TestHandshakeWithACookie: a handler that sends the header first can have one in it.
func TestHandshakeWithACookie(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/hijack", func(c *gin.Context) {
		kittest.Increment(c)
		c.Status(http.StatusSwitchingProtocols)
		c.Writer.WriteHeaderNow()
		_, _, err := c.Writer.Hijack()
		assert.NoError(t, err)
	})
	w := httptest.NewRecorder()
	a.ServeHTTP(hijackable{w}, kittest.NewBrowser(t, a).Request(http.MethodGet, "/hijack"))
	assert.Len(t, w.Header()["Set-Cookie"], 1)
	assert.Empty(t, a.Errors())
}

// TestHandshakeThatChangesNothing: over a cookie store, that the session was used is left to another
// request to record, as it takes a cookie. The program has made no mistake.
func TestHandshakeThatChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := kittest.NewSite(gincookie.NewStore(kittest.TestSecret), sessionkit.Config{})
		a.On("/login", kittest.SignIn("42"))
		a.On("/ws", func(c *gin.Context) {
			user, _ := sessionkit.User(c)
			assert.Equal(t, "42", user)
			_, _, err := c.Writer.Hijack()
			assert.NoError(t, err)
		})
		b := kittest.NewBrowser(t, a)
		b.Get("/login")
		time.Sleep(2 * time.Minute)
		w := httptest.NewRecorder()
		a.ServeHTTP(hijackable{w}, b.Request(http.MethodGet, "/ws"))
		assert.Empty(t, a.Errors())
		assert.Empty(t, w.Header()["Set-Cookie"])
	})
}

// TestPushBeforeAChange: what is pushed is no part of the response, so that a handler changes the
// session also after it.
func TestPushBeforeAChange(t *testing.T) {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{OnError: func(_ *gin.Context, err error) { assert.NoError(t, err) }}))
	r.POST("/login", func(c *gin.Context) {
		if pusher := c.Writer.Pusher(); assert.NotNil(t, pusher) {
			_ = pusher.Push("/style.css", nil) // which this client refuses
		}
		sessionkit.Login(c, "42")
		c.Status(http.StatusNoContent)
	})
	r.GET("/", kittest.Whoami)
	server := httptest.NewUnstartedServer(r)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	client := server.Client()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client.Jar = jar
	send := func(method, path string) (code int, body string) {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		require.NoError(t, err)
		res, err := client.Do(req)
		require.NoError(t, err)
		defer res.Body.Close() //nolint:errcheck // it is only read
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		assert.Equal(t, "HTTP/2.0", res.Proto)
		return res.StatusCode, string(text)
	}
	code, _ := send(http.MethodPost, "/login")
	assert.Equal(t, http.StatusNoContent, code)
	_, user := send(http.MethodGet, "/")
	assert.Equal(t, "42", user)
}

func TestWriterHidesNothing(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/", func(c *gin.Context) {
		assert.Implements(t, (*gin.ResponseWriter)(nil), c.Writer)
		assert.Implements(t, (*io.ReaderFrom)(nil), c.Writer)
		assert.Implements(t, (*io.StringWriter)(nil), c.Writer)
		controller := http.NewResponseController(c.Writer)
		assert.NoError(t, controller.SetWriteDeadline(time.Now().Add(time.Minute)))
		assert.NoError(t, controller.SetReadDeadline(time.Now().Add(time.Minute)))
		assert.NoError(t, controller.EnableFullDuplex())
		assert.Nil(t, c.Writer.Pusher(), "HTTP/1 has no push")
		assert.Equal(t, -1, c.Writer.Size())
		c.String(http.StatusTeapot, "abc")
		assert.Equal(t, http.StatusTeapot, c.Writer.Status())
		assert.Equal(t, 3, c.Writer.Size())
		assert.True(t, c.Writer.Written())
	})
	server := httptest.NewServer(a)
	defer server.Close()
	res, err := server.Client().Get(server.URL)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	assert.Equal(t, http.StatusTeapot, res.StatusCode)
}

func TestSavedOnce(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
	a.On("/", func(c *gin.Context) {
		for i := range 5 {
			kittest.Count.Set(c, i)
			legacy := sessions.Default(c)
			legacy.Set("other", i)
			if c.Query("save") != "" {
				assert.NoError(t, legacy.Save())
			}
		}
		c.String(http.StatusOK, "a")
		c.String(http.StatusOK, "b")
	})
	for target, calls := range map[string][]string{
		"/":        {"create"},
		"/?save=1": {"create", "update"}, // the first Save stores the session, and the others have nothing to do
	} {
		b := kittest.NewBrowser(t, a)
		w := b.Get(target)
		assert.Equal(t, calls, s.Called())
		assert.Len(t, w.Header()["Set-Cookie"], 1)
		b.Get(target)
		assert.Equal(t, []string{"load"}, s.Called(), "the same values again are no change")
	}
}

func TestNothingTouched(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
	a.On("/set", kittest.Increment)
	a.On("/", func(c *gin.Context) { c.String(http.StatusOK, "hello") })
	b := kittest.NewBrowser(t, a)
	b.Get("/set")
	s.Called()
	w := b.Get("/")
	assert.Empty(t, s.Called(), "a request that does not touch the session does not read it")
	assert.Empty(t, w.Header()["Vary"])
	assert.Empty(t, w.Header()["Set-Cookie"])
}

// TestHandledContextBehindTwo: a handler has its own session also after gin has run the
// handlers of another route for it.
func TestHandledContextBehindTwo(t *testing.T) {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{Name: "a"}), func(c *gin.Context) { kittest.Name.Set(c, "of a") })
	r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{Name: "b"}))
	r.GET("/other", func(*gin.Context) {})
	r.GET("/", func(c *gin.Context) {
		kittest.Count.Set(c, 7)
		c.Request.URL.Path = "/other"
		r.HandleContext(c)
		n, _ := kittest.Count.Get(c)
		assert.Equal(t, 7, n)
		_, ok := kittest.Name.Get(c)
		assert.False(t, ok, "that is of the other session")
	})
	kittest.NewBrowser(t, r).Get("/")
}

// TestOnEventBehindTwo: what the outer of two middlewares is told of its session, when the handlers of
// the inner one answer, comes with that session, and can set cookies.
func TestOnEventBehindTwo(t *testing.T) {
	known := sessionkit.NewCookie[string]("known")
	s := memstore.New()
	r := gin.New()
	var handlers *gin.Context
	r.Use(sessionkit.Sessions(s, sessionkit.Config{Name: "shop", OnEvent: func(c *gin.Context, e sessionkit.Event) {
		if e.Kind == sessionkit.EventCreated {
			user, _ := sessionkit.User(c)
			assert.Empty(t, user)
			assert.NoError(t, known.Set(c, "x"))
			sessionkit.Flash(c, sessionkit.Info, "Welcome to the shop")
			c.Set("told", true)
			c.Set("list", []string{"of", "OnEvent"})
			handlers.Set("step", 2) // as a goroutine of the handler may do at this moment
			handlers.Set("rows", []int{1, 2})
			handlers.Set("texts", map[string]string{"step": "2"})
		}
	}}))
	r.Use(func(c *gin.Context) {
		kittest.Increment(c)
		handlers = c
		c.Set("step", 1)
		c.Set("list", []string{"of", "the", "handlers"})
		c.Set("rows", []int{1})
		c.Set("texts", map[string]string{"step": "1"})
		c.Next()
		assert.True(t, c.GetBool("told"))
		assert.Equal(t, []string{"of", "OnEvent"}, c.GetStringSlice("list"))
		assert.Equal(t, 2, c.GetInt("step"))
		assert.Equal(t, []int{1, 2}, c.GetIntSlice("rows"))
		assert.Equal(t, map[string]string{"step": "2"}, c.GetStringMapString("texts"))
	})
	flashes := func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Flashes(c)) }
	admin := r.Group("/admin", sessionkit.Sessions(s, sessionkit.Config{Name: "admin"}))
	admin.GET("/login", kittest.SignIn("root"), func(c *gin.Context) { c.String(http.StatusOK, "welcome") })
	b := kittest.NewBrowser(t, r)
	b.Get("/admin/login")
	assert.Equal(t, "x", b.Cookies["known"])
	other := gin.New()
	other.GET("/shop", sessionkit.Sessions(s, sessionkit.Config{Name: "shop"}), flashes)
	other.GET("/admin", sessionkit.Sessions(s, sessionkit.Config{Name: "admin"}), flashes)
	b.Handler = other
	assert.Equal(t, "null", b.Get("/admin").Body.String())
	assert.Contains(t, b.Get("/shop").Body.String(), "Welcome to the shop")
}

// TestErrorPageBehindTwo: the page that a middleware answers with has its own session, also if
// the handlers have that of another one.
func TestErrorPageBehindTwo(t *testing.T) {
	config := func(name string) sessionkit.Config {
		return sessionkit.Config{Name: name, OnError: func(*gin.Context, error) {}, ErrorPage: func(c *gin.Context, p sessionkit.Problem) {
			user, _ := sessionkit.User(c)
			assert.NotNil(t, sessions.Default(c).Get("count"), "gin-contrib's is the same")
			assert.Error(t, sessionkit.Err(c))
			c.String(p.Status, "%s of %s", user, name)
			assert.NoError(t, http.NewResponseController(c.Writer).Flush())
		}}
	}
	for fails, want := range map[string]string{"shop": "alice of shop", "admin": "root of admin"} {
		t.Run(fails, func(t *testing.T) {
			backends := map[string]*kittest.Backend{"shop": kittest.NewBackend(), "admin": kittest.NewBackend()}
			r := gin.New()
			r.Use(sessionkit.Sessions(kittest.StoreOver(backends["shop"]), config("shop")))
			r.GET("/login", kittest.SignIn("alice"), kittest.Increment)
			var after string
			r.Use(func(c *gin.Context) {
				kittest.Increment(c)
				c.Next()
				after, _ = sessionkit.User(c)
			})
			admin := r.Group("/admin", sessionkit.Sessions(kittest.StoreOver(backends["admin"]), config("admin")))
			admin.GET("/login", kittest.SignIn("root"), kittest.Increment)
			admin.GET("/set", func(c *gin.Context) {
				kittest.Increment(c)
				c.String(http.StatusOK, "done")
				user, _ := sessionkit.User(c)
				assert.Equal(t, "root", user, "the handler has its own again")
			})
			b := kittest.NewBrowser(t, r)
			b.Get("/login")
			b.Get("/admin/login")
			backends[fails].Failing(kittest.ErrDown, "update")
			w := b.Get("/admin/set", "Accept", "text/html")
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.Equal(t, want, w.Body.String())
			assert.Equal(t, "alice", after)
		})
	}
}

// TestStreamWithNothingToSave: what every other request looks through holds no streams that
// have saved what they changed.
func TestStreamWithNothingToSave(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/start", kittest.Increment)
	a.On("/stream", func(c *gin.Context) {
		kittest.Increment(c)
		assert.True(t, sessionkit.Resumes(c))
		c.Writer.Flush()
		assert.False(t, sessionkit.Resumes(c))
		kittest.Increment(c)
		assert.True(t, sessionkit.Resumes(c), "this is saved in the end")
		assert.NoError(t, sessions.Default(c).Save())
		assert.False(t, sessionkit.Resumes(c))
		kittest.Increment(c)
	})
	a.On("/", kittest.ShowCount)
	b := kittest.NewBrowser(t, a)
	b.Get("/start")
	b.Get("/stream")
	assert.JSONEq(t, `{"n": 4, "ok": true}`, b.Get("/").Body.String())
	assert.Empty(t, a.Errors())
}

// TestHandledContextOfAStream: a session that this very response has begun goes on as well.
func TestHandledContextOfAStream(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	for path, early := range map[string]bool{"/login": false, "/early": true} {
		a.On(path, kittest.SignIn("42"), func(c *gin.Context) {
			if early {
				assert.NoError(t, sessions.Default(c).Save())
			}
			c.Writer.Flush()
			c.Request.URL.Path = "/"
			a.HandleContext(c)
		})
	}
	a.On("/", kittest.Whoami)
	for _, path := range []string{"/login", "/early"} {
		assert.Equal(t, "42", kittest.NewBrowser(t, a).Get(path).Body.String(), path)
	}
	assert.Empty(t, a.Errors())
}

// TestHandledContextAfterSave: so does one that it has begun, and saved again since.
func TestHandledContextAfterSave(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/stream", func(c *gin.Context) {
		kittest.Increment(c)
		c.Writer.Flush()
		kittest.Increment(c)
		assert.NoError(t, sessions.Default(c).Save())
		c.Request.URL.Path = "/more"
		a.HandleContext(c)
	})
	a.On("/more", kittest.Increment)
	a.On("/", kittest.ShowCount)
	b := kittest.NewBrowser(t, a)
	b.Get("/stream")
	assert.JSONEq(t, `{"n": 3, "ok": true}`, b.Get("/").Body.String())
	assert.Empty(t, a.Errors())
}

// TestOnErrorThatChangesTheSession: an OnError that leaves a message for the user is not called
// again and again for what becomes of that.
func TestOnErrorThatChangesTheSession(t *testing.T) {
	var errs []error
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{OnError: func(c *gin.Context, err error) {
		errs = append(errs, err)
		require.Less(t, len(errs), 20, "%v", err)
		sessionkit.Flash(c, sessionkit.Error, "Something went wrong")
	}}))
	r.GET("/", func(c *gin.Context) {
		c.String(http.StatusOK, "too late for a cookie")
		kittest.Increment(c)
	})
	assert.Equal(t, http.StatusOK, kittest.NewBrowser(t, r).Get("/").Code)
	assert.NotEmpty(t, errs)
}

// TestSaveThatPanics: what failed so as the request ended is not tried again.
func TestSaveThatPanics(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{}, gin.RecoveryWithWriter(io.Discard))
	a.On("/set", kittest.Increment)
	a.On("/fails", kittest.Increment, func(*gin.Context) {
		s.Before = func(method string) {
			if method == "update" {
				s.Before = nil
				panic("oops")
			}
		}
	})
	a.On("/", kittest.ShowCount)
	b := kittest.NewBrowser(t, a)
	b.Get("/set")
	assert.Equal(t, http.StatusInternalServerError, b.Get("/fails").Code)
	assert.JSONEq(t, `{"n": 1, "ok": true}`, b.Get("/").Body.String())
}

// TestContextOfACommitThatPanicked: gin gives it to the next request, which may be a stranger's.
func TestContextOfACommitThatPanicked(t *testing.T) {
	s := kittest.NewBackend()
	r := gin.New()
	r.Use(gin.RecoveryWithWriter(io.Discard), sessionkit.Sessions(kittest.StoreOver(s), sessionkit.Config{
		OnEvent: func(c *gin.Context, e sessionkit.Event) {
			if e.Kind == sessionkit.EventSignedIn {
				kittest.Increment(c) // which is saved at the very end
				s.Before = func(string) { panic("oops") }
			}
		},
	}))
	r.POST("/login", kittest.SignIn("42"))
	r.GET("/", kittest.Whoami)
	w := httptest.NewRecorder()
	c := gin.CreateTestContextOnly(w, r)
	c.Request = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", nil)
	r.HandleContext(c)
	require.NotNil(t, s.Before, "nobody has signed in")
	s.Before = nil
	w.Body.Reset()
	c.Request = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.HandleContext(c)
	assert.NotContains(t, w.Body.String(), "42")
}

func TestFailedLoad(t *testing.T) {
	s := kittest.NewBackend()
	cause := errors.New("down")
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/", func(c *gin.Context) {
		_, ok := sessionkit.User(c)
		assert.False(t, ok)
		assert.ErrorIs(t, sessionkit.Err(c), cause)
		c.String(http.StatusOK, "page")
	})
	a.On("/account", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"}), kittest.Whoami)
	changes := map[string]gin.HandlerFunc{
		"/set":    kittest.Increment,
		"/legacy": func(c *gin.Context) { sessions.Default(c).Set("x", 1); _ = sessions.Default(c).Save() },
		"/in":     kittest.SignIn("43"),
		"/out":    func(c *gin.Context) { sessionkit.Logout(c); c.Redirect(http.StatusSeeOther, "/") },
		"/flash":  func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "x") },
		"/clear":  func(c *gin.Context) { sessions.Default(c).Options(sessions.Options{MaxAge: -1}) },
	}
	for path, change := range changes {
		a.On(path, change)
	}
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	session := b.Session()
	a.Kinds()

	s.Failing(cause, "load")
	w := b.Get("/")
	assert.Equal(t, http.StatusOK, w.Code, "a page that does not need the session is shown")
	assert.Equal(t, []sessionkit.EventKind{sessionkit.EventStoreError}, a.Kinds())
	require.Len(t, a.Errors(), 1)

	w = b.Get("/account", "Accept", "text/html", "Sec-Fetch-Mode", "navigate")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code, "an outage is not signed out")
	assert.NotEmpty(t, w.Header().Get("Retry-After"))
	assert.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	assert.Contains(t, b.Get("/account").Body.String(), `"reason":"unavailable"`)
	a.Errors()

	for path := range changes {
		s.Called()
		w := b.Get(path)
		assert.Equal(t, http.StatusServiceUnavailable, w.Code, path)
		assert.Equal(t, []string{"load"}, s.Called(), "a session that could not be read is not written: %s", path)
		assert.Empty(t, w.Header()["Set-Cookie"], path)
	}
	s.Failing(nil)
	assert.Equal(t, session, b.Session())
	assert.Equal(t, "42", b.Get("/account").Body.String(), "after the outage the user is signed in as before")
}

// TestFailedReadThenGoodSave is the case in which gin-contrib/sessions wipes the
// stored session.
func TestFailedReadThenGoodSave(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
	a.On("/set", func(c *gin.Context) { kittest.Count.Set(c, 7); kittest.Name.Set(c, "tea") })
	a.On("/late", func(c *gin.Context) {
		kittest.Name.Get(c)
		s.Failing(nil)
		kittest.Name.Set(c, "coffee")
	})
	a.On("/", kittest.ShowCount)
	b := kittest.NewBrowser(t, a)
	b.Get("/set")
	s.Failing(errors.New("down"), "load")
	assert.Equal(t, http.StatusServiceUnavailable, b.Get("/late").Code)
	assert.JSONEq(t, `{"n": 7, "ok": true}`, b.Get("/").Body.String())
}

// TestOwnRecoverySaves: a handler that recovers by itself has not panicked, and a
// failure that a handler answers with is no panic.
func TestOwnRecoverySaves(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/recovers", func(c *gin.Context) {
		defer func() {
			_ = recover()
			sessionkit.Flash(c, sessionkit.Error, "sorry")
			c.Redirect(http.StatusSeeOther, "/")
		}()
		panic("oops")
	})
	a.On("/fails", func(c *gin.Context) { kittest.Count.Set(c, 5); c.AbortWithStatus(http.StatusBadGateway) })
	a.On("/flashes", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Flashes(c)) })
	a.On("/", kittest.ShowCount)
	b := kittest.NewBrowser(t, a)
	b.Get("/recovers")
	assert.JSONEq(t, `[{"level":"error","text":"sorry"}]`, b.Get("/flashes").Body.String())
	assert.Equal(t, http.StatusBadGateway, b.Get("/fails").Code)
	assert.JSONEq(t, `{"n": 5, "ok": true}`, b.Get("/").Body.String())
}

// TestAbortWithAnErrorSaves: only an error for which gin.Recovery writes nothing may be that of a panic.
func TestAbortWithAnErrorSaves(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/set", func(c *gin.Context) {
		kittest.Count.Set(c, 5)
		_ = c.Error(errors.New("to be logged"))
		c.Abort()
	})
	a.On("/", kittest.ShowCount)
	b := kittest.NewBrowser(t, a)
	b.Get("/set")
	assert.JSONEq(t, `{"n": 5, "ok": true}`, b.Get("/").Body.String())
}

// TestChangeAfterTheRequest: what is reported as lost is not saved, by a Save that comes
// as late or by the answer of a recovery in front of the middleware.
func TestChangeAfterTheRequest(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{}, gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) {
		kittest.Increment(c)
		c.Redirect(http.StatusFound, "/")
	}))
	var session sessions.Session
	a.On("/set", kittest.Increment)
	a.On("/leaks", func(c *gin.Context) { session = sessions.Default(c); c.String(http.StatusOK, "done") })
	a.On("/panics", func(*gin.Context) { panic("oops") })
	a.On("/", kittest.ShowCount)
	b := kittest.NewBrowser(t, a)
	b.Get("/set")
	lost := func() {
		t.Helper()
		errs := a.Errors()
		require.Len(t, errs, 1)
		require.ErrorContains(t, errs[0], "the change is lost")
		assert.Empty(t, a.Kinds(), "the store has not failed")
		assert.JSONEq(t, `{"n": 1, "ok": true}`, b.Get("/").Body.String())
	}
	a.Heard()
	b.Get("/leaks")
	require.NoError(t, session.Save(), "there is nothing to save")
	session.Set("count", 2)
	require.ErrorContains(t, session.Save(), "the change is lost")
	lost()

	w := b.Get("/panics")
	assert.Equal(t, http.StatusFound, w.Code, "the recovery has its answer")
	assert.Equal(t, "Cookie", w.Header().Get("Vary"))
	lost()
}

func TestChangeAfterTheHeader(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/start", kittest.Increment)
	a.On("/late", func(c *gin.Context) {
		c.String(http.StatusOK, "begun")
		kittest.Increment(c)
	})
	a.On("/legacy", func(c *gin.Context) {
		c.String(http.StatusOK, "begun")
		legacy := sessions.Default(c)
		legacy.Set("count", 100)
		assert.NoError(t, legacy.Save(), "it is saved at once")
		panicIfUnsaved(t, a, c)
	})
	a.On("/login", func(c *gin.Context) { c.String(http.StatusOK, "begun"); sessionkit.Login(c, "42") })
	a.On("/renew", func(c *gin.Context) { c.String(http.StatusOK, "begun"); sessionkit.Renew(c) })
	a.On("/logout", func(c *gin.Context) { c.String(http.StatusOK, "begun"); sessionkit.Logout(c) })
	a.On("/options", func(c *gin.Context) {
		c.String(http.StatusOK, "begun")
		sessions.Default(c).Options(sessions.Options{MaxAge: 3600})
		assert.NoError(t, sessions.Default(c).Save(), "the session has it")
	})
	a.On("/", kittest.ShowCount)
	b := kittest.NewBrowser(t, a)

	w := b.Get("/late")
	assert.Equal(t, http.StatusOK, w.Code)
	errs := a.Errors()
	require.Len(t, errs, 1, "a new session needs a cookie, which can no longer be sent")
	assert.ErrorContains(t, errs[0], "before writing")
	assert.Empty(t, w.Header()["Set-Cookie"])

	b.Get("/start")
	b.Get("/late")
	assert.Empty(t, a.Errors())
	assert.JSONEq(t, `{"n": 2, "ok": true}`, b.Get("/").Body.String(), "a stored session is reached all the same")
	b.Get("/legacy")
	assert.JSONEq(t, `{"n": 100, "ok": true}`, b.Get("/").Body.String())

	for _, path := range []string{"/login", "/renew"} {
		b.Get(path)
		require.Len(t, a.Errors(), 1, path)
		assert.JSONEq(t, `{"n": 100, "ok": true}`, b.Get("/").Body.String(), "the session stands as it was: %s", path)
	}
	b.Get("/options")
	errs = a.Errors()
	require.Len(t, errs, 1, "the cookie lives as before")
	require.ErrorContains(t, errs[0], "the session has another MaxAge, and its cookie has not")
	require.ErrorContains(t, errs[0], "before writing")
	b.Get("/options")
	assert.Empty(t, a.Errors(), "it is no change")
	b.Get("/logout")
	assert.Empty(t, a.Errors())
	assert.JSONEq(t, `{"n": 0, "ok": false}`, b.Get("/").Body.String(), "a sign-out needs no cookie")
}

// TestSignInOverAnotherAfterTheHeader: it fails, as its cookie cannot be sent, and the user who was
// signed in stays it. Only a sign-out needs no cookie.
func TestSignInOverAnotherAfterTheHeader(t *testing.T) {
	s := memstore.New()
	a := kittest.NewSite(s, sessionkit.Config{})
	begin := func(c *gin.Context) { c.String(http.StatusOK, "begun") }
	a.On("/alice", kittest.SignIn("alice"), kittest.Increment)
	a.On("/bob", begin, kittest.SignIn("bob"))
	a.On("/change/bob", begin, func(c *gin.Context) {
		sessions.Default(c).Delete("count")
		sessionkit.Login(c, "bob")
	})
	a.On("/", kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	b.Get("/alice")
	for _, path := range []string{"/bob", "/change/bob"} {
		assert.Empty(t, b.Get(path).Header()["Set-Cookie"], path)
		require.Len(t, a.Errors(), 1, path)
		assert.Equal(t, "alice", b.Get("/").Body.String(), path)
		assert.Len(t, kittest.UserSessions(t, s, "alice"), 1, path)
		assert.Empty(t, kittest.UserSessions(t, s, "bob"), path)
	}
}

// TestTooLateForACookie: without a session, a stream is told at once that it gets none, and a
// sign-in that nobody gets the cookie of is not shown as one.
func TestTooLateForACookie(t *testing.T) {
	begin := map[string]func(c *gin.Context){
		"a stream": func(c *gin.Context) { c.String(http.StatusOK, "begun") },
		"a hijack": func(c *gin.Context) { _, _, _ = c.Writer.Hijack() },
	}
	for way, begin := range begin {
		for session, user := range map[string]string{"": "", "/visit": "", "/login": "42"} {
			t.Run(way+session, func(t *testing.T) {
				a := kittest.NewSite(memstore.New(), sessionkit.Config{})
				a.On("/visit", kittest.Increment)
				a.On("/login", kittest.SignIn("42"), kittest.Increment)
				a.On("/late", func(c *gin.Context) {
					begin(c)
					n, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
					if session == "" {
						assert.ErrorContains(t, err, "the session's cookie can no longer be sent")
						assert.ErrorContains(t, sessionkit.Err(c), `updating "count"`)
						assert.Equal(t, 0, n)
						assert.Len(t, a.Errors(), 1)
					} else {
						assert.NoError(t, err)
						assert.Equal(t, 2, n)
						assert.NoError(t, sessionkit.Err(c))
					}
					_, ok := kittest.Count.Get(c)
					assert.Equal(t, session != "", ok)

					sessionkit.Login(c, "43")
					assert.ErrorContains(t, sessionkit.Err(c), "Login: ")
					assert.ErrorContains(t, sessionkit.Err(c), "can no longer be sent")
					now, _ := sessionkit.User(c)
					assert.Equal(t, user, now)
					assert.Len(t, a.Errors(), 1)
				})
				a.On("/", kittest.Whoami)
				b := kittest.NewBrowser(t, a)
				if session != "" {
					b.Get(session)
				}
				a.ServeHTTP(hijackable{httptest.NewRecorder()}, b.Request(http.MethodGet, "/late"))
				assert.Empty(t, a.Errors(), "each is reported once")
				assert.Equal(t, user, b.Get("/").Body.String())
			})
		}
	}
}

// TestTooLateForANewID: a stream that renews or confirms its session is told so at once, and what
// else it changes is saved.
func TestTooLateForANewID(t *testing.T) {
	for name, late := range map[string]func(c *gin.Context){"Renew": sessionkit.Renew, "Confirm": sessionkit.Confirm} {
		t.Run(name, func(t *testing.T) {
			a := kittest.NewSite(memstore.New(), sessionkit.Config{})
			a.On("/login", kittest.SignIn("42"))
			a.On("/stream", func(c *gin.Context) {
				c.Writer.Flush()
				kittest.Count.Set(c, 5)
				late(c)
				assert.ErrorContains(t, sessionkit.Err(c), name+": the session's cookie can no longer be sent")
				assert.Len(t, a.Errors(), 1)
			})
			a.On("/nothing", func(c *gin.Context) {
				c.Writer.Flush()
				late(c)
				assert.NoError(t, sessionkit.Err(c), "there is no session")
			})
			a.On("/", kittest.ShowCount)
			b := kittest.NewBrowser(t, a)
			b.Get("/nothing")
			b.Get("/login")
			before := b.Session()
			b.Get("/stream")
			assert.Equal(t, before, b.Session())
			assert.JSONEq(t, `{"n": 5, "ok": true}`, b.Get("/").Body.String())
			assert.Empty(t, a.Errors(), "it is reported once")
		})
	}
}

// TestConfirmInAStreamAfterARenewal: a session that another request has given a new ID is
// confirmed in place, for which no cookie is needed.
func TestConfirmInAStreamAfterARenewal(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/renew", sessionkit.Renew)
	a.On("/", func(c *gin.Context) {
		s := sessionkit.Current(c)
		c.String(http.StatusOK, "%s %t", s.User, s.ConfirmedAt.After(s.SignedInAt))
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	code := kittest.UnderWay(t, a, b, func(c *gin.Context) {
		_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
		assert.NoError(t, err)
		c.Writer.Flush()
		sessionkit.Confirm(c)
		assert.NoError(t, sessionkit.Err(c))
	}, func() { b.Get("/renew") })
	assert.Equal(t, http.StatusOK, code)
	assert.Equal(t, "42 true", b.Get("/").Body.String())
	assert.Empty(t, a.Errors())
}

// TestTooLateInOnError: an OnError that counts in the session is not called again and again.
func TestTooLateInOnError(t *testing.T) {
	errs := 0
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{OnError: func(c *gin.Context, _ error) {
		errs++
		_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
		assert.Error(t, err)
	}}))
	r.GET("/", func(c *gin.Context) {
		c.String(http.StatusOK, "begun")
		sessionkit.Login(c, "42")
	})
	kittest.NewBrowser(t, r).Get("/")
	assert.InDelta(t, 8, errs, 4)
}

// TestTooLateAfterAFailure: the client has been told, and Update says the same.
func TestTooLateAfterAFailure(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
	a.On("/", func(c *gin.Context) {
		kittest.Increment(c)
		c.String(http.StatusOK, "saved!")
		_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
		assert.ErrorIs(t, err, kittest.ErrDown)
		sessionkit.Login(c, "42")
		_, ok := sessionkit.User(c)
		assert.False(t, ok)
	})
	s.Failing(kittest.ErrDown, "create")
	assert.Equal(t, http.StatusServiceUnavailable, kittest.NewBrowser(t, a).Get("/").Code)
	assert.Len(t, a.Errors(), 1)
}

// TestSaveAfterAFailure: the client has been told that the change was not saved.
func TestSaveAfterAFailure(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
	a.On("/set", kittest.Increment)
	a.On("/fails", func(c *gin.Context) {
		kittest.Increment(c)
		s.Failing(kittest.ErrDown, "update")
		c.String(http.StatusOK, "saved!")
		s.Failing(nil)
		assert.ErrorIs(t, sessions.Default(c).Save(), kittest.ErrDown)
	})
	a.On("/", kittest.ShowCount)
	b := kittest.NewBrowser(t, a)
	b.Get("/set")
	assert.Equal(t, http.StatusServiceUnavailable, b.Get("/fails").Code)
	assert.JSONEq(t, `{"n": 1, "ok": true}`, b.Get("/").Body.String())
}

// panicIfUnsaved checks from inside a handler what another request sees.
func panicIfUnsaved(t *testing.T, a *kittest.Site, c *gin.Context) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
	r.Header = c.Request.Header.Clone()
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	assert.JSONEq(t, `{"n": 100, "ok": true}`, w.Body.String())
}

func TestClientGone(t *testing.T) {
	s := memstore.New()
	a := kittest.NewSite(s, sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/set", kittest.Increment)
	a.On("/", kittest.ShowCount)
	b := kittest.NewBrowser(t, a)
	b.Get("/set")
	gone := func(path string) {
		a.ServeHTTP(httptest.NewRecorder(), b.Request(http.MethodGet, path).WithContext(canceled(t)))
	}
	gone("/login")
	assert.Empty(t, kittest.UserSessions(t, s, "42"), "nobody would get the cookie")
	require.Len(t, a.Errors(), 1)
	gone("/set")
	assert.JSONEq(t, `{"n": 2, "ok": true}`, b.Get("/").Body.String(), "a change of a stored session is carried out")
}

// TestDeadlineInFront: the client may have been answered by then, so no new cookie is sent,
// and the error says what to do. Behind the middleware a deadline does no harm.
func TestDeadlineInFront(t *testing.T) {
	deadline := func(c *gin.Context) {
		ctx, cancel := context.WithTimeoutCause(c.Request.Context(), time.Millisecond, errors.New("out of time"))
		defer cancel()
		c.Request = c.Request.WithContext(ctx)
		c.Next()
	}
	slow := func(c *gin.Context) {
		<-c.Request.Context().Done()
		sessionkit.Flash(c, sessionkit.Error, "The directory did not answer")
		c.Redirect(http.StatusSeeOther, "/login")
	}
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{}, deadline)
	a.On("/", slow)
	assert.Equal(t, http.StatusServiceUnavailable, kittest.NewBrowser(t, a).Get("/").Code)
	errs := a.Errors()
	require.Len(t, errs, 1)
	require.ErrorContains(t, errs[0], "the time of the request is over; put a middleware that sets a deadline behind Sessions: out of time")
	assert.Empty(t, a.Kinds(), "the store has not failed")

	a = kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
	a.On("/", deadline, slow)
	assert.Equal(t, http.StatusSeeOther, kittest.NewBrowser(t, a).Get("/").Code)
	assert.Empty(t, a.Errors())
}

func TestTooLarge(t *testing.T) {
	a := kittest.NewSite(store.New(memstore.NewBackend(), store.Config{MaxBytes: 1000}), sessionkit.Config{})
	a.On("/grow", func(c *gin.Context) {
		kittest.Name.Set(c, c.Query("v"))
		c.String(http.StatusOK, "saved!")
	})
	a.On("/", func(c *gin.Context) { v, _ := kittest.Name.Get(c); c.String(http.StatusOK, v) })
	b := kittest.NewBrowser(t, a)
	b.Get("/grow?v=small")
	w := b.Get("/grow?v=" + string(bytes.Repeat([]byte("x"), 1000)))
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	errs := a.Errors()
	require.Len(t, errs, 1)
	assert.ErrorIs(t, errs[0], store.ErrTooLarge)
	assert.Equal(t, "small", b.Get("/").Body.String())
}

// TestSessionOverMaxBytes: a session that is larger than the bound, which was lowered, is used
// as before, but for what adds to it.
func TestSessionOverMaxBytes(t *testing.T) {
	alsoCount := func(act gin.HandlerFunc) gin.HandlerFunc { // as many bytes as before, beside a sign-in that takes more
		return func(c *gin.Context) {
			kittest.Count.Set(c, 4)
			act(c)
		}
	}
	confirm := func(c *gin.Context) { sessionkit.Confirm(c) }
	for name, test := range map[string]struct {
		user string
		act  gin.HandlerFunc
		want string
	}{
		"sign-in":                    {"", kittest.SignIn("42"), "3, 42"},
		"sign-in, and a change":      {"", alsoCount(kittest.SignIn("42")), "4, 42"},
		"confirmation":               {"42", confirm, "3, 42"},
		"confirmation, and a change": {"42", alsoCount(confirm), "4, 42"},
		"another ID":                 {"42", func(c *gin.Context) { sessionkit.Renew(c) }, "3, 42"},
		"change":                     {"42", kittest.Increment, "4, 42"},
	} {
		t.Run(name, func(t *testing.T) {
			backend := memstore.NewBackend()
			site := func(most int) *kittest.Site {
				a := kittest.NewSite(store.New(backend, store.Config{Timeout: -1, MaxBytes: most}), sessionkit.Config{})
				a.On("/login", kittest.SignIn("42"))
				a.On("/fill", func(c *gin.Context) {
					kittest.Count.Set(c, 3)
					kittest.Name.Set(c, strings.Repeat("x", 1500))
				})
				a.On("/act", test.act)
				a.On("/grow", func(c *gin.Context) { kittest.Count.Set(c, 10) })
				a.On("/", func(c *gin.Context) {
					n, _ := kittest.Count.Get(c)
					user, _ := sessionkit.User(c)
					c.String(http.StatusOK, "%d, %s", n, user)
				})
				return a
			}
			b := kittest.NewBrowser(t, site(2000))
			if test.user != "" {
				b.Get("/login")
			}
			require.Equal(t, http.StatusOK, b.Get("/fill").Code)
			a := site(1000)
			b = b.At(a)
			b.Get("/act", "User-Agent", strings.Repeat("Mozilla ", 20))
			assert.Empty(t, a.Errors())
			assert.Equal(t, test.want, b.Get("/").Body.String())
			assert.Equal(t, http.StatusServiceUnavailable, b.Get("/grow").Code)
			errs := a.Errors()
			require.Len(t, errs, 1)
			assert.ErrorIs(t, errs[0], store.ErrTooLarge)
		})
	}
}

// TestSizeOfWhatStands: what a request has loaded does not decide whether there is room: others may
// have added something, for which there was room beside the sign-in, or have dropped it.
func TestSizeOfWhatStands(t *testing.T) {
	first, second := sessionkit.NewKey[string]("first"), sessionkit.NewKey[string]("second")
	grow := func(key sessionkit.Key[string], n int) gin.HandlerFunc {
		return func(c *gin.Context) { key.Set(c, strings.Repeat("x", n)) }
	}
	atOnce := func(c *gin.Context) {
		_, err := second.Update(c, func(string) string { return strings.Repeat("x", 300) })
		assert.NoError(t, err)
	}
	for name, test := range map[string]struct {
		before, meanwhile int
		then              gin.HandlerFunc
	}{
		"filled":                        {10, 650, grow(second, 300)},
		"emptied":                       {950, 10, grow(second, 300)},
		"filled, and another ID":        {10, 650, func(c *gin.Context) { grow(second, 300)(c); sessionkit.Renew(c) }},
		"emptied, and another ID":       {950, 10, func(c *gin.Context) { grow(second, 300)(c); sessionkit.Renew(c) }},
		"filled, and a change at once":  {10, 650, atOnce},
		"emptied, and a change at once": {950, 10, atOnce},
	} {
		t.Run(name, func(t *testing.T) {
			s := store.New(memstore.NewBackend(), store.Config{Timeout: -1, MaxBytes: 1000})
			a := kittest.NewSite(s, sessionkit.Config{})
			a.On("/login", kittest.SignIn("42"))
			a.On("/before", grow(first, test.before))
			a.On("/meanwhile", grow(first, test.meanwhile))
			b := kittest.NewBrowser(t, a)
			b.Get("/login", "User-Agent", strings.Repeat("Mozilla ", 20))
			require.Equal(t, http.StatusOK, b.Get("/before").Code)
			code := kittest.UnderWay(t, a, b, test.then, func() {
				require.Equal(t, http.StatusOK, b.Get("/meanwhile").Code)
			})
			assert.Equal(t, http.StatusOK, code)
			assert.Empty(t, a.Errors())
		})
	}
}

// TestFullSession: where the values leave no room, people still sign in and confirm, and what
// makes the session no larger is saved.
func TestFullSession(t *testing.T) {
	for name, test := range map[string]struct {
		user string
		act  gin.HandlerFunc
		want string
	}{
		"sign-in": {"", kittest.SignIn("42"), "3, 42"},
		"sign-in, and another life": {"", func(c *gin.Context) {
			sessions.Default(c).Options(sessions.Options{MaxAge: 1e6})
			kittest.SignIn("42")(c)
		}, "3, 42"},
		"confirmation": {"42", func(c *gin.Context) { sessionkit.Confirm(c) }, "3, 42"},
		"change":       {"42", kittest.Increment, "4, 42"},
		"a visitor's change after the header, on a new day": {"", func(c *gin.Context) { c.Writer.WriteHeaderNow(); kittest.Increment(c) }, "4, "},
		"a change at once after the header, on a new day": {"", func(c *gin.Context) {
			c.Writer.WriteHeaderNow()
			_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
			assert.NoError(t, err)
		}, "4, "},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := memstore.New(memstore.Config{Store: store.Config{MaxBytes: 1000}})
				defer func() { assert.NoError(t, s.Close()) }()
				a := kittest.NewSite(s, sessionkit.Config{VisitorFor: 30 * 24 * time.Hour})
				a.On("/login", kittest.SignIn("42"))
				a.On("/fill", func(c *gin.Context) {
					kittest.Count.Set(c, 3)
					kittest.Name.Set(c, strings.Repeat("x", 1000-len("count3name")-len(`""`)))
				})
				a.On("/grow", func(c *gin.Context) { kittest.Count.Set(c, 10) })
				a.On("/act", test.act)
				a.On("/", func(c *gin.Context) {
					n, _ := kittest.Count.Get(c)
					user, _ := sessionkit.User(c)
					c.String(http.StatusOK, "%d, %s", n, user)
				})
				b := kittest.NewBrowser(t, a)
				if test.user != "" {
					b.Get("/login")
				}
				require.Equal(t, http.StatusOK, b.Get("/fill").Code)
				if test.user == "" {
					time.Sleep(25 * time.Hour)
				}
				b.Get("/act")
				assert.Empty(t, a.Errors())
				assert.Equal(t, test.want, b.Get("/").Body.String())
				assert.Equal(t, http.StatusServiceUnavailable, b.Get("/grow").Code)
				require.Len(t, a.Errors(), 1)
			})
		})
	}
}

// TestOptionsEndAtOnce: what follows the sign-out is in another session, as after
// Logout.
func TestOptionsEndAtOnce(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/logout", func(c *gin.Context) {
		s := sessions.Default(c)
		s.Clear()
		s.Options(sessions.Options{MaxAge: -1})
		assert.NoError(t, s.Save())
		_, signedIn := sessionkit.User(c)
		assert.False(t, signedIn)
		sessionkit.Flash(c, sessionkit.Info, "Bye")
	})
	a.On("/", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Flashes(c)) })
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	before := b.Session()
	b.Get("/logout")
	assert.NotEqual(t, before, b.Session())
	assert.Contains(t, b.Get("/").Body.String(), "Bye")
}

func canceled(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// TestHandledContextBehindOneTwice: of two middlewares the first stands once more behind the
// second. A handler that has gin run another route's handlers goes on with the two sessions.
func TestHandledContextBehindOneTwice(t *testing.T) {
	s := memstore.New()
	first, second := sessionkit.Sessions(s, sessionkit.Config{Name: "a"}), sessionkit.Sessions(s, sessionkit.Config{Name: "b"})
	r := gin.New()
	r.Use(first, second, func(c *gin.Context) { kittest.Name.Set(c, "of b") }, first)
	r.GET("/", func(c *gin.Context) {
		kittest.Count.Set(c, 7)
		c.Request.URL.Path = "/other"
		r.HandleContext(c)
	})
	r.GET("/other", kittest.ShowCount)
	b := kittest.NewBrowser(t, r)
	assert.JSONEq(t, `{"n":7,"ok":true}`, b.Get("/").Body.String())
	n, err := s.Count(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, n.Live)
}
