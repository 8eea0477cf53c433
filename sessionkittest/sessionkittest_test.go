package sessionkittest_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	gincookie "github.com/gin-contrib/sessions/cookie"
	ginfilesystem "github.com/gin-contrib/sessions/filesystem"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	slog.SetDefault(slog.New(slog.DiscardHandler))
	m.Run()
}

type item struct{ Name string }

var (
	cart  = sessionkit.NewKey[[]item]("cart")
	color = sessionkit.NewKey[string]("color")
)

var secret = []byte("0123456789abcdef0123456789abcdef")

// routes are an application's routes. group is where its middleware stands.
func routes(group gin.IRoutes) {
	guard := sessionkit.RequireSession()
	group.GET("/cart", guard, func(c *gin.Context) {
		items, _ := cart.Get(c)
		c.JSON(http.StatusOK, items)
	})
	group.POST("/cart", guard, func(c *gin.Context) {
		items, _ := cart.Get(c)
		cart.Set(c, append(items, item{c.PostForm("item")}))
		sessionkit.Flash(c, sessionkit.Success, "Added")
		c.Redirect(http.StatusSeeOther, "/cart")
	})
	group.GET("/flashes", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Flashes(c)) })
	group.POST("/echo", func(c *gin.Context) {
		body, _ := io.ReadAll(c.Request.Body)
		user, _ := sessionkit.User(c)
		c.String(http.StatusOK, "%s: %s", user, body)
	})
	group.POST("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
}

func newRouter(s sessions.Store, config ...sessionkit.Config) *gin.Engine {
	r := gin.New()
	r.Use(sessionkit.Sessions(s, config...))
	routes(r)
	return r
}

func TestAs(t *testing.T) {
	wrapped := func(next http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/", http.TimeoutHandler(next, time.Minute, ""))
		return mux
	}
	onGroup := func() *gin.Engine {
		r := gin.New()
		r.GET("/", func(c *gin.Context) { c.String(http.StatusOK, "no session here") })
		routes(r.Group("/", sessionkit.Sessions(memstore.New())))
		return r
	}
	for name, test := range map[string]struct {
		router http.Handler
		site   string
		cookie string
	}{
		"no configuration":   {router: newRouter(memstore.New()), cookie: "__Host-Http-session"},
		"gin-contrib files":  {router: newRouter(ginfilesystem.NewStore(t.TempDir(), secret)), cookie: "__Host-Http-session"},
		"gin-contrib cookie": {router: newRouter(gincookie.NewStore(secret)), cookie: "__Host-Http-session"},
		"other name and path": {
			router: newRouter(memstore.New(), sessionkit.Config{Name: "sid", Path: "/cart"}),
			cookie: "__Secure-sid",
		},
		"localhost":      {router: newRouter(memstore.New()), site: "http://localhost:8080", cookie: "session"},
		"plain HTTP":     {router: newRouter(memstore.New(), sessionkit.Config{InsecureHTTP: true}), site: "http://intranet.test", cookie: "session"},
		"another host":   {router: newRouter(memstore.New(), sessionkit.Config{Domain: "example.org"}), site: "https://www.example.org", cookie: "__Secure-session"},
		"inside a mux":   {router: wrapped(newRouter(memstore.New())), cookie: "__Host-Http-session"},
		"on a group":     {router: onGroup(), cookie: "__Host-Http-session"},
		"a mux, a group": {router: wrapped(onGroup()), cookie: "__Host-Http-session"},
	} {
		t.Run(name, func(t *testing.T) {
			options := []sessionkittest.Option{sessionkittest.With(cart, []item{{"tea"}}), sessionkittest.With(color, "red")}
			if test.site != "" {
				options = append(options, sessionkittest.At(test.site))
			}
			client := sessionkittest.As(t, test.router, "42", options...)
			w := client.Get("/cart")
			assert.Equal(t, http.StatusOK, w.Code, w.Body)
			assert.JSONEq(t, `[{"Name":"tea"}]`, w.Body.String())
			assert.Empty(t, w.Header()["Set-Cookie"], "the session was there before the request")

			w = client.Post("/cart", url.Values{"item": {"cake"}})
			assert.Equal(t, http.StatusSeeOther, w.Code)
			items, ok := sessionkittest.Value(client, cart)
			assert.True(t, ok)
			assert.Equal(t, []item{{"tea"}, {"cake"}}, items)
			shade, _ := sessionkittest.Value(client, color)
			assert.Equal(t, "red", shade)
			_, ok = sessionkittest.Value(client, sessionkit.NewKey[int]("nothing"))
			assert.False(t, ok)
			assert.Equal(t, "42", client.Session().User)

			var names []string
			at, err := url.Parse(cmp.Or(test.site, "https://example.com") + "/cart")
			require.NoError(t, err)
			for _, c := range client.Jar.Cookies(at) {
				names = append(names, c.Name)
			}
			assert.Equal(t, []string{test.cookie}, names)
		})
	}
}

