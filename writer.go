package sessionkit

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"github.com/gin-gonic/gin"
)

// writer saves the session right before the first byte of the response, in
// whichever way that comes. If the session cannot be saved it answers in the
// handler's stead.
type writer struct {
	gin.ResponseWriter
	q        *request
	failed   error // the session could not be saved: what the handler writes is withheld
	status   int32 // the handler's, until the session is saved; 0: none
	sent     bool  // the header has gone out, or is about to
	ended    bool  // the middleware has returned: the status is another's
	panicked bool  // the status was set by a recovery middleware behind this one
	encoded  bool  // a Content-Encoding stood before the handlers ran: the writer below encodes
}

var (
	_ gin.ResponseWriter = (*writer)(nil)
	_ io.ReaderFrom      = (*writer)(nil)
)

// before runs ahead of each thing that may send the first byte.
func (w *writer) before() error {
	if w.sent {
		return w.failed
	}
	if w.q.beforeHeader(!w.Written()); w.failed != nil {
		w.answerFailure()
	} else {
		w.passStatus()
	}
	return w.failed
}

// WriteHeader keeps the status back until the session is saved: the writer below
// may be one for which the first status stands.
func (w *writer) WriteHeader(code int) {
	switch {
	case w.failed != nil || code <= 0:
	case w.sent || w.ended:
		w.ResponseWriter.WriteHeader(code)
	default:
		w.panicked = code >= http.StatusInternalServerError && panicking()
		w.status = int32(code) // #nosec G115 -- it has three digits
	}
}

func (w *writer) Status() int {
	if w.status > 0 {
		return int(w.status)
	}
	return w.ResponseWriter.Status()
}

func (w *writer) passStatus() {
	if w.status > 0 {
		w.ResponseWriter.WriteHeader(int(w.status))
		w.status = 0
	}
}

// finish saves what is not saved yet, when the handlers have returned.
func (w *writer) finish() {
	if !w.sent {
		_ = w.before() // it answers by itself
		return
	}
	if w.failed == nil {
		_ = w.q.afterHeader() // it is reported
	}
}

// beforeHeader commits the session and sets the header's fields, or notes that the
// commit failed, before OnError is called: it may try to write.
func (q *request) beforeHeader(header bool) {
	q.lock()
	defer q.unlock(q.c)
	q.writer.sent = true
	if q.panicked() {
		q.discard()
	}
	if q.writer.failed = q.commit(header); q.writer.failed != nil {
		q.undoEarly()
	}
	q.early = false
	if header {
		if q.writer.failed == nil {
			q.setCookie()
			q.retire()
			q.keepLocation()
		}
		q.setHeader()
	}
}

// setCookie tells the client what became of its session.
func (q *request) setCookie() {
	if q.clears {
		q.clearBrowser()
	}
	if q.old.id != "" && (q.sends || q.moved()) {
		q.sendCookie()
	}
	q.clears, q.sends = false, false
}

// afterHeader commits what was changed after the header went out.
func (q *request) afterHeader() error {
	q.lock()
	defer q.unlock(q.c)
	return q.commit(false)
}

// setHeader tells caches that the response is not for everybody (RFC 9111, OWASP
// ASVS 5.0 section 14.3.2).
func (q *request) setHeader() {
	header := q.writer.Header()
	if q.loaded {
		q.setVary(header)
	}
	if q.guarded && header.Get("Cache-Control") == "" {
		noStore(header)
	}
}

// noStore keeps a response out of all caches, also of those that go by a header of
// their own (RFC 9213 section 2).
func noStore(header http.Header) {
	header.Set("Cache-Control", "no-store")
	dropTargeted(header)
}

// dropTargeted removes what tells shared caches more than Cache-Control does.
func dropTargeted(header http.Header) {
	for field := range header {
		if targetsCaches(field) {
			delete(header, field)
		}
	}
}

func targetsCaches(field string) bool {
	const suffix = "CDN-Cache-Control" // also with the name of a CDN before it
	n := len(field) - len(suffix)
	return n >= 0 && strings.EqualFold(field[n:], suffix) ||
		strings.EqualFold(field, "Surrogate-Control") || strings.EqualFold(field, "X-Accel-Expires")
}

// keepFromCaches keeps a response out of caches that sets the session's cookie. A
// handler that lets everybody's caches have the page does not mean that: whoever
// they gave it to would be in the session of another.
func keepFromCaches(header http.Header) {
	dropTargeted(header)
	for _, line := range header["Cache-Control"] {
		for directive := range strings.SplitSeq(strings.ToLower(line), ",") {
			if d := strings.TrimSpace(directive); d == "no-store" || d == "private" {
				return
			}
		}
	}
	header.Set("Cache-Control", "no-store")
}

func (q *request) setVary(header http.Header) {
	if len(header["Vary"]) == 0 {
		q.vary[0] = q.kit.varyLine
		header["Vary"] = q.vary[:] // of the request itself: nobody else's to change, and no allocation
		return
	}
	for _, field := range q.kit.vary {
		if !varies(header["Vary"], field) {
			header["Vary"] = append(header["Vary"], field)
		}
	}
}

