package sessionkit_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// newLifeSite returns an application that signs in as its routes say.
func newLifeSite(config sessionkit.Config) *site {
	a := newSite(memstore.New(), config)
	for path, options := range map[string][]sessionkit.LoginOption{
		"/login":       nil,
		"/remember":    {sessionkit.Remember()},
		"/admin":       {sessionkit.IdleTimeout(15 * time.Minute), sessionkit.Lifetime(8 * time.Hour)},
		"/customer":    {sessionkit.IdleTimeout(3 * time.Hour), sessionkit.Lifetime(36 * time.Hour)},
		"/longer":      {sessionkit.Remember(), sessionkit.Lifetime(30 * time.Hour)},
		"/remember/5m": {sessionkit.Remember(), sessionkit.IdleTimeout(5 * time.Minute), sessionkit.Lifetime(8 * time.Hour)},
	} {
		a.on(path, signIn("42", options...))
	}
	a.on("/confirm", sessionkit.Confirm)
	a.on("/renew", sessionkit.Renew)
	a.on("/logout", sessionkit.Logout)
	a.on("/set", increment)
	a.on("/read", showCount)
	a.on("/", whoami)
	a.on("/fresh", sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: 10 * time.Minute}), whoami)
	return a
}

// use has a browser use its session for so long, so often that it is never idle.
func (b *browser) use(d, every time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(every, time.Until(end)))
		b.get("/")
	}
}

// TestSignInsOfTheirOwnLength: administrators and customers in one application.
func TestSignInsOfTheirOwnLength(t *testing.T) {
	config := sessionkit.Config{RememberFor: 40 * time.Hour}
	for _, test := range []struct {
		path           string
		idle, lifetime time.Duration // 0: no idle timeout
		maxAge         int           // of the cookie
	}{
		{"/login", time.Hour, 24 * time.Hour, 0},
		{"/admin", 15 * time.Minute, 8 * time.Hour, 0},
		{"/customer", 3 * time.Hour, 36 * time.Hour, 0},
		{"/remember", 0, 40 * time.Hour, 40 * 3600},
		{"/longer", 0, 30 * time.Hour, 30 * 3600},
		{"/remember/5m", 5 * time.Minute, 8 * time.Hour, 8 * 3600},
	} {
		for _, then := range []string{"", "/renew", "/confirm", "/login", "/set"} {
			t.Run(test.path+then, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBrowser(t, newLifeSite(config))
					w := b.get(test.path)
					require.Len(t, setCookies(w), 1)
					assert.Equal(t, test.maxAge, setCookies(w)[0].MaxAge)
					began := time.Now()
					if then != "" {
						time.Sleep(4 * time.Minute)
						w := b.get(then)
						require.Less(t, w.Code, 400)
						for _, c := range setCookies(w) { // what is left of it
							left := test.maxAge
							if then != "/login" && left > 0 {
								left -= 4 * 60
							}
							assert.Equal(t, left, c.MaxAge, "of the new cookie")
						}
						if then == "/login" { // another sign-in, which lasts as the one before
							began = time.Now()
						}
					}
					every := test.lifetime / 7
					if test.idle > 0 {
						every = test.idle
						b.get("/")
						time.Sleep(test.idle - time.Millisecond)
						require.Equal(t, "42", b.get("/").Body.String(), "used within its idle timeout")
					}
					b.use(time.Until(began.Add(test.lifetime-time.Millisecond)), every-time.Millisecond)
					require.Equal(t, "42", b.get("/").Body.String(), "to the end of its lifetime")
					time.Sleep(time.Millisecond)
					assert.Empty(t, b.get("/").Body.String(), "and no longer")

					if test.idle > 0 {
						c := newBrowser(t, newLifeSite(config))
						c.get(test.path)
						time.Sleep(test.idle + time.Minute)
						assert.Empty(t, c.get("/").Body.String(), "unused for longer")
					}
				})
			})
		}
	}
}

