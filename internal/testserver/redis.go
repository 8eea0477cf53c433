package testserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A RedisServer is a private Redis server on a port of its own.
type RedisServer struct {
	t       testing.TB
	args    []string
	Address string
	process *exec.Cmd
}

// Redis starts a Redis server that ends with the test. The test is skipped where
// redis-server is not installed. Options are those of its command line, such as
// "--maxmemory", "1mb".
func Redis(t testing.TB, options ...string) *RedisServer {
	t.Helper()
	return startRedis(t, redisPort(t), options)
}

func startRedis(t testing.TB, port int, options []string) *RedisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed: tests against Redis are skipped")
	}
	s := &RedisServer{t: t, Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	s.args = append([]string{
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", t.TempDir(),
		"--save", "", "--appendonly", "no", "--loglevel", "warning",
	}, options...)
	s.Restart()
	t.Cleanup(s.Kill)
	return s
}

// Restart starts the server again, empty, after [RedisServer.Kill].
func (s *RedisServer) Restart() {
	s.t.Helper()
	s.process = exec.Command("redis-server", s.args...) // #nosec G204 -- arguments of the test itself
	s.process.Stderr = os.Stderr
	if err := s.process.Start(); err != nil {
		s.t.Fatalf("starting redis-server: %v", err)
	}
	redisWait(s.t, "redis-server to answer", func() bool {
		_, err := s.Command("PING")
		return err == nil
	})
}

// Kill ends the server as kill -9 does. It may be called twice.
func (s *RedisServer) Kill() {
	_ = s.process.Process.Signal(syscall.SIGCONT)
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

// Pause makes the server hang, its connections open, until [RedisServer.Resume].
func (s *RedisServer) Pause() { s.signal(syscall.SIGSTOP) }

// Resume ends [RedisServer.Pause].
func (s *RedisServer) Resume() { s.signal(syscall.SIGCONT) }

func (s *RedisServer) signal(signal os.Signal) {
	s.t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		s.t.Fatalf("signaling redis-server: %v", err)
	}
}

// Command runs a command, whose arguments have no spaces, on a connection of its
// own and returns the reply, if it is one line or one text.
func (s *RedisServer) Command(args ...string) (string, error) {
	c, err := net.DialTimeout("tcp", s.Address, time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fprintf(c, "%s\r\n", strings.Join(args, " ")); err != nil {
		return "", err
	}
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSpace(line)
	switch line[0] {
	case '-':
		return "", errors.New(line[1:])
	case '$':
		n, err := strconv.Atoi(line[1:])
		if err != nil || n < 0 {
			return "", err
		}
		text := make([]byte, n)
		_, err = io.ReadFull(r, text)
		return string(text), err
	}
	return line[1:], nil
}

// RedisCluster starts a Redis Cluster of three masters that ends with the test.
func RedisCluster(t testing.TB) []*RedisServer {
	t.Helper()
	const size, slots = 3, 16384
	nodes := make([]*RedisServer, size)
	bus := make([]int, size)
	for i := range nodes {
		bus[i] = redisPort(t)
		nodes[i] = startRedis(t, redisPort(t), []string{
			"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus[i]), "--cluster-node-timeout", "5000",
		})
		from, to := i*slots/size, (i+1)*slots/size-1
		nodes[i].must("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(from), strconv.Itoa(to))
	}
	for i, node := range nodes[1:] {
		_, port, _ := net.SplitHostPort(node.Address)
		nodes[0].must("CLUSTER", "MEET", "127.0.0.1", port, strconv.Itoa(bus[i+1]))
	}
	for _, node := range nodes {
		redisWait(t, "the cluster to form", func() bool {
			info, err := node.Command("CLUSTER", "INFO")
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_size:3")
		})
	}
	return nodes
}

func (s *RedisServer) must(args ...string) {
	s.t.Helper()
	if _, err := s.Command(args...); err != nil {
		s.t.Fatalf("redis-server, %s: %v", args, err)
	}
}

// redisPort returns a port that was free a moment ago.
func redisPort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed in the next line
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func redisWait(t testing.TB, what string, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !ready(); {
		if time.Now().After(end) {
			t.Fatalf("waited 15 s for %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
