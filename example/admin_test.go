package main_test

import (
	"fmt"
	"net/http"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
)

var (
	liveSessions = regexp.MustCompile(`<output id="live">(\d+)</output> live sessions, of which somebody is signed in to <output id="signed-in">(\d+)</output>`)
	endButton    = regexp.MustCompile(`name="user" value="(\w*)"><button name="id" value="([\w-]{43})"`)
)

// allSessions returns what the administration counts, and the IDs that it lists by user.
func (b *browser) allSessions() (counts string, ids map[string][]string) {
	b.t.Helper()
	a := b.get("/admin")
	require.Equal(b.t, http.StatusOK, a.StatusCode, a.body)
	found := liveSessions.FindStringSubmatch(a.body)
	require.NotNil(b.t, found, a.body)
	ids = make(map[string][]string)
	for _, m := range endButton.FindAllStringSubmatch(a.body, -1) {
		ids[m[1]] = append(ids[m[1]], m[2])
	}
	return found[1] + ", " + found[2], ids
}

func TestAdministrationIsForAdministrators(t *testing.T) {
	b := newBrowser(t)
	requireRedirect(t, "/login?next=%2Fadmin&reason=not-signed-in", b.get("/admin"))
	b.signIn("bob")
	for _, path := range []string{"/admin/revoke", "/admin/revoke-user", "/admin/revoke-everyone"} {
		assert.Equal(t, http.StatusForbidden, b.post(path, "user", "alice").StatusCode, path)
	}
	assert.Equal(t, http.StatusForbidden, b.get("/admin").StatusCode)
	assert.NotContains(t, b.get("/account").body, "/admin")
	b.signIn("alice")
	assert.Contains(t, b.get("/account").body, `<a href="/admin">`)
}

func TestAdministration(t *testing.T) {
	alice := newBrowser(t)
	alice.signIn("alice")
	var bobs []*browser
	for range 4 {
		b := alice.another()
		b.signIn("bob")
		bobs = append(bobs, b)
	}
	visitor := alice.another()
	visitor.post("/cart", "item", "Sencha")

	counts, ids := alice.allSessions()
	assert.Equal(t, "6, 5", counts)
	assert.Len(t, ids["bob"], 4)
	assert.Len(t, ids[""], 1)
	assert.Len(t, ids["alice"], 1)

	signedOut := func() (n int) {
		for _, b := range bobs {
			if b.get("/account").StatusCode != http.StatusOK {
				n++
			}
		}
		return n
	}
	requireRedirect(t, "/admin", alice.post("/admin/revoke", "user", "bob", "id", ids["bob"][0]))
	assert.Equal(t, 1, signedOut())
	requireRedirect(t, "/admin", alice.post("/admin/revoke", "user", "", "id", ids[""][0]))
	assert.NotContains(t, visitor.get("/").body, `value="Sencha">Remove`)
	requireRedirect(t, "/admin", alice.post("/admin/revoke-user", "user", "bob"))
	assert.Equal(t, 4, signedOut())
	counts, ids = alice.allSessions()
	assert.Equal(t, "1, 1", counts)
	requireRedirect(t, "/", alice.post("/admin/revoke", "user", "alice", "id", ids["alice"][0]))
	assert.Equal(t, http.StatusSeeOther, alice.get("/account").StatusCode)

	alice.signIn("alice")
	requireRedirect(t, "/", alice.post("/admin/revoke-user", "user", "alice"))
	assert.Equal(t, http.StatusSeeOther, alice.get("/account").StatusCode)

	alice.signIn("alice")
	bobs[0].signIn("bob")
	visitor.post("/cart", "item", "Sencha")
	requireRedirect(t, "/", alice.post("/admin/revoke-everyone"))
	assert.Contains(t, alice.get("/").body, "Everybody is signed out.")
	for _, b := range []*browser{alice, bobs[0]} {
		assert.Equal(t, http.StatusSeeOther, b.get("/account").StatusCode)
	}
	alice.signIn("alice")
	counts, _ = alice.allSessions()
	assert.Equal(t, "1, 1", counts, "visitors' sessions have ended as well")
}

