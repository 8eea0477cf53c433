package main

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

func showLive(c *gin.Context) {
	render(c, http.StatusOK, "live", "Live orders", nil)
}

const (
	streamEvery  = 2 * time.Second
	writeTimeout = 10 * time.Second
)

// stream sends server-sent events until the session ends: by sign-out here, by
// revocation from another browser, or by expiry.
func (a *app) stream(c *gin.Context) {
	connection := http.NewResponseController(c.Writer)
	ended := sessionkit.Done(c)
	ticker := time.NewTicker(streamEvery)
	defer ticker.Stop()
	for n := 0; ; n++ {
		_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout)) // the server's own is for requests that end soon
		c.SSEvent("order", orders[n%len(orders)])
		c.Writer.Flush()
		select {
		case <-ticker.C:
		case <-ended:
			_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout))
			c.SSEvent("ended", "This session has ended.")
			return
		case <-c.Request.Context().Done(): // the page was left
			return
		case <-a.stopping: // the browser asks again
			return
		}
	}
}

var orders = []string{
	"Water for Sencha is at 70 °C",
	"Darjeeling steeps for three minutes",
	"A second pot of Assam for table four",
	"Oolong, third infusion, is served",
	"The kettle is on for Gyokuro",
	"Rooibos with a slice of orange for table one",
}
