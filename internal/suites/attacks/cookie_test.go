package attacks_test

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
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/suites/teststores"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

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
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		synctest.Test(t, func(t *testing.T) {
			a := kittest.NewSite(s, sessionkit.Config{})
			a.On("/set", kittest.Increment)
			a.On("/login", kittest.SignIn("42"))
			a.On("/logout", sessionkit.Logout)
			a.On("/", kittest.Whoami)
			attacker := kittest.NewBrowser(t, a)
			attacker.Get("/set")
			ended := kittest.NewBrowser(t, a)
			ended.Get("/login")
			used := ended.Session()
			ended.Get("/logout")
			time.Sleep(time.Millisecond) // no request of before the sign-out is that late
			for name, planted := range map[string]string{
				"an ID of the right form":          base64.RawURLEncoding.EncodeToString(random),
				"a short one":                      "x",
				"one that is too long":             strings.Repeat("x", 5000),
				"zeros":                            strings.Repeat("A", 43),
				"the attacker's own visit":         attacker.Session(),
				"one that was signed in and ended": used,
			} {
				if keepsInCookie(t) && name == "one that was signed in and ended" {
					continue
				}
				for _, first := range []string{"/login", "/set"} {
					if name == "the attacker's own visit" && first == "/set" {
						continue // a visit that two share signs nobody in
					}
					w := kittest.WithCookies(a, first, kittest.SessionCookie+"="+planted)
					require.Len(t, kittest.SetCookies(w), 1, name)
					victim := kittest.SetCookies(w)[0].Value
					assert.NotEqual(t, planted, victim, "%s: a planted ID is not adopted by %s", name, first)
					assert.Empty(t, kittest.WithCookies(a, "/", kittest.SessionCookie+"="+planted).Body.String(), "%s: the attacker is nobody", name)
					if first != "/login" || keepsInCookie(t) && name == "the attacker's own visit" {
						continue
					}
					// The planted one stays in the victim's browser, and comes first: a longer path
					// or an older cookie.
					both := kittest.SessionCookie + "=" + planted + "; " + kittest.SessionCookie + "=" + victim
					assert.Equal(t, "42", kittest.WithCookies(a, "/", both).Body.String(), "%s: the wrong one first", name)
				}
			}
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			for _, name := range []string{"session", "__Secure-session", "__Host-session", "__host-http-session", "__Host-Http-Session"} {
				assert.Empty(t, kittest.WithCookies(a, "/", name+"="+b.Session()).Body.String(), "%s: anybody on the network, or a subdomain, can set that one", name)
			}
		})
	})
}

