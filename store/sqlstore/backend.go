package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/sqlretry"
	"github.com/gin-sessionkit/sessionkit/store"
)

// maxUser is the length of a user name in bytes, which all databases can index.
const maxUser = 512

// checkUser refuses a user whose name is too long for a column.
func checkUser(user string) error {
	if len(user) > maxUser {
		return fmt.Errorf("the user's name has %d bytes, more than %d", len(user), maxUser)
	}
	return nil
}

func (b *sqlBackend) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	if err := checkUser(r.User); err != nil {
		return false, fmt.Errorf("sqlstore: creating a session: %w", err)
	}
	n, err := b.write(ctx, b.create, append([]any{id}, columnsOf(r)...)...)
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

func (b *sqlBackend) LoadFresh(ctx context.Context, ids ...string) (map[string]store.Record, error) {
	all := make(map[string]store.Record, len(ids))
	for some := range slices.Chunk(ids, loadedAtMost) {
		stmt, n := b.loadMany, loadedAtOnce
		if len(some) > n {
			stmt, n = b.loadMost, loadedAtMost
		}
		args := make([]any, n)
		for i := range args {
			args[i] = some[min(i, len(some)-1)]
		}
		records, err := b.records(ctx, false, stmt, args...)
		if err != nil {
			return nil, fmt.Errorf("sqlstore: reading sessions: %w", err)
		}
		maps.Copy(all, records)
	}
	return all, nil
}

func (b *sqlBackend) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	outcome, err := b.change(ctx, id, c)
	if err != nil {
		return store.Outcome{}, fmt.Errorf("sqlstore: changing a session: %w", err)
	}
	return outcome, nil
}

func (b *sqlBackend) change(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	// The zero time is before all others: the later one stands.
	seen, expires, now := c.Seen.UnixMilli(), c.Expires.UnixMilli(), time.Now().UnixMilli()
	if len(c.Set) == 0 && len(c.Delete) == 0 && c.If == nil {
		n, err := b.write(ctx, b.touch, seen, expires, id, now)
		return store.Outcome{Found: n == 1}, err
	}
	patch := compose(c.Set, c.Delete)
	args := []any{patch, seen, expires, id, now, roomFor(patch, c.MaxBytes)}
	if c.If != nil {
		return b.changeIf(ctx, id, c, patch, args...)
	}
	n, err := b.write(ctx, b.update, args...)
	if n == 0 && err == nil && c.MaxBytes > 0 {
		return b.changeMeasured(ctx, id, c, patch)
	}
	return store.Outcome{Found: n == 1}, err
}

// unbounded is more room than the values of a session take.
const unbounded = math.MaxInt32

// roomFor returns how long the column of the values may be for a patch to be made without
// a closer look: names and texts take no more than the JSON that holds them.
func roomFor(patch string, most int) int64 {
	if most == 0 {
		return unbounded
	}
	return int64(min(most-len(patch), unbounded))
}

// changeMeasured makes a change that the session may have no room for.
func (b *sqlBackend) changeMeasured(ctx context.Context, id string, c store.Change, patch string) (outcome store.Outcome, err error) {
	err = b.measured(ctx, id, func(ctx context.Context, tx *sql.Tx, r store.Record, live bool) error {
		outcome = store.Outcome{Found: live}
		if !live {
			return nil
		}
		if c.If != nil && r.Values[c.If.Name] != c.If.Text {
			outcome.Conflict, outcome.Text = true, r.Values[c.If.Name]
			return nil
		}
		if err := c.Fits(r.Values); err != nil {
			return err
		}
		result, err := tx.StmtContext(ctx, b.update).ExecContext(ctx, //nolint:sqlclosecheck // the transaction closes it
			patch, c.Seen.UnixMilli(), c.Expires.UnixMilli(), id, time.Now().UnixMilli(), int64(unbounded))
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		outcome.Found = n == 1 // it may have expired meanwhile
		return err
	})
	return outcome, err
}

// measured runs what changes a record by how it stands, which nobody else changes
// meanwhile.
func (b *sqlBackend) measured(
	ctx context.Context, id string, run func(ctx context.Context, tx *sql.Tx, r store.Record, live bool) error,
) error {
	return b.transaction(ctx, func(ctx context.Context, tx *sql.Tx) error {
		// It changes nothing but locks the row, or the file of SQLite.
		never := time.Time{}.UnixMilli()
		result, err := tx.StmtContext(ctx, b.touch).ExecContext(ctx, never, never, id, time.Now().UnixMilli()) //nolint:sqlclosecheck // the transaction closes it
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		switch {
		case err != nil:
			return err
		case n == 0:
			return run(ctx, tx, store.Record{}, false)
		}
		var row row
		if err := tx.StmtContext(ctx, b.load).QueryRowContext(ctx, id).Scan(row.columns()...); err != nil { //nolint:sqlclosecheck // the transaction closes it
			return err
		}
		return run(ctx, tx, row.record(), true)
	})
}

