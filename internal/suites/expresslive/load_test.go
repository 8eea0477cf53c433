package expresslive_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store/express"
)

// A loaded is a Redis server of a test's own, which tells what it had to do.
type loaded struct {
	*express.Store

	client rueidis.Client
}

func newLoaded(t *testing.T) loaded {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{testserver.Redis(t).Address}, DisableCache: true})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	s := loaded{express.Redis(client, express.Config{Secrets: secrets, User: express.User{Name: "userId"}}), client}
	s.write(t, `{"cookie":{},"counter":0}`)
	inside(t, s, seal(secrets, "x"), increment) // from now on the server knows the scripts
	return s
}

func (s loaded) write(t *testing.T, text string) {
	t.Helper()
	require.NoError(t, s.client.Do(t.Context(), s.client.B().Set().Key("sess:x").Value(text).ExSeconds(3600).Build()).Error())
}

// scripts returns how often scripts ran while f did, and how long the quickest took.
func (s loaded) scripts(t *testing.T, f func()) (n int, quickest time.Duration) {
	t.Helper()
	b := s.client.B
	require.NoError(t, s.client.Do(t.Context(), b().ConfigSet().ParameterValue().ParameterValue("slowlog-log-slower-than", "0").
		ParameterValue("slowlog-max-len", "10000").Build()).Error())
	require.NoError(t, s.client.Do(t.Context(), b().SlowlogReset().Build()).Error())
	f()
	entries, err := s.client.Do(t.Context(), b().SlowlogGet().Count(10000).Build()).ToArray()
	require.NoError(t, err)
	quickest = math.MaxInt64
	for _, entry := range entries {
		fields, err := entry.ToArray()
		require.NoError(t, err)
		took, err := fields[2].AsInt64()
		require.NoError(t, err)
		command, err := fields[3].AsStrSlice()
		require.NoError(t, err)
		if strings.EqualFold(command[0], "EVALSHA") {
			n++
			quickest = min(quickest, time.Duration(took)*time.Microsecond)
		}
	}
	return n, quickest
}

func increment(c *gin.Context) { _, _ = counter.Update(c, func(n int) int { return n + 1 }) }

// TestLargeValue: Redis does one thing at a time. What a client has put into its session, such as
// a form of many brackets, makes neither a change of another value long there nor a use.
func TestLargeValue(t *testing.T) {
	s := newLoaded(t)
	large := `{"cookie":{},"form":[` + strings.Repeat("[],", 1_000_000/3) + `0]}`
	s.write(t, large)
	const requests = 10
	n, quickest := s.scripts(t, func() {
		for range requests {
			inside(t, s, seal(secrets, "x"), increment)
		}
	})
	assert.Equal(t, requests, n)
	assert.Less(t, quickest, 20*time.Millisecond, "a script that looks at each bracket takes over 100")
	inside(t, s, seal(secrets, "x"), func(c *gin.Context) { is(t, c, "counter", requests) })

	s.write(t, large) // for an hour, as one that is in use again
	n, quickest = s.scripts(t, func() { inside(t, s, seal(secrets, "x"), func(c *gin.Context) { sessionkit.User(c) }) })
	assert.Equal(t, 1, n)
	assert.Less(t, quickest, 20*time.Millisecond)
	left, err := s.client.Do(t.Context(), s.client.B().Ttl().Key("sess:x").Build()).AsInt64()
	require.NoError(t, err)
	assert.InDelta(t, (24 * time.Hour).Seconds(), left, 3)
}

// TestChangeIsOneScript: a change of a session is one script, and one more for each change by
// others since it was loaded.
func TestChangeIsOneScript(t *testing.T) {
	s := newLoaded(t)
	other := sessionkit.NewKey[int]("other")
	meanwhile := func(times int) func(c *gin.Context) {
		return func(c *gin.Context) {
			_, _ = other.Get(c)
			for i := range times {
				s.write(t, fmt.Sprintf(`{"cookie":{},"counter":%d}`, i+2))
			}
			other.Set(c, 1)
		}
	}
	for _, test := range []struct{ times, want int }{{0, 1}, {1, 2}, {3, 2}} {
		n, _ := s.scripts(t, func() { inside(t, s, seal(secrets, "x"), meanwhile(test.times)) })
		assert.Equal(t, test.want, n)
		inside(t, s, seal(secrets, "x"), func(c *gin.Context) {
			is(t, c, "counter", 1+test.times)
			is(t, c, "other", 1)
		})
		s.write(t, `{"cookie":{},"counter":1}`)
	}
}

