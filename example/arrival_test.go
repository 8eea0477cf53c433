package main_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

// forwarding is what most sites tell nginx to set.
const forwarding = `proxy_set_header Host $http_host;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_set_header X-Forwarded-Proto $scheme;`

// behind are the ways in which browsers reach the application: without a proxy, and
// through nginx that tells of the request that it has got, or does not.
var behind = map[string]func(t *testing.T, address string) (site string){
	"directly": func(_ *testing.T, address string) string { return "http://localhost:" + port(address) },
	"behind nginx": func(t *testing.T, address string) string {
		t.Helper()
		return "https://localhost:" + port(testserver.Nginx(t, address, forwarding))
	},
	"behind nginx without headers": func(t *testing.T, address string) string {
		t.Helper()
		return "https://localhost:" + port(testserver.Nginx(t, address, ""))
	},
}

// onEachConnection runs a test with a site of its own for each of them, in both modes of
// gin.
func onEachConnection(t *testing.T, test func(t *testing.T, site string)) {
	t.Helper()
	for _, mode := range []string{gin.DebugMode, gin.ReleaseMode} {
		for name, reach := range behind {
			t.Run(name+", "+mode+" mode", func(t *testing.T) {
				t.Parallel()
				p := startProcess(t, "memory", filepath.Join(t.TempDir(), "key"), modeVariable+"="+mode)
				test(t, reach(t, "127.0.0.1:"+port(p.site)))
			})
		}
	}
}

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// arrivals are the ways in which a browser comes to a page of the site. elsewhere is
// another site.
var arrivals = []struct {
	name   string
	arrive func(b *tab, elsewhere string)
}{
	{"typed", func(b *tab, _ string) { b.open("/account") }},
	{"clicked", func(b *tab, _ string) {
		b.open("/messages")
		b.click("nav [href='/account']")
	}},
	{"from another site", func(b *tab, elsewhere string) { b.from(elsewhere + "/link") }},
	{"from a mail", func(b *tab, elsewhere string) { b.from(elsewhere + "/noreferrer") }},
	{"from a site without referrers", func(b *tab, elsewhere string) { b.from(elsewhere + "/policy") }},
	{"redirected from another site", func(b *tab, elsewhere string) { b.from(elsewhere + "/provider") }},
	{"posted from another site", func(b *tab, elsewhere string) { // as a provider's form_post; it is refused, and ends nothing
		b.leave(chromedp.Navigate(elsewhere + "/post"))
		assert.Equal(b.t, http.StatusForbidden, b.click("button"))
		b.expectComplaint("403")
		b.open("/account")
	}},
	{"reloaded", func(b *tab, _ string) {
		b.open("/account")
		b.leave(chromedp.Reload())
	}},
}

// from clicks on the link of another site's page.
func (b *tab) from(page string) {
	b.t.Helper()
	b.leave(chromedp.Navigate(page))
	b.click("a")
}

