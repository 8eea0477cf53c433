package express

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/sqlretry"
	"github.com/gin-sessionkit/sessionkit/store"
)

// postgresBackend keeps documents in the table of connect-pg-simple. What is in the
// column expire is compared and set by the server, in the time zone of the connection.
type postgresBackend struct {
	db                                                               *sql.DB
	loading, creating, touching, changing, moving, swapping, removal string
}

func newPostgres(db *sql.DB, c Config) *postgresBackend {
	table := quoteName(c.Table)
	if c.Schema != "" {
		table = quoteName(c.Schema) + "." + table
	}
	// A change, of which $1 is the session ID, $2 the names to drop and $3 the members
	// to put, as JSON, $4 the seconds that the session lives from now on or 0, $5
	// whether there is a condition, $6 its name and $7 the JSON that must stand, or NULL.
	const expires = `to_timestamp(ceil(extract(epoch FROM now()) + $4::float8))`
	// The members that stay are copied as they stand: Node sees the order of what is in them.
	const isSession = `json_typeof(sess::json) = 'object' AND json_typeof(sess::json -> 'cookie') = 'object'`
	change := func(newID string) string {
		return `UPDATE ` + table + ` SET ` + newID + `sess = (
				SELECT json_object_agg(key, value ORDER BY put, place) FROM (
					SELECT false AS put, place, key, value FROM json_each(sess::json) WITH ORDINALITY AS stands(key, value, place)
					WHERE key NOT IN (SELECT json_array_elements_text($2::json)) AND key NOT IN (SELECT json_object_keys($3::json))
					UNION ALL
					SELECT true, place, key, value FROM json_each($3::json) WITH ORDINALITY AS puts(key, value, place)
				) AS members
			),
			expire = CASE WHEN $4::float8 > 0 THEN ` + expires + ` ELSE expire END
			WHERE sid = $1 AND expire >= now() AND ` + isSession + `
			AND (NOT $5::bool OR (sess::json -> $6::text)::jsonb IS NOT DISTINCT FROM $7::jsonb)`
	}
	return &postgresBackend{
		db:       db,
		loading:  `SELECT sess::text, extract(epoch FROM expire::timestamptz - now())::float8 FROM ` + table + ` WHERE sid = $1 AND expire >= now()`,
		creating: `INSERT INTO ` + table + ` (sid, sess, expire) VALUES ($1, $2::json, to_timestamp(ceil(extract(epoch FROM now()) + $3::float8)))`,
		touching: `UPDATE ` + table + ` SET expire = to_timestamp(ceil(extract(epoch FROM now()) + $2::float8)) WHERE sid = $1 AND expire >= now()`,
		changing: change(``),
		moving:   change(`sid = $8, `),
		swapping: `UPDATE ` + table + ` SET sess = $3::json WHERE sid = $1 AND expire >= now() AND sess::text = $2`,
		removal:  `DELETE FROM ` + table + ` WHERE sid = $1 AND expire >= now()`,
	}
}

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (b *postgresBackend) load(ctx context.Context, sid string) (text []byte, left time.Duration, found bool, err error) {
	var seconds float64
	err = sqlretry.Do(ctx, func() error { return b.db.QueryRowContext(ctx, b.loading, sid).Scan(&text, &seconds) })
	if errors.Is(err, sql.ErrNoRows) {
		return nil, 0, false, nil
	}
	return text, max(0, time.Duration(seconds*float64(time.Second))), err == nil, err
}

func (b *postgresBackend) create(ctx context.Context, sid, text string, life time.Duration) error {
	_, err := b.exec(ctx, b.creating, sid, text, ceil(life).Seconds())
	return err
}

// arguments are those of a statement that makes an edit.
func arguments(sid string, e edit) ([]any, error) {
	set := make(map[string]json.RawMessage, len(e.set))
	for _, m := range e.set {
		set[m.name] = json.RawMessage(m.raw)
	}
	put, err := marshal(set)
	if err != nil {
		return nil, err
	}
	drop, err := marshal(append([]string{}, e.drop...))
	if err != nil {
		return nil, err
	}
	only, name, stands := e.only != nil, "", sql.NullString{}
	if only {
		name, stands = e.only.name, sql.NullString{String: e.only.raw, Valid: e.only.raw != ""}
	}
	return []any{sid, drop, put, ceil(e.renew).Seconds(), only, name, stands}, nil
}

func (b *postgresBackend) change(ctx context.Context, sid, _ string, e edit) (changed, error) {
	if e.isTouch() {
		if e.renew <= 0 {
			_, _, found, err := b.load(ctx, sid)
			return changed{found: found}, err
		}
		found, err := b.exec(ctx, b.touching, sid, ceil(e.renew).Seconds())
		return changed{found: found}, err
	}
	args, err := arguments(sid, e)
	if err != nil {
		return changed{}, err
	}
	for range 2 { // Node may store it between the two statements
		done, err := b.exec(ctx, b.changing, args...)
		if err != nil || done {
			return changed{found: done}, err
		}
		text, _, found, err := b.load(ctx, sid) // why not
		if err != nil || !found {
			return changed{}, err
		}
		d, err := parse(text)
		if err != nil {
			return changed{}, err
		}
		if e.only != nil {
			return changed{found: true, conflict: true, raw: string(d.members[e.only.name])}, nil
		}
	}
	return changed{}, fmt.Errorf("%w: it was changed while this was found out", store.ErrCorrupt)
}

func (b *postgresBackend) swap(ctx context.Context, sid, text, next string) error {
	_, err := b.exec(ctx, b.swapping, sid, text, next)
	return err
}

func (b *postgresBackend) move(ctx context.Context, sid, newSID string, e edit) (bool, error) {
	args, err := arguments(sid, e)
	if err != nil {
		return false, err
	}
	return b.exec(ctx, b.moving, append(args, newSID)...)
}

func (b *postgresBackend) remove(ctx context.Context, sid string) (bool, error) {
	return b.exec(ctx, b.removal, sid)
}

// exec runs a statement, and reports whether it has found the row.
func (b *postgresBackend) exec(ctx context.Context, statement string, args ...any) (found bool, err error) {
	err = sqlretry.Do(ctx, func() error {
		result, err := b.db.ExecContext(ctx, statement, args...)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		found = n > 0
		return err
	})
	return found, err
}
