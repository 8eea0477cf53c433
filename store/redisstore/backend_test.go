package redisstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

func do(t *testing.T, client rueidis.Client, args ...string) rueidis.RedisResult {
	t.Helper()
	return client.Do(context.Background(), client.B().Arbitrary(args[0]).Keys(args[1]).Args(args[2:]...).Build())
}

func number(t *testing.T, client rueidis.Client, args ...string) int64 {
	t.Helper()
	n, err := do(t, client, args...).AsInt64()
	require.NoError(t, err)
	return n
}

// keys returns all keys of all nodes.
// keys returns those of sessions and users.
func keys(t *testing.T, client rueidis.Client) (all []string) {
	t.Helper()
	for _, node := range client.Nodes() {
		list, err := node.Do(t.Context(), node.B().Keys().Pattern("*").Build()).AsStrSlice()
		require.NoError(t, err)
		all = append(all, slices.DeleteFunc(list, func(key string) bool { return strings.HasPrefix(key, "session:cache:") })...)
	}
	return all
}

// clients returns one of a single server and one of a Cluster.
func clients(t *testing.T) map[string]rueidis.Client {
	t.Helper()
	return map[string]rueidis.Client{
		"single":  connect(t, testserver.Redis(t).Address),
		"cluster": connect(t, addresses(testserver.RedisCluster(t))...),
	}
}

func TestEveryKeyHasATTL(t *testing.T) {
	for name, client := range clients(t) {
		t.Run(name, func(t *testing.T) {
			b := backend(t, client)
			for i := range 60 {
				id := newID(i)
				create(t, b, id, record([]string{"", "alice", "bob"}[i%3], map[string]string{"a": `1`}))
				switch i / 3 % 4 {
				case 1:
					_, err := b.Update(t.Context(), id, store.Change{Set: map[string]string{"b": `1`}, Expires: time.Now().Add(90 * 24 * time.Hour)})
					require.NoError(t, err)
				case 2:
					_, err := b.Rotate(t.Context(), id, move(newID(1000+i), record("carol", nil), nil))
					require.NoError(t, err)
				case 3:
					_, err := b.End(t.Context(), []string{"", "alice", "bob"}[i%3], store.Revoked, id)
					require.NoError(t, err)
				}
			}
			all := keys(t, client)
			assert.Greater(t, len(all), 40)
			for _, key := range all {
				assert.True(t, strings.HasPrefix(key, "session:"), key)
				assert.Positive(t, number(t, client, "PTTL", key), key)
			}
		})
	}
}

// TestIndexOutlivesRecords moves the expiry on, by hours and by weeks.
func TestIndexOutlivesRecords(t *testing.T) {
	client := connect(t, testserver.Redis(t).Address)
	b := backend(t, client)
	create(t, b, newID(1), record("alice", nil))
	for _, life := range []time.Duration{2 * time.Hour, 23 * time.Hour, 27 * time.Hour, 30 * 24 * time.Hour, 31 * 24 * time.Hour, time.Hour} {
		found, err := changed(b.Update(t.Context(), newID(1), store.Change{Set: map[string]string{"life": life.String()}, Expires: time.Now().Add(life)}))
		require.NoError(t, err)
		require.True(t, found)
		ends := number(t, client, "PEXPIRETIME", "session:id:"+newID(1))
		score, err := do(t, client, "ZSCORE", "session:user:alice", newID(1)).AsFloat64()
		require.NoError(t, err)
		const rounding = 1 // of the times until then, at different moments; the record has been dead for an hour
		assert.GreaterOrEqual(t, int64(score)+rounding, ends, "the entry must stay as long as the record")
		assert.GreaterOrEqual(t, number(t, client, "PEXPIRETIME", "session:user:alice")+rounding, ends, "and so must the index")
		records, err := b.List(t.Context(), "alice")
		require.NoError(t, err)
		assert.Contains(t, records, newID(1))
	}
}

