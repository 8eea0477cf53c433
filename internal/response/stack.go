package response

import (
	"errors"
	"net/http"
	"runtime"
	"sync"
	"syscall"

	"github.com/gin-gonic/gin"
)

// ConnectionLost reports whether an error is one for which [gin.Recovery] writes
// nothing after a panic.
func ConnectionLost(err *gin.Error) bool {
	return err != nil && (errors.Is(err, http.ErrAbortHandler) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET))
}

// Panicking reports whether it is called in a panic: by a deferred function, so
// that the panic is on the stack.
func Panicking() bool { return OnStack(gopanic()) }

// OnStack reports whether this goroutine is in a call of a function.
func OnStack(f *runtime.Func) bool {
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
