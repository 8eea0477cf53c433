// Package testserver starts private database servers for tests, from programs
// that are installed. They listen on a socket in a directory of their own.
//
// [Postgres] and [MariaDB] are started once for a test binary, and lose nothing
// that anybody wants to keep: durability is off. The binary's TestMain is
//
//	func TestMain(m *testing.M) { testserver.Main(m) }
//
// Servers that a test may kill are its own: [DurablePostgres], [DurableMariaDB]
// and [Redis].
package testserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Main runs the tests and stops the servers that they started.
func Main(m *testing.M) {
	defer stopAll()
	m.Run()
}

// Long reports whether tests are to be thorough: each race as often, each fault as long
// as it takes to be sure. That is so with SESSIONKIT_TESTS=long, as in .ci/run, and with
// SESSIONKIT_TESTS=longest.
func Long() bool { return os.Getenv("SESSIONKIT_TESTS") == "long" || Longest() }

// Longest reports whether each race is to be run many times more often than that.
func Longest() bool { return os.Getenv("SESSIONKIT_TESTS") == "longest" }

// Slow skips a test that takes long, unless tests are to be thorough.
func Slow(tb testing.TB) {
	tb.Helper()
	if !Long() {
		tb.Skip("takes long: with SESSIONKIT_TESTS=long it runs, as in .ci/run")
	}
}

// started holds the servers of this test binary.
var started struct {
	sync.Mutex
	servers []*server
}

func stopAll() {
	started.Lock()
	defer started.Unlock()
	for _, s := range slices.Backward(started.servers) {
		s.stop()
	}
	started.servers = nil
}

// errMissing is the error of a program that is not installed.
var errMissing = errors.New("not installed")

// get returns the DSN of a server that start starts, or skips the test.
func get(tb testing.TB, start func() (string, error)) string {
	tb.Helper()
	dsn, err := start()
	if errors.Is(err, errMissing) {
		Skip(tb, err)
	}
	if err != nil {
		tb.Fatalf("testserver: %v", err)
	}
	return dsn
}

// Skip skips a test for want of something, such as a program. In CI, where everything is
// there, the test fails.
func Skip(tb testing.TB, missing error) {
	tb.Helper()
	if os.Getenv("CI") != "" {
		tb.Fatalf("testserver: no test may be skipped in CI: %v", missing)
	}
	tb.Skipf("skipped: %v", missing)
}

// find returns the path of a program in PATH or one of the directories.
func find(program string, directories ...string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	for _, pattern := range directories {
		paths, _ := filepath.Glob(filepath.Join(pattern, program))
		if len(paths) > 0 {
			return paths[len(paths)-1], nil // the newest
		}
	}
	return "", fmt.Errorf("%s is %w", program, errMissing)
}

// A server is a running program.
type server struct {
	command   *exec.Cmd
	directory string
	quit      os.Signal
	ended     chan struct{}
}

// A program is what it takes to run a server.
type program struct {
	directory string // its own, removed with the server
	path      string
	args      []string
	ready     string    // what it writes when it can be used
	quit      os.Signal // what makes it end in order
}

// directory makes a directory that the owner of the server's process can use. The
// test's own one is closed to it. Its name is short, as names of sockets must be.
func directory(name string) (string, error) {
	dir, err := os.MkdirTemp("", "test-"+name+"-")
	if err != nil {
		return "", err
	}
	return dir, give(dir)
}

// run runs a program to its end.
func run(dir, program string, args ...string) error {
	command := exec.CommandContext(context.Background(), program, args...) // #nosec G204 -- programs of this package's choice
	command.Dir = dir
	own(command)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, out)
	}
	return nil
}

// startTimeout bounds the wait for a server to say that it is ready.
const startTimeout = time.Minute

// start starts a server that ends with the tests of the binary.
func (p program) start() error {
	s, err := p.launch()
	if s != nil {
		started.Lock()
		started.servers = append(started.servers, s)
		started.Unlock()
	}
	return err
}

// launch starts a server and waits until it writes that it is ready.
func (p program) launch() (*server, error) {
	command := exec.CommandContext(context.Background(), p.path, p.args...) // #nosec G204 -- programs of this package's choice
	command.Dir = p.directory
	own(command)
	said, err := command.StderrPipe()
	if err != nil {
		return nil, err
	}
	command.Stdout = command.Stderr // Redis says there that it is ready
	if err := command.Start(); err != nil {
		return nil, err
	}
	s := &server{command: command, directory: p.directory, quit: p.quit, ended: make(chan struct{})}
	var log bytes.Buffer
	isReady := make(chan bool, 1)
	go func() {
		defer close(s.ended)
		lines := bufio.NewScanner(said)
		for waiting := true; lines.Scan(); {
			if !waiting {
				continue
			}
			log.WriteString(lines.Text() + "\n")
			if waiting = !strings.Contains(lines.Text(), p.ready); !waiting {
				isReady <- true
			}
		}
		isReady <- false
		_ = command.Wait() // it was told to stop
	}()
	select {
	case ok := <-isReady:
		if !ok {
			return s, fmt.Errorf("%s ended:\n%s", filepath.Base(p.path), log.String())
		}
		return s, nil
	case <-time.After(startTimeout):
		return s, fmt.Errorf("%s did not start within %v", filepath.Base(p.path), startTimeout)
	}
}

func (s *server) stop() {
	_ = s.command.Process.Signal(s.quit)
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
		_ = s.command.Process.Signal(syscall.SIGKILL)
		<-s.ended
	}
	_ = os.RemoveAll(s.directory)
}
