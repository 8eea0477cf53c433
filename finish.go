package sessionkit

import (
	"fmt"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/keeper"
)

// finish ends the request's part in the session. A handler that panicked saves
// nothing.
func (q *request) finish(panicking bool) {
	if !panicking && q.writer.Begun() && q.closeUntouched() {
		return
	}
	passed := false
	defer func() { q.close(passed) }()
	q.pass(panicking)
	passed = true
}

// closeUntouched is all that is to be done for a request that has asked for no session, as most
// requests for pictures and the like. It reports false for others, and does nothing then.
func (q *request) closeUntouched() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = q.loaded == nil && q.pending == nil
	return q.closed
}

// pass ends a pass through the handlers.
func (q *request) pass(panicking bool) {
	if panicking {
		defer q.writer.Abandon()
		q.lock()
		defer q.unlock(q.c) // also where a store panics
		q.discard()
		return
	}
	q.writer.Finish()
}

// close notes that the request has ended, and ends the watch that [Done] has begun. What
// was changed since the last commit, by OnEvent or in a goroutine, is saved before, unless
// that commit has panicked.
func (q *request) close(passed bool) {
	var stop func()
	defer func() {
		if stop != nil { // what begins to watch from here on stops by itself
			stop()
		}
	}()
	q.lock()
	defer q.unlock(q.c)
	defer func() { q.closed = true }() // also where a store panics
	if q.loaded == nil {
		return
	}
	defer q.unlist() // also then: gin gives the context to another client's request
	if q.watched != nil {
		stop = q.watched.stop
	}
	if passed && q.entry.Listed() && !q.panicked && q.writer.Failed == nil {
		_ = q.commit(false) // it is reported
	}
}

// hasEnded reports whether the middleware has returned.
func (q *request) hasEnded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// discard forgets what the request changed, as its handlers have panicked. They have not
// used the session, and what answers for them is shown whether or not it can be read.
func (q *request) discard() {
	q.panicked = true
	if q.loaded == nil {
		return
	}
	q.bad, q.reported, q.clearing = nil, false, false
	q.undoEarly(q.kept())
	q.asked = true
	defer func() { _ = recover() }() // Config.UserOf may be what has panicked
	q.forget()
}

// doubt is discard for handlers that may have panicked: if that loses a change, the commit fails, so
// that the answer does not say that all went well.
func (q *request) doubt(c *gin.Context) {
	if q.loaded == nil || !q.entry.Listed() {
		return
	}
	q.discard()
	q.refuse(fmt.Errorf("the handlers have aborted with an error that gin.Recovery records for a panic, and it stands behind Sessions: "+
		"register recoveries in front of Sessions: %w", c.Errors.Last()))
}

// forget goes on with the session as it is stored.
func (q *request) forget() {
	q.view = nil
	if q.session.Discard(); q.session.ID() == "" {
		q.handle = keeper.Handle{}
	}
	q.agree()
}
