package ginstores_test

import (
	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
)

// newRulesSite returns an application with what the rules are tried on.
func newRulesSite(s sessions.Store, config sessionkit.Config) *kittest.Site {
	a := kittest.NewSite(s, config)
	a.On("/set", kittest.Increment)
	a.On("/login", kittest.SignIn("42"))
	a.On("/remember", kittest.SignIn("42", sessionkit.Remember()))
	a.On("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
	a.On("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
	a.On("/account", sessionkit.RequireSession(), kittest.Whoami)
	a.On("/count", kittest.ShowCount)
	a.On("/", kittest.Whoami)
	return a
}
