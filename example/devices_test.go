package main_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	main "github.com/gin-sessionkit/sessionkit/example"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// device is one of those that the API lists.
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

func (b *browser) devices() []device {
	b.t.Helper()
	a := b.get("/api/devices")
	require.Equal(b.t, http.StatusOK, a.StatusCode, a.body)
	var list struct{ Devices []device }
	require.NoError(b.t, json.Unmarshal([]byte(a.body), &list))
	return list.Devices
}

func (b *browser) currentDevice() device {
	b.t.Helper()
	for _, d := range b.devices() {
		if d.Current {
			return d
		}
	}
	require.Fail(b.t, "no device is the current one")
	return device{}
}

// another returns a second browser for the same application.
func (b *browser) another() *browser { return browserOf(b.t, b.site, b.client.Transport) }

func TestDevices(t *testing.T) {
	phone := newBrowser(t)
	laptop := phone.another()
	phone.send(http.MethodPost, "/login", http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"}, "User-Agent": {"Phone/1.0"},
	}, "user=bob&password=opensesame&remember=on")
	laptop.signIn("bob")
	alice := phone.another()
	alice.signIn("alice")

	list := phone.devices()
	require.Len(t, list, 2, "alice's is not among them")
	assert.Equal(t, []bool{false, true}, []bool{list[0].Current, list[1].Current}, "the latest sign-in comes first")
	assert.Equal(t, "Phone/1.0", list[1].UserAgent)
	assert.Equal(t, "127.0.0.1", list[1].IP)
	assert.Equal(t, []bool{false, true}, []bool{list[0].Remembered, list[1].Remembered})
	for _, at := range []time.Time{list[1].SignedInAt, list[1].LastSeenAt} {
		assert.WithinDuration(t, time.Now(), at, 5*time.Second)
	}
	assert.WithinDuration(t, time.Now().Add(30*24*time.Hour), list[1].ExpiresAt, time.Minute)
	assert.Len(t, alice.devices(), 1)
}

// TestDevicesOfAnUnknownSignIn: nobody knows when the user of a session signed in that has moved
// from a store of gin-contrib.
func TestDevicesOfAnUnknownSignIn(t *testing.T) {
	old := cookie.NewStore([]byte("32 bytes that only the server has"))
	before := gin.New()
	before.GET("/", sessions.Sessions("old", old), func(c *gin.Context) {
		session := sessions.Default(c)
		session.Set("user", "alice")
		assert.NoError(t, session.Save())
	})
	now := memstore.New()
	t.Cleanup(func() { require.NoError(t, now.Close()) })
	moved := store.Migrate(old, now, "old", func(values map[any]any) string {
		user, _ := values["user"].(string)
		return user
	})
	b := browserOf(t, "http://localhost", handlerTransport{before})
	b.get("/")
	b.client.Transport = handlerTransport{main.NewServer(moved, sessionkit.Config{}).Handler}
	requireRedirect(t, "/account", b.post("/account/stay"))
	assert.Contains(t, b.get("/account").body, "<dd>at an unknown time</dd>")
	assert.Contains(t, b.get("/devices").body, "Signed in at an unknown time from")
}

func TestDevicesNeedASignIn(t *testing.T) {
	b := newBrowser(t)
	assert.Equal(t, http.StatusUnauthorized, b.get("/api/devices").StatusCode)
	assert.Equal(t, http.StatusUnauthorized, b.post("/api/devices/revoke", "id", "x").StatusCode)
	for _, path := range []string{"/logout/others", "/logout/everywhere"} {
		a := b.send(http.MethodPost, path, http.Header{"Accept": {"text/html"}}, "")
		requireRedirect(t, "/login?reason=not-signed-in", a)
	}
}

func TestRevokeADevice(t *testing.T) {
	phone := newBrowser(t)
	laptop, bob := phone.another(), phone.another()
	phone.signIn("alice")
	laptop.signIn("alice")
	bob.signIn("bob")
	assert.Equal(t, http.StatusUnprocessableEntity, laptop.post("/api/devices/revoke").StatusCode)

	lost := phone.currentDevice().ID
	require.Equal(t, http.StatusNoContent, bob.post("/api/devices/revoke", "id", lost).StatusCode)
	require.Equal(t, http.StatusOK, phone.get("/account").StatusCode, "bob cannot end alice's session")

	require.Equal(t, http.StatusNoContent, laptop.post("/api/devices/revoke", "id", lost).StatusCode)
	assert.Equal(t, http.StatusUnauthorized, phone.get("/api/me").StatusCode)
	assert.Len(t, laptop.devices(), 1)
	require.Equal(t, http.StatusNoContent, laptop.post("/api/devices/revoke", "id", laptop.currentDevice().ID).StatusCode)
	assert.Equal(t, http.StatusUnauthorized, laptop.get("/api/me").StatusCode)
}

// TestRevokeADeviceFromAnOldPage: what is said to be signed out is, also if the device
// was given another ID after the page with the devices was opened.
func TestRevokeADeviceFromAnOldPage(t *testing.T) {
	const done, old = "The device is signed out.", "Your list of devices was out of date."
	for _, test := range []struct {
		name      string
		age       time.Duration
		confirmed bool
		says      string
		lives     bool
	}{
		{"no other ID", 2 * time.Hour, false, done, false},
		{"another ID", time.Minute, true, old, false},
		{"another ID for long", 2 * time.Hour, true, old, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				phone := newBubbleBrowser(t, sessionkit.Config{IdleTimeout: 4 * time.Hour})
				laptop := phone.another()
				phone.signIn("bob")
				laptop.signIn("bob")
				shown := phone.currentDevice().ID
				if test.confirmed {
					phone.signIn("bob")
				}
				time.Sleep(test.age)
				requireRedirect(t, "/devices", laptop.post("/devices/revoke", "id", shown))
				page := laptop.get("/devices").body
				assert.Equal(t, test.says == done, strings.Contains(page, done))
				assert.Equal(t, test.says == old, strings.Contains(page, old))
				assert.Equal(t, test.lives, phone.get("/api/me").StatusCode == http.StatusOK)
				if test.lives {
					requireRedirect(t, "/devices", laptop.post("/devices/revoke", "id", phone.currentDevice().ID))
					assert.Contains(t, laptop.get("/devices").body, done)
					assert.Equal(t, http.StatusUnauthorized, phone.get("/api/me").StatusCode)
				}
			})
		})
	}
}

func TestLogOutOthers(t *testing.T) {
	phone := newBrowser(t)
	laptop, bob := phone.another(), phone.another()
	phone.signIn("alice")
	laptop.signIn("alice")
	bob.signIn("bob")
	requireRedirect(t, "/devices", laptop.post("/logout/others"))
	assert.Contains(t, laptop.get("/devices").body, "All your other devices are signed out.")
	assert.Equal(t, http.StatusUnauthorized, phone.get("/api/me").StatusCode)
	assert.Equal(t, http.StatusOK, bob.get("/api/me").StatusCode)
}

func TestLogOutEverywhere(t *testing.T) {
	phone := newBrowser(t)
	laptop, bob := phone.another(), phone.another()
	phone.signIn("alice")
	laptop.signIn("alice")
	bob.signIn("bob")
	requireRedirect(t, "/", laptop.post("/logout/everywhere"))
	assert.Contains(t, laptop.get("/").body, "You are signed out on all your devices.")
	assert.Equal(t, http.StatusUnauthorized, laptop.get("/api/me").StatusCode)
	assert.Equal(t, http.StatusUnauthorized, phone.get("/api/me").StatusCode)
	assert.Equal(t, http.StatusOK, bob.get("/api/me").StatusCode)
}
