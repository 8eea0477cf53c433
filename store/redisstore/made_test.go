package redisstore_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// TestWhatThisStoreMakesIsReadFromMemory: the request that comes after a sign-in costs no
// round trip, and reads what stands on the server.
func TestWhatThisStoreMakesIsReadFromMemory(t *testing.T) {
	server := testserver.Redis(t)
	b, other := backend(t, connect(t, server.Address)), backend(t, connect(t, server.Address), redisstore.Config{CacheBytes: -1})
	create(t, b, newID(0), record("", nil))
	waitCached(t, loader(t, b, newID(0)), server)
	fromMemory := 0
	for n := 1; n < 40; n += 2 {
		id, next := newID(n), newID(n+1)
		create(t, b, id, record("", map[string]string{"a": `1`, "b": `2`}))
		before := reads(t, server)
		r, found, err := b.Load(t.Context(), id)
		require.NoError(t, err)
		require.True(t, found)
		made := reads(t, server) == before
		stored, _, err := loadFresh(t.Context(), other, id)
		require.NoError(t, err)
		require.Equal(t, stored, r, "as it reads when it was stored")

		_, err = other.Update(t.Context(), id, set("foreign"))
		require.NoError(t, err)
		if n%4 == 1 { // a server that was restarted has forgotten the scripts
			require.NoError(t, flushScripts(t, server))
		}
		moved, err := b.Rotate(t.Context(), id, move(next, record("alice", map[string]string{"c": `3`}), []string{"a"}))
		require.NoError(t, err)
		require.True(t, moved)
		before = reads(t, server)
		r, found, err = b.Load(t.Context(), next)
		require.NoError(t, err)
		require.True(t, found)
		if made && reads(t, server) == before {
			fromMemory++
		}
		assert.Equal(t, map[string]string{"b": `2`, "c": `3`, "foreign": `1`}, r.Values)
		stored, _, err = loadFresh(t.Context(), other, next)
		require.NoError(t, err)
		require.Equal(t, stored, r)
		_, found, err = b.Load(t.Context(), id)
		require.NoError(t, err)
		assert.True(t, found, "the trace of the old ID")
	}
	assert.Positive(t, fromMemory)
}

// TestSignInsAreReadFromMemory: over a client of the store's own, whose commands go out
// one by one here.
func TestSignInsAreReadFromMemory(t *testing.T) {
	server := testserver.Redis(t)
	s := open(t, server.Address)
	ctx := context.WithoutCancel(t.Context())
	token, _, _, err := kit(s).Create(ctx, record("", nil), signin.Attempt{})
	require.NoError(t, err)
	load := func(token string) (store.Record, error) {
		_, r, found, err := kit(s).Load(ctx, "session", token, false)
		require.True(t, found)
		return r, err
	}
	waitCached(t, func() error { _, err := load(token); return err }, server)
	fromMemory := 0
	for n := range 20 {
		visitor := record("", map[string]string{"cart": `["json",["tea"]]`})
		_, id, _, err := kit(s).Create(ctx, visitor, signin.Attempt{})
		require.NoError(t, err)
		if n == 10 {
			require.NoError(t, flushScripts(t, server))
		}
		token, _, _, found, err := kit(s).SignIn(ctx, id, visitor, record("alice", nil), nil, signin.Attempt{Began: time.Now()})
		require.NoError(t, err)
		require.True(t, found)
		before := reads(t, server)
		r, err := load(token)
		require.NoError(t, err)
		assert.Equal(t, "alice", r.User)
		assert.Equal(t, visitor.Values["cart"], r.Values["cart"])
		if reads(t, server) == before {
			fromMemory++
		}
	}
	assert.Positive(t, fromMemory)
}

// TestChangesAreSeenInWhatThisStoreHasMade changes and ends sessions elsewhere at the
// moment they are made: the news of that must not be taken for that of their making.
func TestChangesAreSeenInWhatThisStoreHasMade(t *testing.T) {
	server := testserver.Redis(t)
	b, other := backend(t, connect(t, server.Address)), backend(t, connect(t, server.Address), redisstore.Config{CacheBytes: -1})
	create(t, b, newID(0), record("", nil))
	waitCached(t, loader(t, b, newID(0)), server)
	for n := 1; n <= 400; n++ {
		id := newID(n)
		create(t, b, id, record("alice", nil))
		if n%4 > 1 {
			next := newID(1000 + n)
			_, err := b.Rotate(t.Context(), id, move(next, record("alice", nil), nil))
			require.NoError(t, err)
			id = next
		}
		if n%3 == 0 { // the news of the making has come
			time.Sleep(time.Millisecond)
		}
		if n%2 == 0 {
			_, err := other.Update(t.Context(), id, set("foreign"))
			require.NoError(t, err)
		} else {
			_, err := other.Delete(t.Context(), id)
			require.NoError(t, err)
		}
		require.Eventually(t, func() bool {
			r, found, err := b.Load(t.Context(), id)
			return err == nil && (n%2 == 0 && r.Values["foreign"] != "" || n%2 == 1 && !found)
		}, 5*time.Second, 100*time.Microsecond)
	}
}

// TestARecordThatWasMadeAndThenChanged: it stays no longer in memory than any other that this
// store has changed, although the news of its making has yet to come.
func TestARecordThatWasMadeAndThenChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, id := redisstore.NewCache(), newID(1)
		c.Make(id, record("alice", nil))
		c.Change(id, set("own"))
		r, found := c.Get(id)
		require.True(t, found)
		assert.Contains(t, r.Values, "own")
		time.Sleep(redisstore.Trust)
		_, found = c.Get(id)
		assert.False(t, found, "another process may have ended it meanwhile")

		r.Ended = store.Revoked
		c.Read(id, r)
		c.Heard(id) // of its making, which came late
		r, found = c.Get(id)
		assert.True(t, !found || r.Ended == store.Revoked, "late news brings nothing back")
	})
}

