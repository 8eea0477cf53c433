package hostile_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	gsessions "github.com/gorilla/sessions"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/alloctest"
	"github.com/gin-sessionkit/sessionkit/internal/cookie"
	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// FuzzSealedCookie checks that nothing opens but what was sealed. The genuine
// encrypted cookie differs from process to process, so it is known by its value
// and its length.
func FuzzSealedCookie(f *testing.F) {
	config := sessionkit.Config{Secrets: [][]byte{kittest.SecretA}}
	signed := sessionkit.NewCookie[string]("c", sessionkit.CookieOptions{Protection: sessionkit.Signed})
	encrypted := sessionkit.NewCookie[string]("c", sessionkit.CookieOptions{Protection: sessionkit.Encrypted})
	seal := func(k sessionkit.Cookie[string]) string {
		return kittest.SetCookies(kittest.Within(f, config, nil, func(c *gin.Context) { assert.NoError(f, k.Set(c, "value")) }))[0].Value
	}
	sealedSigned, sealedEncrypted := seal(signed), seal(encrypted)
	for _, seed := range sealedSeeds(sealedSigned, sealedEncrypted) {
		f.Add(seed)
	}
	var text string
	var now testing.TB // the run that is under way
	a := kittest.NewSite(memstore.New(), config)
	a.On("/", func(c *gin.Context) {
		if v, err := signed.Get(c); err == nil {
			assert.Equal(now, sealedSigned, text)
			assert.Equal(now, "value", v)
		} else {
			assert.Empty(now, v, "an error leaves the zero value")
		}
		if v, err := encrypted.Get(c); err == nil {
			assert.Len(now, text, len(sealedEncrypted))
			assert.Equal(now, "value", v)
		} else {
			assert.Empty(now, v, "an error leaves the zero value")
			assert.True(now, errors.Is(err, sessionkit.ErrCookieTampered) || errors.Is(err, http.ErrNoCookie) || errors.Is(err, sessionkit.ErrCookieMalformed))
		}
	})
	f.Fuzz(func(t *testing.T, cookie string) {
		if strings.ContainsAny(cookie, "; \t\"") {
			return // what ends or trims a value is for FuzzSessionCookie
		}
		text, now = cookie, t
		var w *httptest.ResponseRecorder
		alloctest.Check(t, len(cookie), func() { w = kittest.WithCookies(a, "/", "c="+cookie) })
		require.Equal(t, http.StatusOK, w.Code)
	})
}

// FuzzPlainCookie checks that any bytes come back as they were, through a header
// that net/http accepts.
func FuzzPlainCookie(f *testing.F) {
	for _, seed := range kittest.CookieTexts {
		f.Add(seed)
	}
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	var value string
	var now testing.TB // the run that is under way
	a.On("/set", func(c *gin.Context) {
		if err := sessionkit.SetCookie(c, "c", value); err != nil {
			assert.ErrorIs(now, err, sessionkit.ErrCookieTooLarge)
			c.Status(http.StatusTeapot)
		}
	})
	a.On("/get", func(c *gin.Context) {
		got, err := sessionkit.GetCookie(c, "c")
		assert.NoError(now, err)
		assert.Equal(now, value, got)
	})
	f.Fuzz(func(t *testing.T, v string) {
		value, now = v, t
		b := kittest.NewBrowser(t, a)
		if b.Get("/set").Code == http.StatusOK {
			b.Get("/get")
		}
	})
}

// Seeds are what the tables of the tests have, so that a case that is added there
// is a seed here.

func sealedSeeds(sealed ...string) (seeds []string) {
	for _, text := range append(sealed, "") {
		seeds = append(seeds, text, text+"A", strings.ToLower(text), text+"=")
	}
	return append(seeds, hostileTexts...)
}

