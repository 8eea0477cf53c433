package sqlstore

import (
	"database/sql"
	"fmt"
	"reflect"
	"strings"

	"github.com/gin-sessionkit/sessionkit/store"
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
	lesser string // the function that returns the lesser of two numbers
	input  string // after a parameter that is a JSON text
	signIn string // the values without all but that of the sign-in, as a text
	taken  string // what INSERT does if the ID is there already
	length string // of the values, in bytes
	now    string // the time of the server's clock in Unix microseconds; "": the process has the same

	// text and number stand after a column that is read. They give it the type that it has
	// in the schema: PostgreSQL does not run a prepared statement again if the type of what
	// it returns has changed, and the connection keeps the statement for as long as it lives.
	text, number string

	// stands is whether the value at the path $7 has the text $8, or is not there
	// if that is NULL. PostgreSQL does without: see changeIf.
	stands string

	// touched makes every UPDATE change its row: MySQL does not count the rows
	// that it found, but those that became different, unless the caller's DSN
	// says clientFoundRows=true.
	touched string
}

func (d Dialect) grammar() (grammar, error) {
	path := fmt.Sprintf(`'$."%s"'`, store.SignInValue)
	open, end := fmt.Sprintf(`'{"%s":'`, store.SignInValue), `'}'`
	switch d {
	case SQLite:
		return grammar{
			quote: `"`, merge: "json_patch(data, $1)", later: "max", lesser: "min", taken: "ON CONFLICT (id) DO NOTHING",
			signIn: "CASE WHEN NOT json_valid(data) THEN data WHEN data -> " + path + " IS NULL THEN '{}'" +
				" ELSE " + open + " || (data -> " + path + ") || " + end + " END",
			// Both sides are texts that SQLite has written.
			stands: "(data -> $7) IS (('[' || $8 || ']') -> '$[0]')",
			length: "length(CAST(data AS BLOB))",
		}, nil
	case PostgreSQL:
		value := "data -> '" + store.SignInValue + "'"
		return grammar{
			// || replaces whole values, as the merge does with values that are no objects.
			quote: `"`, merge: `(data || $1::text::jsonb) - ARRAY(SELECT key FROM jsonb_each($1::text::jsonb) WHERE value = 'null')`,
			later: "GREATEST", lesser: "LEAST", input: "::text::jsonb", taken: "ON CONFLICT (id) DO NOTHING",
			signIn: "CASE WHEN " + value + " IS NULL THEN '{}' ELSE " + open + " || (" + value + ")::text || " + end + " END",
			text:   `::text COLLATE "C"`, number: "::bigint",
			length: "octet_length(data::text)",
			now:    "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
		}, nil
	case MySQL:
		value := "JSON_EXTRACT(data, " + path + ")"
		return grammar{
			quote: "`", merge: "JSON_MERGE_PATCH(" + guard("0") + ", data, $1, " + guard("null") + ")", later: "GREATEST", lesser: "LEAST",
			// Two rows count as affected then, whatever the DSN says, and errors are not
			// hidden as INSERT IGNORE would.
			taken:  "ON DUPLICATE KEY UPDATE version = version + 1",
			signIn: "CASE WHEN " + value + " IS NULL THEN '{}' ELSE CONCAT(" + open + ", " + value + ", " + end + ") END",
			// Local time, which UNIX_TIMESTAMP converts, comes twice when summer time ends.
			now: "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))",
			// Both sides are texts that the server has written. Compared as what
			// JSON_EXTRACT returns, MariaDB finds most strings different from themselves.
			stands: "CAST(CONCAT(JSON_EXTRACT(data, $7)) AS BINARY) <=>" +
				" CAST(CONCAT(JSON_EXTRACT(CONCAT('[', $8, ']'), '$[0]')) AS BINARY)",
			length:  "OCTET_LENGTH(data)", // with sql_mode=ORACLE, LENGTH counts characters in MariaDB
			touched: ", version = version + 1",
		}, nil
	}
	return grammar{}, fmt.Errorf("sqlstore: Config.Dialect %q is none of %q, %q, %q", string(d), SQLite, PostgreSQL, MySQL)
}

// read returns the columns of a record as a query reads them, with data as its values.
func (g grammar) read(columns, data string) string {
	read := strings.Split(columns, ", ")
	for i, column := range read {
		switch column {
		case "created", "since", "seen", "expires":
			read[i] += g.number
		case "data":
			read[i] = data
		default:
			read[i] += g.text
		}
	}
	return strings.Join(read, ", ")
}

// guard is the SQL of a JSON object with one name that no session has. MariaDB
// (10.11) mishandles a patch that drops the first value of an object: to it
// '{"a":1,"b":2}' patched with '{"b":3,"a":null}' is '{"b":2}'. With the guard at
// the front the patch does not drop the first value; the step after it drops the
// guard alone. It is in hexadecimal, as sql_mode decides what a backslash is.
func guard(value string) string {
	return fmt.Sprintf("CONVERT(X'%X' USING utf8mb4)", `{"\u0000":`+value+`}`)
}
