package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// TestSwappedDatabases: the server announces no key when it puts another database in
// the place of this one.
func TestSwappedDatabases(t *testing.T) {
	server := testserver.Redis(t)
	b := backend(t, connect(t, server.Address))
	create(t, b, newID(1), record("alice", nil))
	waitCached(t, loader(t, b, newID(1)), server)
	_, err := server.Command("SWAPDB", "0", "1")
	require.NoError(t, err)
	began := time.Now()
	require.Eventually(t, func() bool {
		_, found, err := b.Load(t.Context(), newID(1))
		return err == nil && !found
	}, 10*time.Second, time.Millisecond, "the cache must not answer for ever")
	assert.Less(t, time.Since(began), 2*time.Second)
	create(t, b, newID(2), record("alice", nil))
	waitCached(t, loader(t, b, newID(2)), server) // and works again
}

// TestMarkStays: the cache goes on answering after the mark was made to stay again,
// and when it was dropped by the server.
func TestMarkStays(t *testing.T) {
	server := testserver.Redis(t)
	client := connect(t, server.Address)
	b := backend(t, client)
	create(t, b, newID(1), record("alice", nil))
	waitCached(t, loader(t, b, newID(1)), server)
	marks, err := client.Do(t.Context(), client.B().Keys().Pattern("session:cache:*").Build()).AsStrSlice()
	require.NoError(t, err)
	require.Len(t, marks, 1)
	assert.Positive(t, number(t, client, "PTTL", marks[0]))
	require.NoError(t, do(t, client, "DEL", marks[0]).Error())
	require.Eventually(t, func() bool { return number(t, client, "EXISTS", marks[0]) == 1 }, 10*time.Second, time.Millisecond)
	waitCached(t, loader(t, b, newID(1)), server)
}

// TestMarkIsRefused: without the right to write the mark there is still a cache.
func TestMarkIsRefused(t *testing.T) {
	server := testserver.Redis(t)
	_, err := server.Command("ACL", "SETUSER", "default", "-set")
	require.NoError(t, err)
	b := backend(t, connect(t, server.Address))
	create(t, b, newID(1), record("alice", nil))
	waitCached(t, loader(t, b, newID(1)), server)
}

// TestMarkOnAServerThatTakesNoWrites: a process that starts meanwhile has a cache all the
// same, wakes no stream, and notices another database in the place of this one.
func TestMarkOnAServerThatTakesNoWrites(t *testing.T) {
	for refusal, test := range map[string]struct {
		begin, end string
		swaps      bool // it puts another database in the place of this one meanwhile
	}{
		"OOM":        {begin: "CONFIG SET maxmemory 1", end: "CONFIG SET maxmemory 0", swaps: true},
		"NOREPLICAS": {begin: "CONFIG SET min-replicas-to-write 1", end: "CONFIG SET min-replicas-to-write 0"},
		"MISCONF":    {begin: "BGSAVE", end: "CONFIG SET stop-writes-on-bgsave-error no"},
	} {
		t.Run(refusal, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			server := testserver.Redis(t, "--dir", dir, "--dbfilename", "taken", "--save", "3600", "1000000")
			require.NoError(t, os.Mkdir(filepath.Join(dir, "taken"), 0o700)) // so that no dump can take that name
			client := connect(t, server.Address)
			create(t, backend(t, client, redisstore.Config{CacheBytes: -1}), newID(1), record("alice", nil))
			command(t, server, test.begin)
			refused := func() bool {
				err := do(t, client, "SET", "key", "1").Error()
				return err != nil && strings.HasPrefix(err.Error(), refusal)
			}
			require.Eventually(t, refused, 10*time.Second, 10*time.Millisecond)

			b := backend(t, client)
			load := loader(t, b, newID(1))
			waitCached(t, load, server)
			var woken atomic.Int64
			defer b.(store.WatchingBackend).Watch(newID(1), func() { woken.Add(1) })()
			before := reads(t, server)
			for began := time.Now(); time.Since(began) < 2*time.Second; time.Sleep(10 * time.Millisecond) { // four beats
				require.NoError(t, load())
			}
			assert.LessOrEqual(t, reads(t, server)-before, 1)
			assert.LessOrEqual(t, woken.Load(), int64(1))

			if !test.swaps {
				_, err := server.Command("SWAPDB", "0", "1")
				require.ErrorContains(t, err, refusal)
				command(t, server, test.end)
			}
			command(t, server, "SWAPDB", "0", "1")
			require.Eventually(t, func() bool { return load() != nil }, 10*time.Second, time.Millisecond, "the cache must not answer for ever")
			if test.swaps {
				require.True(t, refused())
				command(t, server, test.end)
			}
			create(t, b, newID(2), record("alice", nil))
			waitCached(t, loader(t, b, newID(2)), server) // and works again
			marks, err := client.Do(t.Context(), client.B().Keys().Pattern("session:cache:*").Build()).AsStrSlice()
			require.NoError(t, err)
			assert.Len(t, marks, 1)
		})
	}
}

