package storetest

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// rounds is how often a race is run.
const rounds = 100

// repeatedly yields n times, or fewer if that takes long: it ends after a quarter of a
// second, or after half a second with SESSIONKIT_TESTS=long, but not before some rounds were run. If
// the medium is so quick that little of it happens at the same time, it goes on for a moment.
func repeatedly(n int) iter.Seq[int] {
	limit := time.Second / 4
	if strings.HasPrefix(os.Getenv("SESSIONKIT_TESTS"), "long") {
		limit *= 2
	}
	const moment = 30 * time.Millisecond
	return func(yield func(int) bool) {
		began := time.Now()
		for i := range 10 * n {
			took := time.Since(began)
			if i >= rounds/10 && took > limit || i >= n && took > moment || !yield(i) {
				return
			}
		}
	}
}

// together runs the functions at the same time, released by one barrier, in any order.
func together(functions ...func()) {
	functions = slices.Clone(functions)
	rand.Shuffle(len(functions), func(i, j int) { functions[i], functions[j] = functions[j], functions[i] }) // #nosec G404 -- it keeps no secret
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

// changed reports whether a change was made.
func changed(o store.Outcome, err error) (bool, error) { return o.Changed(), err }

// createAgainstCreate: of several who store something under one ID, one does.
func createAgainstCreate(s *suite) {
	users := []string{"alice", "bob", "carol", "dave", "erin", "frank"}
	for range repeatedly(rounds) {
		id := s.id()
		var won [6]bool
		var all []func()
		for i, user := range users {
			all = append(all, func() {
				won[i] = s.try(s.b.Create(s.Context(), id, record(user, map[string]string{"of": fmt.Sprintf("%q", user)})))
			})
		}
		together(all...)
		var winners []string
		for i, user := range users {
			if won[i] {
				winners = append(winners, user)
			}
		}
		if len(winners) != 1 {
			s.Fatalf("of several Creates of one ID exactly one must report true: %d", len(winners))
		}
		r, _ := s.load(id)
		if r.User != winners[0] || r.Values["of"] != fmt.Sprintf("%q", winners[0]) {
			s.Fatalf("what stands must be what the one Create stored that reported true: %+v, want that of %s", r, winners[0])
		}
		for i, user := range users {
			if _, listed := s.list(user)[id]; listed != won[i] {
				s.Fatalf("a session must be on the list of its own user and no other: %s's, which is of %s: %v", user, winners[0], listed)
			}
		}
		s.delete(id)
	}
}

func concurrentUpdates(s *suite) {
	for range repeatedly(rounds) {
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
				if !s.try(changed(s.b.Update(s.Context(), id, c))) {
					s.Error("Update of a live session must report true")
				}
			})
		}
		together(updates...)
		s.wantValues(id, want, "requests that change different values at the same time must lose nothing of each other")
		s.delete(id)
	}
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
			if !s.try(changed(s.b.Update(s.Context(), id, store.Change{Set: map[string]string{"a": text, "b": text}, Expires: expires}))) {
				s.Error("Update of a live session must report true")
				return
			}
			acknowledged.Store(n)
		}
	}
	together(write, read, read, read)
}

// updateAgainstEnd: what is left of a session tells which of the changes were made, by Seen.
func updateAgainstEnd(s *suite) {
	for range repeatedly(rounds) {
		want := record("alice", map[string]string{"a": `1`})
		id, expires := s.create(want), time.Now().Add(2*time.Hour)
		var ended atomic.Bool
		var made [4]time.Time
		all := []func(){func() {
			defer ended.Store(true)
			if !s.end("alice", store.Revoked, id) {
				s.Error("End of a live session must return its ID")
			}
		}}
		for i := range made {
			all = append(all, func() {
				s.updateUntil(&ended, id, i, func(n int, c *store.Change) {
					c.Seen, c.Expires = want.Seen.Add(time.Duration(len(made)*n+i)*time.Millisecond), expires
				}, func(_ int, c store.Change) { made[i] = c.Seen })
			})
		}
		together(all...)
		s.wantDead(id, store.Revoked, "an Update under way must not bring an ended session back")
		if len(s.list("alice")) != 0 {
			s.Fatal("an Update under way must not bring an ended session back to its user's list")
		}
		for _, seen := range made {
			if seen.After(want.Seen) {
				want.Seen = seen
			}
		}
		trace, _ := s.load(id)
		s.wantTimes(trace, want, "an Update that reported true must have been made before the End, and one that reported false must not")
	}
}

