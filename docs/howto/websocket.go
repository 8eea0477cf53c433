package howto

import (
	"context"
	"time"

	"github.com/coder/websocket"
	"github.com/gin-gonic/gin"
	gorilla "github.com/gorilla/websocket"

	"github.com/gin-sessionkit/sessionkit"
)

// Feed returns what is to be sent to a user, until ctx is done. It closes the channel
// if there will be no more.
type Feed func(ctx context.Context, user string) <-chan string

// Live adds streams of what happens to the routes of an application.
func Live(r gin.IRouter, feed Feed) {
	signedIn := sessionkit.RequireSession(sessionkit.GuardConfig{Passive: true}) // reconnecting is no use of the session

	r.GET("/events", signedIn, func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		messages := feed(c.Request.Context(), user)
		c.Header("X-Accel-Buffering", "no") // nginx would keep the events back
		for {
			select {
			case m, ok := <-messages:
				if !ok { // there will be no more
					return
				}
				c.SSEvent("message", m)
				c.Writer.Flush()
			case <-sessionkit.Done(c): // signed out, revoked or expired
				return
			case <-c.Request.Context().Done(): // the page was left
				return
			}
		}
	})

	r.GET("/coder", signedIn, func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		conn, err := websocket.Accept(c.Writer, c.Request, nil)
		if err != nil {
			return // Accept has answered
		}
		defer func() { _ = conn.CloseNow() }()
		ctx := conn.CloseRead(context.WithoutCancel(c.Request.Context())) // done when the client is gone
		messages := feed(ctx, user)
		for {
			select {
			case m, ok := <-messages:
				if !ok || conn.Write(ctx, websocket.MessageText, []byte(m)) != nil {
					return
				}
			case <-sessionkit.Done(c):
				_ = conn.Close(websocket.StatusPolicyViolation, "signed out")
				return
			case <-ctx.Done():
				return
			}
		}
	})

	upgrader := gorilla.Upgrader{}
	r.GET("/gorilla", signedIn, func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		conn, err := upgrader.Upgrade(c.Writer, c.Request, nil)
		if err != nil {
			return // Upgrade has answered
		}
		defer func() { _ = conn.Close() }()
		conn.SetReadLimit(64 << 10) // there is none otherwise
		ended := sessionkit.Done(c)
		go func() {
			<-ended // or the handler has returned
			text := gorilla.FormatCloseMessage(gorilla.ClosePolicyViolation, "signed out")
			_ = conn.WriteControl(gorilla.CloseMessage, text, time.Now().Add(time.Second))
			_ = conn.Close()
		}()
		for {
			_, m, err := conn.ReadMessage()
			if err != nil || conn.WriteMessage(gorilla.TextMessage, append([]byte(user+": "), m...)) != nil {
				return
			}
		}
	})
}
