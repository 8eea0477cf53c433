package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// sqliteBackend stores a session and reads other records in one statement. SQLite has one
// writer at a time, so what it reads is what stands once the session is stored.
type sqliteBackend struct{ *sqlBackend }

var _ store.PeekingBackend = sqliteBackend{}

// whole returns the backend with all that it can do.
func (b *sqlBackend) whole() store.Backend {
	if b.dialect == SQLite {
		return sqliteBackend{b}
	}
	return b
}

func (b sqliteBackend) CreateAndPeek(ctx context.Context, id string, r store.Record, p store.Peek) (bool, []string, error) {
	err := checkUser(r.User)
	if err != nil {
		return false, nil, fmt.Errorf("sqlstore: creating a session: %w", err)
	}
	created, texts, err := b.writeAndPeek(ctx, b.createAndPeek, p, append([]any{id}, columnsOf(r)...)...)
	if err != nil {
		return created, nil, fmt.Errorf("sqlstore: creating a session: %w", err)
	}
	return created, texts, nil
}

func (b sqliteBackend) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	moved, _, err := b.RotateAndPeek(ctx, id, m, store.Peek{})
	return moved, err
}

func (b sqliteBackend) RotateAndPeek(ctx context.Context, id string, m store.Move, p store.Peek) (bool, []string, error) {
	if err := checkUser(m.Record.User); err != nil {
		return false, nil, fmt.Errorf("sqlstore: renewing a session: %w", err)
	}
	patch := compose(m.Record.Values, m.Drop)
	args := func(room int64) []any {
		now := time.Now().UnixMilli()
		args := append(make([]any, 0, 34), m.ID)
		args = append(args, columnsOf(m.Record)...)
		args[len(args)-1] = patch
		args = append(append(args, id, now, room), columnsOf(m.Trace)...)
		return append(args, id, now, room)
	}
	moved, texts, err := b.writeAndPeek(ctx, b.rotate, p, args(roomFor(patch, m.MaxBytes))...)
	if !moved && err == nil && m.MaxBytes > 0 {
		moved, texts, err = b.rotateMeasured(ctx, id, m, p, args(unbounded))
	}
	if err != nil {
		return moved, nil, fmt.Errorf("sqlstore: renewing a session: %w", err)
	}
	return moved, texts, nil
}

// rotateMeasured makes a rotation that the session may have no room for.
func (b sqliteBackend) rotateMeasured(ctx context.Context, id string, m store.Move, p store.Peek, args []any) (moved bool, texts []string, err error) {
	err = b.measured(ctx, id, func(ctx context.Context, tx *sql.Tx, old store.Record, live bool) error {
		if moved = false; !live || old.Kind != "" {
			return nil
		}
		err := m.Fits(old.Values)
		if err == nil {
			moved, texts, err = readPeek(ctx, tx.StmtContext(ctx, b.rotate), p.Name, withPeek(args, p))
		}
		return err
	})
	if err != nil || !moved {
		return false, nil, err
	}
	return b.peekMore(ctx, texts, p)
}

// withPeek adds the IDs of a [peek] to the parameters of a statement.
func withPeek(args []any, p store.Peek) []any {
	n := min(len(p.IDs), loadedAtOnce)
	args = append(args, anys(p.IDs[:n])...)
	return append(args, make([]any, loadedAtOnce-n)...)
}

// writeAndPeek runs a statement that ends with a [peek]. On an error, stored means that the
// session may be there.
func (b sqliteBackend) writeAndPeek(ctx context.Context, stmt *sql.Stmt, p store.Peek, args ...any) (stored bool, texts []string, err error) {
	args = withPeek(args, p)
	err = b.inTurn(ctx, func(ctx context.Context) error {
		var err error
		if ctx.Done() == nil {
			stored, texts, err = readPeek(ctx, stmt, p.Name, args)
			return err
		}
		// A statement whose context ends before its last row is not undone by itself.
		err = b.asOne(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
			stored, texts, err = readPeek(ctx, tx.StmtContext(ctx, stmt), p.Name, args)
			return err
		})
		stored = stored && err == nil
		return err
	})
	if err != nil || !stored {
		return stored, nil, err
	}
	return b.peekMore(ctx, texts, p)
}

// peekMore adds to what a [peek] has returned the values of further records. The session
// is stored.
func (b sqliteBackend) peekMore(ctx context.Context, texts []string, p store.Peek) (stored bool, all []string, err error) {
	n := min(len(p.IDs), loadedAtOnce)
	more, err := b.LoadFresh(ctx, p.IDs[n:]...)
	texts = texts[:n]
	for _, id := range p.IDs[n:] {
		texts = append(texts, more[id].Values[p.Name])
	}
	return true, texts, err
}

// readPeek runs the statement, and reads the values of a name from what it returns.
func readPeek(ctx context.Context, stmt *sql.Stmt, name string, args []any) (stored bool, texts []string, err error) {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return false, nil, err
	}
	defer func() { _ = rows.Close() }() // Err below has told what went wrong
	texts = make([]string, loadedAtOnce)
	for rows.Next() { // SQLite commits after the last row
		stored = true
		var values [loadedAtOnce]*document
		if err := rows.Scan(&values[0], &values[1], &values[2], &values[3]); err != nil {
			return stored, nil, err
		}
		for i, d := range values {
			if d != nil {
				texts[i] = (*d)[name]
			}
		}
	}
	return stored, texts, rows.Err()
}
