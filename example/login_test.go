package main_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	main "github.com/gin-sessionkit/sessionkit/example"
)

func TestSignInAndOut(t *testing.T) {
	b := newBrowser(t)
	requireRedirect(t, "/", b.post("/cart", "item", "tea"))
	requireRedirect(t, "/login?next=%2Faccount&reason=not-signed-in", b.get("/account"))

	requireRedirect(t, "/account", b.signIn("alice"))
	account := b.get("/account").body
	assert.Contains(t, account, "Welcome back")
	assert.Contains(t, account, `<dd id="user">alice</dd>`)
	assert.Contains(t, account, "<span>tea</span>", "the visitor's cart is the user's")
	assert.NotContains(t, b.get("/account").body, "Welcome back", "a flash message is shown once")

	requireRedirect(t, "/", b.post("/logout"))
	home := b.get("/").body
	assert.Contains(t, home, "You are signed out.")
	assert.Contains(t, home, "The cart is empty.")
	assert.Equal(t, http.StatusSeeOther, b.get("/account").StatusCode)
}

func TestSigningInChangesTheCookie(t *testing.T) {
	b := newBrowser(t)
	before := b.post("/cart", "item", "tea").sessionCookie(t).Value
	after := b.signIn("alice").sessionCookie(t)
	require.NotEqual(t, before, after.Value)
	require.Zero(t, after.MaxAge, "it ends with the browser")

	old := newBrowser(t)
	old.site, old.client.Transport = b.site, b.client.Transport
	a := old.send(http.MethodGet, "/api/me", http.Header{"Cookie": {"session=" + before}}, "")
	require.Equal(t, http.StatusUnauthorized, a.StatusCode)
}

func TestWrongPassword(t *testing.T) {
	b := newBrowser(t)
	pages := map[string]string{}
	for user, password := range map[string]string{"alice": "opensesam", "nobody": "opensesame", "": "", "Alice": "opensesame"} {
		a := b.post("/login", "user", user, "password", password, "remember", "on", "next", "/account?a=b")
		require.Equal(t, http.StatusUnauthorized, a.StatusCode, user)
		assert.Contains(t, a.body, `name="user" value="`+user+`"`)
		assert.Contains(t, a.body, `name="remember" value="on" checked`)
		assert.Contains(t, a.body, `name="next" value="/account?a=b"`)
		assert.NotContains(t, a.body, "opensesam\"")
		assert.Empty(t, a.Cookies())
		pages[strings.Replace(a.body, `value="`+user+`"`, "", 1)] = user
	}
	assert.Len(t, pages, 1, "the page does not tell what was wrong")
	assert.Equal(t, http.StatusUnauthorized, b.get("/api/me").StatusCode)
}

// accounts are the application's own; the tests use cheaper hashes.
var accounts map[string]string

func TestAccounts(t *testing.T) {
	require.Len(t, accounts, 2)
	for user, hash := range accounts {
		require.NoError(t, bcrypt.CompareHashAndPassword([]byte(hash), []byte("opensesame")), user)
		cost, err := bcrypt.Cost([]byte(hash))
		require.NoError(t, err)
		assert.GreaterOrEqual(t, cost, 10)
		nobodys, err := bcrypt.Cost([]byte(main.NobodysHash))
		require.NoError(t, err)
		assert.Equal(t, cost, nobodys, "the time an answer takes would tell who has an account")
	}
}

func TestPasswordsPastTheHashedLength(t *testing.T) {
	b := newBrowser(t)
	a := b.post("/login", "user", "alice", "password", strings.Repeat("opensesame", 100))
	require.Equal(t, http.StatusUnauthorized, a.StatusCode)
}

func TestNextIsFollowedOnThisSiteOnly(t *testing.T) {
	b := newBrowser(t)
	for next, want := range map[string]string{
		"/account?tab=cart":     "/account?tab=cart",
		"https://evil.example/": "/account",
		"//evil.example":        "/account",
	} {
		requireRedirect(t, want, b.signIn("alice", "next", next))
	}
}

func TestLoginPageCarriesNext(t *testing.T) {
	b := newBrowser(t)
	a := b.get(b.get("/account?tab=cart").Header.Get("Location"))
	assert.Contains(t, a.body, "Please sign in to see this page.")
	assert.Contains(t, a.body, `<input type="hidden" name="next" value="/account?tab=cart">`)
	assert.Contains(t, b.get("/login?reason=stale").body, "Please sign in again to continue.")
	assert.NotContains(t, b.get("/login?reason=made-up").body, `role="status"`)
	for _, next := range []string{
		"", "https://evil.example/", "//evil.example", `/\evil.example`, "/%5cevil.example", "/\t/evil.example",
		"javascript:alert(1)", "/" + strings.Repeat("a", 10_000),
	} {
		page := b.get("/login?next=" + url.QueryEscape(next)).body
		assert.Equal(t, 1, strings.Count(page, `name="next"`), "%q: the theme's form alone has one, which leads to this page", next)
	}
}

func TestRememberKeepsTheCookie(t *testing.T) {
	b := newBrowser(t)
	c := b.signIn("bob", "remember", "on").sessionCookie(t)
	assert.InDelta(t, 30*24*60*60, c.MaxAge, 5)
	assert.True(t, c.HttpOnly)
}

func TestUsersOfOneBrowserDoNotMix(t *testing.T) {
	b := newBrowser(t)
	b.signIn("alice")
	requireRedirect(t, "/", b.post("/cart", "item", "diary"))
	b.post("/api/echo-flash", "level", "info", "text", "for alice alone")

	b.signIn("bob") // without signing out
	for _, path := range []string{"/account", "/"} {
		a := b.get(path)
		assert.Contains(t, a.body, "Sign out bob")
		assert.Contains(t, a.body, "The cart is empty.")
		assert.NotContains(t, a.body, "diary")
		assert.NotContains(t, a.body, "alice")
	}

	b.signIn("alice")
	assert.NotContains(t, b.get("/account").body, "diary", "it ended with her session")
}
