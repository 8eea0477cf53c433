// The program of login-before, on sessionkit.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

var secret = []byte("32 bytes that only the server has")

var visitCount = sessionkit.NewKey[int]("visits")

func main() {
	r := gin.Default()
	old := cookie.NewStore(secret)
	r.Use(sessionkit.Sessions(store.Migrate(old, memstore.New(), "mysession", oldUser)))
	r.POST("/login", login)
	r.POST("/logout", logout)

	private := r.Group("/private", sessionkit.RequireSession())
	private.GET("/me", me)
	private.GET("/visits", visits)
	log.Fatal(r.Run("localhost:" + os.Getenv("PORT")))
}

// oldUser returns who was signed in before the switch.
func oldUser(values map[any]any) string {
	name, _ := values["user"].(string)
	return name
}

func login(c *gin.Context) {
	name := c.PostForm("name")
	if c.PostForm("password") != "opensesame" {
		c.JSON(http.StatusUnauthorized, gin.H{"error": "wrong name or password"})
		return
	}
	sessionkit.Login(c, name)
	c.JSON(http.StatusOK, gin.H{"message": "Welcome, " + name})
}

func logout(c *gin.Context) {
	sessionkit.Logout(c)
	c.JSON(http.StatusOK, gin.H{"message": "Goodbye"})
}

func me(c *gin.Context) {
	name, _ := sessionkit.User(c)
	c.JSON(http.StatusOK, gin.H{"user": name})
}

func visits(c *gin.Context) {
	count, _ := visitCount.Get(c)
	count++
	visitCount.Set(c, count)
	c.JSON(http.StatusOK, gin.H{"visits": count})
}
