package storetest_test

import (
	"context"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

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

func charactersOf(values map[string]string) (n int) {
	for name, text := range values {
		n += utf8.RuneCountInString(name) + utf8.RuneCountInString(text)
	}
	return n
}

// inCharacters bounds how many characters the values have.
func inCharacters(update, rotate bool) func(h *hooked) {
	fits := func(values, set map[string]string, drop []string, most *int) error {
		after := charactersOf(value.Apply(values, set, drop))
		if *most > 0 && after > *most && after > charactersOf(values) {
			return store.ErrTooLarge
		}
		*most = 0
		return nil
	}
	return func(h *hooked) {
		if update {
			h.update = bounding{h.Backend, func(r store.Record, c *store.Change) error {
				return fits(r.Values, c.Set, c.Delete, &c.MaxBytes)
			}}.Update
		}
		if rotate {
			h.rotate = func(ctx context.Context, id string, m store.Move) (bool, error) {
				if r, found, _ := h.Backend.Load(ctx, id); found && isLive(r) {
					if err := fits(r.Values, m.Record.Values, m.Drop, &m.MaxBytes); err != nil {
						return false, err
					}
				}
				return h.Backend.Rotate(ctx, id, m)
			}
		}
	}
}

// folding compares texts as they are after folding.
func folding(fold func(text string) string) func(h *hooked) {
	return func(h *hooked) {
		h.update = func(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
			if c.If != nil {
				r, _, _ := h.Backend.Load(ctx, id)
				if stands := r.Values[c.If.Name]; fold(stands) == fold(c.If.Text) {
					c.If = &store.Condition{Name: c.If.Name, Text: stands}
				}
			}
			return h.Backend.Update(ctx, id, c)
		}
	}
}

// foldingNames finds the value of a condition whatever the case of its name.
func foldingNames(h *hooked) {
	h.update = func(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
		if c.If != nil {
			r, _, _ := h.Backend.Load(ctx, id)
			for _, name := range slices.Sorted(maps.Keys(r.Values)) {
				if strings.EqualFold(name, c.If.Name) {
					c.If = &store.Condition{Name: name, Text: c.If.Text}
					break
				}
			}
		}
		return h.Backend.Update(ctx, id, c)
	}
}

// ownCount counts what the process itself has made.
type ownCount struct {
	told

	own *sync.Map
}

func newOwnCount(b store.Backend) store.Backend {
	c := ownCount{own: new(sync.Map)}
	c.told = told{b, func(ids ...string) {
		for _, id := range ids {
			c.own.Store(id, nil)
		}
	}}
	return c
}

func (b ownCount) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	defer b.changed(m.ID)
	return b.told.Rotate(ctx, id, m)
}

func (b ownCount) Count(ctx context.Context) (c store.Counts, err error) {
	for id := range b.own.Range {
		r, found, err := b.Load(ctx, id.(string))
		if err != nil {
			return store.Counts{}, err
		}
		if found && r.Kind == "" && isLive(r) {
			c.Live++
			if r.User != "" {
				c.SignedIn++
			}
		}
	}
	return c, nil
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

// firstIndex has an index for List and Scan with a copy of each session as it got its ID.
type firstIndex struct {
	store.Backend

	first *sync.Map
	list  func(r *store.Record, first store.Record)
	scan  func(r *store.Record, first store.Record)
}

func asItIs(*store.Record, store.Record) {}

func withFirstTimes(r *store.Record, first store.Record) {
	r.Seen, r.Expires = first.Seen, first.Expires
}

func withFirstSignIn(r *store.Record, first store.Record) {
	r.Values = value.With(r.Values, store.SignInValue, first.Values[store.SignInValue])
}

func (b firstIndex) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	b.first.LoadOrStore(id, r)
	return b.Backend.Create(ctx, id, r)
}

func (b firstIndex) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	b.first.LoadOrStore(m.ID, m.Record)
	return b.Backend.Rotate(ctx, id, m)
}

func (b firstIndex) List(ctx context.Context, user string) (map[string]store.Record, error) {
	records, err := b.Backend.List(ctx, user)
	b.index(records, b.list)
	return records, err
}