// varies reports whether a Vary header names a field already.
func varies(vary []string, name string) bool {
	for _, line := range vary {
		for field := range strings.SplitSeq(line, ",") {
			if field = strings.TrimSpace(field); field == "*" || strings.EqualFold(field, name) {
				return true
			}
		}
	}
	return false
}

// answerFailure withholds the handler's answer and gives another one instead.
func (w *writer) answerFailure() {
	w.status = 0
	header := w.Header()
	for field := range header {
		if w.encoded && field == "Content-Encoding" {
			continue
		}
		if describesAnswer(field) {
			header.Del(field)
		}
	}
	if w.Written() {
		return
	}
	c := w.q.c
	defer func(above gin.ResponseWriter) { c.Writer = above }(c.Writer)
	c.Writer = w.ResponseWriter
	w.q.answer(c, problemOf(w.failed))
}

// problemOf returns what the client is told of a failed commit.
func problemOf(failed error) Problem {
	switch {
	case errors.Is(failed, errMisuse): // to try again does not help
		return newProblem(http.StatusInternalServerError, "error", "The request could not be carried out.")
	case errors.Is(failed, errUnreadable):
		return unavailable("Your session could not be read.")
	}
	return unavailable("Your session could not be saved.")
}

// describesAnswer reports whether a header field is a part of the handler's
// answer, rather than of the connection or the site.
func describesAnswer(field string) bool {
	switch field {
	case "Location", "Refresh", "X-Accel-Redirect", "X-Sendfile", "Set-Cookie", "Etag", "Last-Modified", "Accept-Ranges", "Trailer", "Clear-Site-Data", "Cache-Control", "Expires":
		return true
	}
	return targetsCaches(field) || strings.HasPrefix(field, "Content-") && field != "Content-Security-Policy" || strings.HasPrefix(field, "Hx-")
}

func (w *writer) Write(b []byte) (int, error) {
	if err := w.before(); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(b)
}

func (w *writer) WriteString(s string) (int, error) {
	if err := w.before(); err != nil {
		return 0, err
	}
	return w.ResponseWriter.WriteString(s)
}

// ReadFrom is what io.Copy and http.ServeContent call.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	if err := w.before(); err != nil {
		return 0, err
	}
	return io.Copy(w.ResponseWriter, r)
}

func (w *writer) WriteHeaderNow() {
	if w.before() == nil {
		w.ResponseWriter.WriteHeaderNow()
	}
}

func (w *writer) Flush() {
	if w.before() == nil {
		w.ResponseWriter.Flush()
	}
}

// Hijack saves the session first. A new cookie can be sent along with the
// handshake only by a handler that writes its header before (WriteHeaderNow).
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !w.sent && !w.Written() {
		if w.q.beforeHeader(false); w.failed != nil {
			w.answerFailure()
		}
	}
	if w.failed != nil {
		return nil, nil, w.failed
	}
	return w.ResponseWriter.Hijack()
}

// Pusher returns nil where the connection cannot push.
func (w *writer) Pusher() http.Pusher {
	if p := w.ResponseWriter.Pusher(); p != nil {
		return pusher{p, w}
	}
	return nil
}

// pusher saves the session before the first promise goes out.
type pusher struct {
	http.Pusher
	w *writer
}

func (p pusher) Push(target string, opts *http.PushOptions) error {
	if err := p.w.before(); err != nil {
		return err
	}
	return p.Pusher.Push(target, opts)
}

// Unwrap is for http.ResponseController. It finds Flush and Hijack here and the
// rest below.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// panicked reports whether the response is being written because the handler
// panicked: by a recovery middleware that stands between this one and the
// handler. Only a response that says failure is looked at; a handler that recovers
// by itself and goes on is not one that panicked.
func (q *request) panicked() bool {
	switch {
	case q.writer.panicked:
		return true
	case q.writer.Status() >= http.StatusInternalServerError:
		return panicking()
	case q.c.IsAborted():
		return panicking() || connectionLost(q.c.Errors.Last())
	}
	return false
}

// connectionLost reports whether an error is one for which [gin.Recovery] writes
// nothing after a panic.
func connectionLost(err *gin.Error) bool {
	return err != nil && (errors.Is(err, http.ErrAbortHandler) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET))
}

// panicking reports whether it is called in a panic: by a deferred function, so
// that the panic is on the stack.
func panicking() bool { return onStack(gopanic()) }

// onStack reports whether this goroutine is in a call of a function.
func onStack(f *runtime.Func) bool {
	pcs := make([]uintptr, 64)
	for skip := 2; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs)
		for _, pc := range pcs[:n] {
			if runtime.FuncForPC(pc-1) == f {
				return true
			}
		}
		if n < len(pcs) {
			return false
		}
	}
}

// gopanic is the function of the runtime that runs deferred calls in a panic.
var gopanic = sync.OnceValue(func() (f *runtime.Func) {
	defer func() {
		_ = recover()
		pcs := make([]uintptr, 8)
		frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
		for frame, more := frames.Next(); more; frame, more = frames.Next() {
			if frame.Function == "runtime.gopanic" {
				f = frame.Func
			}
		}
	}()
	panic("to be seen on the stack")
})