func TestIndexEntriesLeave(t *testing.T) {
	client := connect(t, testserver.Redis(t).Address)
	b := backend(t, client)
	create(t, b, newID(1), record("alice", nil))
	require.NoError(t, do(t, client, "DEL", "session:id:"+newID(1)).Error()) // as the server does to expired ones
	records, err := b.List(t.Context(), "alice")
	require.NoError(t, err)
	assert.Empty(t, records)
	require.NoError(t, do(t, client, "ZADD", "session:user:alice", "1", newID(1)).Error()) // its time is over
	create(t, b, newID(2), record("alice", nil))
	assert.EqualValues(t, 1, number(t, client, "ZCARD", "session:user:alice"))
	found, err := b.Delete(t.Context(), newID(2))
	require.NoError(t, err)
	require.True(t, found)
	assert.Empty(t, keys(t, client), "a user without sessions has no key")
}

// TestIndexInPortions: an index may have more entries than the server returns within the
// timeout. Those of half of them have one score.
func TestIndexInPortions(t *testing.T) {
	const portions = 3
	server := testserver.Redis(t)
	client := connect(t, server.Address)
	s := redisstore.New(client, redisstore.Config{CacheBytes: -1})
	defer func() { assert.NoError(t, s.Close()) }()
	b := backend(t, client, redisstore.Config{CacheBytes: -1})
	for n, life := range []time.Duration{time.Minute, time.Hour, 1000 * time.Hour} {
		r := record("alice", nil)
		r.Expires = time.Now().Add(life)
		create(t, b, newID(n), r)
	}
	between := time.Now().Add(30 * time.Hour).UnixMilli() // the entry of the second one leaves at most 26 hours from now
	script := `for i = 1, ARGV[1] do redis.call('ZADD', KEYS[1], ARGV[2] + math.max(0, i - ARGV[1] / 2), string.format('%043d', i)) end`
	entries := strconv.Itoa(portions * redisstore.IndexedAtOnce)
	require.True(t, rueidis.IsRedisNil(do(t, client, "EVAL", script, "1", "session:user:alice", entries, strconv.FormatInt(between, 10)).Error()))
	n, err := s.RevokeAll(t.Context(), "alice")
	require.NoError(t, err)
	assert.Equal(t, 3, n)
	assert.Greater(t, calls(t, server, "zrange"), portions)
}

func TestCorruptRecords(t *testing.T) {
	for name, client := range clients(t) {
		t.Run(name, func(t *testing.T) {
			b := backend(t, client)
			for i, damage := range [][]string{
				{"SET", "text"},
				{"HSET", "e", "tomorrow"},
				{"HSET", "s", ""},
				{"HDEL", "e"},
				{"HDEL", "u"},
			} {
				id := newID(i)
				key := "session:id:" + id
				create(t, b, newID(i), record("alice", map[string]string{"a": `1`}))
				require.NoError(t, do(t, client, append([]string{damage[0], key}, damage[1:]...)...).Error())
				wrong := func(what string, err error) {
					t.Helper()
					require.ErrorIs(t, err, store.ErrCorrupt, "%s after %s", what, damage)
					assert.Contains(t, err.Error(), "redisstore: ")
					assert.NotContains(t, err.Error(), id)
				}
				_, _, err := b.Load(t.Context(), id)
				if err == nil { // from memory, a moment before the news
					_, _, err = loadFresh(t.Context(), b, id)
				}
				wrong("Load", err)
				_, err = b.Update(t.Context(), id, store.Change{Set: map[string]string{"a": `2`}})
				wrong("Update", err)
				_, err = b.Rotate(t.Context(), id, move(newID(100+i), record("alice", nil), nil))
				wrong("Rotate", err)
				records, err := b.List(t.Context(), "alice")
				require.NoError(t, err, "List leaves it out")
				assert.Empty(t, records)
				found, err := b.Delete(t.Context(), id)
				require.NoError(t, err)
				assert.True(t, found)
			}
		})
	}
}

