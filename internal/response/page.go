package response

import (
	"html"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// WritePage writes a page that needs nothing else, so that it fits any content
// security policy. Browsers give it their own colors, light or dark.
func WritePage(c *gin.Context, status int, title, detail string) {
	const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{detail}</p>
{again}</main>
</body>
</html>
`
	again := ""
	if status == http.StatusServiceUnavailable && c.Request.Method == http.MethodGet {
		again = "<p><a href=\"\">Try again</a></p>\n" // the same address
	}
	header := c.Writer.Header()
	if len(header["Content-Security-Policy"]) == 0 {
		header.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	}
	fill := strings.NewReplacer("{title}", html.EscapeString(title), "{detail}", html.EscapeString(detail), "{again}", again)
	c.Data(status, "text/html; charset=utf-8", []byte(fill.Replace(page)))
}
