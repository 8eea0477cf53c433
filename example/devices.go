package main

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// device is what the API tells of one of the user's sessions.
type device struct {
	ID         string    `json:"id"`
	Current    bool      `json:"current"`
	UserAgent  string    `json:"user_agent"`
	IP         string    `json:"ip"`
	SignedInAt time.Time `json:"signed_in_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	Remembered bool      `json:"remembered"`
}

// devicesOf returns the signed-in user's devices, the latest sign-in first. It has
// answered the request where they cannot be told.
func devicesOf(c *gin.Context) ([]device, bool) {
	sessions, err := sessionkit.Devices(c)
	if err != nil {
		refuse(c, http.StatusServiceUnavailable, "Your devices cannot be told just now. Try again.")
		return nil, false
	}
	current := sessionkit.Current(c).ID
	list := make([]device, 0, len(sessions))
	for _, s := range sessions {
		list = append(list, device{
			ID: s.ID, Current: s.ID == current, UserAgent: s.UserAgent, IP: s.IP,
			SignedInAt: s.SignedInAt.UTC(), LastSeenAt: s.LastSeenAt.UTC(), ExpiresAt: s.ExpiresAt.UTC(),
			Remembered: s.Remembered,
		})
	}
	return list, true
}

func listDevices(c *gin.Context) {
	if list, ok := devicesOf(c); ok {
		c.JSON(http.StatusOK, gin.H{"devices": list})
	}
}

// revokeDevice ends one of the user's own sessions: any other ID does nothing.
func revokeDevice(c *gin.Context) {
	id := c.PostForm("id")
	if id == "" {
		refuse(c, http.StatusUnprocessableEntity, "The field id names the device to sign out.")
		return
	}
	if err := sessionkit.Revoke(c, id); err != nil {
		refuse(c, http.StatusServiceUnavailable, "The device could not be signed out. Try again.")
		return
	}
	c.Status(http.StatusNoContent)
}
