package main_test

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
)

var screenshots = flag.String("screenshots", "", "`directory` that the pictures of all pages are written to")

// pages are what a user can see, by the name of its picture.
var pages = []struct{ name, path string }{
	{"home", "/"},
	{"login", "/login?next=/account&reason=expired"},
	{"account", "/account"},
	{"devices", "/devices"},
	{"codes", "/codes"},
	{"messages", "/messages"},
	{"preferences", "/preferences"},
	{"live", "/live"},
	{"events", "/events"},
	{"source", "/source/live.go"},
	{"error", "/nowhere"},
}

// TestPagesLookRight opens each page in both themes, wide and narrow. It judges
// their accessibility by axe-core, that nothing sticks out, and that the theme is
// there from the start. It takes pictures for people to judge the rest.
func TestPagesLookRight(t *testing.T) {
	axe, err := os.ReadFile("testdata/axe-core/axe.min.js")
	require.NoError(t, err)
	site := newSite(t, sessionkit.Config{})
	b := newTab(t, site)
	other := newTab(t, site)
	other.signIn("alice", "[name=remember]")
	b.open("/")
	for _, tea := range []string{"Sencha", "Darjeeling", "Sencha"} {
		b.click("button[value=" + tea + "]")
	}
	b.signIn("alice")
	b.open("/preferences")
	b.click("form[action='/language'] button")
	for _, theme := range []string{"light", "dark"} {
		if theme == "dark" {
			b.open("/")
			b.click("button[name=theme]")
		}
		for _, width := range []int64{1280, 375, 320} {
			b.size(width, 800)
			for _, p := range pages {
				if p.name == "messages" {
					leaveAllMessages(b)
				}
				status := b.open(p.path)
				name := p.name + "-" + theme + "-" + strconv.FormatInt(width, 10)
				assert.Equal(t, theme, js[string](b, "document.documentElement.dataset.theme"), name)
				assert.LessOrEqual(t, js[int64](b, "document.documentElement.scrollWidth"), width, "%s sticks out", name)
				if status == 404 {
					b.expectComplaint("404")
				}
				if width == 320 {
					continue
				}
				b.picture(name)
				js[bool](b, string(axe)+";true")
				violations := js[[]string](b, `axe.run().then(r => r.violations.map(v =>
					v.id + ': ' + v.help + ': ' + v.nodes.map(n => n.target + ' ' + n.any.map(a => a.message)).join('; ')))`)
				assert.Empty(t, violations, name)
			}
		}
	}
}

// leaveAllMessages leaves one message of each level for the next page.
func leaveAllMessages(b *tab) {
	for level, text := range map[string]string{
		"info": "The kettle is on.", "success": "Your order is placed.",
		"warning": "The Gyokuro is nearly gone.", "error": "The card was refused.",
	} {
		js[string](b, `fetch('/messages', {method: 'POST', redirect: 'manual',
			body: new URLSearchParams({level: '`+level+`', text: '`+text+`'})}).then(r => r.type)`)
	}
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
	require.NoError(b.t, os.WriteFile(filepath.Join(*screenshots, strings.ToLower(name)+".png"), shot.Data, 0o600))
}
