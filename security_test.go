package sessionkit_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

func TestSecretStandsInTheCookieAlone(t *testing.T) {
	s := newBackend()
	kept := storeOver(s)
	a := newSite(kept, sessionkit.Config{})
	var handles []string
	a.on("/login", signIn("42"))
	a.on("/", func(c *gin.Context) {
		handles = append(handles, sessionkit.Current(c).ID, sessions.Default(c).ID())
		whoami(c)
	})
	b := newBrowser(t, a)
	seen := make(map[string]bool)
	values := make([]map[byte]bool, 32)
	for range 100 {
		b.get("/login")
		raw, err := base64.RawURLEncoding.DecodeString(b.session())
		require.NoError(t, err)
		require.Len(t, raw, 32, "256 bits")
		for i, c := range raw {
			if values[i] == nil {
				values[i] = make(map[byte]bool)
			}
			values[i][c] = true
		}
		assert.False(t, seen[b.session()], "no secret comes twice")
		seen[b.session()] = true
	}
	for i := range values {
		assert.Greater(t, len(values[i]), 50, "each byte is random")
	}
	b.get("/")
	sum := sha256.Sum256([]byte(b.session()))
	handle := base64.RawURLEncoding.EncodeToString(sum[:])
	assert.Equal(t, []string{handle, handle}, handles, "the public handle is the hash")

	list := userSessions(t, kept, "42")
	require.Len(t, list, 1)
	record, found, err := s.Backend.Load(t.Context(), list[0].ID)
	require.NoError(t, err)
	require.True(t, found, "the store knows the session by the public handle")
	for _, text := range []string{fmt.Sprintf("%+v", record), fmt.Sprintf("%+v %#v", list, list), fmt.Sprintf("%+v", a.heard())} {
		assert.NotContains(t, text, b.session(), "the secret is kept nowhere")
	}
	b.cookies[sessionCookie] = handle
	assert.Empty(t, b.get("/").Body.String(), "who reads the database cannot sign in with it")
}

func TestLoginChangesTheID(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		a := newSite(s, sessionkit.Config{})
		var ids []string
		a.on("/cart", func(c *gin.Context) { cart.Set(c, []item{{"tea", 1}}); sessions.Default(c).Set("legacy", "x") })
		a.on("/login", func(c *gin.Context) { sessionkit.Login(c, c.Query("user")) })
		a.on("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
		a.on("/", func(c *gin.Context) {
			ids = append(ids, sessionkit.Current(c).ID)
			items, _ := cart.Get(c)
			legacy, _ := sessions.Default(c).Get("legacy").(string)
			user, _ := sessionkit.User(c)
			c.String(http.StatusOK, "%s %v %s", user, items, legacy)
		})
		b := newBrowser(t, a)
		b.get("/cart")
		assert.Equal(t, " [{tea 1}] x", b.get("/").Body.String())
		for _, step := range []struct{ path, want, why string }{
			{"/login?user=alice", "alice [{tea 1}] x", "signing in keeps the visitor's values"},
			{"/login?user=alice", "alice [{tea 1}] x", "signing in again keeps the user's values"},
			{"/renew", "alice [{tea 1}] x", "renewing keeps everything"},
			{"/login?user=bob", "bob [] ", "another user does not get the first one's values"},
		} {
			before := b.session()
			w := b.get(step.path)
			assert.Len(t, w.Header()["Set-Cookie"], 1)
			assert.NotEqual(t, before, b.session(), step.path)
			assert.Equal(t, step.want, b.get("/").Body.String(), step.why)
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
	eachStore(t, func(t *testing.T, s sessions.Store) {
		a := newSite(s, sessionkit.Config{ClearSiteData: []string{"cache", "storage"}})
		a.on("/login", func(c *gin.Context) { sessionkit.Login(c, "42"); count.Set(c, 7) })
		a.on("/logout", func(c *gin.Context) {
			sessionkit.Logout(c)
			_, ok := sessionkit.User(c)
			assert.False(t, ok)
			_, ok = count.Get(c)
			assert.False(t, ok)
			assert.Empty(t, sessions.Default(c).Get("count"))
			if c.Query("again") != "" {
				count.Set(c, 1)
				sessionkit.Flash(c, sessionkit.Info, "bye")
			}
		})
		a.on("/flashes", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Flashes(c)) })
		a.on("/", whoami)
		a.on("/count", showCount)
		b := newBrowser(t, a)

		w := b.get("/logout")
		assert.Empty(t, w.Header()["Set-Cookie"], "who has no session gets no cookie")

		b.get("/login")
		w = b.get("/logout")
		require.Len(t, w.Header()["Set-Cookie"], 1)
		assert.Contains(t, w.Header()["Set-Cookie"][0], "Max-Age=0")
		assert.Contains(t, w.Header()["Set-Cookie"][0], "Path=/")
		assert.Equal(t, `"cache", "storage"`, w.Header().Get("Clear-Site-Data"))
		assert.Empty(t, b.session())

		b.get("/login")
		first := b.session()
		w = b.get("/logout?again=1")
		assert.Len(t, w.Header()["Set-Cookie"], 1, "one cookie of a name")
		assert.NotEmpty(t, b.session())
		assert.NotEqual(t, first, b.session(), "what follows a sign-out is a new session")
		assert.Empty(t, b.get("/").Body.String())
		assert.JSONEq(t, `{"n": 1, "ok": true}`, b.get("/count").Body.String())
		assert.JSONEq(t, `[{"level":"info","text":"bye"}]`, b.get("/flashes").Body.String())
	})
}

