// The example is a small web application on sessionkit: a tea tasting with a cart,
// sign-in and sign-out, devices, flash messages, preferences in cookies, a live
// stream and a JSON API.
//
//	go run ./example
//
// Its sessions are in the file sessions.db: they survive a restart. The flag -store
// puts them elsewhere. README.md says which file shows what.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

func main() {
	// Gin's debug mode lists every route. Release mode is for production: in it the
	// middleware gives out Secure cookies alone, which some browsers drop on
	// http://localhost. Test mode is neither.
	gin.SetMode(gin.TestMode)

	var s settings
	flag.StringVar(&s.Address, "addr", "localhost:8080", "`address` to listen on")
	flag.StringVar(&s.Store, "store", "sqlite:sessions.db", "`where` sessions are kept: "+storeKinds)
	flag.StringVar(&s.Secrets, "secrets", "sessions.key", "`file` with the secrets of signed cookies; it is made if it is not there")
	flag.BoolVar(&s.TLS, "tls", false, "serve HTTPS, and bind sessions to the devices of browsers that can do that")
	flag.StringVar(&s.Certificate, "certificate", "localhost.pem", "`file` with the certificate of -tls and its key; it is made if it is not there")
	config := &s.Config
	flag.DurationVar(&config.IdleTimeout, "idle", time.Hour, "how long a session may stay unused")
	flag.DurationVar(&config.Lifetime, "lifetime", 24*time.Hour, "how long a session lasts after sign-in")
	flag.DurationVar(&config.RememberFor, "remember", 30*24*time.Hour, "how long a sign-in with \"keep me signed in\" lasts")
	flag.DurationVar(&config.VisitorFor, "visitor", 30*24*time.Hour, "how long a visitor's cart may stay unused, also if the browser is closed")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "sessionkit example: no arguments but flags are taken, not %q\n", flag.Args())
		os.Exit(2)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx, s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sessionkit example:", err)
		os.Exit(1)
	}
}

// settings are what the flags say.
type settings struct {
	Address, Store, Secrets string
	Config                  sessionkit.Config

	TLS         bool
	Certificate string
}

// run serves the application until ctx is done. It writes to out where, as soon
// as browsers can connect.
func run(ctx context.Context, s settings, out io.Writer) error {
	secrets, err := readSecrets(s.Secrets)
	if err != nil {
		return err
	}
	s.Config.Secrets, s.Config.DeviceBound = secrets, s.TLS
	if err := s.Config.Validate(); err != nil {
		return err
	}
	var certificate tls.Certificate
	if s.TLS {
		if certificate, err = readCertificate(s.Certificate); err != nil {
			return err
		}
	}
	store, closeStore, err := openStore(s.Store) //nolint:contextcheck // OpenSQLite takes no context: it gives up by itself
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.Address)
	if err != nil {
		return errors.Join(fmt.Errorf("%w; choose another address with -addr", err), closeStore())
	}
	a := newApp(s.Config)
	server := newServer(a, a.router(store))
	url := address(s.Address, listener.Addr())
	if s.TLS {
		url = "https" + strings.TrimPrefix(url, "http")
		listener = tls.NewListener(listener, &tls.Config{
			Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12,
		})
	}
	_, _ = fmt.Fprintf(out, "sessionkit example on %s\naccounts: alice and bob, password opensesame\n", url)
	if s.TLS {
		_, _ = fmt.Fprintf(out, "certificate: %s\n", fingerprint(certificate))
	}

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = shutdown(ctx, server)
	}
	a.jobs.Wait()
	return errors.Join(err, closeStore())
}

// newServer returns a server with limits for requests that end soon. Streams lift
// them for themselves, and end when the server is told to stop.
func newServer(a *app, handler http.Handler) *http.Server {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       time.Minute,
	}
	server.RegisterOnShutdown(func() { close(a.stopping) })
	return server
}

// shutdown lets the requests that are under way finish, within reason.
func shutdown(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(err, server.Close())
	}
	return nil
}

// address returns the URL to type into a browser: the host that was asked for,
// under which cookies work over plain HTTP if it is this machine, and the port
// that it became.
func address(asked string, listening net.Addr) string {
	host, _, _ := net.SplitHostPort(asked) // it has been listened on
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	_, port, _ := net.SplitHostPort(listening.String())
	return "http://" + net.JoinHostPort(host, port)
}
