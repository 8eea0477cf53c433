package expresslive_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
)

// TestNothingChanged: no write, no cookie, and no read if nothing is asked.
func TestNothingChanged(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newStore(m)
		const text = `{"cookie":{},  "a":1}`
		m.write(t, "x", text)
		for _, f := range []func(c *gin.Context){
			func(*gin.Context) {},
			func(c *gin.Context) { is(t, c, "a", 1) },
			func(c *gin.Context) { assert.Empty(t, sessionkit.Flashes(c)) },
			func(c *gin.Context) { sessions.Default(c).Set("a", sessions.Default(c).Get("a")) },
		} {
			res := inside(t, s, seal(secrets, "x"), f)
			assert.Empty(t, res.Cookies())
			assert.Equal(t, text, m.read(t, "x"))
		}
		assert.Empty(t, inside(t, s, "", func(c *gin.Context) { sessionkit.User(c) }).Cookies())
		m.close()
		res := inside(t, s, seal(secrets, "x"), func(*gin.Context) {})
		assert.Equal(t, http.StatusOK, res.StatusCode, "it does not need the store")
	})
}

// TestStoreFails: neither looks like "signed out", nor like success.
func TestStoreFails(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newStore(m)
		m.write(t, "x", `{"cookie":{},"userId":"ada"}`)
		m.close()
		for _, f := range []func(c *gin.Context){
			func(c *gin.Context) { sessionkit.User(c) },
			func(c *gin.Context) { counter.Set(c, 1) },
			func(c *gin.Context) { sessionkit.Login(c, "eve") },
			sessionkit.Logout,
		} {
			for _, cookie := range []string{seal(secrets, "x"), ""} {
				res := inside(t, s, cookie, f)
				if cookie != "" {
					assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
				}
				assert.Empty(t, res.Cookies())
			}
		}
		res := inside(t, s, "", func(c *gin.Context) { counter.Set(c, 1) })
		assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
		assert.NotEmpty(t, res.Header["Errors"])
	})
}

// TestPanic: a handler that panics saves nothing.
func TestPanic(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		const text = `{"cookie":{},"a":1}`
		m.write(t, "x", text)
		assert.Panics(t, func() {
			inside(t, newStore(m), seal(secrets, "x"), func(c *gin.Context) {
				counter.Set(c, 1)
				panic("x")
			})
		})
		assert.Equal(t, text, m.read(t, "x"))
	})
}

// TestAfterTheHeader: a change after the header is saved, or reported if it would need
// a cookie.
func TestAfterTheHeader(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newStore(m)
		m.write(t, "x", `{"cookie":{},"a":1}`)
		late := func(c *gin.Context) {
			c.String(http.StatusOK, "x")
			c.Writer.Flush()
			counter.Set(c, 1)
		}
		res := inside(t, s, seal(secrets, "x"), late)
		assert.Empty(t, res.Header["Errors"])
		assert.JSONEq(t, `{"cookie":{},"a":1,"counter":1}`, m.read(t, "x"))
		assert.NotEmpty(t, inside(t, s, "", late).Header["Errors"])
		assert.Equal(t, 1, m.count(t))
	})
}

// TestHeaders: what depends on the session says so, and what sets its cookie is not
// cached.
func TestHeaders(t *testing.T) {
	s := newStore(newRedis(t))
	res := inside(t, s, "", func(c *gin.Context) { sessionkit.Login(c, "ada") })
	assert.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	assert.Equal(t, "Cookie", res.Header.Get("Vary"))
}

// TestDocument checks that each test exists that docs/stores.md and docs/express.md
// name.
func TestDocument(t *testing.T) {
	var code strings.Builder
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, entry := range entries {
		if regexp.MustCompile(`_test\.go$`).MatchString(entry.Name()) {
			text, err := os.ReadFile(entry.Name())
			require.NoError(t, err)
			code.WriteString(string(text))
		}
	}
	for _, document := range []string{"stores", "express"} {
		text, err := os.ReadFile("../../../docs/" + document + ".md")
		require.NoError(t, err)
		cited := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z]+)`").FindAllStringSubmatch(string(text), -1)
		require.NotEmpty(t, cited)
		for _, name := range cited {
			if name[1] != "TestStoresTable" { // of the root
				assert.Contains(t, code.String(), "func "+name[1]+"(")
			}
		}
	}
}
