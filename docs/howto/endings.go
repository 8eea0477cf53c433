package howto

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
)

// Accounts is what an application knows of its users.
type Accounts interface {
	SetPassword(ctx context.Context, user, password string) error
	Delete(ctx context.Context, user string) error
}

// Security adds what ends sessions to the routes of an application.
func Security(r gin.IRouter, accounts Accounts) {
	fresh := sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login", FreshWithin: 10 * time.Minute})
	r.POST("/password", fresh, func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		err := accounts.SetPassword(c, user, c.PostForm("new")) // first
		if err == nil {
			err = sessionkit.LogoutOthers(c) // this browser stays signed in
		}
		answer(c, err)
	})
	r.POST("/devices/revoke", fresh, func(c *gin.Context) {
		answer(c, sessionkit.Revoke(c, c.PostForm("id"))) // an ID of sessionkit.Devices(c)
	})
	r.POST("/account/delete", fresh, func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		err := accounts.Delete(c, user) // first
		if err == nil {
			err = sessionkit.LogoutEverywhere(c)
		}
		answer(c, err)
	})
}

func answer(c *gin.Context, err error) {
	if err != nil {
		c.AbortWithStatus(http.StatusServiceUnavailable)
		return
	}
	c.Redirect(http.StatusSeeOther, "/")
}

// CloseAccount ends all sessions of a user, from outside of the user's own requests.
func CloseAccount(ctx context.Context, s *store.Store, accounts Accounts, user string) error {
	if err := accounts.Delete(ctx, user); err != nil { // first
		return err
	}
	_, err := s.RevokeAll(ctx, user)
	return err
}

// AfterLeak ends the sessions of everybody, visitors included.
func AfterLeak(ctx context.Context, s *store.Store) (ended int, err error) {
	return s.RevokeEveryone(ctx)
}
