package main

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

//go:embed templates/*.html static/style.css
var files embed.FS

// templates holds the pages, each within the layout.
var templates = func() map[string]*template.Template {
	functions := template.FuncMap{
		"clock":   func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") },
		"rfc3339": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}
	layout := template.Must(template.New("").Funcs(functions).ParseFS(files, "templates/layout.html", "templates/cart.html"))
	pages := make(map[string]*template.Template)
	for _, name := range []string{"home", "login", "account", "error"} {
		pages[name] = template.Must(template.Must(layout.Clone()).ParseFS(files, "templates/"+name+".html"))
	}
	return pages
}()

// page is what the layout shows, with the page's own data in it.
type page struct {
	Title   string
	Theme   string
	User    string // "" where nobody is signed in
	Here    string // where the theme's form comes back to
	Flashes []sessionkit.FlashMessage
	Data    any
}

// render answers with a page.
func render(c *gin.Context, status int, name, title string, data any) {
	p := page{Title: title, Theme: chosenTheme(c), Here: c.Request.URL.Path, Data: data}
	p.User, _ = sessionkit.User(c)
	if c.Request.Method == http.MethodGet {
		p.Here = c.Request.URL.RequestURI()
	}
	// An error page leaves the flash messages for the page that the visitor sees
	// next: browsers ask for icons and the like by themselves.
	if status < http.StatusBadRequest {
		p.Flashes = sessionkit.Flashes(c)
	}
	var body bytes.Buffer
	if err := templates[name].ExecuteTemplate(&body, "layout", p); err != nil {
		panic(fmt.Errorf("the template %q: %w", name, err)) // nothing was sent, and nothing is saved
	}
	c.Header("Cache-Control", "no-store") // every page shows what is in this visitor's session
	c.Data(status, "text/html; charset=utf-8", body.Bytes())
}

// refuse answers a request that cannot be served: a page for people, a problem
// (RFC 9457) for programs.
func refuse(c *gin.Context, status int, detail string) {
	title := http.StatusText(status)
	if strings.HasPrefix(c.Request.URL.Path, "/api/") {
		c.Header("Content-Type", "application/problem+json")
		c.JSON(status, gin.H{"title": title, "status": status, "detail": detail})
		return
	}
	render(c, status, "error", title, detail)
}

// visits counts the visitor's visits. With it the home page begins the session.
var visits = sessionkit.NewKey[int]("visits")

type homeData struct {
	Visits int
	Cart   []item
}

func showHome(c *gin.Context) {
	n, _ := visits.Get(c)
	n++
	visits.Set(c, n) // saved by itself
	items, _ := cart.Get(c)
	render(c, http.StatusOK, "home", "Home", homeData{Visits: n, Cart: items})
}

type accountData struct {
	Session sessionkit.Session
	Cart    []item
}

func showAccount(c *gin.Context) {
	items, _ := cart.Get(c)
	render(c, http.StatusOK, "account", "Your account", accountData{Session: sessionkit.Current(c), Cart: items})
}
