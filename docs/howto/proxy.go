package howto

import (
	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// BehindProxy is an application behind a proxy that ends TLS.
func BehindProxy(store sessions.Store, proxy string) (*gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode) // or GIN_MODE=release
	r := gin.New()
	if err := r.SetTrustedProxies([]string{proxy}); err != nil { // whose X-Forwarded-For counts
		return nil, err
	}
	r.Use(sessionkit.Sessions(store))
	return r, nil
}

// LocalNetwork is the middleware for a network without TLS.
func LocalNetwork(store sessions.Store) gin.HandlerFunc {
	return sessionkit.Sessions(store, sessionkit.Config{InsecureHTTP: true}) // anybody on this network can read the cookies
}
