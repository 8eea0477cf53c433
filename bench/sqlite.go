package main

import (
	"database/sql"
	"path/filepath"

	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

// openSQLite opens a file for a peer. All of them get the settings of
// [sqlstore.OpenSQLite]: without them a write takes milliseconds, and what is
// compared is the disk.
func openSQLite(s surroundings, name string) (*sql.DB, error) {
	path := filepath.Join(s.dir, name)
	db, err := sqlstore.OpenSQLite(path)
	if err != nil {
		return nil, err
	}
	if s.tally != nil {
		counted := sql.OpenDB(s.tally.connector(db, path))
		counted.SetMaxIdleConns(maxAtATime)
		s.close.add(db.Close)
		db = counted
	}
	s.close.add(db.Close)
	return db, nil
}
