package testserver

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Postgres returns the DSN of a PostgreSQL server in the form of libpq, with an
// empty database that the tests of the binary share. Without an installed server
// it skips the test.
func Postgres(tb testing.TB) string {
	tb.Helper()
	return get(tb, startPostgres)
}

var startPostgres = sync.OnceValues(func() (string, error) {
	const installed = "/usr/lib/postgresql/*/bin"
	initdb, err := find("initdb", installed)
	if err != nil {
		return "", err
	}
	postgres, err := find("postgres", installed, filepath.Dir(initdb))
	if err != nil {
		return "", err
	}
	dir, err := directory("pg")
	if err != nil {
		return "", err
	}
	data := filepath.Join(dir, "data")
	if err := run(dir, initdb, "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"); err != nil {
		return "", err
	}
	err = start(dir, "ready to accept connections", os.Interrupt, postgres, "-D", data, "-k", dir,
		"-c", "listen_addresses=", "-c", "max_connections=300",
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	return fmt.Sprintf("host=%s user=postgres dbname=postgres", dir), err
})
