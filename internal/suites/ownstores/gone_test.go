package ownstores_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
)

// readingStores are the stores that ask a server at each load, which ends with its context.
func readingStores() []string {
	if testserver.Long() {
		return []string{postgres, mariadb, redisDirect}
	}
	return []string{redisDirect}
}

// TestClientGoneBeforeTheFirstUse: a handler has worked for so long that the client is gone when it first
// uses the session. What it does to that counts all the same.
func TestClientGoneBeforeTheFirstUse(t *testing.T) {
	on(t, readingStores(), func(t *testing.T, p pair) {
		a := newSite(t, p[0], sessionkit.Config{})
		b := a.browser().signIn("42")
		gone := func(target string) {
			t.Helper()
			ctx, leave := context.WithCancel(t.Context())
			leave()
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "https://example.com"+target, nil)
			r.AddCookie(&http.Cookie{Name: cookieName, Value: b.cookie})
			a.ServeHTTP(httptest.NewRecorder(), r)
			assert.Empty(t, a.errors(), target)
		}
		gone("/set?name=paid&value=yes")
		assert.Equal(t, "yes", b.get("/values?name=paid"))
		gone("/logout")
		assert.Empty(t, b.get("/"))
	})
}

// TestClientGoneWithoutTheMiddleware: the same over sessions.Sessions, and if the client goes before Save.
func TestClientGoneWithoutTheMiddleware(t *testing.T) {
	on(t, readingStores(), func(t *testing.T, p pair) {
		leave := func() {}
		r := gin.New()
		r.Use(sessions.Sessions("plain", p[0]))
		r.GET("/", func(c *gin.Context) { c.JSON(http.StatusOK, sessions.Default(c).Get("v")) })
		r.GET("/set", func(c *gin.Context) {
			session := sessions.Default(c)
			if c.Query("gone") == "before loading" {
				leave()
			}
			session.Get("v")
			leave()
			session.Set("v", c.Query("v"))
			assert.NoError(t, session.Save())
		})
		r.GET("/logout", func(c *gin.Context) {
			session := sessions.Default(c)
			session.Get("v")
			leave()
			session.Options(sessions.Options{Path: "/", MaxAge: -1})
			assert.NoError(t, session.Save())
		})
		get := func(target, cookie string) *httptest.ResponseRecorder {
			var ctx context.Context
			ctx, leave = context.WithCancel(t.Context())
			req := httptest.NewRequestWithContext(ctx, http.MethodGet, "https://example.com"+target, nil)
			req.AddCookie(&http.Cookie{Name: "plain", Value: cookie})
			w := httptest.NewRecorder()
			r.ServeHTTP(w, req)
			return w
		}
		created := get("/set?v=created", "").Result().Cookies()
		require.Len(t, created, 1)
		cookie := created[0].Value
		require.Equal(t, `"created"`, get("/", cookie).Body.String())
		get("/set?v=saved", cookie)
		assert.Equal(t, `"saved"`, get("/", cookie).Body.String())
		get("/set?gone=before+loading&v=loaded", cookie)
		assert.Equal(t, `"loaded"`, get("/", cookie).Body.String())
		get("/logout", cookie)
		assert.Equal(t, "null", get("/", cookie).Body.String())
	})
}

// leavingOnce is a backend during whose first load the client goes.
type leavingOnce struct {
	store.Backend
	leave func()
}

func (b *leavingOnce) Load(ctx context.Context, id string) (store.Record, bool, error) {
	if leave := b.leave; leave != nil {
		b.leave = nil
		leave()
		<-ctx.Done()
		return store.Record{}, false, ctx.Err()
	}
	return b.Backend.Load(ctx, id)
}

// TestClientGoesDuringTheLoad: the same.
func TestClientGoesDuringTheLoad(t *testing.T) {
	var backend *leavingOnce
	p := open(t, memory, func(b store.Backend) store.Backend {
		backend = &leavingOnce{Backend: b}
		return backend
	})
	a := newSite(t, p[1], sessionkit.Config{})
	b := a.browser().signIn("42")
	ctx, leave := context.WithCancel(t.Context())
	backend.leave = leave
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "https://example.com/logout", nil)
	r.AddCookie(&http.Cookie{Name: cookieName, Value: b.cookie})
	a.ServeHTTP(httptest.NewRecorder(), r)
	assert.Empty(t, a.errors())
	assert.Empty(t, b.get("/"))
}
