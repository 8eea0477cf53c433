package howto_test

import (
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// balanced sends each request to the next one of several processes.
type balanced struct {
	processes []http.Handler
	n         int
}

func (b *balanced) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.n++
	b.processes[b.n%len(b.processes)].ServeHTTP(w, r)
}

func TestProcesses(t *testing.T) {
	address := "redis://" + testserver.Redis(t).Address
	secrets := [][]byte{[]byte("0123456789abcdef0123456789abcdef")}
	start := func() http.Handler {
		kit, store, err := howto.Process(address, secrets)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, store.Close()) })
		r := gin.New()
		r.Use(kit)
		r.GET("/", whoami)
		r.POST("/cart", func(c *gin.Context) {
			_, err := howto.Cart.Update(c, func(items []string) []string { return append(items, "tea") })
			assert.NoError(t, err)
		})
		r.POST("/logout", func(c *gin.Context) { assert.NoError(t, sessionkit.LogoutEverywhere(c)) })
		return r
	}
	all := &balanced{processes: []http.Handler{start(), start()}}
	client := sessionkittest.As(t, all, "42")
	for range 4 {
		assert.Equal(t, http.StatusOK, client.Post("/cart", nil).Code)
	}
	all.processes = []http.Handler{start(), start()} // a deploy
	for range 2 {
		assert.Equal(t, "42", client.Get("/").Body.String())
	}
	items, _ := sessionkittest.Value(client, howto.Cart)
	assert.Len(t, items, 4)
	client.Post("/logout", nil)
	for range 2 {
		assert.Empty(t, client.Get("/").Body.String())
	}
}

func TestSettingsOfAnEarlierRelease(t *testing.T) {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	client := sessionkittest.Visitor(t, r, sessionkittest.With(sessionkit.NewKey[string]("settings"), "dark"))
	client.Within(func(c *gin.Context) {
		assert.Equal(t, howto.Settings{Theme: "dark"}, howto.SettingsOf(c))
		sessionkit.NewKey[howto.Settings]("settings2").Set(c, howto.Settings{Theme: "light", Dense: true})
		assert.Equal(t, howto.Settings{Theme: "light", Dense: true}, howto.SettingsOf(c))
	})
}
