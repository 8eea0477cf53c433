package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"

	"github.com/valyala/fasthttp"
)

// A medium is where a peer keeps its sessions. Ratios compare peers of one medium.
type medium string

const (
	nowhere  medium = ""
	inMemory medium = "memory"
	inCookie medium = "cookie"
	inSQLite medium = "SQLite"
	inRedis  medium = "Redis"
)

// A peer is a session library over one of its stores, set up as its documentation
// advises.
type peer struct {
	name   string
	medium medium
	open   func(surroundings) (*app, error)

	lacks  string // what it cannot do, for the report
	does   func(work, content) bool
	renews bool // a sign-in makes the ID of before worthless
	ends   bool // so does a sign-out
	remote bool // it is a process of its own, and only measured over HTTP
}

// surroundings are what a peer opens its stores in.
type surroundings struct {
	ctx   context.Context
	dir   string  // for files
	redis string  // address of the server
	tally *tally  // counts what goes to the stores; nil: nothing counts
	close *closer // what to do when the peers are not needed any more
}

// An app is a running peer: a handler of either kind, or the address of a process.
type app struct {
	handler http.Handler
	fast    fasthttp.RequestHandler
	serve   func(net.Listener) error // how the documentation serves it over HTTP
	address string
}

// connect returns a browser in process.
func (a *app) connect() transport {
	if a.fast != nil {
		return newFast(a.fast)
	}
	return newDirect(a.handler)
}

// closer closes what was opened, the last first.
type closer struct{ functions []func() error }

func (c *closer) add(f func() error) { c.functions = append(c.functions, f) }

func (c *closer) close() error {
	var errs []error
	for _, f := range slices.Backward(c.functions) {
		errs = append(errs, f())
	}
	c.functions = nil
	return errors.Join(errs...)
}

// everything is what each library can do.
func everything(w work, c content) bool { return w != update && worked(w, c) }

// worked reports whether there is such work: values of the kinds are read and written.
func worked(w work, c content) bool { return !c.typed() || w == read || w == write }

// untyped is what is measured of the servers on Node.js, which know no such types.
func untyped(w work, c content) bool { return !c.typed() && everything(w, c) }

// peers returns all peers, in the order in which they take their turns.
func peers() []peer {
	list := append([]peer{bareGin()}, kits()...)
	list = append(list, ginContribs()...)
	list = append(list, scsPeers()...)
	list = append(list, fibers()...)
	return append(list, expresses()...)
}

// serveHTTP serves as net/http does by default.
func serveHTTP(handler http.Handler) func(net.Listener) error {
	return func(l net.Listener) error {
		server := http.Server{Handler: handler} // #nosec G112 -- it listens on loopback, for one client
		return server.Serve(l)
	}
}
