package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

// storeKinds is what -store takes.
const storeKinds = "memory, sqlite:FILE, redis://…, postgres://… or mysql://…"

// openStore opens the store that -store names. What it returns beside the store
// closes both the store and what is below it.
func openStore(name string) (*store.Store, func() error, error) {
	if name == "memory" {
		s := memstore.New()
		return s, s.Close, nil
	}
	if file, ok := strings.CutPrefix(name, "sqlite:"); ok {
		if file == "" || strings.HasPrefix(file, ":") || strings.HasPrefix(file, "?") {
			return nil, nil, errors.New("-store sqlite:FILE needs the name of a file; for sessions in memory use -store memory")
		}
		db, err := sqlstore.OpenSQLite(file)
		if err != nil {
			return nil, nil, fmt.Errorf("-store sqlite:%s: %w", file, err)
		}
		return overSQL(db)
	}
	u, err := parseAddress(name)
	if err != nil {
		return nil, nil, err
	}
	open, ok := servers[u.Scheme]
	if !ok {
		return nil, nil, errors.New("-store must be " + storeKinds)
	}
	s, closeStore, err := open(u)
	if err != nil {
		return nil, nil, fmt.Errorf("-store %s://%s: %s", u.Scheme, u.Host, withoutPassword(err.Error(), u))
	}
	return s, closeStore, nil
}

// parseAddress reads the address of a server. What it cannot read it does not
// repeat: a password may be anywhere in it.
func parseAddress(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Fragment != "" || strings.Contains(u.EscapedPath()+u.RawQuery, "@") {
		return nil, errors.New("-store: the address cannot be read; special characters in a user name or a password must be percent-encoded")
	}
	return u, nil
}

// servers holds how the store of a server is opened, by the scheme of its address.
var servers = map[string]func(*url.URL) (*store.Store, func() error, error){
	"redis":      openRedis,
	"rediss":     openRedis,
	"postgres":   func(u *url.URL) (*store.Store, func() error, error) { return openSQL("pgx", u.String()) },
	"postgresql": func(u *url.URL) (*store.Store, func() error, error) { return openSQL("pgx", u.String()) },
	"mysql":      func(u *url.URL) (*store.Store, func() error, error) { return openSQL("mysql", mysqlDSN(u)) },
}

func openRedis(u *url.URL) (*store.Store, func() error, error) {
	s, err := redisstore.Open(u.String())
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

func openSQL(driver, dsn string) (*store.Store, func() error, error) {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, nil, err
	}
	const connections = 16 // database/sql would keep two, and open the others anew for each request
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := db.PingContext(ctx); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return overSQL(db)
}

// overSQL returns a store in a database, which is closed with it.
func overSQL(db *sql.DB) (*store.Store, func() error, error) {
	s, err := sqlstore.New(db)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return s, func() error { return errors.Join(s.Close(), db.Close()) }, nil
}

// mysqlDSN returns what the driver takes for mysql://user:password@host:3306/name.
// The parameters are the driver's, and socket, the path of a socket in place of
// the host.
func mysqlDSN(u *url.URL) string {
	dsn := mysql.NewConfig()
	dsn.User = u.User.Username()
	dsn.Passwd, _ = u.User.Password()
	dsn.DBName = strings.TrimPrefix(u.Path, "/")
	dsn.Net, dsn.Addr = "tcp", u.Host
	parameters := u.Query()
	if socket := parameters.Get("socket"); socket != "" {
		dsn.Net, dsn.Addr = "unix", socket
		parameters.Del("socket")
	}
	text := dsn.FormatDSN()
	if len(parameters) > 0 {
		text += "?" + parameters.Encode()
	}
	return text
}

// withoutPassword makes the text of an error one line without what is secret in
// the address.
func withoutPassword(text string, u *url.URL) string {
	password, _ := u.User.Password()
	secrets := []string{password}
	for name, values := range u.Query() {
		if strings.Contains(strings.ToLower(name), "password") {
			secrets = append(secrets, values...)
		}
	}
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "xxxxx")
		}
	}
	return strings.Join(strings.Fields(text), " ")
}
