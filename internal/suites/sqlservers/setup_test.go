package sqlservers_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

func TestManyStartAtOnce(t *testing.T) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			for range 5 {
				db, table := database.open(t), newTable()
				var all sync.WaitGroup
				for range 10 {
					all.Go(func() {
						s, err := sqlstore.New(db, sqlstore.Config{Table: table})
						if assert.NoError(t, err) {
							assert.NoError(t, s.Close())
						}
					})
				}
				all.Wait()
			}
		})
	}
}

func TestOneConnection(t *testing.T) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			db := database.open(t)
			db.SetMaxOpenConns(1)
			b, _ := newBackend(t, db)
			_, err := b.Create(t.Context(), newID(), record("alice", nil))
			require.NoError(t, err)
			_, err = removeBatch(t.Context(), b)
			require.NoError(t, err)
			records, err := b.List(t.Context(), "alice")
			require.NoError(t, err)
			assert.Len(t, records, 1)
		})
	}
	t.Run("in memory", func(t *testing.T) {
		db, err := sql.Open("sqlite", ":memory:?_pragma=busy_timeout(1000)")
		require.NoError(t, err)
		defer func() { assert.NoError(t, db.Close()) }()
		_, err = sqlstore.New(db)
		require.ErrorContains(t, err, "SetMaxOpenConns(1)", "each connection would see another database")
		db.SetMaxOpenConns(1)
		newBackend(t, db)
	})
}

// TestPlannedSwitchover: the server that was the primary takes no writes any more and keeps its
// connections, and its name leads to the new one.
func TestPlannedSwitchover(t *testing.T) {
	old, next := testserver.DurableMariaDB(t).DSN, testserver.MariaDB(t)
	socket := func(dsn string) string { return dsn[strings.Index(dsn, "(")+1 : strings.Index(dsn, ")")] }
	exec := func(dsn string, statements ...string) {
		db, err := sql.Open("mysql", dsn)
		require.NoError(t, err)
		defer func() { assert.NoError(t, db.Close()) }()
		for _, statement := range statements {
			_, err := db.ExecContext(t.Context(), statement)
			require.NoError(t, err)
		}
	}
	table := newTable()
	for _, dsn := range []string{old, next} { // root may write to a server that is read-only
		exec(dsn, "CREATE USER app@localhost", "GRANT ALL ON test.* TO app@localhost", sqlstore.Schema(sqlstore.MySQL, table))
	}
	var leadsTo atomic.Value
	mysql.RegisterDialContext("name", func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", leadsTo.Load().(string))
	})
	for _, reject := range []bool{false, true} {
		t.Run(fmt.Sprint("rejectReadOnly=", reject), func(t *testing.T) {
			exec(old, "SET GLOBAL read_only = OFF")
			leadsTo.Store(socket(old))
			db, err := sql.Open("mysql", fmt.Sprintf("app@name(name)/test?rejectReadOnly=%v", reject))
			require.NoError(t, err)
			defer func() { assert.NoError(t, db.Close()) }()
			b, err := sqlstore.NewBackend(db, sqlstore.Config{Table: table})
			require.NoError(t, err)
			defer func() { assert.NoError(t, b.Close()) }()
			create := func() error {
				_, err := b.Create(t.Context(), newID(), record("alice", nil))
				return err
			}
			require.NoError(t, create())

			exec(old, "SET GLOBAL read_only = ON")
			leadsTo.Store(socket(next))
			if err := create(); reject {
				assert.NoError(t, err, "the driver connects anew")
			} else {
				assert.ErrorContains(t, err, "read-only", "its connection is a good one, as far as anybody knows")
			}
		})
	}
}

func TestSchema(t *testing.T) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			db, table := database.open(t), newTable()
			text := sqlstore.Schema(dialect(t), table)
			for range 2 {
				for statement := range strings.SplitSeq(strings.TrimSuffix(text, ";\n"), ";\n") {
					_, err := db.ExecContext(t.Context(), statement)
					require.NoError(t, err, "also a second time")
				}
			}
			s, err := sqlstore.New(db, sqlstore.Config{Table: table})
			require.NoError(t, err)
			require.NoError(t, s.Close())
		})
	}
	assert.Panics(t, func() { sqlstore.Schema("oracle", "sessions") })
	assert.Panics(t, func() { sqlstore.Schema(sqlstore.SQLite, "my sessions") })
}

// TestEngine: the server's default engine may have no transactions.
func TestEngine(t *testing.T) {
	db := open(t, "mysql", testserver.MariaDB(t)+"?default_storage_engine=Aria")
	_, table := newBackend(t, db)
	var engine string
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_NAME = ?", table).Scan(&engine))
	assert.Equal(t, "InnoDB", engine)
}