func replicaOf(t *testing.T, master *testserver.RedisServer) *testserver.RedisServer {
	t.Helper()
	host, port, err := net.SplitHostPort(master.Address)
	require.NoError(t, err)
	replica := testserver.Redis(t, "--replicaof", host, port)
	require.Eventually(t, func() bool {
		info, err := replica.Command("INFO", "replication")
		return err == nil && strings.Contains(info, "master_link_status:up")
	}, 20*time.Second, 10*time.Millisecond)
	return replica
}

// changePlaces makes the replica the master, and the master its replica, which keeps its
// connections.
func changePlaces(t *testing.T, master, replica *testserver.RedisServer) {
	t.Helper()
	host, port, err := net.SplitHostPort(replica.Address)
	require.NoError(t, err)
	command(t, replica, "REPLICAOF", "NO", "ONE")
	command(t, master, "REPLICAOF", host, port)
}

// TestReplicas: with Replicas a session that was ended has ended on the replicas
// too, or the operation fails.
func TestReplicas(t *testing.T) {
	testserver.Slow(t)
	master := testserver.Redis(t)
	replica := replicaOf(t, master)
	b := backend(t, connect(t, master.Address), redisstore.Config{Replicas: 1, Store: store.Config{Timeout: time.Second}})
	there := func(id string) string {
		ended, err := replica.Command("HGET", "session:id:"+id, "m")
		require.NoError(t, err)
		return strings.TrimSpace(ended)
	}
	for i := range 50 {
		from, to := newID(2*i), newID(2*i+1)
		create(t, b, from, record("alice", nil))
		moved, err := b.Rotate(t.Context(), from, move(to, record("alice", nil), nil))
		require.NoError(t, err)
		require.True(t, moved)
		require.Contains(t, there(from), "renewed", "when Rotate returns, the old ID is dead on the replica")
		ended, err := b.End(t.Context(), "alice", store.Revoked, to)
		require.NoError(t, err)
		require.Len(t, ended, 1)
		require.Contains(t, there(to), "revoked", "when End returns, the session has ended on the replica")
	}

	create(t, b, newID(1000), record("alice", nil))
	replica.Pause()
	_, err := b.End(t.Context(), "alice", store.Revoked, newID(1000))
	require.ErrorContains(t, err, "not on as many replicas")
	r, _, err := b.Load(t.Context(), newID(1000))
	require.NoError(t, err)
	assert.Equal(t, store.Revoked, r.Ended, "it has ended all the same")
	replica.Resume()
}

// TestCountWithoutReplicas: what has ended on the server, but not on the replica, is not
// counted.
func TestCountWithoutReplicas(t *testing.T) {
	master := testserver.Redis(t)
	replica := replicaOf(t, master)
	s := redisstore.New(connect(t, master.Address), redisstore.Config{Replicas: 1, Store: store.Config{Timeout: time.Second}})
	defer func() { assert.NoError(t, s.Close()) }()
	visitor, user := record("", nil), record("alice", nil)
	_, renewed, _, err := kit(s).Create(t.Context(), visitor, signin.Attempt{})
	require.NoError(t, err)
	_, ended, user, err := kit(s).Create(t.Context(), user, signin.Attempt{Began: time.Now()})
	require.NoError(t, err)
	counts, err := s.Count(t.Context())
	require.NoError(t, err)
	require.Equal(t, store.Counts{Live: 2, SignedIn: 1}, counts)
	replica.Pause()
	defer replica.Resume()
	_, _, _, err = kit(s).Renew(t.Context(), renewed, visitor, visitor, nil)
	require.ErrorContains(t, err, "not on as many replicas")
	_, err = kit(s).End(t.Context(), ended, user, store.SignedOut)
	require.ErrorContains(t, err, "not on as many replicas")
	counts, err = s.Count(t.Context())
	require.NoError(t, err)
	assert.Zero(t, counts)
}

