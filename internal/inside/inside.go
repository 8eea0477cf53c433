// Package inside carries a function of a test into a request of an application,
// where sessionkit.Sessions runs it in place of the handlers. Only code of this
// process can put one into a request.
package inside

import (
	"context"
	"sync/atomic"

	"github.com/gin-gonic/gin"
)

type functionKey struct{}

// used spares the requests of a process that is no test the look into their context.
var used atomic.Bool

// With returns a context of a request in which f runs.
func With(ctx context.Context, f func(*gin.Context)) context.Context {
	used.Store(true)
	return context.WithValue(ctx, functionKey{}, f)
}

// From returns the function that runs in the request, nil if there is none.
func From(ctx context.Context) func(*gin.Context) {
	if !used.Load() {
		return nil
	}
	f, _ := ctx.Value(functionKey{}).(func(*gin.Context))
	return f
}