func TestFlashesAreLeftForTheNextPage(t *testing.T) {
	for name, store := range map[string]sessions.Store{"memstore": memstore.New(), "gin-contrib cookie": gincookie.NewStore(secret)} {
		t.Run(name, func(t *testing.T) {
			client := sessionkittest.As(t, newRouter(store), "42")
			assert.Empty(t, client.Flashes())
			client.Post("/cart", nil)
			client.Post("/cart", nil)
			want := []sessionkit.FlashMessage{{Level: sessionkit.Success, Text: "Added"}, {Level: sessionkit.Success, Text: "Added"}}
			assert.Equal(t, want, client.Flashes())
			assert.Equal(t, want, client.Flashes())
			assert.JSONEq(t, `[{"level":"success","text":"Added"},{"level":"success","text":"Added"}]`, client.Get("/flashes").Body.String())
			assert.Empty(t, client.Flashes())
		})
	}
}

func TestVisitor(t *testing.T) {
	router := newRouter(memstore.New())
	client := sessionkittest.Visitor(t, router)
	assert.Equal(t, http.StatusUnauthorized, client.Get("/cart").Code)
	assert.Empty(t, client.Session().ID, "no session is made by looking")

	client = sessionkittest.Visitor(t, router, sessionkittest.With(color, "red"))
	shade, _ := sessionkittest.Value(client, color)
	assert.Equal(t, "red", shade)
	assert.Equal(t, http.StatusUnauthorized, client.Get("/cart").Code)

	w := client.Within(func(c *gin.Context) {
		sessionkit.Login(c, "42", sessionkit.Remember())
		c.String(http.StatusTeapot, "inside")
	})
	assert.Equal(t, http.StatusTeapot, w.Code)
	assert.Equal(t, "inside", w.Body.String())
	assert.Equal(t, "42", client.Session().User)
	assert.True(t, client.Session().Remembered)
	client.Within(func(c *gin.Context) { sessions.Default(c).Set("color", "blue") })
	shade, _ = sessionkittest.Value(client, color)
	assert.Equal(t, "blue", shade)
}