// TestSignInWithoutReplicas: a sign-in that fails because a replica does not answer leaves
// no session, whose token nobody has.
func TestSignInWithoutReplicas(t *testing.T) {
	master := testserver.Redis(t)
	replica := replicaOf(t, master)
	s := redisstore.New(connect(t, master.Address), redisstore.Config{Replicas: 1, Store: store.Config{Timeout: time.Second}})
	defer func() { assert.NoError(t, s.Close()) }()
	visitor := record("", nil)
	_, id, _, err := kit(s).Create(t.Context(), visitor, signin.Attempt{})
	require.NoError(t, err)
	replica.Pause()
	defer replica.Resume()
	_, _, _, _, err = kit(s).SignIn(t.Context(), id, visitor, record("alice", nil), nil, signin.Attempt{Began: time.Now()})
	require.ErrorContains(t, err, "not on as many replicas")
	list, err := s.Sessions(t.Context(), "alice")
	require.NoError(t, err)
	assert.Empty(t, list)
}

// TestSecondTryWithoutReplicas: what has ended on the master alone is listed no more. A second
// try to end it waits for the replicas all the same.
func TestSecondTryWithoutReplicas(t *testing.T) {
	master := testserver.Redis(t)
	replica := replicaOf(t, master)
	s := open(t, master.Address, redisstore.Config{Replicas: 1, Store: store.Config{Timeout: 500 * time.Millisecond}})
	signedIn := func(t *testing.T) (id string, r store.Record) {
		t.Helper()
		_, id, r, err := kit(s).Create(t.Context(), record("alice", nil), signin.Attempt{Began: time.Now(), SignIn: &signin.SignIn{Line: t.Name()}})
		require.NoError(t, err)
		return id, r
	}
	for name, end := range map[string]func(id string, r store.Record) error{
		"RevokeAll":      func(string, store.Record) error { _, err := s.RevokeAll(t.Context(), "alice"); return err },
		"RevokeEveryone": func(string, store.Record) error { _, err := s.RevokeEveryone(t.Context()); return err },
		"Revoke":         func(id string, _ store.Record) error { return s.Revoke(t.Context(), "alice", id) },
		"sign-out, of the session as it was before it was renewed": func(id string, r store.Record) error {
			_, err := kit(s).End(t.Context(), id, r, store.SignedOut)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			id, r := signedIn(t)
			if strings.HasPrefix(name, "sign-out") {
				_, _, found, err := kit(s).Renew(t.Context(), id, r, r, nil)
				require.NoError(t, err)
				require.True(t, found)
			}
			replica.Pause()
			for range 2 {
				assert.ErrorContains(t, end(id, r), "not on as many replicas")
				list, err := s.Sessions(t.Context(), "alice")
				require.NoError(t, err)
				assert.Empty(t, list, "it has ended on the master")
			}
			replica.Resume()
			assert.Eventually(t, func() bool { return end(id, r) == nil }, 10*time.Second, time.Millisecond)
		})
	}
}

// TestSecondTryInACluster: no node has a replica.
func TestSecondTryInACluster(t *testing.T) {
	s := redisstore.New(connect(t, addresses(testserver.RedisCluster(t))...), redisstore.Config{Replicas: 1, Store: store.Config{Timeout: 500 * time.Millisecond}})
	defer func() { assert.NoError(t, s.Close()) }()
	_, _, _, err := kit(s).Create(t.Context(), record("alice", nil), signin.Attempt{})
	require.NoError(t, err)
	for range 2 {
		_, err := s.RevokeAll(t.Context(), "alice")
		require.ErrorContains(t, err, "not on as many replicas")
	}
}

// TestSignOutAgainWithoutReplicas: who is told that the sign-out failed, and tries again, is
// not told that it worked before it has.
func TestSignOutAgainWithoutReplicas(t *testing.T) {
	master := testserver.Redis(t)
	replica := replicaOf(t, master)
	s := open(t, master.Address, redisstore.Config{Replicas: 1, Store: store.Config{Timeout: 500 * time.Millisecond}})
	r := gin.New()
	r.Use(sessionkit.Sessions(s, sessionkit.Config{InsecureHTTP: true}))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "alice") })
	r.POST("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
	send := func(path, cookie string) *httptest.ResponseRecorder {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://example.com"+path, nil)
		request.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, request)
		return w
	}
	cookie, _, _ := strings.Cut(send("/login", "").Header().Get("Set-Cookie"), ";")
	replica.Pause()
	for range 2 {
		answer := send("/logout", cookie)
		assert.Equal(t, http.StatusServiceUnavailable, answer.Code)
		assert.Empty(t, answer.Header().Values("Set-Cookie"), "the browser keeps the cookie for another try")
	}
	replica.Resume()
	assert.Eventually(t, func() bool {
		return send("/logout", cookie).Code == http.StatusOK
	}, 10*time.Second, time.Millisecond)
}

