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

// DurablePostgres starts a PostgreSQL server that ends with the test.
func DurablePostgres(tb testing.TB) *Server {
	tb.Helper()
	p, dsn, err := postgres()
	return durable(tb, dsn, p, err)
}

var startPostgres = sync.OnceValues(func() (string, error) {
	p, dsn, err := postgres("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	if err != nil {
		return "", err
	}
	return dsn, p.start()
})

// postgres makes the files of a server.
func postgres(options ...string) (p program, dsn string, err error) {
	const installed = "/usr/lib/postgresql/*/bin"
	initdb, err := find("initdb", installed)
	if err != nil {
		return p, "", err
	}
	path, err := find("postgres", installed, filepath.Dir(initdb))
	if err != nil {
		return p, "", err
	}
	dir, err := directory("pg")
	if err != nil {
		return p, "", err
	}
	data := filepath.Join(dir, "data")
	if err := run(dir, initdb, "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"); err != nil {
		return p, "", err
	}
	args := append([]string{"-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "max_connections=300"}, options...)
	p = program{directory: dir, path: path, args: args, ready: "ready to accept connections", quit: os.Interrupt}
	return p, fmt.Sprintf("host=%s user=postgres dbname=postgres", dir), nil
}
