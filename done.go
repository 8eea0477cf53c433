package sessionkit

import "github.com/gin-gonic/gin"

// Done returns a channel that is closed when this session ends, by [Logout],
// revocation or expiry, and at the latest when the middleware returns. It is for
// handlers that stay: WebSockets and server-sent events.
//
//	for {
//		select {
//		case <-c.Request.Context().Done(): // the client is gone
//			return
//		case <-sessionkit.Done(c):
//			return
//		case m := <-messages:
//			c.SSEvent("message", m)
//			c.Writer.Flush()
//		}
//	}
//
// The channel is closed within a second of the end, and over store/redisstore with
// its cache within milliseconds. Waiting does not count as activity, so the session can
// still expire. A renewed session goes on; one that nobody is signed in to ends with
// its ID. A visitor who has no session has none that could end. All calls in one
// request return the same channel.
func Done(c *gin.Context) <-chan struct{} {
	q := requestOf(c, "Done")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	if q.done == nil {
		q.watch()
	}
	return q.done
}

func (q *request) watch() {
	if q.old.id == "" || q.ending {
		ch := make(chan struct{})
		q.done, q.stop = ch, func() { close(ch) }
	} else {
		q.done, q.stop = q.kit.keeper.watch(q.r, q.old)
	}
	if q.closed {
		q.stop()
	}
}
