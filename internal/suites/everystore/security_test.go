package everystore_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

func TestLoginChangesTheID(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{})
		var ids []string
		a.On("/cart", func(c *gin.Context) {
			kittest.Cart.Set(c, []kittest.Item{{Name: "tea", N: 1}})
			sessions.Default(c).Set("legacy", "x")
		})
		a.On("/login", func(c *gin.Context) { sessionkit.Login(c, c.Query("user")) })
		a.On("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
		a.On("/", func(c *gin.Context) {
			ids = append(ids, sessionkit.Current(c).ID)
			items, _ := kittest.Cart.Get(c)
			legacy, _ := sessions.Default(c).Get("legacy").(string)
			user, _ := sessionkit.User(c)
			c.String(http.StatusOK, "%s %v %s", user, items, legacy)
		})
		b := kittest.NewBrowser(t, a)
		b.Get("/cart")
		assert.Equal(t, " [{tea 1}] x", b.Get("/").Body.String())
		for _, step := range []struct{ path, want, why string }{
			{"/login?user=alice", "alice [{tea 1}] x", "signing in keeps the visitor's values"},
			{"/login?user=alice", "alice [{tea 1}] x", "signing in again keeps the user's values"},
			{"/renew", "alice [{tea 1}] x", "renewing keeps everything"},
			{"/login?user=bob", "bob [] ", "another user does not get the first one's values"},
		} {
			before := b.Session()
			w := b.Get(step.path)
			assert.Len(t, w.Header()["Set-Cookie"], 1)
			assert.NotEqual(t, before, b.Session(), step.path)
			assert.Equal(t, step.want, b.Get("/").Body.String(), step.why)
		}
		seen := make(map[string]bool)
		for _, id := range ids {
			assert.NotEmpty(t, id)
			assert.False(t, seen[id], "the public handle changes with the ID")
			seen[id] = true
		}
	})
}

func TestLogout(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{ClearSiteData: []string{"cache", "storage"}})
		a.On("/login", func(c *gin.Context) { sessionkit.Login(c, "42"); kittest.Count.Set(c, 7) })
		a.On("/logout", func(c *gin.Context) {
			sessionkit.Logout(c)
			_, ok := sessionkit.User(c)
			assert.False(t, ok)
			_, ok = kittest.Count.Get(c)
			assert.False(t, ok)
			assert.Empty(t, sessions.Default(c).Get("count"))
			if c.Query("again") != "" {
				kittest.Count.Set(c, 1)
				sessionkit.Flash(c, sessionkit.Info, "bye")
			}
		})
		a.On("/flashes", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Flashes(c)) })
		a.On("/", kittest.Whoami)
		a.On("/count", kittest.ShowCount)
		b := kittest.NewBrowser(t, a)

		w := b.Get("/logout")
		assert.Empty(t, w.Header()["Set-Cookie"], "who has no session gets no cookie")

		b.Get("/login")
		w = b.Get("/logout")
		require.Len(t, w.Header()["Set-Cookie"], 1)
		assert.Contains(t, w.Header()["Set-Cookie"][0], "Max-Age=0")
		assert.Contains(t, w.Header()["Set-Cookie"][0], "Path=/")
		assert.Equal(t, `"cache", "storage"`, w.Header().Get("Clear-Site-Data"))
		assert.Empty(t, b.Session())

		b.Get("/login")
		first := b.Session()
		w = b.Get("/logout?again=1")
		assert.Len(t, w.Header()["Set-Cookie"], 1, "one cookie of a name")
		assert.NotEmpty(t, b.Session())
		assert.NotEqual(t, first, b.Session(), "what follows a sign-out is a new session")
		assert.Empty(t, b.Get("/").Body.String())
		assert.JSONEq(t, `{"n": 1, "ok": true}`, b.Get("/count").Body.String())
		assert.JSONEq(t, `[{"level":"info","text":"bye"}]`, b.Get("/flashes").Body.String())
	})
}

