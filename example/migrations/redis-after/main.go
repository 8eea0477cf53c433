// The program of redis-before, on sessionkit.
package main

import (
	"encoding/gob"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/redis"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

var secret = []byte("32 bytes that only the server has")

// Line is a line of a cart.
type Line struct {
	Item   string `json:"item"`
	Amount int    `json:"amount"`
}

var cart = sessionkit.NewKey[[]Line]("cart")

func main() {
	gob.Register([]Line{}) // as long as there are sessions that Set has put one into
	log.Fatal(newRouter(sessionStore()).Run("localhost:" + os.Getenv("PORT")))
}

// sessionStore returns the store, which takes over the old sessions as long as there
// are any.
func sessionStore() sessions.Store {
	now, err := redisstore.Open("redis://" + os.Getenv("REDIS"))
	if err != nil {
		log.Fatal(err)
	}
	if os.Getenv("OLD_STORE") == "gone" {
		return now
	}
	old, err := redis.NewStore(10, "tcp", os.Getenv("REDIS"), "", "", secret)
	if err != nil {
		log.Fatal(err)
	}
	// The longest that any of them was given: the store does not tell which one was given how much.
	old.Options(sessions.Options{Path: "/", MaxAge: 30 * 24 * 60 * 60, HttpOnly: true})
	return store.Migrate(old, now, "shop", oldUser)
}

func newRouter(store sessions.Store) *gin.Engine {
	r := gin.Default()
	r.Use(sessionkit.Sessions(store, sessionkit.Config{
		VisitorFor:   7 * 24 * time.Hour,
		InsecureHTTP: os.Getenv("INSECURE_HTTP") == "on", // in a local network without TLS
	}))
	r.POST("/login", login)
	r.POST("/logout", logout)
	r.GET("/cart", showCart)
	r.POST("/cart", addToCart)
	r.GET("/account", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"}), account)
	return r
}

// oldUser returns who is signed in according to the values of an old session.
func oldUser(values map[any]any) string {
	if id, ok := values["user_id"].(uint); ok {
		return strconv.FormatUint(uint64(id), 10)
	}
	return ""
}

func login(c *gin.Context) {
	id := c.PostForm("id")
	if _, err := strconv.ParseUint(id, 10, 32); err != nil || c.PostForm("password") != "opensesame" {
		c.String(http.StatusUnauthorized, "wrong number or password")
		return
	}
	options := []sessionkit.LoginOption{sessionkit.Remember()} // for 30 days
	if c.PostForm("remember") == "" {
		options = append(options, sessionkit.Lifetime(7*24*time.Hour))
	}
	sessionkit.Login(c, id, options...)
	c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/account"))
}

func logout(c *gin.Context) {
	sessionkit.Logout(c)
	c.Redirect(http.StatusSeeOther, "/cart")
}

func showCart(c *gin.Context) {
	lines, _ := cart.Get(c)
	c.JSON(http.StatusOK, lines)
}

func addToCart(c *gin.Context) {
	amount, err := strconv.Atoi(c.PostForm("amount"))
	if err != nil {
		c.String(http.StatusBadRequest, "how many?")
		return
	}
	line := Line{c.PostForm("item"), amount}
	_, err = cart.Update(c, func(lines []Line) []Line { return append(lines, line) })
	if err != nil {
		c.AbortWithStatus(http.StatusServiceUnavailable)
		return
	}
	c.Redirect(http.StatusSeeOther, "/cart")
}

func account(c *gin.Context) {
	user, _ := sessionkit.User(c)
	c.String(http.StatusOK, "user %s", user)
}
