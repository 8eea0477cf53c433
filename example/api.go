package main

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// account is what the API tells of the session.
type account struct {
	User             string    `json:"user"`
	CreatedAt        time.Time `json:"created_at"`
	SignedInAt       time.Time `json:"signed_in_at"`
	ExpiresAt        time.Time `json:"expires_at"`
	RemainingSeconds int64     `json:"remaining_seconds"`
}

// me tells who is signed in, and for how long if the session is not used. Its
// guard is passive, so asking does not make it last longer.
func me(c *gin.Context) {
	s := sessionkit.Current(c)
	c.JSON(http.StatusOK, account{
		User:             s.User,
		CreatedAt:        s.CreatedAt.UTC(),
		SignedInAt:       s.SignedInAt.UTC(),
		ExpiresAt:        s.ExpiresAt.UTC(),
		RemainingSeconds: secondsUntil(s.ExpiresAt),
	})
}
