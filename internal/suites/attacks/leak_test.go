package attacks_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/gin-contrib/sessions"
	ginmemstore "github.com/gin-contrib/sessions/memstore"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// assertHides checks that a text shows no secret in any usual spelling.
func assertHides(t *testing.T, text string, secrets []string, what string) {
	t.Helper()
	for _, secret := range secrets {
		for _, spelling := range []string{
			secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), strings.Trim(fmt.Sprintf("%d", []byte(secret)), "[]"),
			base64.StdEncoding.EncodeToString([]byte(secret)),
		} {
			if strings.Contains(text, spelling) {
				assert.Fail(t, "a secret is shown", "%s: %.300s", what, text)
			}
		}
	}
}

// printed returns all that fmt, encoding/json and slog make of a value.
func printed(v any) map[string]string {
	texts := make(map[string]string)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		texts[verb] = fmt.Sprintf(verb, v)
	}
	j, _ := json.Marshal(v) // what does not encode shows nothing
	texts["JSON"] = string(j)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
	texts["slog"] = log.String()
	return texts
}

// exportedTypes returns the names of the types that a package exports.
func exportedTypes(t *testing.T, dir string) (names []string) {
	t.Helper()
	packages, err := parser.ParseDir(token.NewFileSet(), dir, func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, 0) //nolint:staticcheck // one package without build tags
	require.NoError(t, err)
	for _, p := range packages {
		for _, file := range p.Files {
			for _, declaration := range file.Decls {
				general, ok := declaration.(*ast.GenDecl)
				if !ok || general.Tok != token.TYPE {
					continue
				}
				for _, spec := range general.Specs {
					if spec := spec.(*ast.TypeSpec); spec.Name.IsExported() && !spec.Assign.IsValid() {
						names = append(names, p.Name+"."+spec.Name.Name)
					}
				}
			}
		}
	}
	return names
}

// TestAttackSecretsInPrintedValues prints a value of every exported type, and
// what a handler gets hold of besides, in every way that a program may.
func TestAttackSecretsInPrintedValues(t *testing.T) {
	key := "AAAA-a-secret-of-32-bytes-or-more-BBBB"
	config := sessionkit.Config{Secrets: [][]byte{[]byte(key)}, TokenHeader: "X-Session-Token", Name: "sid"}
	s := memstore.New()
	a := kittest.NewSite(s, config)
	shown := make(map[string][]map[string]string)
	show := func(values ...any) {
		for _, v := range values {
			shown[typeName(v)] = append(shown[typeName(v)], printed(v)) // now: what is in a request's hands changes
		}
	}
	show(config, &config, sessionkit.GuardConfig{}, sessionkit.CookieOptions{}, sessionkit.Signed, sessionkit.Info, sessionkit.Stale,
		sessionkit.EventCreated, sessionkit.FlashMessage{}, kittest.Count, sessionkit.NewFlash[kittest.Item]("x"), sessionkit.Remember(),
		sessionkit.NewCookie[string]("x", sessionkit.CookieOptions{Protection: sessionkit.Encrypted}), &sessionkit.ConfigError{}, sessionkit.Problem{},
		s, store.Config{}, store.Change{}, memstore.NewBackend(), store.WatchingBackend(nil))
	a.POST("/login", kittest.SignIn("42"))
	a.On("/", func(c *gin.Context) {
		kittest.Count.Set(c, 1)
		list, err := sessionkit.Devices(c)
		assert.NoError(t, err)
		show(sessions.Default(c), c.Writer, c.Keys, sessionkit.Current(c), list, c.Request.Context())
		for k, v := range c.Keys {
			show(k, v)
		}
		show(struct{ Session sessions.Session }{sessions.Default(c)})
	})
	b := kittest.NewBrowser(t, a)
	const cookie = "__Host-Http-sid"
	b.Post("/login", nil)
	b.Get("/")
	_, sent := kittest.Call(t, a, http.MethodPost, "/login", "X-Session-Token", "")
	kittest.Call(t, a, http.MethodGet, "/", "X-Session-Token", sent)
	for _, e := range a.Heard() {
		show(e)
	}
	show(kittest.UserSessions(t, s, "42"), store.Record{}, store.Move{}, store.Peek{}, store.Condition{}, store.Outcome{}, store.Counts{}, store.Renewed, store.Session{}, sessionkit.EndUnbound)

	// A store without the middleware holds the secret from its load to its save.
	r := httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
	session, err := s.New(r, "plain")
	require.NoError(t, err)
	w := httptest.NewRecorder()
	require.NoError(t, session.Save(r, w))
	plain := kittest.SetCookies(w)[0]
	r = httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
	r.AddCookie(plain)
	session, err = s.New(r, "plain")
	require.NoError(t, err)
	require.False(t, session.IsNew)
	show(session, r.Context())

	// One that is on its way from another store holds two.
	from := ginmemstore.NewStore(kittest.TestSecret)
	r = httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
	session, err = from.New(r, "old")
	require.NoError(t, err)
	w = httptest.NewRecorder()
	require.NoError(t, session.Save(r, w))
	old := kittest.SetCookies(w)[0]
	migrating := store.Migrate(from, s, "old")
	server, _ := kitstore.Of(migrating)
	moving := server.(kitstore.Successor)
	r = httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
	r.AddCookie(old)
	_, _, _, adopted, err := moving.Adopt(r, "session", nil)
	require.NoError(t, err)
	secret, _, _, err := adopted.(kitstore.Mover).Update(t.Context(), r, "sid", store.Change{})
	require.NoError(t, err)
	show(adopted)
	_, token, _, adopted, err := moving.Adopt(r, "session", nil)
	require.NoError(t, err)
	require.Equal(t, secret, token)
	show(adopted, moving, migrating)

	secrets := []string{key, b.Cookies[cookie], sent, plain.Value, old.Value, secret}
	for _, secret := range secrets {
		require.Greater(t, len(secret), 30)
	}
	for name, values := range shown {
		for _, texts := range values {
			for how, text := range texts {
				assertHides(t, text, secrets, name+" as "+how)
			}
		}
	}
	for _, dir := range []string{"../../..", "../../../store"} {
		types := exportedTypes(t, dir)
		assert.NotEmpty(t, types)
		for _, name := range types {
			if !strings.HasSuffix(name, "Backend") { // interfaces, that backends of others implement
				assert.NotEmpty(t, shown[name], "a new type %s: show a value of it here", name)
			}
		}
	}
}

