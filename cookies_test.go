package sessionkit_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// setLine returns the Set-Cookie line that a handler causes.
func setLine(tb testing.TB, config sessionkit.Config, handler gin.HandlerFunc) string {
	tb.Helper()
	lines := kittest.Within(tb, config, nil, handler).Header()["Set-Cookie"]
	require.Len(tb, lines, 1)
	return lines[0]
}

func TestCookieAttributes(t *testing.T) {
	for want, options := range map[string][]sessionkit.CookieOptions{
		"theme=dark; Path=/; HttpOnly; Secure; SameSite=Lax":                            nil,
		"theme=dark; Path=/; Max-Age=31536000; HttpOnly; Secure; SameSite=Lax":          {{MaxAge: 365 * 24 * time.Hour}},
		"theme=dark; Path=/app; Domain=example.com; HttpOnly; Secure; SameSite=Lax":     {{Domain: "example.com", Path: "/app"}},
		"theme=dark; Path=/; Secure; SameSite=Strict":                                   {{ScriptReadable: true, SameSite: http.SameSiteStrictMode}},
		"theme=dark; Path=/; HttpOnly; Secure; SameSite=None; Partitioned":              {{SameSite: http.SameSiteNoneMode, Partitioned: true}},
		"theme=dark; Path=/; Max-Age=1; HttpOnly; Secure; SameSite=Lax":                 {{MaxAge: 1999 * time.Millisecond}},
		"theme=dark; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax":          {{MaxAge: 400 * 24 * time.Hour}},
		"theme=dark; Path=/x; Max-Age=60; Secure; SameSite=Lax":                         {{Path: "/x", MaxAge: time.Minute, ScriptReadable: true}},
		"theme=dark; Path=/; Domain=sub.example.com; HttpOnly; Secure; SameSite=Strict": {{Domain: "sub.example.com", SameSite: http.SameSiteStrictMode}},
	} {
		theme := sessionkit.NewCookie[string]("theme", options...)
		assert.Equal(t, want, setLine(t, sessionkit.Config{}, func(c *gin.Context) { assert.NoError(t, theme.Set(c, "dark")) }))
		assert.Equal(t, want, setLine(t, sessionkit.Config{}, func(c *gin.Context) {
			assert.NoError(t, sessionkit.SetCookie(c, "theme", "dark", options...))
		}))

		deleted := func(c *gin.Context) { theme.Delete(c) }
		line := setLine(t, sessionkit.Config{}, deleted)
		assert.Contains(t, line, "theme=;")
		assert.Contains(t, line, "Max-Age=0")
		for attribute := range strings.SplitSeq(want, "; ") {
			for _, kept := range []string{"Path", "Domain", "Partitioned", "Secure", "SameSite", "HttpOnly"} {
				if strings.HasPrefix(attribute, kept) {
					assert.Contains(t, line+";", "; "+attribute+";", "a cookie is deleted by its own attributes")
				}
			}
		}
		assert.Equal(t, line, setLine(t, sessionkit.Config{}, func(c *gin.Context) { sessionkit.DeleteCookie(c, "theme", options...) }))
	}
}

// TestSameSiteDefaultModeIsLax: with it net/http leaves the attribute out, and some browsers then
// send the cookie along with other sites' requests.
func TestSameSiteDefaultModeIsLax(t *testing.T) {
	options := sessionkit.CookieOptions{SameSite: http.SameSiteDefaultMode}
	for _, set := range []gin.HandlerFunc{
		func(c *gin.Context) { assert.NoError(t, sessionkit.NewCookie[string]("theme", options).Set(c, "dark")) },
		func(c *gin.Context) { assert.NoError(t, sessionkit.SetCookie(c, "theme", "dark", options)) },
		func(c *gin.Context) { kittest.Count.Set(c, 1) },
	} {
		assert.Contains(t, setLine(t, sessionkit.Config{SameSite: http.SameSiteDefaultMode}, set), "; SameSite=Lax")
	}
}

