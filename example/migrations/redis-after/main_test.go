package main_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	main "github.com/gin-sessionkit/sessionkit/example/migrations/redis-after"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

type Line = main.Line

var (
	cart      = main.CartKey
	newRouter = main.NewRouter
)

func TestCart(t *testing.T) {
	gin.SetMode(gin.TestMode)
	client := sessionkittest.As(t, newRouter(memstore.New()), "42", sessionkittest.With(cart, []Line{{"tea", 2}}))
	w := client.Post("/cart", url.Values{"item": {"cake"}, "amount": {"1"}})
	assert.Equal(t, http.StatusSeeOther, w.Code)
	lines, _ := sessionkittest.Value(client, cart)
	assert.Equal(t, []Line{{"tea", 2}, {"cake", 1}}, lines)
}
