package sessionkit

import "github.com/gin-gonic/gin"

// Resumes reports whether handlers that gin runs once more go on with the request's session.
func Resumes(c *gin.Context) bool {
	q := findRequest(c)
	return q.kit.resumable.Find(c) == q
}
