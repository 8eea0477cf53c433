package sessionkit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

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

// A new secret is put in front. Cookies of the old one are read until it is taken
// out, MaxAge of the longest-lived cookie later.
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
	site = newSite(newSecret, oldSecret) // the new one writes, both read
	visit("GET", "/")
	site = newSite(newSecret) // a month later
	visit("GET", "/")
	// Output:
	// GET /: 200 0 <nil>
	// GET /: 200 1 <nil>
	// GET /: 200 2 <nil>
}

// storePassword stands for the application's own.
func storePassword(_ *gin.Context, _, _ string) error { return nil }

// A changed password ends the user's other sessions.
func ExampleLogoutOthers() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
	r.POST("/password", sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: 5 * time.Minute}), func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		if err := storePassword(c, user, c.PostForm("new")); err != nil {
			c.AbortWithStatus(http.StatusInternalServerError)
			return
		}
		if err := sessionkit.LogoutOthers(c); err != nil { // the password is changed, but others may still be signed in
			c.AbortWithStatus(http.StatusServiceUnavailable)
			return
		}
		c.Redirect(http.StatusSeeOther, "/")
	})
	r.GET("/", func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		c.String(http.StatusOK, "user %q", user)
	})

	laptop, phone := newVisitor(r), newVisitor(r)
	laptop("POST", "/login")
	phone("POST", "/login")
	laptop("POST", "/password")
	laptop("GET", "/")
	phone("GET", "/")
	// Output:
	// POST /login: 200
	// POST /login: 200
	// POST /password: 303 to /
	// GET /: 200 user "42"
	// GET /: 200 user ""
}

// A forgotten password: whoever follows the link in the e-mail is signed in, and
// nobody else is any more.
func ExampleAttempt() {
	accounts := memstore.New()
	r := gin.New()
	r.Use(sessionkit.Sessions(accounts))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
	r.POST("/reset", func(c *gin.Context) {
		const user = "42" // the link names the account
		if err := storePassword(c, user, c.PostForm("new")); err != nil {
			c.AbortWithStatus(http.StatusInternalServerError)
			return
		}
		if _, err := accounts.RevokeAll(c, user); err != nil {
			c.AbortWithStatus(http.StatusServiceUnavailable)
			return
		}
		sessionkit.Login(c, user, sessionkit.Attempt(c, user))
		c.Redirect(http.StatusSeeOther, "/")
	})
	r.GET("/", func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		c.String(http.StatusOK, "user %q", user)
	})

	thief, owner := newVisitor(r), newVisitor(r)
	thief("POST", "/login")
	owner("POST", "/reset")
	owner("GET", "/")
	thief("GET", "/")
	// Output:
	// POST /login: 200
	// POST /reset: 303 to /
	// GET /: 200 user "42"
	// GET /: 200 user ""
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
