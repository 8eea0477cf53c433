package sessionkit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	ginsessions "github.com/gin-contrib/sessions"
	gincookie "github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

func TestConfigThatCannotWork(t *testing.T) {
	random := string(kittest.SecretA)
	for field, config := range map[string]sessionkit.Config{
		"Config.Name":                  {Name: "a b"},
		"Config.Name ":                 {Name: "__Host-session"},
		"Config.Name  ":                {Name: "__secure-session"},
		"Config.IdleTimeout":           {IdleTimeout: -1},
		"Config.IdleTimeout ":          {IdleTimeout: 3600}, // a forgotten time.Second
		"Config.Lifetime":              {Lifetime: -1},
		"Config.Lifetime ":             {Lifetime: 400 * 24 * 3600},
		"Config.RememberFor  ":         {RememberFor: 1},
		"Config.RememberFor":           {RememberFor: -1},
		"Config.RememberFor ":          {RememberFor: 401 * 24 * time.Hour},
		"Config.VisitorFor":            {VisitorFor: -1},
		"Config.VisitorFor ":           {VisitorFor: 30 * 24 * 3600},
		"Config.VisitorFor  ":          {VisitorFor: 401 * 24 * time.Hour},
		"Config.Domain":                {Domain: "localhost"},
		"Config.Domain ":               {Domain: "exa mple.com"},
		"Config.Domain  ":              {Domain: "-a.com"},
		"Config.Domain   ":             {Domain: "[::1]"},
		"Config.Domain    ":            {Domain: "1.2"},
		"Config.Domain  c":             {Domain: "co.uk"},
		"Config.Domain  h":             {Domain: "HerokuApp.com"},
		"Config.Path":                  {Path: "x"},
		"Config.Path ":                 {Path: "/\n"},
		"Config.Path  ":                {Path: "/my app"},
		"Config.Path   ":               {Path: "/app?x"},
		"Config.SameSite":              {SameSite: 7},
		"Config.SameSite ":             {SameSite: http.SameSiteNoneMode, InsecureHTTP: true},
		"Config.Partitioned":           {Partitioned: true, InsecureHTTP: true},
		"Config.Partitioned ":          {Partitioned: true},
		"Config.Partitioned  ":         {Partitioned: true, SameSite: http.SameSiteStrictMode},
		"Config.CookielessRoutes":      {CookielessRoutes: []string{"api"}},
		"Config.CookielessRoutes ":     {CookielessRoutes: []string{"/api/", "/api/"}},
		"Config.CookielessRoutes  ":    {CookielessRoutes: []string{"POST /hooks/:name"}},
		"Config.CookielessRoutes   ":   {CookielessRoutes: []string{"/files/*path"}},
		"Config.CookielessRoutes     ": {CookielessRoutes: []string{"Get\t/hooks/"}},
		"Config.CookielessRoutes    ":  {CookielessRoutes: []string{"post /hooks/"}},
		"Config.MaxSessions":           {MaxSessions: -1},
		"Config.ClearSiteData":         {ClearSiteData: []string{`"cache"`}},
		"Config.ClearSiteData ":        {ClearSiteData: []string{""}},
		"Config.Secrets[1]":            {Secrets: [][]byte{[]byte(random), []byte(random[1:])}},
		"Config.Secrets[0]":            {Secrets: [][]byte{make([]byte, 32)}},
		"Config.TrustedOrigins":        {TrustedOrigins: []string{"example.com"}},
		"Config.TrustedOrigins ":       {TrustedOrigins: []string{"https://example.com/"}},
		"Config.TrustedOrigins  ":      {TrustedOrigins: []string{"https://Example.com"}},
		"Config.TrustedOrigins   ":     {TrustedOrigins: []string{"https://example.com/x"}},
		"Config.TrustedOrigins  *":     {TrustedOrigins: []string{"https://*.example.com"}},
		"Config.TrustedOrigins  p":     {TrustedOrigins: []string{"https://example.com:443"}},
		"Config.TrustedOrigins  h":     {TrustedOrigins: []string{"http://example.com:80"}},
		"Config.TrustedOrigins  i":     {TrustedOrigins: []string{"https://bücher.example"}},
		"Config.TrustedOrigins  u":     {TrustedOrigins: []string{"https://user@example.com"}},
		"Config.TokenHeader":           {TokenHeader: "Cookie"},
		"Config.TokenHeader  r":        {TokenHeader: "x-real-ip"},
		"Config.TokenHeader  i":        {TokenHeader: "X-Request-ID"},
		"Config.TokenHeader ":          {TokenHeader: "accept"},
		"Config.TokenHeader  ":         {TokenHeader: "X-Forwarded-User"},
		"Config.TokenHeader   ":        {TokenHeader: "X-Session Token"},
	} {
		t.Run(field, func(t *testing.T) {
			err := config.Validate()
			var problem *sessionkit.ConfigError
			require.ErrorAs(t, err, &problem)
			name, _, _ := strings.Cut(field, " ")
			assert.Equal(t, name, problem.Field)
			assert.NotEmpty(t, problem.Reason)
			assert.Contains(t, err.Error(), problem.Field)
			defer func() {
				assert.Equal(t, fmt.Sprint(err), fmt.Sprint(recover()), "Sessions gives the same verdict")
			}()
			sessionkit.Sessions(memstore.New(), config)
		})
	}
}

