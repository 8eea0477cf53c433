package main_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

// Each flow runs with JavaScript and without: nothing but the countdown and the
// live stream needs it.
var flows = map[string]func(*testing.T, *tab){
	"the cart survives signing in": func(t *testing.T, b *tab) {
		b.open("/")
		b.click("button[value=Sencha]")
		b.click("button[value=Sencha]")
		b.click("button[value=Oolong]")
		b.click("form[action='/cart/order'] button")
		assert.Equal(t, "/login?next=%2F&reason=not-signed-in", b.path())
		assert.Equal(t, "Please sign in to see this page.", b.text(".flash.info"))
		b.signIn("alice")
		assert.Equal(t, "/", b.path())
		assert.Equal(t, "Welcome back", b.text("#flashes .success"))
		assert.Contains(t, b.text("[aria-labelledby=cart]"), "Sencha × 2")
		b.click("[aria-labelledby=cart] button[value=Oolong]")
		assert.NotContains(t, b.text("[aria-labelledby=cart]"), "Oolong")
		b.click("form[action='/cart/order'] button")
		assert.Equal(t, "Thank you. Cups on their way to you: 2", b.text("#flashes .success"))
		assert.Contains(t, b.text("[aria-labelledby=cart]"), "The cart is empty.")
	},
	"signing in returns to the page": func(t *testing.T, b *tab) {
		b.open("/messages")
		b.click("header a.button")
		b.signIn("alice")
		assert.Equal(t, "/messages", b.path())
		b.click("form[action='/logout'] button")
		assert.Equal(t, "You are signed out.", b.text("#flashes .info"))
		b.open("/devices")
		assert.Equal(t, "/login?next=%2Fdevices&reason=not-signed-in", b.path())
		b.signIn("alice")
		assert.Equal(t, "/devices", b.path())
	},
	"a wrong password": func(t *testing.T, b *tab) {
		b.open("/login?next=/devices")
		b.fill("#user", "alice")
		b.fill("#password", "sesame")
		assert.Equal(t, http.StatusUnauthorized, b.click("form[action='/login'] button"))
		b.expectComplaint("401")
		assert.Equal(t, "The user name or the password is wrong.", b.text("[role=alert].error"))
		b.fill("#password", "opensesame")
		b.click("form[action='/login'] button")
		assert.Equal(t, "/devices", b.path())
	},
	"messages": func(t *testing.T, b *tab) {
		for _, level := range []string{"info", "success", "warning", "error"} {
			b.open("/messages")
			b.do(chromedp.Click(chromedp.CSS("[value=" + level + "]")))
			b.fill("#text", "News: "+level)
			b.click("[value=next]")
			assert.Equal(t, "News: "+level, b.text("#flashes ."+level))
			b.open("/messages")
			assert.False(t, b.has("#flashes p"), "it is shown once")
		}
		b.fill("#text", "At once")
		b.click("[value=now]")
		assert.Equal(t, "At once", b.text("#flashes .success"))
		b.open("/messages")
		assert.False(t, b.has("#flashes p"))
	},
	"a dangerous action asks for the password": func(t *testing.T, b *tab) {
		b.signIn("alice", "[name=remember]")
		b.open("/login?next=%2Fcodes&reason=stale")
		assert.Contains(t, b.text("form[action='/login']"), "You are signed in as alice.")
		b.fill("#password", "opensesame")
		b.click("form[action='/login'] button")
		assert.Equal(t, "/codes", b.path())
		b.click("form[action='/codes'] button")
		assert.Len(t, strings.Fields(b.text(".codes")), 8)
		b.open("/codes")
		assert.False(t, b.has(".codes"), "they are shown once")
	},
	"the greeting is a signed cookie": func(t *testing.T, b *tab) {
		b.open("/preferences")
		b.do(chromedp.Click(chromedp.CSS("[value=de]")))
		b.click("form[action='/language'] button")
		assert.Contains(t, b.text("[aria-labelledby=language-cookie]"), "Accepted: the signature matches.")
		b.open("/")
		assert.Contains(t, b.text(".lead"), "Schön, dass du da bist")

		b.open("/preferences")
		sealed := ask(b, chromedp.Value(chromedp.CSS("#value")))
		b.fill("#value", "X"+sealed[1:])
		b.click("form[action='/language/edit'] button")
		assert.Contains(t, b.text("[aria-labelledby=language-cookie]"), "ErrCookieTampered")
		b.open("/")
		assert.Contains(t, b.text(".lead"), "Good to see you")

		b.open("/preferences")
		b.fill("#value", sealed)
		b.click("form[action='/language/edit'] button")
		assert.Contains(t, b.text("[aria-labelledby=language-cookie]"), "Accepted: the signature matches.")
		b.click("[formaction='/language/forget']")
		assert.Contains(t, b.text("[aria-labelledby=language-cookie]"), "Save a greeting first.")
	},
	"the theme": func(t *testing.T, b *tab) {
		b.open("/messages")
		light := js[string](b, "getComputedStyle(document.body).backgroundColor")
		b.click("button[value=dark]")
		assert.Equal(t, "/messages", b.path())
		assert.NotEqual(t, light, js[string](b, "getComputedStyle(document.body).backgroundColor"))
		b.open("/")
		b.click("button[value=light]")
		assert.Equal(t, light, js[string](b, "getComputedStyle(document.body).backgroundColor"))
	},
	"what just happened": func(t *testing.T, b *tab) {
		b.open("/events")
		assert.Contains(t, b.text("main"), "you have no session")
		b.open("/")
		b.click("button[value=Sencha]")
		b.signIn("alice")
		b.click("button[value=dark]")
		b.click("form[action='/logout'] button")
		b.click("nav [href='/events']")
		list := b.text("[aria-labelledby=happened]")
		for _, want := range []string{
			"POST /cart", "created", "POST /login", "signed-in", "User: alice", "POST /theme", "theme=dark; Path=/; Max-Age=31536000",
			"POST /logout", "signed-out", "session=(secret); Path=/; HttpOnly; SameSite=Lax",
		} {
			assert.Contains(t, list, want)
		}
		assert.Contains(t, b.text("[aria-labelledby=cookies]"), "session=(secret)")
		b.signIn("bob")
		b.open("/events")
		assert.NotContains(t, b.text("main"), "alice", "that was another user")
	},
	"staying signed in": func(t *testing.T, b *tab) {
		b.signIn("alice")
		assert.Contains(t, b.text("[aria-labelledby=session]"), "Expires if idle")
		b.click("main .card form[action='/account/stay'] button")
		assert.Equal(t, "/account", b.path())
	},
	"the source of a page": func(t *testing.T, b *tab) {
		b.open("/")
		b.click("[href='/source/cart.go']")
		assert.Contains(t, b.text("mark"), "sessionkit.NewKey[[]item]")
	},
}

func TestFlows(t *testing.T) {
	testserver.Slow(t)
	for _, scripts := range []string{"with JavaScript", "without"} {
		for name, flow := range flows {
			t.Run(scripts+"/"+name, func(t *testing.T) {
				t.Parallel()
				b := newTab(t, newSite(t, sessionkit.Config{}))
				if scripts == "without" {
					b.withoutScripts()
				}
				flow(t, b)
			})
		}
	}
}
