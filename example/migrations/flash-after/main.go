// The program of flash-before, on sessionkit.
package main

import (
	"html/template"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

var secret = []byte("32 bytes that only the server has")

var notes = sessionkit.NewKey[[]string]("notes")

const page = `<!doctype html>
<title>Notes</title>
{{range .Messages}}<p class="{{.Level}}">{{.Text}}</p>
{{end}}<form method="post" action="/notes"><input name="text"><button>Save</button></form>
<ul>{{range .Notes}}<li>{{.}}</li>{{end}}</ul>
`

func main() {
	r := gin.Default()
	r.SetHTMLTemplate(template.Must(template.New("page").Parse(page)))
	r.Use(sessionkit.Sessions(
		store.Migrate(cookie.NewStore(secret), memstore.New(), "notes"), // nobody signs in here: the values move
		sessionkit.Config{IdleTimeout: 7 * 24 * time.Hour, Lifetime: 7 * 24 * time.Hour},
	))
	r.GET("/", show)
	r.POST("/notes", save)
	log.Fatal(r.Run("localhost:" + os.Getenv("PORT")))
}

func show(c *gin.Context) {
	list, _ := notes.Get(c)
	c.HTML(http.StatusOK, "page", gin.H{"Messages": sessionkit.Flashes(c), "Notes": list})
}

func save(c *gin.Context) {
	text := strings.TrimSpace(c.PostForm("text"))
	if text == "" {
		sessionkit.Flash(c, sessionkit.Error, "A note needs some text.")
	} else {
		list, _ := notes.Get(c)
		notes.Set(c, append(list, text))
		sessionkit.Flash(c, sessionkit.Info, "The note is saved.")
	}
	c.Redirect(http.StatusSeeOther, "/")
}