// dialect is that of the database that a test runs with.
func dialect(t *testing.T) sqlstore.Dialect {
	t.Helper()
	switch {
	case strings.Contains(t.Name(), "/SQLite"):
		return sqlstore.SQLite
	case strings.Contains(t.Name(), "/PostgreSQL"):
		return sqlstore.PostgreSQL
	}
	return sqlstore.MySQL
}

func TestNoRightToMakeTables(t *testing.T) {
	db := open(t, "pgx", testserver.Postgres(t))
	_, table := newBackend(t, db)
	role := strings.ToLower("web_" + table)
	for _, text := range []string{
		"CREATE ROLE " + role + " LOGIN", "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
		`GRANT SELECT, INSERT, UPDATE, DELETE ON "` + table + `" TO ` + role,
	} {
		_, err := db.ExecContext(t.Context(), text)
		require.NoError(t, err)
	}
	web := open(t, "pgx", strings.Replace(testserver.Postgres(t), "user=postgres", "user="+role, 1))
	s, err := sqlstore.New(web, sqlstore.Config{Table: table})
	require.NoError(t, err, "a table that is there is enough")
	require.NoError(t, s.Close())
	_, err = sqlstore.New(web, sqlstore.Config{Table: newTable()})
	require.ErrorContains(t, err, "sqlstore: making the table")
}

// TestNoRightToDelete: only the removal of expired rows would fail, where nobody looks.
func TestNoRightToDelete(t *testing.T) {
	for _, test := range []struct {
		database

		user, want      string
		before, missing []string
	}{
		{
			database{"PostgreSQL", "pgx", testserver.Postgres, ""},
			"user=clerk", `GRANT DELETE ON "%s"`,
			[]string{"CREATE ROLE clerk LOGIN", `GRANT SELECT, INSERT, UPDATE ON "%s" TO clerk`},
			[]string{`GRANT DELETE ON "%s" TO clerk`},
		},
		{
			database{"MariaDB", "mysql", officeOfMariaDB, ""},
			"clerk@", "DELETE command denied",
			[]string{"CREATE USER clerk@localhost", "GRANT SELECT, INSERT, UPDATE ON `%s` TO clerk@localhost"},
			[]string{"GRANT DELETE ON `%s` TO clerk@localhost"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			db := test.open(t)
			_, table := newBackend(t, db)
			run := func(texts []string) {
				for _, text := range texts {
					_, err := db.ExecContext(t.Context(), strings.ReplaceAll(text, "%s", table))
					require.NoError(t, err)
				}
			}
			run(test.before)
			clerk := open(t, test.driver, strings.NewReplacer("user=postgres", test.user, "root@", test.user).Replace(test.server(t)))
			config := sqlstore.Config{Table: table}
			_, err := sqlstore.New(clerk, config)
			require.ErrorContains(t, err, strings.ReplaceAll(test.want, "%s", table))
			run(test.missing)
			s, err := sqlstore.New(clerk, config)
			require.NoError(t, err)
			require.NoError(t, s.Close())
		})
	}
}

// officeOfMariaDB returns the DSN of a database of MariaDB's server where users have the rights
// that they are given: in that of the other tests, named test, all of them have all.
func officeOfMariaDB(tb testing.TB) string {
	tb.Helper()
	dsn := testserver.MariaDB(tb)
	db, err := sql.Open("mysql", dsn)
	require.NoError(tb, err)
	defer func() { assert.NoError(tb, db.Close()) }()
	_, err = db.ExecContext(tb.Context(), "CREATE DATABASE IF NOT EXISTS office")
	require.NoError(tb, err)
	return strings.TrimSuffix(dsn, "test") + "office"
}

// unknownDriver tells nothing of its database.
type unknownDriver struct{}

func (unknownDriver) Open(string) (driver.Conn, error) { return nil, driver.ErrBadConn }

func (unknownDriver) Connect(context.Context) (driver.Conn, error) { return nil, driver.ErrBadConn }

func (d unknownDriver) Driver() driver.Driver { return d }

