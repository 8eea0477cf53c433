package main_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
)

func TestSigningInByKeyboard(t *testing.T) {
	t.Parallel()
	b := newTab(t, newSite(t, sessionkit.Config{}))
	b.open("/messages")
	b.tabTo(".skip")
	b.tabTo("header a.button")
	b.leave(chromedp.KeyEvent(kb.Enter))
	assert.Equal(t, "/login?next=%2fmessages", b.path())
	b.tabTo("#user")
	b.do(chromedp.KeyEvent("alice"))
	b.tabTo("#password")
	b.do(chromedp.KeyEvent("opensesame"))
	b.tabTo("[name=remember]")
	b.do(chromedp.KeyEvent(" "))
	b.tabTo("form[action='/login'] button")
	b.leave(chromedp.KeyEvent(kb.Enter))
	assert.Equal(t, "/messages", b.path())
	b.tabTo("nav [href='/devices']")
	b.leave(chromedp.KeyEvent(kb.Enter))
	assert.Contains(t, b.text(".device"), "kept when the browser closes")
}

// tabTo presses the tab key until an element has the focus, which must be seen.
func (b *tab) tabTo(selector string) {
	b.t.Helper()
	for range 30 {
		b.do(chromedp.KeyEvent(kb.Tab))
		if js[bool](b, "document.activeElement.matches(`"+selector+"`)") {
			outline := js[string](b, "getComputedStyle(document.activeElement).outlineStyle")
			require.NotEqual(b.t, "none", outline, "the focus on %s is not seen", selector)
			return
		}
	}
	require.Failf(b.t, "the keyboard does not get there", "to %s", selector)
}

func TestOnAPhone(t *testing.T) {
	t.Parallel()
	b := newTab(t, newSite(t, sessionkit.Config{}))
	b.do(chromedp.EmulateViewport(375, 667, chromedp.EmulateMobile, chromedp.EmulateTouch))
	b.open("/")
	b.leave(chromedp.Tap(chromedp.CSS("button[value=Rooibos]")))
	b.leave(chromedp.Tap(chromedp.CSS("header a.button")))
	b.fill("#user", "alice")
	b.fill("#password", "opensesame")
	b.leave(chromedp.Tap(chromedp.CSS("form[action='/login'] button")))
	b.leave(chromedp.Tap(chromedp.CSS("nav [href='/account']")))
	assert.Contains(t, b.text("[aria-labelledby=cart]"), "Rooibos")
}
