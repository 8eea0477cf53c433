package presets_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// The presets of docs/security.md.

var aal1 = sessionkit.Config{
	IdleTimeout: 30 * 24 * time.Hour,
	Lifetime:    30 * 24 * time.Hour,
}

var aal2 = sessionkit.Config{
	IdleTimeout: 59 * time.Minute,
	Lifetime:    24 * time.Hour,
	RememberFor: 24 * time.Hour, // in case somebody calls Remember
}

var aal3 = sessionkit.Config{
	IdleTimeout:   14 * time.Minute,
	Lifetime:      12 * time.Hour,
	RememberFor:   12 * time.Hour, // in case somebody calls Remember
	SameSite:      http.SameSiteStrictMode,
	MaxSessions:   1,
	ClearSiteData: []string{"cache", "storage"},
}

var dangerous = sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login", FreshWithin: 5 * time.Minute})

// TestPresets holds each preset to the figures of NIST SP 800-63B-4 sections 2.1.3,
// 2.2.3 and 2.3.3.
func TestPresets(t *testing.T) {
	const day = 24 * time.Hour
	for name, level := range map[string]struct {
		config        sessionkit.Config
		idle, overall time.Duration
	}{
		"AAL1":              {aal1, 30 * day, 30 * day},
		"AAL2":              {aal2, time.Hour, day},
		"AAL2, the default": {sessionkit.Config{}, time.Hour + time.Minute, day},
		"AAL3":              {aal3, 15 * time.Minute, 12 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, level.config.Validate())
			synctest.Test(t, func(t *testing.T) {
				a := kittest.NewSite(memstore.New(), level.config)
				a.On("/login", kittest.SignIn("42"))
				a.On("/remember", kittest.SignIn("42", sessionkit.Remember()))
				a.On("/", kittest.Whoami)
				a.On("/dangerous", dangerous, kittest.Whoami)
				b := kittest.NewBrowser(t, a)
				b.Get("/login")
				time.Sleep(level.idle)
				assert.Empty(t, b.Get("/").Body.String(), "unused for so long, it has ended")

				b.Get("/login")
				step := min(level.idle/4, time.Hour)
				for used := time.Duration(0); used < level.overall-step; used += step {
					time.Sleep(step)
					require.Equal(t, "42", b.Get("/").Body.String(), "after %v in use", used)
				}
				time.Sleep(step)
				assert.Empty(t, b.Get("/").Body.String(), "so long after the sign-in, it has ended")

				b.Get("/login")
				assert.Equal(t, http.StatusOK, b.Get("/dangerous").Code)
				time.Sleep(5*time.Minute + time.Second)
				assert.Equal(t, http.StatusUnauthorized, b.Get("/dangerous").Code, "the sign-in is too old for this")

				if level.config.RememberFor > 0 {
					b.Get("/remember")
					time.Sleep(level.overall)
					assert.Empty(t, b.Get("/").Body.String(), "remembering does not prolong it")
				}
			})
		})
	}
}
