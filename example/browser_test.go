package main_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	main "github.com/gin-sessionkit/sessionkit/example"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// browser is a client with cookies that shows redirects and does not follow them.
type browser struct {
	t      *testing.T
	site   string
	client http.Client

	handler http.Handler // of the site
}

// newBrowser returns a browser for the application on a real server.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	handler := newHandler(t, sessionkit.Config{})
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	b := browserOf(t, server.URL, server.Client().Transport)
	b.handler = handler
	return b
}

// newBubbleBrowser returns a browser for the application without a network, as
// testing/synctest needs it.
func newBubbleBrowser(t *testing.T, config sessionkit.Config) *browser {
	t.Helper()
	return browserOf(t, "http://localhost", handlerTransport{newHandler(t, config)})
}

func newHandler(t *testing.T, config sessionkit.Config) http.Handler {
	t.Helper()
	store := memstore.New()
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return main.NewServer(store, config).Handler
}

func browserOf(t *testing.T, site string, transport http.RoundTripper) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{t: t, site: site, client: http.Client{
		Transport:     transport,
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// handlerTransport has requests answered by a handler.
type handlerTransport struct{ handler http.Handler }

func (h handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	in := httptest.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), r.Body)
	in.Header = r.Header
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, in)
	return w.Result(), nil
}

// answer is a response that has been read.
type answer struct {
	*http.Response
	body string
}

func (b *browser) send(method, path string, header http.Header, body string) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.site+path, strings.NewReader(body))
	require.NoError(b.t, err)
	maps.Copy(r.Header, header)
	res, err := b.client.Do(r)
	require.NoError(b.t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	require.NoError(b.t, res.Body.Close())
	return answer{res, string(text)}
}

// get asks for a page or, as a script does, for what the API answers.
func (b *browser) get(path string) answer {
	b.t.Helper()
	accept := "text/html,*/*;q=0.8"
	if strings.HasPrefix(path, "/api/") {
		accept = "application/json"
	}
	return b.send(http.MethodGet, path, http.Header{"Accept": {accept}}, "")
}

// post sends a form: names and values in turn.
func (b *browser) post(path string, fields ...string) answer {
	b.t.Helper()
	form := url.Values{}
	for pair := range slices.Chunk(fields, 2) {
		form.Add(pair[0], pair[1])
	}
	return b.send(http.MethodPost, path, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, form.Encode())
}

// signIn signs a user in.
func (b *browser) signIn(user string, fields ...string) answer {
	b.t.Helper()
	a := b.post("/login", append([]string{"user", user, "password", "opensesame"}, fields...)...)
	require.Equal(b.t, http.StatusSeeOther, a.StatusCode, a.body)
	return a
}

// sessionCookie returns the session's cookie that the response sets.
func (a answer) sessionCookie(t *testing.T) *http.Cookie {
	t.Helper()
	for _, c := range a.Cookies() {
		if c.Name == "session" {
			return c
		}
	}
	require.Failf(t, "no session cookie", "in %q", a.Header["Set-Cookie"])
	return nil
}

func requireRedirect(t *testing.T, want string, a answer) {
	t.Helper()
	require.Equal(t, http.StatusSeeOther, a.StatusCode, a.body)
	require.Equal(t, want, a.Header.Get("Location"))
}
