package sessionkit_test

import (
	"bufio"
	"bytes"
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
	"time"

	"github.com/gin-contrib/gzip"
	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// firstBytes are the ways in which the first byte of a response comes.
var firstBytes = map[string]gin.HandlerFunc{
	"nothing is written": func(*gin.Context) {},
	"c.Status":           func(c *gin.Context) { c.Status(http.StatusNoContent) },
	"Write":              func(c *gin.Context) { _, _ = c.Writer.Write([]byte("x")) },
	"WriteString":        func(c *gin.Context) { _, _ = c.Writer.WriteString("x") },
	"WriteHeaderNow":     func(c *gin.Context) { c.Writer.WriteHeaderNow() },
	"Flush":              func(c *gin.Context) { c.Writer.Flush() },
	"ReadFrom":           func(c *gin.Context) { _, _ = io.Copy(c.Writer, bytes.NewReader([]byte("x"))) },
	"ResponseController": func(c *gin.Context) { _ = http.NewResponseController(c.Writer).Flush() },
	"c.Redirect":         func(c *gin.Context) { c.Redirect(http.StatusSeeOther, "/") },
	"c.Data":             func(c *gin.Context) { c.Data(http.StatusOK, "text/plain", []byte("x")) },
	"c.JSON":             func(c *gin.Context) { c.JSON(http.StatusOK, "x") },
	"c.String":           func(c *gin.Context) { c.String(http.StatusOK, "x") },
	"c.SSEvent":          func(c *gin.Context) { c.SSEvent("message", "x") },
	"c.Stream":           func(c *gin.Context) { c.Stream(func(w io.Writer) bool { _, _ = w.Write([]byte("x")); return false }) },
	"c.AbortWithStatus":  func(c *gin.Context) { c.AbortWithStatus(http.StatusTeapot) },
	"http.Error":         func(c *gin.Context) { http.Error(c.Writer, "x", http.StatusTeapot) },
	"http.ServeContent": func(c *gin.Context) {
		http.ServeContent(c.Writer, c.Request, "x.txt", time.Time{}, bytes.NewReader([]byte("x")))
	},
}

// wrappings are what may stand around the middleware.
var wrappings = map[string]func(s sessions.Store, handler gin.HandlerFunc) http.Handler{
	"alone": func(s sessions.Store, handler gin.HandlerFunc) http.Handler {
		a := newSite(s, sessionkit.Config{})
		a.Any("/", handler)
		return a
	},
	"recovery outside": func(s sessions.Store, handler gin.HandlerFunc) http.Handler {
		a := newSite(s, sessionkit.Config{}, gin.RecoveryWithWriter(io.Discard))
		a.Any("/", handler)
		return a
	},
	"recovery inside": func(s sessions.Store, handler gin.HandlerFunc) http.Handler {
		a := newSite(s, sessionkit.Config{})
		a.Any("/", gin.RecoveryWithWriter(io.Discard), handler)
		return a
	},
	"gzip outside": func(s sessions.Store, handler gin.HandlerFunc) http.Handler {
		a := newSite(s, sessionkit.Config{}, gzip.Gzip(gzip.DefaultCompression))
		a.Any("/", handler)
		return a
	},
	"gzip inside": func(s sessions.Store, handler gin.HandlerFunc) http.Handler {
		a := newSite(s, sessionkit.Config{})
		a.Any("/", gzip.Gzip(gzip.DefaultCompression), handler)
		return a
	},
	"TimeoutHandler": func(s sessions.Store, handler gin.HandlerFunc) http.Handler {
		a := newSite(s, sessionkit.Config{})
		a.Any("/", handler)
		return http.TimeoutHandler(a, time.Minute, "too late")
	},
}

func TestSavedBeforeTheFirstByte(t *testing.T) {
	for wrapping, wrap := range wrappings {
		for way, write := range firstBytes {
			if wrapping == "TimeoutHandler" && way == "c.Stream" {
				continue // Gin panics there without the kit: the writer is no http.CloseNotifier
			}
			t.Run(wrapping+"/"+way, func(t *testing.T) {
				s := memstore.New()
				handler := wrap(s, func(c *gin.Context) {
					if c.Query("read") != "" {
						showCount(c)
						return
					}
					count.Set(c, 7)
					write(c)
				})
				server := httptest.NewServer(handler)
				defer server.Close()
				jar, err := cookiejar.New(nil)
				require.NoError(t, err)
				client := server.Client()
				client.Jar = jar
				client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

				for _, method := range []string{http.MethodGet, http.MethodHead} {
					client.Jar, err = cookiejar.New(nil)
					require.NoError(t, err)
					req, err := http.NewRequestWithContext(t.Context(), method, server.URL, nil)
					require.NoError(t, err)
					res, err := client.Do(req)
					require.NoError(t, err)
					_, _ = io.Copy(io.Discard, res.Body)
					require.NoError(t, res.Body.Close())
					assert.Less(t, res.StatusCode, 500)
					assert.Len(t, res.Header["Set-Cookie"], 1, method)

					req, err = http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"?read=1", nil)
					require.NoError(t, err)
					res, err = client.Do(req)
					require.NoError(t, err)
					body, err := io.ReadAll(res.Body)
					require.NoError(t, err)
					require.NoError(t, res.Body.Close())
					assert.JSONEq(t, `{"n": 7, "ok": true}`, string(body), method)
				}
			})
		}
	}
}

func TestSavedBeforeAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file.txt")
	require.NoError(t, os.WriteFile(path, []byte("content"), 0o600))
	a := newSite(memstore.New(), sessionkit.Config{})
	a.on("/file", func(c *gin.Context) { count.Set(c, 7); c.File(path) })
	a.on("/", showCount)
	b := newBrowser(t, a)
	assert.Equal(t, "content", b.get("/file").Body.String())
	assert.JSONEq(t, `{"n": 7, "ok": true}`, b.get("/").Body.String())
}

// hijackable is a response that can be taken over, and pushed to.
type hijackable struct {
	*httptest.ResponseRecorder
	pushed []string
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }

func (h *hijackable) Push(target string, _ *http.PushOptions) error {
	h.pushed = append(h.pushed, target)
	return nil
}

func TestSavedBeforeHijackAndPush(t *testing.T) {
	s := newBackend()
	a := newSite(storeOver(s), sessionkit.Config{})
	a.on("/start", increment)
	a.on("/hijack", func(c *gin.Context) {
		increment(c)
		if _, _, err := c.Writer.Hijack(); err != nil {
			return // the answer has been given
		}
		s.on("hijacked") //nolint:errcheck // only to be seen among the calls
	})
	a.on("/push", func(c *gin.Context) {
		increment(c)
		if c.Writer.Pusher().Push("/style.css", nil) == nil {
			s.on("pushed") //nolint:errcheck // only to be seen among the calls
		}
	})
	a.on("/", showCount)
	b := newBrowser(t, a)
	b.get("/start")
	s.called()
	for _, way := range []string{"hijack", "push"} {
		w := &hijackable{ResponseRecorder: httptest.NewRecorder()}
		a.ServeHTTP(w, b.request(http.MethodGet, "/"+way))
		assert.Equal(t, []string{"load", "update", map[string]string{"hijack": "hijacked", "push": "pushed"}[way]}, s.called())

		s.failing(errors.New("down"), "update")
		w = &hijackable{ResponseRecorder: httptest.NewRecorder()}
		a.ServeHTTP(w, b.request(http.MethodGet, "/"+way))
		assert.Equal(t, http.StatusServiceUnavailable, w.Code, way)
		assert.Empty(t, w.pushed)
		s.failing(nil)
		s.called()
	}
	assert.JSONEq(t, `{"n": 3, "ok": true}`, b.get("/").Body.String())

	w := &hijackable{ResponseRecorder: httptest.NewRecorder()}
	a.ServeHTTP(w, newBrowser(t, a).request(http.MethodGet, "/hijack"))
	assert.Equal(t, http.StatusServiceUnavailable, w.Code, "a hijacked connection takes no new cookie")
}