// TestMovingSession is a session that a process of an earlier version was about to
// move in a Cluster.
func TestMovingSession(t *testing.T) {
	client := connect(t, testserver.Redis(t).Address)
	b := backend(t, client, redisstore.Config{CacheBytes: -1})
	create(t, b, newID(1), record("alice", map[string]string{"a": `1`}))
	require.NoError(t, do(t, client, "HSET", "session:id:"+newID(1), "m", "1").Error())
	r, _, err := b.Load(t.Context(), newID(1))
	require.NoError(t, err)
	assert.Equal(t, store.Renewed, r.Ended, "the old ID is dead")
	found, err := changed(b.Update(t.Context(), newID(1), store.Change{Set: map[string]string{"a": `2`}}))
	require.NoError(t, err)
	assert.False(t, found)
	found, err = b.Rotate(t.Context(), newID(1), move(newID(2), record("alice", nil), nil))
	require.NoError(t, err)
	assert.False(t, found, "it moves once")
	ended, err := b.End(t.Context(), "alice", store.Revoked, newID(1))
	require.NoError(t, err)
	assert.Empty(t, ended, "the move was first")
}

func TestLargeChanges(t *testing.T) {
	for name, client := range clients(t) {
		t.Run(name, func(t *testing.T) {
			b := backend(t, client)
			values, names := make(map[string]string), []string(nil)
			for i := range 20_000 {
				name := "n" + strconv.Itoa(i)
				values[name], names = strconv.Itoa(i), append(names, name)
			}
			create(t, b, newID(1), record("alice", values))
			for name := range values {
				values[name] = `0`
			}
			found, err := changed(b.Update(t.Context(), newID(1), store.Change{Set: values, Delete: []string{"other"}}))
			require.NoError(t, err)
			require.True(t, found)
			found, err = b.Rotate(t.Context(), newID(1), move(newID(2), record("alice", map[string]string{"n0": `1`}), names[:10_000]))
			require.NoError(t, err)
			require.True(t, found)
			r, _, err := b.Load(t.Context(), newID(2))
			require.NoError(t, err)
			assert.Len(t, r.Values, 10_001)
			assert.Equal(t, `1`, r.Values["n0"])
			found, err = changed(b.Update(t.Context(), newID(2), store.Change{Delete: names}))
			require.NoError(t, err)
			require.True(t, found)
			r, _, err = b.Load(t.Context(), newID(2))
			require.NoError(t, err)
			assert.Empty(t, r.Values)
		})
	}
}

// TestCanceledRotate gives up at any moment.
func TestCanceledRotate(t *testing.T) {
	for name, client := range clients(t) {
		t.Run(name, func(t *testing.T) {
			b := backend(t, client)
			random := rand.New(rand.NewPCG(1, 2)) // #nosec G404 -- the moments need not be secret
			for i := range 200 {
				from, to := newID(2*i), newID(2*i+1)
				create(t, b, from, record("alice", map[string]string{"a": `1`}))
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(1500))*time.Microsecond)
				rotated, err := b.Rotate(ctx, from, move(to, record("alice", nil), nil))
				cancel()
				ended, oldErr := b.End(t.Context(), "alice", store.SignedOut, from)
				require.NoError(t, oldErr)
				old := len(ended) == 1
				var moved bool
				if old { // a move that was sent may still be on its way
					require.False(t, rotated)
				} else {
					require.Eventually(t, func() bool {
						r, found, err := b.Load(t.Context(), to)
						moved = found && r.Values["a"] == `1`
						return err == nil && moved
					}, time.Second, time.Millisecond, "the session must not be lost: %v", err)
				}
				require.False(t, old && moved, "a session must not live twice")
				_, err = b.Delete(t.Context(), to)
				require.NoError(t, err)
			}
			records, err := b.List(t.Context(), "alice")
			require.NoError(t, err)
			assert.Empty(t, records)
		})
	}
}

func TestUnreachableServer(t *testing.T) {
	server := testserver.Redis(t)
	b := backend(t, connect(t, server.Address), redisstore.Config{Store: store.Config{Timeout: 200 * time.Millisecond}})
	create(t, b, newID(1), record("alice", nil))
	server.Pause()
	for name, operation := range map[string]func() error{
		"create": func() error { _, err := b.Create(t.Context(), newID(2), record("alice", nil)); return err },
		"update": func() error { _, err := b.Update(t.Context(), newID(1), store.Change{}); return err },
		"rotate": func() error {
			_, err := b.Rotate(t.Context(), newID(1), move(newID(3), record("alice", nil), nil))
			return err
		},
		"end":    func() error { _, err := b.End(t.Context(), "alice", store.Revoked, newID(1), newID(2)); return err },
		"delete": func() error { _, err := b.Delete(t.Context(), newID(1)); return err },
		"now":    func() error { _, err := b.Now(t.Context(), newID(1)); return err },
		"list":   func() error { _, err := b.List(t.Context(), "alice"); return err },
		"load":   func() error { _, _, err := b.Load(t.Context(), newID(9)); return err },
	} {
		began := time.Now()
		err := operation()
		require.Error(t, err, name)
		assert.ErrorContains(t, err, "redisstore: ", name)
		assert.Less(t, time.Since(began), 2*time.Second, "%s must end at the timeout", name)
	}
	server.Resume()
}

