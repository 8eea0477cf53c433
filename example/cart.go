package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// item is a line of the cart.
type item struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// cart is a value of the session. It survives signing in, and a visitor's cart is
// the user's from then on; signing out ends it.
var cart = sessionkit.NewKey[[]item]("cart")

const (
	maxItems     = 20
	maxNameRunes = 60
)

func addToCart(c *gin.Context) {
	name := strings.TrimSpace(c.PostForm("item"))
	if name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxNameRunes {
		refuse(c, http.StatusUnprocessableEntity, "An item needs a name of 1 to 60 characters.")
		return
	}
	items, _ := cart.Get(c)
	items = withItem(items, name)
	if len(items) > maxItems {
		refuse(c, http.StatusUnprocessableEntity, "The cart is full.")
		return
	}
	cart.Set(c, items)
	c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/"))
}

// withItem returns items with one more of that name.
func withItem(items []item, name string) []item {
	for i := range items {
		if items[i].Name == name {
			items[i].Count++
			return items
		}
	}
	return append(items, item{Name: name, Count: 1})
}

func removeFromCart(c *gin.Context) {
	items, _ := cart.Get(c)
	cart.Set(c, slices.DeleteFunc(items, func(i item) bool { return i.Name == c.PostForm("item") }))
	c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/"))
}

// orderCart takes the cart, for a user: a visitor signs in first, and finds it as
// it was.
func orderCart(c *gin.Context) {
	items, _ := cart.Take(c)
	cups := 0
	for _, i := range items {
		cups += i.Count
	}
	if cups == 0 {
		sessionkit.Flash(c, sessionkit.Warning, "There is nothing to order yet.")
	} else {
		sessionkit.Flash(c, sessionkit.Success, fmt.Sprintf("Thank you. Cups on their way to you: %d", cups))
	}
	c.Redirect(http.StatusSeeOther, "/")
}
