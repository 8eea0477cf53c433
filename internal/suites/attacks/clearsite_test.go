package attacks_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// newClearing returns an application that has the browser delete what directives name.
func newClearing(directives []string) *kittest.Site {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{ClearSiteData: directives})
	page := func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		text := fmt.Sprint("user: ", user, ", messages: ", len(sessionkit.Flashes(c)))
		c.Data(http.StatusOK, "text/html; charset=utf-8", []byte("<!doctype html><title>page</title><link rel=icon href=data:,><p>"+text+"</p>"))
	}
	a.On("/", page)
	a.On("/login", kittest.SignIn("alice"), page)
	a.On("/switch", sessionkit.Logout, kittest.SignIn("bob"), page)
	a.On("/logout", sessionkit.Logout, func(c *gin.Context) {
		sessionkit.Flash(c, sessionkit.Info, "Goodbye")
		c.Redirect(http.StatusSeeOther, "/")
	})
	return a
}

// TestClearSiteDataInABrowser: what the user leaves in the browser is deleted at sign-out, and
// what follows it is there.
func TestClearSiteDataInABrowser(t *testing.T) {
	for _, directives := range [][]string{{"storage", "cookies"}, {"*"}} {
		t.Run(fmt.Sprint(directives), func(t *testing.T) {
			server := httptest.NewTLSServer(newClearing(directives))
			defer server.Close()
			ctx := newChromium(t)
			shows := func(path, want string, wantKept bool) {
				t.Helper()
				assert.Equal(t, want, open(t, ctx, server.URL+path))
				kept, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`(() => { const kept = localStorage.length > 0; localStorage.setItem("draft", "x"); return kept })()`))
				require.NoError(t, err)
				assert.Equal(t, wantKept, kept, path)
			}
			shows("/login", "user: alice, messages: 0", false)
			shows("/", "user: alice, messages: 0", true)
			shows("/switch", "user: bob, messages: 0", false)
			shows("/", "user: bob, messages: 0", true)
			shows("/logout", "user: , messages: 1", false)
		})
	}
}
