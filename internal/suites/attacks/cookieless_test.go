package attacks_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// newJobs returns an application without cookies whose callers have a user name and a
// password, and the number of jobs that it has run.
func newJobs() (*kittest.Site, *atomic.Int64) {
	ran := new(atomic.Int64)
	a := kittest.NewSite(memstore.New(), sessionkit.Config{CookielessRoutes: []string{"/jobs/"}})
	a.Any("/jobs/run", gin.BasicAuth(gin.Accounts{"u": "p"}), func(c *gin.Context) {
		if c.Request.Method != http.MethodGet || c.GetHeader("Upgrade") != "" {
			ran.Add(1)
		}
		c.String(http.StatusOK, "ran %d", ran.Load())
	})
	a.POST("/jobs/hook", func(*gin.Context) { ran.Add(1) })
	return a, ran
}

// TestAttackCredentialsOfTheBrowser: without cookies a browser may still have something
// of the user's to send by itself, with requests that another site makes.
func TestAttackCredentialsOfTheBrowser(t *testing.T) {
	a, ran := newJobs()
	send := func(method, path string, headers ...string) int {
		r := httptest.NewRequestWithContext(t.Context(), method, "https://example.com"+path, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Add(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		return w.Code
	}
	for name, headers := range crossSite {
		for _, value := range []string{"Basic dTpw", "basic dTpw", "Digest username=u", "Negotiate YII", "NTLM TlRM", "NTLM"} {
			with := append([]string{"Authorization", value}, headers...)
			for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
				assert.Equal(t, http.StatusForbidden, send(method, "/jobs/run", with...), "%s: %s %s", name, method, value)
			}
			assert.Equal(t, http.StatusForbidden, send(http.MethodGet, "/jobs/run", append(with, "Upgrade", "websocket")...), "%s: %s", name, value)
			assert.Equal(t, http.StatusForbidden, send(http.MethodPost, "/jobs/hook", append([]string{"Authorization", "Bearer k"}, with...)...), "%s: a second line", name)
		}
		assert.Zero(t, ran.Load(), name)
		assert.Equal(t, http.StatusOK, send(http.MethodGet, "/jobs/run", append([]string{"Authorization", "Basic dTpw"}, headers...)...), "%s: a link", name)
		for _, value := range []string{"Bearer k", "Basically k", "k", ""} {
			assert.Equal(t, http.StatusOK, send(http.MethodPost, "/jobs/hook", append([]string{"Authorization", value}, headers...)...), "%s: %q, which no browser sends by itself", name, value)
		}
		assert.Equal(t, http.StatusOK, send(http.MethodPost, "/jobs/hook", headers...), "%s: a key of another kind", name)
		ran.Store(0)
	}
	for name, headers := range map[string][]string{
		"a webhook's server": nil,
		"the site's page":    {"Sec-Fetch-Site", "same-origin", "Origin", "https://example.com"},
		"typed by the user":  {"Sec-Fetch-Site", "none"},
	} {
		assert.Equal(t, http.StatusOK, send(http.MethodPost, "/jobs/run", append(headers, "Authorization", "Basic dTpw")...), name)
	}
	assert.EqualValues(t, 3, ran.Load())
}

// TestAttackCredentialsInChromium: a user who has given the browser a name and a
// password visits another site, whose page posts a form.
func TestAttackCredentialsInChromium(t *testing.T) {
	a, ran := newJobs()
	seen := make(chan string, 10) // what a POST brought
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			seen <- r.Header.Get("Authorization")
		}
		a.ServeHTTP(w, r)
	}))
	t.Cleanup(site.Close)
	jobs := strings.Replace(site.URL, "127.0.0.1", "localhost", 1) + "/jobs/run"
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `<!doctype html><title>Evil</title><form method="post" action="%s"></form><script>document.forms[0].submit()</script>`, jobs)
	}))
	t.Cleanup(evil.Close)

	ctx := newChromium(t)
	u, err := url.Parse(jobs)
	require.NoError(t, err)
	u.User = url.UserPassword("u", "p")
	response, err := chromedp.RunResponse(ctx, chromedp.Navigate(u.String()))
	require.NoError(t, err)
	require.EqualValues(t, http.StatusOK, response.Status, "the browser has name and password")
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(evil.URL)))
	select {
	case value := <-seen:
		assert.Equal(t, "Basic dTpw", value, "the browser sends them by itself")
	case <-ctx.Done():
		require.NoError(t, ctx.Err(), "no form was posted")
	}
	response, err = chromedp.RunResponse(ctx, chromedp.Navigate(jobs))
	require.NoError(t, err)
	require.EqualValues(t, http.StatusOK, response.Status)
	assert.Zero(t, ran.Load(), "and nothing is done")
}
