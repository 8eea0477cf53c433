package main

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
)

// administrators may see and end everybody's sessions.
var administrators = []string{"alice"}

// isAdministrator is for [sessionkit.GuardConfig].Check: who is signed in as somebody
// else gets a 403.
func isAdministrator(c *gin.Context) bool {
	user, _ := sessionkit.User(c)
	return slices.Contains(administrators, user)
}

// administratorsIdle is how long an administrator's session may stay unused, also one
// that is remembered.
const administratorsIdle = 15 * time.Minute

// signInFor returns what is special about a user's sign-in.
func (a *app) signInFor(user string) []sessionkit.LoginOption {
	if !slices.Contains(administrators, user) {
		return nil
	}
	idle := administratorsIdle
	if a.config.IdleTimeout > 0 {
		idle = min(idle, a.config.IdleTimeout)
	}
	return []sessionkit.LoginOption{sessionkit.IdleTimeout(idle)}
}

// forAdministrators adds what goes beyond one's own sessions.
func (a *app) forAdministrators(r *gin.Engine) {
	admin := r.Group("/admin", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login", Check: isAdministrator}))
	admin.GET("", a.showSessions)
	admin.POST("/revoke", a.endSession)
	admin.POST("/revoke-user", a.endUser)
	admin.POST("/revoke-everyone", a.endEveryone)
}

type sessionsData struct {
	Counts   store.Counts
	Sessions []listedSession
	Current  string
}

type listedSession struct {
	store.Session

	Browser string
}

// maxListed is how many sessions the page shows.
const maxListed = 100

func (a *app) showSessions(c *gin.Context) {
	data := sessionsData{Current: sessionkit.Current(c).ID}
	var err error
	if data.Counts, err = a.sessions.Count(c); err != nil {
		refuse(c, http.StatusServiceUnavailable, "The sessions can’t be counted right now. Please try again in a moment.")
		return
	}
	for s, err := range a.sessions.All(c) {
		if err != nil {
			refuse(c, http.StatusServiceUnavailable, "The sessions can’t be listed right now. Please try again in a moment.")
			return
		}
		if len(data.Sessions) == maxListed {
			break
		}
		data.Sessions = append(data.Sessions, listedSession{s, browserName(s.UserAgent)})
	}
	slices.SortFunc(data.Sessions, func(a, b listedSession) int { return b.LastSeenAt.Compare(a.LastSeenAt) })
	render(c, http.StatusOK, "admin", "All sessions", data)
}

func (a *app) endSession(c *gin.Context) {
	user, id := c.PostForm("user"), c.PostForm("id")
	if id == sessionkit.Current(c).ID {
		logOut(c)
		return
	}
	listed, err := a.isListed(c, user, id)
	if err = errors.Join(err, a.sessions.Revoke(c, user, id)); err != nil {
		refuse(c, http.StatusServiceUnavailable, "The session could not be ended. Try again.")
		return
	}
	if listed {
		sessionkit.Flash(c, sessionkit.Success, "The session has ended.")
	} else { // see signOutDevice
		sessionkit.Flash(c, sessionkit.Warning, "Your list of sessions was out of date. If the session is still in it, end it again.")
	}
	c.Redirect(http.StatusSeeOther, "/admin")
}

// isListed reports whether a session has this ID and this user now. Those of nobody are found in the
// list of all alone.
func (a *app) isListed(c *gin.Context, user, id string) (bool, error) {
	for s, err := range a.sessions.All(c) {
		if err != nil {
			return false, err
		}
		if s.User == user && s.ID == id {
			return true, nil
		}
	}
	return false, nil
}

func (a *app) endUser(c *gin.Context) {
	user := c.PostForm("user")
	if own, _ := sessionkit.User(c); user == own {
		logOutEverywhere(c)
		return
	}
	if _, err := a.sessions.RevokeAll(c, user); err != nil {
		refuse(c, http.StatusServiceUnavailable, "The sessions could not be ended. Try again.")
		return
	}
	sessionkit.Flash(c, sessionkit.Success, user+" is signed out everywhere.")
	c.Redirect(http.StatusSeeOther, "/admin")
}

// endEveryone ends the administrator's own session as well.
func (a *app) endEveryone(c *gin.Context) {
	if _, err := a.sessions.RevokeEveryone(c); err != nil {
		refuse(c, http.StatusServiceUnavailable, "Not everybody could be signed out. Try again.")
		return
	}
	sessionkit.Logout(c)
	sessionkit.Flash(c, sessionkit.Info, "Everybody is signed out.") // in a new session
	c.Redirect(http.StatusSeeOther, "/")
}
