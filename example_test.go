package sessionkit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
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

// The program of the README: sign-in, a guarded page with a typed value, flash messages and
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
	// sessionkit: Config.Name is "__Host-session": the prefix is added by the middleware; give the name without it
	// sessionkit: Config.Domain is ".example.com": must be a host name such as example.com, without scheme, port or leading dot
}

func ExampleKey() {
	theme := sessionkit.NewKey[string]("theme")

	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.POST("/theme", func(c *gin.Context) { theme.Set(c, c.Query("name")) })
	r.GET("/", func(c *gin.Context) {
		name, ok := theme.Get(c)
		if !ok {
			name = "light"
		}
		c.String(http.StatusOK, name)
	})

	visit := newVisitor(r)
	visit("GET", "/")
	visit("POST", "/theme?name=dark")
	visit("GET", "/")
	// Output:
	// GET /: 200 light
	// POST /theme?name=dark: 200
	// GET /: 200 dark
}

// A counter loses nothing of what requests at the same time add to it.
func ExampleKey_Update() {
	visits := sessionkit.NewKey[int]("visits")

	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.GET("/", func(c *gin.Context) {
		n, err := visits.Update(c, func(n int) int { return n + 1 })
		if err != nil {
			c.AbortWithStatus(http.StatusServiceUnavailable)
			return
		}
		c.String(http.StatusOK, "visit %d", n)
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

// Events go to the application's log, with a level that an alert can go by.
func ExampleConfig_slog() {
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "session" {
				return slog.Attr{} // they differ from run to run
			}
			return a
		},
	}))

	logEvent := func(c *gin.Context, e sessionkit.Event) {
		level := slog.LevelInfo
		switch e.Kind {
		case sessionkit.EventRejected, sessionkit.EventCrossOrigin, sessionkit.EventUnbound, sessionkit.EventProofRefused:
			level = slog.LevelWarn
		case sessionkit.EventStoreError:
			level = slog.LevelError
		case sessionkit.EventCreated, sessionkit.EventSignedIn, sessionkit.EventRenewed, sessionkit.EventSignedOut, sessionkit.EventExpired,
			sessionkit.EventRevoked, sessionkit.EventBound:
		}
		attrs := []slog.Attr{
			slog.String("kind", string(e.Kind)), slog.String("user", e.User), slog.String("session", e.SessionID), // the handle, which opens nothing
			slog.String("ip", c.ClientIP()), slog.String("route", c.FullPath()),
		}
		if e.Err != nil {
			attrs = append(attrs, slog.Any("err", e.Err))
		}
		log.LogAttrs(c, level, "session", attrs...)
	}

	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{OnEvent: logEvent}))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
	r.POST("/logout", sessionkit.Logout)

	visit := newVisitor(r)
	visit("POST", "/login")
	visit("POST", "/logout")
	// Output:
	// level=INFO msg=session kind=created user=42 ip=192.0.2.1 route=/login
	// level=INFO msg=session kind=signed-in user=42 ip=192.0.2.1 route=/login
	// POST /login: 200
	// level=INFO msg=session kind=signed-out user=42 ip=192.0.2.1 route=/logout
	// POST /logout: 200
}

// A new secret is put behind the others first, so that every process reads it before
// one writes it. Cookies of the old one are read until it is taken out, MaxAge of the
// longest-lived cookie later.
func ExampleConfig_secrets() {
	visits := sessionkit.NewCookie[int]("visits", sessionkit.CookieOptions{Protection: sessionkit.Signed, MaxAge: 30 * 24 * time.Hour})

	newSite := func(secrets ...[]byte) *gin.Engine {
		r := gin.New()
		r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{Secrets: secrets}))
		r.GET("/", func(c *gin.Context) {
			n, err := visits.Get(c)
			if err == nil || errors.Is(err, http.ErrNoCookie) {
				err = visits.Set(c, n+1)
			}
			c.String(http.StatusOK, "%d %v", n, err)
		})
		return r
	}
	oldSecret, newSecret := []byte("the old secret of 32 bytes or more"), []byte("the new secret of 32 bytes or more")

	site := newSite(oldSecret)
	visit := newVisitor(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { site.ServeHTTP(w, r) }))
	visit("GET", "/")
	site = newSite(oldSecret, newSecret) // in all processes: both are read
	visit("GET", "/")
	site = newSite(newSecret, oldSecret) // then in all processes: the new one writes
	visit("GET", "/")
	site = newSite(newSecret) // a month later
	visit("GET", "/")
	// Output:
	// GET /: 200 0 <nil>
	// GET /: 200 1 <nil>
	// GET /: 200 2 <nil>
	// GET /: 200 3 <nil>
}

// A job that takes a while tells the user who began it that it is done, by the ID of
// the session.
func ExampleKey_UpdateIn() {
	ready := sessionkit.NewKey[[]string]("ready")
	store := memstore.New()
	r := gin.New()
	r.Use(sessionkit.Sessions(store))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })

	var jobs []func() error // a queue, perhaps
	r.POST("/report", sessionkit.RequireSession(), func(c *gin.Context) {
		id := sessionkit.Current(c).ID
		jobs = append(jobs, func() error {
			_, err := ready.UpdateIn(context.Background(), store, id, func(reports []string) []string {
				return append(reports, "sales.pdf")
			})
			return err // store.ErrEnded if the user has signed out meanwhile
		})
	})
	r.GET("/reports", sessionkit.RequireSession(), func(c *gin.Context) {
		reports, _ := ready.Get(c)
		c.JSON(http.StatusOK, reports)
	})

	visit := newVisitor(r)
	visit("POST", "/login")
	visit("POST", "/report")
	visit("GET", "/reports")
	for _, job := range jobs {
		fmt.Println("the job:", job())
	}
	visit("GET", "/reports")
	// Output:
	// POST /login: 200
	// POST /report: 200
	// GET /reports: 200 null
	// the job: <nil>
	// GET /reports: 200 ["sales.pdf"]
}