// TestLargeSessionIsChangedAtOnce: requests of one process that meet at a session do not make each
// other send it again and again, until some are too late.
func TestLargeSessionIsChangedAtOnce(t *testing.T) {
	s := newLoaded(t)
	s.write(t, `{"cookie":{},"large":"`+strings.Repeat("x", 20<<10)+`"}`)
	numbered := func(i int) sessionkit.Key[int] { return sessionkit.NewKey[int](fmt.Sprint("value ", i)) }
	const requests = 64
	n, _ := s.scripts(t, func() {
		var all sync.WaitGroup
		for i := range requests {
			all.Go(func() {
				res := inside(t, s, seal(secrets, "x"), func(c *gin.Context) { numbered(i).Set(c, i) })
				assert.Empty(t, res.Header["Errors"])
			})
		}
		all.Wait()
	})
	assert.LessOrEqual(t, n, 2*requests, "one with what the request has loaded, one with what stands")
	inside(t, s, seal(secrets, "x"), func(c *gin.Context) {
		for i := range requests {
			is(t, c, fmt.Sprint("value ", i), i)
		}
	})
}

// TestChangesFromManyProcesses: each has a store of its own, so that nothing puts them in order.
func TestChangesFromManyProcesses(t *testing.T) {
	const processes, changes = 16, 20
	eachMedium(t, func(t *testing.T, m *medium) {
		m.write(t, "x", `{"cookie":{},"a":1}`)
		var all sync.WaitGroup
		for i := range processes {
			s := newStore(m)
			own := sessionkit.NewKey[int](fmt.Sprint("own ", i))
			all.Go(func() {
				for n := range changes {
					res := inside(t, s, seal(secrets, "x"), func(c *gin.Context) {
						increment(c)
						own.Set(c, n)
					})
					assert.Empty(t, res.Header["Errors"])
				}
			})
		}
		all.Wait()
		inside(t, newStore(m), seal(secrets, "x"), func(c *gin.Context) {
			is(t, c, "a", 1)
			is(t, c, "counter", processes*changes)
			for i := range processes {
				is(t, c, fmt.Sprint("own ", i), changes-1)
			}
		})
	})
}

// TestErrorsShowNothing: a server that does not know a command repeats what it was sent.
func TestErrorsShowNothing(t *testing.T) {
	change := func(c *gin.Context) { sessionkit.NewKey[int]("n").Set(c, 1) }
	begin := func(c *gin.Context) { sessionkit.Login(c, "ada") }
	for _, test := range []struct {
		command string
		f       func(c *gin.Context)
	}{
		{"GET", change},
		{"PTTL", change},
		{"EVALSHA", change},
		{"EVALSHA", sessionkit.Renew},
		{"DEL", sessionkit.Renew}, // in the script, and when that is undone
		{"DEL", sessionkit.Logout},
		{"SET", change}, // in the script
		{"SET", sessionkit.Renew},
		{"SET", begin},
	} {
		server := testserver.Redis(t, "--rename-command", test.command, "unknown")
		client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Address}, DisableCache: true})
		require.NoError(t, err)
		defer client.Close()
		require.NoError(t, client.Do(t.Context(), client.B().Setex().Key("sess:x").Seconds(3600).Value(`{"cookie":{},"a":"hunter2"}`).Build()).Error())
		got := inside(t, express.Redis(client, express.Config{Secrets: secrets}), seal(secrets, "x"), test.f)
		told := strings.Join(got.Header["Errors"], "\n")
		assert.NotEmpty(t, told, test.command)
		for _, secret := range []string{"hunter2", "sess:"} {
			assert.NotContains(t, told, secret)
		}
	}
}

// A tapped client calls a function before each command.
type tapped struct {
	rueidis.Client

	before func(command []string)
}

func (c *tapped) Do(ctx context.Context, command rueidis.Completed) rueidis.RedisResult {
	c.before(command.Commands())
	return c.Client.Do(ctx, command)
}

// TestServerHangsDuringARenewal: the time for an operation is also that for undoing it.
func TestServerHangsDuringARenewal(t *testing.T) {
	server := testserver.Redis(t)
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Address}, DisableCache: true})
	require.NoError(t, err)
	defer client.Close()
	require.NoError(t, client.Do(t.Context(), client.B().Setex().Key("sess:x").Seconds(3600).Value(`{"cookie":{}}`).Build()).Error())
	hang := sync.OnceFunc(server.Pause)
	defer server.Resume()
	s := express.Redis(&tapped{client, func(command []string) {
		if command[0] == "EVALSHA" { // the new session is stored, the old one has yet to be removed
			hang()
		}
	}}, express.Config{Secrets: secrets, Timeout: 500 * time.Millisecond})
	began := time.Now()
	got := inside(t, s, seal(secrets, "x"), sessionkit.Renew)
	assert.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
	assert.Less(t, time.Since(began), 5*time.Second)
}

// TestUserThatNodeRounds: Node would have another user.
func TestUserThatNodeRounds(t *testing.T) {
	m := newRedis(t)
	s := m.store(express.Config{Secrets: secrets, User: express.User{
		Name:  "user",
		Read:  func(raw json.RawMessage) string { return string(raw) },
		Write: func(user string) any { return json.Number(user) },
	}})
	for user, code := range map[string]int{"42": http.StatusOK, "9007199254740993": http.StatusServiceUnavailable} {
		got := inside(t, s, "", func(c *gin.Context) { sessionkit.Login(c, user) })
		assert.Equal(t, code, got.StatusCode, user)
	}
}