func (b firstIndex) Scan(ctx context.Context) iter.Seq2[map[string]store.Record, error] {
	return func(yield func(map[string]store.Record, error) bool) {
		for records, err := range b.Backend.Scan(ctx) {
			if b.index(records, b.scan); !yield(records, err) {
				return
			}
		}
	}
}

func (b firstIndex) index(records map[string]store.Record, as func(*store.Record, store.Record)) {
	for id, r := range records {
		if first, ok := b.first.Load(id); ok && r.Ended == "" {
			as(&r, first.(store.Record))
			records[id] = r
		}
	}
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
	elsewhere()
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

// hooked does some things in its own way.
type hooked struct {
	store.Backend

	create func(ctx context.Context, id string, r store.Record) (bool, error)
	load   func(ctx context.Context, id string) (store.Record, bool, error)
	fresh  func(ctx context.Context, ids ...string) (map[string]store.Record, error)
	update func(ctx context.Context, id string, c store.Change) (store.Outcome, error)
	rotate func(ctx context.Context, id string, m store.Move) (bool, error)
	end    func(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error)
	remove func(ctx context.Context, id string) (bool, error)
	list   func(ctx context.Context, user string) (map[string]store.Record, error)
}

func hook(b store.Backend, set func(*hooked)) store.Backend {
	h := &hooked{
		Backend: b, create: b.Create, load: b.Load, fresh: b.LoadFresh, update: b.Update, rotate: b.Rotate, end: b.End, remove: b.Delete, list: b.List,
	}
	set(h)
	return h
}

func (h *hooked) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	return h.create(ctx, id, r)
}

func (h *hooked) Load(ctx context.Context, id string) (store.Record, bool, error) {
	return h.load(ctx, id)
}

func (h *hooked) LoadFresh(ctx context.Context, ids ...string) (map[string]store.Record, error) {
	return h.fresh(ctx, ids...)
}

func (h *hooked) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	return h.update(ctx, id, c)
}

func (h *hooked) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	return h.rotate(ctx, id, m)
}

func (h *hooked) End(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
	return h.end(ctx, user, why, ids...)
}

func (h *hooked) Delete(ctx context.Context, id string) (bool, error) { return h.remove(ctx, id) }

func (h *hooked) List(ctx context.Context, user string) (map[string]store.Record, error) {
	return h.list(ctx, user)
}

// fails reports whether an operation is one that fails.
func fails(ctx context.Context) bool { return ctx.Err() != nil }

// silentCreate, and those after it, take an error for a success, or for nothing there.

func silentCreate(h *hooked) {
	h.create = func(ctx context.Context, id string, r store.Record) (bool, error) {
		if fails(ctx) {
			return true, nil
		}
		return h.Backend.Create(ctx, id, r)
	}
}

func silentLoad(h *hooked) {
	h.load = func(ctx context.Context, id string) (store.Record, bool, error) {
		if fails(ctx) {
			return store.Record{}, false, nil
		}
		return h.Backend.Load(ctx, id)
	}
}

func silentFresh(h *hooked) {
	h.fresh = func(ctx context.Context, ids ...string) (map[string]store.Record, error) {
		if fails(ctx) {
			return nil, nil
		}
		return h.Backend.LoadFresh(ctx, ids...)
	}
}

func silentUpdate(as store.Outcome) func(h *hooked) {
	return func(h *hooked) {
		h.update = func(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
			if fails(ctx) {
				return as, nil
			}
			return h.Backend.Update(ctx, id, c)
		}
	}
}

func silentRotate(h *hooked) {
	h.rotate = func(ctx context.Context, id string, m store.Move) (bool, error) {
		if fails(ctx) {
			return true, nil
		}
		return h.Backend.Rotate(ctx, id, m)
	}
}

func silentEnd(as func(ids []string) []string) func(h *hooked) {
	return func(h *hooked) {
		h.end = func(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
			if fails(ctx) {
				return as(ids), nil
			}
			return h.Backend.End(ctx, user, why, ids...)
		}
	}
}

func silentDelete(h *hooked) {
	h.remove = func(ctx context.Context, id string) (bool, error) {
		if fails(ctx) {
			return true, nil
		}
		return h.Backend.Delete(ctx, id)
	}
}

func silentList(h *hooked) {
	h.list = func(ctx context.Context, user string) (map[string]store.Record, error) {
		if fails(ctx) {
			return nil, nil
		}
		return h.Backend.List(ctx, user)
	}
}