func TestOneCookieOfAName(t *testing.T) {
	theme := sessionkit.NewCookie[string]("theme")
	w := kittest.Within(t, sessionkit.Config{}, nil, func(c *gin.Context) {
		c.SetCookie("other", "x", 0, "/", "", true, true)
		assert.NoError(t, theme.Set(c, "light"))
		assert.NoError(t, theme.Set(c, "dark"))
		theme.Delete(c)
		assert.NoError(t, sessionkit.SetCookie(c, "theme", "last"))
		assert.NoError(t, sessionkit.SetCookie(c, "theme2", "x"))
	})
	lines := w.Header()["Set-Cookie"]
	require.Len(t, lines, 3)
	assert.Contains(t, lines[1], "theme=last;")
}

// roundTripCookie sets a cookie in one response and reads it in the next request,
// as a real server and client see it.
func roundTripCookie[T any](t *testing.T, want T) {
	t.Helper()
	for _, protection := range []sessionkit.Protection{sessionkit.Plain, sessionkit.Signed, sessionkit.Encrypted} {
		cookie := sessionkit.NewCookie[T]("c", sessionkit.CookieOptions{Protection: protection})
		config := sessionkit.Config{Secrets: [][]byte{kittest.SecretA}}
		w := kittest.Within(t, config, nil, func(c *gin.Context) { assert.NoError(t, cookie.Set(c, want)) })
		cookies := kittest.SetCookies(w)
		require.Len(t, cookies, 1)
		require.NoError(t, cookies[0].Valid())
		kittest.Within(t, config, map[string]string{"c": cookies[0].Value}, func(c *gin.Context) {
			got, err := cookie.Get(c)
			assert.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
}

func TestCookieRoundTrip(t *testing.T) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, v := range append(kittest.CookieTexts, string(every)) {
		roundTripCookie(t, v)
	}
	roundTripCookie(t, 7)
	roundTripCookie(t, uint8(255))
	roundTripCookie(t, -1.5)
	roundTripCookie(t, true)
	roundTripCookie(t, complex(1, 2))
	roundTripCookie(t, kittest.UserID("x y"))
	roundTripCookie(t, kittest.Level(4))
	roundTripCookie(t, time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC))
	roundTripCookie(t, []kittest.Item{{Name: "tea; \"x\"", N: 1}})
	roundTripCookie(t, map[string]int{"a": 1})
}

// TestDeleteOfACookieThatFails: the cookie stays where it is, and OnError is told.
func TestDeleteOfACookieThatFails(t *testing.T) {
	theme, own := sessionkit.NewCookie[string]("theme"), sessionkit.NewCookie[string](kittest.SessionCookie)
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/set", kittest.Increment)
	a.On("/own", own.Delete)
	a.On("/late", func(c *gin.Context) {
		c.String(http.StatusOK, "begun")
		theme.Delete(c)
	})
	a.On("/wrong", func(c *gin.Context) { sessionkit.DeleteCookie(c, "theme", sessionkit.CookieOptions{Path: "x"}) })
	b := kittest.NewBrowser(t, a)
	b.Get("/set")
	for path, want := range map[string]string{"/own": "the session's own", "/late": "before writing", "/wrong": "CookieOptions.Path"} {
		assert.Empty(t, b.Get(path).Header()["Set-Cookie"], path)
		errs := a.Errors()
		require.Len(t, errs, 1, path)
		assert.ErrorContains(t, errs[0], want)
	}
}

// TestCookieOfAnEvent: OnEvent is called while the session is committed, before the header goes out.
func TestCookieOfAnEvent(t *testing.T) {
	own := sessionkit.NewCookie[string]("own")
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{
		OnEvent: func(c *gin.Context, e sessionkit.Event) {
			if e.Kind == sessionkit.EventSignedIn {
				assert.NoError(t, own.Set(c, "x"))
			}
			if e.Kind == sessionkit.EventSignedOut {
				own.Delete(c)
			}
		},
		OnError: func(_ *gin.Context, err error) { assert.NoError(t, err) },
	}))
	r.GET("/login", kittest.SignIn("42"))
	r.GET("/logout", sessionkit.Logout)
	b := kittest.NewBrowser(t, r)
	b.Get("/login")
	assert.Equal(t, "x", b.Cookies["own"])
	b.Get("/logout")
	assert.Empty(t, b.Cookies)
}