// TestARecordThatWasMadeAndAnnounced: the announcement may be that of its end as well, so
// the record stays in memory for a moment only, and when others change it no longer.
func TestARecordThatWasMadeAndAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := redisstore.NewCache()
		announced := map[string]func(id string){
			"after the reply":  func(id string) { c.Make(id, record("alice", nil)); c.Heard(id) },
			"before the reply": func(id string) { c.Make(id, record("alice", nil), func() { c.Heard(id) }) },
		}
		n := 0
		for when, begin := range announced {
			id := func() string { n++; begin(newID(n)); return newID(n) }
			stays := func(id string) bool { _, found := c.Get(id); return found }

			left := id()
			time.Sleep(redisstore.Doubtful - 1)
			assert.True(t, stays(left), when)
			time.Sleep(time.Nanosecond)
			assert.False(t, stays(left), when)
			c.Read(left, record("alice", nil))
			time.Sleep(10 * redisstore.Doubtful)
			assert.True(t, stays(left), "what the server has said since stays: %s", when)

			changed := id()
			c.Heard(changed)
			assert.False(t, stays(changed), "another announcement is of a change: %s", when)

			own := id()
			c.Change(own, set("own"))
			c.Heard(own)
			assert.True(t, stays(own), when)
			time.Sleep(redisstore.Trust)
			assert.False(t, stays(own), when)
		}
	})
}

// TestRemovedWhileItIsMade: a script removes all sessions in the same turn of the server's
// loop in which one is made, so that the server announces both as one.
func TestRemovedWhileItIsMade(t *testing.T) {
	const script = `for _, key in ipairs(redis.call('KEYS', 'session:id:*')) do redis.call('UNLINK', key) end`
	server := testserver.Redis(t)
	sent := make(chan struct{}, 100)
	meter := testserver.NewMeter(t, "tcp", server.Address, func(piece []byte) bool {
		if bytes.Contains(piece, []byte("alice")) || bytes.Contains(piece, []byte("UNLINK")) {
			sent <- struct{}{}
		}
		return false
	})
	client, operator := connect(t, meter.Address), connect(t, meter.Address)
	b := backend(t, client)
	create(t, b, newID(0), record("bob", nil))
	waitCached(t, loader(t, b, newID(0)), server)
	arrives := func() { // unless a client has to connect first, for which the server must run
		select {
		case <-sent:
		case <-time.After(time.Second / 2):
		}
	}
	removed := make(map[string]bool)
	for n := 1; n <= 10; n++ {
		require.NoError(t, operator.Do(t.Context(), operator.B().Ping().Build()).Error())
		server.Pause()
		var group sync.WaitGroup
		group.Go(func() {
			_, err := b.Create(context.Background(), newID(n), record("alice", nil))
			assert.NoError(t, err)
		})
		arrives()
		group.Go(func() {
			run := operator.B().Eval().Script(script).Numkeys(0).Build()
			assert.True(t, rueidis.IsRedisNil(operator.Do(context.Background(), run).Error()))
		})
		arrives()
		server.Resume()
		group.Wait()
		if command(t, server, "EXISTS", "session:id:"+newID(n)) == "0" { // else the script came first
			removed[newID(n)] = true
		}
	}
	require.NotEmpty(t, removed)
	require.Eventually(t, func() bool {
		for id := range removed {
			if _, found, err := b.Load(t.Context(), id); err != nil || found {
				return false
			}
		}
		return true
	}, 10*time.Second, 10*time.Millisecond, "the cache must not answer for ever")
}

// TestAloneAfterALostConnection: a read that its caller carries out is made again, as any
// other is, if the server has closed the connection meanwhile.
func TestAloneAfterALostConnection(t *testing.T) {
	server := testserver.Redis(t)
	s := open(t, server.Address, redisstore.Config{CacheBytes: -1})
	ctx := context.WithoutCancel(t.Context())
	token, _, _, err := kit(s).Create(ctx, record("alice", nil), signin.Attempt{})
	require.NoError(t, err)
	for name, read := range map[string]func() error{
		"one command": func() error { _, _, _, err := kit(s).Load(ctx, "", token, false); return err },
		"several":     func() error { _, err := kit(s).Note(ctx, "alice", "session"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			for range 5 {
				require.NoError(t, read())
				command(t, server, "CLIENT", "KILL", "TYPE", "normal")
				require.NoError(t, read())
			}
		})
	}
}

// TestAloneInTime: a command that its caller carries out ends in time as well.
func TestAloneInTime(t *testing.T) {
	const timeout = time.Second
	server := testserver.Redis(t)
	s := open(t, server.Address, redisstore.Config{CacheBytes: -1, Store: store.Config{Timeout: timeout}})
	ctx := context.WithoutCancel(t.Context())
	for name, call := range map[string]func() error{
		"one command": func() error {
			_, _, _, err := kit(s).Create(ctx, record("alice", nil), signin.Attempt{Began: time.Now()})
			return err
		},
		"several": func() error {
			_, err := kit(s).Note(ctx, "alice", "session")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, call())
			server.Pause()
			began := time.Now()
			err := call()
			took := time.Since(began)
			server.Resume()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Less(t, took, 3*timeout)
			require.Eventually(t, func() bool { return call() == nil }, 10*time.Second, 10*time.Millisecond)
		})
	}
}

func flushScripts(t *testing.T, server *testserver.RedisServer) error {
	t.Helper()
	client := connect(t, server.Address)
	return client.Do(t.Context(), client.B().ScriptFlush().Build()).Error()
}
