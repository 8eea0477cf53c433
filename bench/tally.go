package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"sync/atomic"

	"github.com/gin-sessionkit/sessionkit/store"
)

// A tally counts what goes from a peer to its store and back: round trips on the
// connections to Redis, statements of SQLite, calls of the kit's store in memory.
type tally struct{ n atomic.Int64 }

// proxy listens on loopback and passes everything on to address. It counts a round
// trip whenever a client sends something for the first time, or after it was sent
// something.
func (t *tally) proxy(ctx context.Context, address string, c *closer) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	c.add(listener.Close)
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // it was closed
			}
			server, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err != nil {
				_ = client.Close()
				return
			}
			answered := new(atomic.Bool)
			answered.Store(true)
			go pass(server, client, func() {
				if answered.Swap(false) {
					t.n.Add(1)
				}
			})
			go pass(client, server, func() { answered.Store(true) })
		}
	}()
	return listener.Addr().String(), nil
}

// pass copies from one connection to the other until one of them ends.
func pass(to, from net.Conn, seen func()) {
	defer func() { _ = to.Close() }()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			seen()
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// backend counts the calls of a store's backend.
func (t *tally) backend(b store.Backend) store.Backend { return countedBackend{b, t} }

type countedBackend struct {
	store.Backend
	*tally
}

func (b countedBackend) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	b.n.Add(1)
	return b.Backend.Create(ctx, id, r)
}

func (b countedBackend) Load(ctx context.Context, id string) (store.Record, bool, error) {
	b.n.Add(1)
	return b.Backend.Load(ctx, id)
}

func (b countedBackend) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	b.n.Add(1)
	return b.Backend.Update(ctx, id, c)
}

func (b countedBackend) LoadFresh(ctx context.Context, ids ...string) (map[string]store.Record, error) {
	b.n.Add(1)
	return b.Backend.LoadFresh(ctx, ids...)
}

func (b countedBackend) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	b.n.Add(1)
	return b.Backend.Rotate(ctx, id, m)
}

func (b countedBackend) End(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
	b.n.Add(1)
	return b.Backend.End(ctx, user, why, ids...)
}

func (b countedBackend) Delete(ctx context.Context, id string) (bool, error) {
	b.n.Add(1)
	return b.Backend.Delete(ctx, id)
}

func (b countedBackend) List(ctx context.Context, user string) (map[string]store.Record, error) {
	b.n.Add(1)
	return b.Backend.List(ctx, user)
}

// connector opens connections to the SQLite file of a database, whose statements
// are counted.
func (t *tally) connector(db *sql.DB, path string) driver.Connector {
	return countedConnector{t, db.Driver(), path + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_txlock=immediate"}
}

type countedConnector struct {
	*tally

	driver driver.Driver
	dsn    string
}

func (c countedConnector) Driver() driver.Driver { return c.driver }

func (c countedConnector) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.driver.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	full, ok := conn.(fullConn)
	if !ok {
		return nil, errors.Join(errors.New("the driver is not the one whose statements can be counted"), conn.Close())
	}
	return countedConn{full, c.tally}, nil
}

// fullConn and fullStmt are what the driver's connections and statements can do.
type (
	fullConn interface {
		driver.Conn
		driver.ConnBeginTx
		driver.ConnPrepareContext
		driver.ExecerContext
		driver.QueryerContext
	}
	fullStmt interface {
		driver.Stmt
		driver.StmtExecContext
		driver.StmtQueryContext
	}
)

type countedConn struct {
	fullConn
	*tally
}

func (c countedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.n.Add(1)
	return c.fullConn.ExecContext(ctx, query, args)
}

func (c countedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.n.Add(1)
	return c.fullConn.QueryContext(ctx, query, args)
}

func (c countedConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	c.n.Add(1)
	tx, err := c.fullConn.BeginTx(ctx, options)
	return countedTx{tx, c.tally}, err
}

func (c countedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	stmt, err := c.fullConn.PrepareContext(ctx, query)
	if full, ok := stmt.(fullStmt); ok {
		return countedStmt{full, c.tally}, err
	}
	return stmt, err
}

type countedStmt struct {
	fullStmt
	*tally
}

func (s countedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.n.Add(1)
	return s.fullStmt.ExecContext(ctx, args)
}

func (s countedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.n.Add(1)
	return s.fullStmt.QueryContext(ctx, args)
}

type countedTx struct {
	driver.Tx
	*tally
}

func (t countedTx) Commit() error {
	t.n.Add(1)
	return t.Tx.Commit()
}
