package reliability_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// some is how many requests of the load must have met a fault.
const some = clients

// failures returns how many requests got no success.
func (l *load) failures() int64 { return l.unavailable.Load() + l.refused.Load() }

// meet waits until the load has met the fault.
func (l *load) meet(t *testing.T) {
	t.Helper()
	before := l.failures()
	eventually(t, "requests to meet the fault", func() bool { return l.failures() >= before+some })
}

func kill(t *testing.T, s *site) {
	t.Helper()
	for range either(2, 20) {
		p := s.prepare(t)
		s.machine.Kill()
		s.load.meet(t)
		s.probe(p)
		s.machine.Restart()
		s.load.work(t, 10)
	}
}

// hang stops the server without closing its connections. Redis may answer reads
// from its cache for a moment.
func hang(t *testing.T, s *site) {
	t.Helper()
	server := s.machine.(interface {
		Pause()
		Resume()
	})
	p := s.prepare(t)
	ended := time.After(either(3*time.Second, 10*time.Second))
	server.Pause()
	defer server.Resume()
	time.Sleep(cacheLease)
	s.load.meet(t)
	s.probe(p)
	<-ended
}

// cacheLease is how long the cache of store/redisstore answers for a server that
// hangs, at most.
const cacheLease = 1500 * time.Millisecond

// cut cuts connections after a number of bytes, in both directions.
func cut(t *testing.T, s *site) {
	t.Helper()
	s.proxy.disturb(func(n int) (int, time.Duration) {
		if rand.IntN(40) == 0 {
			return rand.IntN(n + 1), 0
		}
		return n, 0
	})
	defer s.proxy.disturb(nil)
	goal := s.proxy.cuts.Load() + int64(either(60, 300))
	eventually(t, "connections to be cut", func() bool { return s.proxy.cuts.Load() >= goal })
}

// slow delays what goes to the server and what comes back.
func slow(t *testing.T, s *site) {
	t.Helper()
	s.proxy.disturb(func(n int) (int, time.Duration) { return n, rand.N(s.timeout * 3 / 4) })
	defer s.proxy.disturb(nil)
	for range either(2, 5) {
		s.load.meet(t)
	}
}

// outOfMemory is what a server with a limit and nothing to evict says.
func outOfMemory(t *testing.T, s *site) {
	t.Helper()
	p := s.prepare(t)
	s.command(t, "CONFIG", "SET", "maxmemory-policy", "noeviction")
	s.command(t, "CONFIG", "SET", "maxmemory", "1")
	s.load.meet(t)
	s.probe(p)
	s.command(t, "CONFIG", "SET", "maxmemory", "0")
}

// readOnly makes the server one that takes no writes, as after a failover.
func readOnly(t *testing.T, s *site) {
	t.Helper()
	begin, end := s.readOnly(t)
	p := s.prepare(t)
	begin()
	s.load.meet(t)
	s.probe(p)
	end()
}

// lock holds the lock of the file that all writers need.
func lock(t *testing.T, s *site) {
	t.Helper()
	p := s.prepare(t)
	conn, err := s.db.Conn(context.Background())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.ExecContext(context.Background(), "BEGIN IMMEDIATE")
	require.NoError(t, err)
	s.load.meet(t)
	s.probe(p)
	_, err = conn.ExecContext(context.Background(), "ROLLBACK")
	require.NoError(t, err)
}

// fullDisk fills the disk with a file.
func fullDisk(t *testing.T, s *site) {
	t.Helper()
	p := s.prepare(t)
	filler := filepath.Join(filepath.Dir(s.dsn), "filler")
	f, err := os.Create(filler)
	require.NoError(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	s.load.meet(t)
	s.probe(p)
	require.NoError(t, f.Close())
	require.NoError(t, os.Remove(filler))
}
