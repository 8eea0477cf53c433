// Package express_test compares this package with Express, cookie-parser and
// express-session, which run beside it: what docs/express.md says is the same, is.
package express_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	slog.SetDefault(slog.New(slog.DiscardHandler))
	m.Run()
}

// a side is one of the two applications.
type side struct {
	site    string
	session string // the session cookie's name
}

// shortLife is how long the sessions of /short live without use.
const shortLife = 3 * time.Second

// texts are values of cookies: what Express and this package must agree on.
var texts = []string{
	"hello", "", "a.b.c", "héllo wörld", `j:{"a":1}`, "%", "100%25", "a;b,c=d\"e\\f", "a+b c", "\u2028 \U0001f36a", "-_.!~*'()",
	strings.Repeat("x", 2000),
}

// same are the behaviours that are the same, by what stands first in the rows of
// docs/express.md.
var same = map[string]func(t *testing.T, s side){
	"res.cookie(name, value)": func(t *testing.T, s side) {
		for _, v := range texts {
			b := newBrowser(t, s.site)
			r := b.get("/cookies/set?v=" + url.QueryEscape(v))
			require.Equal(t, http.StatusOK, r.status)
			require.Len(t, r.cookies, 1)
			assert.Equal(t, "/", r.cookies[0].Path)
			assert.Zero(t, r.cookies[0].MaxAge)
			want := strconv.QuoteToASCII(v)
			if strings.HasPrefix(v, "j:") {
				continue // cookie-parser takes it for JSON
			}
			assert.Equal(t, want, strconv.QuoteToASCII(unJSON(t, b.get("/cookies/get").body)))
		}
	},
	"maxAge": func(t *testing.T, s side) {
		assert.Equal(t, 90, newBrowser(t, s.site).get("/cookies/age").cookies[0].MaxAge)
	},
	"path, domain, httpOnly, secure, sameSite, partitioned": func(t *testing.T, s side) {
		c := newBrowser(t, s.site).get("/cookies/attributes", "X-Forwarded-Proto", "https").cookies[0]
		assert.Equal(t, "/docs", c.Path)
		assert.Equal(t, "example.com", c.Domain)
		assert.Equal(t, http.SameSiteNoneMode, c.SameSite)
		assert.True(t, c.HttpOnly && c.Secure && c.Partitioned)
	},
	"res.cookie(name, object)": func(t *testing.T, s side) {
		b := newBrowser(t, s.site)
		b.get("/cookies/object")
		assert.JSONEq(t, `{"name":"tea","n":2}`, b.get("/cookies/read-object").body)
		b.put("o", "j%3A%7Bnonsense")
		assert.NotContains(t, b.get("/cookies/read-object").body, "tea")
	},
	"res.clearCookie(name)": func(t *testing.T, s side) {
		b := newBrowser(t, s.site)
		b.get("/cookies/set?v=x")
		require.NotEmpty(t, b.cookie("/", "v"))
		b.get("/cookies/clear")
		assert.Empty(t, b.cookie("/", "v"))
		assert.Equal(t, "null\n", b.get("/cookies/get").body+"\n")
	},
	"several res.cookie": func(t *testing.T, s side) {
		b := newBrowser(t, s.site)
		b.get("/cookies/several")
		assert.Equal(t, "last", b.cookie("/", "v"), "of two of one name the browser has the last")
		assert.Equal(t, "w", b.cookie("/", "w"))
	},
	"options that cannot be": func(t *testing.T, s side) {
		assert.Equal(t, "4", newBrowser(t, s.site).get("/cookies/refused").body)
	},
	"req.cookies.name": func(t *testing.T, s side) {
		for header, want := range map[string]string{
			"v=1; v=2":          `"1"`, // the first of several
			`v="quoted"`:        `"quoted"`,
			"  v =  1  ; w=2":   `"1"`,
			"nonsense; v=1":     `"1"`,
			"v=a+b":             `"a+b"`, // a plus sign is no space
			"v=a%20b":           `"a b"`,
			"v=a=b":             `"a=b"`,
			"V=1":               `null`,
			"w=1":               `null`,
			"v=":                `""`,
			"v=h%C3%A9":         `"hé"`,
			"v=%26%3B":          `"\u0026;"`,
			"; ;; v=1;;":        `"1"`,
			"vv=1; v=2; v.v=3 ": `"2"`,
		} {
			assert.JSONEq(t, want, newBrowser(t, s.site).get("/cookies/get", "Cookie", header).body, "%q", header)
		}
	},
	"req.signedCookies.name": func(t *testing.T, s side) {
		for _, v := range []string{"hello", "a.b.c", "héllo wörld", "%"} {
			b := newBrowser(t, s.site)
			b.get("/cookies/sign?v=" + url.QueryEscape(v))
			assert.Equal(t, v, unJSON(t, b.get("/cookies/verify").body))
			sealed := b.cookie("/", "s")
			for _, wrong := range []string{sealed[:len(sealed)-4] + "AAAA", "B" + sealed[1:], sealed + "A", v, "s%3A" + v + ".x"} {
				b.put("s", wrong)
				assert.NotContains(t, b.get("/cookies/verify").body, v, "a cookie that the site has not signed")
			}
		}
	},
	"cookieParser([new, old])": func(t *testing.T, s side) {
		b := newBrowser(t, s.site)
		b.get("/before/sign?v=kept")
		assert.JSONEq(t, `"kept"`, b.get("/cookies/verify").body, "all secrets read")
		b.get("/cookies/sign?v=fresh")
		assert.JSONEq(t, `"fresh"`, b.get("/alone/verify").body, "the first one writes")
		assert.NotContains(t, b.get("/before/verify").body, "fresh")
	},

	"saveUninitialized: false": func(t *testing.T, s side) {
		b := newBrowser(t, s.site)
		assert.Empty(t, b.get("/session/nothing").cookies)
		assert.Empty(t, b.get("/session/read").cookies, "a visitor who stores nothing gets no cookie")
		assert.Len(t, b.get("/session/add").cookies, 1)
	},
	"resave: false, rolling: false": func(t *testing.T, s side) {
		b := newBrowser(t, s.site)
		b.get("/session/add")
		for _, path := range []string{"/session/read", "/session/nothing", "/session/add"} {
			assert.Empty(t, b.get(path).cookies, "the cookie is sent once")
		}
	},
	"name": func(t *testing.T, s side) {
		b := newBrowser(t, s.site)
		b.get("/named/add")
		assert.NotEmpty(t, b.cookie("/", "sid"))
		assert.Equal(t, "1", b.get("/named/read").body)
	},
	"cookie.path, cookie.sameSite": func(t *testing.T, s side) {
		c := newBrowser(t, s.site).get("/path/add").cookies[0]
		assert.Equal(t, "/path", c.Path)
		assert.Equal(t, http.SameSiteStrictMode, c.SameSite)
	},
	"cookie.httpOnly": func(t *testing.T, s side) {
		assert.True(t, newBrowser(t, s.site).get("/session/add").cookies[0].HttpOnly)
	},
	"cookie.maxAge": func(t *testing.T, s side) {
		b := newBrowser(t, s.site)
		b.get("/short/add")
		copied := b.fork()
		assert.Equal(t, "1", b.get("/short/read").body)
		for end := time.Now().Add(time.Minute); copied.fork().get("/short/read").body != "null"; {
			require.True(t, time.Now().Before(end), "a session that is not used ends on the server, whatever the browser's clock says")
			time.Sleep(shortLife + 300*time.Millisecond) // to look is to use it
		}
	},
	"cookie.maxAge, in use": func(t *testing.T, s side) {
		b := newBrowser(t, s.site)
		b.get("/short/add")
		for range 8 {
			time.Sleep(shortLife / 6)
			require.Equal(t, "1", b.get("/short/read").body, "one that is used goes on")
		}
	},
	"cookie.secure: true": func(t *testing.T, s side) {
		b := newBrowser(t, s.site)
		b.get("/secure/add", "Host", "shop.example")
		b.get("/secure/add", "Host", "shop.example")
		assert.Equal(t, "null", b.get("/secure/read", "Host", "shop.example").body, "there is no session over plain HTTP")
	},
	"proxy, cookie.secure: 'auto'": func(t *testing.T, s side) {
		r := newBrowser(t, s.site).get("/auto/add", "X-Forwarded-Proto", "https")
		require.Len(t, r.cookies, 1)
		assert.True(t, r.cookies[0].Secure)
		r = newBrowser(t, s.site).get("/auto/add")
		require.Len(t, r.cookies, 1)
		assert.False(t, r.cookies[0].Secure)
	},

	"req.session.x = value": func(t *testing.T, s side) {
		b, other := newBrowser(t, s.site), newBrowser(t, s.site)
		for n := range 3 {
			b.get("/session/add")
			assert.Equal(t, strconv.Itoa(n+1), b.get("/session/read").body)
		}
		b.get("/session/object")
		assert.JSONEq(t, `[{"name":"tea","n":2}]`, b.get("/session/read-object").body)
		assert.Equal(t, "null", other.get("/session/read").body, "sessions are apart")
		r := b.get("/session/add-and-go")
		assert.Equal(t, http.StatusSeeOther, r.status)
		assert.Equal(t, "4", b.get(r.header.Get("Location")).body, "it is saved before the browser can ask again")
		stream := newBrowser(t, s.site)
		assert.Equal(t, "firstlast", stream.get("/session/stream").body)
		assert.Equal(t, "1", stream.get("/session/read").body)
	},
	"delete req.session.x": func(t *testing.T, s side) {
		b := newBrowser(t, s.site)
		b.get("/session/add")
		b.get("/session/delete")
		assert.Equal(t, "null", b.get("/session/read").body)
	},
	"req.session.regenerate()": func(t *testing.T, s side) {
		b := newBrowser(t, s.site)
		b.get("/session/add")
		before := b.fork()
		b.get("/session/regenerate")
		assert.NotEqual(t, before.cookie("/", s.session), b.cookie("/", s.session))
		assert.Equal(t, "1", b.get("/session/read").body)
		assert.Equal(t, "null", before.get("/session/read").body, "the old ID is dead")
	},
	"req.session.destroy()": func(t *testing.T, s side) {
		b := newBrowser(t, s.site)
		b.get("/session/add")
		before := b.fork()
		assert.Equal(t, http.StatusOK, b.get("/session/destroy").status)
		assert.Equal(t, "null", before.get("/session/read").body, "a copy of the cookie opens nothing")
		b.get("/session/add")
		assert.Equal(t, "1", b.get("/session/read").body, "the next session is another")
		assert.NotEqual(t, before.cookie("/", s.session), b.cookie("/", s.session))
	},
	"req.session.id": func(t *testing.T, s side) {
		b := newBrowser(t, s.site)
		b.get("/session/add")
		own := b.cookie("/", s.session)
		for _, chosen := range []string{"chosen", strings.Repeat("A", 43), own[:len(own)-1] + "!", "s%3Achosen.sig"} {
			b := newBrowser(t, s.site)
			b.put(s.session, chosen)
			b.get("/session/add")
			assert.NotEqual(t, chosen, b.cookie("/", s.session), "an ID that the server has not issued is never adopted")
			assert.Equal(t, "1", b.get("/session/read").body)
		}
	},
}

