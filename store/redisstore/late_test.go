package redisstore_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// late is a client that can hold back the answer to a command.
type late struct {
	rueidis.Client

	hold              atomic.Pointer[string] // the next command of this name
	answered, release chan struct{}
}

func connectLate(t *testing.T, address string) *late {
	t.Helper()
	return &late{Client: connect(t, address), answered: make(chan struct{}), release: make(chan struct{})}
}

func (l *late) Do(ctx context.Context, command rueidis.Completed) rueidis.RedisResult {
	name := command.Commands()[0]
	reply := l.Client.Do(ctx, command)
	if hold := l.hold.Load(); hold != nil && *hold == name && l.hold.CompareAndSwap(hold, nil) {
		l.answered <- struct{}{}
		<-l.release
	}
	return reply
}

// during runs f, whose command the server answers, then meanwhile, and only then
// lets the answer through.
func (l *late) during(command string, f, meanwhile func()) {
	l.hold.Store(&command)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		f()
	}()
	<-l.answered
	meanwhile()
	l.release <- struct{}{}
	<-finished
}

func set(name string) store.Change { return store.Change{Set: map[string]string{name: `1`}} }

// heard runs change, and returns when b has had the news.
func heard(t *testing.T, b store.Backend, id string, change func()) {
	t.Helper()
	news := make(chan struct{}, 10)
	stop := b.(store.WatchingBackend).Watch(id, func() { news <- struct{}{} })
	defer stop()
	change()
	<-news
}

// TestALateAnswerIsNotKept has a read answered before a change and finished after it.
func TestALateAnswerIsNotKept(t *testing.T) {
	server := testserver.Redis(t)
	client := connectLate(t, server.Address)
	b, other := backend(t, client), backend(t, connect(t, server.Address))
	create(t, b, newID(0), record("", nil))
	waitCached(t, loader(t, b, newID(0)), server)
	for i, test := range []struct {
		name   string
		change func(t *testing.T, id string)
		found  bool
	}{
		{"changed by this store", func(t *testing.T, id string) {
			t.Helper()
			_, err := b.Update(t.Context(), id, set("new"))
			require.NoError(t, err)
		}, true},
		{"ended by this store", func(t *testing.T, id string) {
			t.Helper()
			_, err := b.Delete(t.Context(), id)
			require.NoError(t, err)
		}, false},
		{"changed by another", func(t *testing.T, id string) {
			t.Helper()
			heard(t, b, id, func() {
				_, err := other.Update(t.Context(), id, set("new"))
				require.NoError(t, err)
			})
		}, true},
		{"ended by another", func(t *testing.T, id string) {
			t.Helper()
			heard(t, b, id, func() {
				_, err := other.Delete(t.Context(), id)
				require.NoError(t, err)
			})
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			id := newID(i + 1)
			heard(t, b, id, func() { create(t, other, id, record("", nil)) })
			client.during("HGETALL", func() { assert.NoError(t, loader(t, b, id)()) }, func() { test.change(t, id) })
			r, found, err := b.Load(t.Context(), id)
			require.NoError(t, err)
			assert.Equal(t, test.found, found)
			if test.found {
				assert.Contains(t, r.Values, "new")
			}
		})
	}
}

// TestAnOwnChangeTakesNothingBack has a change answered, then read what another
// changed after it, and only then finished.
func TestAnOwnChangeTakesNothingBack(t *testing.T) {
	server := testserver.Redis(t)
	client := connectLate(t, server.Address)
	b, other := backend(t, client), backend(t, connect(t, server.Address))
	create(t, b, newID(1), record("", nil))
	waitCached(t, loader(t, b, newID(1)), server)
	client.during("EVALSHA",
		func() {
			_, err := b.Update(t.Context(), newID(1), set("own"))
			assert.NoError(t, err)
		},
		func() {
			heard(t, b, newID(1), func() {
				_, err := other.Update(t.Context(), newID(1), set("foreign"))
				require.NoError(t, err)
			})
			r, _, err := loadFresh(t.Context(), b, newID(1))
			require.NoError(t, err)
			require.Contains(t, r.Values, "foreign")
		})
	r, _, err := b.Load(t.Context(), newID(1))
	require.NoError(t, err)
	assert.Contains(t, r.Values, "own")
	assert.Contains(t, r.Values, "foreign", "what was read once must not be gone in the next read")
}

// TestAFreshReadIsNotTakenBack: what the server has said of a session is not
// undone by the record that stays in memory after an own change.
func TestAFreshReadIsNotTakenBack(t *testing.T) {
	server := testserver.Redis(t)
	b, other := backend(t, connect(t, server.Address)), backend(t, connect(t, server.Address), redisstore.Config{CacheBytes: -1})
	for name, test := range map[string]struct {
		change func(id string) error
		found  bool
	}{
		"changed by another": {func(id string) error { _, err := other.Update(t.Context(), id, set("foreign")); return err }, true},
		"ended by another":   {func(id string) error { _, err := other.Delete(t.Context(), id); return err }, false},
	} {
		t.Run(name, func(t *testing.T) {
			takenBack, inMemory := 0, 0
			for n := range 500 {
				id := newID(n)
				heard(t, b, id, func() { create(t, other, id, record("", nil)) })
				require.NoError(t, loader(t, b, id)())
				_, err := b.Update(t.Context(), id, set("own"))
				require.NoError(t, err)
				require.NoError(t, test.change(id))
				r, found, err := b.Load(t.Context(), id)
				require.NoError(t, err)
				if found && r.Values["foreign"] == "" {
					inMemory++
				}
				r, found, err = loadFresh(t.Context(), b, id)
				require.NoError(t, err)
				require.Equal(t, test.found, found)
				require.Equal(t, test.found, r.Values["foreign"] != "")
				r, found, err = b.Load(t.Context(), id)
				require.NoError(t, err)
				if found != test.found || test.found != (r.Values["foreign"] != "") {
					takenBack++
				}
				_, err = other.Delete(t.Context(), id)
				require.NoError(t, err)
			}
			assert.Zero(t, takenBack)
			assert.Positive(t, inMemory, "there must be something that could take it back")
		})
	}
}
