package main

import (
	"net/http"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// newRouter returns the application. Any store of gin-contrib/sessions will do.
func newRouter(store sessions.Store, config sessionkit.Config) *gin.Engine {
	r := gin.New()
	_ = r.SetTrustedProxies(nil) // none is in front, so nobody else says who the client is
	r.HandleMethodNotAllowed = true
	r.Use(gin.Recovery(), secureHeaders, limitBody, sessionkit.Sessions(store, config))
	r.NoRoute(func(c *gin.Context) {
		refuse(c, http.StatusNotFound, "There is no such page.")
	})
	r.NoMethod(func(c *gin.Context) {
		refuse(c, http.StatusMethodNotAllowed, "This address does not take such a request.")
	})

	r.StaticFileFS("/static/style.css", "static/style.css", http.FS(files))
	r.GET("/", showHome)
	r.GET("/login", showLogin)
	r.POST("/login", logIn)
	r.POST("/logout", logOut)
	signedIn := sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"})
	r.POST("/logout/others", signedIn, logOutOthers)
	r.POST("/logout/everywhere", signedIn, logOutEverywhere)
	r.POST("/theme", setTheme)
	r.POST("/cart", addToCart)
	r.GET("/account", signedIn, showAccount)

	api := r.Group("/api")
	api.GET("/me", sessionkit.RequireSession(sessionkit.GuardConfig{Passive: true}), me)
	api.POST("/echo-flash", echoFlash)
	api.GET("/devices", sessionkit.RequireSession(), listDevices)
	api.POST("/devices/revoke", sessionkit.RequireSession(), revokeDevice)
	return r
}

// secureHeaders lets pages load this site's style sheet and send forms to this
// site, and nothing else.
func secureHeaders(c *gin.Context) {
	c.Header("Content-Security-Policy",
		"default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	c.Header("X-Content-Type-Options", "nosniff")
}

const maxBodyBytes = 64 << 10

// limitBody cuts off requests that are larger than any form here.
func limitBody(c *gin.Context) {
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxBodyBytes)
}
