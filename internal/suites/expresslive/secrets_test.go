package expresslive_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/store/express"
)

// signatures are what cookie-signature writes, by value and secret.
var signatures = map[[2]string]string{
	{"hello", "tobiiscool"}:              "s%3Ahello.DGDUkGlIkCzPz%2BC0B064FNgHdEjox7ch8tOBGslZ5QI",
	{"", "k"}:                            "s%3A.i7mQxAp9YcuXWXqUISUCW%2BUKyL63RDbjc1uYiTp%2FZiA",
	{"tobi", "keyboard cat"}:             "s%3Atobi.k%2FMBGA3LV%2FDe%2B0YTROxcLuurjbOQXyaa2veNodQBZc4",
	{"a.b.c", "k"}:                       "s%3Aa.b.c.KknhlmRnAWEJEoNMlO85fIMohjxbBPVoeAIqIsEoMg4",
	{`j:{"a":1}`, "secret"}:              "s%3Aj%3A%7B%22a%22%3A1%7D.AKai2Q89Xc5oSgUKTX0uDbXS8uiF5sCkAjx%2FoK13KJY",
	{"héllo wörld", "sécret"}:            "s%3Ah%C3%A9llo%20w%C3%B6rld.2svz2eIu3584x49wahD5WIPdsPjirz6UB1VQAFVczLA",
	{"%", "keyboard cat"}:                "s%3A%25.kzQ6x52kKVdF35Qh62AWk4ZekS28K5XYCXKa%2FOTZ01g",
	{`j:{"name":"tobi"}`, "foo bar baz"}: "s%3Aj%3A%7B%22name%22%3A%22tobi%22%7D.K20xcwmDS%2BPb1rsD95o5Jm5SqWs1KteqdnynnB7jkTE",
}

func TestSignatures(t *testing.T) {
	for of, wire := range signatures {
		s := express.Secrets{[]byte(of[1]), []byte("another")}
		assert.Equal(t, wire, seal(s, of[0]))
		text, err := url.PathUnescape(wire)
		require.NoError(t, err)
		assert.Equal(t, text, s.Sign(of[0]))
		v, ok := express.Secrets{[]byte("a newer one"), []byte(of[1])}.Unsign(text)
		assert.True(t, ok)
		assert.Equal(t, of[0], v)
		for _, wrong := range []string{text + "x", text[:len(text)-1], strings.TrimPrefix(text, "s:"), "", "s:", "s:.", text + "."} {
			_, ok := s.Unsign(wrong)
			assert.False(t, ok, wrong)
		}
	}
	assert.Panics(t, func() { express.Secrets{}.Sign("x") })
	_, ok := express.Secrets{}.Unsign("s:x.")
	assert.False(t, ok)
}

// TestCookieIsSignedAnew: a cookie that is sent again does not need the old secret any more.
func TestCookieIsSignedAnew(t *testing.T) {
	m := newRedis(t)
	m.write(t, "x", `{"cookie":{"originalMaxAge":7200000}}`)
	s := m.store(express.Config{Secrets: secrets, Cookie: express.Cookie{MaxAge: 2 * time.Hour}})
	res := inside(t, s, seal(secrets[1:], "x"), func(c *gin.Context) { counter.Set(c, 1) })
	require.Len(t, res.Cookies(), 1)
	sid, ok := open(secrets[:1], res.Cookies()[0].Value)
	assert.True(t, ok)
	assert.Equal(t, "x", sid)
}

func TestJSONCookies(t *testing.T) {
	text, err := express.EncodeJSON(map[string]any{"name": "<tobi>", "a": 1})
	require.NoError(t, err)
	assert.Equal(t, `j:{"a":1,"name":"<tobi>"}`, text)
	var v struct{ Name string }
	require.NoError(t, express.DecodeJSON(text, &v))
	assert.Equal(t, "<tobi>", v.Name)
	for _, wrong := range []string{"", "j:", "j:{", `{"a":1}`, "s:x"} {
		require.Error(t, express.DecodeJSON(wrong, &v))
	}
	_, err = express.EncodeJSON(func() {})
	require.Error(t, err)
}

