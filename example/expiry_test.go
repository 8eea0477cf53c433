package main_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
)

const idle = 3 * time.Second

func TestIdleSessionExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubbleBrowser(t, sessionkit.Config{IdleTimeout: idle})
		b.signIn("bob")
		for range 5 { // use keeps it alive
			time.Sleep(idle - time.Second)
			require.Equal(t, http.StatusOK, b.get("/account").StatusCode)
		}
		time.Sleep(2 * idle)
		a := b.get("/account?tab=cart")
		requireRedirect(t, "/login?next=%2Faccount%3Ftab%3Dcart&reason=expired", a)
		assert.Contains(t, b.get(a.Header.Get("Location")).body, "Your session has expired.")

		api := b.get("/api/me")
		assert.Equal(t, http.StatusUnauthorized, api.StatusCode)
		assert.Contains(t, api.body, `"reason":"expired"`)

		requireRedirect(t, "/account?tab=cart", b.signIn("bob", "next", "/account?tab=cart"))
		assert.Equal(t, http.StatusOK, b.get("/account").StatusCode)
	})
}

func TestLifetimeEndsASessionInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubbleBrowser(t, sessionkit.Config{IdleTimeout: idle, Lifetime: 2 * idle})
		b.signIn("bob")
		for range 5 {
			time.Sleep(time.Second)
			require.Equal(t, http.StatusOK, b.get("/account").StatusCode)
		}
		time.Sleep(time.Second)
		requireRedirect(t, "/login?next=%2Faccount&reason=expired", b.get("/account"))
	})
}

func TestRememberedSessionHasNoIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubbleBrowser(t, sessionkit.Config{IdleTimeout: idle, Lifetime: 2 * idle, RememberFor: time.Hour})
		assert.Equal(t, 3600, b.signIn("bob", "remember", "on").sessionCookie(t).MaxAge)
		time.Sleep(time.Hour - time.Second)
		require.Equal(t, http.StatusOK, b.get("/account").StatusCode)
		time.Sleep(time.Second)
		require.Equal(t, http.StatusSeeOther, b.get("/account").StatusCode)
	})
}

func TestAskingHowLongDoesNotProlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubbleBrowser(t, sessionkit.Config{IdleTimeout: time.Hour})
		b.signIn("bob")
		signedIn := time.Now()
		for n := range 6 {
			a := b.get("/api/me")
			require.Equal(t, http.StatusOK, a.StatusCode)
			var me struct {
				ExpiresAt        time.Time `json:"expires_at"`
				RemainingSeconds int       `json:"remaining_seconds"`
			}
			require.NoError(t, json.Unmarshal([]byte(a.body), &me))
			assert.WithinDuration(t, signedIn.Add(time.Hour), me.ExpiresAt, 0)
			assert.Equal(t, 3600-n*600, me.RemainingSeconds)
			time.Sleep(10 * time.Minute)
		}
		// The middleware may give as much as it takes to record that a session was used.
		a := b.get("/api/me")
		require.Equal(t, http.StatusOK, a.StatusCode)
		assert.Contains(t, a.body, `"remaining_seconds":0`)
		time.Sleep(time.Minute)
		require.Equal(t, http.StatusUnauthorized, b.get("/api/me").StatusCode)
	})
}

func TestCountdownAsksAndDoesNotProlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubbleBrowser(t, sessionkit.Config{IdleTimeout: time.Hour, Lifetime: 2 * time.Hour})
		assert.JSONEq(t, `{"ended":"not-signed-in"}`, b.get("/api/countdown").body)
		b.signIn("bob")
		time.Sleep(59 * time.Minute)
		assert.JSONEq(t, `{"remaining_seconds":60,"at_most_seconds":3660,"expires_at":"2000-01-01T01:00:00Z"}`, b.get("/api/countdown").body)

		requireRedirect(t, "/devices", b.post("/account/stay", "next", "/devices"))
		assert.JSONEq(t, `{"remaining_seconds":3600,"at_most_seconds":3660,"expires_at":"2000-01-01T01:59:00Z"}`, b.get("/api/countdown").body)
		time.Sleep(time.Hour + time.Minute)
		a := b.get("/api/countdown")
		assert.Equal(t, http.StatusOK, a.StatusCode, "that it has ended is the answer to the question")
		assert.JSONEq(t, `{"ended":"expired"}`, a.body)

		b.signIn("bob", "remember", "on")
		assert.JSONEq(t, `{"remaining_seconds":2592000,"at_most_seconds":2592000,"expires_at":"2000-01-31T02:00:00Z"}`, b.get("/api/countdown").body)
	})
}

func TestDangerousActionsNeedAFreshSignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubbleBrowser(t, sessionkit.Config{})
		b.signIn("bob")
		time.Sleep(time.Minute)
		require.Equal(t, http.StatusOK, b.get("/codes").StatusCode)
		time.Sleep(time.Second)
		requireRedirect(t, "/login?next=%2Fcodes&reason=stale", b.get("/codes"))
		page := b.get("/login?next=%2Fcodes&reason=stale").body
		assert.Contains(t, page, `<input type="hidden" name="user" value="bob"`)
		a := b.send(http.MethodPost, "/codes", http.Header{"Accept": {"text/html"}}, "")
		requireRedirect(t, "/login?next=%2Fcodes&reason=stale", a)

		requireRedirect(t, "/codes", b.signIn("bob", "next", "/codes"))
		requireRedirect(t, "/codes", b.post("/codes"))
		assert.Regexp(t, `<code>[A-Z2-7]{5}-[A-Z2-7]{5}</code>`, b.get("/codes").body)
		assert.NotContains(t, b.get("/codes").body, "<ul class=\"codes\">", "they are shown once")

		b.signIn("bob", "remember", "on")
		require.Equal(t, http.StatusOK, b.get("/codes").StatusCode, "a sign-in counts, remembered or not")
		time.Sleep(time.Minute + time.Second)
		requireRedirect(t, "/login?next=%2Fcodes&reason=stale", b.get("/codes"))
		requireRedirect(t, "/codes", b.signIn("bob", "next", "/codes"))
		require.Equal(t, http.StatusOK, b.get("/codes").StatusCode)
		time.Sleep(25 * time.Hour)
		require.Equal(t, http.StatusOK, b.get("/account").StatusCode, "a confirmation does not cost the 30 days")
	})
}

// TestVisitorsCart: a first visit stores nothing. A visitor's cart outlives the browser,
// and a visitor who comes too late is told.
func TestVisitorsCart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keep = 3 * 24 * time.Hour
		b := newBubbleBrowser(t, sessionkit.Config{VisitorFor: keep})
		assert.Empty(t, b.get("/").Cookies())
		const age = int((keep + 24*time.Hour) / time.Second) // as a new one is sent at most once a day
		assert.Equal(t, age, b.post("/cart", "item", "tea").sessionCookie(t).MaxAge)
		time.Sleep(2 * 24 * time.Hour)
		home := b.get("/")
		assert.Contains(t, home.body, "<span>tea</span>")
		assert.Equal(t, age, home.sessionCookie(t).MaxAge, "each visit keeps it for that long")
		time.Sleep(2 * 24 * time.Hour)
		b.post("/cart", "item", "tea")
		assert.Contains(t, b.get("/").body, "<span>tea × 2</span>")

		short := newBubbleBrowser(t, sessionkit.Config{})
		assert.Zero(t, short.post("/cart", "item", "tea").sessionCookie(t).MaxAge)
		time.Sleep(time.Hour + time.Minute)
		short.post("/cart", "item", "cake")
		page := short.get("/").body
		assert.Contains(t, page, "Your earlier session has expired, and its cart with it. This is a new cart.")
		assert.Contains(t, page, "<span>cake</span>")
		assert.NotContains(t, page, "<span>tea</span>")
		short.post("/cart", "item", "cake")
		assert.NotContains(t, short.get("/").body, "has expired")
	})
}