// written is a type whose values write a text and do not read it.
type written int

func (written) MarshalText() ([]byte, error) { return []byte("high"), nil }

func TestCookieErrors(t *testing.T) {
	plain := sessionkit.NewCookie[int]("c")
	for value, want := range map[string]error{"x": sessionkit.ErrCookieMalformed, "5%": sessionkit.ErrCookieMalformed, "": sessionkit.ErrCookieMalformed, "99999999999999999999": sessionkit.ErrCookieMalformed, strings.Repeat("1", 5000): sessionkit.ErrCookieMalformed} {
		kittest.Within(t, sessionkit.Config{}, map[string]string{"c": value}, func(c *gin.Context) {
			v, err := plain.Get(c)
			assert.ErrorIs(t, err, want, "%.20q", value)
			assert.Zero(t, v)
		})
	}
	kittest.Within(t, sessionkit.Config{}, map[string]string{"c": "a%20b", "d": "%zz"}, func(c *gin.Context) {
		v, err := sessionkit.GetCookie(c, "c")
		assert.NoError(t, err)
		assert.Equal(t, "a b", v)
		_, err = sessionkit.GetCookie(c, "none")
		assert.ErrorIs(t, err, http.ErrNoCookie)
		_, err = sessionkit.GetCookie(c, "d")
		assert.ErrorIs(t, err, sessionkit.ErrCookieMalformed)
		_, err = plain.Get(c)
		assert.ErrorIs(t, err, sessionkit.ErrCookieMalformed)
	})
	kittest.Within(t, sessionkit.Config{}, nil, func(c *gin.Context) {
		err := sessionkit.NewCookie[map[string]any]("c").Set(c, map[string]any{"f": func() {}})
		assert.ErrorContains(t, err, `setting cookie "c"`)
		assert.Empty(t, c.Writer.Header()["Set-Cookie"])
	})
	kittest.Within(t, sessionkit.Config{}, nil, func(c *gin.Context) {
		err := sessionkit.NewCookie[written]("c").Set(c, 1)
		assert.ErrorContains(t, err, "cannot be read back")
		assert.Empty(t, c.Writer.Header()["Set-Cookie"])
	})
	signed := sessionkit.NewCookie[string]("c", sessionkit.CookieOptions{Protection: sessionkit.Signed})
	w := kittest.Within(t, sessionkit.Config{}, map[string]string{"c": "x"}, func(c *gin.Context) {
		assert.ErrorContains(t, signed.Set(c, "x"), "Config.Secrets", "a signed cookie is never sent unsigned")
		_, err := signed.Get(c)
		assert.ErrorContains(t, err, "Config.Secrets")
	})
	assert.Empty(t, w.Header()["Set-Cookie"])

	w = kittest.Within(t, sessionkit.Config{Secrets: [][]byte{kittest.SecretA}}, nil, func(c *gin.Context) {
		assert.NoError(t, sessionkit.SetCookie(c, "c", strings.Repeat("x", 4095)))
		assert.ErrorIs(t, sessionkit.SetCookie(c, "d", strings.Repeat("x", 4096)), sessionkit.ErrCookieTooLarge)
		assert.ErrorIs(t, sessionkit.SetCookie(c, "d", strings.Repeat("ä", 1000)), sessionkit.ErrCookieTooLarge, "as it is on the wire")
		assert.ErrorIs(t, signed.Set(c, strings.Repeat("x", 3100)), sessionkit.ErrCookieTooLarge)
		assert.ErrorContains(t, sessionkit.SetCookie(c, kittest.SessionCookie, "x"), "session's own")
		c.String(http.StatusOK, "begun")
		assert.ErrorContains(t, sessionkit.SetCookie(c, "late", "x"), "before writing")
	})
	assert.Len(t, w.Header()["Set-Cookie"], 1)
}

