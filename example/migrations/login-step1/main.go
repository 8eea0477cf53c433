// The program of login-before with sessionkit under it: only main has changed.
package main

import (
	"log"
	"net/http"
	"os"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"
	_ "modernc.org/sqlite" // the driver

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

var secret = []byte("32 bytes that only the server has")

func main() {
	r := gin.Default()
	old := cookie.NewStore(secret) // as it was
	old.Options(sessions.Options{Path: "/", MaxAge: 30 * 24 * 60 * 60, HttpOnly: true})
	db, err := sqlstore.OpenSQLite(os.Getenv("SESSIONS"))
	if err != nil {
		log.Fatal(err)
	}
	now, err := sqlstore.New(db)
	if err != nil {
		log.Fatal(err)
	}
	r.Use(sessionkit.Sessions(store.Migrate(old, now, "mysession", oldUser), sessionkit.Config{
		VisitorFor:       30 * 24 * time.Hour,                // as long as the old cookies
		CookielessRoutes: []string{"/api/"},                  // they have keys
		InsecureHTTP:     os.Getenv("INSECURE_HTTP") == "on", // in a local network without TLS
	}))
	r.POST("/login", login)
	r.POST("/logout", logout)

	private := r.Group("/private", authRequired)
	private.GET("/me", me)
	private.GET("/visits", visits)

	api := r.Group("/api", allowOrigins)
	api.OPTIONS("/orders")
	api.POST("/orders", keyRequired, order)
	log.Fatal(r.Run("localhost:" + os.Getenv("PORT")))
}

// oldUser returns who is signed in according to the session's values.
func oldUser(values map[any]any) string {
	name, _ := values["user"].(string)
	return name
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

// apiKey is what programs of partners send.
const apiKey = "Bearer 3f9c-partner" // #nosec G101 -- of the example

// allowOrigins lets the pages of partners call the API.
func allowOrigins(c *gin.Context) {
	c.Header("Access-Control-Allow-Origin", "*")
	c.Header("Access-Control-Allow-Headers", "Authorization")
	if c.Request.Method == http.MethodOptions {
		c.AbortWithStatus(http.StatusNoContent)
	}
}

func keyRequired(c *gin.Context) {
	if c.GetHeader("Authorization") != apiKey {
		c.AbortWithStatusJSON(http.StatusUnauthorized, gin.H{"error": "no such key"})
	}
}

func order(c *gin.Context) {
	c.JSON(http.StatusOK, gin.H{"ordered": c.PostForm("item")})
}
