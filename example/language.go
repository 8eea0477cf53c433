package main

import (
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// language is a signed cookie: the browser's user can read it, and what they
// change in it is noticed.
var language = sessionkit.NewCookie[string]("language", sessionkit.CookieOptions{
	MaxAge: 365 * 24 * time.Hour, Protection: sessionkit.Signed,
})

// greeting is how the home page says hello.
type greeting struct{ Code, Name, Text string }

var greetings = []greeting{
	{"en", "English", "Good to see you"},
	{"de", "Deutsch", "Schön, dass du da bist"},
	{"fr", "Français", "Ravi de vous voir"},
	{"es", "Español", "Qué bueno verte"},
	{"pt", "Português", "Que bom ver você"},
	{"it", "Italiano", "Che bello vederti"},
}

func greetingOf(code string) (greeting, bool) {
	for _, g := range greetings {
		if g.Code == code {
			return g, true
		}
	}
	return greetings[0], false
}

// chosenGreeting is in the language of the cookie, or in English.
func chosenGreeting(c *gin.Context) greeting {
	code, _ := language.Get(c)
	g, _ := greetingOf(code)
	return g
}

type preferencesData struct {
	Greetings []greeting
	Chosen    greeting
	Sealed    string // the cookie as the browser has it, "" if it has none
	Problem   string // why the cookie is not believed
}

func showPreferences(c *gin.Context) {
	data := preferencesData{Greetings: greetings, Chosen: chosenGreeting(c)}
	data.Sealed, _ = sessionkit.GetCookie(c, "language")
	_, err := language.Get(c)
	switch {
	case errors.Is(err, sessionkit.ErrCookieTampered):
		data.Problem = "ErrCookieTampered: this site did not seal it"
	case errors.Is(err, sessionkit.ErrCookieExpired):
		data.Problem = "ErrCookieExpired: it is older than a year"
	case err != nil && !errors.Is(err, http.ErrNoCookie):
		data.Problem = "ErrCookieMalformed: it is no text"
	}
	render(c, http.StatusOK, "preferences", "Preferences", data)
}

func setLanguage(c *gin.Context) {
	chosen, ok := greetingOf(c.PostForm("language"))
	if !ok {
		refuse(c, http.StatusUnprocessableEntity, "This language is not known here.")
		return
	}
	if err := language.Set(c, chosen.Code); err != nil {
		panic(err) // it is short, the response has not begun, and there is a secret
	}
	sessionkit.Flash(c, sessionkit.Success, "You are greeted in: "+chosen.Name)
	c.Redirect(http.StatusSeeOther, "/preferences")
}

// editLanguage puts what the visitor typed into the cookie, as they could in the
// browser's developer tools.
func editLanguage(c *gin.Context) {
	err := sessionkit.SetCookie(c, "language", c.PostForm("value"), sessionkit.CookieOptions{MaxAge: 365 * 24 * time.Hour})
	if err != nil {
		refuse(c, http.StatusUnprocessableEntity, "A cookie cannot be that long: browsers keep 4096 bytes.")
		return
	}
	c.Redirect(http.StatusSeeOther, "/preferences#language-cookie")
}

func forgetLanguage(c *gin.Context) {
	language.Delete(c)
	c.Redirect(http.StatusSeeOther, "/preferences")
}