func TestConfigErrorsAreJoined(t *testing.T) {
	err := sessionkit.Config{Name: " ", Path: "x", Secrets: [][]byte{[]byte("short secret")}}.Validate()
	for _, field := range []string{"Config.Name", "Config.Path", "Config.Secrets[0]"} {
		assert.ErrorContains(t, err, field)
	}
	assert.NotContains(t, err.Error(), "short secret")

	err = sessionkit.GuardConfig{LoginURL: "login", FreshWithin: 5}.Validate()
	for _, field := range []string{"GuardConfig.LoginURL", "GuardConfig.FreshWithin"} {
		assert.ErrorContains(t, err, field)
	}
	err = store.Config{MaxBytes: -1, Timeout: 1}.Validate()
	for _, field := range []string{"store: Config.MaxBytes", "store: Config.Timeout"} {
		assert.ErrorContains(t, err, field)
	}
}

// TestConfigBeyondTheStore: Sessions names all that the store cannot do, which Validate
// cannot know.
func TestConfigBeyondTheStore(t *testing.T) {
	config := sessionkit.Config{MaxSessions: 1, DeviceBound: true}
	require.NoError(t, config.Validate())
	defer func() {
		message := fmt.Sprint(recover())
		for _, field := range []string{"Config.DeviceBound", "Config.MaxSessions"} {
			assert.Contains(t, message, field)
		}
	}()
	sessionkit.Sessions(gincookie.NewStore(kittest.SecretA), config)
}

func TestConfigThatWorks(t *testing.T) {
	for _, config := range []sessionkit.Config{
		{},
		{Domain: "example.com", Path: "/app", SameSite: http.SameSiteNoneMode, Partitioned: true},
		{Path: "/my%20app/~a+b/[1]"},
		{Domain: "app.herokuapp.com"},
		{Domain: "shop.internal"},
		{InsecureHTTP: true, SameSite: http.SameSiteStrictMode, RememberFor: 400 * 24 * time.Hour},
		{
			Name: "sid", IdleTimeout: time.Second, Lifetime: time.Hour, MaxSessions: 1, ClearSiteData: []string{"cache", "*"},
			Secrets: [][]byte{kittest.SecretA, kittest.SecretB}, TrustedOrigins: []string{"https://app.example.com:8443"},
		},
	} {
		require.NoError(t, config.Validate())
		assert.NotPanics(t, func() { sessionkit.Sessions(memstore.New(), config) })
	}
}

func TestSessionsThatCannotWork(t *testing.T) {
	var nothing *store.Store
	for want, call := range map[string]func(){
		"takes one Config":              func() { sessionkit.Sessions(memstore.New(), sessionkit.Config{}, sessionkit.Config{}) },
		"needs a store":                 func() { sessionkit.Sessions(nil) },
		"needs a store; memstore.New()": func() { sessionkit.Sessions(nothing) },
		"Config.UserOf": func() {
			sessionkit.Sessions(store.Migrate(memstore.New(), memstore.New(), "old", kittest.UserOf), sessionkit.Config{UserOf: kittest.UserOf})
		},
		"Migrate takes one function":                                                 func() { store.Migrate(memstore.New(), memstore.New(), "old", kittest.UserOf, kittest.UserOf) },
		"the store that the sessions move from":                                      func() { store.Migrate(nil, memstore.New(), "old") },
		"memstore: New takes one Config":                                             func() { memstore.New(memstore.Config{}, memstore.Config{}) },
		"redisstore: New takes one Config":                                           func() { redisstore.New(nil, redisstore.Config{}, redisstore.Config{}) },
		"redisstore: Config.Replicas is -1: must not be negative":                    func() { redisstore.New(nil, redisstore.Config{Replicas: -1, Store: store.Config{MaxBytes: -1}}) },
		"store: New takes one Config":                                                func() { store.New(memstore.NewBackend(), store.Config{}, store.Config{}) },
		"store: New needs a Backend":                                                 func() { store.New(nil) },
		"store: Config.MaxBytes is -1: must be positive; 0 means the default, 1 MiB": func() { memstore.New(memstore.Config{Store: store.Config{MaxBytes: -1}}) },
		"memstore: Config.MaxSessions is -1: must not be negative":                   func() { memstore.New(memstore.Config{MaxSessions: -1, Store: store.Config{MaxBytes: -1}}) },
		"store: Config.Timeout is 1ns: no server answers so soon":                    func() { store.New(memstore.NewBackend(), store.Config{MaxBytes: -1, Timeout: 1}) },
		"RequireSession takes one GuardConfig":                                       func() { sessionkit.RequireSession(sessionkit.GuardConfig{}, sessionkit.GuardConfig{}) },
		`NewCookie("x") takes one CookieOptions`:                                     func() { sessionkit.NewCookie[int]("x", sessionkit.CookieOptions{}, sessionkit.CookieOptions{}) },
		"Config.MaxSessions":                                                         func() { sessionkit.Sessions(gincookie.NewStore(kittest.TestSecret), sessionkit.Config{MaxSessions: 1}) },
	} {
		t.Run(want, func(t *testing.T) {
			defer func() { assert.Contains(t, fmt.Sprint(recover()), want) }()
			call()
		})
	}
}

