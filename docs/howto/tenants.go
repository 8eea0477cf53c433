package howto

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// Tenants adds the accounts of tenants that have a host and users of their own each. tenantOf
// returns whose a host is, "" if nobody's, and check the ID of who has the password there.
func Tenants(r gin.IRouter, tenantOf func(host string) string, check func(tenant, name, password string) (id string, ok bool)) {
	r.POST("/login", func(c *gin.Context) {
		tenant := tenantOf(c.Request.Host)
		id, ok := check(tenant, c.PostForm("name"), c.PostForm("password"))
		if !ok {
			c.AbortWithStatus(http.StatusForbidden)
			return
		}
		sessionkit.Login(c, tenant+"/"+id) // "bank/1" and "shop/1" are two users
		c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/account"))
	})
	account := r.Group("/account", sessionkit.RequireSession(sessionkit.GuardConfig{
		LoginURL: "/login",
		Check: func(c *gin.Context) bool {
			_, ok := UserAt(c, tenantOf(c.Request.Host))
			return ok
		},
	}))
	account.GET("", func(c *gin.Context) {
		id, _ := UserAt(c, tenantOf(c.Request.Host))
		c.String(http.StatusOK, id)
	})
}

// UserAt returns the ID of the signed-in user if that is one of the tenant's.
func UserAt(c *gin.Context, tenant string) (id string, ok bool) {
	user, _ := sessionkit.User(c)
	id, ok = strings.CutPrefix(user, tenant+"/")
	return id, ok && tenant != ""
}
