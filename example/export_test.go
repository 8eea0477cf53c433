package main

import (
	"maps"
	"net/http"

	"github.com/gin-contrib/sessions"
	"golang.org/x/crypto/bcrypt"

	"github.com/gin-sessionkit/sessionkit"
)

// Settings are what the flags say, and Item is a line of the cart.
type (
	Settings = settings
	Item     = item
)

var (
	Cart        = cart
	Run         = run
	Address     = address
	OpenStore   = openStore
	MySQLDSN    = mysqlDSN
	BrowserName = browserName
	ReadSecrets = readSecrets

	ReadCertificate = readCertificate
	Fingerprint     = fingerprint
)

// NobodysHash is compared with where there is no such user.
const NobodysHash = nobodysHash

// CheapenPasswords makes sign-ins fast, for the tests make many. It returns the
// accounts as they were.
func CheapenPasswords() map[string]string {
	original := maps.Clone(accounts)
	for user := range accounts {
		hash, err := bcrypt.GenerateFromPassword([]byte("opensesame"), bcrypt.MinCost)
		if err != nil {
			panic(err)
		}
		accounts[user] = string(hash)
	}
	return original
}

// NewServer returns the application's server.
func NewServer(store sessions.Store, config sessionkit.Config) *http.Server {
	a := newApp(config)
	return newServer(a, a.router(store))
}