// SECRET stands for the session's secret, which is another one in each run.
func headerSeeds() []string {
	seeds := []string{
		"NAME=SECRET", "NAME=x; NAME=SECRET", `NAME="SECRET"`, "name=SECRET", "NAME=SECRET=", "NAME=SECRETA", " NAME = SECRET ", "NAME\t=\tSECRET;", "NAME=SECRET,NAME=SECRET",
		"NAME==SECRET", "xNAME=SECRET", "NAME=;NAME=;NAME=;NAME=;NAME=SECRET", ";;==;\x00", "session=SECRET", "NAME='SECRET'", `NAME="SECRET`,
	}
	for _, text := range hostileTexts {
		seeds = append(seeds, "NAME="+text, text+"; NAME=SECRET", text)
	}
	return seeds
}

func fillIn(seed, secret string) string {
	return strings.NewReplacer("NAME", kittest.SessionCookie, "SECRET", secret).Replace(seed)
}

// FuzzCookieValues checks what is found in a header against splitting it in full.
func FuzzCookieValues(f *testing.F) {
	for _, seed := range []string{"a=b", " a = \"b\" ; a=c;;", "a", "=", "a==;", "aa=b;a=", "\ta\t=\tb\t", `a="`, `a=""`} {
		f.Add(seed, "a")
	}
	f.Fuzz(func(t *testing.T, line, name string) {
		if name == "" || strings.ContainsAny(name, " \t;=") {
			return
		}
		var want []string
		for pair := range strings.SplitSeq(line, ";") {
			found, v, ok := strings.Cut(pair, "=")
			if !ok || strings.Trim(found, " \t") != name {
				continue
			}
			v = strings.Trim(v, " \t")
			if len(v) > 1 && v[0] == '"' && v[len(v)-1] == '"' {
				v = v[1 : len(v)-1]
			}
			want = append(want, v)
		}
		require.Equal(t, want, slices.Collect(cookie.Values([]string{line}, name)))
	})
}

// FuzzSessionCookie checks that a Cookie header opens a session only where it has
// the secret itself, whole and alone, under the cookie's own name.
func FuzzSessionCookie(f *testing.F) {
	for _, seed := range headerSeeds() {
		f.Add(seed)
	}
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	var now testing.TB // the run that is under way
	a.On("/", func(c *gin.Context) { assert.NoError(now, sessionkit.Err(c)); kittest.Whoami(c) })
	b := kittest.NewBrowser(f, a)
	b.Get("/login")
	right := regexp.MustCompile(`(^|;)[ \t]*` + kittest.SessionCookie + `[ \t]*=[ \t]*("?)` + b.Session() + `("?)[ \t]*(;|$)`)
	f.Fuzz(func(t *testing.T, seed string) {
		now = t
		header := fillIn(seed, b.Session())
		var w *httptest.ResponseRecorder
		alloctest.Check(t, len(header), func() { w = kittest.WithCookies(a, "/", header) })
		require.Equal(t, http.StatusOK, w.Code)
		if w.Body.Len() == 0 {
			assert.NotEqual(t, "NAME=SECRET", seed, "the right one opens")
			return
		}
		require.Equal(t, "42", w.Body.String())
		match := right.FindStringSubmatch(header)
		require.NotNil(t, match, "%q", header)
		assert.Equal(t, match[2], match[3], "%q", header)
	})
}

// FuzzToken checks the same of a token in a header: one line, the scheme in any
// case, and the token itself.
func FuzzToken(f *testing.F) {
	for _, seed := range append(hostileTexts, "Bearer SECRET", "bearer SECRET", "Bearer  SECRET ", "SECRET", "Bearer SECRETA", "Bearer\tSECRET", "Basic SECRET", "Bearer SECRET, Bearer SECRET") {
		f.Add(seed)
	}
	a := kittest.NewTokenSite(memstore.New(), "Authorization")
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "https://example.com/login", nil)
	r.Header.Set("Authorization", "Bearer")
	a.ServeHTTP(w, r)
	secret := strings.TrimPrefix(w.Header().Get("Authorization"), "Bearer ")
	require.Len(f, secret, 43)
	f.Fuzz(func(t *testing.T, seed string) {
		value := fillIn(seed, secret)
		r := httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
		r.Header["Authorization"] = []string{value}
		var w *httptest.ResponseRecorder
		alloctest.Check(t, len(value), func() {
			w = httptest.NewRecorder()
			a.ServeHTTP(w, r)
		})
		require.Equal(t, http.StatusOK, w.Code)
		opened := w.Body.String() == "42"
		scheme, rest, _ := strings.Cut(value, " ")
		assert.Equal(t, strings.EqualFold(scheme, "Bearer") && strings.Trim(rest, " ") == secret, opened, "%q", value)
	})
}

