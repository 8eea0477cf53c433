package sessionkit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// Item is what is in a cart.
type Item struct{ Name string }

var (
	Cart  = sessionkit.NewKey[[]Item]("cart") // a typed session value
	Theme = sessionkit.NewCookie[string]("theme", sessionkit.CookieOptions{MaxAge: 365 * 24 * time.Hour})
)

// The thirty lines: sign-in, a guarded page with a typed value, flash messages and
// sign-out. Nothing is saved by hand and nothing is configured.
func Example() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))

	r.GET("/", func(c *gin.Context) {
		c.JSON(http.StatusOK, sessionkit.Flashes(c))
	})
	r.GET("/login", func(c *gin.Context) {
		c.Data(http.StatusOK, "text/html", []byte(`<form method="post"><button>Sign in</button></form>`))
	})
	r.POST("/login", func(c *gin.Context) {
		sessionkit.Login(c, "42") // once the password is right
		sessionkit.Flash(c, sessionkit.Success, "Welcome back")
		c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/account"))
	})

	account := r.Group("/account", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"}))
	account.GET("", func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		items, err := Cart.Update(c, func(items []Item) []Item { return append(items, Item{"tea"}) })
		if err != nil {
			c.AbortWithStatus(http.StatusServiceUnavailable)
			return
		}
		c.String(http.StatusOK, "user %s has %d items", user, len(items))
	})
	account.POST("/logout", func(c *gin.Context) {
		sessionkit.Logout(c)
		sessionkit.Flash(c, sessionkit.Info, "Goodbye")
		c.Redirect(http.StatusSeeOther, "/")
	})

	visit := newVisitor(r)
	visit("GET", "/account")
	visit("POST", "/login")
	visit("GET", "/account")
	visit("GET", "/account")
	visit("POST", "/account/logout")
	visit("GET", "/")
	visit("GET", "/account")
	// Output:
	// GET /account: 401
	// POST /login: 303 to /account
	// GET /account: 200 user 42 has 1 items
	// GET /account: 200 user 42 has 2 items
	// POST /account/logout: 303 to /
	// GET /: 200 [{"level":"info","text":"Goodbye"}]
	// GET /account: 401
}

// newVisitor returns a browser that prints what it is answered.
func newVisitor(handler http.Handler) func(method, path string) {
	cookies := make(map[string]string)
	return func(method, path string) {
		r := httptest.NewRequest(method, "https://example.com"+path, nil)
		for name, value := range cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		for _, c := range kittest.SetCookies(w) {
			cookies[c.Name] = c.Value
		}
		fmt.Printf("%s %s: %d", method, path, w.Code)
		if to := w.Header().Get("Location"); to != "" {
			fmt.Print(" to ", to)
		} else if w.Code == http.StatusOK && w.Body.Len() > 0 {
			fmt.Print(" ", w.Body)
		}
		fmt.Println()
	}
}

func ExampleSessions() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{
		IdleTimeout:    30 * time.Minute,
		Secrets:        [][]byte{[]byte("32 bytes or more, from a secret store")},
		TrustedOrigins: []string{"https://app.example.com"},
		OnEvent: func(_ *gin.Context, e sessionkit.Event) {
			fmt.Println(e.Kind, e.User)
		},
	}))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })

	newVisitor(r)("POST", "/login")
	// Output:
	// created 42
	// signed-in 42
	// POST /login: 200
}

func ExampleConfig_Validate() {
	err := sessionkit.Config{Name: "__Host-session", Domain: ".example.com"}.Validate()
	fmt.Println(err)
	// Output:
	// sessionkit: Config.Name is "__Host-session": the prefix is added by the kit; give the name without it
	// sessionkit: Config.Domain is ".example.com": must be a host name such as example.com, without scheme, port or leading dot
}

func ExampleKey() {
	visits := sessionkit.NewKey[int]("visits")

	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.GET("/", func(c *gin.Context) {
		n, _ := visits.Get(c)
		visits.Set(c, n+1)
		c.String(http.StatusOK, "visit %d", n+1)
	})

	visit := newVisitor(r)
	visit("GET", "/")
	visit("GET", "/")
	// Output:
	// GET /: 200 visit 1
	// GET /: 200 visit 2
}

func ExampleFlash() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.POST("/save", func(c *gin.Context) {
		sessionkit.Flash(c, sessionkit.Success, "Saved")
		c.Redirect(http.StatusSeeOther, "/")
	})
	r.GET("/", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Flashes(c)) })

	visit := newVisitor(r)
	visit("POST", "/save")
	visit("GET", "/")
	visit("GET", "/")
	// Output:
	// POST /save: 303 to /
	// GET /: 200 [{"level":"success","text":"Saved"}]
	// GET /: 200 null
}

func ExampleNewFlash() {
	undo := sessionkit.NewFlash[Item]("undo")

	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.POST("/delete", func(c *gin.Context) { undo.Add(c, Item{"tea"}) })
	r.GET("/", func(c *gin.Context) { c.JSON(http.StatusOK, undo.Take(c)) })

	visit := newVisitor(r)
	visit("POST", "/delete")
	visit("GET", "/")
	// Output:
	// POST /delete: 200
	// GET /: 200 [{"Name":"tea"}]
}

func ExampleNewCookie() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.POST("/theme", func(c *gin.Context) {
		if err := Theme.Set(c, "dark"); err != nil {
			c.AbortWithStatus(http.StatusInternalServerError)
		}
	})
	r.GET("/", func(c *gin.Context) {
		theme, err := Theme.Get(c)
		if err != nil {
			theme = "light"
		}
		c.String(http.StatusOK, theme)
	})

	visit := newVisitor(r)
	visit("GET", "/")
	visit("POST", "/theme")
	visit("GET", "/")
	// Output:
	// GET /: 200 light
	// POST /theme: 200
	// GET /: 200 dark
}

func ExampleLogin_remember() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.POST("/login", func(c *gin.Context) {
		var options []sessionkit.LoginOption
		if c.PostForm("remember") != "" {
			options = append(options, sessionkit.Remember())
		}
		sessionkit.Login(c, "42", options...)
	})
	newVisitor(r)("POST", "/login")
	// Output: POST /login: 200
}

func ExampleRequireSession_fresh() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	recent := sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login", FreshWithin: 5 * time.Minute})
	r.POST("/account/delete", recent, func(c *gin.Context) { c.String(http.StatusOK, "deleted") })
	newVisitor(r)("POST", "/account/delete")
	// Output: POST /account/delete: 401
}

func ExampleDevices() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
	r.GET("/devices", sessionkit.RequireSession(), func(c *gin.Context) {
		devices, err := sessionkit.Devices(c)
		if err != nil {
			c.AbortWithStatus(http.StatusServiceUnavailable)
			return
		}
		for _, d := range devices {
			c.String(http.StatusOK, "%s, this one: %v", d.IP, d.ID == sessionkit.Current(c).ID)
		}
	})

	visit := newVisitor(r)
	visit("POST", "/login")
	visit("GET", "/devices")
	// Output:
	// POST /login: 200
	// GET /devices: 200 192.0.2.1, this one: true
}