// updateUntil makes changes, each of another text, until they find nothing or the session has
// ended. Those of every second i have a condition, which holds.
func (s *suite) updateUntil(ended *atomic.Bool, id string, i int, prepare func(n int, c *store.Change), made func(n int, c store.Change)) {
	for n := 1; ; n++ {
		c := store.Change{Set: map[string]string{fmt.Sprintf("b%d", i): strconv.Itoa(n)}}
		if i%2 == 1 {
			c.If = &store.Condition{Name: "a", Text: `1`}
		}
		prepare(n, &c)
		late := ended.Load()
		ok := s.try(changed(s.b.Update(s.Context(), id, c)))
		switch {
		case late && ok:
			s.Error("Update must change nothing once the session has ended")
			return
		case late || !ok:
			return
		}
		made(n, c)
	}
}

// peekAgainstUpdate: whoever ends a user's sessions changes a record, then lists them. Of
// those that are just being stored either it finds the session, or that sees the change.
func peekAgainstUpdate(s *suite) {
	s.peekAgainstUpdate(func() func(id string, p store.Peek) (bool, []string, error) {
		return func(id string, p store.Peek) (bool, []string, error) {
			return createAndPeek(s.Context(), s.b, id, record("alice", nil), p)
		}
	})
}

// peekOfRotationAgainstUpdate: visitors sign in.
func peekOfRotationAgainstUpdate(s *suite) {
	s.peekAgainstUpdate(func() func(id string, p store.Peek) (bool, []string, error) {
		visitor := s.create(record("", nil))
		return func(id string, p store.Peek) (bool, []string, error) {
			return rotateAndPeek(s.Context(), s.b, visitor, moveTo(id, record("alice", nil)), p)
		}
	})
}

// peekAgainstUpdate calls what prepare returns while the record changes.
func (s *suite) peekAgainstUpdate(prepare func() (put func(id string, p store.Peek) (bool, []string, error))) {
	s.Helper()
	boundary := record("", map[string]string{"a": `0`})
	boundary.Kind = "other"
	boundaryID := s.create(boundary)
	const signingIn = 8
	for n := range repeatedly(10 * rounds) {
		text := strconv.Itoa(n + 1)
		var ids, read [signingIn]string
		var list map[string]store.Record
		all := []func(){func() {
			s.try(changed(s.b.Update(s.Context(), boundaryID, store.Change{Set: map[string]string{"a": text}})))
			var err error
			list, err = s.b.List(s.Context(), "alice")
			s.try(true, err)
		}}
		for i := range ids {
			ids[i] = s.id()
			put := prepare()
			all = append(all, func() {
				stored, texts, err := put(ids[i], store.Peek{Name: "a", IDs: []string{boundaryID}})
				if s.try(stored, err) && len(texts) == 1 {
					read[i] = texts[0]
				}
			})
		}
		together(all...)
		for i, id := range ids {
			if _, listed := list[id]; !listed && read[i] != text {
				s.Fatalf("what is read once a session is stored must stand after that: it is %q, although a List after the change to %s has no such session", read[i], text)
			}
			s.delete(id)
		}
	}
}

func updateAgainstDelete(s *suite) {
	for range repeatedly(rounds) {
		id := s.create(record("alice", map[string]string{"a": `1`}))
		update := func() {
			s.try(changed(s.b.Update(s.Context(), id, store.Change{Set: map[string]string{"a": `2`}, Expires: time.Now().Add(2 * time.Hour)})))
		}
		together(update, update, func() { s.try(s.b.Delete(s.Context(), id)) }, update, update)
		s.wantGone(id, "an Update under way must not bring a deleted record back")
	}
}

// conditionalUpdates: many count in one value, and add to one list, as a store
// does it: read, change, and try again with what stands.
func conditionalUpdates(s *suite) {
	const counters = 32
	id := s.create(record("alice", nil))
	var mu sync.Mutex
	seen := make(map[int]int)
	var all []func()
	for i := range counters {
		all = append(all, func() {
			for text := ""; ; {
				n, _ := strconv.Atoi(text)
				next := strconv.Itoa(n + 1)
				o, err := s.b.Update(s.Context(), id, store.Change{
					Set: map[string]string{"n": next, fmt.Sprintf("of%d", i): next}, If: &store.Condition{Name: "n", Text: text},
				})
				if !s.try(o.Found, err) {
					s.Error("Update of a live session must find it")
					return
				}
				if !o.Conflict {
					mu.Lock()
					seen[n+1]++
					mu.Unlock()
					return
				}
				if o.Text == text {
					s.Errorf("a conflict must tell what stands: it says %q, which is the condition", text)
					return
				}
				text = o.Text
			}
		})
	}
	together(all...)
	for n := 1; n <= counters; n++ {
		if seen[n] != 1 {
			s.Errorf("of changes on the same condition exactly one must be made: %d was counted %d times", n, seen[n])
		}
	}
	r, _ := s.load(id)
	if r.Values["n"] != strconv.Itoa(counters) || len(r.Values) != counters+1 {
		s.Errorf("a change with a condition is made as a whole: n is %s, and there are %d values of %d", r.Values["n"], len(r.Values), counters+1)
	}
}

