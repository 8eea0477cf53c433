package cost_test

import (
	"context"
	"encoding/hex"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// TestAllocations holds the hot path to its budget. A request costs the state of
// the middleware and the context's map; a read adds the state of the session and the hash.
func TestAllocations(t *testing.T) {
	if kittest.RaceEnabled {
		return // the race detector allocates
	}
	r, request := newBenchRouter(t)
	bare := kittest.Allocations(r, request("/bare"))
	for work, budget := range map[string]float64{"anonymous": 3, "read": 5, "write": 11, "update": 12} {
		assert.LessOrEqual(t, kittest.Allocations(r, request("/"+work)), budget, "%s (bare Gin that parses a cookie: %v)", work, bare)
	}
}

// TestBytes: a request that touches nothing makes nothing of a session, and one that does no more than it needs.
func TestBytes(t *testing.T) {
	if kittest.RaceEnabled {
		return
	}
	r, request := newBenchRouter(t)
	measure := func(path string) uint64 {
		const runs, tries = 1000, 5
		req, w := request(path), kittest.Discard{}
		least := uint64(math.MaxUint64)
		for range tries {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range runs {
				clear(w)
				r.ServeHTTP(w, req)
			}
			runtime.ReadMemStats(&after)
			least = min(least, (after.TotalAlloc-before.TotalAlloc)/runs)
		}
		return least
	}
	assert.LessOrEqual(t, measure("/anonymous"), uint64(500), "of which gin's map takes more than half")
	assert.LessOrEqual(t, measure("/read"), uint64(1080))
}

// TestAllocationsOfSignIn holds signing in a visitor, and signing out, to their budgets.
func TestAllocationsOfSignIn(t *testing.T) {
	if kittest.RaceEnabled {
		return
	}
	const runs, tries = 100, 5
	r, _ := newBenchRouter(t)
	signIn, signOut := signInAndOut(t, r, tries*(runs+1)) // AllocsPerRun calls once more
	for _, test := range []struct {
		work   string
		do     func()
		budget float64
	}{{"sign in", signIn, 28}, {"sign out", signOut, 14}} {
		least := math.Inf(1)
		for range tries {
			least = min(least, testing.AllocsPerRun(runs, test.do))
		}
		assert.LessOrEqual(t, least, test.budget, test.work)
	}
}

type (
	allocItem struct {
		Name            string
		Quantity, Price int
	}
	allocUUID [16]byte
)

func (u allocUUID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, u[:]), nil }

func (u *allocUUID) UnmarshalText(text []byte) error {
	_, err := hex.Decode(u[:], text)
	return err
}

// TestAllocationsOfTypes holds reads and writes of one value to their budgets, beside what
// a request with a session takes anyway: no read of a basic type allocates.
func TestAllocationsOfTypes(t *testing.T) {
	if kittest.RaceEnabled {
		return
	}
	list := make([]allocItem, 20)
	for i := range list {
		list[i] = allocItem{"item " + strings.Repeat("x", i), i, 100 * i}
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	name := strings.Repeat("x", 10)
	for _, test := range []struct {
		name        string
		read, write float64
		measure     func(*testing.T) (read, write float64)
	}{
		{name: "int", write: 1, measure: allocationsOf(1234, 2345)},
		{name: "string", write: 1, measure: allocationsOf(name, name+"y")},
		{name: "bool", measure: allocationsOf(true, false)},
		{name: "int64", write: 1, measure: allocationsOf(int64(1234), int64(2345))},
		{name: "uint", write: 1, measure: allocationsOf(uint(1234), uint(2345))},
		{name: "float64", write: 1, measure: allocationsOf(9.95, 1.5)},
		{name: "time.Time", write: 1, measure: allocationsOf(now, now.Add(time.Hour))},
		{name: "time.Duration", write: 1, measure: allocationsOf(time.Minute, time.Hour)},
		{name: "[]byte", read: 1, write: 2, measure: allocationsOf([]byte(name), []byte(name+"y"))},
		{name: "UUID", write: 3, measure: allocationsOf(allocUUID{1}, allocUUID{2})},
		{name: "struct", write: 3, measure: allocationsOf(list[1], list[2])},
		{name: "list", read: 2, write: 3, measure: allocationsOf(list, list[1:])},
		{name: "map", read: 3, write: 8, measure: allocationsOf(map[string]string{"a": "b", "c": "d"}, map[string]string{"e": "f", "g": "h"})},
	} {
		t.Run(test.name, func(t *testing.T) {
			read, write := test.measure(t)
			assert.LessOrEqual(t, read, 5+test.read, "read")
			assert.LessOrEqual(t, write, 10+test.write, "write")
		})
	}
}

// allocationsOf returns a function that measures requests that read a value, and requests
// that write one of two in turn.
func allocationsOf[T any](one, other T) func(*testing.T) (read, write float64) {
	return func(t *testing.T) (read, write float64) {
		t.Helper()
		key := sessionkit.NewKey[T]("key")
		r := gin.New()
		r.Use(sessionkit.Sessions(memstore.New()))
		n := 0
		r.GET("/write", func(c *gin.Context) {
			if n++; n%2 == 1 {
				key.Set(c, one)
			} else {
				key.Set(c, other)
			}
		})
		r.GET("/read", func(c *gin.Context) {
			if _, ok := key.Get(c); !ok {
				panic("the value is not there")
			}
		})
		w := httptest.NewRecorder()
		request := func(path string) *http.Request {
			return httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil)
		}
		r.ServeHTTP(w, request("/write"))
		cookies := kittest.SetCookies(w)
		require.NotEmpty(t, cookies)
		with := func(r *http.Request) *http.Request {
			for _, cookie := range cookies {
				r.AddCookie(cookie)
			}
			return r
		}
		return kittest.Allocations(r, with(request("/read"))), kittest.Allocations(r, with(request("/write")))
	}
}
