package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// operations is how many random operations are compared with the model.
const operations = 10_000

// A model is what random operations should have made of the records.
type model struct {
	*suite

	random  *rand.Rand
	users   []string
	ids     []string
	records map[string]store.Record
}

// randomOperations does the same to the backend and to a plain map.
func randomOperations(s *suite) {
	m := &model{
		suite: s, random: rand.New(rand.NewPCG(1, 2)), // #nosec G404 -- the same operations in each run
		users: []string{"", "alice", "bob", "carol"}, records: make(map[string]store.Record),
	}
	for range 40 {
		m.ids = append(m.ids, s.id())
	}
	for n := range operations {
		operation := m.random.IntN(12)
		got, want, err := m.operate(operation)
		s.must(err)
		if got != want {
			s.Fatalf("operation %d (kind %d) must report %v", n, operation, want)
		}
	}
	s.compareLists(m.users, m.records)
}

func (m *model) pick() string { return m.ids[m.random.IntN(len(m.ids))] }

func (m *model) values() map[string]string {
	values := make(map[string]string)
	for range m.random.IntN(4) {
		values[fmt.Sprintf("k%d", m.random.IntN(6))] = fmt.Sprint(m.random.IntN(100))
	}
	return values
}

func (m *model) names() (names []string) {
	for range m.random.IntN(3) {
		names = append(names, fmt.Sprintf("k%d", m.random.IntN(6)))
	}
	return names
}

func (m *model) record() store.Record {
	r := record(m.users[m.random.IntN(len(m.users))], m.values())
	if m.random.IntN(8) == 0 {
		r.Expires = time.Now().Add(-time.Minute)
	}
	return r
}

func (m *model) live(id string) bool {
	r := m.records[id]
	return r.Ended == "" && time.Now().Before(r.Expires)
}

// operate does one operation, and returns what it reports and what it should.
func (m *model) operate(operation int) (got, want bool, err error) {
	id := m.pick()
	switch operation {
	case 0, 1:
		r := m.record()
		_, taken := m.records[id]
		got, err = m.b.Create(m.Context(), id, r)
		if !taken {
			m.records[id] = r
		}
		return got, !taken, err
	case 2, 3, 4:
		c := m.change()
		want = m.live(id)
		got, err = changed(m.b.Update(m.Context(), id, c))
		if want {
			m.records[id] = overlay(m.records[id], m.records[id], c.Set, c.Delete)
		}
		return got, want, err
	case 5, 6:
		return m.updateIf(id)
	case 7:
		newID, r := m.pick(), m.record()
		if _, taken := m.records[newID]; taken {
			return true, true, nil // new IDs are random: they never meet one that is there
		}
		want = m.live(id)
		move := moveTo(newID, r, m.names()...)
		move.Trace.User = m.records[id].User
		got, err = m.b.Rotate(m.Context(), id, move)
		if want {
			m.records[newID] = overlay(r, m.records[id], r.Values, move.Drop)
			m.records[id] = move.Trace
		}
		return got, want, err
	case 8:
		want = m.live(id)
		ended, err := m.b.End(m.Context(), m.records[id].User, store.Revoked, id)
		if want {
			m.records[id] = store.Record{User: m.records[id].User, Ended: store.Revoked}
		}
		return len(ended) == 1, want, err
	case 9:
		_, want = m.records[id]
		got, err = m.b.Delete(m.Context(), id)
		delete(m.records, id)
		return got, want, err
	}
	r, got, err := m.b.Load(m.Context(), id)
	model, want := m.records[id]
	if want && got && (r.User != model.User || r.Ended != model.Ended || !sameValues(r.Values, model.Values)) {
		m.Fatalf("Load must return what the operations before it made: %+v, want %+v", r, model)
	}
	return got, want, err
}

// change returns a change that does not drop what it sets.
func (m *model) change() store.Change {
	c := store.Change{Set: m.values(), Delete: m.names()}
	for _, name := range c.Delete {
		delete(c.Set, name)
	}
	return c
}

// updateIf makes a change on a condition that holds as often as not.
func (m *model) updateIf(id string) (got, want bool, err error) {
	c, name := m.change(), fmt.Sprintf("k%d", m.random.IntN(6))
	stands := m.records[id].Values[name]
	c.If = &store.Condition{Name: name, Text: stands}
	if m.random.IntN(2) == 0 {
		c.If.Text = fmt.Sprint(100 + m.random.IntN(100))
	}
	o, err := m.b.Update(m.Context(), id, c)
	if o.Found != m.live(id) {
		return o.Found, m.live(id), err
	}
	if o.Found && o.Conflict && o.Text != stands {
		m.Fatalf("a conflict must tell what stands: it says %q and not %q", o.Text, stands)
	}
	want = o.Found && c.If.Text == stands
	if want {
		m.records[id] = overlay(m.records[id], m.records[id], c.Set, c.Delete)
	}
	return o.Changed(), want, err
}

// overlay returns next with the values of old, less drop, overlaid with set.
func overlay(next, old store.Record, set map[string]string, drop []string) store.Record {
	values := maps.Clone(old.Values)
	if values == nil {
		values = make(map[string]string)
	}
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
			if r.User == user && r.Ended == "" && now.Before(r.Expires) {
				want++
			}
		}
		got := 0
		for id, r := range s.list(user) {
			if !now.Before(r.Expires) || r.Ended != "" {
				continue
			}
			if got++; model[id].User != user {
				s.Errorf("List of %q must have no session of %q", user, model[id].User)
			}
		}
		if got != want {
			s.Errorf("List must return all live sessions of %q: %d, want %d", user, got, want)
		}
	}
}