// changeIf runs a change that has a condition. PostgreSQL tells in the same
// statement what stands; the others are asked for it if the condition fails.
func (b *sqlBackend) changeIf(ctx context.Context, id string, c store.Change, patch string, args ...any) (store.Outcome, error) {
	text := sql.NullString{String: shield(c.If.Text), Valid: c.If.Text != ""}
	if b.dialect == PostgreSQL {
		outcome, fits, err := b.changeAndTell(ctx, append(args, c.If.Name, text)...)
		if err != nil || fits {
			return outcome, err
		}
		return b.changeMeasured(ctx, id, c, patch)
	}
	n, err := b.write(ctx, b.updateIf, append(args, "$."+quote(c.If.Name), text)...)
	if err != nil || n == 1 {
		return store.Outcome{Found: n == 1}, err
	}
	r, found, err := b.Load(ctx, id)
	switch {
	case err != nil || !found || r.Ended != "" || r.Kind == "" && !time.Now().Before(r.Expires):
		return store.Outcome{}, err
	case r.Values[c.If.Name] != c.If.Text:
		return store.Outcome{Found: true, Conflict: true, Text: r.Values[c.If.Name]}, nil
	}
	// It was another value a moment ago, and is this one again; or the values may be too large.
	return b.changeMeasured(ctx, id, c, patch)
}

// changeAndTell reports fits if the outcome is one that does not depend on the size.
func (b *sqlBackend) changeAndTell(ctx context.Context, args ...any) (outcome store.Outcome, fits bool, err error) {
	var changed bool
	var stands sql.NullString
	err = b.again(ctx, func() error { return b.updateIf.QueryRowContext(ctx, args...).Scan(&changed, &fits, &stands) })
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return store.Outcome{}, true, nil
	case err != nil || changed:
		return store.Outcome{Found: err == nil}, true, err
	}
	return store.Outcome{Found: true, Conflict: true, Text: unshield(stands.String)}, fits, nil
}

// Rotate gives the row another primary key. Requests under way that know the old
// one find nothing any more but the trace. For SQLite see [sqliteBackend].
func (b *sqlBackend) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	if err := checkUser(m.Record.User); err != nil {
		return false, fmt.Errorf("sqlstore: renewing a session: %w", err)
	}
	r, trace := m.Record, columnsOf(m.Trace)
	patch := compose(r.Values, m.Drop)
	args := func(room int64) []any {
		return []any{
			patch, m.ID, null(r.Name), null(r.User),
			r.Created.UnixMilli(), since(r), r.Seen.UnixMilli(), r.Expires.UnixMilli(), id, time.Now().UnixMilli(), room,
		}
	}
	found, err := b.rotateAndTrace(ctx, args(roomFor(patch, m.MaxBytes)), id, trace)
	if !found && err == nil && m.MaxBytes > 0 {
		err = b.measured(ctx, id, func(ctx context.Context, tx *sql.Tx, old store.Record, live bool) error {
			if found = live && old.Kind == ""; !found {
				return nil
			}
			err := m.Fits(old.Values)
			if err == nil {
				found, err = b.rotateIn(ctx, tx, args(unbounded), id, trace)
			}
			return err
		})
		found = found && err == nil
	}
	if err != nil {
		return false, fmt.Errorf("sqlstore: renewing a session: %w", err)
	}
	return found, nil
}

// rotateAndTrace runs a rotation: one statement of PostgreSQL, two in a transaction of
// MySQL.
func (b *sqlBackend) rotateAndTrace(ctx context.Context, rotate []any, id string, trace []any) (found bool, err error) {
	if b.dialect == PostgreSQL {
		n, err := b.write(ctx, b.rotate, append(rotate, trace...)...)
		return n == 1, err
	}
	err = b.transaction(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		found, err = b.rotateIn(ctx, tx, rotate, id, trace)
		return err
	})
	return found && err == nil, err
}

