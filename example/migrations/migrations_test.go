// Package migrations_test holds programs of usual kinds to one test each, before and
// after they moved from gin-contrib/sessions to sessionkit, and at each step between.
package migrations_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

// kind is one kind of program.
type kind struct {
	environ func(t *testing.T) []string
	cookie  string                               // of the old program
	behaves func(t *testing.T, site string)      // what it does, before and after
	begin   func(t *testing.T, visitor *browser) // what somebody does before the switch
	goOn    func(t *testing.T, visitor *browser) // and after it
}

var kinds = map[string]kind{
	"login": {
		environ: applications["login"].environ,
		cookie:  "mysession",
		behaves: func(t *testing.T, site string) {
			b, other := newBrowser(t, site), newBrowser(t, site)
			assert.Equal(t, http.StatusUnauthorized, b.get("/private/me").status)
			assert.Equal(t, http.StatusUnauthorized, b.post("/login", "name", "ada", "password", "guess").status)
			assert.Equal(t, http.StatusUnauthorized, b.get("/private/me").status)
			assert.JSONEq(t, `{"message":"Welcome, ada"}`, b.post("/login", "name", "ada", "password", "opensesame").body)
			assert.JSONEq(t, `{"user":"ada"}`, b.get("/private/me").body)
			assert.JSONEq(t, `{"visits":1}`, b.get("/private/visits").body)
			assert.JSONEq(t, `{"visits":2}`, b.get("/private/visits").body)
			assert.Equal(t, http.StatusUnauthorized, other.get("/private/visits").status)
			assert.Equal(t, http.StatusOK, b.post("/logout").status)
			assert.Equal(t, http.StatusUnauthorized, b.get("/private/me").status)
		},
		begin: func(t *testing.T, b *browser) {
			require.Equal(t, http.StatusOK, b.post("/login", "name", "ada", "password", "opensesame").status)
			require.JSONEq(t, `{"visits":1}`, b.get("/private/visits").body)
		},
		goOn: func(t *testing.T, b *browser) {
			assert.JSONEq(t, `{"user":"ada"}`, b.get("/private/me").body)
			assert.JSONEq(t, `{"visits":2}`, b.get("/private/visits").body)
			assert.Equal(t, http.StatusOK, b.post("/logout").status)
			assert.Equal(t, http.StatusUnauthorized, b.get("/private/me").status)
		},
	},
	"redis": {
		environ: func(t *testing.T) []string {
			t.Helper()
			return []string{"REDIS=" + testserver.Redis(t).Address}
		},
		cookie: "shop",
		behaves: func(t *testing.T, site string) {
			b := newBrowser(t, site)
			assert.Equal(t, "/login", b.get("/account").location)
			assert.Equal(t, "/cart", b.post("/cart", "item", "tea", "amount", "2").location)
			assert.Equal(t, http.StatusBadRequest, b.post("/cart", "item", "tea", "amount", "some").status)
			assert.Equal(t, http.StatusUnauthorized, b.post("/login", "id", "7", "password", "guess").status)
			assert.Equal(t, "/account", b.post("/login", "id", "7", "password", "opensesame", "remember", "on").location)
			assert.Equal(t, "user 7", b.get("/account").body)
			assert.JSONEq(t, `[{"item":"tea","amount":2}]`, b.get("/cart").body, "a visitor's cart stays")
			assert.Equal(t, "/cart", b.post("/logout").location)
			assert.JSONEq(t, `null`, b.get("/cart").body)
			assert.Equal(t, "/login", b.get("/account").location)
		},
		begin: func(t *testing.T, b *browser) {
			b.post("/cart", "item", "tea", "amount", "2")
			require.Equal(t, "/account", b.post("/login", "id", "7", "password", "opensesame", "remember", "on").location)
		},
		goOn: func(t *testing.T, b *browser) {
			assert.Equal(t, "user 7", b.get("/account").body)
			b.post("/cart", "item", "cake", "amount", "1")
			assert.JSONEq(t, `[{"item":"tea","amount":2},{"item":"cake","amount":1}]`, b.get("/cart").body)
		},
	},
	"flash": {
		environ: func(*testing.T) []string { return nil },
		cookie:  "notes",
		behaves: func(t *testing.T, site string) {
			b := newBrowser(t, site)
			assert.NotContains(t, b.get("/").body, "<p")
			assert.Equal(t, "/", b.post("/notes", "text", " ").location)
			assert.Contains(t, b.get("/").body, `<p class="error">A note needs some text.</p>`)
			b.post("/notes", "text", "<b>buy tea</b>")
			b.post("/notes", "text", "drink it")
			shown := b.get("/").body
			assert.Equal(t, 2, strings.Count(shown, `<p class="info">The note is saved.</p>`))
			assert.Contains(t, shown, "<li>&lt;b&gt;buy tea&lt;/b&gt;</li><li>drink it</li>")
			assert.NotContains(t, b.get("/").body, "<p", "a message is shown once")
		},
		begin: func(t *testing.T, b *browser) {
			require.Equal(t, "/", b.post("/notes", "text", "buy tea").location)
		},
		goOn: func(t *testing.T, b *browser) {
			shown := b.get("/").body
			assert.Contains(t, shown, "<li>buy tea</li>")
			assert.Contains(t, shown, `<p class="info">The note is saved.</p>`, "left before the switch, shown after it")
			assert.NotContains(t, b.get("/").body, "<p")
		},
	},
}

func TestBeforeAndAfter(t *testing.T) {
	for name, kind := range kinds {
		for _, version := range []string{"before", "after"} {
			t.Run(name+" "+version, func(t *testing.T) {
				site, _ := run(t, name+"-"+version, kind.environ(t)...)
				kind.behaves(t, site)
			})
		}
	}
}

func TestSwitch(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			environ := kind.environ(t)
			site, stop := run(t, name+"-before", environ...)
			visitor := newBrowser(t, site)
			kind.begin(t, visitor)
			require.True(t, visitor.cookie(kind.cookie))
			stop()

			visitor.site, _ = run(t, name+"-after", environ...)
			kind.goOn(t, visitor)
			assert.False(t, visitor.cookie(kind.cookie), "the old cookie is gone")
		})
	}
}
