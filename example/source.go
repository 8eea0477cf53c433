package main

import (
	"embed"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// sources are the files of this application that it shows.
//
//go:embed account.go admin.go api.go app.go brewing.go cart.go certificate.go codes.go devices.go events.go home.go journal.go language.go live.go login.go logout.go
//go:embed messages.go pages.go secrets.go security.go store.go theme.go
var sources embed.FS

// sourceOf names the files that a page is made of.
var sourceOf = map[string][]string{
	"home":        {"home.go", "cart.go", "brewing.go"},
	"admin":       {"admin.go"},
	"login":       {"login.go", "logout.go"},
	"account":     {"account.go", "api.go"},
	"devices":     {"devices.go", "logout.go"},
	"codes":       {"codes.go"},
	"messages":    {"messages.go"},
	"preferences": {"language.go", "theme.go", "secrets.go"},
	"live":        {"live.go"},
	"events":      {"events.go", "journal.go"},
	"source":      {"app.go", "pages.go", "security.go", "store.go", "certificate.go"},
}

func sourcesOf(page string) []string { return sourceOf[page] }

type sourceLine struct {
	Text string
	Call bool // of the package
}

func showSource(c *gin.Context) {
	name := c.Param("name")
	text, err := sources.ReadFile(name)
	if err != nil {
		refuse(c, http.StatusNotFound, "There is no such file.")
		return
	}
	var lines []sourceLine
	for line := range strings.Lines(string(text)) {
		lines = append(lines, sourceLine{
			Text: strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", "    "),
			Call: strings.Contains(line, "sessionkit.") && !strings.HasPrefix(strings.TrimSpace(line), `"`),
		})
	}
	render(c, http.StatusOK, "source", "example/"+name, lines)
}
