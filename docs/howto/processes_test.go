package howto_test

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
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

func TestChangeStore(t *testing.T) {
	db, err := sqlstore.OpenSQLite(filepath.Join(t.TempDir(), "sessions.db"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	old, err := sqlstore.New(db)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, old.Close()) })
	redis := testserver.Redis(t)
	moving, err := howto.ChangeStore(db, "redis://"+redis.Address)
	require.NoError(t, err)
	now, err := redisstore.Open("redis://" + redis.Address)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, now.Close()) })

	app := &balanced{} // of which one process runs at a time
	run := func(kit gin.HandlerFunc) {
		r := gin.New()
		r.Use(kit)
		r.GET("/", whoami)
		app.processes = []http.Handler{r}
	}
	run(sessionkit.Sessions(old))
	user := sessionkittest.As(t, app, "42", sessionkittest.With(howto.Cart, []string{"tea"}))
	visitor := sessionkittest.Visitor(t, app, sessionkittest.With(howto.Cart, []string{"cake"}))
	away := sessionkittest.As(t, app, "43")
	before := user.Session()

	run(moving)
	for client, want := range map[*sessionkittest.Client]string{user: "tea", visitor: "cake"} {
		client.Get("/")
		items, _ := sessionkittest.Value(client, howto.Cart)
		assert.Equal(t, []string{want}, items)
	}
	assert.Equal(t, "42", user.Get("/").Body.String())
	assert.Equal(t, before.EndsAt.UnixMilli(), user.Session().EndsAt.UnixMilli(), "the deadlines stay")

	run(sessionkit.Sessions(now)) // when the old sessions have expired
	assert.Equal(t, "42", user.Get("/").Body.String())
	assert.Empty(t, away.Get("/").Body.String(), "who did not come meanwhile signs in again")
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