func TestRefused(t *testing.T) {
	lite := openSQLite(t, filepath.Join(t.TempDir(), "sessions.db"))
	unknown := sql.OpenDB(unknownDriver{})
	defer func() { assert.NoError(t, unknown.Close()) }()
	impatient, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "sessions.db"))
	require.NoError(t, err)
	defer func() { assert.NoError(t, impatient.Close()) }()
	_, err = lite.ExecContext(t.Context(), "CREATE TABLE theirs (id TEXT, expiry REAL)")
	require.NoError(t, err)

	for _, test := range []struct {
		name   string
		db     *sql.DB
		config sqlstore.Config
		want   string
	}{
		{"no database", nil, sqlstore.Config{}, "sqlstore: the database is nil; open one with sql.Open or OpenSQLite"},
		{"everything", nil, sqlstore.Config{Table: "a b", Dialect: "oracle", Store: store.Config{MaxBytes: -1, Timeout: 1}}, "the database is nil"},
		{"everything, its table", nil, sqlstore.Config{Table: "a b", Dialect: "oracle", Store: store.Config{MaxBytes: -1, Timeout: 1}}, "Config.Table"},
		{"everything, its dialect", nil, sqlstore.Config{Table: "a b", Dialect: "oracle", Store: store.Config{MaxBytes: -1, Timeout: 1}}, "Config.Dialect"},
		{"everything, its size", nil, sqlstore.Config{Table: "a b", Dialect: "oracle", Store: store.Config{MaxBytes: -1, Timeout: 1}}, "store: Config.MaxBytes"},
		{"everything, its timeout", nil, sqlstore.Config{Table: "a b", Dialect: "oracle", Store: store.Config{MaxBytes: -1, Timeout: 1}}, "store: Config.Timeout"},
		{"table with a space", lite, sqlstore.Config{Table: "my sessions"}, `Config.Table "my sessions" is no plain name`},
		{"table with a quote", lite, sqlstore.Config{Table: `a"; DROP TABLE x; --`}, "is no plain name"},
		{"table with a digit first", lite, sqlstore.Config{Table: "1st"}, "is no plain name"},
		{"table with a long name", lite, sqlstore.Config{Table: strings.Repeat("t", 49)}, "is no plain name"},
		{"table of another", lite, sqlstore.Config{Table: "theirs"}, `the table "theirs" is none of this package: set Config.Table`},
		{"dialect", lite, sqlstore.Config{Dialect: "oracle"}, `Config.Dialect "oracle" is none of`},
		{"driver", unknown, sqlstore.Config{}, "the driver sqlservers_test.unknownDriver does not tell what database it is for: set Config.Dialect"},
		{"no busy timeout", impatient, sqlstore.Config{}, "open the database with OpenSQLite"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := sqlstore.New(test.db, test.config)
			require.ErrorContains(t, err, test.want)
			assert.Nil(t, s)
			assert.True(t, strings.HasPrefix(err.Error(), "sqlstore: "), "%v", err)
		})
	}
	t.Run("character set", func(t *testing.T) {
		for _, setting := range []string{"charset=utf8", "charset=latin1", "character_set_connection=latin1"} {
			_, err := sqlstore.New(open(t, "mysql", testserver.MariaDB(t)+"?"+setting))
			require.ErrorContains(t, err, "set charset=utf8mb4 in the DSN")
		}
	})
	t.Run("settings of the connection", func(t *testing.T) {
		for setting, want := range map[string]string{
			"autocommit=0":                        "leave autocommit=0 out of the DSN",
			"tx_isolation=%27READ-UNCOMMITTED%27": "set another isolation level in the DSN",
		} {
			_, err := sqlstore.New(open(t, "mysql", testserver.MariaDB(t)+"?"+setting))
			require.ErrorContains(t, err, want)
		}
	})
	t.Run("encoding", func(t *testing.T) {
		dsn := testserver.Postgres(t)
		for _, encoding := range []string{"SQL_ASCII", "LATIN1", "EUC_JP"} {
			_, err := open(t, "pgx", dsn).ExecContext(t.Context(), "CREATE DATABASE "+encoding+" ENCODING '"+encoding+"' LOCALE 'C' TEMPLATE template0")
			require.NoError(t, err)
			_, err = sqlstore.New(open(t, "pgx", strings.Replace(dsn, "dbname=postgres", "dbname="+strings.ToLower(encoding), 1)))
			require.ErrorContains(t, err, "the encoding "+encoding+" of the database does not hold every text: use a database that was made with ENCODING 'UTF8'")
		}
	})
	t.Run("engine", func(t *testing.T) {
		db, table := open(t, "mysql", testserver.MariaDB(t)), newTable()
		text := strings.TrimSuffix(sqlstore.Schema(sqlstore.MySQL, table), ";\n")
		_, err := db.ExecContext(t.Context(), strings.Replace(text, "ENGINE=InnoDB", "ENGINE=Aria", 1))
		require.NoError(t, err)
		_, err = sqlstore.New(db, sqlstore.Config{Table: table})
		require.ErrorContains(t, err, "has the engine Aria, and needs one with transactions: ")
		_, remedy, _ := strings.Cut(err.Error(), "transactions: ")
		_, err = db.ExecContext(t.Context(), remedy)
		require.NoError(t, err)
		s, err := sqlstore.New(db, sqlstore.Config{Table: table})
		require.NoError(t, err)
		require.NoError(t, s.Close())
	})
	t.Run("dialect of another database", func(t *testing.T) {
		for _, d := range []sqlstore.Dialect{sqlstore.PostgreSQL, sqlstore.MySQL} {
			_, err := sqlstore.New(lite, sqlstore.Config{Dialect: d, Table: newTable()})
			require.Error(t, err)
		}
	})
}