// newElsewhere returns another site, with links to the one.
func newElsewhere(t *testing.T, site string) string {
	t.Helper()
	page := func(w http.ResponseWriter, body string) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, "<!doctype html><link rel=icon href=data:,>"+body)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/link", func(w http.ResponseWriter, _ *http.Request) { page(w, `<a href="`+site+`/account">go</a>`) })
	mux.HandleFunc("/noreferrer", func(w http.ResponseWriter, _ *http.Request) {
		page(w, `<a rel="noreferrer" href="`+site+`/account">go</a>`)
	})
	mux.HandleFunc("/policy", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Referrer-Policy", "no-referrer")
		page(w, `<a href="`+site+`/account">go</a>`)
	})
	mux.HandleFunc("/provider", func(w http.ResponseWriter, _ *http.Request) { page(w, `<a href="/back">go</a>`) })
	mux.HandleFunc("/back", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, site+"/account", http.StatusSeeOther)
	})
	mux.HandleFunc("/post", func(w http.ResponseWriter, _ *http.Request) {
		page(w, `<form method=post action="`+site+`/account/stay"><button>go</button></form>`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL // 127.0.0.1, and not localhost
}

// walk calls visit with each of n things in such an order that each comes after each,
// itself included.
func walk(n int, visit func(i int)) {
	for i := range n {
		visit(i)
		for j := i + 1; j < n; j++ {
			visit(j)
			visit(i)
		}
	}
	for i := range n {
		visit(i)
		visit(i)
	}
}

func TestWalk(t *testing.T) {
	last, followed := -1, make(map[[2]int]bool)
	walk(len(arrivals), func(i int) {
		followed[[2]int{last, i}] = true
		last = i
	})
	for i := range arrivals {
		for j := range arrivals {
			assert.True(t, followed[[2]int{i, j}], "%d after %d", j, i)
		}
	}
}

// TestArrivals: whichever way a signed-in user comes to the site, and whichever way
// after it, they stay signed in. The first visit, too, may come from anywhere.
func TestArrivals(t *testing.T) {
	testserver.Slow(t)
	t.Parallel()
	testserver.Chromium(t)
	onEachConnection(t, func(t *testing.T, site string) {
		elsewhere := newElsewhere(t, site)
		b := newTab(t, site)
		for _, first := range arrivals { // and signs in on the page that this way leads to
			first.arrive(b, elsewhere)
			require.True(t, strings.HasPrefix(b.path(), "/login"), "%s: %s", first.name, b.path())
			b.signIn("alice")
			require.Equal(t, "alice", b.text("#user"), "signed in after %s", first.name)
			b.click("form[action='/logout'] button")
		}
		b.signIn("alice")
		last := "the sign-in"
		walk(len(arrivals), func(i int) {
			arrivals[i].arrive(b, elsewhere)
			require.Equal(t, "alice", b.text("#user"), "%s after %s", arrivals[i].name, last)
			last = arrivals[i].name
		})
	})
}

// requests are what browsers send when they come to the site in these ways, and others.
var requests = []struct {
	name, method string
	headers      map[string]string
}{
	{"typed", http.MethodGet, map[string]string{"Sec-Fetch-Site": "none"}},
	{"clicked", http.MethodGet, map[string]string{"Sec-Fetch-Site": "same-origin", "Referer": "SITE/messages"}},
	{"from another site", http.MethodGet, map[string]string{"Sec-Fetch-Site": "cross-site", "Referer": "https://elsewhere.example/"}},
	{"without a referrer", http.MethodGet, map[string]string{"Sec-Fetch-Site": "cross-site"}},
	{"from a sibling", http.MethodGet, map[string]string{"Sec-Fetch-Site": "same-site", "Referer": "https://www.localhost/"}},
	{"by an old browser", http.MethodGet, nil},
	{"by an old browser from another site", http.MethodGet, map[string]string{"Referer": "https://elsewhere.example/"}},
	{"with an origin", http.MethodGet, map[string]string{"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}},
	{"posted here", http.MethodPost, map[string]string{"Origin": "SITE", "Sec-Fetch-Site": "same-origin"}},
	{"posted from another site", http.MethodPost, map[string]string{"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}},
	{"posted from nowhere", http.MethodPost, map[string]string{"Origin": "null", "Sec-Fetch-Site": "cross-site"}},
}

// TestRequestsInTurn does over HTTP what TestArrivals does in a browser, in both modes
// behind each proxy. Here cookies come along with every request.
func TestRequestsInTurn(t *testing.T) {
	t.Parallel()
	onEachConnection(t, func(t *testing.T, site string) {
		b := browserOf(t, site, &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}) // #nosec G402 -- the test's own nginx
		b.client.Jar = newTrustingJar(t)
		send := func(i int) answer {
			header := http.Header{"Accept": {"text/html"}}
			for name, value := range requests[i].headers {
				header.Set(name, strings.Replace(value, "SITE", site, 1))
			}
			path := map[string]string{http.MethodGet: "/account", http.MethodPost: "/account/stay"}[requests[i].method]
			return b.send(requests[i].method, path, header, "")
		}
		b.signIn("alice")
		last := "the sign-in"
		walk(len(requests), func(i int) {
			a := send(i)
			if a.StatusCode != http.StatusForbidden {
				assert.NotContains(t, a.Header.Get("Location"), "/login", "%s after %s", requests[i].name, last)
			}
			assert.Contains(t, b.get("/account").body, `<dd id="user">alice</dd>`, "%s after %s", requests[i].name, last)
			last = requests[i].name
		})
		before := b.client.Jar
		for i := range requests {
			b.client.Jar = newTrustingJar(t)
			send(i)
			b.signIn("alice")
			assert.Contains(t, b.get("/account").body, `<dd id="user">alice</dd>`, "first %s", requests[i].name)
		}
		b.client.Jar = before
		requireRedirect(t, "/", b.post("/logout"))
	})
}

// trustingJar sends Secure cookies to localhost over plain HTTP too, as Chromium does.
type trustingJar struct{ http.CookieJar }

func newTrustingJar(t *testing.T) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return trustingJar{jar}
}

func (j trustingJar) Cookies(u *url.URL) []*http.Cookie {
	secure := *u
	secure.Scheme = "https"
	return j.CookieJar.Cookies(&secure)
}
