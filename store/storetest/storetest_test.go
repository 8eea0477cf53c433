package storetest_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
	"github.com/gin-sessionkit/sessionkit/store/storetest"
)

// broken is the environment variable that names the mutant of [TestMutant].
const broken = "STORETEST_MUTANT"

// mutants are backends that break one rule each.
var mutants = map[string]struct {
	group   string // of the rules
	failure string // what Run says
	of      func(store.Backend) store.Backend
}{
	"a scan that holds a lock": {
		"scan", "no lock may be held",
		func(b store.Backend) store.Backend { return &lockedScan{Backend: b} },
	},
	"one portion": {
		"scan", "Scan must yield small portions",
		func(b store.Backend) store.Backend { return onePortion{b} },
	},
	"a trace without Since": {
		"rotate", "Rotate must leave the given trace: Since",
		func(b store.Backend) store.Backend {
			return rotating{b, func(m *store.Move) { m.Trace.Since = time.Time{} }}
		},
	},
	"a new record with another Seen": {
		"rotate", "times from the new record: Seen",
		func(b store.Backend) store.Backend {
			return rotating{b, func(m *store.Move) { m.Record.Seen = time.Now() }}
		},
	},
	"user names of 255 bytes": {
		"text", "the user's name must come back as it was",
		func(b store.Backend) store.Backend {
			return creating{b, func(r *store.Record) { r.User = r.User[:min(len(r.User), 255)] }}
		},
	},
	"a deaf watch": {
		"watch", "Watch must call back",
		func(b store.Backend) store.Backend { return deafWatch{b} },
	},
	"an ending without Created": {
		"end", "has its times, but for Expires: Created",
		func(b store.Backend) store.Backend {
			return ending{b, func(r *store.Record) { r.Created = time.Now() }}
		},
	},
	"an ending without Since": {
		"end", "has its times, but for Expires: Since",
		func(b store.Backend) store.Backend {
			return ending{b, func(r *store.Record) { r.Since = time.Time{} }}
		},
	},
	"an ending with another Seen": {
		"end", "has its times, but for Expires: Seen",
		func(b store.Backend) store.Backend {
			return ending{b, func(r *store.Record) { r.Seen = time.Now() }}
		},
	},
}

// TestMutant runs the contract on the mutant that the environment names, or on the
// backend that all of them are made of.
func TestMutant(t *testing.T) {
	of := func(b store.Backend) store.Backend { return unbroken{b} }
	if m, ok := mutants[os.Getenv(broken)]; ok {
		of = m.of
	}
	storetest.Run(t, func(*testing.T) store.Backend { return of(memstore.NewBackend()) })
}

func TestMutantsAreCaught(t *testing.T) {
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run", fmt.Sprintf("^TestMutant$/^%s$", m.group)) // #nosec G204 G702 -- this test
			c.Env = append(os.Environ(), broken+"="+name)
			out, err := c.CombinedOutput()
			assert.Error(t, err)
			assert.Contains(t, string(out), m.failure)
		})
	}
}

// unbroken hides what the backend can do beyond [store.Backend].
type unbroken struct{ store.Backend }

type lockedScan struct {
	store.Backend

	mu sync.Mutex
}

func (b *lockedScan) Scan(ctx context.Context) iter.Seq2[map[string]store.Record, error] {
	return func(yield func(map[string]store.Record, error) bool) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.Backend.Scan(ctx)(yield)
	}
}

func (b *lockedScan) End(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Backend.End(ctx, user, why, ids...)
}

type onePortion struct{ store.Backend }

func (b onePortion) Scan(ctx context.Context) iter.Seq2[map[string]store.Record, error] {
	return func(yield func(map[string]store.Record, error) bool) {
		all := make(map[string]store.Record)
		for records, err := range b.Backend.Scan(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			maps.Copy(all, records)
		}
		yield(all, nil)
	}
}

type rotating struct {
	store.Backend

	change func(*store.Move)
}

func (b rotating) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	b.change(&m)
	return b.Backend.Rotate(ctx, id, m)
}

type creating struct {
	store.Backend

	change func(*store.Record)
}

func (b creating) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	b.change(&r)
	return b.Backend.Create(ctx, id, r)
}

type deafWatch struct{ store.Backend }

func (deafWatch) Watch(string, func()) (stop func()) { return func() {} }

type ending struct {
	store.Backend

	change func(*store.Record)
}

func (b ending) Load(ctx context.Context, id string) (store.Record, bool, error) {
	r, found, err := b.Backend.Load(ctx, id)
	if r.Ended == store.SignedOut {
		b.change(&r)
	}
	return r, found, err
}
