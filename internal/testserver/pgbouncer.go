package testserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// PgBouncer starts a pooler in front of the server of [Postgres], which gives each
// transaction another connection and loses prepared statements. It returns its DSN in the
// form of libpq. It ends with the test. settings are further lines of its configuration.
func PgBouncer(tb testing.TB, settings ...string) (dsn string) {
	tb.Helper()
	p, dsn, err := pgBouncer(Postgres(tb), settings)
	if errors.Is(err, errMissing) {
		Skip(tb, err)
	}
	if err != nil {
		tb.Fatalf("testserver: %v", err)
	}
	s, err := p.launch()
	if s != nil {
		tb.Cleanup(s.stop)
	}
	if err != nil {
		tb.Fatalf("testserver: %v", err)
	}
	return dsn
}

func pgBouncer(server string, settings []string) (p program, dsn string, err error) {
	path, err := find("pgbouncer", "/usr/sbin")
	if err != nil {
		return p, "", err
	}
	version, err := exec.CommandContext(context.Background(), path, "--version").Output() // #nosec G204 -- a program of this package's choice
	if err != nil {
		return p, "", err
	}
	var minor int
	if _, err := fmt.Sscanf(string(version), "PgBouncer 1.%d", &minor); err == nil && minor >= 21 {
		settings = append(settings, "max_prepared_statements = 0") // earlier ones have no such setting
	}
	dir, err := directory("pgb")
	if err != nil {
		return p, "", err
	}
	file := filepath.Join(dir, "pgbouncer.ini")
	lines := append([]string{
		"[databases]", "postgres = " + server, "[pgbouncer]", "unix_socket_dir = " + dir, "listen_port = 6432", "auth_type = any",
		"pool_mode = transaction", "ignore_startup_parameters = extra_float_digits", // which lib/pq sets
	}, settings...)
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil { // #nosec G306 -- the server's account reads it
		return p, "", err
	}
	p = program{directory: dir, path: path, args: []string{file}, ready: "process up", quit: syscall.SIGTERM}
	return p, fmt.Sprintf("host=%s port=6432 user=postgres dbname=postgres sslmode=disable", dir), nil
}