// TestLegacyLogout is how code on gin-contrib/sessions alone signs out: by a MaxAge
// below zero, or by Clear.
func TestLegacyLogout(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		a := newSite(s, sessionkit.Config{})
		a.on("/login", signIn("42"))
		a.on("/clear", func(c *gin.Context) {
			session := sessions.Default(c)
			session.Clear()
			assert.NoError(t, session.Save())
		})
		a.on("/logout", func(c *gin.Context) {
			session := sessions.Default(c)
			session.Clear()
			session.Options(sessions.Options{Path: "/", MaxAge: -1})
			assert.NoError(t, session.Save())
		})
		a.on("/", whoami)
		a.on("/clear-and-set", func(c *gin.Context) {
			session := sessions.Default(c)
			session.Clear()
			session.Set("count", 1)
			assert.NoError(t, session.Save())
		})
		a.on("/count", showCount)
		for _, path := range []string{"/logout", "/clear", "/clear-and-set"} {
			b := newBrowser(t, a)
			b.get("/login")
			copied := b.fork()
			require.Equal(t, "42", b.get("/").Body.String())
			w := b.get(path)
			require.Len(t, w.Header()["Set-Cookie"], 1)
			assert.Equal(t, path != "/clear-and-set", b.session() == "", path)
			assert.Empty(t, b.get("/").Body.String(), path)
			assert.Contains(t, a.kinds(), sessionkit.EventSignedOut)
			if _, own := s.(*store.Store); own {
				assert.Empty(t, copied.get("/").Body.String(), "the session has ended")
			}
		}

		b := newBrowser(t, a)
		b.get("/clear-and-set")
		before := b.session()
		w := b.get("/clear")
		assert.Empty(t, a.errors())
		assert.NotContains(t, a.kinds(), sessionkit.EventSignedOut)
		assert.JSONEq(t, `{"n":0,"ok":false}`, b.get("/count").Body.String(), "a visitor's values are gone")
		if _, own := s.(*store.Store); own {
			assert.Empty(t, w.Header()["Set-Cookie"])
			assert.Equal(t, before, b.session(), "and the session goes on")
		}
	})
}

