package main

import (
	"errors"
	"net/http"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// levels are those that the style sheet knows.
var levels = []sessionkit.Level{sessionkit.Info, sessionkit.Success, sessionkit.Warning, sessionkit.Error}

// message is what the form and the API take.
type message struct {
	Level sessionkit.Level `form:"level" json:"level"`
	Text  string           `form:"text" json:"text"`
	When  string           `form:"when" json:"-"`
}

func showMessages(c *gin.Context) {
	render(c, http.StatusOK, "messages", "Flash messages", levels)
}

// leaveMessage leaves a message for the next page, or shows it on this one.
func leaveMessage(c *gin.Context) {
	m, ok := readMessage(c)
	if !ok {
		return
	}
	if m.When == "now" {
		sessionkit.FlashNow(c, m.Level, m.Text) // for this answer: nothing is stored
		showMessages(c)
		return
	}
	sessionkit.Flash(c, m.Level, m.Text) // waits in the session
	c.Redirect(http.StatusSeeOther, "/messages")
}

// echoFlash leaves a flash message for the next page, and answers with the
// messages that were waiting and this one.
func echoFlash(c *gin.Context) {
	m, ok := readMessage(c)
	if !ok {
		return
	}
	sessionkit.FlashNow(c, m.Level, m.Text) // for this answer
	flashes := sessionkit.Flashes(c)
	sessionkit.Flash(c, m.Level, m.Text) // for the next page
	c.JSON(http.StatusOK, gin.H{"flashes": flashes})
}

const maxFlashBytes = 500

// readMessage reads a form or JSON. Where it is false it has answered.
func readMessage(c *gin.Context) (m message, ok bool) {
	if err := c.ShouldBind(&m); err != nil {
		status := http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		refuse(c, status, "The body must be a form or a JSON object with the texts level and text.")
		return m, false
	}
	switch m.Level {
	case sessionkit.Info, sessionkit.Success, sessionkit.Warning, sessionkit.Error:
	default:
		refuse(c, http.StatusUnprocessableEntity, "The level is info, success, warning or error.")
		return m, false
	}
	if m.Text == "" || len(m.Text) > maxFlashBytes || !utf8.ValidString(m.Text) {
		refuse(c, http.StatusUnprocessableEntity, "The text is 1 to 500 bytes of UTF-8.")
		return m, false
	}
	return m, true
}
