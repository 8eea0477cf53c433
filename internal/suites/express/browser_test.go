package express_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// browser is a visitor of one of the two applications.
type browser struct {
	t    *testing.T
	site string
	jar  *cookiejar.Jar
}

func newBrowser(t *testing.T, site string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{t: t, site: site, jar: jar}
}

type reply struct {
	status  int
	body    string
	header  http.Header
	cookies []*http.Cookie
}

// get asks for a page, without following a redirect. headers are names and values.
func (b *browser) get(path string, headers ...string) reply {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.site+path, nil)
	require.NoError(b.t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	client := http.Client{
		Jar: b.jar, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(r)
	require.NoError(b.t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	require.NoError(b.t, res.Body.Close())
	return reply{res.StatusCode, string(body), res.Header, res.Cookies()}
}

// cookie returns the value of a cookie that the browser sends, "" if it has none.
func (b *browser) cookie(path, name string) string {
	at, err := url.Parse(b.site + path)
	require.NoError(b.t, err)
	for _, c := range b.jar.Cookies(at) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// fork returns a browser with a copy of the cookies that this one sends.
func (b *browser) fork() *browser {
	other := newBrowser(b.t, b.site)
	at, err := url.Parse(b.site)
	require.NoError(b.t, err)
	other.jar.SetCookies(at, b.jar.Cookies(at))
	return other
}

// put gives the browser a cookie.
func (b *browser) put(name, value string) {
	at, err := url.Parse(b.site)
	require.NoError(b.t, err)
	b.jar.SetCookies(at, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}
