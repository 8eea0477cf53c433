package sessionkit_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
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
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// withCookies sends a request whose Cookie header is the given one.
func withCookies(a http.Handler, path, header string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "https://example.com"+path, nil)
	r.Header["Cookie"] = []string{header}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

// keepsInCookie reports whether the store of a test has its sessions in the
// cookie: a copy of one is good until its deadline, whatever happens meanwhile.
func keepsInCookie(t *testing.T) bool {
	t.Helper()
	return strings.HasSuffix(t.Name(), "/cookie")
}

// TestAttackFixation: whatever was planted in the victim's browser before the
// sign-in, by a sibling domain, on another path or over plain HTTP, the attacker
// who knows it is not signed in after it, and the victim is.
func TestAttackFixation(t *testing.T) {
	random := make([]byte, 32)
	_, _ = rand.Read(random)
	eachStore(t, func(t *testing.T, s sessions.Store) {
		a := newSite(s, sessionkit.Config{})
		a.on("/set", increment)
		a.on("/login", signIn("42"))
		a.on("/logout", sessionkit.Logout)
		a.on("/", whoami)
		attacker := newBrowser(t, a)
		attacker.get("/set")
		ended := newBrowser(t, a)
		ended.get("/login")
		used := ended.session()
		ended.get("/logout")
		for name, planted := range map[string]string{
			"an ID of the right form":          base64.RawURLEncoding.EncodeToString(random),
			"a short one":                      "x",
			"one that is too long":             strings.Repeat("x", 5000),
			"zeros":                            strings.Repeat("A", 43),
			"the attacker's own visit":         attacker.session(),
			"one that was signed in and ended": used,
		} {
			if keepsInCookie(t) && name == "one that was signed in and ended" {
				continue
			}
			for _, first := range []string{"/login", "/set"} {
				if name == "the attacker's own visit" && first == "/set" {
					continue // a visit that two share signs nobody in
				}
				w := withCookies(a, first, sessionCookie+"="+planted)
				require.Len(t, setCookies(w), 1, name)
				victim := setCookies(w)[0].Value
				assert.NotEqual(t, planted, victim, "%s: a planted ID is not adopted by %s", name, first)
				assert.Empty(t, withCookies(a, "/", sessionCookie+"="+planted).Body.String(), "%s: the attacker is nobody", name)
				if first != "/login" || keepsInCookie(t) && name == "the attacker's own visit" {
					continue
				}
				// The planted one stays in the victim's browser, and comes first: a longer path
				// or an older cookie.
				both := sessionCookie + "=" + planted + "; " + sessionCookie + "=" + victim
				assert.Equal(t, "42", withCookies(a, "/", both).Body.String(), "%s: the wrong one first", name)
			}
		}
		b := newBrowser(t, a)
		b.get("/login")
		for _, name := range []string{"session", "__Secure-session", "__Host-session", "__host-http-session", "__Host-Http-Session"} {
			assert.Empty(t, withCookies(a, "/", name+"="+b.session()).Body.String(), "%s: anybody on the network, or a subdomain, can set that one", name)
		}
	})
}

