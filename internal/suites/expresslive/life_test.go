package expresslive_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/express"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

const week = 7 * 24 * time.Hour

func squeezed(text string) string { return strings.ReplaceAll(text, " ", "") }

// TestCookieEndsWithTheBrowser: Node has said of a session that its cookie ends with the
// browser, as of a user who is not to be remembered, though the configuration has a maxAge.
// Nothing on this side makes it outlive the browser.
func TestCookieEndsWithTheBrowser(t *testing.T) {
	config := express.Config{Secrets: secrets, User: express.User{Name: "userId"}, Cookie: express.Cookie{MaxAge: week}}
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, config, sessionkit.Config{}, "MAX_AGE=604800000")
		b := s.browser(t)
		b.get("/node/login", "user", "ada", "remember", "no")
		require.Contains(t, squeezed(m.read(t, b.sid())), `"originalMaxAge":false`)
		m.write(t, "null", `{"cookie":{"originalMaxAge":null,"expires":null},"userId":"ada"}`)
		m.write(t, "absent", `{"cookie":{},"userId":"ada"}`)
		m.write(t, "visitor", `{"cookie":{"originalMaxAge":null}}`)
		m.write(t, "by Options", `{"cookie":{"originalMaxAge":false},"userId":"ada","_kit:max_age":604800}`)
		for _, cookie := range []string{b.cookie(), seal(secrets, "null"), seal(secrets, "absent"), seal(secrets, "visitor"), seal(secrets, "by Options")} {
			sid, _ := open(secrets, cookie)
			for i, use := range []func(c *gin.Context){
				func(c *gin.Context) { _, _ = counter.Get(c) },
				func(c *gin.Context) { counter.Set(c, time.Now().Nanosecond()) },
				func(c *gin.Context) { sessions.Default(c).Options(sessions.Options{Path: "/"}) },
				func(c *gin.Context) { sessionkit.Renew(c) },
				func(c *gin.Context) { sessionkit.Login(c, "ada") },
				func(c *gin.Context) { sessionkit.Login(c, "ada") },
			} {
				text := m.read(t, sid)
				m.write(t, sid, text) // hours pass: an hour is left
				res := inside(t, m.store(config), cookie, use)
				assert.Equal(t, http.StatusOK, res.StatusCode)
				for _, c := range res.Cookies() {
					assert.Zero(t, c.MaxAge, i)
					cookie = c.Value
				}
				if sid, _ = open(secrets, cookie); i == 0 {
					assert.Equal(t, text, m.read(t, sid))
				}
				assert.Regexp(t, `"cookie":{("originalMaxAge":(null|false)[,}]|})`, squeezed(m.read(t, sid)), i)
				assert.InDelta(t, (24 * time.Hour).Seconds(), m.left(t, sid).Seconds(), 3, i)
			}
			assert.NotContains(t, m.read(t, sid), "-86400")
			assert.Empty(t, s.send(t, "/node/set?name=a&value=1", cookie), "Node does not see a maxAge either")
		}

		m.write(t, "by value", `{"cookie":{"originalMaxAge":null},"cart":1}`)
		byValue := inside(t, m.store(config), seal(secrets, "by value"), func(c *gin.Context) { sessions.Default(c).Set("userId", "ada") })
		require.Len(t, byValue.Cookies(), 1)
		assert.Zero(t, byValue.Cookies()[0].MaxAge)
		sid, _ := open(secrets, byValue.Cookies()[0].Value)
		assert.Contains(t, squeezed(m.read(t, sid)), `"originalMaxAge":null`)
		assert.InDelta(t, (24 * time.Hour).Seconds(), m.left(t, sid).Seconds(), 3)

		cookie := seal(secrets, "visitor again")
		m.write(t, "visitor again", `{"cookie":{"originalMaxAge":null}}`)
		res := inside(t, m.store(config), cookie, func(c *gin.Context) { sessionkit.Login(c, "ada", sessionkit.Remember()) })
		assert.InDelta(t, (30 * 24 * time.Hour).Seconds(), res.Cookies()[0].MaxAge, 3, "unless somebody asks for it")
	})
}

// send asks for a page with a session cookie, and returns the cookies that are set.
func (s *site) send(t *testing.T, path, cookie string) []*http.Cookie {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	require.NoError(t, err)
	r.Header.Set("Cookie", "connect.sid="+cookie)
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
	return res.Cookies()
}

