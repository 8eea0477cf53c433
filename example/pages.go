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

//go:embed templates/*.html static
var files embed.FS

var staticFiles = []string{"base.css", "parts.css", "announce.js", "back.js", "countdown.js", "live.js", "login.js", "icon.svg"}

// templates holds the pages, each within the layout.
var templates = func() map[string]*template.Template {
	functions := template.FuncMap{
		"clock":   func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") },
		"rfc3339": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"ago":     func(t time.Time) string { return duration(time.Since(t)) + " ago" },
		"left":    func(t time.Time) string { return duration(time.Until(t)) },
		"sources": sourcesOf,
		"meaning": meaning,
	}
	layout := template.Must(template.New("").Funcs(functions).ParseFS(files,
		"templates/layout.html", "templates/icons.html", "templates/cart.html"))
	pages := make(map[string]*template.Template)
	for _, name := range []string{
		"home", "login", "account", "devices", "codes", "messages", "preferences", "live", "events", "source", "error", "admin",
	} {
		pages[name] = template.Must(template.Must(layout.Clone()).ParseFS(files, "templates/"+name+".html"))
	}
	return pages
}()

// duration is how people say how long something takes.
func duration(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		switch n := int(d / unit.length); {
		case n == 1:
			return "1 " + unit.name
		case n > 1:
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return "a moment"
}

// link is a page that the navigation leads to.
type link struct{ Path, Icon, Name string }

var navigation = []link{
	{"/", "cup", "Tasting"},
	{"/account", "person", "Account"},
	{"/devices", "devices", "Devices"},
	{"/codes", "key", "Codes"},
	{"/messages", "bubble", "Messages"},
	{"/preferences", "sliders", "Preferences"},
	{"/live", "waves", "Live"},
	{"/events", "clock", "Events"},
}

// page is what the layout shows, with the page's own data in it.
type page struct {
	Name       string
	Title      string
	Theme      string
	User       string // "" if nobody is signed in
	Reachable  bool   // the session: if it is not, nobody knows whether somebody is
	Path       string
	Here       string // where forms of the layout come back to
	Navigation []link
	Flashes    []sessionkit.FlashMessage
	Data       any
}

// render answers with a page.
func render(c *gin.Context, status int, name, title string, data any) {
	path := c.Request.URL.Path
	p := page{Name: name, Title: title, Theme: chosenTheme(c), Path: path, Here: path, Navigation: navigation, Data: data}
	p.Reachable = sessionkit.Err(c) == nil // a page that does not ask becomes a 503
	p.User, _ = sessionkit.User(c)
	if c.Request.Method == http.MethodGet {
		p.Here = c.Request.URL.RequestURI()
	}
	// An error page leaves the flash messages for the page that the visitor sees
	// next: browsers ask for icons and the like by themselves.
	if status < http.StatusBadRequest {
		p.Flashes = append(sessionkit.Flashes(c), takeNews(c)...)
	}
	var body bytes.Buffer
	if err := templates[name].ExecuteTemplate(&body, "layout", p); err != nil {
		panic(fmt.Errorf("the template %q: %w", name, err)) // nothing was sent, and nothing is saved
	}
	c.Header("Cache-Control", "no-store") // every page shows what is in this visitor's session
	c.Data(status, "text/html; charset=utf-8", body.Bytes())
}

// showProblem is Config.ErrorPage: the middleware answers in place of a handler.
func showProblem(c *gin.Context, p sessionkit.Problem) {
	render(c, p.Status, "error", p.Title, p.Detail)
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