func TestWriterHidesNothing(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{})
	a.on("/", func(c *gin.Context) {
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
	s := newBackend()
	a := newSite(storeOver(s), sessionkit.Config{})
	a.on("/", func(c *gin.Context) {
		for i := range 5 {
			count.Set(c, i)
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
		b := newBrowser(t, a)
		w := b.get(target)
		assert.Equal(t, calls, s.called())
		assert.Len(t, w.Header()["Set-Cookie"], 1)
		b.get(target)
		assert.Equal(t, []string{"load"}, s.called(), "the same values again are no change")
	}
}

// TestSaveOfANewSession: Save of sessions.Default(c) stores it at once, so that it
// has an ID and its cookie is in the header. What is set later follows, and nothing
// is left if the request fails.
func TestSaveOfANewSession(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		a := newSite(s, sessionkit.Config{}, gin.RecoveryWithWriter(io.Discard))
		a.on("/", func(c *gin.Context) {
			session := sessions.Default(c)
			assert.Empty(t, session.ID())
			assert.NoError(t, session.Save(), "there is nothing to save")
			assert.Empty(t, session.ID())
			session.Set("count", 1)
			if user := c.Query("user"); user != "" {
				sessionkit.Login(c, user)
			}
			assert.NoError(t, session.Save())
			assert.NotEmpty(t, session.ID())
			assert.Len(t, c.Writer.Header()["Set-Cookie"], 1)
			session.Set("name", "Ada")
			switch c.Query("then") {
			case "panic":
				panic("oops")
			case "fail":
				session.Set("f", func() {})
			}
			c.String(http.StatusOK, session.ID())
		})
		a.on("/me", func(c *gin.Context) {
			first, _ := name.Get(c)
			c.JSON(http.StatusOK, gin.H{"name": first, "id": sessions.Default(c).ID()})
		})
		b := newBrowser(t, a)
		w := b.get("/?user=42")
		assert.JSONEq(t, `{"name":"Ada","id":"`+w.Body.String()+`"}`, b.get("/me").Body.String())
		for _, then := range []string{"panic", "fail"} {
			b := newBrowser(t, a)
			w := b.get("/?user=43&then=" + then)
			assert.GreaterOrEqual(t, w.Code, 500)
			assert.Empty(t, w.Header()["Set-Cookie"], then)
			if own, ok := s.(*store.Store); ok {
				assert.Empty(t, userSessions(t, own, "43"), then)
			}
		}
	})
}

func TestNothingChanged(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		a := newSite(s, sessionkit.Config{})
		a.on("/set", func(c *gin.Context) { count.Set(c, 1); cart.Set(c, []item{{"tea", 1}}) })
		a.on("/read", func(c *gin.Context) {
			if _, ok := count.Get(c); ok {
				count.Set(c, 1)
				cart.Set(c, []item{{"tea", 1}})
			}
			name.Delete(c)
			name.Take(c)
			assert.Empty(t, sessionkit.Flashes(c))
			sessionkit.KeepFlashes(c)
			sessionkit.FlashNow(c, sessionkit.Info, "now")
			assert.Len(t, sessionkit.Flashes(c), 1)
			assert.Nil(t, sessions.Default(c).Get("nothing"))
			assert.Empty(t, sessions.Default(c).Flashes())
			assert.NoError(t, sessions.Default(c).Save())
			whoami(c)
		})
		a.on("/unset", func(c *gin.Context) { name.Set(c, "x"); name.Delete(c) })
		b := newBrowser(t, a)
		for _, path := range []string{"/read", "/unset"} {
			w := b.get(path)
			assert.Empty(t, w.Header()["Set-Cookie"], "a visitor who stores nothing gets no cookie")
		}
		b.get("/set")
		before := b.session()
		require.NotEmpty(t, before)
		w := b.get("/read")
		assert.Empty(t, w.Header()["Set-Cookie"], "reading sets no cookie")
		assert.Equal(t, []string{"Cookie"}, w.Header()["Vary"])
	})
}

