package hostile_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/suites/teststores"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// calls are all exported functions and methods that take a request, each with
// arguments that the request chose.
var calls = func() map[string]func(c *gin.Context, text string) {
	key, flash := sessionkit.NewKey[string]("key"), sessionkit.NewFlash[kittest.Item]("flash")
	plain := sessionkit.NewCookie[map[string]int]("plain")
	signed := sessionkit.NewCookie[kittest.Item]("signed", sessionkit.CookieOptions{Protection: sessionkit.Signed})
	encrypted := sessionkit.NewCookie[string]("encrypted", sessionkit.CookieOptions{Protection: sessionkit.Encrypted})
	guards := []gin.HandlerFunc{
		sessionkit.RequireSession(), sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/in?a=b", FreshWithin: time.Second, Passive: true}),
	}
	return map[string]func(c *gin.Context, text string){
		"Current": func(c *gin.Context, _ string) { sessionkit.Current(c) },
		"User":    func(c *gin.Context, _ string) { sessionkit.User(c) },
		"Err":     func(c *gin.Context, _ string) { _ = sessionkit.Err(c) },
		"Done":    func(c *gin.Context, _ string) { sessionkit.Done(c) },
		"Confirm": func(c *gin.Context, _ string) { sessionkit.Confirm(c) },
		"Attempt": func(c *gin.Context, text string) { sessionkit.Attempt(c, text) },
		"Devices": func(c *gin.Context, _ string) { _, _ = sessionkit.Devices(c) },
		"Revoke":  func(c *gin.Context, text string) { _ = sessionkit.Revoke(c, text) },
		"LogoutOthers": func(c *gin.Context, _ string) {
			_ = sessionkit.LogoutOthers(c)
		},
		"LogoutEverywhere": func(c *gin.Context, _ string) { _ = sessionkit.LogoutEverywhere(c) },
		"Login":            func(c *gin.Context, text string) { sessionkit.Login(c, text, sessionkit.Remember()) },
		"Logout":           func(c *gin.Context, _ string) { sessionkit.Logout(c) },
		"Renew":            func(c *gin.Context, _ string) { sessionkit.Renew(c) },
		"Flash":            func(c *gin.Context, text string) { sessionkit.Flash(c, sessionkit.Level(text), text) },
		"FlashNow":         func(c *gin.Context, text string) { sessionkit.FlashNow(c, sessionkit.Level(text), text) },
		"Flashes":          func(c *gin.Context, _ string) { sessionkit.Flashes(c) },
		"KeepFlashes":      func(c *gin.Context, _ string) { sessionkit.KeepFlashes(c) },
		"NextURL":          func(c *gin.Context, text string) { c.Header("X-Next", fmt.Sprintf("%q", sessionkit.NextURL(c, text))) },
		"SetCookie": func(c *gin.Context, text string) {
			_ = sessionkit.SetCookie(c, text, text, sessionkit.CookieOptions{Domain: text, Path: text})
			_ = sessionkit.SetCookie(c, "x", text)
		},
		"GetCookie":    func(c *gin.Context, text string) { _, _ = sessionkit.GetCookie(c, text) },
		"DeleteCookie": func(c *gin.Context, text string) { sessionkit.DeleteCookie(c, text) },
		"Key.Get":      func(c *gin.Context, _ string) { key.Get(c) },
		"Key.Set":      func(c *gin.Context, text string) { key.Set(c, text) },
		"Key.Delete":   func(c *gin.Context, _ string) { key.Delete(c) },
		"Key.Update": func(c *gin.Context, text string) {
			_, _ = key.Update(c, func(string) string { return text })
		},
		"Key.Take":      func(c *gin.Context, _ string) { key.Take(c) },
		"FlashKey.Add":  func(c *gin.Context, text string) { flash.Add(c, kittest.Item{Name: text}) },
		"FlashKey.Take": func(c *gin.Context, _ string) { flash.Take(c) },
		"Cookie.Get":    func(c *gin.Context, _ string) { _, _ = plain.Get(c); _, _ = signed.Get(c); _, _ = encrypted.Get(c) },
		"Cookie.Set": func(c *gin.Context, text string) {
			_ = errors.Join(plain.Set(c, map[string]int{text: 1}), signed.Set(c, kittest.Item{Name: text}), encrypted.Set(c, text))
		},
		"Cookie.Delete":  func(c *gin.Context, _ string) { plain.Delete(c) },
		"RequireSession": func(c *gin.Context, _ string) { guards[0](c); guards[1](c) },
		"Sessions": func(c *gin.Context, text string) { // what it puts in the place of gin-contrib's own
			s := sessions.Default(c)
			s.Get(text)
			s.Set(text, text)
			s.AddFlash(text, text)
			s.Flashes()
			s.Delete(text)
			s.Options(sessions.Options{Path: text, Domain: text})
			_, _ = s.ID(), s.Save()
		},
	}
}()

