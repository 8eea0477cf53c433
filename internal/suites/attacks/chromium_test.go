package attacks_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http/httptest"
	"os"
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
	server := httptest.NewTLSServer(nil) // for the certificate that all such servers have
	certificate := sha256.Sum256(server.Certificate().RawSubjectPublicKeyInfo)
	server.Close()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("ignore-certificate-errors-spki-list", base64.StdEncoding.EncodeToString(certificate[:])),
		chromedp.Flag("host-resolver-rules", "MAP *.example.com 127.0.0.1"))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // it refuses to run otherwise
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
