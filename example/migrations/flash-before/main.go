// Pages with notes and messages, as many are: gin-contrib/sessions in memory, flash
// messages in two kinds, and templates.
package main

import (
	"html/template"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"
)

var secret = []byte("32 bytes that only the server has")

const page = `<!doctype html>
<title>Notes</title>
{{range .Errors}}<p class="error">{{.}}</p>
{{end}}{{range .Messages}}<p class="info">{{.}}</p>
{{end}}<form method="post" action="/notes"><input name="text"><button>Save</button></form>
<ul>{{range .Notes}}<li>{{.}}</li>{{end}}</ul>
`

func main() {
	r := gin.Default()
	r.SetHTMLTemplate(template.Must(template.New("page").Parse(page)))
	store := cookie.NewStore(secret)
	store.Options(sessions.Options{Path: "/", MaxAge: 7 * 24 * 60 * 60, HttpOnly: true})
	r.Use(sessions.Sessions("notes", store))
	r.GET("/", show)
	r.POST("/notes", save)
	log.Fatal(r.Run("localhost:" + os.Getenv("PORT")))
}

func show(c *gin.Context) {
	session := sessions.Default(c)
	errors, messages := session.Flashes("error"), session.Flashes()
	if err := session.Save(); err != nil {
		log.Print("saving the session: ", err)
	}
	c.HTML(http.StatusOK, "page", gin.H{"Errors": errors, "Messages": messages, "Notes": session.Get("notes")})
}

func save(c *gin.Context) {
	session := sessions.Default(c)
	text := strings.TrimSpace(c.PostForm("text"))
	if text == "" {
		session.AddFlash("A note needs some text.", "error")
	} else {
		notes, _ := session.Get("notes").([]string)
		session.Set("notes", append(notes, text))
		session.AddFlash("The note is saved.")
	}
	if err := session.Save(); err != nil {
		log.Print("saving the session: ", err)
	}
	c.Redirect(http.StatusFound, "/")
}
