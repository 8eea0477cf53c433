package sessionkit

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/client"
	"github.com/gin-sessionkit/sessionkit/internal/response"
	"github.com/gin-sessionkit/sessionkit/store"
)

// Problem is an answer that the middleware gives in place of the handler's.
// Programs get it as a problem document (RFC 9457), and people as a page: see
// Config.ErrorPage.
type Problem struct {
	Title  string `json:"title"`  // such as "Service Unavailable"
	Status int    `json:"status"` // 401, 403, 500 or 503; 409 where Inertia is sent to LoginURL
	Detail string `json:"detail"` // a sentence or two for the user
	Reason string `json:"reason"` // a [Denial], "cross-origin", or "error" for a mistake of the program
}

// retryAfter is how many seconds a client should wait when the store fails.
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
	response.NoStore(header)
	header.Set("X-Content-Type-Options", "nosniff")
	if p.Status == http.StatusServiceUnavailable {
		header.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	switch {
	case q.bearer || !client.WantsPage(c.Request):
		writeProblem(c, p)
	case q.kit.ErrorPage == nil:
		response.WritePage(c, p.Status, p.Title, p.Detail)
	default:
		q.errorPage(c, p)
	}
}

// errorPage has the application write the page. If it writes none, also because it
// panics, there is the default one.
func (q *request) errorPage(c *gin.Context, p Problem) {
	defer func() {
		if !c.Writer.Written() {
			response.WritePage(c, p.Status, p.Title, p.Detail)
		}
	}()
	c.Status(p.Status)
	q.kit.ErrorPage(c, p)
}

func writeProblem(c *gin.Context, p Problem) {
	body, _ := json.Marshal(p) // strings and an int encode
	c.Data(p.Status, "application/problem+json", append(body, '\n'))
}

// problemOf returns what the client is told of a failed commit.
func problemOf(failed error) Problem {
	switch {
	case errors.Is(failed, errMisuse): // to try again does not help
		return newProblem(http.StatusInternalServerError, "error", "The request could not be carried out.")
	case errors.Is(failed, errUnreadable):
		return unavailable("Your session could not be read.")
	case errors.Is(failed, store.ErrEnded): // whether trying again helps, nobody knows
		return newProblem(http.StatusServiceUnavailable, string(Unavailable),
			"Your session was ended or replaced meanwhile, and nothing was saved. Try again, or sign in again.")
	}
	return unavailable("Your session could not be saved.")
}
