package main_test

import (
	_ "embed"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

var screenshots = flag.String("screenshots", "", "`directory` that the pictures of all pages are written to")

//go:embed testdata/axe-core/axe.min.js
var axe string

// views are what a user can see: a page, and what is done before it is opened, or
// in place of that.
var views = []struct {
	name, path string
	prepare    func(*tab)
}{
	{"home", "/", nil},
	{"login", "/login?next=/account&reason=expired", nil},
	{"login-failed", "", func(b *tab) {
		b.open("/login")
		b.fill("#user", "alice")
		b.fill("#password", "sesame")
		b.click("form[action='/login'] button")
		b.expectComplaint("401")
	}},
	{"confirm", "/login?next=/codes&reason=stale", nil},
	{"account", "/account", nil},
	{"devices", "/devices", nil},
	{"admin", "/admin", nil},
	{"codes", "", func(b *tab) {
		b.open("/login?next=/codes")
		b.signIn("alice")
		b.click("form[action='/codes'] button")
	}},
	{"messages", "/messages", func(b *tab) {
		b.leaveMessage("info", "The kettle is on.")
		b.leaveMessage("success", "Your order is placed.")
		b.leaveMessage("warning", "The Gyokuro is nearly gone.")
		b.leaveMessage("error", "The card was refused.")
	}},
	{"preferences", "/preferences", nil},
	{"tampered", "", func(b *tab) {
		b.open("/preferences")
		b.fill("#value", "de")
		b.click("form[action='/language/edit'] button")
	}},
	{"live", "/live", func(b *tab) {
		b.open("/preferences")
		b.click("form[action='/language'] button") // undoes what was edited
	}},
	{"events", "/events", nil},
	{"source", "/source/live.go", nil},
	{"error", "/nowhere", nil},
}

// TestPagesLookRight opens each page in both themes, wide and narrow. It judges
// their accessibility by axe-core, and that nothing sticks out. The rest is judged
// by people, from the pictures:
//
//	go test ./example -run LookRight -args -screenshots /tmp/pictures
func TestPagesLookRight(t *testing.T) {
	testserver.Slow(t)
	for _, theme := range []string{"light", "dark"} {
		t.Run(theme, func(t *testing.T) {
			t.Parallel()
			site := newSite(t, sessionkit.Config{})
			newTab(t, site).signIn("alice", "[name=remember]")
			b := newTab(t, site)
			b.chooseTheme(theme)
			for _, width := range []int64{375, 1280} {
				b.size(width, 800)
				b.judge("visitor", theme, width)
			}
			b.click("button[value=Sencha]")
			b.click("button[value=Sencha]")
			b.click("button[value=Darjeeling]")
			b.signIn("alice")
			b.open("/preferences")
			b.click("form[action='/language'] button")
			for _, width := range []int64{1280, 375} {
				b.size(width, 800)
				for _, v := range views {
					if v.prepare != nil {
						v.prepare(b)
					}
					if v.path != "" && b.open(v.path) == http.StatusNotFound {
						b.expectComplaint("404")
					}
					b.judge(v.name, theme, width)
				}
			}
		})
	}
}

// TestWarningsLookRight judges what a page says by itself when the session is about
// to end, and when it has ended.
func TestWarningsLookRight(t *testing.T) {
	testserver.Slow(t)
	for _, theme := range []string{"light", "dark"} {
		t.Run(theme, func(t *testing.T) {
			t.Parallel()
			b := newTab(t, newSite(t, sessionkit.Config{IdleTimeout: 59 * time.Second}))
			b.signIn("alice")
			b.chooseTheme(theme)
			for _, width := range []int64{1280, 375} {
				b.size(width, 800)
				b.open("/account")
				b.waitText("#expiry", "Your session ends in less than a minute.")
				b.judge("warning", theme, width)
				js[string](b, "fetch('/logout', {method: 'POST', redirect: 'manual'}).then(r => r.type)")
				js[bool](b, "document.dispatchEvent(new Event('visibilitychange'))") // as when one comes back to the tab
				b.waitText("#expiry", "You are signed out on this device.")
				b.judge("ended", theme, width)
				b.click("#again")
				b.signIn("alice")
			}
		})
	}
}

// judge looks at the page that is open.
func (b *tab) judge(name, theme string, width int64) {
	b.t.Helper()
	name += "-" + theme + "-" + strconv.FormatInt(width, 10)
	assert.Equal(b.t, theme, js[string](b, "document.documentElement.dataset.theme"), name)
	b.picture(name)
	if width < 600 {
		b.size(320, 800)
		assert.LessOrEqual(b.t, js[int](b, "document.documentElement.scrollWidth"), 320, "%s sticks out", name)
		b.size(width, 800)
		return
	}
	js[bool](b, axe+";true")
	assert.Empty(b.t, js[[]string](b, `axe.run({resultTypes: ['violations'], preload: false}).then(r => r.violations.map(v =>
		v.id + ': ' + v.help + ': ' + v.nodes.map(n => n.target + ' ' + n.any.map(a => a.message)).join('; ')))`), name)
}

// picture writes a picture of the whole page, if pictures are asked for.
func (b *tab) picture(name string) {
	b.t.Helper()
	if *screenshots == "" {
		return
	}
	size := call(b, page.GetLayoutMetrics, struct{}{}).CSSContentSize
	shot := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{
		Format: page.CaptureScreenshotFormatPng, CaptureBeyondViewport: new(true),
		Clip: &page.Viewport{Width: size.Width, Height: size.Height, Scale: 1},
	})
	require.NoError(b.t, os.MkdirAll(*screenshots, 0o750))
	require.NoError(b.t, os.WriteFile(filepath.Join(*screenshots, name+".png"), shot.Data, 0o600))
}

