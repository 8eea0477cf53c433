package main

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
)

// app is what handlers need beside the request.
type app struct {
	config   sessionkit.Config
	journal  *journal
	sessions *store.Store  // nil: they are in a store of gin-contrib
	stopping chan struct{} // closed when the server stops, so that streams end
	jobs     sync.WaitGroup
}

func newApp(config sessionkit.Config) *app {
	a := &app{config: config, journal: newJournal(), stopping: make(chan struct{})}
	a.config.OnEvent, a.config.ErrorPage = a.journal.hear, showProblem
	if len(config.Secrets) == 0 { // sealed cookies end with the process then
		secret := make([]byte, 32)
		_, _ = rand.Read(secret) // it never fails
		a.config.Secrets = [][]byte{secret}
	}
	return a
}

// router returns the application over a store. All of it but the list of devices, the
// administration and the news from the kitchen works over any store of
// gin-contrib/sessions.
func (a *app) router(s sessions.Store) *gin.Engine {
	a.sessions, _ = s.(*store.Store)
	r := gin.New()
	_ = r.SetTrustedProxies(nil) // none is in front, so nobody else says who the client is
	r.HandleMethodNotAllowed = true
	r.Use(gin.CustomRecoveryWithWriter(nil, logPanic), secureHeaders, limitBody, a.journal.watch, sessionkit.Sessions(s, a.config))
	r.NoRoute(func(c *gin.Context) {
		refuse(c, http.StatusNotFound, "There is no such page.")
	})
	r.NoMethod(func(c *gin.Context) {
		refuse(c, http.StatusMethodNotAllowed, "This address does not take such a request.")
	})
	for _, name := range staticFiles {
		r.StaticFileFS("/static/"+name, "static/"+name, http.FS(files))
	}
	r.StaticFileFS("/favicon.ico", "static/icon.svg", http.FS(files)) // where browsers look if a page does not say
	a.forEverybody(r)
	a.forUsers(r)
	a.forPrograms(r.Group("/api"))
	if a.sessions != nil {
		a.forAdministrators(r)
	}
	return r
}

// logPanic answers for a handler that has panicked. Gin's own recovery would log the
// header of the request, with its cookies.
func logPanic(c *gin.Context, panicked any) {
	slog.ErrorContext(c, "panic", "value", panicked, "stack", string(debug.Stack()))
	c.AbortWithStatus(http.StatusInternalServerError)
}

func (a *app) forEverybody(r *gin.Engine) {
	r.GET("/", showHome)
	r.POST("/cart", addToCart)
	r.POST("/cart/remove", removeFromCart)
	r.GET("/login", showLogin)
	r.POST("/login", a.logIn)
	r.POST("/logout", logOut)
	r.GET("/messages", showMessages)
	r.POST("/messages", leaveMessage)
	r.GET("/preferences", showPreferences)
	r.POST("/theme", setTheme)
	r.POST("/language", setLanguage)
	r.POST("/language/edit", editLanguage)
	r.POST("/language/forget", forgetLanguage)
	r.GET("/events", a.showEvents)
	r.GET("/source/:name", showSource)
}

// forUsers adds what needs a sign-in: the guard sends others to the login page,
// and they come back from there.
func (a *app) forUsers(r *gin.Engine) {
	signedIn := sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"})
	r.GET("/account", signedIn, showAccount)
	r.POST("/account/stay", signedIn, stay)
	r.GET("/devices", signedIn, showDevices)
	r.POST("/devices/revoke", signedIn, signOutDevice)
	r.POST("/logout/others", signedIn, logOutOthers)
	r.POST("/logout/everywhere", signedIn, logOutEverywhere)
	r.GET("/live", signedIn, showLive)

	// A request that is no GET cannot be returned to, so these name the page.
	r.POST("/cart/order", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login?next=/"}), a.orderCart)
	again := sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login?next=/codes", FreshWithin: freshWithin})
	r.GET("/codes", again, showCodes)
	r.POST("/codes", again, makeCodes)
}

// forPrograms adds the API. Without LoginURL the guard answers with a 401 problem.
func (a *app) forPrograms(api *gin.RouterGroup) {
	signedIn := sessionkit.RequireSession()
	asking := sessionkit.RequireSession(sessionkit.GuardConfig{Passive: true}) // asking is no use of the session
	api.GET("/me", asking, me)
	api.GET("/countdown", sessionkit.RequireSession(sessionkit.GuardConfig{Passive: true, OnDenied: sayEnded}), countdown)
	api.GET("/live", asking, a.stream)
	api.POST("/echo-flash", echoFlash)
	api.GET("/devices", signedIn, listDevices)
	api.POST("/devices/revoke", signedIn, revokeDevice)
}