func TestCookiesThatCannotWork(t *testing.T) {
	for want, bad := range map[string]struct {
		name    string
		options sessionkit.CookieOptions
	}{
		"name is \"\"":               {"", sessionkit.CookieOptions{}},
		"name is \"a b\"":            {"a b", sessionkit.CookieOptions{}},
		"name is \"a=b\"":            {"a=b", sessionkit.CookieOptions{}},
		"name is \"a;b\"":            {"a;b", sessionkit.CookieOptions{}},
		"name is \"a\\r\\nb\"":       {"a\r\nb", sessionkit.CookieOptions{}},
		"400 days":                   {"a", sessionkit.CookieOptions{MaxAge: 401 * 24 * time.Hour}},
		"MaxAge is -1s":              {"a", sessionkit.CookieOptions{MaxAge: -time.Second}},
		"whole seconds":              {"a", sessionkit.CookieOptions{MaxAge: time.Millisecond}},
		"multiply by time.Second":    {"a", sessionkit.CookieOptions{MaxAge: 3600}},
		"Domain is \"http://x.org\"": {"a", sessionkit.CookieOptions{Domain: "http://x.org"}},
		"Domain is \".x.org\"":       {"a", sessionkit.CookieOptions{Domain: ".x.org"}},
		"Domain is \"127.0.0.1\"":    {"a", sessionkit.CookieOptions{Domain: "127.0.0.1"}},
		"Domain is \"x.org:80\"":     {"a", sessionkit.CookieOptions{Domain: "x.org:80"}},
		"Domain is \"co.uk\"":        {"a", sessionkit.CookieOptions{Domain: "co.uk"}},
		"Domain is \"com\"":          {"a", sessionkit.CookieOptions{Domain: "com"}},
		"Partitioned is true":        {"a", sessionkit.CookieOptions{Partitioned: true}},
		"Path is \"app\"":            {"a", sessionkit.CookieOptions{Path: "app"}},
		"Path is \"/a;b\"":           {"a", sessionkit.CookieOptions{Path: "/a;b"}},
		"Path is \"/a b\"":           {"a", sessionkit.CookieOptions{Path: "/a b"}},
		"SameSite is 9":              {"a", sessionkit.CookieOptions{SameSite: 9}},
		"Protection is 3":            {"a", sessionkit.CookieOptions{Protection: 3}},
		"excludes Domain":            {"__Host-a", sessionkit.CookieOptions{Domain: "example.com"}},
		"any Path but /":             {"__Host-Http-a", sessionkit.CookieOptions{Path: "/app"}},
		"promises HttpOnly":          {"__Http-a", sessionkit.CookieOptions{ScriptReadable: true}},
		"__Http- promises":           {"__host-HTTP-a", sessionkit.CookieOptions{ScriptReadable: true}},
	} {
		t.Run(want, func(t *testing.T) {
			kittest.Within(t, sessionkit.Config{}, nil, func(c *gin.Context) {
				err := sessionkit.SetCookie(c, bad.name, "x", bad.options)
				assert.ErrorContains(t, err, want)
				var problem *sessionkit.ConfigError
				assert.ErrorAs(t, err, &problem)
			})
			defer func() {
				message := fmt.Sprint(recover())
				assert.Contains(t, message, want)
				assert.Equal(t, 1, strings.Count(message, "sessionkit: "), "%s", message)
				assert.NotContains(t, message, "CookieOptions.name", "there is no such field")
			}()
			sessionkit.NewCookie[string](bad.name, bad.options)
		})
	}
	for _, good := range []struct {
		name    string
		options sessionkit.CookieOptions
	}{
		{"__Secure-a", sessionkit.CookieOptions{Domain: "example.com", Path: "/app", ScriptReadable: true}},
		{"__Host-a", sessionkit.CookieOptions{ScriptReadable: true}},
		{"__Http-a", sessionkit.CookieOptions{Domain: "example.com", Path: "/app"}},
		{"__Host-Http-a", sessionkit.CookieOptions{}},
	} {
		assert.NotPanics(t, func() { sessionkit.NewCookie[string](good.name, good.options) })
	}
	assert.Panics(t, func() { sessionkit.NewCookie[string]("a", sessionkit.CookieOptions{}, sessionkit.CookieOptions{}) })
}