func (b *tab) chooseTheme(theme string) {
	b.t.Helper()
	b.open("/")
	if theme == "dark" {
		b.click("button[value=dark]")
	}
}

// leaveMessage leaves a flash message without reading those that wait.
func (b *tab) leaveMessage(level, text string) {
	b.t.Helper()
	js[string](b, `fetch('/messages', {method: 'POST', redirect: 'manual',
		body: new URLSearchParams({level: '`+level+`', text: '`+text+`'})}).then(r => r.type)`)
}

// TestNothingMovesBetweenPages: the navigation stands still, whichever page is open, and
// whether it is long or short.
func TestNothingMovesBetweenPages(t *testing.T) {
	t.Parallel()
	b := newTab(t, newSite(t, sessionkit.Config{}))
	b.signIn("alice")
	for _, width := range []int64{1280, 375} {
		b.size(width, 600)
		var first []float64
		for _, path := range []string{"/", "/account", "/devices", "/messages", "/preferences", "/live", "/events"} {
			b.open(path)
			places := js[[]float64](b, "[...document.querySelectorAll('nav a')].flatMap(a => [a.getBoundingClientRect().x, a.getBoundingClientRect().width])")
			require.Len(t, places, 16)
			if first == nil {
				first = places
			}
			assert.Equal(t, first, places, "%s, %d wide", path, width)
		}
	}
}

// TestNamesInTheCart: whatever is in the cart, the button beside it stays one word.
func TestNamesInTheCart(t *testing.T) {
	t.Parallel()
	b := newTab(t, newSite(t, sessionkit.Config{}))
	b.open("/")
	for _, name := range []string{"tea", "A second flush Darjeeling from the Himalaya", strings.Repeat("x", 60)} {
		b.fill("#item", name)
		b.click("form.stack button")
	}
	for _, width := range []int64{1280, 1000, 375, 320} {
		b.size(width, 800)
		b.open("/")
		heights := js[[]float64](b, "[...document.querySelectorAll('.rows button')].map(b => b.getBoundingClientRect().height)")
		require.Len(t, heights, 3)
		assert.Equal(t, heights[0], heights[1], "%d wide", width)
		assert.Equal(t, heights[0], heights[2], "%d wide", width)
		assert.Less(t, heights[0], 50.0, "%d wide", width)
		assert.LessOrEqual(t, js[int](b, "document.documentElement.scrollWidth"), int(width))
	}
}

// TestWrongPasswordPutsTheFocus where the next attempt is typed.
func TestWrongPasswordPutsTheFocus(t *testing.T) {
	t.Parallel()
	b := newTab(t, newSite(t, sessionkit.Config{}))
	b.open("/login")
	b.fill("#user", "alice")
	b.fill("#password", "sesame")
	b.click("form[action='/login'] button")
	b.expectComplaint("401")
	b.wait("document.activeElement.id === 'password'")
}

// TestStayingSignedInIsShown: the account page says until when, also after the button
// that the script answers.
func TestStayingSignedInIsShown(t *testing.T) {
	t.Parallel()
	b := newTab(t, newSite(t, sessionkit.Config{IdleTimeout: 50 * time.Second}))
	b.signIn("alice")
	b.open("/account")
	before := b.text("#expires")
	assert.Equal(t, before, js[string](b, "document.getElementById('expires').textContent"))
	b.waitText("#expiry", "Your session ends in less than a minute.")
	b.wait(`(() => { // a use is recorded after a tenth of the idle time: clicked until then
		document.querySelector("#stay button").click()
		return document.getElementById('expires').textContent !== '` + before + `'
	})()`)
	assert.Equal(t, "/account", b.path())
	after := b.text("#expires")
	assert.Regexp(t, `^\d{1,2} [A-Z][a-z]+ \d{4}, \d\d:\d\d:\d\d UTC$`, after, "in the same form")
	assert.Regexp(t, `^\d{1,2} [A-Z][a-z]+ \d{4}, \d\d:\d\d:\d\d UTC$`, before)
}
