package store_test

import (
	"maps"

	"github.com/gin-contrib/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
)

// kit returns what package sessionkit does with a store.
func kit(s sessions.Store) kitstore.Server {
	server, _ := kitstore.Of(s)
	return server
}

// Package sessionkit finds out at run time only, and panics.
var _ kitstore.Mover = (*store.Moving)(nil)

// withSignIn returns the record with a sign-in.
func withSignIn(r store.Record, in signin.SignIn) store.Record {
	values := map[string]string{signin.Name: in.Text()}
	maps.Copy(values, r.Values)
	r.Values = values
	return r
}
