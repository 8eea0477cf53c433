package response

import (
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/gin-gonic/gin"
)

// MayHavePanicked reports whether handlers have returned with what [gin.Recovery] leaves of a panic
// about a lost connection, for which it writes nothing: an error, and the context aborted. If a
// recovery stands behind the middleware, nobody can tell that from a handler that has recorded the error
// of a connection of its own, as to a database. If none is known by its name, no panic is taken to have
// ended there.
func MayHavePanicked(c *gin.Context) bool {
	return c.IsAborted() && connectionLost(c.Errors.Last()) && recoversBehind(c.HandlerNames())
}

func connectionLost(err *gin.Error) bool {
	return err != nil && (errors.Is(err, http.ErrAbortHandler) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET))
}

// recoversBehind reports whether one of the handlers behind the middleware is called a recovery, or
// one of all handlers if the middleware is in a function of the application. The last one answers, and
// may recover an account.
func recoversBehind(names []string) bool {
	own := slices.IndexFunc(names, func(name string) bool { return strings.HasSuffix(name, "sessionkit.(*kit).serve-fm") })
	return slices.ContainsFunc(names[own+1:max(own+1, len(names)-1)], func(name string) bool {
		_, function, _ := strings.Cut(name[strings.LastIndexByte(name, '/')+1:], ".") // from its package
		return strings.Contains(strings.ToLower(function), "recover")
	})
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