// root is the folder of the package.
const root = "../../.."

// TestEveryCallIsHostile finds the functions that take a request in the source.
func TestEveryCallIsHostile(t *testing.T) {
	files, err := os.ReadDir(root)
	require.NoError(t, err)
	found := 0
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file.Name()), nil, 0)
		require.NoError(t, err)
		for _, declaration := range tree.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || !takesContext(f.Type) {
				continue
			}
			name := f.Name.Name
			if f.Recv != nil {
				receiver, ok := f.Recv.List[0].Type.(*ast.IndexExpr)
				if !ok {
					continue // of a type of the package's own
				}
				name = receiver.X.(*ast.Ident).Name + "." + name
			}
			found++
			assert.Contains(t, calls, name, "a new function that takes a request: call it here")
		}
	}
	assert.Equal(t, len(calls)-2, found, "RequireSession and Sessions return functions that do")
}

func takesContext(f *ast.FuncType) bool {
	for _, p := range f.Params.List {
		if star, ok := p.Type.(*ast.StarExpr); ok {
			if selector, ok := star.X.(*ast.SelectorExpr); ok && selector.Sel.Name == "Context" {
				return true
			}
		}
	}
	return false
}

// newHostileSite returns an application that does whatever is asked of it. Nothing
// in it recovers from a panic.
func newHostileSite(s sessions.Store) http.Handler {
	a := gin.New()
	a.Use(sessionkit.Sessions(s, sessionkit.Config{
		Secrets: [][]byte{kittest.SecretA}, TokenHeader: "X-Session-Token", ClearSiteData: []string{"*"}, TrustedOrigins: []string{"https://app.example.org"},
		OnError: func(*gin.Context, error) {},
	}))
	a.GET("/start", kittest.SignIn("42"))
	a.NoRoute(func(c *gin.Context) {
		text := c.Query("text") + c.PostForm("text")
		if only, ok := c.GetQuery("call"); ok {
			if call := calls[only]; call != nil {
				call(c, text)
			}
			return
		}
		for range 2 { // the second time after whatever the first one did
			for _, call := range calls {
				call(c, text)
			}
		}
	})
	return a
}

// hostileTexts are what an attacker puts wherever a request has room.
var hostileTexts = []string{
	"", "\x00", "\xff\xfe", "\r\n", "a\r\nSet-Cookie: x=y", "%", "%zz", "%00", "\"", "\"\"", "=", ";", ",", " ", "\t", "null", "{}", "[]", `{"a":`, strings.Repeat("[", 20_000), strings.Repeat("%41", 5_000),
	strings.Repeat("A", 43), strings.Repeat("A", 44), strings.Repeat("A", 5_000), strings.Repeat("é", 300), "__Host-x", "_kit:session", `_key:["gob","AA=="]`, "//evil.example", "https://evil.example",
	"Bearer", "Bearer ", "bearer x", "Basic eDp5", "text/html;q=9e999,*/*;q=-1,;;;", "cross-site", "navigate", "http://[::1", "::", "[", "[::1]:x", "localhost", "127.0.0.1:99999", "-1", "99999999999999999999", "NaN", "1e999",
}

