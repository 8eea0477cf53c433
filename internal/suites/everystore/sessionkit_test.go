package everystore_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-contrib/gzip"
	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/suites/teststores"
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
		a := kittest.NewSite(s, sessionkit.Config{})
		a.Any("/", handler)
		return a
	},
	"recovery outside": func(s sessions.Store, handler gin.HandlerFunc) http.Handler {
		a := kittest.NewSite(s, sessionkit.Config{}, gin.RecoveryWithWriter(io.Discard))
		a.Any("/", handler)
		return a
	},
	"recovery inside": func(s sessions.Store, handler gin.HandlerFunc) http.Handler {
		a := kittest.NewSite(s, sessionkit.Config{})
		a.Any("/", gin.RecoveryWithWriter(io.Discard), handler)
		return a
	},
	"gzip outside": func(s sessions.Store, handler gin.HandlerFunc) http.Handler {
		a := kittest.NewSite(s, sessionkit.Config{}, gzip.Gzip(gzip.DefaultCompression))
		a.Any("/", handler)
		return a
	},
	"gzip inside": func(s sessions.Store, handler gin.HandlerFunc) http.Handler {
		a := kittest.NewSite(s, sessionkit.Config{})
		a.Any("/", gzip.Gzip(gzip.DefaultCompression), handler)
		return a
	},
	"TimeoutHandler": func(s sessions.Store, handler gin.HandlerFunc) http.Handler {
		a := kittest.NewSite(s, sessionkit.Config{})
		a.Any("/", handler)
		return http.TimeoutHandler(a, time.Minute, "too late")
	},
}

func TestSavedBeforeTheFirstByte(t *testing.T) {
	for wrapping, wrap := range wrappings {
		for way, write := range firstBytes {
			if wrapping == "TimeoutHandler" && way == "c.Stream" {
				continue // Gin panics there without the middleware: the writer is no http.CloseNotifier
			}
			t.Run(wrapping+"/"+way, func(t *testing.T) {
				s := memstore.New()
				handler := wrap(s, func(c *gin.Context) {
					if c.Query("read") != "" {
						kittest.ShowCount(c)
						return
					}
					kittest.Count.Set(c, 7)
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

// TestSaveOfANewSession: Save of sessions.Default(c) stores it at once, so that it
// has an ID and its cookie is in the header. What is set later follows, and nothing
// is left if the request fails.
func TestSaveOfANewSession(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{}, gin.RecoveryWithWriter(io.Discard))
		a.On("/", func(c *gin.Context) {
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
		a.On("/me", func(c *gin.Context) {
			first, _ := kittest.Name.Get(c)
			c.JSON(http.StatusOK, gin.H{"name": first, "id": sessions.Default(c).ID()})
		})
		b := kittest.NewBrowser(t, a)
		w := b.Get("/?user=42")
		assert.JSONEq(t, `{"name":"Ada","id":"`+w.Body.String()+`"}`, b.Get("/me").Body.String())
		for _, then := range []string{"panic", "fail"} {
			b := kittest.NewBrowser(t, a)
			w := b.Get("/?user=43&then=" + then)
			assert.GreaterOrEqual(t, w.Code, 500)
			assert.Empty(t, w.Header()["Set-Cookie"], then)
			if own, ok := s.(*store.Store); ok {
				assert.Empty(t, kittest.UserSessions(t, own, "43"), then)
			}
		}
	})
}

// TestSignOutAfterSave: nobody is told of the session that Save has stored.
func TestSignOutAfterSave(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{TokenHeader: "X-Session"})
		for path, signOut := range map[string]func(c *gin.Context){
			"/logout": sessionkit.Logout,
			"/options": func(c *gin.Context) {
				session := sessions.Default(c)
				session.Clear()
				session.Options(sessions.Options{MaxAge: -1})
				assert.NoError(t, session.Save())
			},
		} {
			a.On(path, func(c *gin.Context) {
				sessionkit.Login(c, "42")
				assert.NoError(t, sessions.Default(c).Save())
				signOut(c)
				c.String(http.StatusOK, "signed out")
			})
			w := kittest.NewBrowser(t, a).Get(path)
			assert.Equal(t, http.StatusOK, w.Code, path)
			assert.Empty(t, w.Header()["Set-Cookie"], path)
			w = kittest.NewBrowser(t, a).Get(path, "X-Session", "")
			assert.Equal(t, http.StatusOK, w.Code, path)
			assert.Empty(t, w.Header()["X-Session"], path)
		}
		if own, ok := s.(*store.Store); ok {
			assert.Empty(t, kittest.UserSessions(t, own, "42"))
		}
	})
}

// TestCachesAfterSave: a response with a session's cookie is for no cache, whatever the
// handler says of it after Save.
func TestCachesAfterSave(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/", func(c *gin.Context) {
			sessions.Default(c).Set("count", 1)
			assert.NoError(t, sessions.Default(c).Save())
			c.Header("Cache-Control", "public, max-age=3600")
			c.Header("CDN-Cache-Control", "max-age=3600")
			c.String(http.StatusOK, "for everybody")
		})
		w := kittest.NewBrowser(t, a).Get("/")
		assert.NotEmpty(t, w.Header()["Set-Cookie"])
		assert.Equal(t, []string{"no-store"}, w.Header()["Cache-Control"])
		assert.Empty(t, w.Header()["Cdn-Cache-Control"])
	})
}

