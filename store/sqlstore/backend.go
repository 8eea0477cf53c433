package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// maxUser is the length of a user name in bytes, which all databases can index.
const maxUser = 512

// userID is the column of the user: NULL for nobody, so that those rows need no
// place in the index.
func userID(user string) (sql.NullString, error) {
	if len(user) > maxUser {
		return sql.NullString{}, fmt.Errorf("the user's name has %d bytes, more than %d", len(user), maxUser)
	}
	return sql.NullString{String: user, Valid: user != ""}, nil
}

func (b *sqlBackend) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	user, err := userID(r.User)
	if err != nil {
		return false, fmt.Errorf("sqlstore: creating a session: %w", err)
	}
	n, err := b.write(ctx, b.create, id, user, r.Created.UnixMilli(), r.Seen.UnixMilli(), r.Expires.UnixMilli(), compose(r.Values, nil))
	if err != nil {
		return false, fmt.Errorf("sqlstore: creating a session: %w", err)
	}
	return n == 1, nil // MySQL says 2 of a row that was there
}

func (b *sqlBackend) Load(ctx context.Context, id string) (store.Record, bool, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	var row row
	err := b.again(ctx, func() error { return b.load.QueryRowContext(ctx, id).Scan(row.columns()...) })
	if errors.Is(err, sql.ErrNoRows) {
		return store.Record{}, false, nil
	}
	if err != nil {
		return store.Record{}, false, fmt.Errorf("sqlstore: reading a session: %w", err)
	}
	return row.record(), true, nil
}

func (b *sqlBackend) Update(ctx context.Context, id string, c store.Change) (bool, error) {
	// The zero time is before all others: the later one stands.
	seen, expires, now := c.Seen.UnixMilli(), c.Expires.UnixMilli(), time.Now().UnixMilli()
	var n int64
	var err error
	if len(c.Set) == 0 && len(c.Delete) == 0 {
		n, err = b.write(ctx, b.touch, seen, expires, id, now)
	} else {
		n, err = b.write(ctx, b.update, compose(c.Set, c.Delete), seen, expires, id, now)
	}
	if err != nil {
		return false, fmt.Errorf("sqlstore: changing a session: %w", err)
	}
	return n == 1, nil
}

// Rotate gives the row another primary key. Requests under way that know the old
// one find nothing any more.
func (b *sqlBackend) Rotate(ctx context.Context, id, newID string, r store.Record, drop []string) (bool, error) {
	user, err := userID(r.User)
	if err != nil {
		return false, fmt.Errorf("sqlstore: renewing a session: %w", err)
	}
	n, err := b.write(ctx, b.rotate, compose(r.Values, drop), newID, user,
		r.Created.UnixMilli(), r.Seen.UnixMilli(), r.Expires.UnixMilli(), id, time.Now().UnixMilli())
	if err != nil {
		return false, fmt.Errorf("sqlstore: renewing a session: %w", err)
	}
	return n == 1, nil
}

func (b *sqlBackend) Delete(ctx context.Context, id string) (bool, error) {
	n, err := b.write(ctx, b.remove, id)
	if err != nil {
		return false, fmt.Errorf("sqlstore: deleting a session: %w", err)
	}
	return n == 1, nil
}

