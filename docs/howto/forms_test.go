package howto_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// pages serves an application whose account page is the given one, with a login page.
func pages(t *testing.T, store *sessionkittest.Store, login string, account gin.HandlerFunc) (site string) {
	t.Helper()
	r := gin.New()
	r.Use(sessionkit.Sessions(store, sessionkit.Config{OnError: func(*gin.Context, error) {}}))
	r.GET("/login", html("<!doctype html><title>Sign in</title>"+login+`<p>Please sign in</p><form method="post"><button>Sign in</button></form>`))
	r.POST("/login", func(c *gin.Context) {
		sessionkit.Login(c, "42")
		c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/account"))
	})
	r.POST("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
	r.Use(func(c *gin.Context) {
		if _, ok := sessionkit.User(c); ok && c.GetHeader("X-Inertia") != "" {
			c.Header("X-Inertia", "true") // as an adapter for Inertia marks the answers of handlers
		}
	})
	howto.Pages(r, account)
	return serve(t, "localhost", r)
}

// signedOutMeanwhile signs in and opens the account, and signs out elsewhere.
func signedOutMeanwhile(b *tab, site string) {
	b.open(site + "/login")
	b.press("button")
	b.wait(`location.pathname === "/account" && document.querySelector("[name=name]") !== null && window.ready !== false`)
	js[int](b, `fetch("/logout", {method: "POST"}).then((r) => r.status)`)
}

// atLogin waits for the login page, to which the browser has navigated, with a way back.
func atLogin(b *tab) {
	b.t.Helper()
	b.wait(`location.pathname === "/login" && document.body.innerText.includes("Please sign in")`)
	assert.Equal(b.t, "?next=%2Faccount&reason=not-signed-in", js[string](b, "location.search"))
}

func TestHTMX(t *testing.T) {
	page, err := os.ReadFile("testdata/htmx.html")
	require.NoError(t, err)
	for _, version := range []string{"htmx2", "htmx4"} {
		t.Run(version, func(t *testing.T) {
			scripts := testserver.Node(t, "testdata/pages")
			b := newTab(t)
			store := sessionkittest.NewStore()
			site := pages(t, store, "", html(fmt.Sprintf(`<!doctype html><title>Account</title><script src="%s/%s.js"></script>%s`, scripts, version, page)))
			signedOutMeanwhile(b, site)
			b.press("button")
			atLogin(b)

			b.press("button")
			b.wait(`location.pathname === "/account"`)
			store.FailReads(errors.New("out of order"))
			b.press("button")
			b.wait(`document.body.innerText.includes("Try again in a few seconds.")`)
			if version == "htmx2" {
				assert.Contains(t, js[string](b, `document.querySelector("#problem").textContent`), "Try again")
			}
		})
	}
}

// TestBackAfterSigningOutWithHTMX: htmx 2 shows the pages of its history as they were, without a
// request, unless its configuration says otherwise.
func TestBackAfterSigningOutWithHTMX(t *testing.T) {
	head := fmt.Sprintf(`<!doctype html><meta name="htmx-config" content='{"historyCacheSize":0,"refreshOnHistoryMiss":true}'>
		<script src="%s/htmx2.js"></script>`, testserver.Node(t, "testdata/pages"))
	site := pages(t, sessionkittest.NewStore(), head+`<body hx-boost="true">`,
		html(head+`<body hx-boost="true"><input name="name"><p>balance</p><a href="/login">another page</a>`))
	b := newTab(t)
	signedOutMeanwhile(b, site)
	b.press("a")
	b.wait(`location.pathname === "/login" && document.body.innerText.includes("Please sign in")`)
	js[bool](b, "history.back(), true")
	b.wait(`location.search.includes("not-signed-in") && document.body !== null || document.body?.innerText.includes("balance") === true`)
	assert.NotContains(t, b.text(), "balance")
}

// TestPageFetchedAheadOfASignOut: the browser shows it without another request, unless the sign-out
// has it forget such pages.
func TestPageFetchedAheadOfASignOut(t *testing.T) {
	for _, clears := range [][]string{{"cache"}, {"prefetchCache", "prerenderCache"}} {
		t.Run(fmt.Sprint(clears), func(t *testing.T) {
			r := gin.New()
			r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{ClearSiteData: clears}))
			r.GET("/", func(c *gin.Context) { sessionkit.Login(c, "42") }, html(`<!doctype html><a href="/account">account</a>
				<script type="speculationrules">{"prefetch": [{"urls": ["/account"], "eagerness": "immediate"}]}</script>`))
			r.POST("/logout", sessionkit.Logout)
			fetched := make(chan string, 2)
			r.GET("/account", func(c *gin.Context) {
				c.Next()
				fetched <- c.GetHeader("Sec-Purpose")
			}, sessionkit.RequireSession(), html("<!doctype html>balance"))
			b := newTab(t)
			b.open(serve(t, "localhost", r))
			require.Equal(t, "prefetch", <-fetched)
			js[int](b, `fetch("/logout", {method: "POST"}).then((r) => r.status)`)
			assert.Equal(t, http.StatusUnauthorized, b.click("a"), b.text())
		})
	}
}