// TestAttackReplay: the value of a session's cookie opens nothing once the session
// has ended or moved on, and cannot write to what came after.
func TestAttackReplay(t *testing.T) {
	ends := map[string]func(t *testing.T, b *kittest.Browser){
		"sign-out":           func(_ *testing.T, b *kittest.Browser) { b.Get("/logout") },
		"renewal":            func(_ *testing.T, b *kittest.Browser) { b.Get("/renew") },
		"signing in again":   func(_ *testing.T, b *kittest.Browser) { b.Get("/login") },
		"sign-in of another": func(_ *testing.T, b *kittest.Browser) { b.Get("/other") },
		"idle":               func(*testing.T, *kittest.Browser) { time.Sleep(2 * time.Hour) },
		"expiry in use": func(_ *testing.T, b *kittest.Browser) {
			for range 49 {
				time.Sleep(30 * time.Minute)
				b.Get("/count")
			}
		},
		"revocation": func(_ *testing.T, b *kittest.Browser) {
			other := kittest.NewBrowser(b.T, b.Handler)
			other.Get("/login")
			other.Get("/revoke")
		},
		"revocation of others": func(_ *testing.T, b *kittest.Browser) {
			other := kittest.NewBrowser(b.T, b.Handler)
			other.Get("/login")
			other.Get("/others")
		},
		"sign-out everywhere": func(_ *testing.T, b *kittest.Browser) {
			other := kittest.NewBrowser(b.T, b.Handler)
			other.Get("/login")
			other.Get("/everywhere")
		},
		"revocation by the admin": nil,
	}
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
				t.Helper()
				own, listed := s.(*store.Store)
				inTime := how == "idle" || how == "expiry in use"
				if !listed && strings.Contains(how, "revocation") || !listed && how == "sign-out everywhere" || keepsInCookie(t) && !inTime {
					return // the store cannot; see TestUnsupportedByTheStore
				}
				synctest.Test(t, func(t *testing.T) {
					a := kittest.NewSite(s, sessionkit.Config{})
					for path, handler := range map[string]gin.HandlerFunc{
						"/login": kittest.SignIn("42"), "/other": kittest.SignIn("43"), "/logout": sessionkit.Logout, "/renew": sessionkit.Renew, "/": kittest.Whoami,
						"/count": kittest.ShowCount, "/set": kittest.Increment,
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
						a.On(path, handler)
					}
					b := kittest.NewBrowser(t, a)
					b.Get("/login")
					old := b.Session()
					require.Equal(t, "42", kittest.WithCookies(a, "/", kittest.SessionCookie+"="+old).Body.String())
					if end != nil {
						end(t, b)
					} else {
						n, err := own.RevokeAll(t.Context(), "42")
						require.NoError(t, err)
						require.Equal(t, 1, n)
					}
					time.Sleep(time.Millisecond) // no request of before the sign-out is that late
					for range 2 {
						assert.Empty(t, kittest.WithCookies(a, "/", kittest.SessionCookie+"="+old).Body.String(), "the old value opens nothing")
						w := kittest.WithCookies(a, "/set", kittest.SessionCookie+"="+old)
						if w.Code == http.StatusServiceUnavailable {
							assert.Contains(t, []string{"renewal", "signing in again", "sign-in of another"}, how)
							assert.Empty(t, kittest.SetCookies(w), "the browser may have the cookie that followed")
							time.Sleep(time.Minute)
							continue
						}
						require.Len(t, kittest.SetCookies(w), 1, "what it writes goes to a new session")
						assert.NotEqual(t, old, kittest.SetCookies(w)[0].Value)
					}
					assert.JSONEq(t, `{"n": 0, "ok": false}`, b.Get("/count").Body.String(), "and not to the one that followed")
				})
			})
		})
	}
}

