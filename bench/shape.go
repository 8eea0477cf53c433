package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
)

// A shape is a session of so many values of so many bytes, and what a request
// costs that reads two of them or writes one.
type shape struct {
	Store         medium
	Values, Bytes int
	Read, Write   float64 // ns
}

// counts and sizes are the shapes that are measured: many small values, and two
// values of any size.
var (
	counts = []int{2, 5, 20, 100}
	sizes  = []int{16, 256, 4 << 10, 64 << 10}
)

// measureShapes measures the kit over its stores in memory and in SQLite.
func measureShapes(around surroundings, rounds int, each time.Duration) ([]shape, error) {
	own := new(closer)
	defer func() { _ = own.close() }() // nothing of it is needed any more
	around.close = own
	var found []shape
	for _, m := range []medium{inMemory, inSQLite} {
		sessions, err := openShapeStore(around, m)
		if err != nil {
			return nil, err
		}
		own.add(sessions.Close)
		for _, n := range counts {
			found = append(found, shape{Store: m, Values: n, Bytes: sizes[0]})
		}
		for _, bytes := range sizes[1:] {
			found = append(found, shape{Store: m, Values: counts[0], Bytes: bytes})
		}
		for i := range found {
			if found[i].Store != m {
				continue
			}
			if err := found[i].measure(sessions, rounds, each); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

func openShapeStore(around surroundings, m medium) (*store.Store, error) {
	if m == inMemory {
		return openMemstore(around)
	}
	return openSQLstore(around)
}

func (s *shape) measure(sessions *store.Store, rounds int, each time.Duration) error {
	d := newDirect(newShapeRouter(sessions, s.Values, s.Bytes))
	v := &visitor{transport: d, content: small}
	if _, err := v.start(); err != nil {
		return err
	}
	v.held = []byte(strconv.Itoa(2 * s.Bytes))
	var reads, writes []sample
	for range rounds {
		for _, w := range []work{read, write} {
			found, err := repeat([]*visitor{v}, w, each, nil)
			if err != nil {
				return fmt.Errorf("%d values of %d bytes in %s: %w", s.Values, s.Bytes, s.Store, err)
			}
			if w == read {
				reads = append(reads, found)
			} else {
				writes = append(writes, found)
			}
		}
	}
	s.Read, s.Write = median(times(reads)), median(times(writes))
	return nil
}

// newShapeRouter returns handlers at the routes of the small content, for sessions
// of another shape. A read answers how many bytes the two values have, and so does
// a write.
func newShapeRouter(sessions *store.Store, values, bytes int) *gin.Engine {
	texts := [2]string{strings.Repeat("a", bytes), strings.Repeat("b", bytes)}
	keys := make([]sessionkit.Key[string], values)
	for i := range keys {
		keys[i] = sessionkit.NewKey[string]("value" + strconv.Itoa(i))
	}
	written := 0
	r := gin.New()
	r.Use(sessionkit.Sessions(sessions))
	r.POST(routes[routeStartSmall].path, func(c *gin.Context) {
		for _, key := range keys {
			key.Set(c, texts[0])
		}
		c.Status(http.StatusOK)
	})
	r.GET(routes[routeReadSmall].path, func(c *gin.Context) {
		one, _ := keys[0].Get(c)
		other, _ := keys[1].Get(c)
		ginText(c, strconv.Itoa(len(one)+len(other)))
	})
	r.POST(routes[routeWriteSmall].path, func(c *gin.Context) {
		written++
		keys[0].Set(c, texts[written%2])
		ginText(c, strconv.Itoa(2*bytes))
	})
	return r
}
