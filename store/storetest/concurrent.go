package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// rounds is how often a race is run.
const rounds = 100

// together runs the functions at the same time, released by one barrier.
func together(functions ...func()) {
	var ready, done sync.WaitGroup
	barrier := make(chan struct{})
	ready.Add(len(functions))
	for _, f := range functions {
		done.Go(func() {
			ready.Done()
			<-barrier
			f()
		})
	}
	ready.Wait()
	close(barrier)
	done.Wait()
}

// try runs an operation in a goroutine, where Fatal must not be called.
func (s *suite) try(found bool, err error) bool {
	if err != nil {
		s.Errorf("no operation of this test may fail: %v", err)
	}
	return found
}

func concurrentUpdates(s *suite) {
	want := map[string]string{"dropped": `1`}
	for i := range 64 {
		want[fmt.Sprintf("old%d", i)] = `1`
	}
	id := s.create(record("alice", want))
	delete(want, "dropped")
	var updates []func()
	for i := range 64 {
		set, drop := fmt.Sprintf("new%d", i), fmt.Sprintf("old%d", i)
		want[set] = fmt.Sprint(i)
		delete(want, drop)
		updates = append(updates, func() {
			c := store.Change{Set: map[string]string{set: fmt.Sprint(i)}, Delete: []string{drop, "dropped"}}
			if !s.try(s.b.Update(s.Context(), id, c)) {
				s.Error("Update of a live session must report true")
			}
		})
	}
	together(updates...)
	s.wantValues(id, want, "requests that change different values at the same time must lose nothing of each other")
}

func updateAgainstLoad(s *suite) {
	r := record("alice", map[string]string{"a": `0`, "b": `0`})
	id := s.create(r)
	var acknowledged atomic.Int64
	var ended atomic.Bool
	read := func() {
		for !ended.Load() {
			least := acknowledged.Load()
			now, found, err := s.b.Load(s.Context(), id)
			if !s.try(found, err) {
				s.Error("Load of a live session must report true")
				return
			}
			n, err := strconv.ParseInt(now.Values["a"], 10, 64)
			if err != nil || now.Values["b"] != now.Values["a"] || now.Expires.UnixMilli() != r.Expires.UnixMilli()+n {
				s.Errorf("Load must see all of a change or nothing of it: values are %q, expires %v", now.Values, now.Expires.Sub(r.Expires))
				return
			}
			if n < least {
				s.Errorf("Load must see what Update has reported: it saw change %d after %d", n, least)
				return
			}
		}
	}
	write := func() {
		defer ended.Store(true)
		for n := int64(1); n <= rounds; n++ {
			text := strconv.FormatInt(n, 10)
			expires := r.Expires.Add(time.Duration(n) * time.Millisecond)
			if !s.try(s.b.Update(s.Context(), id, store.Change{Set: map[string]string{"a": text, "b": text}, Expires: expires})) {
				s.Error("Update of a live session must report true")
				return
			}
			acknowledged.Store(n)
		}
	}
	together(write, read, read, read)
}

func updateAgainstDelete(s *suite) {
	for range rounds {
		id := s.create(record("alice", map[string]string{"a": `1`}))
		var deleted atomic.Bool
		update := func() {
			late := deleted.Load()
			found := s.try(s.b.Update(s.Context(), id, store.Change{Set: map[string]string{"a": `2`}, Expires: time.Now().Add(2 * time.Hour)}))
			if late && found {
				s.Error("Update must report false once Delete has returned")
			}
		}
		together(update, update, func() {
			if !s.try(s.b.Delete(s.Context(), id)) {
				s.Error("Delete of a session that is there must report true")
			}
			deleted.Store(true)
		}, update, update)
		s.wantGone(id, "an Update under way must not bring a deleted session back")
		if len(s.list("alice")) != 0 {
			s.Fatal("an Update under way must not bring a deleted session back to its user's list")
		}
	}
}

func updateAgainstRotate(s *suite) {
	for range rounds {
		id, newID := s.create(record("alice", map[string]string{"a": `1`})), s.id()
		var updated, rotated bool
		together(func() {
			updated = s.try(s.b.Update(s.Context(), id, store.Change{Set: map[string]string{"b": `2`}}))
		}, func() {
			rotated = s.try(s.b.Rotate(s.Context(), id, newID, record("alice", map[string]string{"c": `3`}), nil))
		})
		if !rotated {
			s.Fatal("Rotate of a live session must report true")
		}
		want := map[string]string{"a": `1`, "c": `3`}
		if updated {
			want["b"] = `2`
		}
		s.wantValues(newID, want, "an Update that reported true must stand after Rotate, and one that reported false must not")
		s.wantGone(id, "the old ID must be dead after Rotate")
		s.delete(newID)
	}
}

func rotateAgainstRotate(s *suite) {
	for range rounds {
		id, newIDs := s.create(record("alice", map[string]string{"a": `1`})), []string{s.id(), s.id(), s.id()}
		var won atomic.Int32
		var rotations []func()
		for _, newID := range newIDs {
			rotations = append(rotations, func() {
				if s.try(s.b.Rotate(s.Context(), id, newID, record("alice", nil), nil)) {
					won.Add(1)
				}
			})
		}
		together(rotations...)
		if won.Load() != 1 {
			s.Fatalf("of several Rotates of one session exactly one must report true: %d", won.Load())
		}
		if n := len(s.list("alice")); n != 1 {
			s.Fatalf("of several Rotates of one session exactly one new session must come: %d", n)
		}
		for _, newID := range newIDs {
			s.delete(newID)
		}
	}
}

