// Package testserver starts private database servers for tests, from programs
// that are installed. They listen on a socket in a directory of their own and
// lose nothing that anybody wants to keep: durability is off.
//
// Each server is started once for a test binary, whose TestMain is
//
//	func TestMain(m *testing.M) { testserver.Main(m) }
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
		skip(tb, err)
	}
	if err != nil {
		tb.Fatalf("testserver: %v", err)
	}
	return dsn
}

// skip skips a test for want of a program. In CI, where all are there, it fails.
func skip(tb testing.TB, missing error) {
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

// start starts a server and waits until it writes ready.
func start(dir, ready string, quit os.Signal, program string, args ...string) error {
	command := exec.CommandContext(context.Background(), program, args...) // #nosec G204 -- programs of this package's choice
	command.Dir = dir
	own(command)
	stderr, err := command.StderrPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	s := &server{command: command, directory: dir, quit: quit, ended: make(chan struct{})}
	started.Lock()
	started.servers = append(started.servers, s)
	started.Unlock()

	var said bytes.Buffer
	isReady := make(chan bool, 1)
	go func() {
		defer close(s.ended)
		lines := bufio.NewScanner(stderr)
		for waiting := true; lines.Scan(); {
			if !waiting {
				continue
			}
			said.WriteString(lines.Text() + "\n")
			if waiting = !strings.Contains(lines.Text(), ready); !waiting {
				isReady <- true
			}
		}
		isReady <- false
		_ = command.Wait() // it was told to stop
	}()
	select {
	case ok := <-isReady:
		if !ok {
			return fmt.Errorf("%s ended:\n%s", filepath.Base(program), said.String())
		}
		return nil
	case <-time.After(startTimeout):
		return fmt.Errorf("%s did not start within %v", filepath.Base(program), startTimeout)
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
