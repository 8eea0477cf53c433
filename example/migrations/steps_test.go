package migrations_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

// The stops of a move: the old program, the same with sessionkit under it, the one that
// calls sessionkit, and that one when the old store is gone.
var stops = []string{"before", "step1", "after", "end"}

// An application says how people use one of the programs.
type application struct {
	environ func(t *testing.T) []string
	person  string // what signs somebody in and what the pages call them, with a number behind it
	signIn  func(b *browser, person string) reply
	page    string // that says who is signed in
	who     *regexp.Regexp
	keep    func(b *browser, person string)             // puts something into the session
	kept    func(b *browser, person string, there bool) // looks whether it is there
}

var applications = map[string]application{
	"login": {
		environ: func(t *testing.T) []string {
			t.Helper()
			return []string{"SESSIONS=" + filepath.Join(t.TempDir(), "sessions.db")}
		},
		person: "ada",
		signIn: func(b *browser, person string) reply {
			return b.post("/login", "name", person, "password", "opensesame")
		},
		page: "/private/me", who: regexp.MustCompile(`"user":"(\w+)"`),
		keep: func(b *browser, _ string) { b.get("/private/visits") },
		kept: func(b *browser, _ string, there bool) {
			b.t.Helper()
			if there { // it cannot be looked at without a visit
				assert.NotContains(b.t, b.get("/private/visits").body, `"visits":1}`)
			}
		},
	},
	"redis": {
		environ: func(t *testing.T) []string {
			t.Helper()
			return []string{"REDIS=" + testserver.Redis(t).Address}
		},
		person: "7",
		signIn: func(b *browser, person string) reply { return b.post("/login", "id", person, "password", "opensesame") },
		page:   "/account", who: regexp.MustCompile(`^user (\d+)$`),
		keep: func(b *browser, person string) { b.post("/cart", "item", "tea of "+person, "amount", "1") },
		kept: func(b *browser, person string, there bool) {
			b.t.Helper()
			assert.Equal(b.t, there, strings.Contains(b.get("/cart").body, "tea of "+person))
		},
	},
	"gorm": {
		environ: func(t *testing.T) []string {
			t.Helper()
			return []string{"DATABASE=" + filepath.Join(t.TempDir(), "app.db")}
		},
		person: "7",
		signIn: func(b *browser, person string) reply { return b.post("/login", "id", person, "password", "opensesame") },
		page:   "/me", who: regexp.MustCompile(`^user (\d+)$`),
		keep: func(b *browser, person string) { b.post("/notes", "text", "of "+person) },
		kept: func(b *browser, person string, there bool) {
			b.t.Helper()
			assert.Equal(b.t, there, strings.Contains(b.get("/notes").body, "of "+person))
		},
	},
}

// A connection is how browsers reach a program.
type connection struct {
	name    string
	environ []string
	site    string // what is typed into the browser
	proxy   bool   // TLS ends before the program
}

var connections = []connection{
	{name: "localhost", environ: []string{"GIN_MODE=debug"}, site: "http://localhost"},
	{name: "localhost, release mode", environ: []string{"GIN_MODE=release"}, site: "http://localhost"},
	{name: "plain HTTP in a local network", environ: []string{"GIN_MODE=release", "INSECURE_HTTP=on"}, site: "http://192.168.1.5:3000"},
	{name: "HTTPS behind a proxy", environ: []string{"GIN_MODE=release"}, site: "https://shop.example", proxy: true},
}

// A move is a site whose program is replaced while people use it: at each stop another
// one is behind the same address.
type move struct {
	t           *testing.T
	application application
	connection  connection
	addresses   map[string]string // of the program of each stop
	now         string            // the stop
	people      int
}

// person returns somebody new: the cookies of two sign-ins of one user within a second
// are the same over gin-contrib's cookie store.
func (m *move) person() string {
	m.people++
	return fmt.Sprint(m.application.person, m.people)
}

func newMove(t *testing.T, name string, c connection) *move {
	t.Helper()
	m := &move{t: t, application: applications[name], connection: c, addresses: make(map[string]string), now: "before"}
	environ := append(m.application.environ(t), c.environ...)
	for _, stop := range stops {
		program, with := name+"-"+stop, environ
		if stop == "end" {
			program, with = name+"-after", append([]string{"OLD_STORE=gone"}, environ...)
		}
		site, _ := run(t, program, with...)
		m.addresses[stop] = strings.TrimPrefix(site, "http://")
		if c.proxy {
			m.addresses[stop] = newProxy(t, site)
		}
	}
	return m
}

