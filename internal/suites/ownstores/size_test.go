package ownstores_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/store"
)

// TestSizeAgainstParallelRequests: requests that have all loaded the session before any of
// them has stored something do not exceed store.Config.MaxBytes together, with values of
// their own, by the commit or at once, or by giving the session a new ID.
func TestSizeAgainstParallelRequests(t *testing.T) {
	const (
		parallel = 8
		bytes    = 300_000 // of which three fit into 1 MiB
		fit      = 3
	)
	text := strings.Repeat("x", bytes)
	for name, grow := range map[string]func(c *gin.Context){
		"flash messages": func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Error, text) },
		"values at once": func(c *gin.Context) {
			_, err := sessionkit.NewKey[string](c.Query("i")).Update(c, func(string) string { return text })
			if err != nil {
				_ = c.AbortWithError(http.StatusServiceUnavailable, err)
				assert.ErrorIs(t, err, store.ErrTooLarge)
			}
		},
		"values and new IDs": func(c *gin.Context) {
			sessionkit.NewKey[string](c.Query("i")).Set(c, text)
			sessionkit.Renew(c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, p pair) {
				nodes := two(t, p, sessionkit.Config{})
				var loaded sync.WaitGroup
				loaded.Add(parallel)
				for _, a := range nodes {
					a.POST("/grow", func(c *gin.Context) {
						_, _ = sessionkit.User(c)
						loaded.Done()
						loaded.Wait()
						grow(c)
					})
				}
				b := nodes[0].browser().signIn("42")
				id := b.id()
				made := 0
				for _, w := range together(b, nodes, parallel, func(i int) string { return "/grow?i=" + string(rune('a'+i)) }) {
					if w.Code == http.StatusOK {
						made++
					} else {
						assert.Equal(t, http.StatusServiceUnavailable, w.Code, w.Body)
					}
				}
				assert.Equal(t, fit, made)
				for _, a := range nodes {
					for _, err := range a.errors() {
						require.ErrorIs(t, err, store.ErrTooLarge)
					}
				}
				server, _ := kitstore.Of(p[0])
				_, r, found, err := server.Find(t.Context(), id)
				require.NoError(t, err)
				require.True(t, found)
				size := 0
				for name, text := range r.Values {
					size += len(name) + len(text)
				}
				assert.LessOrEqual(t, size, 1<<20)
				assert.Greater(t, size, fit*bytes)
			})
		})
	}
}

// TestSignInToAFullSession: a visitor whose session has no room signs in, confirms that and
// gets a new ID, and what the application stores is bounded as before.
func TestSignInToAFullSession(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		a := newSite(t, p[0], sessionkit.Config{})
		a.POST("/fill", func(c *gin.Context) {
			sessionkit.NewKey[string]("fill").Set(c, strings.Repeat("x", 1<<20-len(`fill""`)))
		})
		b := a.browser()
		for _, path := range []string{"/fill", "/login?user=42", "/confirm", "/renew"} {
			b.post(path)
			assert.Empty(t, a.errors(), path)
			assert.Equal(t, http.StatusServiceUnavailable, b.do(http.MethodPost, "/visit").Code, "after %s", path)
			errs := a.errors()
			require.Len(t, errs, 1)
			require.ErrorIs(t, errs[0], store.ErrTooLarge)
		}
		assert.Equal(t, "42", b.get("/"))
	})
}

// TestSignInBesideAListWithSpaces: PostgreSQL and MariaDB give JSON back with spaces, so that a list
// that had room has none any more. People sign in all the same.
func TestSignInBesideAListWithSpaces(t *testing.T) {
	on(t, []string{memory, sqlite, postgres, mariadb, redisDirect}, func(t *testing.T, p pair) {
		a := newSite(t, p[0], sessionkit.Config{})
		a.POST("/fill", func(c *gin.Context) {
			sessionkit.NewKey[[]int]("list").Set(c, make([]int, 450_000)) // 900 kB, and 1.35 MB with spaces
		})
		b := a.browser()
		for _, path := range []string{"/fill", "/login?user=42", "/confirm", "/renew"} {
			b.post(path)
			assert.Empty(t, a.errors(), path)
		}
		assert.Equal(t, "42", b.get("/"))
	})
}
