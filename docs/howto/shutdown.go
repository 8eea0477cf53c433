package howto

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// Serve serves until ctx is done, such as by signal.NotifyContext, and then ends in
// order. Streams end when stopping is closed.
func Serve(ctx context.Context, l net.Listener, handler http.Handler, s *store.Store, stopping chan struct{}) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	server.RegisterOnShutdown(func() { close(stopping) }) // streams select on it, beside sessionkit.Done(c)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return errors.Join(err, s.Close())
	case <-ctx.Done(): // signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	}
	late, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := server.Shutdown(late) // waits for the requests that are under way, and for what they save
	return errors.Join(err, s.Close())
}