// TestLegacyLogout is how code on gin-contrib/sessions alone signs out: by a MaxAge
// below zero, or by Clear.
func TestLegacyLogout(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/login", kittest.SignIn("42"))
		a.On("/clear", func(c *gin.Context) {
			session := sessions.Default(c)
			session.Clear()
			assert.NoError(t, session.Save())
		})
		a.On("/logout", func(c *gin.Context) {
			session := sessions.Default(c)
			session.Clear()
			session.Options(sessions.Options{Path: "/", MaxAge: -1})
			assert.NoError(t, session.Save())
		})
		a.On("/", kittest.Whoami)
		a.On("/clear-and-set", func(c *gin.Context) {
			session := sessions.Default(c)
			session.Clear()
			session.Set("count", 1)
			assert.NoError(t, session.Save())
		})
		a.On("/count", kittest.ShowCount)
		for _, path := range []string{"/logout", "/clear", "/clear-and-set"} {
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			copied := b.Fork()
			require.Equal(t, "42", b.Get("/").Body.String())
			w := b.Get(path)
			require.Len(t, w.Header()["Set-Cookie"], 1)
			assert.Equal(t, path != "/clear-and-set", b.Session() == "", path)
			assert.Empty(t, b.Get("/").Body.String(), path)
			assert.Contains(t, a.Kinds(), sessionkit.EventSignedOut)
			if _, own := s.(*store.Store); own {
				assert.Empty(t, copied.Get("/").Body.String(), "the session has ended")
			}
		}

		b := kittest.NewBrowser(t, a)
		b.Get("/clear-and-set")
		before := b.Session()
		w := b.Get("/clear")
		assert.Empty(t, a.Errors())
		assert.NotContains(t, a.Kinds(), sessionkit.EventSignedOut)
		assert.JSONEq(t, `{"n":0,"ok":false}`, b.Get("/count").Body.String(), "a visitor's values are gone")
		if _, own := s.(*store.Store); own {
			assert.Empty(t, w.Header()["Set-Cookie"])
			assert.Equal(t, before, b.Session(), "and the session goes on")
		}
	})
}

func TestDeadlines(t *testing.T) {
	config := sessionkit.Config{IdleTimeout: 30 * time.Minute, Lifetime: 4 * time.Hour, RememberFor: 72 * time.Hour}
	newApp := func(s sessions.Store) *kittest.Site {
		a := kittest.NewSite(s, config)
		a.On("/set", kittest.Increment)
		a.On("/login", kittest.SignIn("42"))
		a.On("/remember", kittest.SignIn("42", sessionkit.Remember()))
		a.On("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
		a.On("/", kittest.Whoami)
		a.On("/count", kittest.ShowCount)
		return a
	}
	bubble := func(t *testing.T, test func(t *testing.T, a *kittest.Site, b *kittest.Browser)) {
		t.Helper()
		teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
			synctest.Test(t, func(t *testing.T) {
				a := newApp(s)
				test(t, a, kittest.NewBrowser(t, a))
			})
		})
	}
	alive := func(t *testing.T, b *kittest.Browser, want bool, why string) {
		t.Helper()
		assert.Equal(t, map[bool]string{true: "42", false: ""}[want], b.Get("/").Body.String(), why)
	}
	t.Run("idle", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ *kittest.Site, b *kittest.Browser) {
			b.Get("/login")
			for range 6 {
				time.Sleep(config.IdleTimeout - time.Millisecond)
				alive(t, b, true, "a session that is used within IdleTimeout lives")
			}
			time.Sleep(config.IdleTimeout + time.Minute)
			alive(t, b, false, "an unused session ends")
		})
	})
	t.Run("never early", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ *kittest.Site, b *kittest.Browser) {
			b.Get("/login")
			time.Sleep(59 * time.Second) // this use is not recorded: one was less than a minute ago
			alive(t, b, true, "in use")
			time.Sleep(config.IdleTimeout - time.Millisecond)
			alive(t, b, true, "IdleTimeout counts from the last use, recorded or not")
		})
	})
	t.Run("lifetime", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ *kittest.Site, b *kittest.Browser) {
			b.Get("/login")
			for range 15 {
				time.Sleep(config.Lifetime/15 - time.Millisecond)
				alive(t, b, true, "in use, within Lifetime")
			}
			b.Get("/renew")
			time.Sleep(14 * time.Millisecond)
			alive(t, b, true, "to the end of Lifetime")
			time.Sleep(time.Millisecond)
			alive(t, b, false, "Lifetime ends a session in use, and Renew does not prolong it")
		})
	})
	t.Run("signing in again", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ *kittest.Site, b *kittest.Browser) {
			b.Get("/login")
			for range 10 {
				time.Sleep(25 * time.Minute)
				b.Get("/login")
			}
			alive(t, b, true, "signing in again restarts both clocks")
			time.Sleep(config.Lifetime)
			alive(t, b, false, "and they run")
		})
	})
	t.Run("visitor", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ *kittest.Site, b *kittest.Browser) {
			b.Get("/set")
			time.Sleep(config.IdleTimeout - time.Millisecond)
			assert.JSONEq(t, `{"n": 1, "ok": true}`, b.Get("/count").Body.String())
			time.Sleep(config.IdleTimeout + time.Minute)
			assert.JSONEq(t, `{"n": 0, "ok": false}`, b.Get("/count").Body.String(), "a visitor's session ends too")
		})
	})
	t.Run("remembered", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ *kittest.Site, b *kittest.Browser) {
			time.Sleep(300 * time.Microsecond) // people sign in between milliseconds
			w := b.Get("/remember")
			cookies := kittest.SetCookies(w)
			require.Len(t, cookies, 1)
			assert.Equal(t, int(config.RememberFor.Seconds()), cookies[0].MaxAge)
			time.Sleep(config.RememberFor - time.Millisecond)
			alive(t, b, true, "a remembered sign-in has no idle timeout")
			time.Sleep(time.Millisecond)
			alive(t, b, false, "it ends after RememberFor, whatever the cookie says")
		})
	})
	t.Run("stricter config", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := memstore.New()
			b := kittest.NewBrowser(t, newApp(s))
			b.Get("/login")
			stricter := kittest.NewSite(s, sessionkit.Config{IdleTimeout: 5 * time.Minute})
			stricter.On("/", kittest.Whoami)
			b.Handler = stricter
			time.Sleep(6 * time.Minute)
			alive(t, b, false, "a Config that has become stricter counts for sessions that are there")
		})
	})
}