func TestDeadlines(t *testing.T) {
	config := sessionkit.Config{IdleTimeout: 30 * time.Minute, Lifetime: 4 * time.Hour, RememberFor: 72 * time.Hour}
	newApp := func(s sessions.Store) *site {
		a := newSite(s, config)
		a.on("/set", increment)
		a.on("/login", signIn("42"))
		a.on("/remember", signIn("42", sessionkit.Remember()))
		a.on("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
		a.on("/", whoami)
		a.on("/count", showCount)
		return a
	}
	bubble := func(t *testing.T, test func(t *testing.T, a *site, b *browser)) {
		t.Helper()
		eachStore(t, func(t *testing.T, s sessions.Store) {
			synctest.Test(t, func(t *testing.T) {
				a := newApp(s)
				test(t, a, newBrowser(t, a))
			})
		})
	}
	alive := func(t *testing.T, b *browser, want bool, why string) {
		t.Helper()
		assert.Equal(t, map[bool]string{true: "42", false: ""}[want], b.get("/").Body.String(), why)
	}
	t.Run("idle", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ *site, b *browser) {
			b.get("/login")
			for range 6 {
				time.Sleep(config.IdleTimeout - time.Millisecond)
				alive(t, b, true, "a session that is used within IdleTimeout lives")
			}
			time.Sleep(config.IdleTimeout + time.Minute)
			alive(t, b, false, "an unused session ends")
		})
	})
	t.Run("never early", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ *site, b *browser) {
			b.get("/login")
			time.Sleep(59 * time.Second) // this use is not recorded: one was less than a minute ago
			alive(t, b, true, "in use")
			time.Sleep(config.IdleTimeout - time.Millisecond)
			alive(t, b, true, "IdleTimeout counts from the last use, recorded or not")
		})
	})
	t.Run("lifetime", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ *site, b *browser) {
			b.get("/login")
			for range 15 {
				time.Sleep(config.Lifetime/15 - time.Millisecond)
				alive(t, b, true, "in use, within Lifetime")
			}
			b.get("/renew")
			time.Sleep(14 * time.Millisecond)
			alive(t, b, true, "to the end of Lifetime")
			time.Sleep(time.Millisecond)
			alive(t, b, false, "Lifetime ends a session in use, and Renew does not prolong it")
		})
	})
	t.Run("signing in again", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ *site, b *browser) {
			b.get("/login")
			for range 10 {
				time.Sleep(25 * time.Minute)
				b.get("/login")
			}
			alive(t, b, true, "signing in again restarts both clocks")
			time.Sleep(config.Lifetime)
			alive(t, b, false, "and they run")
		})
	})
	t.Run("visitor", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ *site, b *browser) {
			b.get("/set")
			time.Sleep(config.IdleTimeout - time.Millisecond)
			assert.JSONEq(t, `{"n": 1, "ok": true}`, b.get("/count").Body.String())
			time.Sleep(config.IdleTimeout + time.Minute)
			assert.JSONEq(t, `{"n": 0, "ok": false}`, b.get("/count").Body.String(), "a visitor's session ends too")
		})
	})
	t.Run("remembered", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ *site, b *browser) {
			time.Sleep(300 * time.Microsecond) // people sign in between milliseconds
			w := b.get("/remember")
			cookies := setCookies(w)
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
			b := newBrowser(t, newApp(s))
			b.get("/login")
			stricter := newSite(s, sessionkit.Config{IdleTimeout: 5 * time.Minute})
			stricter.on("/", whoami)
			b.handler = stricter
			time.Sleep(6 * time.Minute)
			alive(t, b, false, "a Config that has become stricter counts for sessions that are there")
		})
	})
}

func TestSeenIsWrittenOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBackend()
		a := newSite(storeOver(s), sessionkit.Config{})
		a.on("/set", increment)
		a.on("/renew", func(c *gin.Context) { sessionkit.Renew(c); c.Writer.Flush() })
		a.on("/", showCount)
		a.on("/stream", func(c *gin.Context) {
			showCount(c)
			c.Writer.Flush()
			time.Sleep(time.Hour / 2)
		})
		a.on("/seen", func(c *gin.Context) {
			c.String(http.StatusOK, sessionkit.Current(c).LastSeenAt.Format(time.TimeOnly))
		})
		b := newBrowser(t, a)
		b.get("/set")
		s.called()
		for range 59 {
			b.get("/")
			time.Sleep(time.Second)
		}
		assert.NotContains(t, s.called(), "update", "a read is one store read and no write")
		time.Sleep(time.Second)
		w := b.get("/")
		assert.Equal(t, []string{"load", "update"}, s.called())
		assert.Empty(t, w.Header()["Set-Cookie"])
		time.Sleep(time.Minute)
		b.get("/set")
		assert.Equal(t, []string{"load", "update"}, s.called(), "together with what else changed")
		b.get("/")
		assert.Equal(t, []string{"load"}, s.called())
		time.Sleep(time.Minute)
		b.get("/renew")
		assert.Equal(t, []string{"load", "rotate"}, s.called(), "a renewal records it as well")
		b.get("/stream")
		assert.Equal(t, []string{"load"}, s.called(), "that a response takes long is no use of the session")
		b.get("/")
		assert.Equal(t, []string{"load", "update"}, s.called())

		time.Sleep(time.Minute)
		s.failing(errors.New("down"), "update")
		assert.Equal(t, http.StatusOK, b.get("/").Code, "the answer does not depend on it")
		assert.Len(t, a.errors(), 1, "but it is reported")
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
		{name: "Path", config: sessionkit.Config{Path: "/app"}, url: "https://example.com/app", want: secure("__Secure-session", "Path=/app; HttpOnly; Secure; SameSite=Lax")},
		{name: "None and Partitioned", config: sessionkit.Config{SameSite: http.SameSiteNoneMode, Partitioned: true}, url: "https://example.com/", want: secure("__Host-Http-session", "Path=/; HttpOnly; Secure; SameSite=None; Partitioned")},
		{name: "None and Partitioned on localhost", config: sessionkit.Config{SameSite: http.SameSiteNoneMode, Partitioned: true}, url: "http://localhost/", want: cookie{"session", "Path=/; HttpOnly; SameSite=Lax"}},
		{name: "Strict and Name", config: sessionkit.Config{SameSite: http.SameSiteStrictMode, Name: "sid"}, url: "https://example.com/", want: secure("__Host-Http-sid", "Path=/; HttpOnly; Secure; SameSite=Strict")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s sessions.Store) {
				if test.release {
					gin.SetMode(gin.ReleaseMode)
					defer gin.SetMode(gin.TestMode)
				}
				a := newSite(s, test.config)
				r := httptest.NewRequest(http.MethodGet, test.url, nil)
				a.GET(r.URL.Path, increment)
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
				assert.Equal(t, 1, strings.Count(strings.Join(a.kindNames(), " "), "created"), "the cookie is recognized")
			})
		})
	}
}

func (a *site) kindNames() []string {
	var names []string
	for _, kind := range a.kinds() {
		names = append(names, string(kind))
	}
	return names
}

func TestCrossOriginProtection(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{TrustedOrigins: []string{"https://app.example.org"}})
	ran := 0
	a.Any("/", func(c *gin.Context) { ran++; c.Status(http.StatusNoContent) })
	tests := []struct {
		method  string
		headers []string
		want    int
	}{
		{"GET", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 204},
		{"HEAD", []string{"Sec-Fetch-Site", "cross-site"}, 204},
		{"OPTIONS", []string{"Origin", "https://evil.example"}, 204},
		{"POST", nil, 204},
		{"POST", []string{"Sec-Fetch-Site", "same-origin", "Origin", "https://example.com"}, 204},
		{"POST", []string{"Sec-Fetch-Site", "none"}, 204},
		{"POST", []string{"Origin", "https://example.com"}, 204},
		{"POST", []string{"Origin", "https://app.example.org"}, 204},
		{"POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://app.example.org"}, 204},
		{"POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{"POST", []string{"Sec-Fetch-Site", "same-site", "Origin", "https://sub.example.com"}, 403},
		{"POST", []string{"Origin", "https://evil.example"}, 403},
		{"POST", []string{"Origin", "null"}, 403},
		{"PUT", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"PATCH", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"DELETE", []string{"Sec-Fetch-Site", "cross-site"}, 403},

		// The handshake of a WebSocket, which can do what a POST can.
		{"GET", []string{"Upgrade", "websocket", "Connection", "Upgrade"}, 204},
		{"GET", []string{"Upgrade", "websocket", "Sec-Fetch-Site", "same-origin", "Origin", "https://example.com"}, 204},
		{"GET", []string{"Upgrade", "websocket", "Origin", "https://example.com"}, 204},
		{"GET", []string{"Upgrade", "websocket", "Origin", "https://app.example.org"}, 204},
		{"GET", []string{"Upgrade", "websocket", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{"GET", []string{"Upgrade", "WebSocket", "Sec-Fetch-Site", "same-site", "Origin", "https://sub.example.com"}, 403},
		{"GET", []string{"Upgrade", "h2c, websocket", "Origin", "https://evil.example"}, 403},
		{"GET", []string{"Upgrade", "h2c", "Origin", "https://evil.example"}, 204},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.method, test.headers), func(t *testing.T) {
			ran = 0
			b := newBrowser(t, a)
			w := b.do(b.request(test.method, "/", test.headers...))
			assert.Equal(t, test.want, w.Code)
			errs, kinds := a.errors(), a.kinds()
			if test.want != http.StatusForbidden {
				assert.Equal(t, 1, ran)
				assert.Empty(t, errs)
				return
			}
			assert.Zero(t, ran, "the handler does not run")
			assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			assert.Contains(t, w.Body.String(), `"reason":"cross-origin"`)
			assert.NotContains(t, w.Body.String(), "evil.example")
			assert.NotContains(t, w.Body.String(), "TrustedOrigins", "the remedy is not for the other site")
			assert.Equal(t, []sessionkit.EventKind{sessionkit.EventCrossOrigin}, kinds)
			require.Len(t, errs, 1)
			assert.ErrorContains(t, errs[0], "TrustedOrigins")
			assert.ErrorContains(t, errs[0], "a middleware for CORS must stand before Sessions")
			if origin := b.request(test.method, "/", test.headers...).Header.Get("Origin"); origin != "" {
				assert.ErrorContains(t, errs[0], origin)
			}
		})
	}
}