// shortList, and shortFresh, have a hundred records at most.

func shortList(h *hooked) {
	h.list = func(ctx context.Context, user string) (map[string]store.Record, error) {
		records, err := h.Backend.List(ctx, user)
		for id := range records {
			if len(records) > 100 {
				delete(records, id)
			}
		}
		return records, err
	}
}

func shortFresh(h *hooked) {
	h.fresh = func(ctx context.Context, ids ...string) (map[string]store.Record, error) {
		return h.Backend.LoadFresh(ctx, ids[:min(len(ids), 100)]...)
	}
}

// elsewhere lets others run between two steps.
func elsewhere() {
	for range 10 {
		runtime.Gosched()
	}
}

func isLive(r store.Record) bool {
	return r.Ended == "" && (r.Kind != "" || time.Now().Before(r.Expires))
}

// lookThenCreate, and those after it, look first and then do what was right when they looked.

func lookThenCreate(h *hooked) {
	h.create = func(ctx context.Context, id string, r store.Record) (bool, error) {
		if _, taken, err := h.Backend.Load(ctx, id); taken || err != nil {
			return false, err
		}
		elsewhere()
		if created, err := h.Backend.Create(ctx, id, r); created || err != nil {
			return created, err
		}
		_, _ = h.Backend.Delete(ctx, id)
		_, err := h.Backend.Create(ctx, id, r)
		return true, err
	}
}

func lookThenEnd(h *hooked) {
	h.end = func(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
		records, err := h.Backend.LoadFresh(ctx, ids...)
		if err != nil {
			return nil, err
		}
		elsewhere()
		_, err = h.Backend.End(ctx, user, why, ids...)
		dead := func(id string) bool { return records[id].Kind != "" || !isLive(records[id]) }
		return slices.DeleteFunc(slices.Clone(ids), dead), err
	}
}

func lookThenDelete(h *hooked) {
	h.remove = func(ctx context.Context, id string) (bool, error) {
		_, found, err := h.Backend.Load(ctx, id)
		if err != nil {
			return false, err
		}
		elsewhere()
		_, err = h.Backend.Delete(ctx, id)
		return found, err
	}
}

func lookThenRotate(h *hooked) {
	h.rotate = func(ctx context.Context, id string, m store.Move) (bool, error) {
		if r, found, _ := h.Backend.Load(ctx, id); found && isLive(r) {
			if err := m.Fits(r.Values); err != nil {
				return false, err
			}
		}
		elsewhere()
		m.MaxBytes = 0
		return h.Backend.Rotate(ctx, id, m)
	}
}

func lookThenUpdateIf(h *hooked) {
	h.update = func(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
		if c.If == nil {
			return h.Backend.Update(ctx, id, c)
		}
		r, found, _ := h.Backend.Load(ctx, id)
		elsewhere()
		o, err := h.Backend.Update(ctx, id, c)
		if found && isLive(r) && !o.Found && err == nil {
			o.Found = true
		}
		return o, err
	}
}

// timesTogether moves both times to where the change has one that is later.
func timesTogether(bySeen bool) func(h *hooked) {
	return func(h *hooked) {
		h.update = func(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
			before, _, _ := h.Backend.Load(ctx, id)
			o, err := h.Backend.Update(ctx, id, c)
			if !o.Changed() || err != nil || c.Seen.IsZero() || c.Expires.IsZero() {
				return o, err
			}
			r, _, _ := h.Backend.Load(ctx, id)
			switch {
			case bySeen && c.Seen.After(before.Seen):
				r.Expires = c.Expires
			case !bySeen && c.Expires.After(before.Expires):
				r.Seen = c.Seen
			}
			_, _ = h.Backend.Delete(ctx, id)
			_, err = h.Backend.Create(ctx, id, r)
			return o, err
		}
	}
}

// forgetful does not find what expired ten minutes ago.
func forgetful(load, loadFresh bool) func(h *hooked) {
	old := func(r store.Record) bool { return r.Kind == "" && time.Since(r.Expires) > 10*time.Minute }
	return func(h *hooked) {
		h.load = func(ctx context.Context, id string) (store.Record, bool, error) {
			r, found, err := h.Backend.Load(ctx, id)
			if load && old(r) {
				return store.Record{}, false, err
			}
			return r, found, err
		}
		h.fresh = func(ctx context.Context, ids ...string) (map[string]store.Record, error) {
			records, err := h.Backend.LoadFresh(ctx, ids...)
			maps.DeleteFunc(records, func(_ string, r store.Record) bool { return loadFresh && old(r) })
			return records, err
		}
	}
}