func TestOpenRefuses(t *testing.T) {
	for name, url := range map[string]string{ // passwords that should be percent-encoded
		"percent": "redis://user:hunter2%zz@localhost",
		"hash":    "redis://user:hunter2#1@localhost",
		"slash":   "redis://user:1/hunter2@localhost",
		"query":   "redis://user:1?db=hunter2@localhost",
		"no host": "redis://user:hunter2",
	} {
		_, err := redisstore.Open(url)
		require.ErrorContains(t, err, "redisstore: reading the URL: ", name)
		assert.NotContains(t, err.Error(), "hunter2", name)
	}
	for _, address := range []string{"127.0.0.1:6379", "localhost:6379", "redis", "user:hunter2@localhost", ""} {
		_, err := redisstore.Open(address)
		require.ErrorContains(t, err, "redisstore: reading the URL: it must begin with redis://", address)
		assert.NotContains(t, err.Error(), "hunter2", address)
	}
	_, err := redisstore.Open("redis://127.0.0.1:1")
	require.ErrorContains(t, err, "redisstore: connecting: ")
	_, err = redisstore.Open("http://127.0.0.1")
	require.Error(t, err)
}

// calls returns how often a server was sent a command.
func calls(t *testing.T, server *testserver.RedisServer, name string) (n int) {
	t.Helper()
	calls := regexp.MustCompile(`cmdstat_` + name + `:calls=(\d+)`).FindStringSubmatch(command(t, server, "INFO", "commandstats"))
	if calls == nil {
		return 0
	}
	n, err := strconv.Atoi(calls[1])
	require.NoError(t, err)
	return n
}

// TestAllBesideMuchElse: what a walk over all sessions costs grows with what is on the
// server, and no faster.
func TestAllBesideMuchElse(t *testing.T) {
	server := testserver.Redis(t, "--enable-debug-command", "yes")
	s := open(t, server.Address)
	_, _, _, err := kit(s).Create(t.Context(), record("alice", nil), signin.Attempt{Began: time.Now()})
	require.NoError(t, err)
	const others, asked = 300_000, 1000
	command(t, server, "DEBUG", "POPULATE", strconv.Itoa(others), "other")
	found := 0
	for _, err := range s.All(t.Context()) {
		require.NoError(t, err)
		found++
	}
	assert.Equal(t, 1, found)
	assert.LessOrEqual(t, calls(t, server, "scan"), others/asked*3/2)
}

// TestScanOfMoreThanItHolds: a walk that can hold few IDs still returns every session.
func TestScanOfMoreThanItHolds(t *testing.T) {
	for name, client := range clients(t) {
		t.Run(name, func(t *testing.T) {
			b := backend(t, client, redisstore.Config{CacheBytes: -1})
			const many = 1500
			want := make(map[string]int, many)
			for i := range many {
				create(t, b, newID(i), record("", nil))
				want[newID(i)] = 1
			}
			for _, atOnce := range []int{1, 100, many - 1, many} {
				found := make(map[string]int, many)
				for records, err := range redisstore.Scan(t.Context(), b, atOnce) {
					require.NoError(t, err)
					for id := range records {
						found[id]++
					}
				}
				assert.Equal(t, want, found, atOnce)
			}
		})
	}
}