func TestConfigShowsNoSecret(t *testing.T) {
	config := sessionkit.Config{Secrets: [][]byte{[]byte("AAAA-this-is-the-secret-of-32-bytes-BBBB")}}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "config", config, "pointer", &config)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", config)
	for _, text := range []string{
		fmt.Sprintf("%v %+v %#v %s %q %x %d", config, config, config, config, config, config, config),
		fmt.Sprintf("%v %+v %#v", &config, []sessionkit.Config{config}, struct{ C sessionkit.Config }{config}),
		log.String(),
	} {
		assert.NotContains(t, text, "this-is-the-secret")
		assert.NotContains(t, text, fmt.Sprintf("%x", "this-is"))
		assert.NotContains(t, text, "65 65 65 65")
		assert.Contains(t, text, "not shown")
	}
}

func TestWarnsOfACookieThatDoesNotArrive(t *testing.T) {
	logged := ""
	warnings := func(config sessionkit.Config, requests ...*http.Request) int {
		var log bytes.Buffer
		before := slog.Default()
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
		defer slog.SetDefault(before)
		a := kittest.NewSite(memstore.New(), config)
		a.On("/", kittest.Increment)
		for _, r := range requests {
			a.ServeHTTP(httptest.NewRecorder(), r)
		}
		logged = log.String()
		return strings.Count(logged, "WARN")
	}
	request := func(url string, headers ...string) *http.Request {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		return r
	}
	secure, insecure := sessionkit.Config{}, sessionkit.Config{InsecureHTTP: true}
	assert.Equal(t, 1, warnings(secure, request("http://example.com/"), request("http://example.com/")), "once")
	assert.Contains(t, logged, "InsecureHTTP", "it names the remedy")
	for _, proxy := range [][]string{
		{"X-Forwarded-Proto", "http"}, {"X-Forwarded-Proto", "HTTP, https"}, {"Forwarded", `for=1.2.3.4;proto="http"`},
	} {
		assert.Equal(t, 1, warnings(secure, request("http://example.com/", proxy...)), "%q says that the browser uses plain HTTP", proxy)
		assert.Contains(t, logged, "serve HTTPS, or set Config.InsecureHTTP")
		assert.Equal(t, 1, warnings(secure, request("http://localhost/", proxy...)))
		assert.Zero(t, warnings(insecure, request("http://example.com/", proxy...)))
	}
	for _, proxy := range [][]string{
		{"X-Forwarded-Proto", "https"},
		{"X-Forwarded-Proto", "https, http"},
		{"Forwarded", `for=1.2.3.4;proto="https"`},
		{"X-Forwarded-For", "1.2.3.4"}, // nothing is known
	} {
		assert.Zero(t, warnings(secure, request("http://example.com/", proxy...)), "%q", proxy)
		assert.Zero(t, warnings(insecure, request("http://example.com/", proxy...)), "%q", proxy)
	}
	assert.Zero(t, warnings(secure, request("https://example.com/"), request("http://localhost/"), request("http://localhost/", "Origin", "http://localhost:5173")))

	for _, header := range [][]string{{"Origin", "https://shop.example.com"}, {"Referer", "https://shop.example.com/cart"}} {
		assert.Equal(t, 1, warnings(secure, request("http://localhost/", header...)), "a developer's machine under a public name")
		assert.Contains(t, logged, "ReleaseMode")
		assert.Zero(t, warnings(secure, request("https://localhost/", header...)))
		assert.Zero(t, warnings(insecure, request("http://192.168.1.5/", header...), request("http://localhost/", header...)))
	}
	gin.SetMode(gin.ReleaseMode)
	defer gin.SetMode(gin.TestMode)
	assert.Equal(t, 1, warnings(secure, request("http://localhost/")), "Safari")
	assert.Contains(t, logged, "debug mode")
	assert.Zero(t, warnings(secure, request("https://localhost/"), request("http://localhost/", "X-Forwarded-Proto", "https")))
}

