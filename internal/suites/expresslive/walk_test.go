package expresslive_test

import (
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
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store/express"
)

// TestWalk has one visitor go from one side to the other and back.
func TestWalk(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		b, other := s.browser(t), s.browser(t)
		for _, side := range []string{"/gin", "/node"} {
			assert.Equal(t, "null", b.get(side+"/me"))
		}
		assert.Empty(t, b.cookie(), "a visitor who stores nothing gets no cookie")

		b.get("/node/add", "item", "tea")
		visitor := b.fork()
		b.get("/gin/login", "user", "42")
		assert.Equal(t, `"42"`, b.get("/node/me"), "signed in here, signed in there")
		assert.Equal(t, "null", visitor.get("/node/me"), "with a new ID")
		assert.Equal(t, "null", visitor.get("/gin/me"))
		b.get("/node/add", "item", "cake")
		assert.JSONEq(t, `[{"name":"tea","n":1},{"name":"cake","n":1}]`, b.get("/gin/get", "name", "cart"))
		b.get("/gin/add", "item", "jam")
		assert.JSONEq(t, `[{"name":"tea","n":1},{"name":"cake","n":1},{"name":"jam","n":1}]`, b.get("/node/get", "name", "cart"))

		for _, side := range []string{"/node", "/gin"} {
			before := b.fork()
			b.get(side + "/renew")
			assert.NotEqual(t, before.cookie(), b.cookie())
			for _, reader := range []string{"/node", "/gin"} {
				assert.Equal(t, "null", before.get(reader+"/me"), "the old ID is dead")
				assert.Equal(t, `"42"`, b.get(reader+"/me"))
			}
		}

		b.get("/gin/flash", "text", "Welcome back")
		b.get("/node/flash", "text", "from Node")
		b.get("/node/flash", "text", "again")
		b.get("/node/add", "item", "milk")
		assert.JSONEq(t, `[{"level":"success","text":"Welcome back"}]`, b.get("/gin/flashes"), "Node keeps what is not its own")
		assert.JSONEq(t, `[]`, orEmpty(b.get("/gin/flashes")))
		assert.JSONEq(t, `["from Node","again"]`, b.get("/gin/node-flashes"))
		assert.JSONEq(t, `[]`, b.get("/node/flashes"))

		copied := b.fork()
		b.get("/node/logout")
		for _, side := range []string{"/gin", "/node"} {
			assert.Equal(t, "null", b.get(side+"/me"), "signed out there, signed out here")
			assert.Equal(t, "null", copied.get(side+"/me"))
			assert.Equal(t, "null", b.get(side+"/get", "name", "cart"))
			assert.Equal(t, "null", other.get(side+"/me"))
		}

		b.get("/node/login", "user", "7")
		assert.Equal(t, `"7"`, b.get("/gin/me"), "and the other way round")
		copied = b.fork()
		b.get("/gin/logout")
		assert.Empty(t, b.cookie())
		for _, side := range []string{"/node", "/gin"} {
			assert.Equal(t, "null", copied.get(side+"/me"))
		}
		assert.Zero(t, m.count(t))
	})
}

func orEmpty(list string) string {
	if list == "null" {
		return "[]"
	}
	return list
}

// TestOneUserAfterTheOther: what belonged to one user is not the next one's.
func TestOneUserAfterTheOther(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		for _, first := range []string{"/node", "/gin"} {
			for _, second := range []string{"/node", "/gin"} {
				b := s.browser(t)
				b.get(first+"/login", "user", "ada")
				b.get(first+"/add", "item", "tea")
				b.get(second+"/login", "user", "bob")
				for _, reader := range []string{"/node", "/gin"} {
					assert.Equal(t, `"bob"`, b.get(reader+"/me"))
					assert.Equal(t, "null", b.get(reader+"/get", "name", "cart"))
				}
			}
		}
	})
}

// TestOneUserAfterASignOutByValue: nobody can tell what was the first one's if Node signs out by deleting the value that
// says who is signed in. A sign-in that drops all values leaves the next user none of it.
func TestOneUserAfterASignOutByValue(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		for path, kept := range map[string]string{"/gin/login": `[{"name":"tea","n":1}]`, "/gin/clear-login": "null"} {
			for _, first := range []string{"/node", "/gin"} {
				b := s.browser(t)
				b.get(first+"/login", "user", "ada")
				b.get("/node/add", "item", "tea")
				b.get("/node/delete", "name", "userId")
				b.get(path, "user", "bob")
				for _, reader := range []string{"/node", "/gin"} {
					assert.Equal(t, `"bob"`, b.get(reader+"/me"))
					assert.JSONEq(t, kept, b.get(reader+"/get", "name", "cart"))
				}
			}
		}
	})
}