// typedCookie checks one type: an error leaves the zero value, and what is read
// comes back as the same once it is set.
func typedCookie[T any](t *testing.T, a *caller, text string) {
	t.Helper()
	cookie := sessionkit.NewCookie[T]("c")
	var v T
	var err error
	read := func(c *gin.Context) { v, err = cookie.Get(c) }
	a.call("c="+text, func(c *gin.Context) {
		alloctest.Check(t, len(text), func() { read(c) })
	})
	if err != nil {
		assert.Zero(t, v, "an error leaves the zero value: %q as %T", text, v)
		return
	}
	first := v
	w := a.call("", func(c *gin.Context) { err = cookie.Set(c, first) })
	if err != nil {
		require.ErrorIs(t, err, sessionkit.ErrCookieTooLarge)
		return
	}
	a.call("c="+kittest.SetCookies(w)[0].Value, read)
	require.NoError(t, err)
	want, _ := json.Marshal(first)
	got, _ := json.Marshal(v)
	assert.Equal(t, string(want), string(got), "%q", text)
}

// caller is an application whose one handler is another one in each request.
type caller struct {
	*gin.Engine
	handler gin.HandlerFunc
}

func newCaller(s sessions.Store) *caller {
	a := &caller{Engine: gin.New()}
	a.Use(sessionkit.Sessions(s, sessionkit.Config{OnError: func(*gin.Context, error) {}}))
	a.GET("/", func(c *gin.Context) { a.handler(c) })
	return a
}

// call runs a handler in a request with a Cookie header.
func (a *caller) call(cookies string, handler gin.HandlerFunc) *httptest.ResponseRecorder {
	a.handler = handler
	return kittest.WithCookies(a, "/", cookies)
}

// FuzzTypedCookie reads any text as values of several types.
func FuzzTypedCookie(f *testing.F) {
	for _, seed := range append(hostileTexts, "5", "-5", "+5", "05", "true", "TRUE", "1.5", "0x1p-2", "Inf", "NaN", "(1+2i)", `{"Name":"x","N":1}`, `{"Name":1}`, `["a"]`, "2026-01-02T03:04:05Z", `"2026-01-02T03:04:05Z"`) {
		f.Add(seed)
	}
	a := newCaller(memstore.New())
	f.Fuzz(func(t *testing.T, text string) {
		typedCookie[string](t, a, text)
		typedCookie[bool](t, a, text)
		typedCookie[int8](t, a, text)
		typedCookie[uint64](t, a, text)
		typedCookie[float32](t, a, text)
		typedCookie[complex64](t, a, text)
		typedCookie[kittest.Item](t, a, text)
		typedCookie[[]string](t, a, text)
		typedCookie[map[string]any](t, a, text)
		typedCookie[time.Time](t, a, text)
		typedCookie[kittest.Level](t, a, text)
	})
}

