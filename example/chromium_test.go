package main_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	main "github.com/gin-sessionkit/sessionkit/example"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// startChromium starts the browser that all tests share. Each has profiles of its
// own in it.
var startChromium = sync.OnceValues(func() (context.Context, error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"),
		chromedp.Flag("lang", "en-US"))
	for flag, v := range testserver.ChromiumFlags() {
		options = append(options, chromedp.Flag(flag, v))
	}
	ctx, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(ctx)
	stopChromium = func() { stop(); stopAllocator() }
	return ctx, chromedp.Do(ctx)
})

var stopChromium = func() {}

// tab is a tab of a browser with a profile of its own.
type tab struct {
	t    *testing.T
	ctx  context.Context
	site string

	mu         sync.Mutex
	complaints []string // of the console, and of the content security policy
}

// newTab returns a tab. At the end of the test nobody may have complained.
func newTab(t *testing.T, site string) *tab {
	t.Helper()
	testserver.Chromium(t)
	browser, err := startChromium()
	require.NoError(t, err)
	b := &tab{t: t, site: site}
	ctx, closeTab := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.hear))
	b.ctx = ctx
	require.NoError(t, chromedp.Do(ctx)) // without a deadline: it is the tab's own context
	t.Cleanup(closeTab)
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		assert.Empty(t, b.complaints)
	})
	call(b, log.Enable, cdp.Empty{})
	call(b, audits.Enable, cdp.Empty{})
	call(b, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true})
	b.size(1280, 900)
	return b
}

// hear collects what the browser complains of.
func (b *tab) hear(event any) {
	complaint := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			complaint = e.Entry.Text + " " + e.Entry.URL
		}
	case *runtime.EventConsoleAPICalled:
		complaint = fmt.Sprintf("console: %v", e.Type)
	case *runtime.EventExceptionThrown:
		complaint = "exception: " + e.ExceptionDetails.Text
	case *audits.EventIssueAdded:
		if e.Issue.Code == audits.InspectorIssueCodeContentSecurityPolicyIssue {
			complaint = "content security policy: " + e.Issue.Details.ContentSecurityPolicyIssueDetails.ViolatedDirective
		}
	}
	if complaint != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.complaints = append(b.complaints, complaint)
	}
}

// expectComplaint takes the complaint that contains text, and waits for it.
func (b *tab) expectComplaint(text string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		for i, complaint := range b.complaints {
			if strings.Contains(complaint, text) {
				b.complaints = append(b.complaints[:i], b.complaints[i+1:]...)
				return true
			}
		}
		return false
	}, patience, 5*time.Millisecond, text)
}

// patience is how long a busy machine may take.
const patience = 30 * time.Second

// newSite returns the application on http://localhost.
func newSite(t *testing.T, config sessionkit.Config) string {
	t.Helper()
	return start(t, newTestServer(t, config))
}

// newSiteBehind is newSite with something in front of the application.
func newSiteBehind(t *testing.T, front func(w http.ResponseWriter, r *http.Request, application http.Handler)) string {
	t.Helper()
	server := newTestServer(t, sessionkit.Config{})
	application := server.Config.Handler
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { front(w, r, application) })
	return start(t, server)
}

// start starts a server, and returns its address on localhost.
func start(t *testing.T, server *httptest.Server) string {
	t.Helper()
	server.Start()
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

// newTestServer returns a server of the application that is not started.
func newTestServer(t *testing.T, config sessionkit.Config) *httptest.Server {
	t.Helper()
	store := memstore.New()
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	server := httptest.NewUnstartedServer(nil)
	server.Config = main.NewServer(store, config)
	return server
}
