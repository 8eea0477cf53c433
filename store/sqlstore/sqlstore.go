// Package sqlstore keeps sessions in an SQL database: SQLite, PostgreSQL, MySQL
// or MariaDB. It needs a [database/sql.DB] and no driver of its own.
//
//	db, err := sql.Open("pgx", "postgres://localhost/app")
//	…
//	store, err := sqlstore.New(db)
//
// A session is one row, and its values are JSON that SQL can query:
//
//	id       the session ID: the SHA-256 of the token in the cookie
//	name     of the cookie
//	kind     NULL: a session; other rows are the store's own
//	user_id  who is signed in; NULL: nobody
//	created, since, seen, expires    Unix milliseconds; since is when it was given
//	         this ID, NULL: when it was created
//	ended    why the session ended before it expired; NULL: it has not
//	next     the ID that it was given instead of this one; NULL: none
//	data     {"cart": ["json", [{"Name": "tea"}]], "theme": "dark"}
//
// A change is one UPDATE that merges the changed values into those that stand in
// the row at that instant, so processes that change different values of a session at
// the same time keep both changes. Rows of expired sessions are removed by themselves.
//
// The store uses prepared statements, so a pooler in front of PostgreSQL that gives each
// transaction another connection must keep them (PgBouncer 1.21 or later, with
// max_prepared_statements above 0) or pool whole sessions: otherwise requests fail, and with
// lib/pq one statement can run in the place of another. [New] refuses such a pooler if it
// finds one. A proxy must send reads to the primary: if it sends each SELECT to a replica (as
// MaxScale, ProxySQL and Pgpool-II can), sessions that have just been ended can still be used,
// and sign-ins can outlive a revocation.
//
// PostgreSQL and MySQL keep the members of a JSON object in an order of their own, and one of each
// name. A type with a MarshalJSON of its own must not depend on more.
//
// The driver for PostgreSQL should be pgx. lib/pq has [database/sql] run a statement again whose
// answer was lost, without an error: so Key.Update may call its function once more on the result,
// and Key.Take may give the value to nobody. It also waits without end for a server that hangs,
// whatever Config.Store.Timeout is. If a DSN has several hosts, pgx needs a connect_timeout below
// Config.Store.Timeout: otherwise a first host that hangs takes all of the time.
//
// The nodes of a Galera cluster (MariaDB Galera Cluster, Percona XtraDB Cluster) answer reads before
// they have what another one has acknowledged. If the processes use several nodes, set
// wsrep_sync_wait=3 in the DSN: otherwise sessions that have been ended can still be used, and a
// sign-out may end nothing. [New] logs a warning.
//
// If the primary of MySQL or MariaDB may become a replica while it runs, set
// rejectReadOnly=true in the DSN of go-sql-driver: otherwise the connections to it stay,
// and every write on them is refused.
package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/config"
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

// Validate returns nil if [New] accepts the Config. Otherwise the error names each
// field that is wrong, why, and the remedy.
func (c Config) Validate() error {
	var dialect error
	if c.Dialect != "" {
		_, dialect = c.Dialect.grammar()
	}
	return errors.Join(dialect, checkTable(c.withDefaults().Table), c.Store.Validate())
}

func (c Config) withDefaults() Config {
	if c.Table == "" {
		c.Table = "sessions"
	}
	return c
}

// New returns a store that keeps its sessions in db, and makes the table if it
// is not there. Many processes may do so at once. Close the store before db,
// which it does not close. If the server does not answer within Config.Store.Timeout,
// Close gives up and returns an error. The error of New names each field of the Config
// that is wrong.
//
// The size of the pool is the caller's choice. The two idle connections that
// database/sql keeps by default are few for a server that many requests meet at:
// see [database/sql.DB.SetMaxIdleConns].
func New(db *sql.DB, configs ...Config) (*store.Store, error) {
	c, err := config.One("sqlstore: New", configs)
	if err != nil {
		return nil, err
	}
	b, err := newBackend(db, c)
	if err != nil {
		return nil, err
	}
	if b.uncancelled {
		c.Store.Timeout = -1
	}
	return store.New(b.whole(), c.Store), nil
}

