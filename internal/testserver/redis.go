package testserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	ended   chan struct{} // closed when the process has ended
	bus     int           // port on which the nodes of a Cluster talk
}

// Redis starts a Redis server that ends with the test. The test is skipped where
// redis-server is not installed. Options are those of its command line, such as
// "--maxmemory", "1mb".
func Redis(tb testing.TB, options ...string) *RedisServer {
	tb.Helper()
	return startRedis(tb, func(port string) []string { return redisArgs(tb, port, options...) })
}

func redisArgs(tb testing.TB, port string, options ...string) []string {
	tb.Helper()
	return append([]string{
		"--port", port, "--bind", "127.0.0.1", "--dir", tb.TempDir(), "--save", "", "--appendonly", "no", "--loglevel", "warning",
	}, options...)
}

// startRedis starts a server with the arguments for a port, on one that nobody takes
// before it does.
func startRedis(tb testing.TB, args func(port string) []string) *RedisServer {
	tb.Helper()
	if _, err := find("redis-server"); err != nil {
		Skip(tb, err)
	}
	const tries = 20
	for range tries {
		port := strconv.Itoa(redisPort(tb))
		s := &RedisServer{t: tb, Address: net.JoinHostPort("127.0.0.1", port), args: args(port)}
		if s.start() {
			return s
		}
	}
	tb.Fatalf("redis-server found no port in %d tries", tries)
	return nil
}

// SharedRedis returns the socket of a Redis server that the tests of the binary
// share. Without an installed server it skips the test.
func SharedRedis(tb testing.TB) string {
	tb.Helper()
	return get(tb, startSharedRedis)
}

var startSharedRedis = sync.OnceValues(func() (string, error) {
	path, err := find("redis-server")
	if err != nil {
		return "", err
	}
	dir, err := directory("redis")
	if err != nil {
		return "", err
	}
	socket := filepath.Join(dir, "redis.sock")
	p := program{directory: dir, path: path, ready: "eady to accept connections", quit: os.Interrupt, args: []string{
		"--port", "0", "--unixsocket", socket, "--unixsocketperm", "777", "--dir", dir, "--save", "", "--appendonly", "no",
	}}
	return socket, p.start()
})

// Restart starts the server again, empty, after [RedisServer.Kill].
func (s *RedisServer) Restart() {
	s.t.Helper()
	if !s.start() {
		s.t.Fatalf("redis-server ended: another process has taken %s", s.Address)
	}
}

// start starts the process and waits until it answers, and not another one that has taken
// the port meanwhile. It reports false if the process ends instead.
func (s *RedisServer) start() bool {
	s.t.Helper()
	s.process = exec.CommandContext(context.Background(), "redis-server", s.args...) // #nosec G204 -- arguments of the test itself
	s.process.Stderr = os.Stderr
	if err := s.process.Start(); err != nil {
		s.t.Fatalf("starting redis-server: %v", err)
	}
	s.t.Cleanup(s.Kill)
	process, ended := s.process, make(chan struct{})
	s.ended = ended
	go func() {
		defer close(ended)
		_ = process.Wait() // it is killed in the end
	}()
	own := fmt.Sprintf("process_id:%d\r", process.Process.Pid)
	answers := false
	redisWait(s.t, "redis-server to answer", func() bool {
		select {
		case <-ended:
			return true
		default:
		}
		_, err := s.Command("PING") // which waits for what it has yet to read
		if err != nil {
			return false
		}
		info, err := s.Command("INFO", "server")
		answers = err == nil && strings.Contains(info, own)
		return answers
	})
	return answers
}

// Kill ends the server as kill -9 does. It may be called twice.
func (s *RedisServer) Kill() {
	_ = s.process.Process.Signal(syscall.SIGCONT)
	_ = s.process.Process.Kill()
	<-s.ended
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
	dialer := net.Dialer{Timeout: time.Second}
	c, err := dialer.DialContext(context.Background(), "tcp", s.Address)
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
func RedisCluster(tb testing.TB) []*RedisServer {
	tb.Helper()
	const size, slots = 3, 16384
	nodes := make([]*RedisServer, size)
	for i := range nodes {
		nodes[i] = redisClusterNode(tb)
		from, to := i*slots/size, (i+1)*slots/size-1
		nodes[i].must("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(from), strconv.Itoa(to))
	}
	for _, node := range nodes[1:] {
		node.meet(nodes[0])
	}
	redisAgree(tb, nodes)
	return nodes
}

// RedisClusterNode adds a master without slots to a Cluster.
func RedisClusterNode(tb testing.TB, nodes []*RedisServer) *RedisServer {
	tb.Helper()
	node := redisClusterNode(tb)
	node.meet(nodes[0])
	redisAgree(tb, append(slices.Clip(nodes), node))
	return node
}

func redisClusterNode(tb testing.TB) *RedisServer {
	tb.Helper()
	var bus int
	s := startRedis(tb, func(port string) []string {
		bus = redisPort(tb)
		return redisArgs(tb, port, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus), "--cluster-node-timeout", "5000")
	})
	s.bus = bus
	return s
}

// meet makes two nodes of a Cluster know each other.
func (s *RedisServer) meet(other *RedisServer) {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(other.Address)
	s.must("CLUSTER", "MEET", "127.0.0.1", port, strconv.Itoa(other.bus))
}

// redisAgree waits until all nodes know each other and serve.
func redisAgree(tb testing.TB, nodes []*RedisServer) {
	tb.Helper()
	known := fmt.Sprintf("cluster_known_nodes:%d\r", len(nodes))
	for _, node := range nodes {
		redisWait(tb, "the cluster to form", func() bool {
			info, err := node.Command("CLUSTER", "INFO")
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_size:3") && strings.Contains(info, known)
		})
	}
}

// RedisSentinel starts a Sentinel that makes a replica the master once it has not
// heard of the master for half a second.
func RedisSentinel(tb testing.TB, name string, master *RedisServer) *RedisServer {
	tb.Helper()
	host, port, _ := net.SplitHostPort(master.Address)
	config := filepath.Join(tb.TempDir(), "sentinel.conf") // it keeps its state there
	lines := []string{
		strings.Join([]string{"sentinel monitor", name, host, port, "1"}, " "),
		"sentinel down-after-milliseconds " + name + " 500",
		"sentinel failover-timeout " + name + " 5000",
	}
	if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	return startRedis(tb, func(port string) []string {
		return []string{config, "--sentinel", "--port", port, "--bind", "127.0.0.1"}
	})
}

func (s *RedisServer) must(args ...string) {
	s.t.Helper()
	if _, err := s.Command(args...); err != nil {
		s.t.Fatalf("redis-server, %s: %v", args, err)
	}
}

// redisPort returns a port that was free a moment ago.
func redisPort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed in the next line
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func redisWait(tb testing.TB, what string, ready func() bool) {
	tb.Helper()
	for end := time.Now().Add(15 * time.Second); !ready(); {
		if time.Now().After(end) {
			tb.Fatalf("waited 15 s for %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
