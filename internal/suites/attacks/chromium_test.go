package attacks_test

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

// newChromium starts a browser with a profile of its own and returns the context of a tab.
// Names under example.com are this machine's, and it accepts the certificate of httptest.
func newChromium(t *testing.T) context.Context {
	t.Helper()
	testserver.Chromium(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"),
		chromedp.Flag("host-resolver-rules", "MAP *.example.com 127.0.0.1"))
	for flag, v := range testserver.ChromiumFlags() {
		options = append(options, chromedp.Flag(flag, v))
	}
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	require.NoError(t, chromedp.Do(ctx)) // without a deadline: it is the browser's own context
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	return ctx
}
