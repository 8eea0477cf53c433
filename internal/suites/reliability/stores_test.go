package reliability_test

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

// The stores.
const (
	memory     = "memory"
	sqlite     = "SQLite"
	postgres   = "PostgreSQL"
	mariadb    = "MariaDB"
	redisCache = "Redis"
)

// defaultTimeout is that of a store.
const defaultTimeout = 2 * time.Second

// opened is a store as an application has it.
type opened struct {
	store *store.Store
	close func() error
	db    *sql.DB // nil: it has none
}

// A wrapper is put between a store and its backend; nil: nothing is.
type wrapper func(store.Backend) store.Backend

// open opens a store.
func open(name, dsn string, timeout time.Duration, wrap wrapper) (*opened, error) {
	config := store.Config{Timeout: timeout}
	switch name {
	case memory:
		if wrap == nil {
			s := memstore.New()
			return &opened{store: s, close: s.Close}, nil
		}
		s := store.New(wrap(memstore.NewBackend()), store.Config{Timeout: -1})
		return &opened{store: s, close: s.Close}, nil
	case redisCache:
		return openRedis(dsn, config, wrap)
	case sqlite:
		db, err := sqlstore.OpenSQLite(dsn)
		if err != nil {
			return nil, err
		}
		return openSQL(db, store.Config{}, wrap)
	}
	driver := map[string]string{postgres: "pgx", mariadb: "mysql"}[name]
	if driver == "" {
		return nil, fmt.Errorf("there is no store %q", name)
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(poolSize)
	db.SetMaxIdleConns(poolSize)
	return openSQL(db, config, wrap)
}

func openRedis(address string, config store.Config, wrap wrapper) (*opened, error) {
	// The options that most callers will have: the client's own.
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{address}})
	if err != nil {
		return nil, err
	}
	s := redisstore.New(client, redisstore.Config{Store: config})
	if wrap != nil {
		_ = s.Close()
		s = store.New(wrap(redisstore.NewBackend(client, redisstore.Config{Store: config})), config)
	}
	return &opened{store: s, close: func() error {
		err := s.Close()
		client.Close()
		return err
	}}, nil
}

// poolSize is how many connections an application has to its database.
const poolSize = 8

func openSQL(db *sql.DB, config store.Config, wrap wrapper) (*opened, error) {
	s, err := sqlstore.New(db, sqlstore.Config{Store: config})
	if err == nil && wrap != nil {
		var b store.Backend
		_ = s.Close()
		if b, err = sqlstore.NewBackend(db, sqlstore.Config{Store: config}); err == nil {
			s = store.New(wrap(b), config)
		}
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &opened{store: s, db: db, close: func() error { return errors.Join(s.Close(), db.Close()) }}, nil
}
