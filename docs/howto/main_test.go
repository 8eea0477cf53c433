package howto_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	defer func() { stopChromium() }()
	testserver.Main(m)
}

// patience is how long a busy machine may take.
const patience = 30 * time.Second

// startChromium starts the browser that all tests share. Each has a profile of its own
// in it. The names under example.com are this machine's.
var startChromium = sync.OnceValues(func() (context.Context, error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"),
		chromedp.Flag("host-resolver-rules", "MAP *.example.com 127.0.0.1"),
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
	t   *testing.T
	ctx context.Context
}

func newTab(t *testing.T) *tab {
	t.Helper()
	testserver.Chromium(t)
	browser, err := startChromium()
	require.NoError(t, err)
	ctx, closeTab := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	require.NoError(t, chromedp.Do(ctx)) // without a deadline: it is the tab's own context
	t.Cleanup(closeTab)
	return &tab{t: t, ctx: ctx}
}

// open loads a page and returns the status of the response.
func (b *tab) open(address string) int {
	b.t.Helper()
	return b.leave(chromedp.Navigate(address))
}

// click clicks on what leads to another page.
func (b *tab) click(selector string) int {
	b.t.Helper()
	return b.leave(chromedp.Click(chromedp.CSS(selector)))
}

// press clicks on what a script attends to.
func (b *tab) press(selector string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(selector))))
}

func (b *tab) leave(action chromedp.Action[chromedp.Void]) int {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, action)
	require.NoError(b.t, err)
	return int(response.Status)
}

// js returns what an expression of JavaScript is, or will be.
func js[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err)
	return v
}

// text returns the text of the page.
func (b *tab) text() string {
	b.t.Helper()
	return js[string](b, "document.body.innerText")
}

// wait waits until an expression of JavaScript is true.
func (b *tab) wait(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if err == nil && ok {
			return
		}
		require.NoError(b.t, ctx.Err(), "waited for %s: %v", expression, err)
		time.Sleep(10 * time.Millisecond)
	}
}

// serve serves a handler over plain HTTP and returns its address, with another name
// for this machine.
func serve(t *testing.T, name string, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", name, 1)
}

// serveTLS is serve over TLS.
func serveTLS(t *testing.T, name string, handler http.Handler) string {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", name, 1)
}

// html is a handler that shows a page.
func html(page string) gin.HandlerFunc {
	return func(c *gin.Context) { c.Data(http.StatusOK, "text/html; charset=utf-8", []byte(page)) }
}

// doubleClick has a browser begin a session at /begin, open a page and click twice on its
// button. The second click comes when the first request is carried out, and before the
// browser has the answer, which leads to another path.
func doubleClick(t *testing.T, r *gin.Engine, page string) *tab {
	t.Helper()
	stored, answer := make(chan struct{}, 2), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(answer) })
	r.GET("/stored", func(*gin.Context) { <-stored })
	r.GET("/answer", func(*gin.Context) { goOn() })
	site := serve(t, "localhost", http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodPost {
			r.ServeHTTP(w, q)
			return
		}
		late := httptest.NewRecorder()
		r.ServeHTTP(late, q)
		stored <- struct{}{}
		<-answer
		maps.Copy(w.Header(), late.Header())
		w.WriteHeader(late.Code)
	}))
	t.Cleanup(goOn) // the server waits for its handlers

	b := newTab(t)
	b.open(site + "/begin")
	b.open(site + page)
	js[bool](b, `document.querySelector("button").click(),
		fetch("/stored").then(() => {
			document.querySelector("button").click();
			setTimeout(() => fetch("/answer"), 200); // if it sends a request, the browser has dropped the first
		}), true`)
	at, _, _ := strings.Cut(page, "?")
	b.wait(fmt.Sprintf("location.pathname !== %q", at))
	return b
}

// whoami is a handler that says who is signed in.
func whoami(c *gin.Context) {
	user, _ := sessionkit.User(c)
	c.String(http.StatusOK, user)
}

func form(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values
}

// logged returns what is logged until the test ends. Such tests do not run in
// parallel.
func logged(t *testing.T) *syncBuffer {
	t.Helper()
	before, log := slog.Default(), new(syncBuffer)
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return log
}

type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
