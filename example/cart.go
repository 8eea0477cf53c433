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
	full := false
	_, err := cart.Update(c, func(items []item) []item { // another tab may be adding as well
		more := withItem(items, name)
		if full = len(more) > maxItems; full {
			return items
		}
		return more
	})
	switch {
	case err != nil:
		refuse(c, http.StatusServiceUnavailable, "Your cart could not be changed. Please try again in a moment.")
		return
	case full:
		refuse(c, http.StatusUnprocessableEntity, "The cart is full.")
		return
	}
	if lostSession(c) {
		sessionkit.Flash(c, sessionkit.Warning, "Your earlier session has expired, and its cart with it. This is a new cart.")
	}
	c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/"))
}

// lostSession reports whether the request came with the cookie of a session that has
// expired.
func lostSession(c *gin.Context) bool {
	return slices.ContainsFunc(heard(c), func(e sessionkit.Event) bool {
		return e.Kind == sessionkit.EventExpired || e.Kind == sessionkit.EventRejected
	})
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
	name := c.PostForm("item") // read before Update, whose function must not wait for the client
	_, err := cart.Update(c, func(items []item) []item {
		return slices.DeleteFunc(items, func(i item) bool { return i.Name == name })
	})
	if err != nil {
		refuse(c, http.StatusServiceUnavailable, "Your cart could not be changed. Please try again in a moment.")
		return
	}
	c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/"))
}

// orderCart takes the cart, for a user: a visitor signs in first, and finds it as
// it was. However often the button is clicked, one request gets the cart.
func (a *app) orderCart(c *gin.Context) {
	items, _ := cart.Take(c)
	cups := 0
	for _, i := range items {
		cups += i.Count
	}
	if cups == 0 {
		sessionkit.Flash(c, sessionkit.Warning, "There is nothing to order yet.")
	} else {
		sessionkit.Flash(c, sessionkit.Success, fmt.Sprintf("Thank you. Cups on their way to you: %d", cups))
		a.brew(c)
	}
	c.Redirect(http.StatusSeeOther, "/")
}
