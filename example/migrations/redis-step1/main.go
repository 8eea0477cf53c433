// The program of redis-before with sessionkit under it: only main has changed.
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

func main() {
	gob.Register([]Line{})
	old, err := redis.NewStore(10, "tcp", os.Getenv("REDIS"), "", "", secret)
	if err != nil {
		log.Fatal(err)
	}
	// The longest that any of them was given: the store does not tell which one was given how much.
	old.Options(sessions.Options{Path: "/", MaxAge: 30 * 24 * 60 * 60, HttpOnly: true})
	now, err := redisstore.Open("redis://" + os.Getenv("REDIS"))
	if err != nil {
		log.Fatal(err)
	}
	r := gin.Default()
	r.Use(sessionkit.Sessions(store.Migrate(old, now, "shop", oldUser), sessionkit.Config{
		VisitorFor:   7 * 24 * time.Hour,
		InsecureHTTP: os.Getenv("INSECURE_HTTP") == "on", // in a local network without TLS
	}))
	r.POST("/login", login)
	r.POST("/logout", logout)
	r.GET("/cart", showCart)
	r.POST("/cart", addToCart)
	r.GET("/account", userRequired, account)
	log.Fatal(r.Run("localhost:" + os.Getenv("PORT")))
}

// oldUser returns who is signed in according to the session's values.
func oldUser(values map[any]any) string {
	if id, ok := values["user_id"].(uint); ok {
		return strconv.FormatUint(uint64(id), 10)
	}
	return ""
}

func userRequired(c *gin.Context) {
	id, ok := sessions.Default(c).Get("user_id").(uint)
	if !ok {
		c.Redirect(http.StatusFound, "/login")
		c.Abort()
		return
	}
	c.Set("user", id)
}

func login(c *gin.Context) {
	id, err := strconv.ParseUint(c.PostForm("id"), 10, 32)
	if err != nil || c.PostForm("password") != "opensesame" {
		c.String(http.StatusUnauthorized, "wrong number or password")
		return
	}
	session := sessions.Default(c)
	if c.PostForm("remember") != "" {
		session.Options(sessions.Options{Path: "/", MaxAge: 30 * 24 * 60 * 60, HttpOnly: true})
	}
	session.Set("user_id", uint(id))
	if err := session.Save(); err != nil {
		c.String(http.StatusInternalServerError, "the session could not be saved")
		return
	}
	c.Redirect(http.StatusFound, "/account")
}

func logout(c *gin.Context) {
	session := sessions.Default(c)
	session.Clear()
	session.Options(sessions.Options{Path: "/", MaxAge: -1})
	if err := session.Save(); err != nil {
		c.String(http.StatusInternalServerError, "the session could not be saved")
		return
	}
	c.Redirect(http.StatusFound, "/cart")
}

func showCart(c *gin.Context) {
	lines, _ := sessions.Default(c).Get("cart").([]Line)
	c.JSON(http.StatusOK, lines)
}

func addToCart(c *gin.Context) {
	amount, err := strconv.Atoi(c.PostForm("amount"))
	if err != nil {
		c.String(http.StatusBadRequest, "how many?")
		return
	}
	session := sessions.Default(c)
	lines, _ := session.Get("cart").([]Line)
	session.Set("cart", append(lines, Line{c.PostForm("item"), amount}))
	if err := session.Save(); err != nil {
		c.String(http.StatusInternalServerError, "the session could not be saved")
		return
	}
	c.Redirect(http.StatusFound, "/cart")
}

func account(c *gin.Context) {
	c.String(http.StatusOK, "user %d", c.MustGet("user"))
}