func TestNothingTouched(t *testing.T) {
	s := newBackend()
	a := newSite(storeOver(s), sessionkit.Config{})
	a.on("/set", increment)
	a.on("/", func(c *gin.Context) { c.String(http.StatusOK, "hello") })
	b := newBrowser(t, a)
	b.get("/set")
	s.called()
	w := b.get("/")
	assert.Empty(t, s.called(), "a request that does not touch the session does not read it")
	assert.Empty(t, w.Header()["Vary"])
	assert.Empty(t, w.Header()["Set-Cookie"])
}

func TestFailedSave(t *testing.T) {
	for wrapping, wrap := range wrappings {
		t.Run(wrapping, func(t *testing.T) {
			s := newBackend()
			handler := wrap(storeOver(s), func(c *gin.Context) {
				if c.Query("read") != "" {
					showCount(c)
					return
				}
				increment(c)
				c.Header("ETag", `"1"`)
				c.SetCookie("mine", "1", 0, "/", "", true, true)
				c.Redirect(http.StatusSeeOther, "/welcome")
				_, err := c.Writer.WriteString("saved!")
				if c.Query("fail") != "" {
					assert.ErrorContains(t, err, "down", "the handler is told")
				}
			})
			b := newBrowser(t, handler)
			assert.Equal(t, http.StatusSeeOther, b.get("/").Code)
			session := b.session()

			s.failing(errors.New("down"), "update", "create")
			for _, visitor := range []*browser{b, newBrowser(t, handler)} {
				w := visitor.get("/?fail=1", "Accept-Encoding", "identity")
				assert.Equal(t, http.StatusServiceUnavailable, w.Code)
				assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
				assert.NotEmpty(t, w.Header().Get("Retry-After"))
				assert.Empty(t, w.Header().Get("Location"))
				assert.Empty(t, w.Header().Get("ETag"))
				assert.Empty(t, w.Header()["Set-Cookie"])
				assert.NotContains(t, w.Body.String(), "saved!")
				assert.NotContains(t, w.Body.String(), "down", "the cause is not for the client")
				assert.Contains(t, w.Body.String(), `"status":503`)
			}
			s.failing(nil)
			assert.Equal(t, session, b.session(), "the old session stands")
			assert.JSONEq(t, `{"n": 1, "ok": true}`, b.get("/?read=1", "Accept-Encoding", "identity").Body.String())
		})
	}
}

func TestFailedSaveBehindGzip(t *testing.T) {
	for _, wrapping := range []string{"gzip outside", "gzip inside"} {
		t.Run(wrapping, func(t *testing.T) {
			s := newBackend()
			s.failing(errors.New("down"), "create")
			server := httptest.NewServer(wrappings[wrapping](storeOver(s), func(c *gin.Context) {
				increment(c)
				c.String(http.StatusOK, "saved!")
			}))
			defer server.Close()
			res, err := server.Client().Get(server.URL)
			require.NoError(t, err)
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err, "what is said to be gzip is gzip")
			require.NoError(t, res.Body.Close())
			assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
			assert.Contains(t, string(body), `"reason":"unavailable"`)
		})
	}
}

func TestFailedSaveOfAValue(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		bad := sessionkit.NewKey[map[string]any]("bad")
		a := newSite(s, sessionkit.Config{})
		a.on("/set", increment)
		a.on("/typed", func(c *gin.Context) {
			count.Set(c, 9)
			bad.Set(c, map[string]any{"f": func() {}})
			assert.ErrorContains(t, sessionkit.Err(c), `"bad"`)
			c.String(http.StatusOK, "saved!")
		})
		a.on("/untyped", func(c *gin.Context) {
			count.Set(c, 9)
			sessions.Default(c).Set("bad", func() {})
			c.String(http.StatusOK, "saved!")
			assert.ErrorContains(t, sessionkit.Err(c), `"bad"`)
		})
		a.on("/", showCount)
		b := newBrowser(t, a)
		b.get("/set")
		a.kinds()
		a.on("/flash", func(c *gin.Context) {
			count.Set(c, 9)
			sessionkit.NewFlash[map[string]any]("bad").Add(c, map[string]any{"f": func() {}})
			_, err := io.Copy(c.Writer, strings.NewReader("saved!"))
			assert.ErrorContains(t, err, `"bad"`)
		})
		for _, path := range []string{"/typed", "/untyped", "/flash"} {
			w := b.get(path)
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.NotContains(t, w.Body.String(), "saved!")
			require.Len(t, a.errors(), 1)
			assert.Empty(t, a.kinds(), "the store has not failed")
		}
		assert.JSONEq(t, `{"n": 1, "ok": true}`, b.get("/").Body.String())
	})
}