// List leaves out records that cannot be read: they open no session, and must not
// stand in the way when the user ends the others.
func (b *sqlBackend) List(ctx context.Context, user string) (map[string]store.Record, error) {
	if user == "" {
		return nil, nil
	}
	ctx, cancel := b.bound(ctx)
	defer cancel()
	var records map[string]store.Record
	err := b.again(ctx, func() (err error) {
		records, err = b.records(ctx, user)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: listing a user's sessions: %w", err)
	}
	return records, nil
}

func (b *sqlBackend) records(ctx context.Context, user string) (map[string]store.Record, error) {
	rows, err := b.list.QueryContext(ctx, user, time.Now().UnixMilli())
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err below has told what went wrong
	records := make(map[string]store.Record)
	for rows.Next() {
		var id string
		var row row
		err := rows.Scan(append([]any{&id}, row.columns()...)...)
		if errors.Is(err, store.ErrCorrupt) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if row.user.String == user { // to MySQL "a" and "a " are the same
			records[id] = row.record()
		}
	}
	return records, rows.Err()
}

// A row is what a record is read from.
type row struct {
	user                   sql.NullString
	created, seen, expires millis
	values                 document
}

func (r *row) columns() []any {
	return []any{&r.user, &r.created, &r.seen, &r.expires, &r.values}
}

func (r *row) record() store.Record {
	return store.Record{
		User:    r.user.String,
		Created: time.UnixMilli(int64(r.created)),
		Seen:    time.UnixMilli(int64(r.seen)),
		Expires: time.UnixMilli(int64(r.expires)),
		Values:  r.values,
	}
}

// bound returns the context of an operation. Where it is not to end with that of
// its caller, it is bounded only if all connections are in use: by a handler,
// perhaps, that keeps one and waits for this operation.
func (b *sqlBackend) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if !b.uncancelled {
		return ctx, func() {}
	}
	ctx = context.WithoutCancel(ctx)
	if pool := b.db.Stats(); pool.MaxOpenConnections > 0 && pool.InUse >= pool.MaxOpenConnections {
		return context.WithTimeoutCause(ctx, b.patience, errNoConnection)
	}
	return ctx, func() {}
}

var errNoConnection = errors.New("all connections of the pool have been in use for too long: a handler must not hold one while it uses the session, or the pool needs more")

// write runs a statement that changes one row at most, and returns how many rows
// it found.
func (b *sqlBackend) write(ctx context.Context, stmt *sql.Stmt, args ...any) (n int64, err error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	if b.writing != nil {
		if err := b.enter(ctx); err != nil {
			return 0, err
		}
		defer func() { <-b.writing }()
	}
	err = b.again(ctx, func() error {
		result, err := stmt.ExecContext(ctx, args...)
		if err == nil {
			n, err = result.RowsAffected()
		}
		return err
	})
	return n, err
}

// again runs a statement until the database does not take it back.
func (b *sqlBackend) again(ctx context.Context, run func() error) error {
	for try := 0; ; try++ {
		err := run()
		if err == nil {
			return nil
		}
		if try == maxRetries || !undone(err) || !pause(ctx, try) {
			if cause := context.Cause(ctx); errors.Is(cause, errNoConnection) {
				return fmt.Errorf("%w: %w", cause, err)
			}
			return err
		}
	}
}

// enter waits for the writes before this one. It gives up in time: while another
// process holds the lock of the file, each of them waits for as long as SQLite
// lets it.
func (b *sqlBackend) enter(ctx context.Context) error {
	select {
	case b.writing <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(b.patience)
	defer timer.Stop()
	select {
	case b.writing <- struct{}{}:
		return nil
	case <-timer.C:
		return fmt.Errorf("other writes have kept this one waiting for %v", b.patience)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maxRetries is how often a statement is run again: for a second or so.
const maxRetries = 12

// undone reports whether the database took the statement back, to be run again.
// Statements of one row each do not lock each other out, but servers may be set
// to stricter isolation than theirs is by default, or be a cluster whose nodes
// meet only at the commit.
func undone(err error) bool {
	var state interface{ SQLState() string } // of pgx and pq
	if errors.As(err, &state) {
		return state.SQLState() == "40001" || state.SQLState() == "40P01"
	}
	// MySQL's driver has the number in a field, which needs its import.
	return strings.Contains(err.Error(), "Error 1213 ")
}

// pause waits for a random time that grows with the tries, and reports whether
// the context still allows for another.
func pause(ctx context.Context, try int) bool {
	longest := min(time.Millisecond<<try, 128*time.Millisecond)
	select {
	case <-time.After(rand.N(longest)): // #nosec G404 -- it spreads the tries and keeps no secret
		return true
	case <-ctx.Done():
		return false
	}
}
