package howto

import (
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

var actingFor = sessionkit.NewKey[string]("acting_for")

// Behalf returns whose account a request is about, and which agent of the support
// acts for them, "" if they act themselves.
func Behalf(c *gin.Context, isAgent func(user string) bool) (customer, agent string) {
	user, _ := sessionkit.User(c)
	if customer, ok := actingFor.Get(c); ok && isAgent(user) { // looked up, so that a role that is taken away counts at once
		return customer, user
	}
	return user, ""
}

// Support adds what lets agents act for customers. isCustomer is false for whoever has
// rights of their own, such as agents and administrators, and for users that do not exist.
func Support(r gin.IRouter, isAgent, isCustomer func(user string) bool, log *slog.Logger) {
	agents := sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login", Check: func(c *gin.Context) bool {
		user, ok := sessionkit.User(c)
		return ok && isAgent(user)
	}})
	r.POST("/act", agents, func(c *gin.Context) {
		agent, _ := sessionkit.User(c)
		customer := c.PostForm("customer")
		if !isCustomer(customer) { // nobody, or somebody with rights of their own
			c.AbortWithStatus(http.StatusForbidden)
			return
		}
		actingFor.Set(c, customer)
		sessionkit.Renew(c) // a change of privilege
		log.InfoContext(c, "begins to act", "customer", customer, "agent", agent)
		c.Redirect(http.StatusSeeOther, "/account")
	})
	signedIn := sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"})
	r.POST("/act/end", signedIn, func(c *gin.Context) {
		actingFor.Delete(c)
		sessionkit.Renew(c)
		c.Redirect(http.StatusSeeOther, "/")
	})
}

// Themselves is a guard of what an agent must not do for a customer.
func Themselves(isAgent func(user string) bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		if _, agent := Behalf(c, isAgent); agent != "" {
			c.AbortWithStatus(http.StatusForbidden) // passwords, payments, devices: only the customer
		}
	}
}
