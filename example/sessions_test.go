package main_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

func TestWarningAndStayingSignedIn(t *testing.T) {
	t.Parallel()
	b := newTab(t, newSite(t, sessionkit.Config{IdleTimeout: 66 * time.Second}))
	b.signIn("alice")
	b.wait("document.querySelector('[data-clock=idle]').textContent.startsWith('00:01:0')")
	assert.False(t, js[bool](b, "document.getElementById('expiry').checkVisibility()"), "there is more than a minute left")
	b.waitText("#expiry", "Your session ends in less than a minute.")
	assert.False(t, js[bool](b, "document.getElementById('again').checkVisibility()"))
	// Use is recorded every tenth of the idle timeout.
	b.wait(`(document.querySelector('#stay button').click(), !document.getElementById('expiry').checkVisibility())`)
	assert.Equal(t, "/account", b.path(), "the page was not left")
}

// TestBackAfterSigningOut: Chromium shows a page of the user again without asking the
// server, although it is no-store, unless it has the script that all such pages have here.
// The site is small, because what Chromium keeps depends on much else.
func TestBackAfterSigningOut(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	r := gin.New()
	r.Use(sessionkit.Sessions(store, sessionkit.Config{Name: "small"})) // beside that of the example
	page := func(body string) gin.HandlerFunc {
		return func(c *gin.Context) {
			c.Data(http.StatusOK, "text/html", []byte(`<!doctype html><link rel="icon" href="data:,">`+body))
		}
	}
	button := func(path string) string {
		return `<form method="post" action="` + path + `"><button>` + path + `</button></form>`
	}
	r.GET("/", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"}),
		page(`<script type="module" src="/static/back.js"></script>`+button("/logout")))
	r.GET("/login", page(button("/login")))
	r.GET("/bye", page("Goodbye"))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "bob"); c.Redirect(http.StatusSeeOther, "/") })
	r.POST("/logout", func(c *gin.Context) { sessionkit.Logout(c); c.Redirect(http.StatusSeeOther, "/bye") })
	example := newHandler(t, sessionkit.Config{})
	r.GET("/static/back.js", gin.WrapH(example))
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)

	b := newTab(t, strings.Replace(server.URL, "127.0.0.1", "localhost", 1))
	b.open("/login")
	b.click("button")
	b.click("form[action='/logout'] button")
	assert.Equal(t, "/bye", b.path())
	js[bool](b, "setTimeout(() => history.back(), 500) > 0")
	b.wait("location.pathname === '/login'")

	user := browserOf(t, "http://localhost", handlerTransport{example})
	user.signIn("bob")
	assert.Contains(t, user.get("/account").body, `src="/static/back.js"`)
}

func TestExpiryIsSaid(t *testing.T) {
	for name, config := range map[string]sessionkit.Config{
		"unused":     {IdleTimeout: 4 * time.Second},
		"at an end":  {Lifetime: 4 * time.Second},
		"remembered": {RememberFor: 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newTab(t, newSite(t, config))
			b.open("/login?next=/preferences")
			b.signIn("alice", map[string][]string{"remembered": {"[name=remember]"}}[name]...)
			b.waitText("#expiry", "Your session has expired.")
			b.click("#again")
			b.signIn("alice")
			assert.Equal(t, "/preferences", b.path())
		})
	}
}

// TestSignedInAgainInAnotherTab, perhaps as somebody else: the page goes, and the form that it has
// answered is not sent again.
func TestSignedInAgainInAnotherTab(t *testing.T) {
	t.Parallel()
	var forms atomic.Int32
	b := newTab(t, newSiteBehind(t, func(w http.ResponseWriter, r *http.Request, application http.Handler) {
		if r.URL.Path == "/cart" && r.Header.Get("Sec-Fetch-Mode") == "navigate" {
			forms.Add(1)
		}
		application.ServeHTTP(w, r)
	}))
	b.signIn("alice")
	b.open("/")
	const add = `fetch("/cart", {method: "POST", body: new URLSearchParams({item: "tea " + i})})`
	js[int](b, `(async () => { for (let i = 0; i < 20; i++) await `+add+`; return 1 })()`)
	b.click("form[action='/cart'] button")
	b.waitText("main", "The cart is full.")
	b.expectComplaint("422")
	comesBack := func() { js[bool](b, "document.dispatchEvent(new Event('visibilitychange'))") }
	js[int](b, `fetch("/logout", {method: "POST"}).then((r) => r.status)`)
	comesBack()
	b.waitText("#expiry", "You are signed out on this device.")
	js[int](b, `fetch("/login", {method: "POST", body: new URLSearchParams({user: "bob", password: "opensesame"})}).then((r) => r.status)`)
	comesBack()
	b.wait("document.getElementById('expiry')?.checkVisibility() === false && document.querySelector('header').innerText.includes('bob')")
	assert.EqualValues(t, 1, forms.Load())
}

func TestRevocationEndsTheStream(t *testing.T) {
	t.Parallel()
	site := newSite(t, sessionkit.Config{})
	phone, laptop := newTab(t, site), newTab(t, site)
	phone.signIn("alice")
	laptop.signIn("alice")
	phone.open("/live")
	phone.waitText("#stream", "connected")
	phone.waitText("#orders", "Sencha")

	laptop.open("/devices")
	require.Equal(t, 2, js[int](laptop, "document.querySelectorAll('.device').length"))
	assert.Contains(t, laptop.text(".device:first-child"), "This device")
	assert.Contains(t, laptop.text(".device:first-child"), "Chrome on Linux")
	laptop.click(".device:last-child button")
	assert.Equal(t, "The device is signed out.", laptop.text("#flashes .success"))
	assert.Equal(t, 1, js[int](laptop, "document.querySelectorAll('.device').length"))

	phone.waitText("#stream", "ended by the server")
	phone.open("/events")
	assert.Contains(t, phone.text("[aria-labelledby=happened]"), "From another browser")
	phone.open("/devices")
	assert.Equal(t, "/login?next=%2Fdevices&reason=revoked", phone.path())
	assert.Contains(t, phone.text("main"), "Your session was ended.")
}

