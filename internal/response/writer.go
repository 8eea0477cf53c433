// Package response is the response of a request with a session: it commits the session
// before the first byte, and withholds what the handler writes if that fails.
package response

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
)

// A Stage is how far a response has come.
type Stage uint8

// The stages, in their order.
const (
	Open      Stage = iota
	Heading         // the session is being committed, and the header's fields can be set
	Sent            // the header has gone out, or what stands in it does
	TakenOver       // the connection is the handler's, and no header goes out
)

// A Committer commits the session of a [Writer].
type Committer interface {
	// BeforeHeader commits the session. It calls [Writer.Begin] with next first, if there is
	// anything to commit, and sets Writer.Failed before anything else can write. From [Heading]
	// it goes on to [Sent].
	BeforeHeader(next Stage)

	// Errors returns how many errors the handlers have recorded.
	Errors() int

	// AfterHeader commits what was changed after the header went out.
	AfterHeader()

	// Answer answers in the handler's stead, through the writer below.
	Answer(below gin.ResponseWriter, failed error)

	// Spares reports whether a line of Set-Cookie is kept although the commit failed: it is
	// that of another Committer's session.
	Spares(setCookie string) bool
}

// Writer saves the session right before the first byte of the response, in
// whichever way that comes. If the session cannot be saved it answers in the
// handler's stead.
type Writer struct {
	gin.ResponseWriter
	Committer Committer
	Failed    error // the session could not be saved: what the handler writes is withheld

	status   int16 // the handler's, until the session is saved; 0: none
	errors   uint8 // that the handlers had recorded by then, as far as it can tell
	stage    Stage
	returned bool // the handlers have, without writing
	ended    bool // the middleware has returned: the status is another's
	panicked bool // the status was set by a recovery middleware behind this one
	encoded  bool // a Content-Encoding stood before the handlers ran: the writer below encodes
}

// Wrap puts a new writer in front of another one.
func (w *Writer) Wrap(below gin.ResponseWriter, c Committer) {
	w.ResponseWriter, w.Committer = below, c
	w.encoded = len(below.Header()["Content-Encoding"]) > 0
}

// Format implements [fmt.Formatter]: the session's secret is not shown.
func (w *Writer) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "sessionkit: not shown") }

// Begin notes how far the response has come. The committer calls it, under its lock.
func (w *Writer) Begin(next Stage) { w.stage = max(w.stage, next) }

// Begun reports whether the header has gone out, or is about to.
func (w *Writer) Begun() bool { return w.stage > Open }

// TakesCookie reports whether the header can still be given the session's cookie.
func (w *Writer) TakesCookie() bool { return w.stage <= Heading }

// TakenOver reports whether the handler has taken over the connection, or is about to.
func (w *Writer) TakenOver() bool { return w.stage == TakenOver }

// Abandon passes on the status of a handler that panicked, and saves nothing.
func (w *Writer) Abandon() {
	w.ended = true
	w.passStatus()
}

var (
	_ gin.ResponseWriter = (*Writer)(nil)
	_ io.ReaderFrom      = (*Writer)(nil)
)

// before runs ahead of each thing that may send the first byte.
func (w *Writer) before() error {
	if w.Begun() {
		return w.Failed
	}
	next := Heading
	if w.Written() {
		next = Sent
	}
	if w.commit(next); w.Failed == nil {
		w.passStatus()
	}
	return w.Failed
}

// commit commits the session, and answers if that fails: also if what the application has
// to be told of it panics.
func (w *Writer) commit(next Stage) {
	defer func() {
		if w.Failed != nil {
			w.answerFailure()
		}
	}()
	w.Committer.BeforeHeader(next)
}

// WriteHeader keeps the status back until the session is saved: the writer below
// may be one for which the first status stands.
func (w *Writer) WriteHeader(code int) {
	switch {
	case w.Failed != nil || code <= 0:
	case w.Begun() || w.ended:
		w.panicked = w.panicked || recovers(code)
		w.ResponseWriter.WriteHeader(code)
	default:
		w.panicked = recovers(code)
		w.status, w.errors = int16(code), w.recorded() // #nosec G115 -- it has three digits
	}
}

// recorded returns how many errors the handlers have recorded, as far as it can tell.
func (w *Writer) recorded() uint8 {
	return uint8(min(w.Committer.Errors(), math.MaxUint8)) // #nosec G115 -- it is at most that
}