// TestGuestIsSentToSignIn is the first test that everybody writes: Get and Post are
// what a browser sends, and Do what a script does.
func TestGuestIsSentToSignIn(t *testing.T) {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.Any("/account", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"}), func(*gin.Context) {})
	client := sessionkittest.Visitor(t, r)
	w := client.Get("/account")
	assert.Equal(t, http.StatusSeeOther, w.Code)
	assert.Equal(t, "/login?next=%2Faccount&reason=not-signed-in", w.Header().Get("Location"))
	w = client.Post("/account", nil)
	assert.Equal(t, "/login?reason=not-signed-in", w.Header().Get("Location"))
	w = client.Do(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/account", nil))
	assert.Equal(t, http.StatusUnauthorized, w.Code)
	assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
}

func TestDoSendsTheRequestAsItIs(t *testing.T) {
	r := gin.New()
	r.GET("/outside", func(c *gin.Context) { c.String(http.StatusOK, c.Request.Host) })
	r.POST("/outside", func(c *gin.Context) { _, _ = io.Copy(c.Writer, c.Request.Body) })
	r.GET("/cookie", func(c *gin.Context) {
		value, _ := c.Cookie("where")
		c.SetCookie("where", "here", 0, "/", "", true, true)
		c.String(http.StatusOK, value)
	})
	handled := 0
	group := r.Group("/in", sessionkit.Sessions(memstore.New()), func(*gin.Context) { handled++ })
	routes(group)
	client := sessionkittest.As(t, r, "42", sessionkittest.At("https://app.test"))
	assert.Equal(t, "app.test", client.Get("/outside").Body.String())
	assert.Equal(t, "body", client.Do(httptest.NewRequest(http.MethodPost, "/outside", strings.NewReader("body"))).Body.String())

	request := httptest.NewRequest(http.MethodPost, "/in/echo", strings.NewReader("body"))
	request.AddCookie(&http.Cookie{Name: "other", Value: "x"})
	assert.Equal(t, "42: body", client.Do(request).Body.String())
	assert.Equal(t, 1, handled, "the sign-in comes before the handlers")
	assert.Len(t, request.Cookies(), 1, "the request itself is not changed")

	elsewhere := httptest.NewRequest(http.MethodPost, "https://other.test/in/echo", strings.NewReader("body"))
	assert.Equal(t, ": body", client.Do(elsewhere).Body.String(), "a browser sends no cookie of another host")
	client.Do(httptest.NewRequest(http.MethodGet, "https://other.test/cookie", nil))
	assert.Empty(t, client.Get("/cookie").Body.String(), "nor keeps one for another host")
	assert.Equal(t, "here", client.Get("/cookie").Body.String())
}

func TestTheSameSessionOverANetwork(t *testing.T) {
	server := httptest.NewServer(newRouter(memstore.New()))
	t.Cleanup(server.Close)
	client := sessionkittest.As(t, server.Config.Handler, "42", sessionkittest.At(server.URL))
	browser := http.Client{Jar: client.Jar}
	response, err := browser.Post(server.URL+"/echo", "text/plain", strings.NewReader("hello"))
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, "42: hello", string(body))
}

func TestTimeMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sessionkittest.NewStore()
		router := newRouter(s)
		client := sessionkittest.As(t, router, "42")
		for range 3 {
			time.Sleep(50 * time.Minute)
			require.Equal(t, http.StatusOK, client.Get("/cart").Code)
		}
		for range 2 {
			time.Sleep(50 * time.Minute)
			client.Session() // is no use of it
		}
		assert.Equal(t, http.StatusUnauthorized, client.Get("/cart").Code)
		require.NoError(t, s.Close())
	})
}

// TestRequestsFollowEachOther in a bubble as well, whose clock stands still while they
// are served: a sign-in after the others were ended is not one of them.
func TestRequestsFollowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := sessionkittest.As(t, newRouter(memstore.New()), "42")
		for range 3 {
			client.Within(func(c *gin.Context) { assert.NoError(t, sessionkit.LogoutEverywhere(c)) })
			assert.Equal(t, http.StatusOK, client.Within(func(c *gin.Context) { sessionkit.Login(c, "42") }).Code)
			assert.Equal(t, http.StatusOK, client.Get("/cart").Code)
		}
	})
}

func TestStream(t *testing.T) {
	router := newRouter(memstore.New())
	router.GET("/events", func(c *gin.Context) {
		n := 0
		c.Stream(func(io.Writer) bool {
			n++
			c.SSEvent("", n)
			return n < 2
		})
	})
	w := sessionkittest.As(t, router, "42").Get("/events")
	assert.Equal(t, "data:1\n\ndata:2\n\n", w.Body.String())
	assert.True(t, w.Flushed)
}