// rotateIn is rotateAndTrace in a transaction.
func (b *sqlBackend) rotateIn(ctx context.Context, tx *sql.Tx, rotate []any, id string, trace []any) (found bool, err error) {
	one := b.dialect == PostgreSQL
	if one {
		rotate = append(rotate, trace...)
	}
	result, err := tx.StmtContext(ctx, b.rotate).ExecContext(ctx, rotate...) //nolint:sqlclosecheck // the transaction closes it
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	if n != 1 || err != nil || one {
		return n == 1, err
	}
	_, err = tx.StmtContext(ctx, b.create).ExecContext(ctx, append([]any{id}, trace...)...) //nolint:sqlclosecheck // the transaction closes it
	return true, err
}

// transaction runs what changes several rows.
func (b *sqlBackend) transaction(ctx context.Context, run func(context.Context, *sql.Tx) error) error {
	return b.inTurn(ctx, func(ctx context.Context) error { return b.asOne(ctx, run) })
}

func (b *sqlBackend) asOne(ctx context.Context, run func(context.Context, *sql.Tx) error) error {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after the commit it does nothing
	if err := run(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// endedAtOnce is how many sessions one statement ends.
const endedAtOnce = 200

func (b *sqlBackend) End(ctx context.Context, _ string, why store.Ending, ids ...string) ([]string, error) {
	var ended []string
	for some := range slices.Chunk(ids, endedAtOnce) {
		n, err := b.endSome(ctx, why, some)
		if ended = append(ended, n...); err != nil {
			return ended, fmt.Errorf("sqlstore: ending sessions: %w", err)
		}
	}
	return ended, nil
}

func (b *sqlBackend) endSome(ctx context.Context, why store.Ending, ids []string) (ended []string, err error) {
	now := time.Now().UnixMilli()
	if len(ids) == 1 {
		n, err := b.write(ctx, b.end, string(why), now, now, ids[0])
		if n == 1 && err == nil {
			ended = ids
		}
		return ended, err
	}
	end := func(ids []string) (text string, args []any) {
		return b.dialect.withIDs(b.texts.endMany, 3, len(ids)), append([]any{string(why), now, now}, anys(ids)...)
	}
	err = b.transaction(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		if b.dialect != MySQL {
			text, args := end(ids)
			ended, err = idsOf(tx.QueryContext(ctx, text, args...))
			return err
		}
		ended, err = idsOf(tx.QueryContext(ctx, b.dialect.withIDs(b.texts.lockMany, 1, len(ids)), append([]any{now}, anys(ids)...)...))
		if err == nil && len(ended) > 0 {
			text, args := end(ended)
			_, err = tx.ExecContext(ctx, text, args...)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return ended, nil
}

func anys(ids []string) []any {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	return args
}

// idsOf reads the IDs of a query.
func idsOf(rows *sql.Rows, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err below has told what went wrong
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

func (b *sqlBackend) Delete(ctx context.Context, id string) (bool, error) {
	n, err := b.write(ctx, b.remove, id, true)
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
	records, err := b.records(ctx, true, b.list, user, time.Now().UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("sqlstore: listing a user's sessions: %w", err)
	}
	maps.DeleteFunc(records, func(_ string, r store.Record) bool { return r.User != user }) // to MySQL "a" and "a " are the same
	return records, nil
}

// Scan reads portions in the order of the IDs. Each statement sees the sessions under
// the IDs that they have at that moment.
func (b *sqlBackend) Scan(ctx context.Context) iter.Seq2[map[string]store.Record, error] {
	return func(yield func(map[string]store.Record, error) bool) {
		const first = " " // no ID is before it; "" can be NULL to MariaDB
		for last, more := first, true; more; {
			records, to, err := b.portion(ctx, true, b.scan, last)
			if err == nil {
				err = ctx.Err() // to SQLite it makes no difference
			}
			if err != nil {
				yield(nil, fmt.Errorf("sqlstore: reading all sessions: %w", err))
				return
			}
			if last, more = to, to != ""; more && !yield(records, nil) {
				return
			}
		}
	}
}

// Count reads an index: what has ended has expired then.
func (b *sqlBackend) Count(ctx context.Context) (c store.Counts, err error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	now := time.Now().UnixMilli()
	err = b.again(ctx, func() error { return b.count.QueryRowContext(ctx, now).Scan(&c.Live, &c.SignedIn) })
	if err != nil {
		return store.Counts{}, fmt.Errorf("sqlstore: counting sessions: %w", err)
	}
	return c, nil
}

// records reads the records that a query finds.
func (b *sqlBackend) records(ctx context.Context, skipCorrupt bool, stmt *sql.Stmt, args ...any) (map[string]store.Record, error) {
	records, _, err := b.portion(ctx, skipCorrupt, stmt, args...)
	return records, err
}

// portion also returns the last ID, "" if there is none.
func (b *sqlBackend) portion(
	ctx context.Context, skipCorrupt bool, stmt *sql.Stmt, args ...any,
) (records map[string]store.Record, last string, err error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	err = b.again(ctx, func() error {
		records, last = make(map[string]store.Record), ""
		rows, err := stmt.QueryContext(ctx, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // Err below has told what went wrong
		for rows.Next() {
			var id string
			var row row
			err := rows.Scan(append([]any{&id}, row.columns()...)...)
			last = id
			if errors.Is(err, store.ErrCorrupt) && skipCorrupt {
				continue
			}
			if err != nil {
				return err
			}
			records[id] = row.record()
		}
		return rows.Err()
	})
	return records, last, err
}

// Now returns the time of the server. The processes that share a file of SQLite
// are on one machine.
func (b *sqlBackend) Now(ctx context.Context, _ string) (time.Time, error) {
	if b.clock == nil {
		return time.Now(), nil
	}
	var now int64
	if err := b.again(ctx, func() error { return b.clock.QueryRowContext(ctx).Scan(&now) }); err != nil {
		return time.Time{}, fmt.Errorf("sqlstore: reading the server's clock: %w", err)
	}
	return time.UnixMicro(now), nil
}

// A row is what a record is read from. The columns that are NULL in most rows need
// no place in an index.
type row struct {
	name, kind, user, ended, next sql.NullString
	since                         sql.Null[millis]
	created, seen, expires        millis
	values                        document
}

func (r *row) columns() []any {
	return []any{&r.name, &r.kind, &r.user, &r.created, &r.since, &r.seen, &r.expires, &r.ended, &r.next, &r.values}
}

func (r *row) record() store.Record {
	record := store.Record{
		Name:    r.name.String,
		Kind:    r.kind.String,
		User:    r.user.String,
		Created: time.UnixMilli(int64(r.created)),
		Seen:    time.UnixMilli(int64(r.seen)),
		Expires: time.UnixMilli(int64(r.expires)),
		Ended:   store.Ending(r.ended.String),
		Next:    r.next.String,
		Values:  r.values,
	}
	if r.since.Valid {
		record.Since = time.UnixMilli(int64(r.since.V))
	}
	return record
}

// columnsOf returns a record as [row.columns] has it.
func columnsOf(r store.Record) []any {
	return []any{
		null(r.Name), null(r.Kind), null(r.User), r.Created.UnixMilli(), since(r), r.Seen.UnixMilli(), r.Expires.UnixMilli(),
		null(string(r.Ended)), null(r.Next), compose(r.Values, nil),
	}
}

// since returns a column that is NULL if there is no time.
func since(r store.Record) any {
	if r.Since.IsZero() {
		return nil
	}
	return r.Since.UnixMilli()
}

// null returns a column that is NULL if there is no text.
func null(text string) any {
	if text == "" {
		return nil
	}
	return text
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
	err = b.inTurn(ctx, func(ctx context.Context) error {
		result, err := stmt.ExecContext(ctx, args...)
		if err == nil {
			n, err = result.RowsAffected()
		}
		return err
	})
	return n, err
}

// inTurn runs a write once those before it are done.
func (b *sqlBackend) inTurn(ctx context.Context, run func(context.Context) error) error {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	leave, err := b.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return b.again(ctx, func() error { return run(ctx) })
}

// again runs a statement until the database does not take it back.
func (b *sqlBackend) again(ctx context.Context, run func() error) error {
	err := sqlretry.Do(ctx, run)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errNoConnection) && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// enter waits for the writes before this one, if they are to take turns. It gives
// up in time: while another process holds the lock of the file, each of them waits
// for as long as SQLite lets it. leave is called after the write.
func (b *sqlBackend) enter(ctx context.Context) (leave func(), err error) {
	if b.writing == nil {
		return func() {}, nil
	}
	leave = func() { <-b.writing }
	select {
	case b.writing <- struct{}{}:
		return leave, nil
	default:
	}
	timer := time.NewTimer(b.patience)
	defer timer.Stop()
	select {
	case b.writing <- struct{}{}:
		return leave, nil
	case <-timer.C:
		return nil, fmt.Errorf("other writes have kept this one waiting for %v", b.patience)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
