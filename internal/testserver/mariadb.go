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

var startMariaDB = sync.OnceValues(func() (string, error) {
	install, err := find("mariadb-install-db")
	if err != nil {
		return "", err
	}
	mariadbd, err := find("mariadbd", "/usr/sbin", "/usr/libexec")
	if err != nil {
		return "", err
	}
	dir, err := directory("mdb")
	if err != nil {
		return "", err
	}
	data, socket := "--datadir="+filepath.Join(dir, "data"), filepath.Join(dir, "sock")
	if err := run(dir, install, "--no-defaults", data, "--auth-root-authentication-method=normal"); err != nil {
		return "", err
	}
	err = start(dir, "ready for connections", syscall.SIGTERM, mariadbd, "--no-defaults", data,
		"--socket="+socket, "--pid-file="+filepath.Join(dir, "pid"), "--skip-networking", "--max-connections=300",
		"--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF", "--performance-schema=OFF")
	return fmt.Sprintf("root@unix(%s)/test", socket), err
})