func TestSessionCookie(t *testing.T) {
	type cookie struct{ name, attributes string }
	secure := func(name, attributes string) cookie { return cookie{name, attributes} }
	tests := []struct {
		name    string
		config  sessionkit.Config
		url     string
		headers []string
		release bool
		want    cookie
	}{
		{name: "TLS", url: "https://example.com/", want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "plain HTTP", url: "http://example.com/", want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "TLS on localhost", url: "https://localhost/", want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "localhost", url: "http://localhost:8080/", want: cookie{"session", "Path=/; HttpOnly; SameSite=Lax"}},
		{name: "127.0.0.1", url: "http://127.0.0.1:8080/", want: cookie{"session", "Path=/; HttpOnly; SameSite=Lax"}},
		{name: "IPv6", url: "http://[::1]:8080/", want: cookie{"session", "Path=/; HttpOnly; SameSite=Lax"}},
		{name: "IPv6 without port", url: "http://[::1]/", want: cookie{"session", "Path=/; HttpOnly; SameSite=Lax"}},
		{name: "under localhost", url: "http://app.localhost/", want: cookie{"session", "Path=/; HttpOnly; SameSite=Lax"}},
		{name: "not localhost", url: "http://notlocalhost/", want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "localhost as a label", url: "http://localhost.example.com/", want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "a name as long as localhost", url: "http://shop.test/", want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "under a name as long as localhost", url: "http://app.intra.lan/", want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "private address", url: "http://192.168.1.2/", want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "release mode", url: "http://localhost/", release: true, want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "X-Forwarded-For", url: "http://localhost/", headers: []string{"X-Forwarded-For", "1.2.3.4"}, want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "X-Forwarded-Proto", url: "http://localhost/", headers: []string{"X-Forwarded-Proto", "http"}, want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "Forwarded", url: "http://localhost/", headers: []string{"Forwarded", "for=1.2.3.4"}, want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "X-Real-IP", url: "http://localhost/", headers: []string{"X-Real-Ip", "1.2.3.4"}, want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "Via", url: "http://localhost/", headers: []string{"Via", "1.1 proxy"}, want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "CF-Connecting-IP", url: "http://localhost/", headers: []string{"Cf-Connecting-Ip", "1.2.3.4"}, want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "Origin elsewhere", url: "http://localhost/", headers: []string{"Origin", "https://example.com"}, want: cookie{"session", "Path=/; HttpOnly; SameSite=Lax"}},
		{name: "Referer elsewhere", url: "http://localhost/", headers: []string{"Referer", "https://example.com/x"}, want: cookie{"session", "Path=/; HttpOnly; SameSite=Lax"}},
		{name: "sent from elsewhere", url: "http://localhost/", headers: []string{"Referer", "https://example.com/x", "Sec-Fetch-Site", "cross-site"}, want: cookie{"session", "Path=/; HttpOnly; SameSite=Lax"}},
		{name: "Origin here", url: "http://localhost:8080/", headers: []string{"Origin", "http://localhost:5173"}, want: cookie{"session", "Path=/; HttpOnly; SameSite=Lax"}},
		{name: "InsecureHTTP", config: sessionkit.Config{InsecureHTTP: true}, url: "http://example.com/", want: cookie{"session", "Path=/; HttpOnly; SameSite=Lax"}},
		{name: "InsecureHTTP over TLS", config: sessionkit.Config{InsecureHTTP: true}, url: "https://example.com/", want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "InsecureHTTP behind two proxies", config: sessionkit.Config{InsecureHTTP: true}, url: "http://example.com/", headers: []string{"X-Forwarded-Proto", "https, http"}, want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "InsecureHTTP before two proxies", config: sessionkit.Config{InsecureHTTP: true}, url: "http://example.com/", headers: []string{"X-Forwarded-Proto", "http, https"}, want: cookie{"session", "Path=/; HttpOnly; SameSite=Lax"}},
		{name: "InsecureHTTP, Forwarded", config: sessionkit.Config{InsecureHTTP: true}, url: "http://example.com/", headers: []string{"Forwarded", `for="[2001:db8::1]:1;x";Proto="https", for=1.2.3.4;proto=http`}, want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "InsecureHTTP, Forwarded by plain HTTP", config: sessionkit.Config{InsecureHTTP: true}, url: "http://example.com/", headers: []string{"Forwarded", `for="x;proto=https", for=1.2.3.4;proto=https`}, want: cookie{"session", "Path=/; HttpOnly; SameSite=Lax"}},
		{name: "InsecureHTTP behind TLS", config: sessionkit.Config{InsecureHTTP: true}, url: "http://example.com/", headers: []string{"X-Forwarded-Proto", "https"}, want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "Domain", config: sessionkit.Config{Domain: "example.com"}, url: "https://example.com/", want: secure("__Secure-session", "Path=/; Domain=example.com; HttpOnly; Secure; SameSite=Lax")},
		{name: "Domain on localhost", config: sessionkit.Config{Domain: "example.com"}, url: "http://localhost/", want: cookie{"session", "Path=/; HttpOnly; SameSite=Lax"}},
		{name: "Domain on localhost over TLS", config: sessionkit.Config{Domain: "example.com"}, url: "https://localhost/", want: secure("__Secure-session", "Path=/; HttpOnly; Secure; SameSite=Lax")},
		{name: "Domain behind a proxy on this machine", config: sessionkit.Config{Domain: "example.com"}, url: "https://localhost/", headers: []string{"X-Forwarded-For", "1.2.3.4"}, want: secure("__Secure-session", "Path=/; Domain=example.com; HttpOnly; Secure; SameSite=Lax")},
		{name: "Domain under localhost", config: sessionkit.Config{Domain: "app.localhost"}, url: "http://shop.app.localhost:8080/", want: cookie{"session", "Path=/; Domain=app.localhost; HttpOnly; SameSite=Lax"}},
		{name: "Domain under localhost over TLS", config: sessionkit.Config{Domain: "app.localhost"}, url: "https://app.localhost/", want: secure("__Secure-session", "Path=/; Domain=app.localhost; HttpOnly; Secure; SameSite=Lax")},
		{name: "Path", config: sessionkit.Config{Path: "/app"}, url: "https://example.com/app", want: secure("__Secure-session", "Path=/app; HttpOnly; Secure; SameSite=Lax")},
		{name: "None and Partitioned", config: sessionkit.Config{SameSite: http.SameSiteNoneMode, Partitioned: true}, url: "https://example.com/", want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=None; Partitioned")},
		{name: "None and Partitioned on localhost", config: sessionkit.Config{SameSite: http.SameSiteNoneMode, Partitioned: true}, url: "http://localhost/", want: cookie{"session", "Path=/; HttpOnly; SameSite=Lax"}},
		{name: "Strict and Name", config: sessionkit.Config{SameSite: http.SameSiteStrictMode, Name: "sid"}, url: "https://example.com/", want: secure("__Host-Http-sid", "Path=/; HttpOnly; Secure; SameSite=Strict")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
				if test.release {
					gin.SetMode(gin.ReleaseMode)
					defer gin.SetMode(gin.TestMode)
				}
				a := kittest.NewSite(s, test.config)
				r := httptest.NewRequest(http.MethodGet, test.url, nil)
				a.GET(r.URL.Path, kittest.Increment)
				for i := 0; i < len(test.headers); i += 2 {
					r.Header.Set(test.headers[i], test.headers[i+1])
				}
				w := httptest.NewRecorder()
				a.ServeHTTP(w, r)
				require.Len(t, w.Header()["Set-Cookie"], 1)
				pair, attributes, _ := strings.Cut(w.Header()["Set-Cookie"][0], "; ")
				name, value, _ := strings.Cut(pair, "=")
				assert.Equal(t, test.want, cookie{name, attributes})
				assert.NotEmpty(t, value)

				r.AddCookie(&http.Cookie{Name: name, Value: value})
				w = httptest.NewRecorder()
				a.ServeHTTP(w, r)
				assert.Equal(t, 1, strings.Count(strings.Join(a.KindNames(), " "), "created"), "the cookie is recognized")
			})
		})
	}
}