// sizeAgainstUpdates: each change fits by itself, and two of them do together.
func sizeAgainstUpdates(s *suite) {
	const updates, fit = 12, 2
	for range repeatedly(rounds) {
		id := s.create(record("", map[string]string{"n": `1`}))
		var made atomic.Int32
		var all []func()
		for i := range updates {
			c := store.Change{Set: map[string]string{fmt.Sprintf("value %d", i): quoted(400)}, MaxBytes: 1000}
			if i%2 == 1 {
				c.If = &store.Condition{Name: "n", Text: `1`}
			}
			all = append(all, func() {
				o, err := s.b.Update(s.Context(), id, c)
				if errors.Is(err, store.ErrTooLarge) {
					return
				}
				if s.try(o.Changed(), err) {
					made.Add(1)
				}
			})
		}
		together(all...)
		r, _ := s.load(id)
		if made.Load() != fit || len(r.Values) != fit+1 {
			s.Fatalf("changes at the same time must not exceed MaxBytes together: %d of them were made, and there are %d values, of which %d fit",
				made.Load(), len(r.Values)-1, fit)
		}
		s.delete(id)
	}
}

// sizeOfRotationAgainstUpdates: each of them fits by itself, and no two of them do together.
func sizeOfRotationAgainstUpdates(s *suite) {
	const updates = 4
	for range repeatedly(rounds) {
		id, m := s.create(record("", map[string]string{"a": quoted(399)})), moveTo(s.id(), record("", map[string]string{"new": quoted(400)}))
		m.MaxBytes = most
		var made atomic.Int32
		attempt := func(ok bool, err error) {
			if !errors.Is(err, store.ErrTooLarge) && s.try(ok, err) {
				made.Add(1)
			}
		}
		all := []func(){func() { attempt(s.b.Rotate(s.Context(), id, m)) }}
		for i := range updates {
			c := put(fmt.Sprintf("value %d", i), 400)
			all = append(all, func() { attempt(changed(s.b.Update(s.Context(), id, c))) })
		}
		together(all...)
		if made.Load() != 1 {
			s.Fatalf("a Rotate and Updates at the same time must not exceed MaxBytes together: %d of them were made, of which one fits", made.Load())
		}
		s.delete(id)
		s.delete(m.ID)
	}
}

// updateAgainstRotate: the session has what was changed until it was moved.
func updateAgainstRotate(s *suite) {
	for range repeatedly(rounds) {
		id, newID := s.create(record("alice", map[string]string{"a": `1`})), s.id()
		var rotated atomic.Bool
		var made [4]int
		all := []func(){func() {
			defer rotated.Store(true)
			if !s.try(s.b.Rotate(s.Context(), id, moveTo(newID, record("alice", map[string]string{"c": `3`})))) {
				s.Error("Rotate of a live session must report true")
			}
		}}
		for i := range made {
			all = append(all, func() {
				s.updateUntil(&rotated, id, i, func(int, *store.Change) {}, func(n int, _ store.Change) { made[i] = n })
			})
		}
		together(all...)
		want := map[string]string{"a": `1`, "c": `3`}
		for i, n := range made {
			if n > 0 {
				want[fmt.Sprintf("b%d", i)] = strconv.Itoa(n)
			}
		}
		s.wantValues(newID, want, "an Update that reported true must stand after Rotate, and one that reported false must not")
		s.wantDead(id, store.Renewed, "the old ID must be dead after Rotate")
		s.delete(newID)
	}
}

