package sessionkit

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
)

// problem is an answer of the kit's own (RFC 9457).
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Reason string `json:"reason"`
}

// retryAfter is how many seconds a client is asked to wait when the store fails.
const retryAfter = 5

func unavailable(detail string) problem {
	return problem{
		Title: http.StatusText(http.StatusServiceUnavailable), Status: http.StatusServiceUnavailable,
		Detail: detail + " Try again.", Reason: string(Unavailable),
	}
}

// writeProblem sends a problem.
func writeProblem(w gin.ResponseWriter, p problem) {
	body, _ := json.Marshal(p) // strings and an int encode
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if p.Status == http.StatusServiceUnavailable {
		header.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n'))
}