// TestPrefixedCookieOnLocalhost: the prefix demands Secure, also there.
func TestPrefixedCookieOnLocalhost(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/", func(c *gin.Context) {
		assert.NoError(t, sessionkit.SetCookie(c, "__Host-a", "x"))
		assert.NoError(t, sessionkit.SetCookie(c, "b", "x"))
	})
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/", nil))
	assert.Equal(t, []string{"__Host-a=x; Path=/; HttpOnly; Secure; SameSite=Lax", "b=x; Path=/; HttpOnly; SameSite=Lax"}, w.Header()["Set-Cookie"])
}

func TestSealedCookies(t *testing.T) {
	for name, protection := range map[string]sessionkit.Protection{"signed": sessionkit.Signed, "encrypted": sessionkit.Encrypted} {
		t.Run(name, func(t *testing.T) {
			cookie := sessionkit.NewCookie[string]("c", sessionkit.CookieOptions{Protection: protection})
			other := sessionkit.NewCookie[string]("d", sessionkit.CookieOptions{Protection: protection})
			config := sessionkit.Config{Secrets: [][]byte{kittest.SecretA}}
			sealed := kittest.SetCookies(kittest.Within(t, config, nil, func(c *gin.Context) { assert.NoError(t, cookie.Set(c, "top secret")) }))[0].Value
			open := func(config sessionkit.Config, cookies map[string]string, k sessionkit.Cookie[string]) (v string, err error) {
				kittest.Within(t, config, cookies, func(c *gin.Context) { v, err = k.Get(c) })
				return v, err
			}
			raw, err := base64.RawURLEncoding.DecodeString(sealed)
			require.NoError(t, err)
			assert.Equal(t, protection == sessionkit.Signed, strings.Contains(string(raw), "top secret"))

			_, err = open(config, map[string]string{"d": sealed}, other)
			require.ErrorIs(t, err, sessionkit.ErrCookieTampered, "the name is bound in")
			_, err = open(sessionkit.Config{Secrets: [][]byte{kittest.SecretB}}, map[string]string{"c": sealed}, cookie)
			require.ErrorIs(t, err, sessionkit.ErrCookieTampered)
			v, err := open(sessionkit.Config{Secrets: [][]byte{kittest.SecretB, kittest.SecretA}}, map[string]string{"c": sealed}, cookie)
			require.NoError(t, err, "all secrets read")
			assert.Equal(t, "top secret", v)
			rotated := kittest.SetCookies(kittest.Within(t, sessionkit.Config{Secrets: [][]byte{kittest.SecretB, kittest.SecretA}}, nil, func(c *gin.Context) { assert.NoError(t, cookie.Set(c, "x")) }))[0].Value
			_, err = open(config, map[string]string{"c": rotated}, cookie)
			require.ErrorIs(t, err, sessionkit.ErrCookieTampered, "the first secret writes")

			for i := range raw {
				for bit := range 8 {
					altered := append([]byte(nil), raw...)
					altered[i] ^= 1 << bit
					v, err := open(config, map[string]string{"c": base64.RawURLEncoding.EncodeToString(altered)}, cookie)
					require.ErrorIs(t, err, sessionkit.ErrCookieTampered, "byte %d, bit %d", i, bit)
					require.Empty(t, v)
				}
			}
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
			for _, last := range alphabet {
				spelling := sealed[:len(sealed)-1] + string(last)
				if spelling == sealed {
					continue
				}
				_, err := open(config, map[string]string{"c": spelling}, cookie)
				require.ErrorIs(t, err, sessionkit.ErrCookieTampered, "a cookie has one spelling")
			}
			for _, text := range []string{"", "x", sealed + "=", sealed[:len(sealed)-1], sealed + sealed} {
				_, err := open(config, map[string]string{"c": text}, cookie)
				require.ErrorIs(t, err, sessionkit.ErrCookieTampered)
			}

			// A sibling domain has put its own before the right one.
			a := kittest.NewSite(memstore.New(), config)
			a.On("/", func(c *gin.Context) {
				v, err := cookie.Get(c)
				assert.NoError(t, err)
				assert.Equal(t, "top secret", v)
			})
			r := kittest.NewBrowser(t, a).Request(http.MethodGet, "/")
			r.Header.Set("Cookie", "c=planted; c="+sealed)
			a.ServeHTTP(httptest.NewRecorder(), r)
		})
	}
}

