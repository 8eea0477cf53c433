package devicebound_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// redisVariable has the test binary run the application, with its sessions in the Redis
// server at that address.
const redisVariable = "DEVICEBOUND_REDIS"

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	slog.SetDefault(slog.New(slog.DiscardHandler))
	if address := os.Getenv(redisVariable); address != "" {
		serve(address)
		return
	}
	testserver.Main(m)
}

// serve runs the application until the parent closes its standard input.
func serve(address string) {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{address}})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(newApp(redisstore.New(client)).Engine)
	fmt.Println(server.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// app is the application, and what it has heard.
type app struct {
	*gin.Engine
	mu     sync.Mutex
	events []sessionkit.Event
	asked  []string // methods and paths
}

// boundFor is short, but long enough for no test to see the end of it.
const boundFor = 5 * time.Minute

// newApp returns the application, which pages of other origins may call.
func newApp(s *store.Store, origins ...string) *app {
	a := &app{Engine: gin.New()}
	a.Use(func(c *gin.Context) {
		a.note(c.Request)
		if origin := c.GetHeader("Origin"); slices.Contains(origins, origin) {
			c.Header("Access-Control-Allow-Origin", origin)
			c.Header("Access-Control-Allow-Credentials", "true")
		}
	}, sessionkit.Sessions(s, sessionkit.Config{
		DeviceBound: true, BoundFor: boundFor, RememberFor: time.Hour, TrustedOrigins: origins,
		OnEvent: func(_ *gin.Context, e sessionkit.Event) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.events = append(a.events, e)
		},
	}))
	page := func(c *gin.Context, text string) {
		c.Data(http.StatusOK, "text/html; charset=utf-8", []byte("<!doctype html><title>page</title><link rel=icon href=data:,><p>"+text+"</p>"))
	}
	a.GET("/login", func(c *gin.Context) {
		page(c, "reason: "+c.Query("reason")+"<form method=post><button>Sign in</button></form>")
	})
	a.POST("/login", func(c *gin.Context) {
		sessionkit.Login(c, "alice", sessionkit.Remember())
		c.Redirect(http.StatusSeeOther, "/account")
	})
	guard := sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"})
	a.GET("/account", guard, func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		page(c, "user: "+user+"<form method=post action=/logout><button>Sign out</button></form>")
	})
	a.GET("/api/me", guard, func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Current(c)) })
	a.POST("/logout", func(c *gin.Context) {
		sessionkit.Logout(c)
		c.Redirect(http.StatusSeeOther, "/login")
	})
	return a
}

func (a *app) note(r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r.Method+" "+r.URL.Path)
}

// count returns how many requests there were.
func (a *app) count(request string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.asked {
		if r == request {
			n++
		}
	}
	return n
}

// heard returns the kinds of the events so far and forgets them.
func (a *app) heard() (kinds []sessionkit.EventKind) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.events {
		kinds = append(kinds, e.Kind)
	}
	a.events = nil
	return slices.Compact(kinds)
}

// newSite returns the application at an https address.
func newSite(t *testing.T) (*app, string) {
	t.Helper()
	s := memstore.New()
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	a := newApp(s)
	return a, overTLS(t, a)
}

func overTLS(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

// process starts the application in a process of its own.
func process(t *testing.T, redis string) *url.URL {
	t.Helper()
	command := exec.CommandContext(context.Background(), os.Args[0])
	command.Env = append(os.Environ(), redisVariable+"="+redis)
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	require.NoError(t, err)
	out, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = command.Wait()
	})
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan(), "the application did not start")
	address, err := url.Parse(lines.Text())
	require.NoError(t, err)
	return address
}

// newPair returns the https address of two processes behind a proxy: one registers, the
// other one refreshes, and they take turns at all else.
func newPair(t *testing.T) string {
	t.Helper()
	redis := testserver.Redis(t)
	nodes := [2]*url.URL{process(t, redis.Address), process(t, redis.Address)}
	var mu sync.Mutex
	n := 0
	return overTLS(t, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		mu.Lock()
		n++
		to := n % 2
		mu.Unlock()
		switch r.In.URL.Path {
		case "/dbsc/register":
			to = 0
		case "/dbsc/refresh":
			to = 1
		}
		r.SetURL(nodes[to])
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}})
}