var storedSeeds = []struct{ name, text string }{
	{"v", `"tea"`},
	{"v", `7`},
	{"v", `{"broken`},
	{"v", `["json",{"Name":"tea","N":1}]`},
	{"v", `["json",[{"Name":1}]]`},
	{"v", `["json",{"Name":"tea","N":"x"}]`},
	{"v", `["gob","AA=="]`},
	{"v", `["json64","e30="]`},
	{"v", `["time","2026-01-02T03:04:05Z"]`},
	{"v", `["nil"]`},
	{"_flash", `["gob","AA=="]`},
	{"_flash", `7`},
	{"_key:7", `1`},
	{`_key:["`, `1`},
	{"_kit:sign_in", `["json",{"at":"x"}]`},
	{"_kit:sign_in", `["json",{"at":"2026-01-02T03:04:05Z","remembered":true,"line":"x"}]`},
	{"_kit:flash:0::1.2.a", `["json",{"level":"info","text":"x"}]`},
	{"_kit:flash:1:v:1", `["json",{"Name":"x"}]`},
	{"_kit:", ""},
	{"", ""},
}

// FuzzStoredValue puts a name and a text that no version of the middleware has written
// into a stored session: it panics nothing, what is no value of a type is not there,
// and the session's other values stand.
func FuzzStoredValue(f *testing.F) {
	for _, seed := range storedSeeds {
		f.Add(seed.name, seed.text)
	}
	asString, asItem, asAny := sessionkit.NewKey[string]("v"), sessionkit.NewKey[kittest.Item]("v"), sessionkit.NewKey[any]("v")
	typed := sessionkit.NewFlash[kittest.Item]("v")
	kept := memstore.New()
	a := newCaller(kept)
	f.Fuzz(func(t *testing.T, key, text string) {
		now := time.Now()
		values := map[string]string{key: text}
		if key != "count" {
			values["count"] = `7`
		}
		server, _ := kitstore.Of(kept)
		secret, _, _, err := server.Create(t.Context(), store.Record{User: "42", Created: now, Seen: now, Expires: now.Add(time.Hour), Values: values}, signin.Attempt{Began: now})
		if err != nil {
			require.ErrorIs(t, err, store.ErrTooLarge)
			return
		}
		defer func() { _, _ = kept.RevokeAll(t.Context(), "42") }()
		cookie := kittest.SessionCookie + "=" + secret
		for _, view := range []bool{false, true} {
			w := a.call(cookie, func(c *gin.Context) {
				alloctest.Check(t, 16*len(text), func() {
					if view {
						sessions.Default(c).Get("v")
					}
					if v, ok := asString.Get(c); !ok {
						assert.Empty(t, v)
					}
					if v, ok := asItem.Get(c); !ok {
						assert.Zero(t, v)
					}
					if v, ok := asAny.Get(c); !ok {
						assert.Nil(t, v)
					}
				})
				n, ok := kittest.Count.Get(c)
				if key != "count" && key != `_key:"count"` {
					assert.True(t, ok && n == 7, "the others stand")
				}
				sessionkit.Current(c)
				if view {
					sessionkit.Flashes(c)
					typed.Take(c)
					kittest.Count.Set(c, 7)
				}
			})
			assert.Equal(t, http.StatusOK, w.Code)
		}
	})
}

// single is a store of gin-contrib that has one session, with one value.
type single struct{ ledger string }

func (s *single) New(_ *http.Request, name string) (*gsessions.Session, error) {
	session := gsessions.NewSession(s, name)
	session.ID = "1"
	session.Values["_kit:session"], session.Values["count"] = s.ledger, 7
	return session, nil
}

func (s *single) Get(r *http.Request, name string) (*gsessions.Session, error) { return s.New(r, name) }

func (s *single) Save(_ *http.Request, _ http.ResponseWriter, session *gsessions.Session) error {
	s.ledger, _ = session.Values["_kit:session"].(string)
	return nil
}

func (s *single) Options(sessions.Options) {}

func ledgerSeeds() []string {
	now := time.Now()
	whole, _ := json.Marshal(map[string]any{"id": "x", "user": "42", "created": now, "seen": now, "expires": now.Add(time.Hour), "own": map[string]string{"_kit:sign_in": `["json",{}]`}})
	return []string{
		string(whole), "", "{", "{}", "null", "[]", `{"id":"x"}`, `{"id":7}`, `{"user":"42"}`, `{"id":"x","user":"42","expires":"2999-01-01T00:00:00Z"}`, `{"id":"x","expires":"x"}`,
		`{"id":"x","user":"42","expires":"2999-01-01T00:00:00Z","own":{"count":"8","a":null}}`, `{"id":"x","own":[]}`, `{"id":"x","user":"42","expires":"2999-01-01T00:00:00Z","own":7}`, `{"ID":"x","USER":"43"}`,
	}
}

