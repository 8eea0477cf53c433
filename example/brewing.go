package main

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// news is what the kitchen has to say to a customer, on the next page that they open.
var news = sessionkit.NewKey[[]string]("news")

// brewing is how long an order takes.
const brewing = 3 * time.Second

// brew works on an order in the background, and then tells the customer by the ID of the
// session. Who has signed out meanwhile is told nothing.
func (a *app) brew(c *gin.Context) {
	if a.sessions == nil {
		return
	}
	ctx, id := context.WithoutCancel(c), sessionkit.Current(c).ID
	a.jobs.Go(func() {
		select {
		case <-time.After(brewing):
		case <-a.stopping: // then it is said early rather than never
		}
		_, err := news.UpdateIn(ctx, a.sessions, id, func(all []string) []string { return append(all, "Your order is ready.") })
		if err != nil {
			slog.WarnContext(ctx, "telling a customer", "err", err)
		}
	})
}

// takeNews returns the news as messages, each for one page. A browser that fetches a page
// ahead gets none: its user may never open it. Flashes sees to that itself.
func takeNews(c *gin.Context) []sessionkit.FlashMessage {
	if strings.HasPrefix(c.GetHeader("Sec-Purpose"), "prefetch") || c.GetHeader("Purpose") == "prefetch" { // older browsers
		return nil
	}
	var messages []sessionkit.FlashMessage
	all, _ := news.Take(c)
	for _, text := range all {
		messages = append(messages, sessionkit.FlashMessage{Level: sessionkit.Success, Text: text})
	}
	return messages
}