// TestCookieOfAPlainSession: gin-contrib/sessions alone sends the cookie as Node has it in
// that session.
func TestCookieOfAPlainSession(t *testing.T) {
	m := newRedis(t)
	s := m.store(express.Config{Secrets: secrets, Cookie: express.Cookie{MaxAge: week}})
	for age, want := range map[string]int{"false": 0, "null": 0, "604800000": 604800, "3600000": 3600} {
		m.write(t, "x", `{"cookie":{"originalMaxAge":`+age+`}}`)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		require.NoError(t, err)
		r.AddCookie(&http.Cookie{Name: "connect.sid", Value: seal(secrets, "x")})
		session, err := s.New(r, "connect.sid")
		require.NoError(t, err)
		assert.Equal(t, want, session.Options.MaxAge, age)
	}
}

// TestNodeShortensASession: Node gives sessions less time in each request than they have in
// the record. That does not sign out who has signed in on this side.
func TestNodeShortensASession(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		b := s.browser(t)
		b.get("/gin/login", "user", "ada")
		for _, ago := range []time.Duration{0, 5 * time.Hour} { // it was used on Node all the time
			m.write(t, b.sid(), signedIn(t, m.read(t, b.sid()), ago))
			b.get("/node/expire", "ms", "1800000")
			assert.InDelta(t, (30 * time.Minute).Seconds(), m.left(t, b.sid()).Seconds(), 3)
			assert.Equal(t, `"ada"`, b.get("/gin/me"))
			assert.Equal(t, `"ada"`, b.get("/node/me"))
		}
		b.get("/node/expire", "ms", "1800000")
		b.get("/gin/me")
		assert.InDelta(t, (24 * time.Hour).Seconds(), m.left(t, b.sid()).Seconds(), 3, "use on this side gives it the time that is in the record")
	})
}

// signedIn returns a document with its sign-in of this side put back by a time.
func signedIn(t *testing.T, text string, ago time.Duration) string {
	t.Helper()
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(text), &members))
	in := signin.Of(map[string]string{signin.Name: string(members[signin.Name])})
	require.False(t, in.At.IsZero())
	in.At, in.Ends = in.At.Add(-ago), in.Ends.Add(-ago)
	members[signin.Name] = json.RawMessage(in.Text())
	return encoded(t, members)
}

// TestSignInAfterASignIn: somebody signs in on this side, and later on Node. The end of the
// first sign-in is not that of the second.
func TestSignInAfterASignIn(t *testing.T) {
	const longAgo = 25 * time.Hour // past its lifetime
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		for name, again := range map[string]func(b *browser){
			"signed out by the value": func(b *browser) {
				b.get("/node/delete", "name", "userId")
				assert.Equal(t, "null", b.get("/gin/me"))
				assert.NotContains(t, m.read(t, b.sid()), "_kit:s", "it is over")
				b.get("/node/set", "name", "userId", "value", `"ada"`)
			},
			"another user between them": func(b *browser) {
				b.get("/node/set", "name", "userId", "value", `"bob"`)
				assert.Equal(t, `"bob"`, b.get("/gin/me"))
				b.get("/node/set", "name", "userId", "value", `"ada"`)
			},
			"another user between them, and a value that PostgreSQL does not read": func(b *browser) {
				b.get("/node/set", "name", "x", "value", `"\u0000"`)
				m.write(t, b.sid(), signedIn(t, m.read(t, b.sid()), longAgo))
				b.get("/node/set", "name", "userId", "value", `"bob"`)
				before := m.read(t, b.sid())
				assert.Equal(t, `"bob"`, b.get("/gin/me"))
				assert.Less(t, len(m.read(t, b.sid())), len(before))
				b.get("/node/set", "name", "userId", "value", `"ada"`)
			},
			"a new ID with the values of the old": func(b *browser) {
				b.get("/node/renew")
				assert.Contains(t, m.read(t, b.sid()), signin.Name)
				m.write(t, b.sid(), signedIn(t, m.read(t, b.sid()), longAgo))
			},
		} {
			t.Run(name, func(t *testing.T) {
				b := s.browser(t)
				b.get("/gin/login", "user", "ada")
				b.get("/node/add", "item", "tea")
				again(b)
				for range 2 {
					assert.Equal(t, `"ada"`, b.get("/gin/me"))
					assert.JSONEq(t, `[{"name":"tea","n":1}]`, b.get("/node/get", "name", "cart"))
				}
				assert.NotContains(t, m.read(t, b.sid()), "_kit:s")
			})
		}
		b := s.browser(t)
		b.get("/gin/login", "user", "ada")
		m.write(t, b.sid(), signedIn(t, m.read(t, b.sid()), longAgo))
		assert.Equal(t, "null", b.get("/gin/me"), "the end of the sign-in itself")
		b.get("/gin/login", "user", "ada")
		b.get("/gin/renew")
		m.write(t, b.sid(), signedIn(t, m.read(t, b.sid()), longAgo))
		assert.Equal(t, "null", b.get("/gin/me"), "also if this side has given it a new ID")
	})
}