// A name leads to a server, as that of a service does, and later to another one.
// Connections that there are stay.
type name struct {
	net.Listener

	leadsTo atomic.Value
}

func nameOf(t *testing.T, server *testserver.RedisServer) *name {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &name{Listener: listener}
	n.leadsTo.Store(server.Address)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := new(net.Dialer).DialContext(context.Background(), "tcp", n.leadsTo.Load().(string))
			if err != nil {
				_ = in.Close()
				continue
			}
			for _, pass := range [2][2]net.Conn{{in, out}, {out, in}} {
				go func() {
					_, _ = io.Copy(pass[0], pass[1])
					_ = pass[0].Close()
				}()
			}
		}
	}()
	return n
}

// TestPlannedFailover: the replica becomes the master, the server that was it becomes its
// replica and keeps its connections, and the name leads to the new master.
func TestPlannedFailover(t *testing.T) {
	master := testserver.Redis(t)
	replica := replicaOf(t, master)
	server := nameOf(t, master)
	s := open(t, server.Addr().String())
	token, id, r, err := kit(s).Create(t.Context(), record("alice", nil), signin.Attempt{})
	require.NoError(t, err)
	live := func() error {
		_, r, _, err := kit(s).Load(t.Context(), "", token, false)
		if err == nil && r.Ended != "" {
			err = store.ErrEnded
		}
		return err
	}
	require.Eventually(t, func() bool { return command(t, replica, "EXISTS", "session:id:"+id) == "1" }, 10*time.Second, time.Millisecond)

	changePlaces(t, master, replica)
	_, err = kit(s).Update(t.Context(), id, r, set("early"))
	require.ErrorContains(t, err, "READONLY", "the name leads to the old master still")
	server.leadsTo.Store(replica.Address)
	require.Eventually(t, func() bool {
		found, err := changed(kit(s).Update(t.Context(), id, r, set("late")))
		return err == nil && found
	}, 10*time.Second, 10*time.Millisecond, "the store must go on with the new master")
	assert.Equal(t, "1", command(t, replica, "HEXISTS", "session:id:"+id, "v:late"))

	command(t, master, "REPLICAOF", "NO", "ONE") // it learns of nothing any more
	waitCached(t, live, replica)
	require.NoError(t, newStore(t, connect(t, replica.Address)).Revoke(t.Context(), "alice", id))
	require.Eventually(t, func() bool { return live() != nil }, time.Second, time.Millisecond, "what others do on the new master must be seen")
}

// TestPlannedFailoverBesideReplicas: what waits for replicas has connections of its own, which
// lead to the new master as well, although nothing else is written.
func TestPlannedFailoverBesideReplicas(t *testing.T) {
	for name, newStore := range map[string]func(t *testing.T, address string, c redisstore.Config) *store.Store{
		"Open": func(t *testing.T, address string, c redisstore.Config) *store.Store {
			t.Helper()
			s, err := redisstore.Open("redis://"+address, c)
			require.NoError(t, err)
			return s
		},
		"New": func(t *testing.T, address string, c redisstore.Config) *store.Store {
			t.Helper()
			return redisstore.New(connectWith(t, rueidis.ClientOption{InitAddress: []string{address}, DisableCache: true, ConnLifetime: time.Second}), c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			master := testserver.Redis(t)
			replica := replicaOf(t, master)
			server := nameOf(t, master)
			s := newStore(t, server.Addr().String(), redisstore.Config{Replicas: 1})
			t.Cleanup(func() { assert.NoError(t, s.Close()) })
			for range 2 {
				_, _, _, err := kit(s).Create(t.Context(), record("alice", nil), signin.Attempt{})
				require.NoError(t, err)
			}
			sessions, err := s.Sessions(t.Context(), "alice")
			require.NoError(t, err)
			require.NoError(t, s.Revoke(t.Context(), "alice", sessions[0].ID))
			require.Eventually(t, func() bool { return command(t, replica, "EXISTS", "session:id:"+sessions[1].ID) == "1" }, 10*time.Second, time.Millisecond)

			changePlaces(t, master, replica)
			server.leadsTo.Store(replica.Address)
			if name == "Open" {
				var told error
				for _, err := range s.All(t.Context()) {
					told = errors.Join(told, err)
				}
				assert.ErrorContains(t, told, "a replica", "nobody is told that there are none")
			}
			refused := 0
			require.Eventually(t, func() bool {
				err := s.Revoke(t.Context(), "alice", sessions[1].ID)
				if err != nil && strings.Contains(err.Error(), "READONLY") {
					refused++
				}
				return err == nil
			}, 10*time.Second, 10*time.Millisecond)
			assert.LessOrEqual(t, refused, 2, "no connection is used again that is refused")
			sessions, err = s.Sessions(t.Context(), "alice")
			require.NoError(t, err)
			assert.Empty(t, sessions)
		})
	}
}