// TestAttackReplay: the value of a session's cookie opens nothing once the session
// has ended or moved on, and cannot write to what came after.
func TestAttackReplay(t *testing.T) {
	ends := map[string]func(t *testing.T, b *browser){
		"sign-out":           func(_ *testing.T, b *browser) { b.get("/logout") },
		"renewal":            func(_ *testing.T, b *browser) { b.get("/renew") },
		"signing in again":   func(_ *testing.T, b *browser) { b.get("/login") },
		"sign-in of another": func(_ *testing.T, b *browser) { b.get("/other") },
		"idle":               func(*testing.T, *browser) { time.Sleep(2 * time.Hour) },
		"expiry in use": func(_ *testing.T, b *browser) {
			for range 49 {
				time.Sleep(30 * time.Minute)
				b.get("/count")
			}
		},
		"revocation": func(_ *testing.T, b *browser) {
			other := newBrowser(b.t, b.handler)
			other.get("/login")
			other.get("/revoke")
		},
		"revocation of others": func(_ *testing.T, b *browser) {
			other := newBrowser(b.t, b.handler)
			other.get("/login")
			other.get("/others")
		},
		"sign-out everywhere": func(_ *testing.T, b *browser) {
			other := newBrowser(b.t, b.handler)
			other.get("/login")
			other.get("/everywhere")
		},
		"revocation by the admin": nil,
	}
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s sessions.Store) {
				t.Helper()
				own, listed := s.(*store.Store)
				inTime := how == "idle" || how == "expiry in use"
				if !listed && strings.Contains(how, "revocation") || !listed && how == "sign-out everywhere" || keepsInCookie(t) && !inTime {
					return // the store cannot; see TestUnsupportedByTheStore
				}
				synctest.Test(t, func(t *testing.T) {
					a := newSite(s, sessionkit.Config{})
					for path, handler := range map[string]gin.HandlerFunc{
						"/login": signIn("42"), "/other": signIn("43"), "/logout": sessionkit.Logout, "/renew": sessionkit.Renew, "/": whoami,
						"/count": showCount, "/set": increment,
						"/others":     func(c *gin.Context) { assert.NoError(t, sessionkit.LogoutOthers(c)) },
						"/everywhere": func(c *gin.Context) { assert.NoError(t, sessionkit.LogoutEverywhere(c)) },
						"/revoke": func(c *gin.Context) {
							list, err := sessionkit.Devices(c)
							assert.NoError(t, err)
							for _, d := range list {
								if d.ID != sessionkit.Current(c).ID {
									assert.NoError(t, sessionkit.Revoke(c, d.ID))
								}
							}
						},
					} {
						a.on(path, handler)
					}
					b := newBrowser(t, a)
					b.get("/login")
					old := b.session()
					require.Equal(t, "42", withCookies(a, "/", sessionCookie+"="+old).Body.String())
					if end != nil {
						end(t, b)
					} else {
						n, err := own.RevokeAll(t.Context(), "42")
						require.NoError(t, err)
						require.Equal(t, 1, n)
					}
					for range 2 {
						assert.Empty(t, withCookies(a, "/", sessionCookie+"="+old).Body.String(), "the old value opens nothing")
						w := withCookies(a, "/set", sessionCookie+"="+old)
						if w.Code == http.StatusServiceUnavailable {
							assert.Contains(t, []string{"renewal", "signing in again"}, how)
							assert.Empty(t, setCookies(w), "the browser may have the cookie that followed")
							time.Sleep(time.Minute)
							continue
						}
						require.Len(t, setCookies(w), 1, "what it writes goes to a new session")
						assert.NotEqual(t, old, setCookies(w)[0].Value)
					}
					assert.JSONEq(t, `{"n": 0, "ok": false}`, b.get("/count").Body.String(), "and not to the one that followed")
				})
			})
		})
	}
}

// TestAttackSwappedCookies: what was made under one name, or for one purpose, is
// nothing under another.
func TestAttackSwappedCookies(t *testing.T) {
	config := sessionkit.Config{Secrets: [][]byte{secretA, secretB}}
	options := func(p sessionkit.Protection) sessionkit.CookieOptions {
		return sessionkit.CookieOptions{Protection: p, MaxAge: time.Hour}
	}
	jars := map[string]sessionkit.Cookie[string]{}
	for _, name := range []string{"role", "roles", "rol", "Role", "theme"} {
		jars["signed "+name] = sessionkit.NewCookie[string](name, options(sessionkit.Signed))
		jars["encrypted "+name] = sessionkit.NewCookie[string](name, options(sessionkit.Encrypted))
	}
	a := newSite(memstore.New(), config)
	a.on("/login", signIn("42"))
	a.on("/", whoami)
	a.on("/set", func(c *gin.Context) { assert.NoError(t, jars[c.Query("jar")].Set(c, "es")) }) // "role"+"s" is "roles"+""
	a.on("/get", func(c *gin.Context) {
		v, err := jars[c.Query("jar")].Get(c)
		c.String(http.StatusOK, "%s %v", v, err)
	})
	b := newBrowser(t, a)
	b.get("/login")
	values := map[string]string{"the session": b.session()}
	for jar := range jars {
		values[jar] = setCookies(b.get("/set?jar=" + strings.ReplaceAll(jar, " ", "+")))[0].Value
	}
	for from, value := range values {
		if from != "the session" {
			assert.Empty(t, withCookies(a, "/", sessionCookie+"="+value).Body.String(), "%s is no session", from)
		}
		for jar := range jars {
			_, name, _ := strings.Cut(jar, " ")
			got := withCookies(a, "/get?jar="+strings.ReplaceAll(jar, " ", "+"), name+"="+value).Body.String()
			if from == jar {
				assert.Equal(t, "es <nil>", got)
			} else {
				assert.Contains(t, got, "not sealed by this site", "%s under the name of %s", from, jar)
				assert.True(t, strings.HasPrefix(got, " "), "no value: %s", got)
			}
		}
	}
	// An old signed cookie: after its MaxAge, and after its secret was taken out.
	synctest.Test(t, func(t *testing.T) {
		now := newSite(memstore.New(), config)
		later := newSite(memstore.New(), sessionkit.Config{Secrets: config.Secrets[1:]})
		for _, site := range []*site{now, later} {
			site.on("/set", func(c *gin.Context) { assert.NoError(t, jars["signed role"].Set(c, "admin")) })
			site.on("/get", func(c *gin.Context) { _, err := jars["signed role"].Get(c); c.String(http.StatusOK, "%v", err) })
		}
		old := setCookies(newBrowser(t, now).get("/set"))[0].Value
		assert.Contains(t, withCookies(later, "/get", "role="+old).Body.String(), "not sealed by this site")
		time.Sleep(time.Hour)
		assert.Contains(t, withCookies(now, "/get", "role="+old).Body.String(), "has expired")
	})
}

