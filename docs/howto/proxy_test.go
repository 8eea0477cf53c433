package howto_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// inReleaseMode puts gin into release mode for the test. Such tests do not run in
// parallel.
func inReleaseMode(t *testing.T) {
	t.Helper()
	t.Cleanup(func() { gin.SetMode(gin.TestMode) })
	gin.SetMode(gin.ReleaseMode)
}

func behindProxy(t *testing.T) *gin.Engine {
	t.Helper()
	inReleaseMode(t)
	r, err := howto.BehindProxy(memstore.New(), "127.0.0.1")
	require.NoError(t, err)
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
	r.GET("/", func(c *gin.Context) {
		c.String(http.StatusOK, sessionkit.Current(c).User+" from "+sessionkit.Current(c).IP)
	})
	return r
}

// TestBehindNginx runs nginx with the settings of the document, and without.
func TestBehindNginx(t *testing.T) {
	text, err := os.ReadFile("testdata/nginx.conf")
	require.NoError(t, err)
	_, settings, _ := strings.Cut(string(text), "{")
	settings = strings.ReplaceAll(strings.TrimSuffix(strings.TrimSpace(settings), "}"), "proxy_pass http://127.0.0.1:8080;", "")
	for name, test := range map[string]struct {
		settings string
		sites    map[string]int // that a form may be sent from, according to old browsers
	}{
		"as documented":   {settings, map[string]int{"same": http.StatusOK, "other": http.StatusForbidden}},
		"without headers": {"", map[string]int{"same": http.StatusForbidden, "other": http.StatusForbidden}},
	} {
		t.Run(name, func(t *testing.T) {
			log := logged(t)
			server := serve(t, "127.0.0.1", behindProxy(t))
			site := "https://" + testserver.Nginx(t, strings.TrimPrefix(server, "http://"), test.settings)
			jar, err := cookiejar.New(nil)
			require.NoError(t, err)
			tls := httptest.NewTLSServer(nil)
			defer tls.Close()
			client := http.Client{Jar: jar, Transport: tls.Client().Transport}
			do := func(method, origin string) (int, string) {
				path := map[string]string{http.MethodPost: "/login", http.MethodGet: "/"}[method]
				q, err := http.NewRequestWithContext(t.Context(), method, site+path, nil)
				require.NoError(t, err)
				if origin != "" {
					q.Header.Set("Origin", origin)
				}
				res, err := client.Do(q)
				require.NoError(t, err)
				body, err := io.ReadAll(res.Body)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				return res.StatusCode, string(body)
			}
			for from, want := range test.sites {
				status, _ := do(http.MethodPost, map[string]string{"same": site, "other": "https://other.example"}[from])
				assert.Equal(t, want, status, from)
			}
			status, _ := do(http.MethodPost, "")
			assert.Equal(t, http.StatusOK, status)
			_, body := do(http.MethodGet, "")
			assert.Equal(t, "42 from 127.0.0.1", body)
			if test.settings == "" {
				assert.Contains(t, log.String(), "Origin does not match Host")
				assert.Contains(t, log.String(), "have the proxy keep Host")
				assert.Contains(t, log.String(), "let the proxy in front send X-Forwarded-Proto")
			} else {
				assert.NotContains(t, log.String(), "a Secure cookie was set")
			}
		})
	}
}

// TestUploadBehindNginx: with the setting of the document the application is asked while the body is
// still under way.
func TestUploadBehindNginx(t *testing.T) {
	text, err := os.ReadFile("../howto.md")
	require.NoError(t, err)
	const settings = "proxy_request_buffering off; proxy_http_version 1.1;"
	require.Contains(t, string(text), settings)
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(server.Close)
	tls := httptest.NewTLSServer(nil)
	defer tls.Close()
	body, out := io.Pipe()
	go func() {
		_, _ = io.WriteString(out, "first, ")
		select {
		case <-asked:
			_, _ = io.WriteString(out, "second")
		case <-t.Context().Done():
		case <-time.After(10 * time.Second):
		}
		_ = out.Close()
	}()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+testserver.Nginx(t, strings.TrimPrefix(server.URL, "http://"), settings), body)
	require.NoError(t, err)
	res, err := tls.Client().Do(q)
	require.NoError(t, err)
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	assert.Equal(t, "first, second", string(answer))
}