func TestFailedLoad(t *testing.T) {
	s := newBackend()
	cause := errors.New("down")
	a := newSite(storeOver(s), sessionkit.Config{})
	a.on("/login", signIn("42"))
	a.on("/", func(c *gin.Context) {
		_, ok := sessionkit.User(c)
		assert.False(t, ok)
		assert.ErrorIs(t, sessionkit.Err(c), cause)
		c.String(http.StatusOK, "page")
	})
	a.on("/account", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"}), whoami)
	changes := map[string]gin.HandlerFunc{
		"/set":    increment,
		"/legacy": func(c *gin.Context) { sessions.Default(c).Set("x", 1); _ = sessions.Default(c).Save() },
		"/in":     signIn("43"),
		"/out":    func(c *gin.Context) { sessionkit.Logout(c); c.Redirect(http.StatusSeeOther, "/") },
		"/flash":  func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "x") },
		"/clear":  func(c *gin.Context) { sessions.Default(c).Options(sessions.Options{MaxAge: -1}) },
	}
	for path, change := range changes {
		a.on(path, change)
	}
	b := newBrowser(t, a)
	b.get("/login")
	session := b.session()
	a.kinds()

	s.failing(cause, "load")
	w := b.get("/")
	assert.Equal(t, http.StatusOK, w.Code, "a page that does not need the session is shown")
	assert.Equal(t, []sessionkit.EventKind{sessionkit.EventStoreError}, a.kinds())
	require.Len(t, a.errors(), 1)

	w = b.get("/account", "Accept", "text/html", "Sec-Fetch-Mode", "navigate")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code, "an outage is not signed out")
	assert.NotEmpty(t, w.Header().Get("Retry-After"))
	assert.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	assert.Contains(t, b.get("/account").Body.String(), `"reason":"unavailable"`)
	a.errors()

	for path := range changes {
		s.called()
		w := b.get(path)
		assert.Equal(t, http.StatusServiceUnavailable, w.Code, path)
		assert.Equal(t, []string{"load"}, s.called(), "a session that could not be read is not written: %s", path)
		assert.Empty(t, w.Header()["Set-Cookie"], path)
	}
	s.failing(nil)
	assert.Equal(t, session, b.session())
	assert.Equal(t, "42", b.get("/account").Body.String(), "after the outage the user is signed in as before")
}

// TestFailedReadThenGoodSave is the case in which gin-contrib/sessions wipes the
// stored session.
func TestFailedReadThenGoodSave(t *testing.T) {
	s := newBackend()
	a := newSite(storeOver(s), sessionkit.Config{})
	a.on("/set", func(c *gin.Context) { count.Set(c, 7); name.Set(c, "tea") })
	a.on("/late", func(c *gin.Context) {
		name.Get(c)
		s.failing(nil)
		name.Set(c, "coffee")
	})
	a.on("/", showCount)
	b := newBrowser(t, a)
	b.get("/set")
	s.failing(errors.New("down"), "load")
	assert.Equal(t, http.StatusServiceUnavailable, b.get("/late").Code)
	assert.JSONEq(t, `{"n": 7, "ok": true}`, b.get("/").Body.String())
}