// TestAttackTampering flips every bit of a session's cookie, cuts it and adds to
// it. [TestSealedCookies] does the same to signed and encrypted ones.
func TestAttackTampering(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{TokenHeader: "X-Session-Token"})
	a.on("/login", signIn("42"))
	a.on("/", whoami)
	b := newBrowser(t, a)
	b.get("/login")
	secret := b.session()
	opens := func(value string) bool {
		byCookie := withCookies(a, "/", sessionCookie+"="+value).Body.String()
		r := httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
		r.Header["X-Session-Token"] = []string{value}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		assert.Equal(t, byCookie, w.Body.String(), "%q", value)
		return byCookie != ""
	}
	require.True(t, opens(secret))
	for i := range len(secret) {
		for bit := range 8 {
			altered := []byte(secret)
			altered[i] ^= 1 << bit
			if strings.ContainsAny(string(altered), " \t\";,") {
				continue // they end or trim the value: see TestHostileCookies
			}
			assert.False(t, opens(string(altered)), "byte %d, bit %d", i, bit)
		}
		assert.False(t, opens(secret[:i]), "cut to %d", i)
		assert.False(t, opens(secret[i+1:]), "without the first %d", i+1)
		assert.False(t, opens(secret[:i]+"A"+secret[i:]), "one more at %d", i)
		assert.False(t, opens(secret[:i]+fmt.Sprintf("%%%02X", secret[i])+secret[i+1:]), "escaped at %d", i)
	}
	for _, other := range []string{secret + "=", secret + "==", secret + secret, strings.ToUpper(secret), strings.ToLower(secret), strings.NewReplacer("-", "+", "_", "/").Replace(secret) + "."} {
		assert.False(t, opens(other), "%q: there is one spelling", other)
	}
}

// TestAttackCookieBomb: a header full of cookies costs a bounded amount of work,
// and hides no session that stands within it.
func TestAttackCookieBomb(t *testing.T) {
	s := newBackend()
	a := newSite(storeOver(s), sessionkit.Config{Secrets: [][]byte{secretA}})
	sealed := sessionkit.NewCookie[string]("sealed", sessionkit.CookieOptions{Protection: sessionkit.Encrypted})
	a.on("/login", signIn("42"))
	a.on("/", whoami)
	a.on("/own", func(c *gin.Context) {
		_, err := sealed.Get(c)
		_, plainErr := sessionkit.GetCookie(c, "plain")
		c.String(http.StatusOK, "%v %v", err, plainErr)
	})
	a.on("/big", func(c *gin.Context) { name.Set(c, strings.Repeat("x", 100_000)) })
	b := newBrowser(t, a)
	b.get("/login")
	good := sessionCookie + "=" + b.session()
	s.called()

	others := strings.Repeat("bomb=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; ", 20_000)
	assert.Equal(t, "42", withCookies(a, "/", others+good).Body.String(), "other cookies, a megabyte of them, hide nothing")
	assert.Equal(t, []string{"load"}, s.called())

	wrong := strings.Repeat(sessionCookie+"="+strings.Repeat("B", 43)+"; ", 20_000)
	assert.Empty(t, withCookies(a, "/", wrong+good).Body.String())
	assert.Len(t, s.called(), 4, "the store is asked about a few of them only")
	for _, bomb := range []string{others, wrong, sessionCookie + "=" + strings.Repeat("B", 1<<20), strings.Repeat("=;", 1<<19), strings.Repeat(";", 1<<20)} {
		bare := testing.AllocsPerRun(5, func() { withCookies(a, "/nowhere", bomb) })
		assert.Less(t, testing.AllocsPerRun(5, func() { withCookies(a, "/", bomb) }), bare+60, "%.60q", bomb)
	}
	for _, bomb := range []string{strings.Repeat("sealed="+strings.Repeat("A", 100)+"; ", 10_000), "sealed=" + strings.Repeat("A", 1<<20), "plain=" + strings.Repeat("%41", 1<<18)} {
		bare := testing.AllocsPerRun(5, func() { withCookies(a, "/nowhere", bomb) })
		assert.Less(t, testing.AllocsPerRun(5, func() { withCookies(a, "/own", bomb) }), bare+90, "%.60q", bomb)
	}
	assert.Contains(t, withCookies(a, "/own", "plain="+strings.Repeat("%41", 1<<18)).Body.String(), "malformed", "no browser keeps so much")

	// The site makes none itself: what a session holds is not in its cookie.
	b.get("/big")
	assert.Len(t, b.session(), 43)
}
