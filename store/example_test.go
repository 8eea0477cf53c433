package store_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// An application moves from the cookie store of gin-contrib/sessions, and who was
// signed in stays so.
func ExampleMigrate() {
	gin.SetMode(gin.TestMode)
	old := cookie.NewStore([]byte("32 bytes that only the server has"))

	before := gin.New()
	before.Use(sessions.Sessions("mysession", old))
	before.POST("/login", func(c *gin.Context) {
		session := sessions.Default(c)
		session.Set("user_id", "42")
		_ = session.Save()
	})

	after := gin.New()
	after.Use(sessionkit.Sessions(store.Migrate(old, memstore.New(), "mysession", func(values map[any]any) string {
		id, _ := values["user_id"].(string)
		return id
	})))
	after.GET("/account", sessionkit.RequireSession(), func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		c.String(http.StatusOK, "user %s", user)
	})

	w := httptest.NewRecorder()
	before.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/login", nil))
	r := httptest.NewRequest(http.MethodGet, "https://example.com/account", nil)
	r.Header.Set("Cookie", w.Header().Get("Set-Cookie"))
	w = httptest.NewRecorder()
	after.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	for _, c := range w.Result().Cookies() {
		fmt.Println(c.Name, c.MaxAge)
	}
	// Output:
	// 200 user 42
	// __Host-Http-session 2592000
	// mysession -1
}

// Outside any request: an account is closed, and its sessions end.
func ExampleStore_RevokeAll() {
	s := memstore.New()
	defer func() { _ = s.Close() }()

	ended, err := s.RevokeAll(context.Background(), "42")
	fmt.Println(ended, err)
	// Output: 0 <nil>
}

// An administrator looks at all sessions, and after a leak ends them.
func ExampleStore_All() {
	gin.SetMode(gin.TestMode)
	s := memstore.New()
	r := gin.New()
	r.Use(sessionkit.Sessions(s))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, c.Query("user")) })
	for range 2 {
		r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "https://example.com/login?user=42", nil))
	}

	ctx := context.Background()
	counts, err := s.Count(ctx)
	fmt.Println(counts.Live, counts.SignedIn, err)
	for session, err := range s.All(ctx) {
		fmt.Println(session.User, session.SignedInAt.IsZero(), err)
	}
	ended, err := s.RevokeEveryone(ctx)
	fmt.Println(ended, err)
	// Output:
	// 2 2 <nil>
	// 42 false <nil>
	// 42 false <nil>
	// 2 <nil>
}