// TestWhatTheLogSays: the document says what the log says if a header or a mode is
// wrong.
func TestWhatTheLogSays(t *testing.T) {
	text, err := os.ReadFile("../howto.md")
	require.NoError(t, err)
	inReleaseMode(t)
	for name, test := range map[string]struct {
		host   string
		header []string
		debug  bool
		want   string // the beginning
	}{
		"plain HTTP":          {host: "shop.example.com", want: "a Secure cookie was set over plain HTTP, where browsers drop it"},
		"a proxy without TLS": {host: "shop.example.com", header: []string{"X-Forwarded-Proto", "http"}, want: "a Secure cookie was set, but the proxy says that the browser uses plain HTTP"},
		"a proxy without TLS that does not say so": {
			host: "shop.example.com", header: []string{"X-Forwarded-For", "203.0.113.7", "Origin", "http://shop.example.com"},
			want: "a Secure cookie was set over plain HTTP, where browsers drop it",
		},
		"a proxy with TLS that does not say so": {host: "shop.example.com", header: []string{"X-Forwarded-For", "203.0.113.7", "Origin", "https://shop.example.com"}},
		"release mode on localhost":             {host: "localhost:8080", want: "a Secure cookie was set for localhost over plain HTTP, where some browsers (Safari) drop it"},
		"debug mode behind a silent proxy": {
			host: "localhost:8080", header: []string{"Origin", "https://shop.example.com"}, debug: true,
			want: "a cookie without Secure was set for localhost, but the request came from",
		},
		"a proxy with TLS": {host: "shop.example.com", header: []string{"X-Forwarded-Proto", "https"}},
	} {
		t.Run(name, func(t *testing.T) {
			log := logged(t)
			if test.debug {
				gin.SetMode(gin.TestMode)
				defer gin.SetMode(gin.ReleaseMode)
			}
			r := gin.New()
			r.Use(sessionkit.Sessions(memstore.New()))
			r.GET("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
			q := httptest.NewRequest(http.MethodGet, "/login", nil)
			q.Host = test.host
			for i := 0; i < len(test.header); i += 2 {
				q.Header.Set(test.header[i], test.header[i+1])
			}
			r.ServeHTTP(httptest.NewRecorder(), q)
			if test.want == "" {
				assert.Empty(t, log.String())
				return
			}
			assert.Contains(t, log.String(), "sessionkit: "+test.want)
			assert.Contains(t, string(text), test.want, "the document has it")
		})
	}
}

// TestEachWarningOnce: the log says each thing once, so that a probe by another address
// hides none of them.
func TestEachWarningOnce(t *testing.T) {
	inReleaseMode(t)
	log := logged(t)
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.GET("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
	for range 2 {
		for url, proto := range map[string]string{"http://10.1.2.3:8080/login": "", "http://localhost:8080/login": "", "http://shop.example.com/login": "http"} {
			q := httptest.NewRequest(http.MethodGet, url, nil)
			if proto != "" {
				q.Header.Set("X-Forwarded-Proto", proto)
			}
			r.ServeHTTP(httptest.NewRecorder(), q)
		}
	}
	for _, warning := range []string{"over plain HTTP, where browsers drop it", "for localhost over plain HTTP", "the proxy says that the browser uses plain HTTP"} {
		assert.Equal(t, 1, strings.Count(log.String(), warning), warning)
	}
}

func TestLocalNetwork(t *testing.T) {
	inReleaseMode(t)
	log := logged(t)
	r := gin.New()
	r.Use(howto.LocalNetwork(memstore.New()))
	r.GET("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
	q := httptest.NewRequest(http.MethodGet, "http://printer.lan/login", nil)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, q)
	cookie := w.Result().Cookies()[0]
	assert.Equal(t, "session", cookie.Name)
	assert.False(t, cookie.Secure)
	assert.Empty(t, log.String())
}