// unJSON reads a JSON string.
func unJSON(t *testing.T, body string) string {
	t.Helper()
	var text string
	require.NoError(t, jsonUnmarshal(body, &text), "%s", body)
	return text
}

func TestSideBySide(t *testing.T) {
	node := side{site: testserver.Node(t, "testdata"), session: "connect.sid"}
	server := httptest.NewServer(newKit())
	t.Cleanup(server.Close)
	kit := side{site: server.URL, session: "session"}
	for name, behaves := range same {
		t.Run(name, func(t *testing.T) {
			t.Run("Express", func(t *testing.T) { t.Parallel(); behaves(t, node) })
			t.Run("sessionkit", func(t *testing.T) { t.Parallel(); behaves(t, kit) })
		})
	}
	t.Run("each reads the other's cookies", func(t *testing.T) { readEachOther(t, node, kit) })
	t.Run("signatures", func(t *testing.T) { verifySignatures(t, node) })
}

// readEachOther has each application read the plain cookies that the other wrote.
func readEachOther(t *testing.T, node, kit side) {
	t.Helper()
	for _, pair := range [][2]side{{node, kit}, {kit, node}} {
		for _, v := range texts {
			if strings.HasPrefix(v, "j:") {
				continue // cookie-parser takes it for JSON
			}
			writer, reader := newBrowser(t, pair[0].site), newBrowser(t, pair[1].site)
			written := writer.get("/cookies/set?v=" + url.QueryEscape(v)).cookies[0].Value
			reader.put("v", written)
			assert.Equal(t, strconv.QuoteToASCII(v), strconv.QuoteToASCII(unJSON(t, reader.get("/cookies/get").body)))
			var parsed map[string]string
			require.NoError(t, jsonUnmarshal(newBrowser(t, node.site).get("/parse", "Cookie", "v="+written).body, &parsed))
			assert.Equal(t, strconv.QuoteToASCII(v), strconv.QuoteToASCII(parsed["v"]), "as the package cookie reads it")
		}
	}
}

// TestGuideIsTested compares the rows of the guide that say "Same" with the
// behaviours that are tested.
func TestGuideIsTested(t *testing.T) {
	guide, err := os.ReadFile("../../../docs/express.md")
	require.NoError(t, err)
	var promised []string
	for line := range strings.Lines(string(guide)) {
		cells := strings.Split(line, " | ")
		if len(cells) == 3 && strings.HasPrefix(cells[2], "Same") {
			promised = append(promised, strings.ReplaceAll(strings.TrimPrefix(cells[0], "| "), "`", ""))
		}
	}
	var tested []string
	for name := range same {
		tested = append(tested, name)
	}
	slices.Sort(promised)
	slices.Sort(tested)
	assert.Equal(t, tested, promised)
}
