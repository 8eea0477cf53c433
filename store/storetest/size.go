package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// most is the bound of those changes that have one.
const most = 1000

// quoted returns a value of n bytes, which every medium keeps as it is.
func quoted(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }

// put returns a change that puts a value of n bytes, within the bound.
func put(name string, n int, drop ...string) store.Change {
	return store.Change{Set: map[string]string{name: quoted(n)}, Delete: drop, MaxBytes: most}
}

// on returns the change with a condition on a value of n bytes.
func on(c store.Change, name string, n int) store.Change {
	c.If = &store.Condition{Name: name, Text: quoted(n)}
	return c
}

// refused checks that a change is too large.
func (s *suite) refused(id string, c store.Change, what string) {
	s.Helper()
	before, _ := s.load(id)
	c.Seen, c.Expires = time.Now().Add(time.Hour), time.Now().Add(3*time.Hour)
	if o, err := s.b.Update(s.Context(), id, c); !errors.Is(err, store.ErrTooLarge) {
		s.Fatalf("Update must return ErrTooLarge for %s: %+v, %v", what, o, err)
	}
	s.wantValues(id, before.Values, "a change that is too large must leave everything untouched")
	if r, _ := s.load(id); !r.Seen.Equal(before.Seen) || !r.Expires.Equal(before.Expires) {
		s.Error("a change that is too large must leave the times untouched")
	}
}

// made checks that there is room for a change.
func (s *suite) made(id string, c store.Change, what string) {
	s.Helper()
	if o, err := s.b.Update(s.Context(), id, c); err != nil || !o.Changed() {
		s.Fatalf("Update must make %s: %+v, %v", what, o, err)
	}
}

// size checks changes that are bounded by what the values take.
func size(s *suite) {
	id := s.create(record("alice", map[string]string{"a": quoted(599)})) // with the name: 600
	s.refused(id, put("b", 400), "a value that is one byte more than there is room for")
	s.refused(id, put("a", 1000), "a value that becomes too large itself")
	s.made(id, put("b", 399), "a change that takes all the room there is")
	s.wantValues(id, map[string]string{"a": quoted(599), "b": quoted(399)}, "a change that fits must be made as a whole")
	s.made(id, put("c", 598, "a", "never there"), "one that first makes room by what it drops")
	s.made(id, put("c", 598), "one that leaves all as it is")
	s.refused(id, put("d", 600, "c"), "what it puts and drops together")
}

func sizeWithCondition(s *suite) {
	id := s.create(record("alice", map[string]string{"a": quoted(599)}))
	s.refused(id, on(put("b", 400), "a", 599), "one that has a condition, which holds")
	if o, err := s.b.Update(s.Context(), id, on(put("b", 400), "a", 3)); err != nil || !o.Conflict || compact(o.Text) != quoted(599) {
		s.Errorf("a condition that does not hold is a conflict, whatever the size: %+v, %v", o, err)
	}
	s.made(id, on(put("b", 399), "a", 599), "one whose condition holds, and which fits")
}

func sizeBeyondTheBound(s *suite) {
	id := s.create(record("alice", map[string]string{"b": quoted(399), "c": quoted(598)}))
	unbounded := put("d", 5000)
	unbounded.MaxBytes = 0
	s.made(id, unbounded, "a change of any size if it has no bound")
	s.made(id, put("d", 4999), "one that leaves what is too large already smaller")
	s.made(id, put("e", 10, "c"), "one that drops more than it puts")
	s.made(id, store.Change{Delete: []string{"b"}, MaxBytes: most}, "one that only drops")
	s.refused(id, put("d", 5000), "one that makes it larger again")
}

