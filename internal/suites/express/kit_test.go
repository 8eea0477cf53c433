package express_test

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

type item struct {
	Name string `json:"name"`
	N    int    `json:"n"`
}

var (
	newSecret = []byte("new secret of 32 bytes and more..")
	oldSecret = []byte("old secret of 32 bytes and more..")

	text   = sessionkit.NewCookie[string]("v")
	object = sessionkit.NewCookie[item]("o")
	signed = sessionkit.NewCookie[string]("s", sessionkit.CookieOptions{Protection: sessionkit.Signed})
	timed  = sessionkit.NewCookie[string]("v", sessionkit.CookieOptions{MaxAge: 90 * time.Second})
	framed = sessionkit.NewCookie[string]("v", sessionkit.CookieOptions{
		Path: "/docs", Domain: "example.com", SameSite: http.SameSiteNoneMode, Partitioned: true,
	})

	number = sessionkit.NewKey[int]("n")
	cart   = sessionkit.NewKey[[]item]("cart")
)

// newKit returns the counterpart of testdata/app.js.
func newKit() http.Handler {
	r := gin.New()
	cookieRoutes(r.Group("/cookies"), newSecret, oldSecret)
	cookieRoutes(r.Group("/before"), oldSecret)
	cookieRoutes(r.Group("/alone"), newSecret)
	sessionRoutes(r.Group("/session"), sessionkit.Config{})
	sessionRoutes(r.Group("/named"), sessionkit.Config{Name: "sid"})
	sessionRoutes(r.Group("/short"), sessionkit.Config{IdleTimeout: shortLife})
	sessionRoutes(r.Group("/secure"), sessionkit.Config{})
	sessionRoutes(r.Group("/auto"), sessionkit.Config{})
	sessionRoutes(r.Group("/path"), sessionkit.Config{Path: "/path", SameSite: http.SameSiteStrictMode})
	return r
}

func cookieRoutes(r *gin.RouterGroup, secrets ...[]byte) {
	r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{Secrets: secrets}))
	set := func(path string, f func(c *gin.Context) error) {
		r.GET(path, func(c *gin.Context) {
			if err := f(c); err != nil {
				c.String(http.StatusInternalServerError, err.Error())
			}
		})
	}
	set("/set", func(c *gin.Context) error { return text.Set(c, c.Query("v")) })
	set("/age", func(c *gin.Context) error { return timed.Set(c, "x") })
	set("/attributes", func(c *gin.Context) error { return framed.Set(c, "x") })
	set("/object", func(c *gin.Context) error { return object.Set(c, item{"tea", 2}) })
	set("/sign", func(c *gin.Context) error { return signed.Set(c, c.Query("v")) })
	set("/several", func(c *gin.Context) error {
		_ = text.Set(c, "first")
		_ = sessionkit.SetCookie(c, "w", "w")
		return text.Set(c, "last")
	})
	r.GET("/clear", text.Delete)
	r.GET("/get", func(c *gin.Context) { answer(c)(text.Get(c)) })
	r.GET("/verify", func(c *gin.Context) { answer(c)(signed.Get(c)) })
	r.GET("/read-object", func(c *gin.Context) {
		if o, err := object.Get(c); err == nil {
			c.JSON(http.StatusOK, o)
		} else {
			c.JSON(http.StatusOK, nil)
		}
	})
	r.GET("/refused", func(c *gin.Context) {
		refused := 0
		for _, err := range []error{
			sessionkit.SetCookie(c, "a b", "x"),
			sessionkit.SetCookie(c, "v", "x", sessionkit.CookieOptions{Path: "/;"}),
			sessionkit.SetCookie(c, "v", "x", sessionkit.CookieOptions{Domain: "exa mple.com"}),
			sessionkit.SetCookie(c, "v", "x", sessionkit.CookieOptions{SameSite: 9}),
		} {
			if err != nil {
				refused++
			}
		}
		c.JSON(http.StatusOK, refused)
	})
}

// answer answers with a cookie's text, or null.
func answer(c *gin.Context) func(text string, err error) {
	return func(text string, err error) {
		if err != nil {
			c.JSON(http.StatusOK, nil)
			return
		}
		c.JSON(http.StatusOK, text)
	}
}

func sessionRoutes(r *gin.RouterGroup, config sessionkit.Config) {
	r.Use(sessionkit.Sessions(memstore.New(), config))
	add := func(c *gin.Context) {
		n, _ := number.Get(c)
		number.Set(c, n+1)
	}
	r.GET("/nothing", func(*gin.Context) {})
	r.GET("/add", add)
	r.GET("/add-and-go", func(c *gin.Context) {
		add(c)
		c.Redirect(http.StatusSeeOther, r.BasePath()+"/read")
	})
	r.GET("/read", func(c *gin.Context) {
		if n, ok := number.Get(c); ok {
			c.JSON(http.StatusOK, n)
		} else {
			c.JSON(http.StatusOK, nil)
		}
	})
	r.GET("/object", func(c *gin.Context) { cart.Set(c, []item{{"tea", 2}}) })
	r.GET("/read-object", func(c *gin.Context) {
		items, _ := cart.Get(c)
		c.JSON(http.StatusOK, items)
	})
	r.GET("/delete", func(c *gin.Context) { number.Delete(c) })
	r.GET("/regenerate", sessionkit.Renew)
	r.GET("/destroy", sessionkit.Logout)
	r.GET("/stream", func(c *gin.Context) {
		number.Set(c, 1)
		_, _ = c.Writer.WriteString("first")
		c.Writer.Flush()
		_, _ = c.Writer.WriteString("last")
	})
}
