package howto

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// A Server serves an application until it is told to stop.
type Server struct {
	Handler  http.Handler
	Store    *store.Store
	Stopping chan struct{} // closed when the server stops
}

// Serve serves until ctx is done, by signal.NotifyContext for instance.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: s.Handler, ReadHeaderTimeout: 5 * time.Second}
	server.RegisterOnShutdown(func() { close(s.Stopping) }) // streams select on it, beside sessionkit.Done(c)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return errors.Join(err, s.Store.Close())
	case <-ctx.Done(): // of signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := server.Shutdown(late)             // requests that are under way are answered, and saved
	return errors.Join(err, s.Store.Close()) // last: it ends the watches behind Done
}
