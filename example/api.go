package main

import (
	"errors"
	"net/http"
	"time"
	"unicode/utf8"

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

// me tells how long the session will last if it is not used. Its guard is
// passive, so asking does not make it last longer.
func me(c *gin.Context) {
	s := sessionkit.Current(c)
	c.JSON(http.StatusOK, account{
		User:             s.User,
		CreatedAt:        s.CreatedAt.UTC(),
		SignedInAt:       s.SignedInAt.UTC(),
		ExpiresAt:        s.ExpiresAt.UTC(),
		RemainingSeconds: int64(max(0, time.Until(s.ExpiresAt)) / time.Second),
	})
}

const maxFlashBytes = 500

// echoFlash leaves a flash message for the next page, and answers with the
// messages that were waiting and this one.
func echoFlash(c *gin.Context) {
	var message struct {
		Level sessionkit.Level `form:"level" json:"level"`
		Text  string           `form:"text" json:"text"`
	}
	if err := c.ShouldBind(&message); err != nil {
		status := http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		refuse(c, status, "The body must be a form or a JSON object with the texts level and text.")
		return
	}
	switch message.Level {
	case sessionkit.Info, sessionkit.Success, sessionkit.Warning, sessionkit.Error:
	default:
		refuse(c, http.StatusUnprocessableEntity, "The level is info, success, warning or error.")
		return
	}
	if message.Text == "" || len(message.Text) > maxFlashBytes || !utf8.ValidString(message.Text) {
		refuse(c, http.StatusUnprocessableEntity, "The text is 1 to 500 bytes of UTF-8.")
		return
	}
	sessionkit.FlashNow(c, message.Level, message.Text) // for this answer
	flashes := sessionkit.Flashes(c)
	sessionkit.Flash(c, message.Level, message.Text) // for the next page
	c.JSON(http.StatusOK, gin.H{"flashes": flashes})
}