// TestStreamAfterAnOutage: a browser does not ask again for a stream in place of which it got an error.
func TestStreamAfterAnOutage(t *testing.T) {
	t.Parallel()
	var asked atomic.Bool
	b := newTab(t, newSiteBehind(t, func(w http.ResponseWriter, r *http.Request, application http.Handler) {
		if r.URL.Path == "/api/live" && !asked.Swap(true) {
			w.WriteHeader(http.StatusBadGateway) // the proxy's
			return
		}
		application.ServeHTTP(w, r)
	}))
	b.signIn("alice")
	b.open("/live")
	b.expectComplaint("502")
	b.waitText("#orders", "Sencha")
	assert.Equal(t, "connected", b.text("#stream"))
}

func TestSigningOutOthersAndEverywhere(t *testing.T) {
	t.Parallel()
	site := newSite(t, sessionkit.Config{})
	phone, laptop := newTab(t, site), newTab(t, site)
	phone.signIn("alice")
	laptop.signIn("alice")
	laptop.open("/devices")
	laptop.click("form[action='/logout/others'] button")
	assert.Equal(t, "All your other devices are signed out.", laptop.text("#flashes .success"))
	js[bool](phone, "document.dispatchEvent(new Event('visibilitychange'))") // as when one comes back to the tab
	phone.waitText("#expiry", "You are signed out on this device.")

	phone.click("#again")
	phone.signIn("alice")
	assert.Equal(t, "/account", phone.path())
	laptop.open("/devices")
	laptop.click("form[action='/logout/everywhere'] button")
	assert.Equal(t, "You are signed out on all your devices.", laptop.text("#flashes .info"))
	assert.True(t, laptop.has("header a.button"))
	phone.open("/account")
	assert.True(t, strings.HasPrefix(phone.path(), "/login"), phone.path())
}

// TestOtherSitesCannotPost sends a form from a page of another site, and from one
// of another port of this host, with which the browser sends the cookies.
func TestOtherSitesCannotPost(t *testing.T) {
	t.Parallel()
	site := newSite(t, sessionkit.Config{})
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<!doctype html><link rel=icon href=data:,><form method=post action="` + site + `/logout"><button>Win a prize</button></form>`))
	}))
	t.Cleanup(other.Close)
	for name, address := range map[string]string{
		"another site": other.URL,
		"another port": strings.Replace(other.URL, "127.0.0.1", "localhost", 1),
	} {
		t.Run(name, func(t *testing.T) {
			b := newTab(t, site)
			b.signIn("alice")
			b.leave(chromedp.Navigate(address))
			assert.Equal(t, http.StatusForbidden, b.click("button"))
			b.expectComplaint("403")
			assert.Equal(t, http.StatusOK, b.open("/account"))
			assert.Equal(t, "/account", b.path(), "still signed in")
		})
	}
}

// cookies are what the browser has stored for the site.
func (b *tab) cookies() map[string]*network.Cookie {
	b.t.Helper()
	stored := make(map[string]*network.Cookie)
	for _, c := range call(b, network.GetCookies, network.GetCookiesParams{URLs: []string{b.site + "/"}}).Cookies {
		stored[c.Name] = c
	}
	return stored
}

func TestCookiesAsTheBrowserStoresThem(t *testing.T) {
	t.Parallel()
	plain := newSite(t, sessionkit.Config{})
	server := newTestServer(t, sessionkit.Config{})
	server.StartTLS()
	t.Cleanup(server.Close)
	encrypted := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	for name, in := range map[string]struct {
		site, session string
		secure        bool
	}{
		"plain HTTP on this machine": {plain, "session", false},
		"TLS":                        {encrypted, "__Host-Http-session", true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTab(t, in.site)
			b.signIn("alice")
			b.click("button[value=dark]")
			b.open("/preferences")
			b.click("form[action='/language'] button")
			stored := b.cookies()
			require.Len(t, stored, 3)
			host, err := url.Parse(in.site)
			require.NoError(t, err)
			for name, c := range stored {
				assert.Equal(t, in.secure, c.Secure, name)
				assert.True(t, c.HTTPOnly, name)
				assert.Equal(t, network.CookieSameSiteLax, c.SameSite, name)
				assert.Equal(t, "/", c.Path, name)
				assert.Equal(t, host.Hostname(), c.Domain, "%s: no Domain, so for this host alone", name)
			}
			session := stored[in.session]
			require.NotNil(t, session, "%v", stored)
			assert.True(t, session.Session, "it ends with the browser")
			for _, name := range []string{"theme", "language"} {
				assert.WithinDuration(t, time.Now().Add(365*24*time.Hour), time.Unix(int64(stored[name].Expires), 0), time.Minute, name)
			}

			before := session.Value
			b.open("/login")
			b.signIn("bob", "[name=remember]")
			session = b.cookies()[in.session]
			assert.NotEqual(t, before, session.Value)
			assert.WithinDuration(t, time.Now().Add(30*24*time.Hour), time.Unix(int64(session.Expires), 0), time.Minute)
			b.click("form[action='/logout'] button")
			require.NotEqual(t, session.Value, b.cookies()[in.session].Value)
			b.open("/account")
			assert.True(t, strings.HasPrefix(b.path(), "/login"), b.path())
		})
	}
}
