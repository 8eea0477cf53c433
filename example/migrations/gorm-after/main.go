// The program of gorm-before, on sessionkit.
package main

import (
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/gin-contrib/sessions"
	gormstore "github.com/gin-contrib/sessions/gorm"
	"github.com/gin-gonic/gin"
	"github.com/libtnb/sqlite"
	"gorm.io/gorm"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

var secret = []byte("32 bytes that only the server has")

var notes = sessionkit.NewKey[[]string]("notes")

func main() {
	db, err := gorm.Open(sqlite.Open(os.Getenv("DATABASE") + "?_pragma=busy_timeout(5000)"))
	if err != nil {
		log.Fatal(err)
	}
	r := gin.Default()
	r.Use(sessionkit.Sessions(sessionStore(db), sessionkit.Config{
		VisitorFor:   30 * 24 * time.Hour,
		InsecureHTTP: os.Getenv("INSECURE_HTTP") == "on", // in a local network without TLS
	}))
	r.POST("/login", login)
	r.POST("/logout", logout)
	r.GET("/me", sessionkit.RequireSession(), me)
	r.POST("/notes", addNote)
	r.GET("/notes", showNotes)
	log.Fatal(r.Run("localhost:" + os.Getenv("PORT")))
}

// sessionStore returns the store, which takes over the old sessions as long as there
// are any.
func sessionStore(db *gorm.DB) sessions.Store {
	pool, err := db.DB()
	if err != nil {
		log.Fatal(err)
	}
	now, err := sqlstore.New(pool, sqlstore.Config{Table: "web_sessions"})
	if err != nil {
		log.Fatal(err)
	}
	if os.Getenv("OLD_STORE") == "gone" {
		return now
	}
	return store.Migrate(gormstore.NewStore(db, true, secret), now, "notes", oldUser)
}

// oldUser returns who is signed in according to the values of an old session.
func oldUser(values map[any]any) string {
	if id, _ := values["uid"].(uint64); id != 0 {
		return strconv.FormatUint(id, 10)
	}
	return ""
}

func login(c *gin.Context) {
	id, err := strconv.ParseUint(c.PostForm("id"), 10, 64)
	if err != nil || c.PostForm("password") != "opensesame" {
		c.String(http.StatusUnauthorized, "wrong number or password")
		return
	}
	sessionkit.Login(c, strconv.FormatUint(id, 10), sessionkit.Remember()) // for 30 days, as before
	c.Redirect(http.StatusSeeOther, "/me")
}

func logout(c *gin.Context) {
	sessionkit.Logout(c)
	c.Redirect(http.StatusSeeOther, "/me")
}

func me(c *gin.Context) {
	user, _ := sessionkit.User(c)
	c.String(http.StatusOK, "user %s", user)
}

func addNote(c *gin.Context) {
	text := c.PostForm("text")
	_, err := notes.Update(c, func(all []string) []string { return append(all, text) })
	if err != nil {
		c.AbortWithStatus(http.StatusServiceUnavailable)
		return
	}
	c.Redirect(http.StatusSeeOther, "/me")
}

func showNotes(c *gin.Context) {
	all, _ := notes.Get(c)
	c.JSON(http.StatusOK, all)
}
