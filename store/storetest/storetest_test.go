package storetest_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit/internal/value"
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
	"an end of the user's own sessions only": {
		"end", "End of the empty user must end sessions of anybody",
		func(b store.Backend) store.Backend { return strictEnd{b} },
	},
	"an update that forgets the name": {
		"update", "Update must leave the name and the user alone",
		func(b store.Backend) store.Backend {
			return updating{b, func(r *store.Record) { r.Name = "" }}
		},
	},
	"an update that forgets Since": {
		"update", "Update must leave Created and Since alone: Since",
		func(b store.Backend) store.Backend {
			return updating{b, func(r *store.Record) { r.Since = time.Time{} }}
		},
	},
	"an update of any size": {
		"size", "Update must return ErrTooLarge",
		func(b store.Backend) store.Backend {
			return bounding{b, func(_ store.Record, c *store.Change) error { c.MaxBytes = 0; return nil }}
		},
	},
	"an update that never gets smaller": {
		"size", "Update must make one that leaves what is too large already smaller",
		func(b store.Backend) store.Backend {
			return bounding{b, func(r store.Record, c *store.Change) error {
				if c.MaxBytes > 0 && bytesOf(value.Apply(r.Values, c.Set, c.Delete)) > c.MaxBytes {
					return store.ErrTooLarge
				}
				return nil
			}}
		},
	},
	"a size that is judged before the update": {
		"size against updates", "changes at the same time must not exceed MaxBytes together",
		func(b store.Backend) store.Backend {
			return bounding{b, func(r store.Record, c *store.Change) error {
				if c.MaxBytes > 0 && bytesOf(value.Apply(r.Values, c.Set, c.Delete)) > c.MaxBytes {
					return store.ErrTooLarge
				}
				c.MaxBytes = 0
				runtime.Gosched()
				return nil
			}}
		},
	},
	"a rotation of any size": {
		"size", "Rotate must return ErrTooLarge",
		func(b store.Backend) store.Backend {
			return rotating{b, func(m *store.Move) { m.MaxBytes = 0 }}
		},
	},
	"fresh sessions only": {
		"list", "LoadFresh must return what has ended or expired, and records of other kinds",
		func(b store.Backend) store.Backend {
			return fresh{b, func(r *store.Record) bool { return r.Kind == "" }}
		},
	},
	"fresh records that have not ended only": {
		"list", "LoadFresh must return what has ended or expired, and records of other kinds",
		func(b store.Backend) store.Backend {
			return fresh{b, func(r *store.Record) bool { return r.Ended == "" }}
		},
	},
	"fresh records without the name": {
		"list", "LoadFresh must return records as Load does",
		func(b store.Backend) store.Backend {
			return fresh{b, func(r *store.Record) bool { r.Name = ""; return true }}
		},
	},
	"fresh records without times": {
		"list", "LoadFresh must return records as Load does",
		func(b store.Backend) store.Backend {
			return fresh{b, func(r *store.Record) bool {
				r.Created, r.Since, r.Seen, r.Expires = time.Time{}, time.Time{}, time.Time{}, time.Time{}
				return true
			}}
		},
	},
	"a list by the first expiry": {
		"count", "List must return a session for as long as Update has it live",
		func(b store.Backend) store.Backend { return &listByFirst{Backend: b} },
	},
	"a scan that keeps its portions": {
		"scan", "a portion of Scan is the caller's",
		func(b store.Backend) store.Backend {
			k := new(keptScan)
			k.told = told{b, func(...string) { k.portions = nil }}
			return k
		},
	},
	"a peek at sessions only": {
		"peek", `want ["\"kind\"" "\"one\""]`,
		func(b store.Backend) store.Backend { return peeking{b.(store.PeekingBackend), false} },
	},
	"a peek before the session is stored": {
		"peek against update", "what is read once a session is stored must stand after that",
		func(b store.Backend) store.Backend { return peeking{b.(store.PeekingBackend), true} },
	},
	"a watch that calls once": {
		"watch", "Watch must call back each caller",
		func(b store.Backend) store.Backend { return newShyWatch(b, true) },
	},
	"a watch for one caller": {
		"watch", "Watch must call back each caller",
		func(b store.Backend) store.Backend { return newShyWatch(b, false) },
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

// bounding judges changes by the record that it has loaded.
type bounding struct {
	store.Backend

	judge func(store.Record, *store.Change) error
}

func (b bounding) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	r, found, _ := b.Load(ctx, id)
	holds := c.If == nil || r.Values[c.If.Name] == c.If.Text
	if found && r.Ended == "" && holds {
		if err := b.judge(r, &c); err != nil {
			return store.Outcome{}, err
		}
	}
	return b.Backend.Update(ctx, id, c)
}