// TestSignInByValue: an application that has kept its old way of signing in.
func TestSignInByValue(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		b := s.browser(t)
		b.get("/gin/add", "item", "tea")
		before := b.fork()
		b.get("/gin/sign-in-by-value", "user", "ada")
		assert.NotEqual(t, before.cookie(), b.cookie(), "a sign-in gives a new ID")
		assert.Equal(t, `"ada"`, b.get("/node/me"))
		assert.Equal(t, "null", before.get("/node/me"))
		b.get("/node/delete", "name", "userId")
		assert.Equal(t, "null", b.get("/gin/me"), "Node signs out by a value")
		b.get("/node/set", "name", "userId", "value", `"eve"`)
		assert.Equal(t, `"eve"`, b.get("/gin/me"))
		b.get("/node/set", "name", "userId", "value", `17`)
		assert.Equal(t, `"17"`, b.get("/gin/me"), "a number is its digits")
		for _, odd := range []string{`{}`, `[]`, `true`, `null`, `""`, `"\u0000"`} {
			b.get("/node/set", "name", "userId", "value", odd)
			assert.Equal(t, "null", b.get("/gin/me"), "%s is nobody", odd)
		}
	})
}

// TestSignOutByAFlag: an application that leaves the name of its user in the session when that signs out. Both of its
// values say who is signed in, by sessionkit.Config.UserOf.
func TestSignOutByAFlag(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := m.store(express.Config{Secrets: secrets})
		config := sessionkit.Config{UserOf: func(values map[any]any) string {
			user, _ := values["username"].(string)
			if values["loggedin"] != true {
				user = ""
			}
			return user
		}}
		r := gin.New()
		r.Use(sessionkit.Sessions(s, config))
		signIn := func(c *gin.Context) {
			sessions.Default(c).Set("loggedin", true)
			sessions.Default(c).Set("username", c.Query("user"))
		}
		r.GET("/login", signIn)
		r.GET("/login-both-ways", func(c *gin.Context) { sessionkit.Login(c, c.Query("user")) }, signIn)
		r.GET("/logout", func(c *gin.Context) { sessions.Default(c).Set("loggedin", false) })
		r.GET("/me", func(c *gin.Context) {
			user, _ := sessionkit.User(c)
			c.String(http.StatusOK, user)
		})
		m.write(t, "x", `{"cookie":{"originalMaxAge":null},"loggedin":true,"username":"ada"}`)
		b := kittest.NewBrowser(t, r)
		b.Cookies["connect.sid"] = seal(secrets, "x")
		assert.Equal(t, "ada", b.Get("/me").Body.String(), "Node has signed in")
		signOutByNode := func() {
			sid, _ := open(secrets, b.Cookies["connect.sid"])
			m.write(t, sid, strings.Replace(squeezed(m.read(t, sid)), `"loggedin":true`, `"loggedin":false`, 1))
		}
		for user, signOut := range map[string]func(){"bob": func() { b.Get("/logout") }, "eve": signOutByNode} {
			before := b.Cookies["connect.sid"]
			assert.Equal(t, http.StatusOK, b.Get("/login?user="+user).Code)
			assert.NotEqual(t, before, b.Cookies["connect.sid"], "a new ID")
			assert.Equal(t, user, b.Get("/me").Body.String())
			signOut()
			assert.Empty(t, b.Get("/me").Body.String())
		}
		b.Get("/login-both-ways?user=eve")
		signOutByNode()
		assert.Equal(t, "eve", b.Get("/me").Body.String(), "Login has signed in, whatever the values say: it is not to be called")
	})
}

