package sessionkit

import (
	"slices"
	"sync"

	"github.com/gin-gonic/gin"
)

// Done returns a channel that is closed when this session ends, by [Logout],
// revocation or expiry, and at the latest when the middleware returns. It is also closed
// when the client has been answered with an error, because the session could not be read
// or saved, or that of another Sessions of the request. It is for handlers that stay:
// WebSockets and server-sent events.
//
//	for {
//		select {
//		case <-c.Request.Context().Done(): // the client is gone
//			return
//		case <-sessionkit.Done(c):
//			return
//		case m, ok := <-messages:
//			if !ok { // there will be no more
//				return
//			}
//			c.SSEvent("message", m)
//			c.Writer.Flush()
//		}
//	}
//
// The channel is closed within a second of the end, and over store/redisstore with
// its cache within milliseconds. Waiting does not count as activity, so the session can
// still expire. A renewed session goes on; one that nobody is signed in to ends with
// its ID. A visitor who has no session has none that could end. All calls in one
// request return the same channel. After [Logout], until the response has begun, it is that of
// the session that may follow. If the life of the session was shortened by the Options
// of sessions.Default(c), the channel is closed when it would have expired otherwise.
//
// Over the stores of gin-contrib and over store/express the channel is also closed when the
// session gets a new ID. Over gin-contrib's cookie store only the cookie of this request counts: a
// sign-out is not seen, and the channel is closed when that cookie expires, even if the session is
// in use.
func Done(c *gin.Context) <-chan struct{} {
	q := requestOf(c, "Done")
	done := q.done(c)
	if slices.ContainsFunc(together(c), (*request).hasFailed) { // else conclude ends the watch
		q.endWatch()
	}
	return done
}

func (q *request) done(c *gin.Context) <-chan struct{} {
	q.lock()
	defer q.unlock(c)
	q.load(false)
	if q.watched == nil {
		q.watch()
	}
	return q.watched.done
}

// hasFailed reports whether the client has got an error, as the session could not be read or saved.
func (q *request) hasFailed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.writer.Failed != nil
}

// endWatch closes the channel that [Done] has returned, if it has.
func (q *request) endWatch() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.loaded != nil && q.watched != nil {
		go q.watched.stop() // which may wait for a store, and others wait for the lock
	}
}

// watched is a session whose end is waited for.
type watched struct {
	done  <-chan struct{}                          // what Done has returned
	stop  func()                                   // it may be called twice
	begin func(ended <-chan struct{}, stop func()) // to be called once the session is stored; nil: it was before
}

func (q *request) watch() {
	over := q.closed || q.writer.Failed != nil
	if over || q.session.ID() == "" || q.session.Ending() || q.session.SigningIn() {
		q.watched = watchLater()
	} else {
		done, stop := q.kit.keeper.Watch(q.r, q.kept())
		q.watched = &watched{done: done, stop: stop}
	}
	if over {
		q.watched.stop()
	}
}

// watchNew begins to watch a session that the request has begun, if [Done] waits for one.
func (q *request) watchNew() {
	if w := q.watched; w != nil && w.begin != nil && !q.closed && q.session.ID() != "" {
		w.begin(q.kit.keeper.Watch(q.r, q.kept()))
	}
}

// watchLater waits for the end of a session that the request may be about to begin.
func watchLater() *watched {
	ch := make(chan struct{})
	end := sync.OnceFunc(func() { close(ch) })
	w := &watched{done: ch, stop: end}
	w.begin = func(ended <-chan struct{}, stop func()) {
		w.begin, w.stop = nil, func() { stop(); end() }
		go func() {
			<-ended
			end()
		}()
	}
	return w
}