func TestNothingChanged(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/set", func(c *gin.Context) {
			kittest.Count.Set(c, 1)
			kittest.Cart.Set(c, []kittest.Item{{Name: "tea", N: 1}})
		})
		a.On("/read", func(c *gin.Context) {
			if _, ok := kittest.Count.Get(c); ok {
				kittest.Count.Set(c, 1)
				kittest.Cart.Set(c, []kittest.Item{{Name: "tea", N: 1}})
			}
			kittest.Name.Delete(c)
			kittest.Name.Take(c)
			assert.Empty(t, sessionkit.Flashes(c))
			sessionkit.KeepFlashes(c)
			sessionkit.FlashNow(c, sessionkit.Info, "now")
			assert.Len(t, sessionkit.Flashes(c), 1)
			assert.Nil(t, sessions.Default(c).Get("nothing"))
			assert.Empty(t, sessions.Default(c).Flashes())
			assert.NoError(t, sessions.Default(c).Save())
			kittest.Whoami(c)
		})
		a.On("/unset", func(c *gin.Context) { kittest.Name.Set(c, "x"); kittest.Name.Delete(c) })
		b := kittest.NewBrowser(t, a)
		for _, path := range []string{"/read", "/unset"} {
			w := b.Get(path)
			assert.Empty(t, w.Header()["Set-Cookie"], "a visitor who stores nothing gets no cookie")
		}
		b.Get("/set")
		before := b.Session()
		require.NotEmpty(t, before)
		w := b.Get("/read")
		assert.Empty(t, w.Header()["Set-Cookie"], "reading sets no cookie")
		assert.Equal(t, []string{"Cookie"}, w.Header()["Vary"])
	})
}

