package sessionkit_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

var nextURLs = []struct {
	next string
	ok   bool
}{
	{"/", true},
	{"/account", true},
	{"/account?tab=1&q=a%20b#top", true},
	{"/search?q=100%", true},
	{"/ä/日本", true},
	{"/a//b", true},
	{"/a:b@c", true},
	{"/100%25", true},
	{"", false},
	{"account", false},
	{"//evil.example", false},
	{"///evil.example", false},
	{`/\evil.example`, false},
	{`\\evil.example`, false},
	{`\/evil.example`, false},
	{"https:evil.example", false},
	{"https://evil.example", false},
	{"HTTPS://evil.example", false},
	{"javascript:alert(1)", false},
	{"data:text/html,x", false},
	{" /account", false},
	{"\t//evil.example", false},
	{"/\t/evil.example", false},
	{"/\n/evil.example", false},
	{"/account\r\nSet-Cookie: a=b", false},
	{"/\x00", false},
	{"/\x7f", false},
	{"/%2fevil.example", false},
	{"/%2Fevil.example", false},
	{"/%5cevil.example", false},
	{"/%09/evil.example", false},
	{"/%0d%0aSet-Cookie:a=b", false},
	{"/a?x=%00%0A%0D%09%7F", true},
	{"/a?x=\n", false},
	{"/a?next=//evil.example", true},
	{"/a?x=%2F%2Fevil.example%5C", true},
	{"/%252fevil.example", false},
	{"/%25252fevil.example", false},
	{"%2f%2fevil.example", false},
	{"/\u0085/evil.example", false},
	{`/./\evil.example`, false},
	{`/#/../\evil.example`, false},
	{"/.//evil.example", false},
	{"/x/..//evil.example", false},
	{`/a\b`, false},
	{"/a/./b/../c", true},
	{`/a?b=\`, true},
	{"?next=/x", false},
	{"#/x", false},
	{"/a?SAMLRequest=" + strings.Repeat("fVLL%2B", 1000), true},
	{"/" + strings.Repeat("a", 8<<10), false},
}

func TestNextURL(t *testing.T) {
	r := gin.New()
	r.Any("/", func(c *gin.Context) { c.String(http.StatusOK, sessionkit.NextURL(c, "/fallback")) })
	b := newBrowser(t, r)
	for _, test := range nextURLs {
		want := "/fallback"
		if test.ok {
			want = test.next
		}
		assert.Equal(t, want, b.get("/?next="+url.QueryEscape(test.next)).Body.String(), "query: %q", test.next)
		assert.Equal(t, want, b.post("/", url.Values{"next": {test.next}}).Body.String(), "form: %q", test.next)
	}
	assert.Equal(t, "/fallback", b.get("/").Body.String())
}

// FuzzNextURL checks that a browser that follows what NextURL returns stays on
// the site, and that a header that carries it is one line.
func FuzzNextURL(f *testing.F) {
	for _, test := range nextURLs {
		f.Add(test.next)
	}
	r := gin.New()
	r.GET("/", func(c *gin.Context) { c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/fallback")) })
	base, _ := url.Parse("https://example.com/login")
	f.Fuzz(func(t *testing.T, next string) {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://example.com/?next="+url.QueryEscape(next), nil))
		location := w.Header().Get("Location")
		u, err := base.Parse(location)
		require.NoError(t, err)
		assert.Equal(t, "https", u.Scheme)
		assert.Equal(t, "example.com", u.Host)
		require.NotEmpty(t, location)
		assert.Equal(t, byte('/'), location[0])
		if len(location) > 1 {
			assert.NotContains(t, `/\`, location[1:2])
		}
		assert.NotContains(t, location, "\r")
		assert.NotContains(t, location, "\n")
		assert.False(t, leavesSite(location), "%q", location)
	})
}

// TestNextIsKeptAsItWas: a redirect goes to where the browser was, to the byte.
func TestNextIsKeptAsItWas(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{})
	a.POST("/login", func(c *gin.Context) {
		sessionkit.Login(c, "42")
		c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/account"))
	})
	a.GET("/login", func(c *gin.Context) { c.Status(http.StatusOK) })
	a.NoRoute(sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"}))
	for _, uri := range []string{
		"/", "/a", "/a/", "/a//b", "/a/b//", "/a/./b/../c/", "/a?", "/a?x=1&x=2", "/a?x=%0A%0D%09%7F", "/a%20b?c+d", "/%C3%A4",
		"/sso?SAMLRequest=" + strings.Repeat("fVLL%2B", 1000) + "&RelayState=//x", "/a?next=%2Fb%3Fnext%3D%252Fc", "/a;b=c", "/a:b", "/~a/(b)",
	} {
		b := newBrowser(t, a)
		w := b.get(uri, "Accept", asPage)
		require.Equal(t, http.StatusSeeOther, w.Code, uri)
		to, err := w.Result().Location()
		require.NoError(t, err)
		w = b.post(to.RequestURI(), nil)
		assert.Equal(t, uri, w.Header().Get("Location"))
		w = b.post("/login", url.Values{"next": {to.Query().Get("next")}})
		assert.Equal(t, uri, w.Header().Get("Location"))
	}
	w := newBrowser(t, a).post("/login?next=/ä//b", nil)
	assert.Equal(t, "/%C3%A4//b", w.Header().Get("Location"))
	w = newBrowser(t, a).post("/login?next=/a//b", url.Values{})
	require.Equal(t, "/a//b", w.Header().Get("Location"))
}
