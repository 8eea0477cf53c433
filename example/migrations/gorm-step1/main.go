// The program of gorm-before with sessionkit under it: only main has changed.
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

func main() {
	db, err := gorm.Open(sqlite.Open(os.Getenv("DATABASE") + "?_pragma=busy_timeout(5000)"))
	if err != nil {
		log.Fatal(err)
	}
	old := gormstore.NewStore(db, true, secret) // as it was; its table is "sessions"
	pool, err := db.DB()
	if err != nil {
		log.Fatal(err)
	}
	now, err := sqlstore.New(pool, sqlstore.Config{Table: "web_sessions"})
	if err != nil {
		log.Fatal(err)
	}
	r := gin.Default()
	r.Use(sessionkit.Sessions(store.Migrate(old, now, "notes", oldUser), sessionkit.Config{
		VisitorFor:   30 * 24 * time.Hour,                // the gorm store's, unless Options says otherwise
		InsecureHTTP: os.Getenv("INSECURE_HTTP") == "on", // in a local network without TLS
	}))
	r.POST("/login", login)
	r.POST("/logout", logout)
	r.GET("/me", me)
	r.POST("/notes", addNote)
	r.GET("/notes", showNotes)
	log.Fatal(r.Run("localhost:" + os.Getenv("PORT")))
}

// oldUser returns who is signed in according to the session's values.
func oldUser(values map[any]any) string {
	if id, _ := values["uid"].(uint64); id != 0 {
		return strconv.FormatUint(id, 10)
	}
	return ""
}

// signedIn returns the number of who is signed in, 0 for nobody.
func signedIn(c *gin.Context) uint64 {
	id, _ := sessions.Default(c).Get("uid").(uint64)
	return id
}

func login(c *gin.Context) {
	id, err := strconv.ParseUint(c.PostForm("id"), 10, 64)
	if err != nil || c.PostForm("password") != "opensesame" {
		c.String(http.StatusUnauthorized, "wrong number or password")
		return
	}
	session := sessions.Default(c)
	session.Set("uid", id)
	save(c, session)
}

func logout(c *gin.Context) {
	session := sessions.Default(c)
	session.Delete("uid")
	session.Delete("notes")
	save(c, session)
}

func me(c *gin.Context) {
	if id := signedIn(c); id != 0 {
		c.String(http.StatusOK, "user %d", id)
		return
	}
	c.String(http.StatusUnauthorized, "nobody")
}

func addNote(c *gin.Context) {
	session := sessions.Default(c)
	notes, _ := session.Get("notes").([]string)
	session.Set("notes", append(notes, c.PostForm("text")))
	save(c, session)
}

func showNotes(c *gin.Context) {
	c.JSON(http.StatusOK, sessions.Default(c).Get("notes"))
}

func save(c *gin.Context, session sessions.Session) {
	if err := session.Save(); err != nil {
		c.String(http.StatusInternalServerError, "the session could not be saved")
		return
	}
	c.Redirect(http.StatusFound, "/me")
}