// TestSwap: a document is exchanged if nobody has changed it meanwhile, and lives no longer.
func TestSwap(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newStore(m)
		const text, next = `{"cookie":{},"a":"\u0000"}`, `{"cookie":{}, "b" : "\ud800"}`
		m.write(t, "x", text)
		require.NoError(t, of(s).Swap(t.Context(), "x", `{"cookie":{},"a":1}`, next))
		assert.Equal(t, text, m.read(t, "x"))
		require.NoError(t, of(s).Swap(t.Context(), "x", text, next))
		assert.Equal(t, next, m.read(t, "x"))
		assert.InDelta(t, time.Hour.Seconds(), m.left(t, "x").Seconds(), 3)
		require.NoError(t, of(s).Swap(t.Context(), "none", text, next))
		assert.Empty(t, m.read(t, "none"))
	})
}

// TestExpiredSessionEnds: a session that seems to be unused for too long stays if it is read,
// and ends with what takes its cookie from the browser. A copy of the cookie opens it no more.
func TestExpiredSessionEnds(t *testing.T) {
	const unused = 23*time.Hour + 30*time.Minute // of the day that it lives an hour is left
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		expired := func() *browser {
			b := s.browser(t)
			b.get("/gin/login", "user", "ada")
			m.write(t, b.sid(), signedIn(t, m.read(t, b.sid()), unused))
			return b
		}
		for name, query := range map[string][]string{
			"sign-out":                   {"/gin/logout"},
			"sign-in":                    {"/gin/login", "user", "ada"},
			"sign-in of another user":    {"/gin/login", "user", "bob"},
			"sign-in by value":           {"/gin/sign-in-by-value", "user", "ada"},
			"a visitor's value":          {"/gin/set", "name", "a", "value", "1"},
			"sign-out, and a value then": {"/gin/logout-set"},
			"sign-out in a stream":       {"/gin/logout-late"},
		} {
			t.Run(name, func(t *testing.T) {
				b := expired()
				sid, copied := b.sid(), b.fork()
				before := m.read(t, sid)
				for range 2 {
					assert.Equal(t, "null", b.get("/gin/me"))
				}
				assert.Equal(t, before, m.read(t, sid), "to read it leaves it")
				b.get(query[0], query[1:]...)
				assert.Empty(t, m.read(t, sid))
				for _, side := range []string{"/node", "/gin"} {
					assert.Equal(t, "null", copied.get(side+"/me"))
				}
			})
		}
		for _, path := range []string{"/gin/logout", "/gin/login"} {
			t.Run(path+", beside another session", func(t *testing.T) {
				b, other := s.browser(t), expired()
				b.get("/gin/login", "user", "ada")
				sid := b.sid()
				at, err := url.Parse(s.url)
				require.NoError(t, err)
				b.http.Jar.SetCookies(at, []*http.Cookie{{Name: "connect.sid", Value: other.cookie(), Path: "/gin"}}) // it comes first
				assert.Equal(t, `"ada"`, b.get("/gin/me"))
				assert.NotEmpty(t, m.read(t, other.sid()))
				b.get(path, "user", "ada")
				assert.Empty(t, m.read(t, other.sid()))
				assert.Empty(t, m.read(t, sid))
			})
		}
		t.Run("the store fails", func(t *testing.T) {
			cookie := expired().cookie()
			res := inside(t, newStore(m), cookie, func(c *gin.Context) {
				_, signedIn := sessionkit.User(c)
				assert.False(t, signedIn)
				m.close()
				sessionkit.Logout(c)
			})
			assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
			assert.Empty(t, res.Cookies(), "the browser may try again")
		})
	})
}