// TestStreamOnAGroup: a sign-out ends the stream that is the client's first request to the group.
func TestStreamOnAGroup(t *testing.T) {
	r := gin.New()
	group := r.Group("/", sessionkit.Sessions(memstore.New()))
	routes(group)
	open := make(chan struct{})
	group.GET("/events", sessionkit.RequireSession(), func(c *gin.Context) {
		close(open)
		select {
		case <-sessionkit.Done(c):
			c.String(http.StatusOK, "ended")
		case <-time.After(5 * time.Second):
		}
	})
	client := sessionkittest.As(t, r, "42")
	body := make(chan string)
	go func() { body <- client.Get("/events").Body.String() }()
	<-open
	assert.Equal(t, http.StatusOK, client.Post("/logout", nil).Code)
	assert.Equal(t, "ended", <-body)
}

// TestCanceledRequest: the session goes on when the context of the request is over that began it.
func TestCanceledRequest(t *testing.T) {
	r := gin.New()
	routes(r.Group("/", sessionkit.Sessions(memstore.New())))
	client := sessionkittest.As(t, r, "42")
	ctx, cancel := context.WithCancel(t.Context())
	require.Equal(t, http.StatusOK, client.Do(httptest.NewRequestWithContext(ctx, http.MethodGet, "/cart", nil)).Code)
	cancel()
	assert.Equal(t, http.StatusOK, client.Within(sessionkit.Confirm).Code)
}

func TestStoreFailsOnDemand(t *testing.T) {
	down := errors.New("down")
	s := sessionkittest.NewStore()
	var heard []error
	router := newRouter(s, sessionkit.Config{OnError: func(_ *gin.Context, err error) { heard = append(heard, err) }})
	client := sessionkittest.As(t, router, "42")

	s.FailWrites(down)
	assert.Equal(t, http.StatusOK, client.Get("/cart").Code)
	w := client.Post("/cart", url.Values{"item": {"tea"}})
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Empty(t, w.Header().Get("Location"))
	assert.Equal(t, http.StatusServiceUnavailable, client.Post("/logout", nil).Code)
	s.FailWrites(nil)
	_, ok := sessionkittest.Value(client, cart)
	assert.False(t, ok)

	s.FailReads(down)
	assert.Equal(t, http.StatusServiceUnavailable, client.Get("/cart").Code)
	_, err := s.Sessions(t.Context(), "42")
	require.ErrorIs(t, err, down)
	s.FailReads(nil)
	assert.Equal(t, http.StatusOK, client.Get("/cart").Code)
	require.Len(t, heard, 3)
	for _, err := range heard {
		require.ErrorIs(t, err, down)
	}
	list, err := s.Sessions(t.Context(), "42")
	require.NoError(t, err)
	assert.Len(t, list, 1, "it can do what the stores of the module can")
}

// TestDoLikeAServer: a handler finds in a request of http.NewRequest what a server puts there.
func TestDoLikeAServer(t *testing.T) {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.GET("/seen", func(c *gin.Context) {
		c.String(http.StatusOK, "%s %s %s %t", c.Request.RequestURI, c.ClientIP(), c.Request.Host, c.Request.TLS != nil)
	})
	r.GET("/account", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"}), func(*gin.Context) {})
	client := sessionkittest.Visitor(t, r)
	do := func(target string) *httptest.ResponseRecorder {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		require.NoError(t, err)
		request.Header.Set("Accept", "text/html")
		return client.Do(request)
	}
	assert.Equal(t, "/seen?a=b 192.0.2.1 example.com true", do("/seen?a=b").Body.String())
	assert.Equal(t, "/seen?a=b 192.0.2.1 example.com true", do("https://example.com/seen?a=b").Body.String())
	assert.Equal(t, "/seen?a=b 192.0.2.1 other.test false", do("http://other.test/seen?a=b").Body.String())
	assert.Equal(t, "/login?next=%2Faccount%3Fa%3Db&reason=not-signed-in", do("/account?a=b").Header().Get("Location"))

	given := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/seen", nil)
	given.RequestURI, given.RemoteAddr = "/other", "198.51.100.7:1"
	assert.Equal(t, "/other 198.51.100.7 example.com true", client.Do(given).Body.String(), "what is set stays")
}

// TestWithinStandsForWhatIsBehind the middleware: what is before it runs, and nothing else.
func TestWithinStandsForWhatIsBehind(t *testing.T) {
	var ran []string
	runs := func(what string) gin.HandlerFunc { return func(*gin.Context) { ran = append(ran, what) } }
	s := memstore.New()
	r := gin.New()
	r.Use(runs("before"), sessionkit.Sessions(s), runs("behind"), sessionkit.Sessions(s, sessionkit.Config{Name: "second"}))
	r.POST("/second", func(c *gin.Context) { sessionkit.Login(c, "root") })
	client := sessionkittest.As(t, r, "42")
	assert.Equal(t, []string{"before", "before"}, ran, "the sign-in, and a look whether it is found")
	ran = nil
	client.Within(func(*gin.Context) { ran = append(ran, "within") })
	assert.Equal(t, []string{"before", "within"}, ran)
	client.Post("/second", nil)
	assert.Equal(t, "42", client.Session().User, "the session of the first middleware")
}

func TestFlashesInParallel(t *testing.T) {
	client := sessionkittest.As(t, newRouter(memstore.New()), "42")
	client.Within(func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "one") })
	for range 50 {
		var running sync.WaitGroup
		for range 8 {
			running.Go(func() { client.Flashes() })
		}
		running.Wait()
		require.Len(t, client.Flashes(), 1)
	}
}