// TestAdministratorEndsFromAnOldPage: an ID that is out of date ends nothing, and the page does not say
// that it has.
func TestAdministratorEndsFromAnOldPage(t *testing.T) {
	const done, old = "The session has ended.", "Your list of sessions was out of date."
	t.Run("a visitor who has signed in since", func(t *testing.T) {
		alice := newBrowser(t)
		alice.signIn("alice")
		visitor := alice.another()
		visitor.post("/cart", "item", "Sencha")
		_, ids := alice.allSessions()
		visitor.signIn("bob")
		requireRedirect(t, "/admin", alice.post("/admin/revoke", "user", "", "id", ids[""][0]))
		assert.Equal(t, http.StatusOK, visitor.get("/account").StatusCode)
		assert.Contains(t, alice.get("/admin").body, old)
		_, ids = alice.allSessions()
		requireRedirect(t, "/admin", alice.post("/admin/revoke", "user", "bob", "id", ids["bob"][0]))
		assert.Equal(t, http.StatusSeeOther, visitor.get("/account").StatusCode)
		assert.Contains(t, alice.get("/admin").body, done)
	})
	t.Run("a user with another ID for long", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			alice := newBubbleBrowser(t, sessionkit.Config{IdleTimeout: 4 * time.Hour})
			bob := alice.another()
			bob.signIn("bob")
			alice.signIn("alice")
			_, ids := alice.allSessions()
			bob.signIn("bob")
			for range 8 { // alice's own timeout is 15 minutes
				time.Sleep(10 * time.Minute)
				alice.get("/account")
			}
			requireRedirect(t, "/admin", alice.post("/admin/revoke", "user", "bob", "id", ids["bob"][0]))
			assert.Equal(t, http.StatusOK, bob.get("/account").StatusCode)
			assert.Contains(t, alice.get("/admin").body, old)
		})
	})
}

// TestAdministratorsAreSignedOutSooner: after 15 minutes, also if they are remembered.
func TestAdministratorsAreSignedOutSooner(t *testing.T) {
	for _, in := range []struct {
		user   string
		fields []string
		after  time.Duration
		want   int
	}{
		{"alice", nil, 14 * time.Minute, http.StatusOK},
		{"alice", nil, 16 * time.Minute, http.StatusSeeOther},
		{"alice", []string{"remember", "on"}, 14 * time.Minute, http.StatusOK},
		{"alice", []string{"remember", "on"}, 16 * time.Minute, http.StatusSeeOther},
		{"bob", nil, 16 * time.Minute, http.StatusOK},
		{"bob", []string{"remember", "on"}, 29 * 24 * time.Hour, http.StatusOK},
	} {
		t.Run(fmt.Sprint(in.user, in.fields, in.after), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubbleBrowser(t, sessionkit.Config{IdleTimeout: time.Hour})
				b.signIn(in.user, in.fields...)
				time.Sleep(in.after)
				assert.Equal(t, in.want, b.get("/account").StatusCode)
			})
		})
	}
}

// TestOrderIsReady: a job in the background tells the customer, once, wherever they are
// by then.
func TestOrderIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ready = "Your order is ready."
		b := newBubbleBrowser(t, sessionkit.Config{})
		b.signIn("bob")
		b.post("/cart", "item", "Sencha")
		requireRedirect(t, "/", b.post("/cart/order"))
		assert.NotContains(t, b.get("/").body, ready)
		b.signIn("bob") // confirms, which gives the session another ID
		time.Sleep(4 * time.Second)
		synctest.Wait()
		for _, purpose := range [][2]string{{"Sec-Purpose", "prefetch"}, {"Sec-Purpose", "prefetch;prerender"}, {"Purpose", "prefetch"}} {
			header := http.Header{"Accept": {"text/html"}, purpose[0]: {purpose[1]}}
			assert.NotContains(t, b.send(http.MethodGet, "/", header, "").body, ready, "nobody sees a page that is fetched ahead")
		}
		assert.Contains(t, b.get("/preferences").body, ready)
		assert.NotContains(t, b.get("/preferences").body, ready)
	})
}