// typeName names the type of a value without what it was made for.
func typeName(v any) string {
	if v == nil {
		return "nil"
	}
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name, _, _ := strings.Cut(t.String(), "[")
	return name
}

// TestAttackSecretsInErrorsAndLogs has everything fail, over and over, with the
// default OnError, and reads the log.
func TestAttackSecretsInErrorsAndLogs(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer slog.SetDefault(before)

	s := kittest.NewBackend()
	const hidden = "the-plaintext-of-a-value"
	key := "AAAA-a-secret-of-32-bytes-or-more-BBBB"
	sealed := sessionkit.NewCookie[string]("sealed", sessionkit.CookieOptions{Protection: sessionkit.Encrypted})
	r := gin.New()
	var events []sessionkit.Event
	r.Use(gin.CustomRecoveryWithWriter(&log, func(c *gin.Context, v any) {
		slog.Error("panic", "value", v)
		c.AbortWithStatus(http.StatusInternalServerError)
	}))
	r.Use(sessionkit.Sessions(kittest.StoreOver(s), sessionkit.Config{
		Secrets: [][]byte{[]byte(key)}, OnEvent: func(_ *gin.Context, e sessionkit.Event) { events = append(events, e) },
	}))
	for path, handler := range map[string]gin.HandlerFunc{
		"/login": kittest.SignIn("42"), "/logout": sessionkit.Logout, "/renew": sessionkit.Renew,
		"/set": func(c *gin.Context) { kittest.Name.Set(c, hidden) },
		"/bad": func(c *gin.Context) {
			sessionkit.NewKey[map[string]any]("bad").Set(c, map[string]any{hidden: func() {}})
			slog.Error("err", "err", sessionkit.Err(c))
		},
		"/cookie": func(c *gin.Context) {
			_, err := sealed.Get(c)
			slog.Error("err", "get", err, "set", sealed.Set(c, hidden+strings.Repeat("x", 5000)))
		},
		"/devices": func(c *gin.Context) {
			list, err := sessionkit.Devices(c)
			slog.Error("err", "list", list, "err", err, "others", sessionkit.LogoutOthers(c))
		},
		"/panic": func(c *gin.Context) { panic(sessions.Default(c)) },
		"/late":  func(c *gin.Context) { c.Writer.WriteHeaderNow(); kittest.Name.Set(c, hidden); sessionkit.Renew(c) },
	} {
		r.GET(path, handler)
	}
	b := kittest.NewBrowser(t, r)
	b.Get("/login")
	secret := b.Session()
	require.Len(t, secret, 43)
	b.Cookies["sealed"] = strings.Repeat("A", 60)
	var bodies strings.Builder
	for _, failing := range []string{"load", "load fresh", "create", "update", "rotate", "end", "delete", "list", "none"} {
		s.Failing(errors.New("down"), failing)
		for _, path := range []string{"/set", "/bad", "/cookie", "/devices", "/panic", "/late", "/renew", "/login", "/logout"} {
			visitor := b.Fork()
			visitor.Cookies[kittest.SessionCookie] = secret
			w := visitor.Get(path)
			bodies.WriteString(w.Body.String())
			if next := visitor.Session(); next != "" {
				secret = next
			}
			text := log.String() + fmt.Sprintf("%+v", events) + bodies.String()
			assertHides(t, text, []string{secret, key, hidden}, failing+path)
		}
		s.Failing(nil)
		b.Get("/login")
		secret = b.Session()
	}
	for _, said := range []string{"down", "not sealed by this site", "panic"} {
		assert.Contains(t, log.String(), said, "the flows were run")
	}
}

// TestAttackSecretsInTheLogOfARecovery: Gin's own logs the header of a request whose client is gone,
// in release mode as well. One that is given no log, as in docs/security.md, does not.
func TestAttackSecretsInTheLogOfARecovery(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	defer gin.SetMode(gin.TestMode)
	var log bytes.Buffer
	for name, test := range map[string]struct {
		recovery gin.HandlerFunc
		logs     bool
	}{
		"Gin's own": {gin.RecoveryWithWriter(&log), true},
		"that of docs/security.md": {gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, panicked any) {
			fmt.Fprintln(&log, panicked)
			c.AbortWithStatus(http.StatusInternalServerError)
		}), false},
	} {
		t.Run(name, func(t *testing.T) {
			a := kittest.NewSite(memstore.New(), sessionkit.Config{}, test.recovery)
			a.On("/login", kittest.SignIn("42"))
			a.On("/download", func(*gin.Context) { panic(http.ErrAbortHandler) })
			a.On("/panic", func(*gin.Context) { panic("the template is broken") })
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			require.NotEmpty(t, b.Session())

			log.Reset()
			b.Get("/download")
			assert.Equal(t, test.logs, strings.Contains(log.String(), b.Session()))
			log.Reset()
			assert.Equal(t, http.StatusInternalServerError, b.Get("/panic").Code)
			assert.Contains(t, log.String(), "the template is broken")
			assertHides(t, log.String(), []string{b.Session()}, name)
		})
	}
}
