// A JSON API with sign-in, as many are: gin-contrib/sessions with its cookie
// store, and the user's name in the session.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"
)

var secret = []byte("32 bytes that only the server has")

func main() {
	r := gin.Default()
	r.Use(sessions.Sessions("mysession", cookie.NewStore(secret)))
	r.POST("/login", login)
	r.POST("/logout", logout)

	private := r.Group("/private", authRequired)
	private.GET("/me", me)
	private.GET("/visits", visits)
	log.Fatal(r.Run("localhost:" + os.Getenv("PORT")))
}

func authRequired(c *gin.Context) {
	if sessions.Default(c).Get("user") == nil {
		c.AbortWithStatusJSON(http.StatusUnauthorized, gin.H{"error": "unauthorized"})
	}
}

func login(c *gin.Context) {
	name := c.PostForm("name")
	if c.PostForm("password") != "opensesame" {
		c.JSON(http.StatusUnauthorized, gin.H{"error": "wrong name or password"})
		return
	}
	session := sessions.Default(c)
	session.Set("user", name)
	if err := session.Save(); err != nil {
		c.JSON(http.StatusInternalServerError, gin.H{"error": "the session could not be saved"})
		return
	}
	c.JSON(http.StatusOK, gin.H{"message": "Welcome, " + name})
}

func logout(c *gin.Context) {
	session := sessions.Default(c)
	session.Clear()
	if err := session.Save(); err != nil {
		c.JSON(http.StatusInternalServerError, gin.H{"error": "the session could not be saved"})
		return
	}
	c.JSON(http.StatusOK, gin.H{"message": "Goodbye"})
}

func me(c *gin.Context) {
	c.JSON(http.StatusOK, gin.H{"user": sessions.Default(c).Get("user")})
}

func visits(c *gin.Context) {
	session := sessions.Default(c)
	count := 0
	if v := session.Get("visits"); v != nil {
		count = v.(int)
	}
	count++
	session.Set("visits", count)
	if err := session.Save(); err != nil {
		c.JSON(http.StatusInternalServerError, gin.H{"error": "the session could not be saved"})
		return
	}
	c.JSON(http.StatusOK, gin.H{"visits": count})
}