// newProxy ends TLS in front of a program, as proxies do.
func newProxy(t *testing.T, site string) (address string) {
	t.Helper()
	to, err := url.Parse(site)
	require.NoError(t, err)
	server := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}})
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// browser returns a browser that goes to whatever program is there.
func (m *move) browser() *browser {
	b := newBrowser(m.t, m.connection.site)
	b.client.Jar = newJar()
	b.client.Transport = &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, m.addresses[m.now])
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // #nosec G402 -- the test's own proxy
	}
	return b
}

// who returns whom the site takes the browser's user for, "" for nobody.
func (m *move) who(b *browser) string {
	if match := m.application.who.FindStringSubmatch(b.get(m.application.page).body); match != nil {
		return match[1]
	}
	return ""
}

func (m *move) signIn(b *browser, person string) {
	m.t.Helper()
	require.Less(m.t, m.application.signIn(b, person).status, 400)
	require.Equal(m.t, person, m.who(b), "signed in at %s", m.now)
}

func (m *move) signOut(b *browser) {
	m.t.Helper()
	require.Less(m.t, b.post("/logout").status, 400)
	require.Empty(m.t, m.who(b), "signed out at %s", m.now)
}

// journeys returns each way through the stops from one of them on. Only the last stop
// needs one of the two before it: a session that was not used there has not moved.
func journeys(from int) (all [][]string) {
	for mask := range 1 << (len(stops) - from - 1) {
		journey := []string{stops[from]}
		for i := from + 1; i < len(stops); i++ {
			if mask&(1<<(i-from-1)) != 0 {
				journey = append(journey, stops[i])
			}
		}
		if len(journey) == 2 && journey[0] == "before" && journey[1] == "end" {
			continue // the guide says when the old store may go
		}
		all = append(all, journey)
	}
	return all
}

// TestSteps moves each program over each kind of connection. Nobody is signed out on the
// way, those who sign out stay signed out, and no request is answered as somebody else.
func TestSteps(t *testing.T) {
	testserver.Slow(t)
	t.Parallel()
	for name := range applications {
		for _, c := range connections {
			t.Run(name+", "+c.name, func(t *testing.T) {
				t.Parallel()
				m := newMove(t, name, c)
				for from := range stops {
					for _, journey := range journeys(from) {
						for _, closing := range []bool{false, true} {
							t.Run(fmt.Sprintf("%s, closing %v", strings.Join(journey, "-"), closing), func(t *testing.T) {
								m.t = t
								m.stays(journey, closing)
								if closing == (from%2 == 0) { // one of both, to save time
									m.leaves(journey, closing)
								}
							})
						}
					}
				}
			})
		}
	}
}

// stays has somebody sign in at the first stop and use the site at each.
func (m *move) stays(journey []string, closing bool) {
	m.t.Helper()
	b, person := m.browser(), m.person()
	for i, stop := range journey {
		m.now = stop
		if i == 0 {
			m.signIn(b, person)
		} else {
			assert.Equal(m.t, person, m.who(b), "at %s", stop)
			m.application.kept(b, person, true)
		}
		m.application.keep(b, person)
		assert.Equal(m.t, person, m.who(b), "at %s", stop)
		if closing {
			b.client.Jar.(*jar).close()
		}
	}
	assert.Equal(m.t, person, m.who(b))
	m.signOut(b)
}

// leaves has two people use one browser: the first one signs out at some stop, and the
// second one signs in there or at the next one, or takes over without a sign-out.
func (m *move) leaves(journey []string, closing bool) {
	m.t.Helper()
	for at := range journey {
		for _, how := range []string{"signs out", "is followed", "is followed later", "is taken over"} {
			first, second := m.person(), m.person()
			b, copied := m.browser(), m.browser()
			expected := ""
			for i, stop := range journey {
				m.now = stop
				if i == 0 {
					m.signIn(b, first)
					expected = first
				}
				if expected == first {
					m.application.keep(b, first)
				}
				assert.Equal(m.t, expected, m.who(b), "%s at %s, now %s", how, journey[at], stop)
				if i == at {
					copied.client.Jar = b.client.Jar.(*jar).copied()
					if how != "is taken over" {
						m.signOut(b)
						expected = ""
					}
				}
				if how == "is followed" && i == at || how == "is taken over" && i == at || how == "is followed later" && i == at+1 {
					m.signIn(b, second)
					expected = second
				}
				assert.Equal(m.t, expected, m.who(b), "%s at %s, now %s", how, journey[at], stop)
				// Code that signs in by values, over those of somebody else, keeps them.
				if i >= at && (how != "is taken over" || journey[at] == "after" || journey[at] == "end") {
					m.application.kept(b, first, false)
				}
				if expected == second {
					m.application.keep(b, second)
				}
				// A copy of the cookie of before: the stores of this module end its session,
				// the old one of cookies cannot.
				if i >= at && stop != "before" && journey[at] != "before" && how != "is taken over" {
					assert.NotEqual(m.t, first, m.who(copied), "a copy of the cookie, %s at %s, now %s", how, journey[at], stop)
				}
				if closing {
					b.client.Jar.(*jar).close()
				}
			}
		}
	}
}