func TestSealedCookieExpires(t *testing.T) {
	for _, protection := range []sessionkit.Protection{sessionkit.Signed, sessionkit.Encrypted} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(900 * time.Millisecond) // at no whole second
			cookie := sessionkit.NewCookie[string]("c", sessionkit.CookieOptions{Protection: protection, MaxAge: time.Hour})
			config := sessionkit.Config{Secrets: [][]byte{kittest.SecretA}}
			sealed := kittest.SetCookies(kittest.Within(t, config, nil, func(c *gin.Context) { assert.NoError(t, cookie.Set(c, "x")) }))[0].Value
			get := func() (err error) {
				kittest.Within(t, config, map[string]string{"c": sealed}, func(c *gin.Context) { _, err = cookie.Get(c) })
				return err
			}
			time.Sleep(time.Hour - time.Millisecond)
			require.NoError(t, get())
			time.Sleep(time.Second)
			require.ErrorIs(t, get(), sessionkit.ErrCookieExpired, "whatever the browser kept")
		})
	}
}

// TestSealedCookieOfTheBrowsersSession: one without a MaxAge is good for as long as the browser
// keeps it.
func TestSealedCookieOfTheBrowsersSession(t *testing.T) {
	for _, protection := range []sessionkit.Protection{sessionkit.Signed, sessionkit.Encrypted} {
		synctest.Test(t, func(t *testing.T) {
			cookie := sessionkit.NewCookie[string]("c", sessionkit.CookieOptions{Protection: protection})
			config := sessionkit.Config{Secrets: [][]byte{kittest.SecretA}}
			sent := kittest.SetCookies(kittest.Within(t, config, nil, func(c *gin.Context) { assert.NoError(t, cookie.Set(c, "x")) }))[0]
			assert.Zero(t, sent.MaxAge)
			time.Sleep(500 * 24 * time.Hour)
			kittest.Within(t, config, map[string]string{"c": sent.Value}, func(c *gin.Context) {
				v, err := cookie.Get(c)
				assert.NoError(t, err)
				assert.Equal(t, "x", v)
			})
		})
	}
}

// TestPurposesAreApart: a signed cookie is not taken for an encrypted one.
func TestPurposesAreApart(t *testing.T) {
	config := sessionkit.Config{Secrets: [][]byte{kittest.SecretA}}
	signed := sessionkit.NewCookie[string]("c", sessionkit.CookieOptions{Protection: sessionkit.Signed})
	encrypted := sessionkit.NewCookie[string]("c", sessionkit.CookieOptions{Protection: sessionkit.Encrypted})
	for _, pair := range [][2]sessionkit.Cookie[string]{{signed, encrypted}, {encrypted, signed}} {
		sealed := kittest.SetCookies(kittest.Within(t, config, nil, func(c *gin.Context) { assert.NoError(t, pair[0].Set(c, "x")) }))[0].Value
		kittest.Within(t, config, map[string]string{"c": sealed}, func(c *gin.Context) {
			_, err := pair[1].Get(c)
			assert.ErrorIs(t, err, sessionkit.ErrCookieTampered)
		})
	}
}