func TestParallelRequests(t *testing.T) {
	s := sessionkittest.NewStore()
	r := gin.New()
	slowly := func(*gin.Context) { time.Sleep(5 * time.Millisecond) } // so that the others come meanwhile
	routes(r.Group("/", slowly, sessionkit.Sessions(s)))
	client := sessionkittest.As(t, r, "42")
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() { assert.Equal(t, http.StatusOK, client.Get("/cart").Code) })
	}
	running.Wait()
	list, err := s.Sessions(t.Context(), "42")
	require.NoError(t, err)
	assert.Len(t, list, 1, "whichever came first has begun the session")
}

// failures is a test that is to fail.
type failures struct {
	testing.TB
	text string
}

func (f *failures) Helper() {}

func (f *failures) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestFailuresSayWhatToDo(t *testing.T) {
	down := sessionkittest.NewStore()
	down.FailWrites(errors.New("down"))
	for want, test := range map[string]func(tb testing.TB){
		"over plain HTTP that takes localhost or Config.InsecureHTTP": func(tb testing.TB) {
			tb.Helper()
			sessionkittest.As(tb, newRouter(memstore.New()), "42", sessionkittest.At("http://example.com"))
		},
		`At("localhost"): it must be a scheme and a host`: func(tb testing.TB) {
			tb.Helper()
			sessionkittest.As(tb, newRouter(memstore.New()), "42", sessionkittest.At("localhost"))
		},
		"could not be begun: 503": func(tb testing.TB) {
			tb.Helper()
			sessionkittest.As(tb, newRouter(down), "42")
		},
		"no request of this client has passed sessionkit.Sessions": func(tb testing.TB) {
			tb.Helper()
			sessionkittest.Visitor(tb, gin.New()).Session()
		},
		"GET /cart was answered before it came to sessionkit.Sessions: 404": func(tb testing.TB) {
			tb.Helper()
			router := newRouter(memstore.New())
			open := true
			client := sessionkittest.Visitor(tb, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if open && r.URL.Path == "/cart" {
					router.ServeHTTP(w, r)
				} else {
					http.NotFound(w, r)
				}
			}))
			client.Get("/cart")
			open = false
			client.Session()
		},
		"loading the session": func(tb testing.TB) {
			tb.Helper()
			s := sessionkittest.NewStore()
			client := sessionkittest.As(tb, newRouter(s), "42")
			s.FailReads(errors.New("down"))
			client.Session()
		},
	} {
		t.Run(want, func(t *testing.T) {
			failed := &failures{TB: t}
			var running sync.WaitGroup
			running.Go(func() { test(failed) })
			running.Wait()
			assert.Contains(t, failed.text, want)
		})
	}
}