func TestCacheHeaders(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		a := newSite(s, sessionkit.Config{}, func(c *gin.Context) {
			if c.Query("vary") != "" {
				c.Header("Vary", c.Query("vary"))
			}
		})
		a.on("/login", signIn("42"))
		guarded := a.Group("/g", sessionkit.RequireSession())
		guarded.GET("", whoami)
		guarded.GET("/own", func(c *gin.Context) { c.Header("Cache-Control", "private, max-age=60"); whoami(c) })
		a.on("/open", whoami)
		a.on("/static", func(c *gin.Context) { c.Status(http.StatusNoContent) })
		b := newBrowser(t, a)
		assert.Equal(t, "no-store", b.get("/g").Header().Get("Cache-Control"), "the refusal too")
		b.get("/login")
		assert.Equal(t, "no-store", b.get("/g").Header().Get("Cache-Control"))
		assert.Equal(t, "private, max-age=60", b.get("/g/own").Header().Get("Cache-Control"))
		assert.Empty(t, b.get("/open").Header().Get("Cache-Control"))
		assert.Empty(t, b.get("/static").Header()["Vary"])
		for vary, want := range map[string][]string{
			"": {"Cookie"}, "Accept-Encoding": {"Accept-Encoding", "Cookie"}, "Cookie": {"Cookie"},
			"accept, cookie": {"accept, cookie"}, "*": {"*"},
		} {
			for _, path := range []string{"/g", "/open", "/login"} {
				assert.Equal(t, want, b.get(path + "?vary=" + strings.ReplaceAll(vary, " ", "%20")).Header()["Vary"])
			}
		}
	})
}

func TestHostileCookies(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		a := newSite(s, sessionkit.Config{})
		a.on("/login", signIn("42"))
		a.on("/", func(c *gin.Context) { assert.NoError(t, sessionkit.Err(c)); whoami(c) })
		a.on("/set", increment)
		b := newBrowser(t, a)
		b.get("/login")
		good := sessionCookie + "=" + b.session()
		flipped := []byte(b.session())
		flipped[len(flipped)-1] ^= 1
		for _, test := range []struct{ header, want string }{
			{"", ""},
			{sessionCookie + "=", ""},
			{sessionCookie, ""},
			{"=" + b.session(), ""},
			{sessionCookie + "=" + string(flipped), ""},
			{sessionCookie + "=" + b.session() + "A", ""},
			{sessionCookie + "=" + strings.Repeat("A", 1<<20), ""},
			{sessionCookie + "=\x00\xff\xfe\x01", ""},
			{sessionCookie + "=" + strings.Repeat("=", 43), ""},
			{strings.ToLower(good), ""},
			{good, "42"},
			{"a=b; " + good + "; c=d", "42"},
			{";;; " + good + ";", "42"},
			{sessionCookie + `="` + b.session() + `"`, "42"},
			{sessionCookie + "=wrong; " + good, "42"},
			{sessionCookie + "=" + string(flipped) + "; " + sessionCookie + "=; " + good, "42"},
			{strings.Repeat(sessionCookie+"=wrong; ", 10000) + good, ""},
		} {
			r := b.request(http.MethodGet, "/")
			r.Header["Cookie"] = []string{test.header}
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			assert.Equal(t, http.StatusOK, w.Code)
			assert.Equal(t, test.want, w.Body.String(), "%.100q", test.header)
			if test.want == "" && strings.Contains(test.header, sessionCookie+"=") {
				r.URL.Path = "/set"
				w = httptest.NewRecorder()
				a.ServeHTTP(w, r)
				assert.Len(t, w.Header()["Set-Cookie"], 1, "the visitor starts afresh: %.100q", test.header)
			}
		}
	})
}

