package testserver

import (
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// MariaDB returns the DSN of a MariaDB server in the form of go-sql-driver/mysql,
// without parameters, with an empty database that the tests of the binary share.
// Without an installed server it skips the test.
func MariaDB(tb testing.TB) string {
	tb.Helper()
	return get(tb, startMariaDB)
}

// DurableMariaDB starts a MariaDB server that ends with the test. Options are those of
// its command line, such as "--sysdate-is-now".
func DurableMariaDB(tb testing.TB, options ...string) *Server {
	tb.Helper()
	p, dsn, err := mariaDB(append(options, "--innodb-flush-log-at-trx-commit=1")...)
	return durable(tb, dsn, p, err)
}

var startMariaDB = sync.OnceValues(func() (string, error) {
	p, dsn, err := mariaDB("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF")
	if err != nil {
		return "", err
	}
	return dsn, p.start()
})

// mariaDB makes the files of a server.
func mariaDB(options ...string) (p program, dsn string, err error) {
	install, err := find("mariadb-install-db")
	if err != nil {
		return p, "", err
	}
	mariadbd, err := find("mariadbd", "/usr/sbin", "/usr/libexec")
	if err != nil {
		return p, "", err
	}
	dir, err := directory("mdb")
	if err != nil {
		return p, "", err
	}
	data, socket := "--datadir="+filepath.Join(dir, "data"), filepath.Join(dir, "sock")
	if err := run(dir, install, "--no-defaults", data, "--auth-root-authentication-method=normal"); err != nil {
		return p, "", err
	}
	args := append([]string{
		"--no-defaults", data, "--socket=" + socket, "--pid-file=" + filepath.Join(dir, "pid"),
		"--skip-networking", "--max-connections=300", "--performance-schema=OFF",
	}, options...)
	p = program{directory: dir, path: mariadbd, args: args, ready: "ready for connections", quit: syscall.SIGTERM}
	return p, fmt.Sprintf("root@unix(%s)/test", socket), nil
}
