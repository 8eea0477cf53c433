package main_test

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
)

// listen opens the stream and returns its lines as they come. The channel is
// closed with the stream.
func (b *browser) listen() <-chan string {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.site+"/api/live", http.NoBody)
	require.NoError(b.t, err)
	res, err := b.client.Do(r) //nolint:bodyclose // the goroutine closes it
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusOK, res.StatusCode)
	require.Equal(b.t, "text/event-stream;charset=utf-8", res.Header.Get("Content-Type"))
	lines := make(chan string)
	go func() {
		defer close(lines)
		defer func() { _ = res.Body.Close() }()
		for in := bufio.NewScanner(res.Body); in.Scan(); {
			select {
			case lines <- in.Text():
			case <-b.t.Context().Done():
				return
			}
		}
	}()
	return lines
}

// rest returns what comes until the stream ends.
func rest(t *testing.T, lines <-chan string) []string {
	t.Helper()
	var rest []string
	for late := time.After(patience); ; {
		select {
		case line, ok := <-lines:
			if !ok {
				return rest
			}
			rest = append(rest, line)
		case <-late:
			require.Fail(t, "the stream does not end")
		}
	}
}

func TestStreamNeedsASignIn(t *testing.T) {
	assert.Equal(t, http.StatusUnauthorized, newBrowser(t).get("/api/live").StatusCode)
}

func TestStreamEndsWithTheSession(t *testing.T) {
	t.Parallel()
	phone := newBrowser(t)
	laptop := phone.another()
	phone.signIn("alice")
	laptop.signIn("alice")
	lines := phone.listen()
	require.Equal(t, "event:order", <-lines)
	require.Equal(t, http.StatusNoContent, laptop.post("/api/devices/revoke", "id", phone.currentDevice().ID).StatusCode)
	assert.Contains(t, rest(t, lines), "event:ended")
}

// TestStreamOutlivesTheLimitsOfRequests: the server's limits, made short here,
// are for requests that end soon.
func TestStreamOutlivesTheLimitsOfRequests(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	b.signIn("alice")
	server := httptest.NewUnstartedServer(b.handler)
	server.Config.ReadTimeout, server.Config.WriteTimeout = time.Second, time.Second
	server.Start()
	t.Cleanup(server.Close)
	b.site = server.URL
	began, orders := time.Now(), 0
	for line := range b.listen() {
		if strings.HasPrefix(line, "event:order") {
			orders++
		}
		if orders == 3 {
			break
		}
	}
	assert.Equal(t, 3, orders)
	assert.Greater(t, time.Since(began), server.Config.WriteTimeout)
}

func TestStreamEndsWithTheServer(t *testing.T) {
	t.Parallel()
	server := newTestServer(t, sessionkit.Config{})
	server.Start()
	t.Cleanup(server.Close)
	b := browserOf(t, server.URL, server.Client().Transport)
	b.signIn("alice")
	lines := b.listen()
	require.Equal(t, "event:order", <-lines)
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		err := server.Config.Shutdown(ctx)
		server.CloseClientConnections()
		stopped <- err
	}()
	assert.NotContains(t, rest(t, lines), "event:ended", "the session goes on")
	assert.NoError(t, <-stopped)
}