// TestDefaultLog: the log says in which request an error came up, by its route: the address may
// hold secrets.
func TestDefaultLog(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.POST("/reset/:token", func(c *gin.Context) { ginsessions.Default(c).Set("f", func() {}) })
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/reset/secret?a=secret", nil))
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Contains(t, log.String(), "method=POST route=/reset/:token\n")
	assert.NotContains(t, log.String(), "secret")
}

// TestCookieThatWouldNotComeBack: outside its path or domain a session's cookie
// would be lost, or take the place of one that is not.
func TestCookieThatWouldNotComeBack(t *testing.T) {
	for _, test := range []struct {
		name, url string
		config    sessionkit.Config
		headers   []string
		remedy    string // "": it will come back
	}{
		{"path", "https://example.com/news", sessionkit.Config{Path: "/app"}, nil, "Config.Path"},
		{"path that begins alike", "https://example.com/apple", sessionkit.Config{Path: "/app"}, nil, "Config.Path"},
		{"the path itself", "https://example.com/app", sessionkit.Config{Path: "/app"}, nil, ""},
		{"below the path", "https://example.com/app/x", sessionkit.Config{Path: "/app"}, nil, ""},
		{"below a path with a slash", "https://example.com/app/x", sessionkit.Config{Path: "/app/"}, nil, ""},
		{"an escaped path", "https://example.com/my%20app/x", sessionkit.Config{Path: "/my%20app"}, nil, ""},
		{"the path without its slash", "https://example.com/app", sessionkit.Config{Path: "/app/"}, nil, "Config.Path"},
		{"a prefix that a proxy took away", "https://example.com/x", sessionkit.Config{Path: "/app"}, []string{"X-Forwarded-Prefix", "/app"}, ""},
		{"another prefix", "https://example.com/x", sessionkit.Config{Path: "/app"}, []string{"X-Forwarded-Prefix", "/shop"}, "X-Forwarded-Prefix"},
		{"a cookie has come back before", "https://example.com/x", sessionkit.Config{Path: "/app"}, []string{"Cookie", "__Secure-session=x"}, ""},
		{"domain", "https://example.org/", sessionkit.Config{Domain: "example.com"}, nil, "Config.Domain"},
		{"a domain that ends alike", "https://notexample.com/", sessionkit.Config{Domain: "example.com"}, nil, "Config.Domain"},
		{"another address", "http://192.168.1.5:3000/", sessionkit.Config{Domain: "example.com"}, nil, "X-Forwarded-Host"},
		{"the domain itself", "https://EXAMPLE.com:8443/", sessionkit.Config{Domain: "example.com"}, nil, ""},
		{"a subdomain", "https://www.example.com/", sessionkit.Config{Domain: "example.com"}, nil, ""},
		{"localhost", "http://localhost/", sessionkit.Config{Domain: "example.com"}, nil, ""},
		{"a host that a proxy changed", "http://backend/", sessionkit.Config{Domain: "example.com"}, []string{"X-Forwarded-Host", "www.example.com, inner"}, ""},
		{"the same, by the standard", "http://backend/", sessionkit.Config{Domain: "example.com"}, []string{"Forwarded", `for=1.2.3.4;host="www.example.com:443"`}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := kittest.NewBackend()
			a := kittest.NewSite(kittest.StoreOver(s), test.config)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, test.url, nil)
			a.GET(r.URL.Path, kittest.SignIn("42"))
			for i := 0; i < len(test.headers); i += 2 {
				r.Header.Set(test.headers[i], test.headers[i+1])
			}
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			if test.remedy == "" {
				assert.Equal(t, http.StatusOK, w.Code)
				assert.Len(t, kittest.SetCookies(w), 1)
				assert.Empty(t, a.Errors())
				return
			}
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.Empty(t, kittest.SetCookies(w))
			assert.NotContains(t, s.Called(), "create", "no session is left behind")
			errs := a.Errors()
			require.Len(t, errs, 1)
			assert.ErrorContains(t, errs[0], test.remedy)
		})
	}
}

func TestUnsupportedByTheStore(t *testing.T) {
	for _, s := range []ginsessions.Store{gincookie.NewStore(kittest.TestSecret)} {
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/login", kittest.SignIn("42"))
		a.On("/", func(c *gin.Context) {
			_, err := sessionkit.Devices(c)
			for _, err := range []error{err, sessionkit.LogoutOthers(c), sessionkit.LogoutEverywhere(c), sessionkit.Revoke(c, "x")} {
				assert.ErrorIs(t, err, errors.ErrUnsupported)
			}
			kittest.Whoami(c)
		})
		b := kittest.NewBrowser(t, a)
		b.Get("/login")
		assert.Equal(t, "42", b.Get("/").Body.String())
	}
}
