package expresslive_test

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store/express"
)

type item struct {
	Name string `json:"name"`
	N    int    `json:"n"`
}

var (
	cart    = sessionkit.NewKey[[]item]("cart")
	flashed = sessionkit.NewKey[[]string]("flash")
	userID  = sessionkit.NewKey[string]("userId")
	counter = sessionkit.NewKey[int]("counter")
)

// newApp returns the counterpart of testdata/app.js.
func newApp(store sessions.Store, config sessionkit.Config) http.Handler {
	r := gin.New()
	r.Use(sessionkit.Sessions(store, config))
	ok := func(path string, f func(c *gin.Context)) {
		r.GET("/gin"+path, func(c *gin.Context) {
			if f(c); !c.Writer.Written() {
				c.JSON(http.StatusOK, "ok")
			}
		})
	}
	ok("/get", func(c *gin.Context) {
		v, _ := sessionkit.NewKey[any](c.Query("name")).Get(c)
		c.JSON(http.StatusOK, v)
	})
	ok("/set", func(c *gin.Context) {
		var v any
		if err := json.Unmarshal([]byte(c.Query("value")), &v); err != nil {
			c.JSON(http.StatusBadRequest, err.Error())
			return
		}
		sessionkit.NewKey[any](c.Query("name")).Set(c, v)
	})
	ok("/delete", func(c *gin.Context) { sessionkit.NewKey[any](c.Query("name")).Delete(c) })
	ok("/all", func(c *gin.Context) {
		values := make(map[string]any)
		sessions.Default(c) // its values are those of the typed keys
		for _, name := range names {
			if v, ok := sessionkit.NewKey[any](name).Get(c); ok {
				values[name] = v
			}
		}
		c.JSON(http.StatusOK, values)
	})
	ok("/me", func(c *gin.Context) {
		if user, ok := sessionkit.User(c); ok {
			c.JSON(http.StatusOK, user)
			return
		}
		c.JSON(http.StatusOK, nil)
	})
	ok("/login", func(c *gin.Context) { sessionkit.Login(c, c.Query("user")) })
	ok("/clear-login", func(c *gin.Context) {
		sessions.Default(c).Clear()
		sessionkit.Login(c, c.Query("user"))
	})
	ok("/logout", sessionkit.Logout)
	ok("/logout-set", func(c *gin.Context) {
		sessionkit.Logout(c)
		counter.Set(c, 1)
	})
	ok("/logout-late", func(c *gin.Context) {
		c.JSON(http.StatusOK, "ok")
		c.Writer.Flush()
		sessionkit.Logout(c)
	})
	ok("/renew", sessionkit.Renew)
	ok("/add", func(c *gin.Context) {
		_, _ = cart.Update(c, func(items []item) []item { return append(items, item{c.Query("item"), 1}) })
	})
	ok("/count", func(c *gin.Context) {
		n, err := counter.Update(c, func(n int) int { return n + 1 })
		if err == nil {
			c.JSON(http.StatusOK, n)
		}
	})
	// A request that takes as long as the test says: it has read the session.
	ok("/slow", func(c *gin.Context) {
		g := gates[c.Query("gate")]
		_, _ = counter.Get(c)
		close(g.began)
		<-g.open
		sessionkit.NewKey[bool]("slow").Set(c, true)
	})
	ok("/flash", func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Success, c.Query("text")) })
	ok("/flashes", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Flashes(c)) })
	ok("/node-flashes", func(c *gin.Context) {
		texts, _ := flashed.Take(c)
		c.JSON(http.StatusOK, texts)
	})
	ok("/sign-in-by-value", func(c *gin.Context) { userID.Set(c, c.Query("user")) })
	ok("/plain-set", func(c *gin.Context) { sessions.Default(c).Set(c.Query("name"), value.JSON(c.Query("value"))) })
	ok("/cookie", func(c *gin.Context) {
		if text := c.Query("signed"); text != "" {
			_ = sessionkit.SetCookie(c, "s", secrets.Sign(text))
		}
		if raw := c.Query("json"); raw != "" {
			text, _ := express.EncodeJSON(json.RawMessage(raw))
			_ = sessionkit.SetCookie(c, "j", secrets.Sign(text))
		}
		var both [2]any
		if text, err := sessionkit.GetCookie(c, "s"); err == nil {
			if v, ok := secrets.Unsign(text); ok {
				both[0] = v
			}
		}
		if text, err := sessionkit.GetCookie(c, "j"); err == nil {
			v, _ := secrets.Unsign(text)
			_ = express.DecodeJSON(v, &both[1])
		}
		c.JSON(http.StatusOK, both)
	})
	ok("/page", func(c *gin.Context) {
		user, ok := sessionkit.User(c)
		if !ok {
			user = "nobody"
		}
		items, _ := cart.Get(c)
		var bought []string
		for _, item := range items {
			bought = append(bought, item.Name)
		}
		c.Header("Content-Type", "text/html")
		c.String(http.StatusOK, `<!doctype html><p id="who">%s</p><p id="cart">%s</p>`, user, strings.Join(bought, ","))
	})
	return r
}

// A gate holds a request of /slow.
type gate struct{ began, open chan struct{} }

// gates are made before the requests that they hold.
var gates = make(map[string]gate)

func newGate(name string) gate {
	g := gate{make(chan struct{}), make(chan struct{})}
	gates[name] = g
	return g
}

// names are those that values have in the tests.
var names = []string{"a", "b", "cart", `"quoted"`, "naïve \u2028 ключ", "with.dot"}
