package main

import (
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// device is one of the user's sessions, as the page and the API show it.
type device struct {
	ID         string    `json:"id"`
	Current    bool      `json:"current"`
	Name       string    `json:"name"`
	UserAgent  string    `json:"user_agent"`
	IP         string    `json:"ip"`
	SignedInAt time.Time `json:"signed_in_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	Remembered bool      `json:"remembered"`
	Bound      bool      `json:"bound"` // to the device: see Config.DeviceBound
	ProvedAt   time.Time `json:"proved_at,omitzero"`
}

// devicesOf returns the signed-in user's devices, the latest sign-in first. Where
// they cannot be told it has answered the request.
func devicesOf(c *gin.Context) ([]device, bool) {
	sessions, err := sessionkit.Devices(c)
	if err != nil {
		refuse(c, http.StatusServiceUnavailable, "We can’t list your devices right now. Please try again in a moment.")
		return nil, false
	}
	current := sessionkit.Current(c).ID
	list := make([]device, 0, len(sessions))
	for _, s := range sessions {
		list = append(list, device{
			ID: s.ID, Current: s.ID == current, Name: browserName(s.UserAgent), UserAgent: s.UserAgent, IP: s.IP,
			SignedInAt: s.SignedInAt.UTC(), LastSeenAt: s.LastSeenAt.UTC(), ExpiresAt: s.ExpiresAt.UTC(),
			Remembered: s.Remembered, Bound: s.Bound, ProvedAt: s.ProvedAt.UTC(),
		})
	}
	return list, true
}

func showDevices(c *gin.Context) {
	if list, ok := devicesOf(c); ok {
		render(c, http.StatusOK, "devices", "Your devices", list)
	}
}

func listDevices(c *gin.Context) {
	if list, ok := devicesOf(c); ok {
		c.JSON(http.StatusOK, gin.H{"devices": list})
	}
}

// revoke ends the session that the field id names, if it is one of the user's own:
// any other does nothing. Where it is false it has answered the request.
func revoke(c *gin.Context) bool {
	id := c.PostForm("id")
	if id == "" {
		refuse(c, http.StatusUnprocessableEntity, "The field id names the device to sign out.")
		return false
	}
	if err := sessionkit.Revoke(c, id); err != nil {
		refuse(c, http.StatusServiceUnavailable, "The device could not be signed out. Try again.")
		return false
	}
	return true
}

// signOutDevice is for the page, revokeDevice for programs. The page may be hours old,
// and the device may have been given another ID since. Revoke knows that for an hour, and
// ignores the ID later, so only one that is in the list now is said to be signed out.
func signOutDevice(c *gin.Context) {
	list, ok := devicesOf(c)
	if !ok || !revoke(c) {
		return
	}
	if slices.ContainsFunc(list, func(d device) bool { return d.ID == c.PostForm("id") }) {
		sessionkit.Flash(c, sessionkit.Success, "The device is signed out.")
	} else {
		sessionkit.Flash(c, sessionkit.Warning, "Your list of devices was out of date. If the device is still in it, sign it out again.")
	}
	c.Redirect(http.StatusSeeOther, "/devices")
}

func revokeDevice(c *gin.Context) {
	if revoke(c) {
		c.Status(http.StatusNoContent)
	}
}