func TestOpenSQLite(t *testing.T) {
	_, err := sqlstore.OpenSQLite("a.db?%zz")
	require.ErrorContains(t, err, "sqlstore: the parameters after the path")
	_, err = sqlstore.OpenSQLite(filepath.Join(t.TempDir(), "no such directory", "a.db"))
	require.ErrorContains(t, err, "sqlstore: opening the SQLite file")

	db := openSQLite(t, filepath.Join(t.TempDir(), "a b#c%d.db")+"?_pragma=cache_size(-123)")
	for pragma, want := range map[string]string{"journal_mode": "wal", "busy_timeout": "5000", "synchronous": "1", "cache_size": "-123"} {
		var got string
		require.NoError(t, db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
		assert.Equal(t, want, got, pragma)
	}
}

func TestPlans(t *testing.T) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			db := database.open(t)
			b, table := newBackend(t, db)
			fill(t, db, table, 3000)
			for name, text := range statements(b) {
				plan := explain(t, db, text)
				uses := map[sqlstore.Dialect]string{
					sqlstore.SQLite: "SEARCH " + table + " USING", sqlstore.PostgreSQL: "Index", sqlstore.MySQL: "key=",
				}[dialect(t)]
				assert.Contains(t, plan, uses, "%s must use an index", name)
				for _, scan := range []string{"SCAN " + table, "Seq Scan", "type=ALL", "type=index "} {
					assert.NotContains(t, plan, scan, "%s must not read the whole table", name)
				}
			}
		})
	}
}

// fill puts rows into a table, for planners that look at how many there are.
func fill(t *testing.T, db *sql.DB, table string, n int) {
	t.Helper()
	var rows []string
	for i := range n {
		rows = append(rows, fmt.Sprintf("('%d', '%d', 0, 0, %d, '{}')", i, i%(n/3), 10+i))
	}
	analyze, quoted := "ANALYZE ", `"`+table+`"`
	if dialect(t) == sqlstore.MySQL {
		analyze, quoted = "ANALYZE TABLE ", table
	}
	insert := fmt.Sprintf("INSERT INTO %s (id, user_id, created, seen, expires, data) VALUES %s", quoted, strings.Join(rows, ", ")) // #nosec G201 -- of this test
	_, err := db.ExecContext(t.Context(), insert)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), analyze+quoted)
	require.NoError(t, err)
}

// explain returns the plan of a statement, a line a step.
func explain(t *testing.T, db *sql.DB, text string) string {
	t.Helper()
	var args []any
	n := strings.Count(text, "?")
	prefix := "EXPLAIN "
	switch dialect(t) {
	case sqlstore.SQLite:
		prefix = "EXPLAIN QUERY PLAN "
	case sqlstore.PostgreSQL:
		for n = 0; strings.Contains(text, fmt.Sprintf("$%d", n+1)); {
			n++
		}
	case sqlstore.MySQL:
	}
	for range n {
		args = append(args, "1")
	}
	if strings.Contains(text, "data = ") {
		args[0] = `{"a":1}`
	}
	rows, err := db.QueryContext(t.Context(), prefix+text, args...)
	require.NoError(t, err, text)
	defer func() { assert.NoError(t, rows.Close()) }()
	columns, err := rows.Columns()
	require.NoError(t, err)
	var plan strings.Builder
	for rows.Next() {
		fields, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range fields {
			into[i] = &fields[i]
		}
		require.NoError(t, rows.Scan(into...))
		for i, f := range fields {
			if f.Valid {
				fmt.Fprintf(&plan, "%s=%s ", columns[i], f.String)
			}
		}
		plan.WriteByte('\n')
	}
	require.NoError(t, rows.Err())
	return plan.String()
}