func TestTurbo(t *testing.T) {
	const reload = `<meta name="turbo-visit-control" content="reload">`
	for name, form := range map[string]string{
		"page":  `<form method="post" action="/account/name"><input name="name"><button>Save</button></form>`,
		"frame": `<turbo-frame id="f"><form method="post" action="/account/name"><input name="name"><button>Save</button></form></turbo-frame>`,
	} {
		t.Run(name, func(t *testing.T) {
			scripts := testserver.Node(t, "testdata/pages")
			b := newTab(t)
			turbo := fmt.Sprintf(`<script src="%s/turbo.js"></script>`, scripts)
			site := pages(t, sessionkittest.NewStore(), turbo+reload, func(c *gin.Context) {
				saved, _ := howto.Name.Get(c)
				html("<!doctype html><title>Account</title>" + turbo + form + "<p>" + saved + fmt.Sprint(sessionkit.Flashes(c)) + "</p>")(c)
			})
			signedOutMeanwhile(b, site)
			b.press("button")
			b.wait(`location.pathname === "/login" && document.body.innerText.includes("Please sign in")`)
			assert.Equal(t, "?reason=not-signed-in", js[string](b, "location.search"), "a POST cannot be returned to")

			b.press("button")
			b.wait(`location.pathname === "/account"`)
			b.press("button")
			if name == "page" {
				b.wait(`document.body.innerText.includes("A name, please.")`)
				b.open(site + "/account")
			} else {
				b.open(site + "/account") // a frame shows its own part of an answer
			}
			js[bool](b, `document.querySelector("[name=name]").value = "Ada", true`)
			b.press("button")
			if name == "page" {
				b.wait(`document.body.innerText.includes("Ada[{success Saved}]")`)
			}
		})
	}
}

func TestInertia(t *testing.T) {
	scripts := testserver.Node(t, "testdata/pages")
	b := newTab(t)
	store := sessionkittest.NewStore()
	site := pages(t, store, "", html(fmt.Sprintf(`<!doctype html><title>Account</title><script src="%s/inertia.js"></script>
<input name="name"><button onclick="Inertia.router.post('/account/name', {name: 'Ada'}, {forceFormData: true})">Save</button><script>
Inertia.router.init({
	initialPage: {component: "Account", props: {}, url: "/account", version: ""},
	resolveComponent: (name) => name, swapComponent: async () => {},
})</script>`, scripts)))
	signedOutMeanwhile(b, site)
	b.press("button")
	atLogin(b)

	b.press("button")
	b.wait(`location.pathname === "/account" && window.Inertia !== undefined`)
	store.FailWrites(errors.New("out of order"))
	b.press("button")
	b.wait(`document.querySelector("dialog iframe")?.srcdoc.includes("Try again in a few seconds.") === true`)
}