func sizeOfRotation(s *suite) {
	id, newID := s.create(record("alice", map[string]string{"d": quoted(4999), "e": quoted(10)})), s.id()
	move := moveTo(newID, record("bob", map[string]string{"f": quoted(10)}))
	move.MaxBytes = most
	if found, err := s.b.Rotate(s.Context(), id, move); !errors.Is(err, store.ErrTooLarge) {
		s.Fatalf("Rotate must return ErrTooLarge for values that become too large: %v, %v", found, err)
	}
	s.wantGone(newID, "Rotate of what becomes too large must create nothing")
	s.wantValues(id, map[string]string{"d": quoted(4999), "e": quoted(10)}, "Rotate of what becomes too large must leave the session alone")
	if len(s.list("bob")) != 0 || len(s.list("alice")) != 1 {
		s.Error("Rotate of what becomes too large must leave the users' lists alone")
	}
	move.Drop = []string{"d"}
	s.must2(s.b.Rotate(s.Context(), id, move))
	s.wantValues(newID, map[string]string{"e": quoted(10), "f": quoted(10)}, "Rotate must move what fits")
}

func sizeOfTheDead(s *suite) {
	id := s.create(record("alice", map[string]string{"a": quoted(599)}))
	s.must2(s.rotate(id, s.id(), record("alice", nil)), nil)
	for _, dead := range []string{id, s.id()} {
		if o, err := s.b.Update(s.Context(), dead, put("b", 2000)); err != nil || o.Found {
			s.Errorf("a session that is not live is not found, whatever the size: %+v, %v", o, err)
		}
		move := moveTo(s.id(), record("bob", map[string]string{"f": quoted(2000)}))
		move.MaxBytes = most
		if found, err := s.b.Rotate(s.Context(), dead, move); err != nil || found {
			s.Errorf("a session that is not live gets no new ID, whatever the size: %v, %v", found, err)
		}
	}
}

// sizeOfManyValues: what a medium needs beside the values, or saves, does not count.
func sizeOfManyValues(s *suite) {
	for _, text := range []string{`1234567890123456789`, `"\n"`, quoted(70)} {
		values := make(map[string]string)
		bytes := 0
		for i := range 100 {
			name := fmt.Sprintf("%03d", i)
			values[name] = text
			bytes += len(name) + len(text)
		}
		id := s.create(record("", values))
		change := store.Change{Set: map[string]string{"100": text}, MaxBytes: bytes + 2 + len(text)}
		if o, err := s.b.Update(s.Context(), id, change); !errors.Is(err, store.ErrTooLarge) {
			s.Errorf("Update must count names and texts of many values: %s a hundred times, and once more: %+v, %v", text, o, err)
		}
		change.MaxBytes++
		if o, err := s.b.Update(s.Context(), id, change); err != nil || !o.Changed() {
			s.Errorf("Update must count nothing but names and texts: %s a hundred times, and once more: %+v, %v", text, o, err)
		}
	}
}

// sizeInBytes: what counts are bytes, and not characters.
func sizeInBytes(s *suite) {
	const name, bytes = "日本", 602 // with the text
	text := `"` + strings.Repeat("語", 198) + `"`
	change := store.Change{Set: map[string]string{name: text}, MaxBytes: most}
	id, full := s.create(record("alice", map[string]string{"a": quoted(398)})), s.create(record("alice", map[string]string{"a": quoted(397)}))
	s.refused(id, change, "a name and a text of many bytes and few characters")
	s.made(full, change, "a change that takes all the room there is, in bytes")
	s.refused(full, put("b", 2), "a value beside others of many bytes and few characters")

	move := func(id string, values map[string]string, most int) error {
		m := moveTo(s.id(), record("alice", values))
		m.MaxBytes = most
		_, err := s.b.Rotate(s.Context(), id, m)
		return err
	}
	if err := move(full, map[string]string{"b": quoted(2)}, most); !errors.Is(err, store.ErrTooLarge) {
		s.Errorf("Rotate must return ErrTooLarge for a value beside others of many bytes and few characters: %v", err)
	}
	if err := move(id, change.Set, most); !errors.Is(err, store.ErrTooLarge) {
		s.Errorf("Rotate must return ErrTooLarge for a name and a text of many bytes and few characters: %v", err)
	}
	s.must(move(id, change.Set, 399+bytes))
}