func TestPanicSavesNothing(t *testing.T) {
	recoveries := map[string]gin.HandlerFunc{
		"recovery": gin.RecoveryWithWriter(io.Discard),
		"custom recovery": gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) {
			c.AbortWithStatusJSON(http.StatusTeapot, "sorry")
		}),
	}
	for name, recovery := range recoveries {
		for _, inside := range []bool{true, false} {
			t.Run(name+map[bool]string{true: " inside", false: " outside"}[inside], func(t *testing.T) {
				eachStore(t, func(t *testing.T, s sessions.Store) {
					var a *site
					if inside {
						a = newSite(s, sessionkit.Config{})
						a.Use(recovery)
					} else {
						a = newSite(s, sessionkit.Config{}, recovery)
					}
					a.on("/set", increment)
					a.on("/panic", func(c *gin.Context) {
						n, _ := count.Get(c)
						count.Set(c, n+1)
						sessions.Default(c).Set("legacy", true)
						sessionkit.Login(c, "mallory")
						panic("oops")
					})
					a.on("/logout", func(c *gin.Context) { sessionkit.Logout(c); panic("oops") })
					a.on("/", showCount)
					b := newBrowser(t, a)
					assert.Empty(t, b.get("/panic").Header()["Set-Cookie"])
					b.get("/set")
					for _, path := range []string{"/panic", "/logout"} {
						w := b.get(path)
						assert.GreaterOrEqual(t, w.Code, 400)
						assert.Empty(t, w.Header()["Set-Cookie"], path)
						assert.JSONEq(t, `{"n": 1, "ok": true}`, b.get("/").Body.String(), path)
					}
					assert.NotContains(t, a.kinds(), sessionkit.EventSignedIn)
				})
			})
		}
	}
}

// TestOwnRecoverySaves: a handler that recovers by itself has not panicked, and a
// failure that a handler answers with is no panic.
func TestOwnRecoverySaves(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{})
	a.on("/recovers", func(c *gin.Context) {
		defer func() {
			_ = recover()
			sessionkit.Flash(c, sessionkit.Error, "sorry")
			c.Redirect(http.StatusSeeOther, "/")
		}()
		panic("oops")
	})
	a.on("/fails", func(c *gin.Context) { count.Set(c, 5); c.AbortWithStatus(http.StatusBadGateway) })
	a.on("/flashes", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Flashes(c)) })
	a.on("/", showCount)
	b := newBrowser(t, a)
	b.get("/recovers")
	assert.JSONEq(t, `[{"level":"error","text":"sorry"}]`, b.get("/flashes").Body.String())
	assert.Equal(t, http.StatusBadGateway, b.get("/fails").Code)
	assert.JSONEq(t, `{"n": 5, "ok": true}`, b.get("/").Body.String())
}

func TestChangeAfterTheHeader(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{})
	a.on("/start", increment)
	a.on("/late", func(c *gin.Context) {
		c.String(http.StatusOK, "begun")
		increment(c)
	})
	a.on("/legacy", func(c *gin.Context) {
		c.String(http.StatusOK, "begun")
		legacy := sessions.Default(c)
		legacy.Set("count", 100)
		assert.NoError(t, legacy.Save(), "it is saved at once")
		panicIfUnsaved(t, a, c)
	})
	a.on("/login", func(c *gin.Context) { c.String(http.StatusOK, "begun"); sessionkit.Login(c, "42") })
	a.on("/renew", func(c *gin.Context) { c.String(http.StatusOK, "begun"); sessionkit.Renew(c) })
	a.on("/logout", func(c *gin.Context) { c.String(http.StatusOK, "begun"); sessionkit.Logout(c) })
	a.on("/", showCount)
	b := newBrowser(t, a)

	w := b.get("/late")
	assert.Equal(t, http.StatusOK, w.Code)
	errs := a.errors()
	require.Len(t, errs, 1, "a new session needs a cookie, which can no longer be sent")
	assert.ErrorContains(t, errs[0], "before writing")
	assert.Empty(t, w.Header()["Set-Cookie"])

	b.get("/start")
	b.get("/late")
	assert.Empty(t, a.errors())
	assert.JSONEq(t, `{"n": 2, "ok": true}`, b.get("/").Body.String(), "a stored session is reached all the same")
	b.get("/legacy")
	assert.JSONEq(t, `{"n": 100, "ok": true}`, b.get("/").Body.String())

	for _, path := range []string{"/login", "/renew"} {
		b.get(path)
		require.Len(t, a.errors(), 1, path)
		assert.JSONEq(t, `{"n": 100, "ok": true}`, b.get("/").Body.String(), "the session stands as it was: %s", path)
	}
	b.get("/logout")
	assert.Empty(t, a.errors())
	assert.JSONEq(t, `{"n": 0, "ok": false}`, b.get("/").Body.String(), "a sign-out needs no cookie")
}