func TestDurationsThatConfigWouldRefuse(t *testing.T) {
	for name, option := range map[string]sessionkit.LoginOption{
		"IdleTimeout": sessionkit.IdleTimeout(-time.Second), "Lifetime": sessionkit.Lifetime(0),
		"Lifetime 5ns": sessionkit.Lifetime(5), "Lifetime 401 days": sessionkit.Lifetime(401 * 24 * time.Hour),
	} {
		a := newSite(memstore.New(), sessionkit.Config{})
		a.on("/", signIn("42", option))
		b := newBrowser(t, a)
		assert.Equal(t, http.StatusInternalServerError, b.get("/").Code, name)
		assert.Empty(t, b.cookies)
		errs := a.errors()
		require.Len(t, errs, 1)
		assert.ErrorContains(t, errs[0], name[:8])
	}
}

// TestFresh: fresh is who has just shown who they are, by a sign-in that is remembered
// or not, or by a confirmation; not who comes back with a cookie that stayed.
func TestFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fresh := func(b *browser) bool { return b.get("/fresh").Code == http.StatusOK }
		a := newLifeSite(sessionkit.Config{})
		for _, path := range []string{"/login", "/remember", "/longer"} {
			b := newBrowser(t, a)
			b.get(path)
			assert.True(t, fresh(b), "%s counts", path)
			time.Sleep(10*time.Minute + time.Second)
			assert.False(t, fresh(b), "%s was too long ago", path)
			b.get("/renew")
			assert.False(t, fresh(b), "a new ID is no confirmation")
			before := b.session()
			b.get("/confirm")
			assert.NotEqual(t, before, b.session())
			assert.True(t, fresh(b), "it is confirmed")
			old := b.fork()
			old.cookies[sessionCookie] = before
			assert.False(t, fresh(old), "the ID of before opens nothing")
			time.Sleep(10*time.Minute + time.Second)
			assert.False(t, fresh(b))
			b.get(path)
			assert.True(t, fresh(b), "a sign-in of the same user counts too")
		}
		visitor := newBrowser(t, a)
		visitor.get("/set")
		visitor.get("/confirm")
		assert.False(t, fresh(visitor), "where nobody is signed in there is nothing to confirm")
	})
}

// TestVisitors: a visitor's session outlives the browser, and makes nobody's sign-in
// longer.
func TestVisitors(t *testing.T) {
	const keep, day = 3 * 24 * time.Hour, 24 * time.Hour
	const age = int((keep + day) / time.Second)
	synctest.Test(t, func(t *testing.T) {
		a := newLifeSite(sessionkit.Config{VisitorFor: keep})
		a.on("/update", func(c *gin.Context) { _, _ = count.Update(c, func(n int) int { return n + 1 }) })
		kept := func(b *browser) bool { return b.get("/read").Body.String() != `{"n":0,"ok":false}` }
		begin := func() *browser {
			b := newBrowser(t, a)
			w := b.get("/set")
			require.Len(t, setCookies(w), 1)
			require.Equal(t, age, setCookies(w)[0].MaxAge)
			return b
		}
		assert.Empty(t, setCookies(newBrowser(t, a).get("/read")), "nothing stored, no cookie")

		for _, use := range []string{"/read", "/update", "/set"} {
			b := begin()
			sent := 0
			for range 8 * 4 { // four times a day, for longer than VisitorFor
				time.Sleep(6 * time.Hour)
				w := b.get(use)
				for _, c := range setCookies(w) {
					sent++
					assert.Equal(t, age, c.MaxAge)
				}
			}
			assert.InDelta(t, 8, sent, 1, "%s: the cookie is sent again once a day", use)
			time.Sleep(keep - time.Minute)
			assert.True(t, kept(b))
			time.Sleep(keep + 2*time.Minute)
			assert.False(t, kept(b), "unused for longer than VisitorFor")
		}

		b := begin()
		w := b.get("/login")
		assert.Zero(t, setCookies(w)[0].MaxAge, "a sign-in ends with the browser again")
		b.use(23*time.Hour, 50*time.Minute)
		assert.Equal(t, "42", b.get("/").Body.String())
		assert.True(t, kept(b), "the cart is the user's now")
		time.Sleep(time.Hour)
		assert.Empty(t, b.get("/").Body.String(), "and has the user's deadlines")
		assert.False(t, kept(b))

		b = begin()
		b.get("/remember")
		b.get("/logout")
		assert.False(t, kept(b), "signing out ends it")
		assert.Equal(t, age, setCookies(b.get("/set"))[0].MaxAge, "and a new visit begins")
	})
}