func TestCacheHeaders(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{}, func(c *gin.Context) {
			if c.Query("vary") != "" {
				c.Header("Vary", c.Query("vary"))
			}
		})
		a.On("/login", kittest.SignIn("42"))
		guarded := a.Group("/g", sessionkit.RequireSession())
		guarded.GET("", kittest.Whoami)
		guarded.GET("/own", func(c *gin.Context) { c.Header("Cache-Control", "private, max-age=60"); kittest.Whoami(c) })
		a.On("/open", kittest.Whoami)
		a.On("/static", func(c *gin.Context) { c.Status(http.StatusNoContent) })
		b := kittest.NewBrowser(t, a)
		assert.Equal(t, "no-store", b.Get("/g").Header().Get("Cache-Control"), "the refusal too")
		b.Get("/login")
		assert.Equal(t, "no-store", b.Get("/g").Header().Get("Cache-Control"))
		assert.Equal(t, "private, max-age=60", b.Get("/g/own").Header().Get("Cache-Control"))
		assert.Empty(t, b.Get("/open").Header().Get("Cache-Control"))
		assert.Empty(t, b.Get("/static").Header()["Vary"])
		for vary, want := range map[string][]string{
			"": {"Cookie"}, "Accept-Encoding": {"Accept-Encoding", "Cookie"}, "Cookie": {"Cookie"},
			"accept, cookie": {"accept, cookie"}, "*": {"*"},
		} {
			for _, path := range []string{"/g", "/open", "/login"} {
				assert.Equal(t, want, b.Get(path + "?vary=" + strings.ReplaceAll(vary, " ", "%20")).Header()["Vary"])
			}
		}
	})
}

