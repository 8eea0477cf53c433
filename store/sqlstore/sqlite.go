package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/sqlretry"
)

// sqliteDefaults are the settings of [OpenSQLite]: the names of a parameter of
// the DSN, by any of which the caller's own setting is known, and ours.
var sqliteDefaults = []struct {
	names  []string
	pragma string // the value of _pragma that sets it
}{
	{[]string{"_busy_timeout", "_timeout"}, "busy_timeout(5000)"},
	{[]string{"_journal_mode", "_journal"}, "journal_mode(WAL)"},
	{[]string{"_synchronous", "_sync"}, "synchronous(NORMAL)"},
}

// checkVersion refuses a version of SQLite that lacks functions for JSON.
func checkVersion(version string) error {
	const oldest = 38 // of version 3
	var major, minor int
	if n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor); n == 2 && (major < 3 || major == 3 && minor < oldest) {
		return fmt.Errorf("sqlstore: SQLite %s is too old: it needs 3.%d or later, which a newer version of the driver brings", version, oldest)
	}
	return nil
}

// OpenSQLite opens a file with the driver modernc.org/sqlite, which the program
// must import:
//
//	import _ "modernc.org/sqlite"
//
// It chooses the settings that suit many requests at once: readers do not wait
// for the writer (journal_mode WAL), a writer waits up to 5 s for another
// (busy_timeout), transactions that the caller begins lock at once
// (_txlock=immediate), and a crash of the machine, not of the program, may take
// the last changes with it (synchronous NORMAL). Parameters of the driver in path
// win: "sessions.db?_pragma=synchronous(FULL)". The connections are as many as
// the cores that can use them. A file that is not there is made.
//
// The database is the caller's, for tables of its own as well, and to be closed.
func OpenSQLite(path string) (*sql.DB, error) {
	if !slices.Contains(sql.Drivers(), "sqlite") {
		return nil, errors.New(`sqlstore: OpenSQLite needs a driver: add import _ "modernc.org/sqlite" to the program`)
	}
	dsn, err := sqliteDSN(path)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: opening the SQLite file: %w", err)
	}
	// A connection that has to be opened anew costs more than a hundred reads.
	connections := max(4, runtime.GOMAXPROCS(0))
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if err := connect(db); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlstore: opening the SQLite file: %w", err), db.Close())
	}
	return db, nil
}

// connect opens the first connection. Where several processes meet on a new file,
// SQLite does not let them wait for each other's change to WAL, whatever the busy
// timeout says. After it was changed once, there is nothing left to wait for.
func connect(db *sql.DB) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for try := 0; ; try++ {
		err := db.PingContext(ctx)
		var code interface{ Code() int }
		const busy = 5
		if err == nil || !errors.As(err, &code) || code.Code()&0xff != busy || !sqlretry.Pause(ctx, try) {
			return err
		}
	}
}

// sqliteDSN adds to path what it does not set itself.
func sqliteDSN(path string) (string, error) {
	file, query, _ := strings.Cut(path, "?")
	given, err := url.ParseQuery(query)
	if err != nil {
		return "", fmt.Errorf("sqlstore: the parameters after the path of the SQLite file: %w", err)
	}
	set := func(names []string, pragma string) bool {
		name, _, _ := strings.Cut(pragma, "(")
		return slices.ContainsFunc(names, given.Has) || slices.ContainsFunc(given["_pragma"], func(p string) bool {
			return strings.HasPrefix(strings.ToLower(strings.TrimSpace(p)), name)
		})
	}
	for _, d := range sqliteDefaults {
		if !set(d.names, d.pragma) {
			given.Add("_pragma", d.pragma)
		}
	}
	if !given.Has("_txlock") {
		given.Set("_txlock", "immediate")
	}
	return file + "?" + given.Encode(), nil
}

// busyTimeout is how long a connection waits for the writes of others.
func busyTimeout(ctx context.Context, db interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
},
) (time.Duration, error) {
	var milliseconds int64
	if err := db.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&milliseconds); err != nil {
		return 0, fmt.Errorf("sqlstore: reading the busy timeout: %w", err)
	}
	return time.Duration(milliseconds) * time.Millisecond, nil
}
