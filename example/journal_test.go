package main_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEventsOfASession(t *testing.T) {
	b := newBrowser(t)
	nothing := b.get("/events")
	assert.Contains(t, nothing.body, "you have no session")
	assert.Empty(t, nothing.Cookies())

	secret := b.post("/cart", "item", "tea").sessionCookie(t).Value
	b.signIn("alice")
	page := b.get("/events").body
	assert.Regexp(t, `(?s)POST /login.*signed-in.*User: alice.*POST /cart.*created`, page, "the latest comes first")
	assert.Equal(t, 2, strings.Count(page, `<code><strong>session</strong>=(secret); Path=/; HttpOnly; SameSite=Lax</code>`))
	assert.NotContains(t, page, secret)
}

func TestEventsFromAnotherBrowser(t *testing.T) {
	phone := newBrowser(t)
	laptop := phone.another()
	phone.signIn("alice")
	laptop.signIn("alice")
	require.Equal(t, http.StatusNoContent, laptop.post("/api/devices/revoke", "id", phone.currentDevice().ID).StatusCode)
	page := phone.get("/events").body
	assert.Contains(t, page, "From another browser")
	assert.NotContains(t, page, "rejected", "the browser has made nothing up")
	a := phone.get("/account")
	requireRedirect(t, "/login?next=%2Faccount&reason=revoked", a)
	assert.Contains(t, phone.get(a.Header.Get("Location")).body, "Your session was ended.")
	assert.NotContains(t, laptop.get("/events").body, "From another browser")
}

func TestEventsAreOfOneUser(t *testing.T) {
	b := newBrowser(t)
	b.signIn("alice")
	b.post("/logout")
	assert.Regexp(t, `(?s)signed-out.*signed-in.*User: alice`, b.get("/events").body)
	b.signIn("bob")
	page := b.get("/events").body
	assert.Contains(t, page, "User: bob")
	assert.NotContains(t, page, "alice")
	assert.NotContains(t, b.another().get("/events").body, "bob")
}

func TestEventsAreForgotten(t *testing.T) {
	b := newBrowser(t)
	b.post("/cart", "item", "tea")
	for range 25 {
		b.post("/theme", "theme", "dark")
	}
	page := b.get("/events").body
	assert.Equal(t, 20, strings.Count(page, "POST /theme"))
	assert.NotContains(t, page, "created")
	for range 1000 {
		b.another().post("/cart", "item", "tea")
	}
	assert.Contains(t, b.get("/events").body, "Nothing yet")
}
