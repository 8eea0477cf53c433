package howto_test

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// newRouter returns the application that the document tests.
func newRouter(store sessions.Store) *gin.Engine {
	r := gin.New()
	r.SetHTMLTemplate(template.Must(template.New("account").Parse(`<h1>{{.User}}</h1>{{range .Flashes}}<p>{{.Text}}</p>{{end}}`)))
	r.Use(sessionkit.Sessions(store))
	account := r.Group("/account", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"}))
	account.GET("", func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		c.HTML(http.StatusOK, "account", gin.H{"User": user, "Flashes": sessionkit.Flashes(c)})
	})
	account.POST("/cart", func(c *gin.Context) {
		items, _ := howto.Cart.Get(c)
		howto.Cart.Set(c, append(items, c.PostForm("item")))
		sessionkit.Flash(c, sessionkit.Success, "Added")
		c.Redirect(http.StatusSeeOther, "/account")
	})
	return r
}

var Cart = howto.Cart

func TestAddToCart(t *testing.T) {
	client := sessionkittest.As(t, newRouter(memstore.New()), "42", sessionkittest.With(Cart, []string{"tea"}))
	w := client.Post("/account/cart", url.Values{"item": {"cake"}})
	assert.Equal(t, http.StatusSeeOther, w.Code)
	assert.Equal(t, "/account", w.Header().Get("Location")) // a client follows no redirect
	items, _ := sessionkittest.Value(client, Cart)
	assert.Equal(t, []string{"tea", "cake"}, items)
	assert.Contains(t, client.Get("/account").Body.String(), "<p>Added</p>") // the template, with its flash message
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := sessionkittest.As(t, newRouter(memstore.New()), "42")
		time.Sleep(2 * time.Hour) // the bubble's clock: it takes no time
		w := client.Get("/account")
		assert.Equal(t, "/login?next=%2Faccount&reason=expired", w.Header().Get("Location"))
	})
}

func TestOutage(t *testing.T) {
	store := sessionkittest.NewStore()
	client := sessionkittest.As(t, newRouter(store), "42")
	store.FailWrites(errors.New("the disk is full"))
	assert.Equal(t, http.StatusServiceUnavailable, client.Post("/account/cart", url.Values{"item": {"cake"}}).Code)
	store.FailReads(errors.New("out of order"))
	assert.Equal(t, http.StatusServiceUnavailable, client.Get("/account").Code)
}