// TestAllAfterAPlannedFailover: a process that changes nothing is refused no write, and finds
// the new master all the same.
func TestAllAfterAPlannedFailover(t *testing.T) {
	for _, bytes := range []int{0, -1} {
		t.Run(fmt.Sprint("CacheBytes ", bytes), func(t *testing.T) {
			master := testserver.Redis(t)
			replica := replicaOf(t, master)
			server := nameOf(t, master)
			s := open(t, server.Addr().String(), redisstore.Config{CacheBytes: bytes})
			_, id, _, err := kit(newStore(t, connect(t, master.Address))).Create(t.Context(), record("alice", nil), signin.Attempt{})
			require.NoError(t, err)
			require.Eventually(t, func() bool { return command(t, replica, "EXISTS", "session:id:"+id) == "1" }, 10*time.Second, time.Millisecond)
			all := func() (ids []string, told error) {
				for session, err := range s.All(t.Context()) {
					ids, told = append(ids, session.ID), errors.Join(told, err)
				}
				return ids, told
			}
			ids, err := all()
			require.NoError(t, err)
			require.Equal(t, []string{id}, ids)

			changePlaces(t, master, replica)
			server.leadsTo.Store(replica.Address)
			require.Eventually(t, func() bool {
				ids, err = all()
				return err == nil
			}, 10*time.Second, 10*time.Millisecond, "the store must go on with the new master")
			assert.Equal(t, []string{id}, ids)
		})
	}
}

// TestPlannedFailoverOfTheCache: the connection on which the server tells of changes leads to
// the new master as well, also that of a client which replaces only its other ones.
func TestPlannedFailoverOfTheCache(t *testing.T) {
	testserver.Slow(t)
	master := testserver.Redis(t)
	replica := replicaOf(t, master)
	server := nameOf(t, master)
	newStore(t, connectWith(t, rueidis.ClientOption{InitAddress: []string{server.Addr().String()}, ConnLifetime: time.Second}))
	tracked := func(r *testserver.RedisServer) bool {
		info, err := r.Command("INFO", "clients")
		return err == nil && strings.Contains(info, "tracking_clients:1")
	}
	require.Eventually(t, func() bool { return tracked(master) }, 10*time.Second, 10*time.Millisecond)

	changePlaces(t, master, replica)
	server.leadsTo.Store(replica.Address)
	require.Eventually(t, func() bool { return tracked(replica) }, 20*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool { return !tracked(master) }, 10*time.Second, 10*time.Millisecond)
}

// BenchmarkReplicas measures what it costs to wait for a replica:
//
//	go test -run '^$' -bench Replicas ./store/redisstore
func BenchmarkReplicas(b *testing.B) {
	for _, replicas := range []int{0, 1} {
		b.Run(fmt.Sprint(replicas), func(b *testing.B) {
			server := testserver.Redis(b)
			host, port, err := net.SplitHostPort(server.Address)
			require.NoError(b, err)
			replica := testserver.Redis(b, "--replicaof", host, port)
			for {
				if info, err := replica.Command("INFO", "replication"); err == nil && strings.Contains(info, "master_link_status:up") {
					break
				}
			}
			s := redisstore.NewBackend(connect(b, server.Address), redisstore.Config{Replicas: replicas})
			defer func() { _ = s.Close() }()
			for i := range b.N {
				if _, err := s.Create(b.Context(), newID(i), record("alice", nil)); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			for i := range b.N {
				if ended, err := s.End(b.Context(), "alice", store.Revoked, newID(i)); err != nil || len(ended) != 1 {
					b.Fatal(ended, err)
				}
			}
		})
	}
}
