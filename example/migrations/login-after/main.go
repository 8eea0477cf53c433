// The program of login-before, on sessionkit.
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

var visitCount = sessionkit.NewKey[int]("visits")

func main() {
	r := gin.Default()
	r.Use(sessionkit.Sessions(sessionStore(), sessionkit.Config{
		VisitorFor:       30 * 24 * time.Hour,                // for those who signed in before
		CookielessRoutes: []string{"/api/"},                  // they have keys
		InsecureHTTP:     os.Getenv("INSECURE_HTTP") == "on", // in a local network without TLS
	}))
	r.POST("/login", login)
	r.POST("/logout", logout)

	private := r.Group("/private", sessionkit.RequireSession())
	private.GET("/me", me)
	private.GET("/visits", visits)

	api := r.Group("/api", allowOrigins)
	api.OPTIONS("/orders")
	api.POST("/orders", keyRequired, order)
	log.Fatal(r.Run("localhost:" + os.Getenv("PORT")))
}

// sessionStore returns the store, which takes over the old sessions as long as there
// are any.
func sessionStore() sessions.Store {
	db, err := sqlstore.OpenSQLite(os.Getenv("SESSIONS"))
	if err != nil {
		log.Fatal(err)
	}
	now, err := sqlstore.New(db)
	if err != nil {
		log.Fatal(err)
	}
	if os.Getenv("OLD_STORE") == "gone" {
		return now
	}
	old := cookie.NewStore(secret)
	old.Options(sessions.Options{Path: "/", MaxAge: 30 * 24 * 60 * 60, HttpOnly: true})
	return store.Migrate(old, now, "mysession", oldUser)
}

// oldUser returns who is signed in according to the values of an old session.
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
	sessionkit.Login(c, name, sessionkit.Remember()) // for 30 days, as before
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
	count, err := visitCount.Update(c, func(n int) int { return n + 1 })
	if err != nil {
		c.AbortWithStatus(http.StatusServiceUnavailable)
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