func TestCorruptRecord(t *testing.T) {
	s := newBackend()
	a := newSite(storeOver(s), sessionkit.Config{})
	a.on("/login", signIn("42"))
	a.on("/set", increment)
	a.on("/", whoami)
	b := newBrowser(t, a)
	b.get("/login")
	old := b.session()
	a.kinds()
	s.failing(fmt.Errorf("reading: %w", store.ErrCorrupt), "load")
	w := b.get("/")
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Empty(t, w.Body.String())
	errs := a.errors()
	require.Len(t, errs, 1, "it is reported")
	require.ErrorIs(t, errs[0], store.ErrCorrupt)
	assert.Equal(t, http.StatusNoContent, b.get("/set").Code)
	assert.NotEqual(t, old, b.session(), "the visitor starts afresh")
}

// TestBadValue: one value that does not decode takes no other down with it.
func TestBadValue(t *testing.T) {
	s := newBackend()
	kept := storeOver(s)
	a := newSite(kept, sessionkit.Config{})
	a.on("/", func(c *gin.Context) {
		n, ok := count.Get(c)
		assert.True(t, ok)
		assert.Equal(t, 7, n)
		for _, bad := range []string{"name", "cart"} {
			_, ok := sessionkit.NewKey[string](bad).Get(c)
			assert.False(t, ok)
			_, ok = sessionkit.NewKey[[]item](bad).Get(c)
			assert.False(t, ok)
		}
		assert.Nil(t, sessions.Default(c).Get("name"))
		assert.Equal(t, 7, sessions.Default(c).Get("count"))
		increment(c)
	})
	secret, id := storedIn(t, kept, store.Record{
		Created: time.Now(), Seen: time.Now(), Expires: time.Now().Add(time.Hour),
		Values: map[string]string{"count": `7`, "name": `{"broken`, "cart": `["json",[{"Name":1}]]`, "_kit:sign_in": `["json",0]`, `_key:["`: `1`},
	})
	b := newBrowser(t, a)
	b.cookies[sessionCookie] = secret
	assert.Equal(t, http.StatusNoContent, b.get("/").Code)
	record, _, err := s.Backend.Load(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, `8`, record.Values["count"])
	assert.Equal(t, `{"broken`, record.Values["name"], "what cannot be read is left for who can")
}

// TestDeepJSON: what could not be read back is refused, and what stood there stands.
func TestDeepJSON(t *testing.T) {
	type tree struct {
		Children []json.RawMessage `json:"children"`
	}
	key := sessionkit.NewKey[tree]("tree")
	a := newSite(memstore.New(), sessionkit.Config{})
	a.on("/", func(c *gin.Context) {
		n, _ := strconv.Atoi(c.Query("deep"))
		key.Set(c, tree{[]json.RawMessage{json.RawMessage(strings.Repeat("[", n) + strings.Repeat("]", n))}})
	})
	a.on("/read", func(c *gin.Context) {
		v, ok := key.Get(c)
		c.JSON(http.StatusOK, gin.H{"ok": ok, "length": len(v.Children)})
	})
	b := newBrowser(t, a)
	for _, n := range []int{1, 9_000, 9_996, 9_997, 9_998, 9_999, 10_000, 100_000} {
		stored := b.get("/?deep="+strconv.Itoa(n)).Code == http.StatusOK
		errs := a.errors()
		if n <= 9_000 {
			assert.True(t, stored)
		}
		if n >= 10_000 {
			assert.False(t, stored, "%d", n)
			require.Len(t, errs, 1)
			assert.ErrorContains(t, errs[0], "tree")
		}
		assert.JSONEq(t, `{"ok": true, "length": 1}`, b.get("/read").Body.String(), "after %d", n)
		a.errors()
	}
}
