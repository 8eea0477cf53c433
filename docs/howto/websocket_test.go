package howto_test

import (
	"bufio"
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
	"github.com/gin-gonic/gin"
	gorilla "github.com/gorilla/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// liveSite is an application with streams, on a real server.
type liveSite struct {
	address string // host and port
	client  *sessionkittest.Client
	http    *http.Client
	left    chan struct{} // a stream to a user has ended
	over    chan struct{} // closed: there is nothing after the first message
	outage  atomic.Bool   // a proxy answers
}

func newLiveSite(t *testing.T) *liveSite {
	t.Helper()
	s := &liveSite{left: make(chan struct{}, 10), over: make(chan struct{})}
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.POST("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
	r.GET("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
	r.GET("/", html("<!doctype html><title>live</title>"))
	r.GET("/me", sessionkit.RequireSession(sessionkit.GuardConfig{Passive: true}), whoami)
	r.Use(func(c *gin.Context) {
		if s.outage.Load() {
			c.AbortWithStatus(http.StatusBadGateway)
		}
	})
	howto.Live(r, func(ctx context.Context, user string) <-chan string {
		messages := make(chan string, 1)
		messages <- "hello " + user
		context.AfterFunc(ctx, func() { s.left <- struct{}{} })
		select {
		case <-s.over:
			close(messages)
		default:
		}
		return messages
	})
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	s.address = strings.Replace(strings.TrimPrefix(server.URL, "http://"), "127.0.0.1", "localhost", 1)
	s.client = sessionkittest.As(t, r, "42", sessionkittest.At("http://"+s.address))
	s.http = &http.Client{Jar: s.client.Jar}
	return s
}

// get asks for a stream and returns the status of the answer, and its lines.
func (s *liveSite) get(t *testing.T, client *http.Client, path string, header http.Header) (int, *bufio.Scanner) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.address+path, nil)
	require.NoError(t, err)
	maps.Copy(q.Header, header)
	res, err := client.Do(q)
	require.NoError(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	return res.StatusCode, bufio.NewScanner(res.Body)
}

func TestLiveEvents(t *testing.T) {
	s := newLiveSite(t)
	status, _ := s.get(t, http.DefaultClient, "/events", nil)
	assert.Equal(t, http.StatusUnauthorized, status)

	_, lines := s.get(t, s.http, "/events", nil)
	require.True(t, lines.Scan())
	assert.Equal(t, "event:message", lines.Text())
	require.True(t, lines.Scan())
	assert.Equal(t, "data:hello 42", lines.Text())
	s.client.Post("/logout", nil)
	for lines.Scan() {
		assert.Empty(t, lines.Text())
	}
	assert.NoError(t, lines.Err(), "the stream ends with the session")
}

// TestLiveFeedThatEnds: a stream ends if its channel is closed.
func TestLiveFeedThatEnds(t *testing.T) {
	s := newLiveSite(t)
	close(s.over)
	_, lines := s.get(t, s.http, "/events", nil)
	var got []string
	for len(got) < 10 && lines.Scan() {
		got = append(got, lines.Text())
	}
	assert.Equal(t, []string{"event:message", "data:hello 42", ""}, got)

	conn, _, err := websocket.Dial(t.Context(), "ws://"+s.address+"/coder", &websocket.DialOptions{HTTPClient: s.http}) //nolint:bodyclose // its body is the connection
	require.NoError(t, err)
	_, text, err := conn.Read(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "hello 42", string(text))
	_, _, err = conn.Read(t.Context())
	assert.Error(t, err)
}

// TestLiveEventsBehindNginx: the events come at once.
func TestLiveEventsBehindNginx(t *testing.T) {
	s := newLiveSite(t)
	nginx := testserver.Nginx(t, s.address, "proxy_set_header Host "+s.address+";")
	tls := httptest.NewTLSServer(nil)
	defer tls.Close()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+nginx+"/events", nil)
	require.NoError(t, err)
	site, err := url.Parse("http://" + s.address)
	require.NoError(t, err)
	for _, cookie := range s.client.Jar.Cookies(site) {
		q.AddCookie(cookie)
	}
	res, err := tls.Client().Do(q)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	require.True(t, lines.Scan(), "or the test hangs")
	assert.Equal(t, "event:message", lines.Text())
}

func TestLiveEventsEndWithTheClient(t *testing.T) {
	s := newLiveSite(t)
	ctx, leave := context.WithCancel(t.Context())
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/events", nil)
	require.NoError(t, err)
	res, err := s.http.Do(q)
	require.NoError(t, err)
	leave()
	_ = res.Body.Close()
	<-s.left // or the test hangs
}

// docs/howto.md has this script.
const liveScript = `
function connect() {
	const events = new EventSource("/events");
	events.addEventListener("message", (event) => show(event.data));
	events.addEventListener("error", () => { // CLOSED: the answer was no stream, so the browser does not reconnect
		if (events.readyState === EventSource.CLOSED) setTimeout(reconnect, 3000);
	});
}
async function reconnect() {
	const answer = await fetch("/me").catch(() => null); // a route whose guard is Passive: this is no use of the session
	if (answer?.status !== 401) connect();
}
connect();`

// TestLiveEventsInBrowser: the script connects again after an outage, and when the stream has ended,
// and gives up at the 401.
func TestLiveEventsInBrowser(t *testing.T) {
	s := newLiveSite(t)
	b := newTab(t)
	site := "http://" + s.address
	b.open(site + "/login")
	b.open(site)
	s.outage.Store(true)
	js[bool](b, `window.shown = [], window.show = (text) => shown.push(text), window.answers = [], window.load = fetch,
		window.fetch = (url) => load(url).then((answer) => (answers.push(answer.status), answer)), true`)
	js[bool](b, strings.Replace(liveScript, "3000", "50", 1)+"true")
	b.wait(`answers.length === 2`) // and still out of order
	s.outage.Store(false)
	b.wait(`shown.includes("hello 42")`)
	js[int](b, `load("/logout", {method: "POST"}).then((r) => r.status)`)
	b.wait(`answers.at(-1) === 401`)
}

func TestLiveWebSockets(t *testing.T) {
	t.Run("coder", func(t *testing.T) {
		s := newLiveSite(t)
		dial := func() (*websocket.Conn, error) {
			conn, _, err := websocket.Dial(t.Context(), "ws://"+s.address+"/coder", &websocket.DialOptions{HTTPClient: s.http}) //nolint:bodyclose // its body is the connection
			return conn, err
		}
		conn, err := dial()
		require.NoError(t, err)
		_, text, err := conn.Read(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "hello 42", string(text))
		s.client.Post("/logout", nil)
		_, _, err = conn.Read(t.Context())
		assert.Equal(t, websocket.StatusPolicyViolation, websocket.CloseStatus(err), err)
		<-s.left

		s = newLiveSite(t)
		conn, err = dial()
		require.NoError(t, err)
		require.NoError(t, conn.CloseNow())
		<-s.left // the client has left, and the handler has returned
	})
	t.Run("gorilla", func(t *testing.T) {
		s := newLiveSite(t)
		dialer := gorilla.Dialer{Jar: s.client.Jar}
		conn, res, err := dialer.DialContext(t.Context(), "ws://"+s.address+"/gorilla", nil)
		require.NoError(t, err)
		_ = res.Body.Close()
		require.NoError(t, conn.WriteMessage(gorilla.TextMessage, []byte("hello")))
		_, text, err := conn.ReadMessage()
		require.NoError(t, err)
		assert.Equal(t, "42: hello", string(text))
		s.client.Post("/logout", nil)
		_, _, err = conn.ReadMessage()
		assert.True(t, gorilla.IsCloseError(err, gorilla.ClosePolicyViolation), err)
	})
	t.Run("refused", func(t *testing.T) {
		s := newLiveSite(t)
		for _, path := range []string{"/coder", "/gorilla"} {
			handshake := http.Header{
				"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
			}
			status, _ := s.get(t, http.DefaultClient, path, handshake)
			assert.Equal(t, http.StatusUnauthorized, status, "nobody is signed in")
			handshake["Origin"] = []string{"https://evil.example"}
			status, _ = s.get(t, s.http, path, handshake)
			assert.Equal(t, http.StatusForbidden, status, "another site")
		}
	})
}

// TestLiveReadLimits: a client that sends a message without an end does not fill the
// memory.
func TestLiveReadLimits(t *testing.T) {
	s := newLiveSite(t)
	dial := func(path string) *gorilla.Conn {
		dialer := gorilla.Dialer{Jar: s.client.Jar}
		conn, res, err := dialer.DialContext(t.Context(), "ws://"+s.address+path, nil)
		require.NoError(t, err)
		_ = res.Body.Close()
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	conn := dial("/gorilla")
	require.NoError(t, conn.WriteMessage(gorilla.BinaryMessage, make([]byte, 64<<10)))
	_, echo, err := conn.ReadMessage()
	require.NoError(t, err)
	assert.Len(t, echo, len("42: ")+64<<10)
	require.NoError(t, conn.WriteMessage(gorilla.BinaryMessage, make([]byte, 64<<10+1)))
	_, _, err = conn.ReadMessage()
	assert.True(t, gorilla.IsCloseError(err, gorilla.CloseMessageTooBig), err)

	for _, path := range []string{"/gorilla", "/coder"} { // the latter reads no message at all
		before := heap()
		message, err := dial(path).NextWriter(gorilla.BinaryMessage)
		require.NoError(t, err)
		chunk := make([]byte, 1<<20)
		for sent := 0; err == nil && sent < 64<<20; sent += len(chunk) {
			_, err = message.Write(chunk)
		}
		assert.Less(t, heap()-before, int64(16<<20), path)
	}
}