func rotateAgainstDelete(s *suite) {
	for range rounds {
		id, newID := s.create(record("alice", map[string]string{"a": `1`})), s.id()
		var rotated, deleted bool
		together(func() {
			rotated = s.try(s.b.Rotate(s.Context(), id, newID, record("alice", nil), nil))
		}, func() {
			deleted = s.try(s.b.Delete(s.Context(), id))
		})
		if rotated == deleted {
			s.Fatalf("of Rotate and Delete exactly one must report true: %v, %v", rotated, deleted)
		}
		if _, found := s.load(newID); found != rotated {
			s.Fatal("Rotate must create the new session if and only if it reports true")
		}
		s.wantGone(id, "the ID must be dead after Rotate and after Delete")
		s.delete(newID)
	}
}

// operations is how many random operations are compared with the model.
const operations = 10_000

// randomOperations does the same to the backend and to a plain map.
// rotateAgainstList: whoever ends all sessions of a user goes by the list.
func rotateAgainstList(s *suite) {
	var ended atomic.Bool
	signedIn := func(line string) store.Record {
		return record("alice", nil).WithSignIn(store.SignIn{At: time.Now(), Line: line})
	}
	renewed := signedIn("renewed again and again")
	id := s.create(renewed)
	s.create(signedIn("at rest"))
	rotating := func() {
		for n := 0; !ended.Load(); n++ {
			next := fmt.Sprintf("%s%09d", id[:len(id)-9], n)
			if next == id {
				continue
			}
			if !s.try(s.b.Rotate(s.Context(), id, next, renewed, nil)) {
				s.Error("Rotate of a live session must report true")
				return
			}
			id = next
		}
	}
	listing := func() {
		defer ended.Store(true)
		for range 10 * rounds {
			list, err := s.b.List(s.Context(), "alice")
			if !s.try(true, err) || len(list) != 2 {
				s.Errorf("List must have each session of the user once, also while one is given a new ID: it has %d of 2", len(list))
				return
			}
		}
	}
	together(rotating, listing)
}

func randomOperations(s *suite) {
	random := rand.New(rand.NewPCG(1, 2)) // #nosec G404 -- the same operations in each run
	users := []string{"", "alice", "bob", "carol"}
	var ids []string
	for range 40 {
		ids = append(ids, s.id())
	}
	model := make(map[string]store.Record)
	pick := func() string { return ids[random.IntN(len(ids))] }
	values := func() map[string]string {
		m := make(map[string]string)
		for range random.IntN(4) {
			m[fmt.Sprintf("k%d", random.IntN(6))] = fmt.Sprint(random.IntN(100))
		}
		return m
	}
	names := func() (names []string) {
		for range random.IntN(3) {
			names = append(names, fmt.Sprintf("k%d", random.IntN(6)))
		}
		return names
	}
	newRecord := func() store.Record {
		r := record(users[random.IntN(len(users))], values())
		if random.IntN(8) == 0 {
			r.Expires = time.Now().Add(-time.Minute)
		}
		return r
	}
	live := func(id string) bool { return time.Now().Before(model[id].Expires) }
	for n := range operations {
		id := pick()
		var got, want bool
		var err error
		operation := random.IntN(10)
		switch operation {
		case 0, 1:
			r := newRecord()
			_, taken := model[id]
			want = !taken
			got, err = s.b.Create(s.Context(), id, r)
			if want {
				model[id] = r
			}
		case 2, 3, 4, 5:
			c := store.Change{Set: values(), Delete: names()}
			for _, name := range c.Delete {
				delete(c.Set, name)
			}
			want = live(id)
			got, err = s.b.Update(s.Context(), id, c)
			if want {
				model[id] = overlay(model[id], model[id], c.Set, c.Delete)
			}
		case 6:
			newID, r, drop := pick(), newRecord(), names()
			if _, taken := model[newID]; taken {
				continue // new IDs are random: they never meet one that is there
			}
			want = live(id)
			got, err = s.b.Rotate(s.Context(), id, newID, r, drop)
			if want {
				model[newID] = overlay(r, model[id], r.Values, drop)
				delete(model, id)
			}
		case 7:
			_, want = model[id]
			got, err = s.b.Delete(s.Context(), id)
			delete(model, id)
		default:
			var r store.Record
			_, want = model[id]
			r, got, err = s.b.Load(s.Context(), id)
			if want && got && (r.User != model[id].User || !sameValues(r.Values, model[id].Values)) {
				s.Fatalf("operation %d: Load must return what the operations before it made: %+v, want %+v", n, r, model[id])
			}
		}
		s.must(err)
		if got != want {
			s.Fatalf("operation %d (kind %d) must report %v", n, operation, want)
		}
	}
	s.compareLists(users, model)
}

// overlay returns next with the values of old, less drop, overlaid with set.
func overlay(next, old store.Record, set map[string]string, drop []string) store.Record {
	values := maps.Clone(old.Values)
	for _, name := range drop {
		delete(values, name)
	}
	maps.Copy(values, set)
	next.Values = values
	return next
}

func (s *suite) compareLists(users []string, model map[string]store.Record) {
	s.Helper()
	now := time.Now()
	for _, user := range users {
		if user == "" {
			continue
		}
		want := 0
		for _, r := range model {
			if r.User == user && now.Before(r.Expires) {
				want++
			}
		}
		got := 0
		for id, r := range s.list(user) {
			if !now.Before(r.Expires) {
				continue
			}
			got++
			if !sameValues(r.Values, model[id].Values) {
				s.Errorf("List must return the values that stand: %q, want %q", r.Values, model[id].Values)
			}
		}
		if got != want {
			s.Errorf("List must return all live sessions of %q: %d, want %d", user, got, want)
		}
	}
}