func rotateAgainstRotate(s *suite) {
	for range repeatedly(rounds) {
		id, newIDs := s.create(record("alice", map[string]string{"a": `1`})), []string{s.id(), s.id(), s.id()}
		var won atomic.Int32
		var rotations []func()
		for _, newID := range newIDs {
			rotations = append(rotations, func() {
				if s.try(s.b.Rotate(s.Context(), id, moveTo(newID, record("alice", nil)))) {
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

func rotateAgainstEnd(s *suite) {
	for range repeatedly(rounds) {
		id, newID := s.create(record("alice", map[string]string{"a": `1`})), s.id()
		var rotated, ended bool
		together(func() {
			rotated = s.try(s.b.Rotate(s.Context(), id, moveTo(newID, record("alice", nil))))
		}, func() {
			ended = s.end("alice", store.SignedOut, id)
		})
		if rotated == ended {
			s.Fatalf("of Rotate and End exactly one must take effect: %v, %v", rotated, ended)
		}
		if _, found := s.load(newID); found != rotated {
			s.Fatal("Rotate must create the new session if and only if it reports true")
		}
		why := store.Renewed
		if ended {
			why = store.SignedOut
		}
		s.wantDead(id, why, "the ID must be dead after Rotate and after End")
		s.delete(newID)
	}
}

// rotateAgainstList: whoever ends all sessions of a user goes by the list.
func rotateAgainstList(s *suite) {
	var ended atomic.Bool
	signedIn := func(line string) store.Record { return record("alice", signInOf(line)) }
	const renewing = 4
	var all []func()
	for i := range renewing {
		renewed := signedIn(fmt.Sprintf("renewed again and again, %d", i))
		id := s.create(renewed)
		all = append(all, func() {
			for n := 0; !ended.Load(); n++ {
				next := fmt.Sprintf("%s%d%08d", id[:len(id)-9], i, n)
				if next == id {
					continue
				}
				m := moveTo(next, renewed)
				m.Trace.Values = renewed.Values
				if !s.try(s.b.Rotate(s.Context(), id, m)) {
					s.Error("Rotate of a live session must report true")
					return
				}
				id = next
			}
		})
	}
	s.create(signedIn("at rest"))
	all = append(all, func() {
		defer ended.Store(true)
		for range repeatedly(10 * rounds) {
			list, err := s.b.List(s.Context(), "alice")
			if !s.try(true, err) || len(list) != renewing+1 {
				s.Errorf("List must have each session of the user once, also while some are given new IDs: it has %d of %d", len(list), renewing+1)
				return
			}
		}
	})
	together(all...)
}

// rotateAgainstScan: what is there all the time comes once, and so does the trace under
// the first ID of a session that is given new ones.
func rotateAgainstScan(s *suite) {
	var ended atomic.Bool
	const renewing = 4
	must := make(map[string]bool)
	for range 700 {
		must[s.create(record("at rest", nil))] = true
	}
	var all []func()
	for i := range renewing {
		id := s.create(record("", nil))
		must[id] = true
		all = append(all, func() {
			for n := 0; n < 100*rounds && !ended.Load(); n++ {
				next := fmt.Sprintf("%s%d%08d", id[:len(id)-9], i, n)
				if next == id {
					continue
				}
				if !s.try(s.b.Rotate(s.Context(), id, moveTo(next, record("", nil)))) {
					s.Error("Rotate of a live session must report true")
					return
				}
				id = next
			}
		})
	}
	all = append(all, func() {
		defer ended.Store(true)
		for range 3 {
			times := make(map[string]int)
			for records, err := range s.b.Scan(s.Context()) {
				if !s.try(true, err) {
					return
				}
				for id := range records {
					times[id]++
				}
			}
			for id, n := range times {
				if n != 1 {
					s.Errorf("Scan must yield a record once: %s came %d times", id, n)
				}
			}
			for id := range must {
				if times[id] != 1 {
					s.Errorf("Scan must yield what is there all the time: %s came %d times", id, times[id])
				}
			}
		}
	})
	together(all...)
}

// endAgainstEnd: of those who end sessions, one ends each of them.
func endAgainstEnd(s *suite) {
	for range repeatedly(rounds) {
		ids := []string{s.create(record("alice", nil)), s.create(record("alice", nil)), s.create(record("alice", nil))}
		turned := slices.Clone(ids)
		slices.Reverse(turned)
		var ended [6][]string
		var all []func()
		for i := range ended {
			some := [][]string{ids, turned, ids[:1]}[i%3]
			all = append(all, func() {
				var err error
				ended[i], err = s.b.End(s.Context(), "alice", store.Revoked, some...)
				s.try(true, err)
			})
		}
		together(all...)
		got := slices.Sorted(slices.Values(slices.Concat(ended[:]...)))
		if !slices.Equal(got, slices.Sorted(slices.Values(ids))) {
			s.Fatalf("of several Ends of a session exactly one must return its ID: they return %d IDs, want %d", len(got), len(ids))
		}
		for _, id := range ids {
			s.wantDead(id, store.Revoked, "the session must be dead after End")
		}
	}
}

// deleteAgainstDelete: of those who remove a record, one has.
func deleteAgainstDelete(s *suite) {
	for range repeatedly(rounds) {
		id := s.create(record("alice", nil))
		var deleted atomic.Int32
		remove := func() {
			if s.try(s.b.Delete(s.Context(), id)) {
				deleted.Add(1)
			}
		}
		together(remove, remove, remove, remove, remove, remove)
		if deleted.Load() != 1 {
			s.Fatalf("of several Deletes of a record exactly one must report that it was there: %d", deleted.Load())
		}
		s.wantGone(id, "Delete must remove the record")
	}
}
