package main

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// visits counts the visits in a session.
var visits = sessionkit.NewKey[int]("visits")

type homeData struct {
	Visits    int // 0: there is no session
	Greeting  greeting
	Teas      []tea
	Cart      []item
	Reachable bool // the session
}

func showHome(c *gin.Context) {
	data := homeData{Greeting: chosenGreeting(c), Teas: teas, Reachable: sessionkit.Err(c) == nil}
	if sessionkit.Current(c).ID != "" { // a visit alone is no reason to begin one
		data.Visits, _ = visits.Update(c, func(n int) int { return n + 1 })
	}
	data.Cart, _ = cart.Get(c)
	render(c, http.StatusOK, "home", "Tea tasting", data)
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
