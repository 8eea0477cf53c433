package howto_test

import (
	"cmp"
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// accounts notes what is done to accounts.
type accounts struct{ password, deleted string }

func (a *accounts) SetPassword(_ context.Context, _, password string) error {
	a.password = password
	return nil
}

func (a *accounts) Delete(_ context.Context, user string) error {
	a.deleted = user
	return nil
}

func TestEndings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, known := memstore.New(), new(accounts)
		defer func() { assert.NoError(t, store.Close()) }()
		r := gin.New()
		r.Use(sessionkit.Sessions(store))
		r.GET("/", whoami)
		howto.Security(r, known)
		user := func(c *sessionkittest.Client) string { return c.Get("/").Body.String() }

		here, there := sessionkittest.As(t, r, "42"), sessionkittest.As(t, r, "42")
		here.Post("/password", form("new", "secret"))
		assert.Equal(t, "secret", known.password)
		assert.Equal(t, "42", user(here))
		assert.Empty(t, user(there), "the others are signed out")

		stolen := sessionkittest.As(t, r, "42")
		time.Sleep(11 * time.Minute)
		w := here.Post("/devices/revoke", form("id", stolen.Session().ID))
		assert.Equal(t, "/login?reason=stale", w.Header().Get("Location"), "the password is asked for again")
		here.Within(func(c *gin.Context) { sessionkit.Confirm(c) })
		here.Post("/devices/revoke", form("id", stolen.Session().ID))
		assert.Empty(t, user(stolen))
		assert.Equal(t, "42", user(here))

		there = sessionkittest.As(t, r, "42")
		assert.Equal(t, http.StatusSeeOther, here.Post("/account/delete", nil).Code)
		assert.Equal(t, "42", known.deleted)
		assert.Empty(t, user(here))
		assert.Empty(t, user(there))

		bob := sessionkittest.As(t, r, "bob")
		require.NoError(t, howto.CloseAccount(t.Context(), store, known, "bob"))
		assert.Equal(t, "bob", known.deleted)
		assert.Empty(t, user(bob))

		alice, visitor := sessionkittest.As(t, r, "alice"), sessionkittest.Visitor(t, r, sessionkittest.With(howto.Cart, []string{"tea"}))
		ended, err := howto.AfterLeak(t.Context(), store)
		require.NoError(t, err)
		assert.Equal(t, 2, ended)
		assert.Empty(t, user(alice))
		_, ok := sessionkittest.Value(visitor, howto.Cart)
		assert.False(t, ok)
	})
}

// TestHowLongASignInLasts is the table of the document.
func TestHowLongASignInLasts(t *testing.T) {
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		config       sessionkit.Config
		remember     string
		unused, ends time.Duration // unused: 0 for no such end
	}{
		"as it is":    {ends: day, unused: time.Hour},
		"Remember":    {remember: "on", ends: 30 * day},
		"Lifetime":    {config: sessionkit.Config{Lifetime: 30 * day}, ends: 30 * day, unused: time.Hour},
		"IdleTimeout": {config: sessionkit.Config{IdleTimeout: 30 * day}, ends: day},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memstore.New()
				defer func() { assert.NoError(t, store.Close()) }()
				r := gin.New()
				r.Use(sessionkit.Sessions(store, test.config))
				r.GET("/", whoami)
				howto.RememberSignIn(r)
				signIn := func() *sessionkittest.Client {
					client := sessionkittest.Visitor(t, r)
					w := client.Post("/login", form("user", "42", "remember", test.remember))
					assert.Equal(t, test.remember != "", w.Result().Cookies()[0].MaxAge > 0, "it outlives the browser")
					return client
				}
				client := signIn()
				for began := time.Now(); time.Since(began) < test.ends; time.Sleep(cmp.Or(test.unused, test.ends) / 2) {
					require.Equal(t, "42", client.Get("/").Body.String(), time.Since(began))
				}
				assert.Empty(t, client.Get("/").Body.String())
				if test.unused > 0 {
					client = signIn()
					time.Sleep(test.unused + 2*time.Minute) // a use is recorded once a minute
					assert.Empty(t, client.Get("/").Body.String())
				}
			})
		})
	}
}