// TestAttackSwappedCookies: what was made under one name, or for one purpose, is
// nothing under another.
func TestAttackSwappedCookies(t *testing.T) {
	config := sessionkit.Config{Secrets: [][]byte{kittest.SecretA, kittest.SecretB}}
	options := func(p sessionkit.Protection) sessionkit.CookieOptions {
		return sessionkit.CookieOptions{Protection: p, MaxAge: time.Hour}
	}
	jars := map[string]sessionkit.Cookie[string]{}
	for _, name := range []string{"role", "roles", "rol", "Role", "theme"} {
		jars["signed "+name] = sessionkit.NewCookie[string](name, options(sessionkit.Signed))
		jars["encrypted "+name] = sessionkit.NewCookie[string](name, options(sessionkit.Encrypted))
	}
	a := kittest.NewSite(memstore.New(), config)
	a.On("/login", kittest.SignIn("42"))
	a.On("/", kittest.Whoami)
	a.On("/set", func(c *gin.Context) { assert.NoError(t, jars[c.Query("jar")].Set(c, "es")) }) // "role"+"s" is "roles"+""
	a.On("/get", func(c *gin.Context) {
		v, err := jars[c.Query("jar")].Get(c)
		c.String(http.StatusOK, "%s %v", v, err)
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	values := map[string]string{"the session": b.Session()}
	for jar := range jars {
		values[jar] = kittest.SetCookies(b.Get("/set?jar=" + strings.ReplaceAll(jar, " ", "+")))[0].Value
	}
	for from, value := range values {
		if from != "the session" {
			assert.Empty(t, kittest.WithCookies(a, "/", kittest.SessionCookie+"="+value).Body.String(), "%s is no session", from)
		}
		for jar := range jars {
			_, name, _ := strings.Cut(jar, " ")
			got := kittest.WithCookies(a, "/get?jar="+strings.ReplaceAll(jar, " ", "+"), name+"="+value).Body.String()
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
		now := kittest.NewSite(memstore.New(), config)
		later := kittest.NewSite(memstore.New(), sessionkit.Config{Secrets: config.Secrets[1:]})
		for _, site := range []*kittest.Site{now, later} {
			site.On("/set", func(c *gin.Context) { assert.NoError(t, jars["signed role"].Set(c, "admin")) })
			site.On("/get", func(c *gin.Context) { _, err := jars["signed role"].Get(c); c.String(http.StatusOK, "%v", err) })
		}
		old := kittest.SetCookies(kittest.NewBrowser(t, now).Get("/set"))[0].Value
		assert.Contains(t, kittest.WithCookies(later, "/get", "role="+old).Body.String(), "not sealed by this site")
		time.Sleep(time.Hour)
		assert.Contains(t, kittest.WithCookies(now, "/get", "role="+old).Body.String(), "has expired")
	})
}

// TestAttackTampering flips every bit of a session's cookie, cuts it and adds to
// it. [TestSealedCookies] does the same to signed and encrypted ones.
func TestAttackTampering(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{TokenHeader: "X-Session-Token"})
	a.On("/login", kittest.SignIn("42"))
	a.On("/", kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	secret := b.Session()
	opens := func(value string) bool {
		byCookie := kittest.WithCookies(a, "/", kittest.SessionCookie+"="+value).Body.String()
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
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{Secrets: [][]byte{kittest.SecretA}})
	sealed := sessionkit.NewCookie[string]("sealed", sessionkit.CookieOptions{Protection: sessionkit.Encrypted})
	a.On("/login", kittest.SignIn("42"))
	a.On("/", kittest.Whoami)
	a.On("/own", func(c *gin.Context) {
		_, err := sealed.Get(c)
		_, plainErr := sessionkit.GetCookie(c, "plain")
		c.String(http.StatusOK, "%v %v", err, plainErr)
	})
	a.On("/big", func(c *gin.Context) { kittest.Name.Set(c, strings.Repeat("x", 100_000)) })
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	good := kittest.SessionCookie + "=" + b.Session()
	s.Called()

	others := strings.Repeat("bomb=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; ", 20_000)
	assert.Equal(t, "42", kittest.WithCookies(a, "/", others+good).Body.String(), "other cookies, a megabyte of them, hide nothing")
	assert.Equal(t, []string{"load"}, s.Called())

	wrong := strings.Repeat(kittest.SessionCookie+"="+strings.Repeat("B", 43)+"; ", 20_000)
	assert.Empty(t, kittest.WithCookies(a, "/", wrong+good).Body.String())
	assert.Len(t, s.Called(), 4, "the store is asked about a few of them only")
	for _, bomb := range []string{others, wrong, kittest.SessionCookie + "=" + strings.Repeat("B", 1<<20), strings.Repeat("=;", 1<<19), strings.Repeat(";", 1<<20)} {
		bare := testing.AllocsPerRun(5, func() { kittest.WithCookies(a, "/nowhere", bomb) })
		assert.Less(t, testing.AllocsPerRun(5, func() { kittest.WithCookies(a, "/", bomb) }), bare+60, "%.60q", bomb)
	}
	for _, bomb := range []string{strings.Repeat("sealed="+strings.Repeat("A", 100)+"; ", 10_000), "sealed=" + strings.Repeat("A", 1<<20), "plain=" + strings.Repeat("%41", 1<<18)} {
		bare := testing.AllocsPerRun(5, func() { kittest.WithCookies(a, "/nowhere", bomb) })
		assert.Less(t, testing.AllocsPerRun(5, func() { kittest.WithCookies(a, "/own", bomb) }), bare+90, "%.60q", bomb)
	}
	assert.Contains(t, kittest.WithCookies(a, "/own", "plain="+strings.Repeat("%41", 1<<18)).Body.String(), "malformed", "no browser keeps so much")

	// The site makes none itself: what a session holds is not in its cookie.
	b.Get("/big")
	assert.Len(t, b.Session(), 43)
}
