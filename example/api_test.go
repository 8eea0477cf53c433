package main_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMeWithoutSession(t *testing.T) {
	a := newBrowser(t).get("/api/me")
	require.Equal(t, http.StatusUnauthorized, a.StatusCode)
	assert.Equal(t, "application/problem+json", a.Header.Get("Content-Type"))
	assert.JSONEq(t, `{"title":"Unauthorized","status":401,"detail":"Sign in first.","reason":"not-signed-in"}`, a.body)
}

func TestMe(t *testing.T) {
	b := newBrowser(t)
	b.signIn("bob")
	a := b.get("/api/me")
	require.Equal(t, http.StatusOK, a.StatusCode)
	assert.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	assert.Contains(t, a.Header.Values("Vary"), "Cookie")

	var me map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.body), &me))
	require.Len(t, me, 5)
	assert.Equal(t, "bob", me["user"])
	assert.InDelta(t, time.Hour.Seconds(), me["remaining_seconds"], 5)
	for field, after := range map[string]time.Duration{"created_at": 0, "signed_in_at": 0, "expires_at": time.Hour} {
		text, _ := me[field].(string)
		at, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err, field)
		assert.WithinDuration(t, time.Now().Add(after), at, 5*time.Second, field)
		assert.True(t, strings.HasSuffix(text, "Z"), field)
	}
}

func TestEchoFlash(t *testing.T) {
	b := newBrowser(t)
	a := b.post("/api/echo-flash", "level", "warning", "text", "Mind the <gap>")
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	assert.JSONEq(t, `{"flashes":[{"level":"warning","text":"Mind the <gap>"}]}`, a.body)

	a = b.send(http.MethodPost, "/api/echo-flash", http.Header{"Content-Type": {"application/json"}}, `{"level":"error","text":"Oh"}`)
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	assert.JSONEq(t, `{"flashes":[{"level":"warning","text":"Mind the <gap>"},{"level":"error","text":"Oh"}]}`, a.body)

	b.get("/nowhere") // an error page consumes none
	home := b.get("/").body
	assert.Contains(t, home, `<p class="flash error" role="alert">Oh</p>`)
	assert.NotContains(t, home, "gap", "the second answer showed it")
	assert.NotContains(t, b.get("/").body, "Oh")
}

func TestEchoFlashRefuses(t *testing.T) {
	b := newBrowser(t)
	const form, jsonType = "application/x-www-form-urlencoded", "application/json"
	for name, in := range map[string]struct {
		contentType, body string
		status            int
	}{
		"no fields":     {form, "", http.StatusUnprocessableEntity},
		"unknown level": {form, "level=loud&text=x", http.StatusUnprocessableEntity},
		"no text":       {jsonType, `{"level":"info"}`, http.StatusUnprocessableEntity},
		"long text":     {form, "level=info&text=" + strings.Repeat("x", 501), http.StatusUnprocessableEntity},
		"not text":      {form, "level=info&text=%ff", http.StatusUnprocessableEntity},
		"broken JSON":   {jsonType, `{"level":`, http.StatusBadRequest},
		"wrong type":    {jsonType, `{"level":1,"text":"x"}`, http.StatusBadRequest},
		"empty JSON":    {jsonType, "", http.StatusBadRequest},
		"too large":     {jsonType, `{"text":"` + strings.Repeat("x", 70<<10) + `"}`, http.StatusRequestEntityTooLarge},
	} {
		a := b.send(http.MethodPost, "/api/echo-flash", http.Header{"Content-Type": {in.contentType}}, in.body)
		assert.Equal(t, in.status, a.StatusCode, name)
		assert.Equal(t, "application/problem+json", a.Header.Get("Content-Type"), name)
		assert.Empty(t, a.Cookies(), name)
	}
}