// TestCookies compares the session cookies of both sides, attribute by attribute.
func TestCookies(t *testing.T) {
	m := newRedis(t)
	for _, test := range []struct {
		name    string
		config  express.Cookie
		environ []string
		https   bool
	}{
		{name: "default"},
		{name: "maxAge", config: express.Cookie{MaxAge: time.Hour}, environ: []string{"MAX_AGE=3600000"}},
		{name: "secure", config: express.Cookie{Secure: express.Always}, environ: []string{"SECURE=true"}, https: true},
		{name: "auto over HTTPS", config: express.Cookie{Secure: express.Auto}, environ: []string{"SECURE=auto"}, https: true},
		{name: "auto over HTTP", config: express.Cookie{Secure: express.Auto}, environ: []string{"SECURE=auto"}},
		{name: "Domain with a dot", config: express.Cookie{Domain: ".example.com"}, environ: []string{"DOMAIN=.example.com"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, m, express.Config{Cookie: test.config}, sessionkit.Config{}, test.environ...)
			var made [2]*http.Cookie
			for i, side := range []string{"/node", "/gin"} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+side+"/login?user=ada", nil)
				require.NoError(t, err)
				if test.https {
					r.Header.Set("X-Forwarded-Proto", "https")
				}
				res, err := http.DefaultClient.Do(r)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				require.Len(t, res.Cookies(), 1)
				made[i] = res.Cookies()[0]
			}
			node, here := made[0], made[1]
			if test.config.MaxAge > 0 {
				assert.WithinDuration(t, node.Expires, time.Now().Add(time.Duration(here.MaxAge)*time.Second), 25*time.Hour, "a day longer at most")
			} else {
				assert.Zero(t, here.MaxAge)
			}
			text, err := url.PathUnescape(here.Value)
			require.NoError(t, err)
			sid, ok := secrets.Unsign(text)
			assert.True(t, ok)
			assert.NotEmpty(t, sid)
			for _, c := range made {
				c.Value, c.Raw, c.Expires, c.RawExpires, c.MaxAge = "", "", time.Time{}, "", 0
			}
			node.Domain = strings.TrimPrefix(node.Domain, ".") // which browsers ignore (RFC 6265 section 5.2.3)
			assert.Equal(t, node, here)
		})
	}
}

// TestCookiesOfAnyKind: cookies as Express applications have them, which both sides read and write.
func TestCookiesOfAnyKind(t *testing.T) {
	m := newRedis(t)
	for name, config := range map[string]express.Cookie{
		"__Host-":                   {Name: "__Host-sid", Secure: express.Always},
		"__Secure-":                 {Name: "__Secure-sid", Secure: express.Always, Domain: "example.com", Path: "/"},
		"__Host-Http-":              {Name: "__Host-Http-sid", Secure: express.Always},
		"a Domain with a dot":       {Name: "sid", Domain: ".example.com"},
		"SameSite=None":             {Name: "sid", SameSite: http.SameSiteNoneMode, Secure: express.Always, Partitioned: true},
		"SameSite=None, over HTTPS": {Name: "sid", SameSite: http.SameSiteNoneMode, Secure: express.Auto},
	} {
		t.Run(name, func(t *testing.T) {
			m.write(t, "x", `{"cookie":{"originalMaxAge":null},"userId":"ada"}`)
			r := gin.New()
			r.Use(sessionkit.Sessions(m.store(express.Config{Secrets: secrets, User: express.User{Name: "userId"}, Cookie: config})))
			r.GET("/", func(c *gin.Context) {
				user, _ := sessionkit.User(c)
				sessionkit.Renew(c)
				c.String(http.StatusOK, user)
			})
			r.GET("/logout", sessionkit.Logout)
			b := kittest.NewBrowser(t, r)
			b.Cookies[config.Name] = seal(secrets, "x")
			w := b.Get("/")
			assert.Equal(t, "ada", w.Body.String())
			set := kittest.SetCookies(w)
			require.Len(t, set, 1)
			assert.Equal(t, config.Name, set[0].Name)
			assert.Equal(t, strings.TrimPrefix(config.Domain, "."), set[0].Domain, "the dot means nothing to browsers (RFC 6265 section 5.2.3)")
			sid, ok := open(secrets, set[0].Value)
			require.True(t, ok)
			assert.NotEmpty(t, m.read(t, sid))
			b.Get("/logout")
			assert.Empty(t, b.Cookies)
			assert.Empty(t, m.read(t, sid))
		})
	}
}

// TestOwnCookies: cookies of the application that both sides read.
func TestOwnCookies(t *testing.T) {
	s := newSite(t, newRedis(t), express.Config{}, sessionkit.Config{})
	for _, writer := range []string{"/node", "/gin"} {
		for _, text := range []string{"tea", "a.b.c", "héllo wörld", "%", `"`, "100%25;"} {
			b := s.browser(t)
			b.get(writer+"/cookie", "signed", text, "json", `{"name":"`+"tea"+`","n":[1,2]}`)
			for _, reader := range []string{"/node", "/gin"} {
				assert.JSONEq(t, encoded(t, []any{text, map[string]any{"name": "tea", "n": []int{1, 2}}}), b.get(reader+"/cookie"))
			}
		}
	}
}
