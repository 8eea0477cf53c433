package sessionkit

import (
	"encoding/json"
	"html"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
)

// Problem is an answer that the middleware gives in place of the handler's.
// Programs get it as a problem document (RFC 9457), and people as a page: see
// Config.ErrorPage.
type Problem struct {
	Title  string `json:"title"`  // such as "Service Unavailable"
	Status int    `json:"status"` // 401, 403, 500 or 503
	Detail string `json:"detail"` // a sentence or two for the user
	Reason string `json:"reason"` // a [Denial], "cross-origin", or "error" for a mistake of the program
}

// retryAfter is how many seconds a client is asked to wait when the store fails.
const retryAfter = 5

func newProblem(status int, reason, detail string) Problem {
	return Problem{Title: http.StatusText(status), Status: status, Detail: detail, Reason: reason}
}

func unavailable(detail string) Problem {
	return newProblem(http.StatusServiceUnavailable, string(Unavailable), detail+" Try again in a few seconds.")
}

// answer answers a request in place of its handler: with a page if it asks for one,
// else with a problem document.
func (q *request) answer(c *gin.Context, p Problem) {
	header := c.Writer.Header()
	noStore(header)
	header.Set("X-Content-Type-Options", "nosniff")
	if p.Status == http.StatusServiceUnavailable {
		header.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	switch {
	case q.bearer || !wantsPage(c.Request):
		writeProblem(c, p)
	case q.kit.ErrorPage == nil:
		writePage(c, p)
	default:
		q.errorPage(c, p)
	}
}

// errorPage has the application write the page. If it writes none, also because it
// panics, there is the default one.
func (q *request) errorPage(c *gin.Context, p Problem) {
	defer func() {
		if !c.Writer.Written() {
			writePage(c, p)
		}
	}()
	c.Status(p.Status)
	q.kit.ErrorPage(c, p)
}

func writeProblem(c *gin.Context, p Problem) {
	body, _ := json.Marshal(p) // strings and an int encode
	c.Data(p.Status, "application/problem+json", append(body, '\n'))
}

// writePage writes a page that needs nothing else, so that it fits any content
// security policy. Browsers give it their own colors, light or dark.
func writePage(c *gin.Context, p Problem) {
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
	if p.Status == http.StatusServiceUnavailable && c.Request.Method == http.MethodGet {
		again = "<p><a href=\"\">Try again</a></p>\n" // the same address
	}
	header := c.Writer.Header()
	if len(header["Content-Security-Policy"]) == 0 {
		header.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	}
	fill := strings.NewReplacer("{title}", html.EscapeString(p.Title), "{detail}", html.EscapeString(p.Detail), "{again}", again)
	c.Data(p.Status, "text/html; charset=utf-8", []byte(fill.Replace(page)))
}
