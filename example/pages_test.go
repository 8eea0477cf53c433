package main_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVisitsAreCounted(t *testing.T) {
	b := newBrowser(t)
	assert.NotContains(t, b.get("/").body, `id="visits"`)
	require.Len(t, b.post("/cart", "item", "tea").Cookies(), 1, "a cookie comes with the new session, and no other time")
	for n := 1; n <= 3; n++ {
		a := b.get("/")
		require.Equal(t, http.StatusOK, a.StatusCode)
		require.Contains(t, a.body, `<output id="visits">`+strconv.Itoa(n)+`</output>`)
		require.Empty(t, a.Cookies())
	}
}

func TestPagesThatStoreNothingSetNoCookie(t *testing.T) {
	b := newBrowser(t)
	for _, path := range []string{"/", "/messages", "/preferences", "/events", "/login", "/account", "/static/base.css", "/favicon.ico", "/api/me"} {
		assert.Empty(t, b.get(path).Cookies(), path)
	}
}

func TestEveryAnswerHasThePolicy(t *testing.T) {
	b := newBrowser(t)
	for path, status := range map[string]int{
		"/": http.StatusOK, "/login": http.StatusOK, "/account": http.StatusSeeOther, "/static/base.css": http.StatusOK,
		"/nowhere": http.StatusNotFound, "/logout": http.StatusMethodNotAllowed, "/api/me": http.StatusUnauthorized,
	} {
		a := b.get(path)
		assert.Equal(t, status, a.StatusCode, path)
		policy := a.Header.Get("Content-Security-Policy")
		assert.Contains(t, policy, "default-src 'none'", path)
		assert.NotContains(t, policy, "unsafe", path)
		assert.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"), path)
	}
	assert.Contains(t, b.get("/static/base.css").Header.Get("Content-Type"), "text/css")
}

func TestPagesObeyThePolicy(t *testing.T) {
	b := newBrowser(t)
	b.signIn("alice")
	for _, path := range []string{"/", "/login", "/account", "/nowhere"} {
		a := b.get(path)
		assert.Contains(t, a.body, `<html lang="en"`, path)
		for _, banned := range []string{"<style", "style=", "onclick=", "http://", "https://", "<script>"} {
			assert.NotContains(t, a.body, banned, path)
		}
		assert.Equal(t, "no-store", a.Header.Get("Cache-Control"), path)
	}
}

func TestCartIsShownEscaped(t *testing.T) {
	b := newBrowser(t)
	requireRedirect(t, "/", b.post("/cart", "item", " tea "))
	requireRedirect(t, "/", b.post("/cart", "item", "<b>cake</b>"))
	requireRedirect(t, "/", b.post("/cart", "item", "tea"))
	home := b.get("/").body
	assert.Contains(t, home, "<span>tea × 2</span>")
	assert.Contains(t, home, "<span>&lt;b&gt;cake&lt;/b&gt;</span>")
}

func TestCartRefusesWhatIsNoItem(t *testing.T) {
	b := newBrowser(t)
	for name, item := range map[string]string{"empty": "", "blank": " \t", "long": strings.Repeat("ä", 61), "not text": "\xff"} {
		assert.Equal(t, http.StatusUnprocessableEntity, b.post("/cart", "item", item).StatusCode, name)
	}
	for n := range 20 {
		requireRedirect(t, "/", b.post("/cart", "item", "item "+strconv.Itoa(n)))
	}
	full := b.post("/cart", "item", "one more")
	assert.Equal(t, http.StatusUnprocessableEntity, full.StatusCode)
	assert.Contains(t, full.body, "The cart is full.")
	requireRedirect(t, "/", b.post("/cart", "item", "item 7"))
}

func TestThemeIsACookie(t *testing.T) {
	b := newBrowser(t)
	assert.Contains(t, b.get("/").body, `data-theme="light"`)
	a := b.post("/theme", "theme", "dark", "next", "/login?reason=expired")
	requireRedirect(t, "/login?reason=expired", a)
	require.Equal(t, []string{"theme=dark; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"}, a.Header["Set-Cookie"])
	assert.Contains(t, b.get("/").body, `data-theme="dark"`)
	requireRedirect(t, "/", b.post("/theme", "theme", "light", "next", "//evil.example"))
	assert.Contains(t, b.get("/").body, `data-theme="light"`)
}

func TestThemeIsSecureElsewhere(t *testing.T) {
	b := newBrowser(t)
	a := b.send(http.MethodPost, "/theme", http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"}, "X-Forwarded-Proto": {"https"},
	}, "theme=dark")
	require.Equal(t, []string{"theme=dark; Path=/; Max-Age=31536000; HttpOnly; Secure; SameSite=Lax"}, a.Header["Set-Cookie"])
}

func TestThemeIsLightOrDark(t *testing.T) {
	b := newBrowser(t)
	for _, chosen := range []string{"", "Dark", "blue", `dark"><script>`} {
		a := b.post("/theme", "theme", chosen)
		assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode, chosen)
		assert.Empty(t, a.Cookies(), chosen)
	}
	a := b.send(http.MethodGet, "/login", http.Header{"Cookie": {"theme=blue"}}, "")
	assert.Contains(t, a.body, `data-theme="light"`)
}

func TestOtherSitesCannotSendForms(t *testing.T) {
	b := newBrowser(t)
	b.signIn("alice")
	a := b.send(http.MethodPost, "/logout", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}, "")
	assert.Equal(t, http.StatusForbidden, a.StatusCode)
	assert.Equal(t, http.StatusOK, b.get("/account").StatusCode)
}