// recovers reports whether a status is set by what recovers from a panic.
func recovers(code int) bool { return code >= http.StatusInternalServerError && Panicking() }

// Status returns the handler's status, also before it is passed on.
func (w *Writer) Status() int {
	if w.status > 0 {
		return int(w.status)
	}
	return w.ResponseWriter.Status()
}

// LosesVary reports whether a Vary header does not reach the client: gin-contrib/gzip drops it
// from an error, which it does not encode.
func (w *Writer) LosesVary() bool { return w.encoded && w.Status() >= http.StatusBadRequest }

func (w *Writer) passStatus() {
	if w.status > 0 {
		w.ResponseWriter.WriteHeader(int(w.status))
		w.status = 0
	}
}

// Finish saves what is not saved yet, when the handlers have returned.
func (w *Writer) Finish() {
	if !w.Begun() {
		w.returned = true
		_ = w.before() // it answers by itself
		return
	}
	if w.Failed == nil {
		w.Committer.AfterHeader()
	}
}

// answerFailure withholds the handler's answer and gives another one instead.
func (w *Writer) answerFailure() {
	w.status = 0
	header := w.Header()
	for field, lines := range header {
		switch {
		case w.encoded && field == "Content-Encoding":
		case field == "Set-Cookie":
			header[field] = slices.DeleteFunc(lines, func(line string) bool { return !w.Committer.Spares(line) })
		case describesAnswer(field):
			delete(header, field)
		}
	}
	if w.Written() {
		return
	}
	w.Committer.Answer(w.ResponseWriter, w.Failed)
}

func (w *Writer) Write(b []byte) (int, error) {
	if err := w.before(); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(b)
}

// WriteString commits, and writes.
func (w *Writer) WriteString(s string) (int, error) {
	if err := w.before(); err != nil {
		return 0, err
	}
	return w.ResponseWriter.WriteString(s)
}

// ReadFrom is what io.Copy and http.ServeContent call.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) {
	if err := w.before(); err != nil {
		return 0, err
	}
	return io.Copy(w.ResponseWriter, r)
}

// WriteHeaderNow commits, and sends the header.
func (w *Writer) WriteHeaderNow() {
	if w.before() == nil {
		w.ResponseWriter.WriteHeaderNow()
	}
}

// Flush commits, and sends what is there: also what was answered in the handler's stead.
func (w *Writer) Flush() {
	_ = w.before()
	w.ResponseWriter.Flush()
}

// Hijack saves the session first. A new cookie can be sent along with the
// handshake only by a handler that writes its header before (WriteHeaderNow).
func (w *Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !w.Begun() && !w.Written() {
		w.commit(TakenOver)
	}
	if w.Failed != nil {
		return nil, nil, w.Failed
	}
	return w.ResponseWriter.Hijack()
}

// Unwrap is for http.ResponseController. It finds Flush and Hijack here and the
// rest below.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Panicked reports whether the response is being written because the handler
// panicked: by a recovery middleware that stands between this one and the
// handler. Only a response that says failure is looked at; a handler that recovers
// by itself and goes on is not one that panicked.
func (w *Writer) Panicked(c *gin.Context) bool {
	switch {
	case w.panicked:
		return true
	case w.Status() >= http.StatusInternalServerError:
		return Panicking()
	case c.IsAborted():
		return Panicking() || aborted(c)
	}
	return false
}

// MayHavePanicked is the function of that name, for handlers that [Writer.Panicked] knows nothing
// of. A handler that records its error first and then answers is not one that panicked, and one that
// says failure need not be told of it.
func (w *Writer) MayHavePanicked(c *gin.Context) bool {
	return w.returned && w.Status() < http.StatusInternalServerError && (w.status == 0 || w.recorded() > w.errors) && MayHavePanicked(c)
}

// PanickedLate is Panicked for a handler that has returned after the header went out. A
// recovery middleware is known by the status that it tries to set, or by the error with
// which [gin.Recovery] records that the response was aborted. One that does neither is
// not, and gin.Recovery is not if the panic was about a lost connection: rendering to
// one leaves the same error and is no panic.
func (w *Writer) PanickedLate(c *gin.Context) bool {
	return w.panicked || c.IsAborted() && aborted(c)
}

// aborted reports whether the last error is that of a response which was aborted.
func aborted(c *gin.Context) bool {
	last := c.Errors.Last()
	return last != nil && errors.Is(last, http.ErrAbortHandler)
}
