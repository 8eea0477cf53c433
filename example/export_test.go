package main

import (
	"net/http"

	"github.com/gin-contrib/sessions"

	"github.com/gin-sessionkit/sessionkit"
)

// Settings are what the flags say.
type Settings = settings

var (
	Run         = run
	Address     = address
	OpenStore   = openStore
	MySQLDSN    = mysqlDSN
	BrowserName = browserName
	ReadSecrets = readSecrets
)

// NewServer returns the application's server.
func NewServer(store sessions.Store, config sessionkit.Config) *http.Server {
	a := newApp(config)
	return newServer(a, a.router(store))
}
