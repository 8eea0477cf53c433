package main

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

type eventsData struct {
	Session  sessionkit.Session
	Now      []sessionkit.Event // what this very request has brought to light
	Entries  []entry
	Received []sentCookie
}

// showEvents lists what happened to the session, or to the one that the browser
// had until it ended.
func (a *app) showEvents(c *gin.Context) {
	s := sessionkit.Current(c)
	id := s.ID
	if id == "" {
		id = sessionOf(c.Request)
	}
	data := eventsData{Session: s, Now: heard(c), Entries: a.journal.of(id)}
	for _, cookie := range c.Request.Cookies() {
		data.Received = append(data.Received, sentCookie{Name: cookie.Name, Value: shown(cookie.Name, cookie.Value)})
	}
	render(c, http.StatusOK, "events", "What just happened", data)
}

// shown returns what may be shown of a cookie's value. That of the session opens
// it, so it is never shown, not even to its owner.
func shown(name, value string) string {
	const limit = 32
	switch {
	case value == "":
		return "(deleted)"
	case slices.Contains(sessionCookies, name) || name == boundCookie:
		return "(secret)"
	case len(value) > limit:
		return value[:limit] + "…"
	}
	return value
}

// meanings say what an event tells.
var meanings = map[sessionkit.EventKind]string{
	sessionkit.EventCreated:     "A session was stored for the first time.",
	sessionkit.EventSignedIn:    "The sign-in was saved, under a new session ID. The old ID is dead.",
	sessionkit.EventRenewed:     "The session has a new ID. The old one is dead.",
	sessionkit.EventSignedOut:   "The session was removed from the store.",
	sessionkit.EventExpired:     "A request came for a session that had run out.",
	sessionkit.EventRevoked:     "The session was ended from another browser.",
	sessionkit.EventRejected:    "A cookie came that names no session, any more or ever.",
	sessionkit.EventCrossOrigin: "A form that another site sent here was refused.",
	sessionkit.EventStoreError:  "The store failed.",

	sessionkit.EventBound:        "The session was bound to this device: it needs a second cookie now, which only the device can renew.",
	sessionkit.EventUnbound:      "A request came without that cookie. It did not count as signed in.",
	sessionkit.EventProofRefused: "A device proved nothing: its signature is wrong.",
}

func meaning(kind sessionkit.EventKind) string { return meanings[kind] }
