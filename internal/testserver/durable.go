package testserver

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// A Server is one that a test may kill and start again. What it has acknowledged
// it still has then.
type Server struct {
	DSN string

	tb      testing.TB
	program program
	running *server
}

// durable starts a server that ends with the test.
func durable(tb testing.TB, dsn string, p program, err error) *Server {
	tb.Helper()
	if errors.Is(err, errMissing) {
		Skip(tb, err)
	}
	if err != nil {
		tb.Fatalf("testserver: %v", err)
	}
	s := &Server{DSN: dsn, tb: tb, program: p}
	tb.Cleanup(func() {
		s.Kill()
		_ = os.RemoveAll(p.directory)
	})
	s.Restart()
	return s
}

// Restart starts the server again after [Server.Kill].
func (s *Server) Restart() {
	s.tb.Helper()
	var err error
	if s.running, err = s.program.launch(); err != nil {
		s.tb.Fatalf("testserver: %v", err)
	}
}

// Kill ends the server and what it has started, as kill -9 does. It may be called
// twice.
func (s *Server) Kill() {
	if s.running == nil {
		return
	}
	s.signal(syscall.SIGSTOP) // it starts no others meanwhile
	s.signal(syscall.SIGKILL)
	<-s.running.ended
	s.running = nil
}

// Pause makes the server hang, its connections open, until [Server.Resume].
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume ends [Server.Pause].
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) {
	process := s.running.command.Process
	if signal == syscall.SIGSTOP {
		_ = process.Signal(signal)
	}
	for _, pid := range children(process.Pid) {
		_ = syscall.Kill(pid, signal)
	}
	_ = process.Signal(signal)
}