// TestUseOfNodeAfterTheIdleTimeout: Node does not know that the session was unused for too long. To
// use it there is use, and its user is signed in on this side again.
func TestUseOfNodeAfterTheIdleTimeout(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		b := s.browser(t)
		b.get("/gin/login", "user", "ada")
		m.write(t, b.sid(), signedIn(t, m.read(t, b.sid()), 23*time.Hour+30*time.Minute)) // of the day that it lives an hour is left
		require.Equal(t, "null", b.get("/gin/me"))
		assert.Equal(t, `"ada"`, b.get("/node/me"))
		assert.Equal(t, `"ada"`, b.get("/gin/me"))
		m.write(t, b.sid(), signedIn(t, m.read(t, b.sid()), time.Hour))
		b.get("/node/me")
		assert.Equal(t, "null", b.get("/gin/me"), "its lifetime has passed")
	})
}

// TestExpiredSessionStands: a session that seems to be unused for too long is still good in Node,
// and stands if nothing can be stored in its place.
func TestExpiredSessionStands(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		for name, use := range map[string]gin.HandlerFunc{
			"a value that Node would lose": func(c *gin.Context) { sessions.Default(c).Set("id", "x") },
			"a sign-in": func(c *gin.Context) {
				sessionkit.Login(c, "ada")
				sessions.Default(c).Set("id", "x")
			},
		} {
			t.Run(name, func(t *testing.T) {
				b := s.browser(t)
				b.get("/gin/login", "user", "ada")
				m.write(t, b.sid(), signedIn(t, m.read(t, b.sid()), 23*time.Hour+30*time.Minute))
				require.Equal(t, "null", b.get("/gin/me"))
				res := inside(t, m.store(express.Config{Secrets: secrets, User: express.User{Name: "userId"}}), b.cookie(), use)
				assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
				assert.Empty(t, res.Cookies())
				assert.Equal(t, `"ada"`, b.get("/node/me"))
			})
		}
	})
}

// TestMigrateKeepsTheLife: a session that Node has begun lives as long as it did there, and so
// does its cookie, whatever the Config says.
func TestMigrateKeepsTheLife(t *testing.T) {
	m := newRedis(t)
	for _, test := range []struct {
		name, text string
		config     express.Cookie
		life       time.Duration
		persistent bool
	}{
		{"a user", `{"cookie":{"originalMaxAge":null},"userId":"ada"}`, express.Cookie{}, 24 * time.Hour, false},
		{"a visitor", `{"cookie":{"originalMaxAge":null}}`, express.Cookie{}, 24 * time.Hour, false},
		{"a user, for a week", `{"cookie":{"originalMaxAge":604800000},"userId":"ada"}`, express.Cookie{MaxAge: week}, week, true},
		{"a user who is remembered", `{"cookie":{"originalMaxAge":604800000},"userId":"ada"}`, express.Cookie{}, week, true},
		{"a user who is not remembered", `{"cookie":{"originalMaxAge":false},"userId":"ada"}`, express.Cookie{MaxAge: week}, 24 * time.Hour, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			m.write(t, "x", test.text)
			old := m.store(express.Config{Secrets: secrets, User: express.User{Name: "userId"}, Cookie: test.config})
			next := memstore.New()
			defer func() { assert.NoError(t, next.Close()) }()
			res := insideAt(t, "http://localhost/", store.Migrate(old, next, "connect.sid", old.UserOf), seal(secrets, "x"), func(c *gin.Context) { counter.Set(c, 1) })
			require.Equal(t, http.StatusOK, res.StatusCode, res.Header["Errors"])
			for _, c := range res.Cookies() {
				if c.Name != "connect.sid" {
					assert.Equal(t, test.persistent, c.MaxAge > 0)
				}
			}
			for s, err := range next.All(t.Context()) {
				require.NoError(t, err)
				assert.WithinDuration(t, time.Now().Add(test.life), s.ExpiresAt, 2*time.Minute)
				assert.True(t, s.EndsAt.IsZero(), "in use it lives on")
			}
			counts, err := next.Count(t.Context())
			require.NoError(t, err)
			assert.Equal(t, 1, counts.Live)
		})
	}

	m.write(t, "x", `{"cookie":{"originalMaxAge":null},"userId":"ada"}`)
	old, next := newStore(m), memstore.New()
	defer func() { assert.NoError(t, next.Close()) }()
	insideAt(t, "http://localhost/", store.Migrate(old, next, "connect.sid", old.UserOf), seal(secrets, "x"), func(c *gin.Context) {
		sessionkit.Login(c, "ada")
		assert.WithinDuration(t, time.Now().Add(24*time.Hour), sessionkit.Current(c).EndsAt, time.Minute, "a sign-in by Login has its own deadlines")
	})
}