// panicIfUnsaved checks from inside a handler what another request sees.
func panicIfUnsaved(t *testing.T, a *site, c *gin.Context) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
	r.Header = c.Request.Header.Clone()
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	assert.JSONEq(t, `{"n": 100, "ok": true}`, w.Body.String())
}

func TestChangeAfterTheHeaderOnCookieStore(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		a := newSite(s, sessionkit.Config{})
		a.on("/start", increment)
		a.on("/late", func(c *gin.Context) { c.String(http.StatusOK, "begun"); increment(c) })
		a.on("/", showCount)
		b := newBrowser(t, a)
		b.get("/start")
		w := b.get("/late")
		assert.Empty(t, w.Header()["Set-Cookie"])
		if t.Name() == "TestChangeAfterTheHeaderOnCookieStore/cookie" {
			require.Len(t, a.errors(), 1, "there the cookie is the session")
			assert.JSONEq(t, `{"n": 1, "ok": true}`, b.get("/").Body.String())
			return
		}
		assert.Empty(t, a.errors())
		assert.JSONEq(t, `{"n": 2, "ok": true}`, b.get("/").Body.String())
	})
}

func TestClientGone(t *testing.T) {
	s := memstore.New()
	a := newSite(s, sessionkit.Config{})
	a.on("/login", signIn("42"))
	a.on("/set", increment)
	a.on("/", showCount)
	b := newBrowser(t, a)
	b.get("/set")
	gone := func(path string) {
		a.ServeHTTP(httptest.NewRecorder(), b.request(http.MethodGet, path).WithContext(canceled(t)))
	}
	gone("/login")
	assert.Empty(t, userSessions(t, s, "42"), "nobody would get the cookie")
	require.Len(t, a.errors(), 1)
	gone("/set")
	assert.JSONEq(t, `{"n": 2, "ok": true}`, b.get("/").Body.String(), "a change of a stored session is carried out")
}

func TestTooLarge(t *testing.T) {
	a := newSite(store.New(memstore.NewBackend(), store.Config{MaxBytes: 1000}), sessionkit.Config{})
	a.on("/grow", func(c *gin.Context) {
		name.Set(c, c.Query("v"))
		c.String(http.StatusOK, "saved!")
	})
	a.on("/", func(c *gin.Context) { v, _ := name.Get(c); c.String(http.StatusOK, v) })
	b := newBrowser(t, a)
	b.get("/grow?v=small")
	w := b.get("/grow?v=" + string(bytes.Repeat([]byte("x"), 1000)))
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	errs := a.errors()
	require.Len(t, errs, 1)
	assert.ErrorIs(t, errs[0], store.ErrTooLarge)
	assert.Equal(t, "small", b.get("/").Body.String())
}

// TestOptionsEndAtOnce: what follows the sign-out is in another session, as after
// Logout.
func TestOptionsEndAtOnce(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{})
	a.on("/login", signIn("42"))
	a.on("/logout", func(c *gin.Context) {
		s := sessions.Default(c)
		s.Clear()
		s.Options(sessions.Options{MaxAge: -1})
		assert.NoError(t, s.Save())
		_, signedIn := sessionkit.User(c)
		assert.False(t, signedIn)
		sessionkit.Flash(c, sessionkit.Info, "Bye")
	})
	a.on("/", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Flashes(c)) })
	b := newBrowser(t, a)
	b.get("/login")
	before := b.session()
	b.get("/logout")
	assert.NotEqual(t, before, b.session())
	assert.Contains(t, b.get("/").Body.String(), "Bye")
}