func TestHostileCookies(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/login", kittest.SignIn("42"))
		a.On("/", func(c *gin.Context) { assert.NoError(t, sessionkit.Err(c)); kittest.Whoami(c) })
		a.On("/set", kittest.Increment)
		b := kittest.NewBrowser(t, a)
		b.Get("/login")
		good := kittest.SessionCookie + "=" + b.Session()
		flipped := []byte(b.Session())
		flipped[len(flipped)-1] ^= 1
		for _, test := range []struct{ header, want string }{
			{"", ""},
			{kittest.SessionCookie + "=", ""},
			{kittest.SessionCookie, ""},
			{"=" + b.Session(), ""},
			{kittest.SessionCookie + "=" + string(flipped), ""},
			{kittest.SessionCookie + "=" + b.Session() + "A", ""},
			{kittest.SessionCookie + "=" + strings.Repeat("A", 1<<20), ""},
			{kittest.SessionCookie + "=\x00\xff\xfe\x01", ""},
			{kittest.SessionCookie + "=" + strings.Repeat("=", 43), ""},
			{strings.ToLower(good), ""},
			{good, "42"},
			{"a=b; " + good + "; c=d", "42"},
			{";;; " + good + ";", "42"},
			{kittest.SessionCookie + `="` + b.Session() + `"`, "42"},
			{kittest.SessionCookie + "=wrong; " + good, "42"},
			{kittest.SessionCookie + "=" + string(flipped) + "; " + kittest.SessionCookie + "=; " + good, "42"},
			{strings.Repeat(kittest.SessionCookie+"=wrong; ", 10000) + good, ""},
		} {
			r := b.Request(http.MethodGet, "/")
			r.Header["Cookie"] = []string{test.header}
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			assert.Equal(t, http.StatusOK, w.Code)
			assert.Equal(t, test.want, w.Body.String(), "%.100q", test.header)
			if test.want == "" && strings.Contains(test.header, kittest.SessionCookie+"=") {
				r.URL.Path = "/set"
				w = httptest.NewRecorder()
				a.ServeHTTP(w, r)
				assert.Len(t, w.Header()["Set-Cookie"], 1, "the visitor starts afresh: %.100q", test.header)
			}
		}
	})
}