// NewBackend returns the backend alone, for those who build a store of their own
// around it. Of Config.Store it reads the Timeout alone, which bounds Close; to SQLite it
// matters whether there is one.
func NewBackend(db *sql.DB, configs ...Config) (store.Backend, error) {
	c, err := config.One("sqlstore: NewBackend", configs)
	if err != nil {
		return nil, err
	}
	b, err := newBackend(db, c)
	if err != nil {
		return nil, err
	}
	return b.whole(), nil
}

func newBackend(db *sql.DB, c Config) (*sqlBackend, error) {
	var err error
	if db == nil {
		err = errors.New("sqlstore: the database is nil; open one with sql.Open or OpenSQLite")
	}
	if err = errors.Join(err, c.Validate()); err != nil {
		return nil, err
	}
	c = c.withDefaults()
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
	if c.Dialect == PostgreSQL {
		if err := checkPooler(context.Background(), db); err != nil {
			return nil, err
		}
	}
	b := &sqlBackend{db: db, dialect: c.Dialect, texts: texts, closeTimeout: cmp.Or(c.Store.Timeout, 2*time.Second)}
	if c.Dialect == SQLite {
		b.writing = make(chan struct{}, 1)
		if b.uncancelled = c.Store.Timeout == 0; b.uncancelled {
			b.closeTimeout = -1
		}
		if b.patience, err = busyTimeout(context.Background(), db); err != nil {
			return nil, err
		}
	}
	if err := b.prepare(); err != nil {
		return nil, errors.Join(err, b.closeInTime())
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

	create, createAndPeek, load, loadMany, loadMost, update, updateIf, touch, rotate, end, remove, list, scan, count, sweep, clock *sql.Stmt

	prepared []*sql.Stmt // all of these that there are

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

	stop         context.CancelFunc
	sweeping     sync.WaitGroup
	closing      sync.Once
	closeTimeout time.Duration // negative: none
	closeErr     error
}

// prepare has the statements compiled, once for each connection that runs them.
func (b *sqlBackend) prepare() error {
	for _, s := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&b.create, b.texts.create},
		{&b.createAndPeek, b.texts.createAndPeek},
		{&b.load, b.texts.load},
		{&b.loadMany, b.texts.loadMany},
		{&b.loadMost, b.texts.loadMost},
		{&b.update, b.texts.change},
		{&b.updateIf, b.texts.changeIf},
		{&b.touch, b.texts.touch},
		{&b.rotate, b.texts.rotate},
		{&b.end, b.texts.end},
		{&b.clock, b.texts.now},
		{&b.remove, b.texts.remove},
		{&b.list, b.texts.list},
		{&b.scan, b.texts.scan},
		{&b.count, b.texts.count},
		{&b.sweep, b.texts.sweep},
	} {
		if s.text == "" || s.stmt == &b.sweep && b.dialect == MySQL {
			continue // the process's own clock will do; see sweepMySQL
		}
		stmt, err := b.db.PrepareContext(context.Background(), s.text) //nolint:sqlclosecheck // Close closes it
		if err != nil {
			return fmt.Errorf("sqlstore: preparing a statement: %w", err)
		}
		*s.stmt = stmt
		b.prepared = append(b.prepared, stmt)
	}
	return nil
}

// closeInTime waits for the removal of expired rows and closes the statements, but does
// not wait for a server that hangs: drivers wait for seconds on each connection, or for ever.
func (b *sqlBackend) closeInTime() error {
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if b.closeTimeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, b.closeTimeout)
	}
	defer cancel()
	closed := make(chan error, 1)
	go func() {
		b.sweeping.Wait()
		closed <- b.closeStatements(ctx)
	}()
	select {
	case err := <-closed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// closeStatements closes none if the server hangs: while database/sql closes a statement
// on an idle connection, nobody can use the pool, nor close it.
func (b *sqlBackend) closeStatements(ctx context.Context) error {
	if b.db.Stats().Idle > 0 {
		_ = b.db.PingContext(ctx) // a connection that is lost takes no time to close
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var errs []error
	for _, s := range b.prepared {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Close waits for the removal of expired rows to end, and closes the statements. What a
// server that hangs does not let it close goes with the connections of the caller's pool.
func (b *sqlBackend) Close() error {
	b.closing.Do(func() {
		b.stop()
		if err := b.closeInTime(); err != nil {
			b.closeErr = fmt.Errorf("sqlstore: closing the statements, some of which may still be open: %w", err)
		}
	})
	return b.closeErr
}
