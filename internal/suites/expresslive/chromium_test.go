package expresslive_test

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store/express"
)

// tab is a tab of Chromium.
type tab struct {
	t    *testing.T
	ctx  context.Context
	site string
}

func newTab(t *testing.T, site string) *tab {
	t.Helper()
	testserver.Chromium(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"))
	for flag, v := range testserver.ChromiumFlags() {
		options = append(options, chromedp.Flag(flag, v))
	}
	ctx, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stopAllocator)
	ctx, stop := chromedp.NewContext(ctx)
	t.Cleanup(stop)
	require.NoError(t, chromedp.Do(ctx)) // without a deadline: it is the tab's own context
	return &tab{t, ctx, site}
}

// patience is how long the browser may take for one page.
const patience = time.Minute

func (b *tab) open(path string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, chromedp.Navigate(b.site+path))
	require.NoError(b.t, err)
	require.EqualValues(b.t, 200, response.Status, path)
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	return evaluate[string](b, "document.querySelector('"+selector+"').textContent")
}

// evaluate runs a script in the page.
func evaluate[T any](b *tab, script string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err)
	return v
}

// TestChromium has a browser go through both sides behind the proxy.
func TestChromium(t *testing.T) {
	testserver.Slow(t)
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		b := newTab(t, s.url)
		both := func(who, cart string) {
			t.Helper()
			for _, side := range []string{"/node", "/gin"} {
				b.open(side + "/page")
				assert.Equal(t, who, b.text("#who"), side)
				assert.Equal(t, cart, b.text("#cart"), side)
				assert.Empty(t, evaluate[string](b, "document.cookie"), "no script sees the cookie")
			}
		}
		both("nobody", "")
		b.open("/node/add?item=tea")
		both("nobody", "tea")
		b.open("/gin/login?user=ada")
		both("ada", "tea")
		b.open("/node/add?item=cake")
		b.open("/gin/add?item=jam")
		both("ada", "tea,cake,jam")
		b.open("/gin/renew")
		b.open("/node/renew")
		both("ada", "tea,cake,jam")
		b.open("/gin/flash?text=hello")
		b.open("/node/page")
		b.open("/gin/flashes")
		assert.JSONEq(t, `[{"level":"success","text":"hello"}]`, b.text("body"))
		assert.Equal(t, `"ok"`, evaluate[string](b, `fetch('/gin/add?item=milk').then((r) => r.text())`))
		assert.Equal(t, `"ok"`, evaluate[string](b, `fetch('/node/add?item=salt').then((r) => r.text())`))
		both("ada", "tea,cake,jam,milk,salt")
		b.open("/node/logout")
		both("nobody", "")
		b.open("/node/login?user=bob")
		both("bob", "")
		b.open("/gin/logout")
		both("nobody", "")
	})
}