// TestHostileRequests throws hostile headers, cookies, queries and forms at every
// call, over every store.
func TestHostileRequests(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := newHostileSite(s)
		b := kittest.NewBrowser(t, a)
		b.Get("/start")
		good := kittest.SessionCookie + "=" + b.Session()
		headers := []string{
			"Cookie", "X-Session-Token", "Origin", "Referer", "User-Agent", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Accept", "Hx-Request", "Hx-Current-Url",
			"Forwarded", "X-Forwarded-Proto", "X-Forwarded-For", "X-Real-Ip", "Content-Type", "Content-Encoding", "Host",
		}
		served := 0
		serve := func(what string, r *http.Request) {
			t.Helper()
			defer func() {
				if v := recover(); v != nil {
					assert.Fail(t, "a request made a call panic", "%s: %v", what, v)
				}
			}()
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			assert.GreaterOrEqual(t, w.Code, 200, what)
			served++
		}
		request := func(method string) *http.Request {
			r := httptest.NewRequest(method, "https://example.com/x", nil)
			r.Header.Set("Cookie", good)
			return r
		}
		for _, text := range hostileTexts {
			for _, header := range headers {
				r := request(http.MethodGet)
				r.Header[header] = []string{text, text}
				if header == "Host" {
					r.Host = text
				}
				serve(fmt.Sprintf("header %s: %.50q", header, text), r)
			}
			for _, name := range []string{kittest.SessionCookie, "session", "plain", "signed", "encrypted", text} {
				r := request(http.MethodGet)
				r.Header["Cookie"] = []string{name + "=" + text + "; " + good, text, name + "=" + text}
				serve(fmt.Sprintf("cookie %.20q: %.50q", name, text), r)
			}
			r := request(http.MethodPost)
			r.URL.RawQuery = "text=" + text + "&next=" + text
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Body = io.NopCloser(strings.NewReader("text=" + text + "&next=" + text))
			serve(fmt.Sprintf("query and form: %.50q", text), r)
			r = request(http.MethodPost)
			r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
			r.Body = io.NopCloser(strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"next\"\r\n\r\n" + text + "\r\n--b"))
			serve(fmt.Sprintf("multipart form: %.50q", text), r)
			r = request(http.MethodGet)
			r.Method, r.URL.Path, r.RequestURI = text, "/"+text, text
			serve(fmt.Sprintf("method and path: %.50q", text), r)
		}
		for name := range calls {
			for _, text := range hostileTexts {
				r := request(http.MethodGet)
				r.URL.RawQuery = "call=" + name
				q := r.URL.Query()
				q.Set("text", text)
				r.URL.RawQuery = q.Encode()
				serve(fmt.Sprintf("%s with %.50q", name, text), r)
			}
		}
		assert.Greater(t, served, 2_000)
	})
}

func requestSeeds() (seeds []string) {
	for _, text := range hostileTexts {
		if len(text) > 100 {
			continue
		}
		seeds = append(seeds,
			"GET /x?text="+text+" HTTP/1.1\r\nHost: example.com\r\nCookie: "+kittest.SessionCookie+"=SECRET; plain="+text+"\r\nAccept: "+text+"\r\n\r\n",
			"POST /x HTTP/1.1\r\nHost: "+text+"\r\nX-Session-Token: SECRET\r\nOrigin: "+text+"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: "+fmt.Sprint(5+len(text))+"\r\n\r\nnext="+text)
	}
	return seeds
}

// FuzzRequest sends any bytes that net/http reads as a request to every call.
func FuzzRequest(f *testing.F) {
	for _, seed := range requestSeeds() {
		f.Add([]byte(seed))
	}
	a := newHostileSite(memstore.New())
	f.Fuzz(func(t *testing.T, raw []byte) {
		b := kittest.NewBrowser(t, a)
		b.Get("/start")
		raw = bytes.ReplaceAll(raw, []byte("SECRET"), []byte(b.Session()))
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return // the server answers such by itself
		}
		r.RemoteAddr = "192.0.2.1:1234"
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		for field, lines := range w.Header() {
			for _, line := range lines {
				require.NotContains(t, line, "\n", field)
				require.NotContains(t, line, "\r", field)
			}
		}
	})
}