// TestPlainHTTPWithoutTheOption: without Config.InsecureHTTP a new sign-in cannot stay
// there, as the guide says, and whoever was signed in before stays so, and can sign out.
func TestPlainHTTPWithoutTheOption(t *testing.T) {
	t.Parallel()
	for name := range applications {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := connections[2]
			c.environ = []string{"GIN_MODE=release"}
			m := newMove(t, name, c)
			b, person := m.browser(), m.person()
			m.signIn(b, person)
			m.now = "step1"
			for range 3 {
				assert.Equal(t, person, m.who(b))
			}
			copied := m.browser()
			copied.client.Jar = b.client.Jar.(*jar).copied()
			m.signOut(b)
			assert.Empty(t, m.who(copied), "a copy of the old cookie opens nothing after the sign-out")
		})
	}
}

// TestRememberedStayRemembered: whoever asked the old program to be remembered keeps the
// days that are left, also if that is longer than its other sessions live.
func TestRememberedStayRemembered(t *testing.T) {
	t.Parallel()
	m := newMove(t, "redis", connections[0])
	for _, stop := range []string{"step1", "after"} {
		m.now = "before"
		b, person := m.browser(), m.person()
		require.Less(t, b.post("/login", "id", person, "password", "opensesame", "remember", "on").status, 400)
		m.now = stop
		require.Equal(t, person, m.who(b))
		cookie := b.client.Jar.(*jar).cookies["localhost session"]
		require.NotNil(t, cookie, stop)
		assert.InDelta(t, 30*24*60*60, cookie.MaxAge, 60, stop)
	}
}

// TestAPIWithKeys: the API beside the site answers programs and pages of other origins
// as before, and never by the session.
func TestAPIWithKeys(t *testing.T) {
	t.Parallel()
	m := newMove(t, "login", connections[3])
	for _, stop := range stops {
		m.now = stop
		b := m.browser()
		m.signIn(b, "ada")
		ask := func(method, key string) reply {
			r, err := http.NewRequestWithContext(t.Context(), method, b.site+"/api/orders", strings.NewReader("item=tea"))
			require.NoError(t, err)
			r.Header = http.Header{
				"Origin": {"https://partner.example"}, "Sec-Fetch-Site": {"cross-site"},
				"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {key},
			}
			res, err := b.client.Do(r)
			require.NoError(t, err)
			assert.Equal(t, "*", res.Header.Get("Access-Control-Allow-Origin"), "%s at %s", method, stop)
			assert.Empty(t, res.Cookies())
			return b.read(res, nil)
		}
		assert.Equal(t, http.StatusNoContent, ask(http.MethodOptions, "").status, stop)
		assert.JSONEq(t, `{"ordered":"tea"}`, ask(http.MethodPost, "Bearer 3f9c-partner").body, stop)
		assert.Equal(t, http.StatusUnauthorized, ask(http.MethodPost, "Bearer guessed").status, stop)
	}
}

// TestOnlyMainChanges: step 1 leaves the handlers as they are.
func TestOnlyMainChanges(t *testing.T) {
	t.Parallel()
	for name := range applications {
		before, step := functions(t, name+"-before/main.go"), functions(t, name+"-step1/main.go")
		delete(before, "main")
		for function, text := range before {
			assert.Equal(t, text, step[function], "%s of %s", function, name)
		}
		assert.Len(t, step, len(before)+2, "and has oldUser beside them")
	}
}

// functions returns the texts of a program's functions.
func functions(t *testing.T, file string) map[string]string {
	t.Helper()
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, file, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	texts := make(map[string]string)
	for _, d := range tree.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			var b strings.Builder
			require.NoError(t, printer.Fprint(&b, files, f))
			texts[f.Name.Name] = b.String()
		}
	}
	return texts
}
