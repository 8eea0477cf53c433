// Package sqlstore keeps sessions in an SQL database: SQLite, PostgreSQL, MySQL
// or MariaDB. It needs a [database/sql.DB] and no driver of its own.
//
//	db, err := sql.Open("pgx", "postgres://localhost/app")
//	…
//	store, err := sqlstore.New(db)
//
// A session is one row, and its values are JSON that SQL can query:
//
//	id       the public handle: the SHA-256 of the secret in the cookie
//	user_id  who is signed in; NULL: nobody
//	created, seen, expires    Unix milliseconds
//	data     {"cart": ["json", [{"Name": "tea"}]], "theme": "dark"}
//
// A change is one UPDATE that merges the changed values into those that stand in
// the row at that instant, so processes that share the database lose nothing of
// each other. Rows of sessions that ran out leave by themselves.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// Config adjusts a store. The zero value is right for most applications.
type Config struct {
	// Dialect is what the database speaks. Default: found from the type of the
	// driver, which a driver that wraps another one may hide.
	Dialect Dialect

	// Table is the name of the table, at most 48 letters, digits and underscores.
	// It is made if it is not there. Default: "sessions".
	Table string

	// Store holds the settings that all stores have. For SQLite, which bounds its
	// waits by its busy timeout, its Timeout is off by default, and so is the
	// cancellation of an operation with its request: they cost more than a read.
	Store store.Config
}

// New returns a store that keeps its sessions in db, and makes the table if it
// is not there. Many processes may do so at once. Close the store before db,
// which it does not close.
//
// The size of the pool is the caller's choice. The two idle connections that
// database/sql keeps by default are few for a server that many requests meet at:
// see [database/sql.DB.SetMaxIdleConns].
func New(db *sql.DB, config ...Config) (*store.Store, error) {
	c := last(config)
	backend, err := NewBackend(db, c)
	if err != nil {
		return nil, err
	}
	if backend.(*sqlBackend).uncancelled {
		c.Store.Timeout = -1
	}
	return store.New(backend, c.Store), nil
}

func last(config []Config) (c Config) {
	for _, given := range config {
		c = given
	}
	if c.Table == "" {
		c.Table = "sessions"
	}
	return c
}

// NewBackend returns the backend alone, for those who build a store of their own
// around it. Of Config.Store it reads nothing but whether there is a Timeout.
func NewBackend(db *sql.DB, config ...Config) (store.Backend, error) {
	c := last(config)
	if err := checkTable(c.Table); err != nil {
		return nil, err
	}
	if c.Dialect == "" {
		d, err := detect(db)
		if err != nil {
			return nil, err
		}
		c.Dialect = d
	}
	g, err := c.Dialect.grammar()
	if err != nil {
		return nil, err
	}
	texts := newStatements(c.Dialect, g, c.Table)
	if err := migrate(db, c.Dialect, c.Table, texts); err != nil {
		return nil, err
	}
	b := &sqlBackend{db: db, dialect: c.Dialect, texts: texts}
	if c.Dialect == SQLite {
		b.writing = make(chan struct{}, 1)
		b.uncancelled = c.Store.Timeout == 0
		if b.patience, err = busyTimeout(context.Background(), db); err != nil {
			return nil, err
		}
	}
	if err := b.prepare(); err != nil {
		return nil, errors.Join(err, b.closeStatements())
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.sweeping.Go(func() { b.sweepUntil(ctx) })
	return b, nil
}

type sqlBackend struct {
	db      *sql.DB
	dialect Dialect
	texts   statements

	create, load, update, touch, rotate, remove, list, sweep *sql.Stmt

	// writing is held by the goroutine that writes to SQLite. SQLite lets one write
	// at a time and has the others poll: each would keep a connection from the
	// readers meanwhile, and some would wait for a second. nil: the database queues.
	writing chan struct{}

	// patience is how long a write waits for those before it. SQLite waits as long
	// for the writes of other processes.
	patience time.Duration

	// uncancelled: no operation ends with its context. To watch one, database/sql
	// and the driver start goroutines that take longer than SQLite takes to answer.
	uncancelled bool

	stop     context.CancelFunc
	sweeping sync.WaitGroup
	closing  sync.Once
	closeErr error
}

// prepare has the statements compiled, once for each connection that runs them.
func (b *sqlBackend) prepare() error {
	for _, s := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&b.create, b.texts.create},
		{&b.load, b.texts.load},
		{&b.update, b.texts.update},
		{&b.touch, b.texts.touch},
		{&b.rotate, b.texts.rotate},
		{&b.remove, b.texts.remove},
		{&b.list, b.texts.list},
		{&b.sweep, b.texts.sweep},
	} {
		if s.stmt == &b.sweep && b.dialect == MySQL {
			continue // see sweepMySQL
		}
		stmt, err := b.db.PrepareContext(context.Background(), s.text) //nolint:sqlclosecheck // Close closes it
		if err != nil {
			return fmt.Errorf("sqlstore: preparing a statement: %w", err)
		}
		*s.stmt = stmt
	}
	return nil
}

func (b *sqlBackend) closeStatements() error {
	var errs []error
	for _, s := range []*sql.Stmt{b.create, b.load, b.update, b.touch, b.rotate, b.remove, b.list, b.sweep} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// Close waits for the removal of expired rows to end, and closes the statements.
func (b *sqlBackend) Close() error {
	b.closing.Do(func() {
		b.stop()
		b.sweeping.Wait()
		if err := b.closeStatements(); err != nil {
			b.closeErr = fmt.Errorf("sqlstore: closing the statements: %w", err)
		}
	})
	return b.closeErr
}
