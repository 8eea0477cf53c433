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
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

func TestConfigThatCannotWork(t *testing.T) {
	for field, config := range map[string]sessionkit.Config{
		"Config.Name":              {Name: "a b"},
		"Config.Name ":             {Name: "__Host-session"},
		"Config.Name  ":            {Name: "__secure-session"},
		"Config.IdleTimeout":       {IdleTimeout: -1},
		"Config.IdleTimeout ":      {IdleTimeout: 3600}, // a forgotten time.Second
		"Config.Lifetime":          {Lifetime: -1},
		"Config.Lifetime ":         {Lifetime: 400 * 24 * 3600},
		"Config.RememberFor  ":     {RememberFor: 1},
		"Config.RememberFor":       {RememberFor: -1},
		"Config.RememberFor ":      {RememberFor: 401 * 24 * time.Hour},
		"Config.Domain":            {Domain: "localhost"},
		"Config.Domain ":           {Domain: "exa mple.com"},
		"Config.Domain  ":          {Domain: "-a.com"},
		"Config.Domain   ":         {Domain: "[::1]"},
		"Config.Domain    ":        {Domain: "1.2"},
		"Config.Path":              {Path: "x"},
		"Config.Path ":             {Path: "/\n"},
		"Config.SameSite":          {SameSite: 7},
		"Config.SameSite ":         {SameSite: http.SameSiteNoneMode, InsecureHTTP: true},
		"Config.Partitioned":       {Partitioned: true, InsecureHTTP: true},
		"Config.MaxSessions":       {MaxSessions: -1},
		"Config.ClearSiteData":     {ClearSiteData: []string{`"cache"`}},
		"Config.ClearSiteData ":    {ClearSiteData: []string{""}},
		"Config.Secrets[1]":        {Secrets: [][]byte{make([]byte, 32), make([]byte, 31)}},
		"Config.TrustedOrigins":    {TrustedOrigins: []string{"example.com"}},
		"Config.TrustedOrigins ":   {TrustedOrigins: []string{"https://example.com/"}},
		"Config.TrustedOrigins  ":  {TrustedOrigins: []string{"https://Example.com"}},
		"Config.TrustedOrigins   ": {TrustedOrigins: []string{"https://example.com/x"}},
		"Config.TrustedOrigins  *": {TrustedOrigins: []string{"https://*.example.com"}},
		"Config.TrustedOrigins  p": {TrustedOrigins: []string{"https://example.com:443"}},
		"Config.TrustedOrigins  h": {TrustedOrigins: []string{"http://example.com:80"}},
		"Config.TrustedOrigins  i": {TrustedOrigins: []string{"https://bücher.example"}},
		"Config.TrustedOrigins  u": {TrustedOrigins: []string{"https://user@example.com"}},
		"Config.TokenHeader":       {TokenHeader: "Cookie"},
		"Config.TokenHeader  r":    {TokenHeader: "x-real-ip"},
		"Config.TokenHeader  i":    {TokenHeader: "X-Request-ID"},
		"Config.TokenHeader ":      {TokenHeader: "accept"},
		"Config.TokenHeader  ":     {TokenHeader: "X-Forwarded-User"},
		"Config.TokenHeader   ":    {TokenHeader: "X-Session Token"},
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
}

func TestConfigThatWorks(t *testing.T) {
	for _, config := range []sessionkit.Config{
		{},
		{Domain: "example.com", Path: "/app", SameSite: http.SameSiteNoneMode, Partitioned: true},
		{InsecureHTTP: true, SameSite: http.SameSiteStrictMode, RememberFor: 400 * 24 * time.Hour},
		{
			Name: "sid", IdleTimeout: time.Second, Lifetime: time.Hour, MaxSessions: 1, ClearSiteData: []string{"cache", "*"},
			Secrets: [][]byte{secretA, secretB}, TrustedOrigins: []string{"https://app.example.com:8443"},
		},
	} {
		require.NoError(t, config.Validate())
		assert.NotPanics(t, func() { sessionkit.Sessions(memstore.New(), config) })
	}
}

func TestSessionsThatCannotWork(t *testing.T) {
	var nothing *store.Store
	for want, call := range map[string]func(){
		"one Config":                    func() { sessionkit.Sessions(memstore.New(), sessionkit.Config{}, sessionkit.Config{}) },
		"needs a store":                 func() { sessionkit.Sessions(nil) },
		"needs a store; memstore.New()": func() { sessionkit.Sessions(nothing) },
		"Config.MaxSessions":            func() { sessionkit.Sessions(gincookie.NewStore(testSecret), sessionkit.Config{MaxSessions: 1}) },
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
	warnings := func(requests ...*http.Request) int {
		var log bytes.Buffer
		before := slog.Default()
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
		defer slog.SetDefault(before)
		a := newSite(memstore.New(), sessionkit.Config{})
		a.on("/", increment)
		for _, r := range requests {
			a.ServeHTTP(httptest.NewRecorder(), r)
		}
		if log.Len() > 0 {
			assert.Contains(t, log.String(), "InsecureHTTP", "it names the remedy")
		}
		return strings.Count(log.String(), "WARN")
	}
	request := func(url string) *http.Request {
		return httptest.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	}
	proxied := request("http://example.com/")
	proxied.Header.Set("X-Forwarded-Proto", "https")
	assert.Equal(t, 1, warnings(request("http://example.com/"), request("http://example.com/")), "once")
	assert.Zero(t, warnings(request("https://example.com/"), request("http://localhost/"), proxied))
}

func TestUnsupportedByTheStore(t *testing.T) {
	for _, s := range []ginsessions.Store{gincookie.NewStore(testSecret)} {
		a := newSite(s, sessionkit.Config{})
		a.on("/login", signIn("42"))
		a.on("/", func(c *gin.Context) {
			_, err := sessionkit.Devices(c)
			for _, err := range []error{err, sessionkit.LogoutOthers(c), sessionkit.LogoutEverywhere(c), sessionkit.Revoke(c, "x")} {
				assert.ErrorIs(t, err, errors.ErrUnsupported)
			}
			whoami(c)
		})
		b := newBrowser(t, a)
		b.get("/login")
		assert.Equal(t, "42", b.get("/").Body.String())
	}
}