func bytesOf(values map[string]string) (n int) {
	for name, text := range values {
		n += len(name) + len(text)
	}
	return n
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

type strictEnd struct{ store.Backend }

func (b strictEnd) End(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
	records, err := b.LoadFresh(ctx, ids...)
	if err != nil {
		return nil, err
	}
	others := func(id string) bool { return records[id].User != user }
	return b.Backend.End(ctx, user, why, slices.DeleteFunc(slices.Clone(ids), others)...)
}

type updating struct {
	store.Backend

	change func(*store.Record)
}

// Update writes the record anew.
func (b updating) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	outcome, err := b.Backend.Update(ctx, id, c)
	if !outcome.Changed() || err != nil {
		return outcome, err
	}
	r, _, _ := b.Load(ctx, id)
	b.change(&r)
	_, _ = b.Delete(ctx, id)
	_, err = b.Create(ctx, id, r)
	return outcome, err
}

type fresh struct {
	store.Backend

	as func(*store.Record) (found bool)
}

func (b fresh) LoadFresh(ctx context.Context, ids ...string) (map[string]store.Record, error) {
	records, err := b.Backend.LoadFresh(ctx, ids...)
	changed := make(map[string]store.Record)
	for id, r := range records {
		if b.as(&r) {
			changed[id] = r
		}
	}
	return changed, err
}

type listByFirst struct {
	store.Backend

	first sync.Map
}

func (b *listByFirst) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	b.first.Store(id, r.Expires)
	return b.Backend.Create(ctx, id, r)
}

func (b *listByFirst) List(ctx context.Context, user string) (map[string]store.Record, error) {
	records, err := b.Backend.List(ctx, user)
	maps.DeleteFunc(records, func(id string, _ store.Record) bool {
		expires, ok := b.first.Load(id)
		return ok && !time.Now().Before(expires.(time.Time))
	})
	return records, err
}

// told tells of each change.
type told struct {
	store.Backend

	changed func(ids ...string)
}

func (b told) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	defer b.changed(id)
	return b.Backend.Create(ctx, id, r)
}

func (b told) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	defer b.changed(id)
	return b.Backend.Update(ctx, id, c)
}

func (b told) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	defer b.changed(id)
	return b.Backend.Rotate(ctx, id, m)
}

func (b told) End(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
	defer b.changed(ids...)
	return b.Backend.End(ctx, user, why, ids...)
}

func (b told) Delete(ctx context.Context, id string) (bool, error) {
	defer b.changed(id)
	return b.Backend.Delete(ctx, id)
}

type keptScan struct {
	told

	portions []map[string]store.Record
}

func (b *keptScan) Scan(ctx context.Context) iter.Seq2[map[string]store.Record, error] {
	return func(yield func(map[string]store.Record, error) bool) {
		var portions []map[string]store.Record
		for records, err := range b.told.Scan(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			portions = append(portions, records)
		}
		if b.portions == nil {
			b.portions = portions
		}
		for _, records := range b.portions {
			if !yield(records, nil) {
				return
			}
		}
	}
}

type peeking struct {
	store.PeekingBackend

	before bool // what is read is of before; else it is of sessions only
}

func (b peeking) CreateAndPeek(ctx context.Context, id string, r store.Record, p store.Peek) (bool, []string, error) {
	return b.peek(ctx, p, func() (bool, error) { return b.Create(ctx, id, r) })
}

func (b peeking) RotateAndPeek(ctx context.Context, id string, m store.Move, p store.Peek) (bool, []string, error) {
	return b.peek(ctx, p, func() (bool, error) { return b.Rotate(ctx, id, m) })
}

func (b peeking) peek(ctx context.Context, p store.Peek, put func() (bool, error)) (bool, []string, error) {
	records, _ := b.LoadFresh(ctx, p.IDs...)
	stored, err := put()
	if !stored || err != nil {
		return stored, nil, err
	}
	texts := make([]string, len(p.IDs))
	for i, id := range p.IDs {
		if r := records[id]; b.before || r.Kind == "" {
			texts[i] = r.Values[p.Name]
		}
	}
	return stored, texts, nil
}

// shyWatch does not call all that it should.
type shyWatch struct {
	told

	once bool // else the last caller alone
	mu   sync.Mutex
	byID map[string][]func()
}

func newShyWatch(b store.Backend, once bool) *shyWatch {
	w := &shyWatch{once: once, byID: make(map[string][]func())}
	w.told = told{b, w.call}
	return w
}

func (w *shyWatch) call(ids ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		for _, changed := range w.byID[id] {
			changed()
		}
		if w.once {
			delete(w.byID, id)
		}
	}
}

func (w *shyWatch) Watch(id string, changed func()) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.once {
		w.byID[id] = nil
	}
	w.byID[id] = append(w.byID[id], changed)
	return func() {}
}