// FuzzLedger puts any text where the middleware keeps a session's record on stores of
// others: a user is signed in only by a record that reads as one.
func FuzzLedger(f *testing.F) {
	for _, seed := range ledgerSeeds() {
		f.Add(seed)
	}
	s := &single{}
	a := newCaller(s)
	f.Fuzz(func(t *testing.T, text string) {
		var want struct {
			ID      string    `json:"id"`
			User    string    `json:"user"`
			Created time.Time `json:"created"`
			Seen    time.Time `json:"seen"`
			Expires time.Time `json:"expires"`
			Own     map[string]string
		}
		valid := json.Unmarshal([]byte(text), &want) == nil
		s.ledger = text
		a.call(kittest.SessionCookie+"=x", func(c *gin.Context) {
			var user string
			alloctest.Check(t, len(text), func() { user, _ = sessionkit.User(c) })
			if user != "" {
				assert.True(t, valid && want.ID != "" && want.User == user && time.Now().Before(want.Expires), "%s", text)
			}
			if !valid {
				n, ok := kittest.Count.Get(c)
				assert.True(t, ok && n == 7, "a session of gin-contrib's own begins here")
			}
			kittest.Count.Set(c, 8)
			sessionkit.Renew(c)
		})
	})
}

func TestFuzzSeeds(t *testing.T) {
	for name, n := range map[string]int{
		"sealed": len(sealedSeeds("x")), "header": len(headerSeeds()), "hostile": len(hostileTexts), "request": len(requestSeeds()), "cookie": len(kittest.CookieTexts),
		"stored": len(storedSeeds), "ledger": len(ledgerSeeds()), "next": len(kittest.NextURLs), "redirect": len(kittest.OpenRedirects),
	} {
		assert.Positive(t, n, name)
	}
}

// TestFuzzCorpora finds every fuzz target of the module: each has a corpus beside it.
func TestFuzzCorpora(t *testing.T) {
	var targets []string
	err := filepath.WalkDir("../../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		tree, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, declaration := range tree.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Fuzz") {
				targets = append(targets, filepath.Join(filepath.Dir(path), "testdata", "fuzz", f.Name.Name))
			}
		}
		return nil
	})
	require.NoError(t, err)
	for _, corpus := range targets {
		files, err := os.ReadDir(corpus)
		require.NoError(t, err)
		assert.NotEmpty(t, files, corpus)
	}
	assert.GreaterOrEqual(t, len(targets), 15)
}

// FuzzNextURL checks that a browser that follows what NextURL returns stays on
// the site, and that a header that carries it is one line.
func FuzzNextURL(f *testing.F) {
	for _, test := range kittest.NextURLs {
		f.Add(test.Next)
	}
	r := gin.New()
	r.GET("/", func(c *gin.Context) { c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/fallback")) })
	base, _ := url.Parse("https://example.com/login")
	f.Fuzz(func(t *testing.T, next string) {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://example.com/?next="+url.QueryEscape(next), nil))
		location := w.Header().Get("Location")
		u, err := base.Parse(location)
		require.NoError(t, err)
		assert.Equal(t, "https", u.Scheme)
		assert.Equal(t, "example.com", u.Host)
		require.NotEmpty(t, location)
		assert.Equal(t, byte('/'), location[0])
		if len(location) > 1 {
			assert.NotContains(t, `/\`, location[1:2])
		}
		assert.NotContains(t, location, "\r")
		assert.NotContains(t, location, "\n")
		assert.False(t, kittest.LeavesSite(location), "%q", location)
	})
}