func TestFailedSave(t *testing.T) {
	for wrapping, wrap := range wrappings {
		t.Run(wrapping, func(t *testing.T) {
			s := kittest.NewBackend()
			handler := wrap(kittest.StoreOver(s), func(c *gin.Context) {
				if c.Query("read") != "" {
					kittest.ShowCount(c)
					return
				}
				kittest.Increment(c)
				c.Header("ETag", `"1"`)
				c.SetCookie("mine", "1", 0, "/", "", true, true)
				c.Redirect(http.StatusSeeOther, "/welcome")
				_, err := c.Writer.WriteString("saved!")
				if c.Query("fail") != "" {
					assert.ErrorContains(t, err, "down", "the handler is told")
				}
			})
			b := kittest.NewBrowser(t, handler)
			assert.Equal(t, http.StatusSeeOther, b.Get("/").Code)
			session := b.Session()

			s.Failing(errors.New("down"), "update", "create")
			for _, visitor := range []*kittest.Browser{b, kittest.NewBrowser(t, handler)} {
				w := visitor.Get("/?fail=1", "Accept-Encoding", "identity")
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
			s.Failing(nil)
			assert.Equal(t, session, b.Session(), "the old session stands")
			assert.JSONEq(t, `{"n": 1, "ok": true}`, b.Get("/?read=1", "Accept-Encoding", "identity").Body.String())
		})
	}
}

func TestFailedSaveBehindGzip(t *testing.T) {
	for _, wrapping := range []string{"gzip outside", "gzip inside"} {
		t.Run(wrapping, func(t *testing.T) {
			s := kittest.NewBackend()
			s.Failing(errors.New("down"), "create")
			server := httptest.NewServer(wrappings[wrapping](kittest.StoreOver(s), func(c *gin.Context) {
				kittest.Increment(c)
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

// TestErrorPageBehindGzip: a cache that does not learn of the cookie gives nobody's page to others.
func TestErrorPageBehindGzip(t *testing.T) {
	for code, kept := range map[int]string{http.StatusOK: "public, max-age=600", http.StatusNotFound: "no-store"} {
		b := kittest.NewBrowser(t, wrappings["gzip outside"](memstore.New(), func(c *gin.Context) {
			user, _ := sessionkit.User(c)
			c.Header("Cache-Control", "public, max-age=600")
			c.String(code, "no such page, "+user)
		}))
		header := b.Get("/", "Accept-Encoding", "gzip").Header()
		assert.Equal(t, kept, header.Get("Cache-Control"), code)
		if code == http.StatusOK {
			assert.Contains(t, header["Vary"], "Cookie")
		}
	}
}

func TestFailedSaveOfAValue(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		bad := sessionkit.NewKey[map[string]any]("bad")
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/set", kittest.Increment)
		a.On("/typed", func(c *gin.Context) {
			kittest.Count.Set(c, 9)
			bad.Set(c, map[string]any{"f": func() {}})
			assert.ErrorContains(t, sessionkit.Err(c), `"bad"`)
			c.String(http.StatusOK, "saved!")
		})
		a.On("/untyped", func(c *gin.Context) {
			kittest.Count.Set(c, 9)
			sessions.Default(c).Set("bad", func() {})
			c.String(http.StatusOK, "saved!")
			assert.ErrorContains(t, sessionkit.Err(c), `"bad"`)
		})
		a.On("/", kittest.ShowCount)
		b := kittest.NewBrowser(t, a)
		b.Get("/set")
		a.Kinds()
		a.On("/flash", func(c *gin.Context) {
			kittest.Count.Set(c, 9)
			sessionkit.NewFlash[map[string]any]("bad").Add(c, map[string]any{"f": func() {}})
			_, err := io.Copy(c.Writer, strings.NewReader("saved!"))
			assert.ErrorContains(t, err, `"bad"`)
		})
		for _, path := range []string{"/typed", "/untyped", "/flash"} {
			w := b.Get(path)
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.NotContains(t, w.Body.String(), "saved!")
			require.Len(t, a.Errors(), 1)
			assert.Empty(t, a.Kinds(), "the store has not failed")
		}
		assert.JSONEq(t, `{"n": 1, "ok": true}`, b.Get("/").Body.String())
	})
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
				teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
					var a *kittest.Site
					if inside {
						a = kittest.NewSite(s, sessionkit.Config{})
						a.Use(recovery)
					} else {
						a = kittest.NewSite(s, sessionkit.Config{}, recovery)
					}
					a.On("/set", kittest.Increment)
					a.On("/panic", func(c *gin.Context) {
						n, _ := kittest.Count.Get(c)
						kittest.Count.Set(c, n+1)
						sessions.Default(c).Set("legacy", true)
						sessionkit.Login(c, "mallory")
						panic("oops")
					})
					a.On("/logout", func(c *gin.Context) { sessionkit.Logout(c); panic("oops") })
					a.On("/", kittest.ShowCount)
					b := kittest.NewBrowser(t, a)
					assert.Empty(t, b.Get("/panic").Header()["Set-Cookie"])
					b.Get("/set")
					for _, path := range []string{"/panic", "/logout"} {
						w := b.Get(path)
						assert.GreaterOrEqual(t, w.Code, 400)
						assert.Empty(t, w.Header()["Set-Cookie"], path)
						assert.JSONEq(t, `{"n": 1, "ok": true}`, b.Get("/").Body.String(), path)
					}
					assert.NotContains(t, a.Kinds(), sessionkit.EventSignedIn)
				})
			})
		}
	}
}

func TestChangeAfterTheHeaderOnCookieStore(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/start", kittest.Increment)
		a.On("/late", func(c *gin.Context) { c.String(http.StatusOK, "begun"); kittest.Increment(c) })
		a.On("/", kittest.ShowCount)
		b := kittest.NewBrowser(t, a)
		b.Get("/start")
		w := b.Get("/late")
		assert.Empty(t, w.Header()["Set-Cookie"])
		if t.Name() == "TestChangeAfterTheHeaderOnCookieStore/cookie" {
			require.Len(t, a.Errors(), 1, "there the cookie is the session")
			assert.JSONEq(t, `{"n": 1, "ok": true}`, b.Get("/").Body.String())
			return
		}
		assert.Empty(t, a.Errors())
		assert.JSONEq(t, `{"n": 2, "ok": true}`, b.Get("/").Body.String())
	})
}
