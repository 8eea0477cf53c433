package main

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// visits counts the visitor's visits. With it the home page begins the session.
var visits = sessionkit.NewKey[int]("visits")

type homeData struct {
	Visits   int
	Greeting greeting
	Teas     []tea
	Cart     []item
}

func showHome(c *gin.Context) {
	n, _ := visits.Get(c)
	n++
	visits.Set(c, n) // saved by itself
	items, _ := cart.Get(c)
	render(c, http.StatusOK, "home", "Tea tasting", homeData{
		Visits: n, Greeting: chosenGreeting(c), Teas: teas, Cart: items,
	})
}

// tea is one that can be tasted.
type tea struct{ Name, Taste, Color string }

var teas = []tea{
	{"Sencha", "Fresh grass, a little sea air", "#a9b665"},
	{"Gyokuro", "Shaded leaves, deep and sweet", "#7f9b4e"},
	{"Darjeeling", "First flush, muscatel and bright", "#d8a657"},
	{"Assam", "Malty, strong, made for milk", "#a0522d"},
	{"Oolong", "Roasted, between green and black", "#c17f3b"},
	{"Rooibos", "Red, round, no caffeine at all", "#b5442e"},
}