func TestSecretsAreNotShown(t *testing.T) {
	c := express.Config{Secrets: express.Secrets{[]byte("opensesame")}}
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	logger.Info("x", "config", c, "secrets", c.Secrets)
	j, err := json.Marshal(c.Secrets)
	require.NoError(t, err)
	var shown strings.Builder
	shown.WriteString(log.String() + string(j))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&shown, verb+verb, c, c.Secrets)
	}
	for _, secret := range []string{"opensesame", "6f70656e", "111 112"} {
		assert.NotContains(t, shown.String(), secret)
	}
}

func TestValidate(t *testing.T) {
	good := express.Config{Secrets: secrets}
	require.NoError(t, good.Validate())
	for _, test := range []struct {
		field  string
		change func(c *express.Config)
	}{
		{"Secrets", func(c *express.Config) { c.Secrets = nil }},
		{"Secrets[1]", func(c *express.Config) { c.Secrets = express.Secrets{[]byte("x"), nil} }},
		{"User.Name", func(c *express.Config) { c.User.Name = "constructor" }},
		{"User", func(c *express.Config) { c.User = express.User{Name: "x", Write: func(u string) any { return u }} }},
		{"TTL", func(c *express.Config) { c.TTL = -time.Second }},
		{"Cookie.MaxAge", func(c *express.Config) { c.Cookie.MaxAge = 600 }},
		{"NoPrefix", func(c *express.Config) { c.NoPrefix, c.Prefix = true, "x" }},
		{"Table", func(c *express.Config) { c.Table = "a\x00" }},
		{"Cookie.Priority", func(c *express.Config) { c.Cookie.Priority = "High" }},
		{"Cookie.Secure", func(c *express.Config) { c.Cookie.Secure = 7 }},
		{"Cookie.Name", func(c *express.Config) { c.Cookie.Name = "a b" }},
		{"Cookie.Path", func(c *express.Config) { c.Cookie.Path = "x;" }},
		{"Cookie.Path", func(c *express.Config) { c.Cookie.Path = "/my app" }},
		{"Cookie.Domain", func(c *express.Config) { c.Cookie.Domain = "a b" }},
		{"Cookie.Domain", func(c *express.Config) { c.Cookie.Domain = "localhost" }},
		{"Cookie.Domain", func(c *express.Config) { c.Cookie.Domain = "..example.com" }},
		{"Cookie.SameSite", func(c *express.Config) { c.Cookie.SameSite = 9 }},
		{"Cookie.SameSite", func(c *express.Config) { c.Cookie.SameSite = http.SameSiteNoneMode }},
		{"Cookie.Partitioned", func(c *express.Config) { c.Cookie.Partitioned = true }},
		{"Cookie.Secure", func(c *express.Config) { c.Cookie.Name = "__Secure-sid" }},
		{"Cookie.Secure", func(c *express.Config) { c.Cookie = express.Cookie{Name: "__host-sid", Secure: express.Auto} }},
		{"Cookie.Path", func(c *express.Config) {
			c.Cookie = express.Cookie{Name: "__Host-sid", Secure: express.Always, Path: "/app"}
		}},
		{"Cookie.Domain", func(c *express.Config) {
			c.Cookie = express.Cookie{Name: "__Host-sid", Secure: express.Always, Domain: "example.com"}
		}},
		{"Cookie.ScriptReadable", func(c *express.Config) {
			c.Cookie = express.Cookie{Name: "__Host-Http-sid", Secure: express.Always, ScriptReadable: true}
		}},
	} {
		c := good
		test.change(&c)
		err := c.Validate()
		require.ErrorContains(t, err, "express: Config."+test.field+" ", test.field)
		assert.NotContains(t, err.Error(), "\n", "one problem")
		assert.Panics(t, func() { express.Redis(nil, c) })
	}
	assert.PanicsWithValue(t, "express: Redis needs a client; rueidis.NewClient makes one", func() { express.Redis(nil, good) })
	assert.PanicsWithValue(t, "express: Postgres needs a database; sql.Open makes one", func() { express.Postgres(nil, good) })
}
