package howto_test

import (
	"log/slog"
	"net/http"
	"os"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

func isCustomer(user string) bool { return user == "alice" || user == "bob" }

func TestBehalf(t *testing.T) {
	store := memstore.New()
	r := gin.New()
	r.Use(sessionkit.Sessions(store, sessionkit.Config{MaxSessions: 1}))
	log := new(syncBuffer)
	isAgent := func(user string) bool { return user == "agent" }
	howto.Support(r, isAgent, isCustomer, slog.New(slog.NewTextHandler(log, nil)))
	r.GET("/account", func(c *gin.Context) {
		customer, agent := howto.Behalf(c, isAgent)
		c.String(http.StatusOK, "account of %s, agent %q", customer, agent)
	})
	r.POST("/password", howto.Themselves(isAgent), func(c *gin.Context) { c.Status(http.StatusNoContent) })

	bob, agent := sessionkittest.As(t, r, "bob"), sessionkittest.As(t, r, "agent")
	assert.Equal(t, http.StatusForbidden, bob.Post("/act", form("customer", "alice")).Code)
	assert.Equal(t, `account of bob, agent ""`, bob.Get("/account").Body.String())
	assert.Equal(t, http.StatusNoContent, bob.Post("/password", nil).Code)

	before := agent.Session().ID
	agent.Post("/act", form("customer", "bob"))
	assert.Equal(t, `account of bob, agent "agent"`, agent.Get("/account").Body.String())
	assert.NotEqual(t, before, agent.Session().ID)
	assert.Equal(t, http.StatusForbidden, agent.Post("/password", nil).Code)
	assert.Contains(t, log.String(), "customer=bob agent=agent")

	devices, err := store.Sessions(t.Context(), "bob")
	require.NoError(t, err)
	assert.Len(t, devices, 1, "the agent's is no device of the customer's")
	assert.Equal(t, `account of bob, agent ""`, bob.Get("/account").Body.String(), "MaxSessions has ended nothing of the customer's")

	agent.Post("/act/end", nil)
	assert.Equal(t, `account of agent, agent ""`, agent.Get("/account").Body.String())

	agent.Within(func(c *gin.Context) { sessionkit.Login(c, "bob") }) // what the document advises against
	assert.Empty(t, bob.Session().User, "it signs the customer out")
	devices, err = store.Sessions(t.Context(), "bob")
	require.NoError(t, err)
	assert.Equal(t, agent.Session().ID, devices[0].ID, "and is among the customer's devices")
}

// TestBehalfOfNoAgent: a role that is taken away counts at once, and whoever had it can
// stop.
func TestBehalfOfNoAgent(t *testing.T) {
	agents := map[string]bool{"agent": true}
	isAgent := func(user string) bool { return agents[user] }
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	howto.Support(r, isAgent, isCustomer, slog.New(slog.DiscardHandler))
	r.GET("/account", func(c *gin.Context) {
		customer, agent := howto.Behalf(c, isAgent)
		c.String(http.StatusOK, "account of %s, agent %q", customer, agent)
	})

	agent := sessionkittest.As(t, r, "agent")
	agent.Post("/act", form("customer", "bob"))
	agents["agent"] = false
	assert.Equal(t, `account of agent, agent ""`, agent.Get("/account").Body.String())
	assert.Equal(t, http.StatusForbidden, agent.Post("/act", form("customer", "bob")).Code)
	assert.Equal(t, "/", agent.Post("/act/end", nil).Header().Get("Location"))
	agents["agent"] = true
	assert.Equal(t, `account of agent, agent ""`, agent.Get("/account").Body.String(), "it has ended")
	assert.Equal(t, "/login?reason=not-signed-in", sessionkittest.Visitor(t, r).Post("/act/end", nil).Header().Get("Location"))
}

// TestBehalfOfNoCustomer: the form may name anybody.
func TestBehalfOfNoCustomer(t *testing.T) {
	isAgent := func(user string) bool { return user == "agent" || user == "other" }
	log := new(syncBuffer)
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	howto.Support(r, isAgent, isCustomer, slog.New(slog.NewTextHandler(log, nil)))
	r.GET("/account", func(c *gin.Context) {
		customer, agent := howto.Behalf(c, isAgent)
		c.String(http.StatusOK, "account of %s, agent %q", customer, agent)
	})
	agent := sessionkittest.As(t, r, "agent")
	before := agent.Session().ID
	for _, nobody := range []string{"root", "", "other", "agent", "no such user"} {
		assert.Equal(t, http.StatusForbidden, agent.Post("/act", form("customer", nobody)).Code, nobody)
		assert.Equal(t, `account of agent, agent ""`, agent.Get("/account").Body.String(), nobody)
	}
	assert.Equal(t, before, agent.Session().ID)
	assert.Empty(t, log.String())
}

func TestBehalfByADoubleClick(t *testing.T) {
	page, err := os.ReadFile("testdata/act.html")
	require.NoError(t, err)
	isAgent := func(user string) bool { return user == "agent" }
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	howto.Support(r, isAgent, isCustomer, slog.New(slog.DiscardHandler))
	r.GET("/begin", func(c *gin.Context) { sessionkit.Login(c, "agent") })
	r.GET("/", html("<!doctype html><title>Support</title>"+string(page)))
	r.GET("/login", html("<!doctype html><title>Sign in</title><p>Please sign in</p>"))
	r.GET("/account", func(c *gin.Context) {
		customer, agent := howto.Behalf(c, isAgent)
		c.String(http.StatusOK, "account of %s, agent %q", customer, agent)
	})
	b := doubleClick(t, r, "/")
	assert.Equal(t, `account of bob, agent "agent"`, b.text())
}