// mutexed reads, changes and writes back under a lock of the process.
func mutexed(h *hooked) {
	var mu sync.Mutex
	h.update = func(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
		mu.Lock()
		defer mu.Unlock()
		r, found, err := h.Backend.Load(ctx, id)
		switch {
		case !found || !isLive(r) || err != nil:
			return store.Outcome{}, err
		case c.If != nil && r.Values[c.If.Name] != c.If.Text:
			return store.Outcome{Found: true, Conflict: true, Text: r.Values[c.If.Name]}, nil
		}
		if err := c.Fits(r.Values); err != nil {
			return store.Outcome{}, err
		}
		elsewhere()
		all := store.Change{Set: value.Apply(r.Values, c.Set, c.Delete), Delete: c.Delete, Seen: c.Seen, Expires: c.Expires}
		return h.Backend.Update(ctx, id, all)
	}
}

// remembering answers from the memory of the process, which its own changes alone drop.
func remembering(load, loadFresh bool) func(store.Backend) store.Backend {
	return func(b store.Backend) store.Backend {
		var memory sync.Map
		b = told{b, func(ids ...string) {
			for _, id := range ids {
				memory.Delete(id)
			}
		}}
		remember := func(ctx context.Context, id string) (store.Record, bool, error) {
			if r, ok := memory.Load(id); ok {
				return r.(store.Record), true, nil
			}
			r, found, err := b.Load(ctx, id)
			if found {
				memory.Store(id, r)
			}
			return r, found, err
		}
		return hook(b, func(h *hooked) {
			if load {
				h.load = remember
			}
			if loadFresh {
				h.fresh = func(ctx context.Context, ids ...string) (map[string]store.Record, error) {
					records := make(map[string]store.Record)
					for _, id := range ids {
						r, found, err := remember(ctx, id)
						if err != nil {
							return nil, err
						}
						if found {
							records[id] = r
						}
					}
					return records, nil
				}
			}
		})
	}
}

// rememberingList and rememberingScan have an index that the changes of the process alone reach.

func rememberingList(b store.Backend) store.Backend {
	b, index := indexing(b)
	return hook(b, func(h *hooked) {
		h.list = func(ctx context.Context, user string) (map[string]store.Record, error) {
			records, err := b.List(ctx, user)
			index(records)
			return records, err
		}
	})
}

type rememberingScan struct {
	store.Backend

	index func(map[string]store.Record)
}

func (b rememberingScan) Scan(ctx context.Context) iter.Seq2[map[string]store.Record, error] {
	return func(yield func(map[string]store.Record, error) bool) {
		for records, err := range b.Backend.Scan(ctx) {
			if b.index(records); !yield(records, err) {
				return
			}
		}
	}
}

// indexing returns the backend as it tells the index of its changes, and what puts records of
// the index in place of others.
func indexing(b store.Backend) (store.Backend, func(map[string]store.Record)) {
	var memory sync.Map
	b = told{b, func(ids ...string) {
		for _, id := range ids {
			memory.Delete(id)
		}
	}}
	return b, func(records map[string]store.Record) {
		for id, r := range records {
			known, _ := memory.LoadOrStore(id, r)
			records[id] = known.(store.Record)
		}
	}
}

// peekingOtherwise stores something else if it peeks.
type peekingOtherwise struct {
	store.PeekingBackend

	record func(*store.Record)
	move   func(*store.Move)
}

func (b peekingOtherwise) CreateAndPeek(ctx context.Context, id string, r store.Record, p store.Peek) (bool, []string, error) {
	if b.record != nil {
		b.record(&r)
	}
	return b.PeekingBackend.CreateAndPeek(ctx, id, r, p)
}

func (b peekingOtherwise) RotateAndPeek(ctx context.Context, id string, m store.Move, p store.Peek) (bool, []string, error) {
	if b.move != nil {
		b.move(&m)
	}
	return b.PeekingBackend.RotateAndPeek(ctx, id, m, p)
}
