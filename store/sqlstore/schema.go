package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var plainIdentifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,47}$`)

func checkTable(table string) error {
	if !plainIdentifier.MatchString(table) {
		return fmt.Errorf("sqlstore: Config.Table %q is no plain name: at most 48 letters, digits and underscores, and no digit first", table)
	}
	return nil
}

// Schema returns the SQL that makes the table, for those who migrate with a tool
// of their own; [New] makes it otherwise. The statements end with a semicolon
// and do nothing where the table is there already. It panics on a dialect or a
// table name that [New] would refuse.
func Schema(dialect Dialect, table string) string {
	if _, err := dialect.grammar(); err != nil {
		panic(err)
	}
	if err := checkTable(table); err != nil {
		panic(err)
	}
	return strings.Join(schema(dialect, table), ";\n") + ";\n"
}

// schema returns the statements of [Schema], which many drivers take only one at
// a time.
func schema(d Dialect, table string) []string {
	var texts []string
	switch d {
	case SQLite:
		texts = []string{`CREATE TABLE IF NOT EXISTS "%s" (
	id TEXT NOT NULL PRIMARY KEY,
	name TEXT,
	kind TEXT,
	user_id TEXT,
	created INTEGER NOT NULL,
	since INTEGER,
	seen INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	ended TEXT,
	next TEXT,
	data TEXT NOT NULL
)`}
	case PostgreSQL:
		texts = []string{`CREATE TABLE IF NOT EXISTS "%s" (
	id text COLLATE "C" NOT NULL PRIMARY KEY,
	name text COLLATE "C",
	kind text COLLATE "C",
	user_id text COLLATE "C",
	created bigint NOT NULL,
	since bigint,
	seen bigint NOT NULL,
	expires bigint NOT NULL,
	ended text COLLATE "C",
	next text COLLATE "C",
	data jsonb NOT NULL
)`}
	case MySQL: // it knows no CREATE INDEX IF NOT EXISTS
		texts = []string{"CREATE TABLE IF NOT EXISTS `%s` (" + `
	id varchar(64) NOT NULL PRIMARY KEY,
	name varchar(255),
	kind varchar(32),
	user_id varchar(512),
	created bigint NOT NULL,
	since bigint,
	seen bigint NOT NULL,
	expires bigint NOT NULL,
	ended varchar(32),
	next varchar(64),
	data json NOT NULL,
	version bigint NOT NULL DEFAULT 0,
	INDEX ` + "`%[1]s_user_id` (user_id, ended),\n\tINDEX `%[1]s_expires` (expires, kind, user_id)\n) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"}
	}
	if d != MySQL {
		texts = append(texts, userIndex, expiryIndex)
	}
	for i, text := range texts {
		texts[i] = fmt.Sprintf(text, table)
	}
	return texts
}

// userIndex leaves out the sessions of nobody, which most are, and those that have
// ended: somebody may sign in and out all day.
const userIndex = `CREATE INDEX IF NOT EXISTS "%[1]s_user_id" ON "%[1]s" (user_id) WHERE user_id IS NOT NULL AND ended IS NULL`

// expiryIndex is for the removal of what has expired, and has what Count needs.
const expiryIndex = `CREATE INDEX IF NOT EXISTS "%[1]s_expires" ON "%[1]s" (expires, kind, user_id)`

// upgrade returns the statements that make a table of an earlier version one of
// this version.
func upgrade(d Dialect, table string) []string {
	const dropUsers, dropExpiry = `DROP INDEX IF EXISTS "%s_user_id"`, `DROP INDEX IF EXISTS "%s_expires"`
	texts := []string{
		`ALTER TABLE "%s" ADD COLUMN name TEXT`, `ALTER TABLE "%s" ADD COLUMN kind TEXT`, `ALTER TABLE "%s" ADD COLUMN since INTEGER`,
		`ALTER TABLE "%s" ADD COLUMN ended TEXT`, `ALTER TABLE "%s" ADD COLUMN next TEXT`,
		dropUsers, userIndex, dropExpiry, expiryIndex,
	}
	switch d {
	case SQLite:
	case PostgreSQL:
		texts = []string{`ALTER TABLE "%s" ADD COLUMN name text COLLATE "C", ADD COLUMN kind text COLLATE "C", ` +
			`ADD COLUMN since bigint, ADD COLUMN ended text COLLATE "C", ADD COLUMN next text COLLATE "C"`, dropUsers, userIndex, dropExpiry, expiryIndex}
	case MySQL:
		texts = []string{"ALTER TABLE `%[1]s` ADD COLUMN name varchar(255), ADD COLUMN kind varchar(32), " +
			"ADD COLUMN since bigint, ADD COLUMN ended varchar(32), ADD COLUMN next varchar(64), " +
			"DROP INDEX `%[1]s_user_id`, ADD INDEX `%[1]s_user_id` (user_id, ended), " +
			"DROP INDEX `%[1]s_expires`, ADD INDEX `%[1]s_expires` (expires, kind, user_id)"}
	}
	for i, text := range texts {
		texts[i] = fmt.Sprintf(text, table)
	}
	return texts
}

// setupTimeout bounds the wait for another process that makes the table.
const setupTimeout = time.Minute

// migrate sees to it that the table is there, and that the connection and the table are
// such that nothing is lost.
func migrate(db *sql.DB, d Dialect, table string, texts statements) error {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("sqlstore: connecting: %w", err)
	}
	defer func() { _ = conn.Close() }() // it only goes back to the pool
	switch d {
	case SQLite:
		err = checkSQLite(ctx, db, conn)
	case PostgreSQL:
		err = checkPostgreSQL(ctx, conn)
	case MySQL:
		err = checkMySQL(ctx, conn)
	}
	if err != nil {
		return err
	}
	if err := makeTable(ctx, conn, d, table, texts); err != nil {
		return err
	}
	switch d {
	case SQLite:
	case PostgreSQL:
		return checkRights(ctx, conn, table)
	case MySQL:
		return checkEngine(ctx, conn, table)
	}
	return nil
}

// makeTable looks first, so that an application without the right to make tables can use
// one that is there.
func makeTable(ctx context.Context, conn *sql.Conn, d Dialect, table string, texts statements) error {
	works := func(text string) bool {
		_, err := conn.ExecContext(ctx, text)
		return err == nil
	}
	if works(texts.probe) {
		return nil
	}
	steps, doing := schema(d, table), "making the table"
	old := works(texts.probeOld)
	if old {
		steps, doing = upgrade(d, table), "adding the columns of this version to the table"
	}
	err := alone(ctx, conn, d, texts.probe, steps)
	if _, failed := conn.ExecContext(ctx, texts.probe); failed == nil {
		return nil // another process may have been faster
	} else if err == nil {
		err = failed
	}
	if !old && works(texts.exists) {
		return fmt.Errorf("sqlstore: the table %q is none of this package: set Config.Table to another name: %w", table, err)
	}
	return fmt.Errorf("sqlstore: %s %q: %w; the statements are: %s", doing, table, err, strings.Join(steps, "; "))
}

func checkSQLite(ctx context.Context, db *sql.DB, conn *sql.Conn) error {
	var version string
	if err := conn.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return fmt.Errorf("sqlstore: reading the version of SQLite: %w", err)
	}
	if err := checkVersion(version); err != nil {
		return err
	}
	timeout, err := busyTimeout(ctx, conn)
	if err != nil {
		return err
	}
	if timeout == 0 {
		return errors.New("sqlstore: without a busy timeout SQLite fails where it should wait: open the database with OpenSQLite, or set a busy_timeout in its DSN")
	}
	var number int
	var name, file string
	err = conn.QueryRowContext(ctx, "PRAGMA database_list").Scan(&number, &name, &file)
	if err != nil {
		return fmt.Errorf("sqlstore: reading the name of the file: %w", err)
	}
	if file == "" && db.Stats().MaxOpenConnections != 1 {
		return errors.New("sqlstore: each connection to :memory: has a database of its own: call db.SetMaxOpenConns(1), or use memstore")
	}
	return nil
}

func checkPostgreSQL(ctx context.Context, conn *sql.Conn) error {
	var encoding string
	if err := conn.QueryRowContext(ctx, "SHOW server_encoding").Scan(&encoding); err != nil {
		return fmt.Errorf("sqlstore: reading the encoding of the database: %w", err)
	}
	if encoding != "UTF8" {
		return fmt.Errorf("sqlstore: the encoding %s of the database does not hold every text: use a database that was made with ENCODING 'UTF8'", encoding)
	}
	return nil
}

// checkRights asks for the right that is used where nobody looks: by the removal of expired
// rows. Without one of the others requests fail, and report it. MySQL refuses to prepare what
// the user may not do.
func checkRights(ctx context.Context, conn *sql.Conn, table string) error {
	var may bool
	if err := conn.QueryRowContext(ctx, `SELECT has_table_privilege('"`+table+`"', 'DELETE')`).Scan(&may); err != nil {
		return fmt.Errorf("sqlstore: reading the rights on the table %q: %w", table, err)
	}
	if !may {
		return fmt.Errorf("sqlstore: without the right to DELETE, expired rows would stay in the table %[1]q: GRANT DELETE ON %[1]q to the role of the DSN", table)
	}
	return nil
}

// poolerTimeout bounds the search for a pooler that loses statements.
const poolerTimeout = 2 * time.Second

// checkPooler refuses a pooler that gives each transaction another connection and does not
// keep prepared statements: one is prepared, and run while another transaction has the
// server's connection. No other error counts, so such a pooler may be missed if it has few
// connections, and is if db has no two for that.
func checkPooler(ctx context.Context, db *sql.DB) error {
	if s := db.Stats(); s.MaxOpenConnections > 0 && s.MaxOpenConnections-s.InUse < 2 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, poolerTimeout)
	defer cancel() // which also ends the transaction
	var state interface{ SQLState() string }
	if err := runElsewhere(ctx, db); ctx.Err() == nil && errors.As(err, &state) {
		switch state.SQLState() {
		case "26000", "42P05": // there is no such statement; there is one of another client
			return fmt.Errorf("sqlstore: a pooler in front of PostgreSQL loses prepared statements, which would fail, or be run in each other's place: "+
				"have it keep them (max_prepared_statements above 0, PgBouncer 1.21 or later), or pool sessions: %w", err)
		}
	}
	return nil
}

func runElsewhere(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // it only goes back to the pool
	// Few others have three parameters, so that none is run if the names are mixed up.
	stmt, err := conn.PrepareContext(ctx, "SELECT $1::bigint, $2::bigint, $3::bigint")
	if err != nil {
		return err
	}
	defer func() { _ = stmt.Close() }() // the server may have lost it
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // it has changed nothing
	if _, err := tx.ExecContext(ctx, "SELECT 1"); err != nil {
		return err
	}
	_, err = stmt.ExecContext(ctx, 1, 2, 3)
	return err
}

func checkMySQL(ctx context.Context, conn *sql.Conn) error {
	var autocommit bool
	var in, through, out string
	err := conn.QueryRowContext(ctx, "SELECT @@autocommit, @@character_set_client, @@character_set_connection, @@character_set_results").
		Scan(&autocommit, &in, &through, &out)
	var settings map[string]string
	if err == nil {
		settings, err = variables(ctx, conn)
	}
	if err != nil {
		return fmt.Errorf("sqlstore: reading the settings of the connection: %w", err)
	}
	if !autocommit {
		return errors.New("sqlstore: without autocommit no change of a session would be committed: leave autocommit=0 out of the DSN")
	}
	isolation := cmp.Or(settings["tx_isolation"], settings["transaction_isolation"]) // MariaDB and MySQL have different names for it
	if strings.EqualFold(isolation, "READ-UNCOMMITTED") {
		return errors.New("sqlstore: READ-UNCOMMITTED can leave out sessions where all of a user's are to be ended: set another isolation level in the DSN")
	}
	for _, charset := range []string{in, through, out} {
		if charset != "utf8mb4" {
			return fmt.Errorf("sqlstore: the character set %s of the connection does not hold every text: set charset=utf8mb4 in the DSN, "+
				"and no character_set_connection", charset)
		}
	}
	const readsAndUpdates = 3
	if wait, _ := strconv.Atoi(settings["wsrep_sync_wait"]); settings["wsrep_on"] == "ON" && wait&readsAndUpdates != readsAndUpdates {
		slog.WarnContext(ctx, "sqlstore: a node of this cluster may not know yet what another one has acknowledged: sessions that were ended could still be used. "+
			"Set wsrep_sync_wait=3 in the DSN, or have all processes use the same node", "wsrep_sync_wait", wait)
	}
	return nil
}

// variables returns settings that not every server has.
func variables(ctx context.Context, conn *sql.Conn) (map[string]string, error) {
	rows, err := conn.QueryContext(ctx,
		"SHOW VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation', 'wsrep_on', 'wsrep_sync_wait')")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err below has told what went wrong
	settings := make(map[string]string)
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		settings[name] = value
	}
	return settings, rows.Err()
}

// checkEngine refuses a table that was made with the engine of the server's choice, which
// may have no transactions: a crash or a lost connection would leave half of a renewal.
func checkEngine(ctx context.Context, conn *sql.Conn, table string) error {
	var engine string
	err := conn.QueryRowContext(ctx, "SELECT ENGINE FROM information_schema.TABLES JOIN information_schema.ENGINES USING (ENGINE)"+
		" WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '"+table+"' AND TRANSACTIONS = 'NO'").Scan(&engine)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("sqlstore: reading the engine of the table %q: %w", table, err)
	}
	return fmt.Errorf("sqlstore: the table %q has the engine %s, and needs one with transactions: ALTER TABLE `%[1]s` ENGINE=InnoDB", table, engine)
}

// alone runs the statements that make or change the table under a lock, unless
// another process has done so by then. MySQL needs no lock: there it is one
// statement, and atomic.
func alone(ctx context.Context, conn *sql.Conn, d Dialect, probe string, texts []string) error {
	begin := []string{"BEGIN IMMEDIATE"}
	switch d {
	case SQLite:
	case PostgreSQL:
		// The lock ends with the transaction. Its number is any that others do not use.
		begin = []string{"BEGIN", "SELECT pg_advisory_xact_lock(7310033285720176485)", "SAVEPOINT probe"}
	case MySQL:
		_, err := conn.ExecContext(ctx, texts[0])
		return err
	}
	run := func(texts ...string) error {
		for _, text := range texts {
			if _, err := conn.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		return nil
	}
	err := run(begin...)
	if err == nil && run(probe) != nil {
		if d == PostgreSQL {
			err = run("ROLLBACK TO SAVEPOINT probe")
		}
		if err == nil {
			err = run(texts...)
		}
	}
	if err == nil {
		err = run("COMMIT")
	}
	if err != nil {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // the first error is the one to report
	}
	return err
}
