package redisstore_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// TestSentinelFailover kills the master of two servers that a Sentinel watches.
func TestSentinelFailover(t *testing.T) {
	testserver.Slow(t)
	master := testserver.Redis(t)
	host, port, err := net.SplitHostPort(master.Address)
	require.NoError(t, err)
	replica := testserver.Redis(t, "--replicaof", host, port)
	require.Eventually(t, func() bool {
		return strings.Contains(command(t, replica, "INFO", "replication"), "master_link_status:up")
	}, 10*time.Second, 10*time.Millisecond)
	sentinel := testserver.RedisSentinel(t, "main", master)

	client := connectWith(t, rueidis.ClientOption{
		InitAddress: []string{sentinel.Address},
		Sentinel:    rueidis.SentinelOption{MasterSet: "main"},
	})
	b := backend(t, client)
	create(t, b, newID(1), record("alice", nil))
	create(t, b, newID(2), record("alice", nil))
	waitCached(t, loader(t, b, newID(1)), master)
	require.Eventually(t, func() bool { // the Sentinel has found the replica, and it has the sessions
		return strings.Contains(command(t, sentinel, "INFO", "sentinel"), "slaves=1") &&
			command(t, replica, "EXISTS", "session:id:"+newID(2)) == "1"
	}, 15*time.Second, 50*time.Millisecond)
	master.Kill()
	require.Eventually(t, func() bool {
		found, err := b.Delete(t.Context(), newID(2))
		return err == nil && found
	}, 20*time.Second, 50*time.Millisecond, "the store must go on with the new master")
	waitCached(t, loader(t, b, newID(1)), replica)
	_, found, err := b.Load(t.Context(), newID(2))
	require.NoError(t, err)
	assert.False(t, found)

	other := backend(t, connect(t, replica.Address), redisstore.Config{CacheBytes: -1})
	_, err = other.Delete(t.Context(), newID(1))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return loader(t, b, newID(1))() != nil }, time.Second, time.Millisecond,
		"a change on the new master must be seen")
}

// TestSentinelIsSilent: the machine of one Sentinel is gone while the application starts.
func TestSentinelIsSilent(t *testing.T) {
	sentinel := testserver.RedisSentinel(t, "main", testserver.Redis(t))
	opened := make(chan error, 1)
	go func() {
		s, err := redisstore.Open("redis://" + silent(t) + "?dial_timeout=200ms&master_set=main&addr=" + sentinel.Address)
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		assert.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Error("the Sentinel that is silent must be given up")
	}
}

// silent returns an address that does not answer, as that of a machine that is gone: the
// queue of its socket is full.
func silent(t *testing.T) string {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, syscall.Close(socket)) })
	require.NoError(t, syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(socket, 0))
	name, err := syscall.Getsockname(socket)
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	dialer := net.Dialer{Timeout: 200 * time.Millisecond}
	for {
		c, err := dialer.DialContext(t.Context(), "tcp", address)
		if err != nil {
			return address
		}
		t.Cleanup(func() { assert.NoError(t, c.Close()) })
	}
}

// TestSentinelHangs: the store asks the next Sentinel, or it would not be told of the next
// master.
func TestSentinelHangs(t *testing.T) {
	master := testserver.Redis(t)
	first, second := testserver.RedisSentinel(t, "main", master), testserver.RedisSentinel(t, "main", master)
	open(t, first.Address+"?write_timeout=200ms&master_set=main&addr="+second.Address)
	asks := func(sentinel *testserver.RedisServer) bool {
		return regexp.MustCompile(` sub=[1-9]`).MatchString(command(t, sentinel, "CLIENT", "LIST"))
	}
	require.True(t, asks(first))
	require.False(t, asks(second))
	first.Pause()
	require.Eventually(t, func() bool { return asks(second) }, 10*time.Second, 10*time.Millisecond)
}

// TestSentinelTLS: Sentinel and the master are behind programs that end TLS.
func TestSentinelTLS(t *testing.T) {
	master := &testserver.RedisServer{Address: endsTLS(t, testserver.Redis(t))}
	sentinel := endsTLS(t, testserver.RedisSentinel(t, "main", master))
	s, err := redisstore.Open("rediss://" + sentinel + "?skip_verify=true&master_set=main")
	require.NoError(t, err)
	assert.NoError(t, s.Close())
}

// endsTLS starts a proxy that ends TLS in front of a server, and returns its address.
func endsTLS(t *testing.T, server *testserver.RedisServer) string {
	t.Helper()
	certificate := httptest.NewTLSServer(nil)
	certificate.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", certificate.TLS)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = client.Close() }()
				s, err := new(net.Dialer).DialContext(context.Background(), "tcp", server.Address)
				if err != nil {
					return
				}
				defer func() { _ = s.Close() }()
				go func() {
					_, _ = io.Copy(s, client)
					_ = s.Close()
				}()
				_, _ = io.Copy(client, s)
			}()
		}
	}()
	return l.Addr().String()
}
