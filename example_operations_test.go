package sessionkit_test

import (
	"errors"
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
		case sessionkit.EventRejected, sessionkit.EventCrossOrigin:
			level = slog.LevelWarn
		case sessionkit.EventStoreError:
			level = slog.LevelError
		case sessionkit.EventCreated, sessionkit.EventSignedIn, sessionkit.EventRenewed, sessionkit.EventSignedOut, sessionkit.EventExpired, sessionkit.EventRevoked:
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
