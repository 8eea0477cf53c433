package main

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
)

// journal remembers, in memory and for a while, what happened to each session. It
// is made of what the middleware tells OnEvent and of the cookies that responses set.
type journal struct {
	mu     sync.Mutex
	trails map[string]*trail // by session ID; the sessions that follow each other in one browser share one
	ids    []string          // of trails, the oldest first
}

// trail is what happened in one browser, the latest last.
type trail struct {
	user    string // who has signed in; another user does not get to see it
	entries []entry
}

// entry is a request that did something.
type entry struct {
	At           time.Time
	Method, Path string // "" for what was done from another browser
	Status       int
	Events       []sessionkit.Event
	Cookies      []sentCookie
}

const (
	maxTrails  = 1000
	maxEntries = 20
)

func newJournal() *journal { return &journal{trails: make(map[string]*trail)} }

type heardKey struct{}

// hear is Config.OnEvent. It runs inside the request that the event is of.
func (j *journal) hear(c *gin.Context, e sessionkit.Event) {
	c.Set(heardKey{}, append(heard(c), e))
}

func heard(c *gin.Context) []sessionkit.Event {
	value, _ := c.Get(heardKey{})
	events, _ := value.([]sessionkit.Event)
	return events
}

// watch is a middleware around sessionkit's: when the handlers have returned, the
// response has its cookies.
func (j *journal) watch(c *gin.Context) {
	c.Next()
	events, cookies := heard(c), sentCookies(c.Writer.Header())
	if len(events) == 0 && len(cookies) == 0 {
		return
	}
	e := entry{
		At: time.Now(), Method: kept(c.Request.Method, 20), Path: kept(c.Request.URL.Path, 200), Status: c.Writer.Status(),
		Events: events, Cookies: cookies,
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.note(e, sessionOf(c.Request))
}

// kept returns a copy of at most limit bytes of a text that a client has chosen. Even a
// short one may be a part of the whole request, which it would keep in memory.
func kept(text string, limit int) string {
	if len(text) <= limit {
		return strings.Clone(text)
	}
	return strings.ToValidUTF8(text[:limit], "") + "…" // the cut may have halved a character
}

// note adds an entry to the trail of the session that the request came with, and
// of those that it made of it. Sessions ended from here learn of it too.
func (j *journal) note(e entry, id string) {
	var own []string
	if id != "" {
		own = append(own, id)
	}
	user := ""
	for _, event := range e.Events {
		switch other := j.trails[event.SessionID]; {
		case event.Kind == sessionkit.EventRevoked && event.SessionID != id:
			if other != nil {
				other.add(entry{At: e.At, Events: []sessionkit.Event{event}})
			}
		case event.SessionID != "":
			own = append(own, event.SessionID)
		}
		if event.Kind == sessionkit.EventSignedIn {
			user = event.User
		}
	}
	t := j.find(own)
	if user != "" && t.user != "" && t.user != user {
		t = &trail{}
	}
	if user != "" {
		t.user = user
	}
	t.add(e)
	j.link(own, t)
}

// find returns the trail of one of the sessions, or a new one.
func (j *journal) find(ids []string) *trail {
	for _, id := range ids {
		if t := j.trails[id]; t != nil {
			return t
		}
	}
	return &trail{}
}

// link makes a trail that of the sessions. What is too much is forgotten.
func (j *journal) link(ids []string, t *trail) {
	for _, id := range ids {
		if j.trails[id] == nil {
			j.ids = append(j.ids, id)
		}
		j.trails[id] = t
	}
	for len(j.ids) > maxTrails {
		delete(j.trails, j.ids[0])
		j.ids = j.ids[1:]
	}
}

func (t *trail) add(e entry) {
	t.entries = append(t.entries, e)
	if len(t.entries) > maxEntries {
		t.entries = t.entries[1:]
	}
}

// of returns what happened to a session, the latest first.
func (j *journal) of(id string) []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	t := j.find([]string{id})
	list := make([]entry, 0, len(t.entries))
	for i := range t.entries {
		list = append(list, t.entries[len(t.entries)-1-i])
	}
	return list
}

// sessionCookies are the names of the session's cookie: over plain HTTP on this
// machine, and over TLS.
var sessionCookies = []string{"session", "__Host-Http-session"}

// boundCookie is the name of the cookie that a bound session needs as well. It is no less
// of a secret.
const boundCookie = "__Host-session-bound"

// sessionOf returns the public ID of the session whose cookie came, also if it has
// ended since.
func sessionOf(r *http.Request) string {
	for _, name := range sessionCookies {
		if cookie, err := r.Cookie(name); err == nil {
			id, _ := store.ID(cookie.Value)
			return id
		}
	}
	return ""
}

// sentCookie is a cookie that a response set.
type sentCookie struct{ Name, Value, Attributes string }

func sentCookies(header http.Header) []sentCookie {
	lines := header.Values("Set-Cookie")
	list := make([]sentCookie, 0, len(lines))
	for _, line := range lines {
		pair, attributes, _ := strings.Cut(line, "; ")
		name, value, _ := strings.Cut(pair, "=")
		list = append(list, sentCookie{Name: strings.Clone(name), Value: shown(name, value), Attributes: strings.Clone(attributes)})
	}
	return list
}
