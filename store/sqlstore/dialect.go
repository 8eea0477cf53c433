package sqlstore

import (
	"database/sql"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// A Dialect is the kind of SQL that a database speaks.
type Dialect string

// The databases that the package knows.
const (
	SQLite     Dialect = "sqlite"     // 3.38 or later
	PostgreSQL Dialect = "postgresql" // 10 or later
	MySQL      Dialect = "mysql"      // MySQL 5.7.22 or later, MariaDB 10.2.25 or later
)

// detect finds the dialect from the package that the driver comes from.
func detect(db *sql.DB) (Dialect, error) {
	t := reflect.TypeOf(db.Driver())
	name := t.String()
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch path := t.PkgPath(); {
	case strings.Contains(path, "sqlite"):
		return SQLite, nil
	case strings.Contains(path, "pgx"), strings.HasSuffix(path, "lib/pq"), strings.Contains(path, "postgres"):
		return PostgreSQL, nil
	case strings.Contains(path, "mysql"), strings.Contains(path, "mariadb"):
		return MySQL, nil
	}
	return "", fmt.Errorf("sqlstore: the driver %s does not tell what database it is for: set Config.Dialect", name)
}

// grammar is where the dialects differ.
type grammar struct {
	quote  string // around the name of the table
	merge  string // the values, merged with the patch $1 by RFC 7396
	later  string // the function that returns the greater of two numbers
	input  string // after a parameter that is a JSON text
	output string // after a column that is to be a text
	taken  string // what INSERT does where the ID is there already

	// touched makes every UPDATE change its row: MySQL does not count the rows
	// that it found, but those that became different, unless the caller's DSN
	// says clientFoundRows=true.
	touched string
}

func (d Dialect) grammar() (grammar, error) {
	switch d {
	case SQLite:
		return grammar{
			quote: `"`, merge: "json_patch(data, $1)", later: "max", taken: "ON CONFLICT (id) DO NOTHING",
		}, nil
	case PostgreSQL:
		return grammar{
			// || replaces whole values, as the merge does with values that are no objects.
			quote: `"`, merge: `(data || $1::text::jsonb) - ARRAY(SELECT key FROM jsonb_each($1::text::jsonb) WHERE value = 'null')`,
			later: "GREATEST", input: "::text::jsonb", output: "::text", taken: "ON CONFLICT (id) DO NOTHING",
		}, nil
	case MySQL:
		return grammar{
			quote: "`", merge: "JSON_MERGE_PATCH(" + guard("0") + ", data, $1, " + guard("null") + ")", later: "GREATEST",
			// Two rows count as affected then, whatever the DSN says, and errors are not
			// hidden as INSERT IGNORE would.
			taken:   "ON DUPLICATE KEY UPDATE version = version + 1",
			touched: ", version = version + 1",
		}, nil
	}
	return grammar{}, fmt.Errorf("sqlstore: Config.Dialect %q is none of %q, %q, %q", string(d), SQLite, PostgreSQL, MySQL)
}

// guard is the SQL of a JSON object with one name that no session has. MariaDB
// (10.11) mishandles a patch that drops the first value of an object: to it
// '{"a":1,"b":2}' patched with '{"b":3,"a":null}' is '{"b":2}'. With the guard at
// the front the patch does not drop the first value; the step after it drops the
// guard alone. It is in hexadecimal, as sql_mode decides what a backslash is.
func guard(value string) string {
	return fmt.Sprintf("CONVERT(X'%X' USING utf8mb4)", `{"\u0000":`+value+`}`)
}

// statements are the texts of what a backend runs. Parameters are numbered in
// the order in which they stand in the text.
type statements struct {
	create string // id, user, created, seen, expires, values
	load   string // id
	update string // patch, seen, expires, id, now
	touch  string // seen, expires, id, now: an update that leaves the values alone
	rotate string // patch, new id, user, created, seen, expires, id, now
	remove string // id
	list   string // user, now
	exists string // fails where there is no such table
	probe  string // fails where it is missing or another's

	// sweep removes some of the records that expired before a time. For MySQL it
	// only finds them, between lock and unlock: see sweepMySQL.
	sweep, lock, unlock string
}

// batch is how many expired records one statement removes: few enough that no
// request waits for long.
const batch = 200

var parameter = regexp.MustCompile(`\$[0-9]+`)

func newStatements(d Dialect, g grammar, table string) statements {
	t := g.quote + table + g.quote
	columns := "user_id, created, seen, expires, data"
	s := statements{
		create: "INSERT INTO " + t + " (id, " + columns + ") VALUES ($1, $2, $3, $4, $5, $6" + g.input + ") " + g.taken,
		load:   "SELECT " + columns + g.output + " FROM " + t + " WHERE id = $1",
		update: "UPDATE " + t + " SET data = " + g.merge + ", seen = " + g.later + "(seen, $2), expires = " + g.later + "(expires, $3)" +
			g.touched + " WHERE id = $4 AND expires > $5",
		touch: "UPDATE " + t + " SET seen = " + g.later + "(seen, $1), expires = " + g.later + "(expires, $2)" +
			g.touched + " WHERE id = $3 AND expires > $4",
		rotate: "UPDATE " + t + " SET data = " + g.merge + ", id = $2, user_id = $3, created = $4, seen = $5, expires = $6" +
			" WHERE id = $7 AND expires > $8",
		remove: "DELETE FROM " + t + " WHERE id = $1",
		list:   "SELECT id, " + columns + g.output + " FROM " + t + " WHERE user_id = $1 AND expires > $2",
		exists: "SELECT 1 FROM " + t + " WHERE 1 = 0",
		probe:  "SELECT id, " + columns + " FROM " + t + " WHERE 1 = 0",
	}
	expired := fmt.Sprintf("SELECT id FROM %s WHERE expires <= $1 ORDER BY expires LIMIT %d", t, batch)
	switch d {
	case SQLite:
		s.sweep = "DELETE FROM " + t + " WHERE id IN (" + expired + ")"
	case PostgreSQL:
		// Two processes take different rows, and none waits for the other.
		s.sweep = "DELETE FROM " + t + " WHERE id = ANY (ARRAY(" + expired + " FOR UPDATE SKIP LOCKED))"
	case MySQL:
		s.sweep = expired
		// Locks are the server's and not the database's, and their names at most 64
		// characters long.
		name := "MD5(CONCAT(DATABASE(), '.sessionkit.', '" + table + "'))"
		s.lock, s.unlock = "SELECT GET_LOCK("+name+", 0)", "DO RELEASE_LOCK("+name+")"
	}
	if d != PostgreSQL {
		for _, text := range []*string{&s.create, &s.load, &s.update, &s.touch, &s.rotate, &s.remove, &s.list, &s.sweep} {
			*text = parameter.ReplaceAllString(*text, "?")
		}
	}
	return s
}
