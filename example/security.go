package main

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// policy lets pages load this site's own files and send forms to this site, and
// nothing else: no inline script, no inline style, no frame, no other site.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func secureHeaders(c *gin.Context) {
	c.Header("Content-Security-Policy", policy)
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Referrer-Policy", "same-origin")
}

const maxBodyBytes = 64 << 10

// limitBody cuts off requests that are larger than any form here.
func limitBody(c *gin.Context) {
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxBodyBytes)
}