// TestListSeesAMovingSession lists while the session changes its ID again and
// again: who ends all sessions of a user must not miss it.
func TestListSeesAMovingSession(t *testing.T) {
	for name, client := range clients(t) {
		t.Run(name, func(t *testing.T) {
			b := backend(t, client)
			const moves = 1000
			create(t, b, newID(0), record("alice", nil))
			finished := make(chan error, 1)
			go func() {
				for n := range moves {
					if found, err := b.Rotate(context.Background(), newID(n), move(newID(n+1), record("alice", nil), nil)); err != nil || !found {
						finished <- fmt.Errorf("move %d: %v, %w", n, found, err)
						return
					}
				}
				finished <- nil
			}()
			lists, missed := 0, 0
			for done := false; !done; lists++ {
				select {
				case err := <-finished:
					require.NoError(t, err)
					done = true
				default:
				}
				records, err := b.List(t.Context(), "alice")
				require.NoError(t, err)
				if len(records) == 0 {
					missed++
				}
			}
			t.Logf("%d of %d lists missed the session", missed, lists)
			assert.Zero(t, missed)
		})
	}
}

// TestFullServer: a server without room takes no new sessions, and what ends sessions or
// makes none larger works there as anywhere.
func TestFullServer(t *testing.T) {
	client := connect(t, testserver.Redis(t).Address)
	s := newStore(t, client)
	server := kit(s)
	signedIn := func(user string) (id string, r store.Record) {
		r = record(user, map[string]string{"a": `1`, "b": `2`})
		_, id, r, err := server.Create(t.Context(), r, signin.Attempt{Began: time.Now(), SignIn: &signin.SignIn{Line: strconv.FormatUint(rand.Uint64(), 36)}})
		require.NoError(t, err)
		return id, r
	}
	ada, adas := signedIn("ada")
	bob, bobs := signedIn("bob")
	_, _ = signedIn("carol")
	for i := range time.Duration(2) { // the second time the boundary is there
		full(t, client, true)
		_, _, _, err := server.Create(t.Context(), record("", nil), signin.Attempt{})
		require.Error(t, err, "the limit holds for new sessions")
		_, err = server.Update(t.Context(), bob, bobs, store.Change{Set: map[string]string{"c": `3`}})
		require.Error(t, err, "and for new values")

		later := time.Now().Add((2 + i) * 24 * time.Hour) // longer than the user's index has it
		found, err := changed(server.Update(t.Context(), bob, bobs, store.Change{Seen: time.Now(), Expires: later, Delete: []string{"a"}}))
		require.NoError(t, err)
		assert.True(t, found)
		n, err := s.RevokeAll(t.Context(), "ada")
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		full(t, client, false)
		left, err := s.Sessions(t.Context(), "ada")
		require.NoError(t, err)
		assert.Empty(t, left)
		ada, adas = signedIn("ada")
	}
	full(t, client, true)
	ended, err := server.End(t.Context(), ada, adas, store.SignedOut)
	require.NoError(t, err)
	assert.True(t, ended)
	n, err := s.RevokeEveryone(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, n)
}

// TestSignOutOnAFullServer: a message that is left after it, for which there is no room, does not
// keep the user signed in.
func TestSignOutOnAFullServer(t *testing.T) {
	client := connect(t, testserver.Redis(t).Address)
	a := kittest.NewSite(newStore(t, client), sessionkit.Config{})
	a.POST("/login", kittest.SignIn("42"))
	a.POST("/logout", func(c *gin.Context) {
		sessionkit.Logout(c)
		sessionkit.Flash(c, sessionkit.Info, "You are signed out.")
		c.Redirect(http.StatusSeeOther, "/")
	})
	a.On("/", kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	b.Post("/login", nil)
	copied := b.Fork()
	require.Equal(t, "42", copied.Get("/").Body.String())
	full(t, client, true)
	assert.Equal(t, http.StatusSeeOther, b.Post("/logout", nil).Code)
	assert.Empty(t, b.Session(), "the cookie is gone")
	assert.Empty(t, copied.Get("/").Body.String())
	assert.Len(t, a.Errors(), 1, "the message is lost")
}

// full gives a server no room, or all there is.
func full(t *testing.T, client rueidis.Client, is bool) {
	t.Helper()
	limit := map[bool]string{true: "1", false: "0"}[is]
	for _, args := range [][]string{{"maxmemory-policy", "noeviction"}, {"maxmemory", limit}} {
		require.NoError(t, client.Do(t.Context(), client.B().ConfigSet().ParameterValue().ParameterValue(args[0], args[1]).Build()).Error())
	}
}
