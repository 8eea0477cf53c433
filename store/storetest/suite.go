package storetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

// suite runs operations of which no error is expected.
type suite struct {
	*testing.T
	b     store.Backend
	whole store.Backend // with all that it can do beyond [store.Backend]
	n     int
}

func newSuite(t *testing.T, b store.Backend) *suite {
	t.Helper()
	return &suite{T: t, b: b, whole: b}
}

// id returns a new ID of the form that a store uses.
func (s *suite) id() string {
	s.Helper()
	s.n++
	id, ok := store.ID(fmt.Sprintf("%043d", time.Now().UnixNano()+int64(s.n)))
	if !ok {
		s.Fatal("storetest: a made-up secret was refused")
	}
	return id
}

func record(user string, values map[string]string) store.Record {
	now := time.Now()
	return store.Record{Name: "session", User: user, Created: now.Add(-time.Minute), Seen: now, Expires: now.Add(time.Hour), Values: values}
}

func (s *suite) create(r store.Record) string {
	s.Helper()
	id := s.id()
	created, err := s.b.Create(s.Context(), id, r)
	s.must(err)
	if !created {
		s.Fatal("Create of a new ID must report true")
	}
	return id
}

func (s *suite) must2(ok bool, err error) {
	s.Helper()
	if s.must(err); !ok {
		s.Fatal("the operation must report true")
	}
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("no operation of this test may fail: %v", err)
	}
}

func (s *suite) load(id string) (store.Record, bool) {
	s.Helper()
	r, found, err := s.b.Load(s.Context(), id)
	s.must(err)
	return r, found
}

func (s *suite) update(id string, c store.Change) bool {
	s.Helper()
	o, err := s.b.Update(s.Context(), id, c)
	s.must(err)
	return o.Changed()
}

// moveTo returns a move to a new ID.
func moveTo(newID string, r store.Record, drop ...string) store.Move {
	trace := record(r.User, nil)
	trace.Expires, trace.Ended, trace.Next = time.Now(), store.Renewed, newID
	return store.Move{ID: newID, Record: r, Drop: drop, Trace: trace}
}

// signInOf returns the value that keeps a sign-in. The line is the same for all
// IDs that the session has.
func signInOf(line string) map[string]string {
	return map[string]string{store.SignInValue: fmt.Sprintf(`["json",{"at":"2026-01-02T03:04:05Z","line":%q}]`, line)}
}

func (s *suite) rotate(id, newID string, r store.Record, drop ...string) bool {
	s.Helper()
	found, err := s.b.Rotate(s.Context(), id, moveTo(newID, r, drop...))
	s.must(err)
	return found
}

// end reports whether the session was ended by this call.
func (s *suite) end(user string, why store.Ending, id string) bool {
	s.Helper()
	ended, err := s.b.End(s.Context(), user, why, id)
	return s.try(len(ended) == 1 && ended[0] == id, err)
}

func (s *suite) delete(id string) bool {
	s.Helper()
	found, err := s.b.Delete(s.Context(), id)
	s.must(err)
	return found
}

// fresh returns those of the records that the medium has.
func (s *suite) fresh(ids ...string) map[string]store.Record {
	s.Helper()
	records, err := s.b.LoadFresh(s.Context(), ids...)
	s.must(err)
	return records
}

func (s *suite) list(user string) map[string]store.Record {
	s.Helper()
	records, err := s.b.List(s.Context(), user)
	s.must(err)
	return records
}

// wantValues checks the values of a session that must be there.
func (s *suite) wantValues(id string, want map[string]string, rule string) {
	s.Helper()
	r, found := s.load(id)
	if !found {
		s.Fatalf("%s: the session is gone", rule)
	}
	if !sameValues(r.Values, want) {
		s.Errorf("%s: values are %q, want %q", rule, r.Values, want)
	}
}

// sameValues compares JSON texts, in which a database may put or leave out spaces.
func sameValues(a, b map[string]string) bool {
	return maps.EqualFunc(a, b, func(a, b string) bool { return a == b || compact(a) == compact(b) })
}

func compact(text string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		return "no JSON: " + text
	}
	return b.String()
}

func (s *suite) wantGone(id, rule string) {
	s.Helper()
	if _, found := s.load(id); found {
		s.Errorf("%s: the session is still there", rule)
	}
}

// wantDead checks what is left of a session that has ended.
func (s *suite) wantDead(id string, why store.Ending, rule string) {
	s.Helper()
	r, found := s.load(id)
	if !found || r.Ended != why || time.Now().Before(r.Expires.Add(-time.Second)) {
		s.Errorf("%s, and leave a trace that says %q: found %v, %q, expires %v", rule, why, found, r.Ended, r.Expires)
	}
}

// wantTimes checks times of a record, but for Expires.
func (s *suite) wantTimes(got, want store.Record, rule string) {
	s.Helper()
	got.Expires = want.Expires
	for _, difference := range timeDifferences(got, want) {
		s.Errorf("%s: %s", rule, difference)
	}
}

// wantRecord checks a whole record.
func (s *suite) wantRecord(got, want store.Record, rule string) {
	s.Helper()
	for _, difference := range differences(got, want) {
		s.Errorf("%s: %s", rule, difference)
	}
}

// wantListed checks that List and Scan return a user's session as it stands.
func (s *suite) wantListed(id string, want store.Record, rule string) {
	s.Helper()
	for _, from := range []struct {
		name    string
		records map[string]store.Record
	}{{"List", s.list(want.User)}, {"Scan", s.scanned()}} {
		rule := fmt.Sprintf("%s must return sessions as they stand, %s", from.name, rule)
		if r, found := from.records[id]; found {
			s.wantRecord(outline(r), outline(want), rule)
		} else {
			s.Errorf("%s: it has not returned one", rule)
		}
	}
}

// outline returns a record without its values but the sign-in.
func outline(r store.Record) store.Record {
	text, ok := r.Values[store.SignInValue]
	if r.Values = nil; ok {
		r.Values = map[string]string{store.SignInValue: text}
	}
	return r
}

// differences says in which fields a record is another than it should be.
func differences(got, want store.Record) (all []string) {
	for _, field := range []struct{ name, got, want string }{
		{"Kind", got.Kind, want.Kind},
		{"Name", got.Name, want.Name},
		{"User", got.User, want.User},
		{"Ended", string(got.Ended), string(want.Ended)},
		{"Next", got.Next, want.Next},
	} {
		if field.got != field.want {
			all = append(all, fmt.Sprintf("%s is %q, want %q", field.name, field.got, field.want))
		}
	}
	all = append(all, timeDifferences(got, want)...)
	if !sameValues(got.Values, want.Values) {
		all = append(all, fmt.Sprintf("values are %q, want %q", got.Values, want.Values))
	}
	return all
}

// timeDifferences compares times, which are kept to the millisecond at least.
func timeDifferences(got, want store.Record) (all []string) {
	for _, t := range []struct {
		name      string
		got, want time.Time
	}{
		{"Created", got.Created, want.Created},
		{"Since", got.Since, want.Since},
		{"Seen", got.Seen, want.Seen},
		{"Expires", got.Expires, want.Expires},
	} {
		if t.got.IsZero() != t.want.IsZero() || t.got.UnixMilli() != t.want.UnixMilli() {
			all = append(all, fmt.Sprintf("%s is %v, want %v", t.name, t.got, t.want))
		}
	}
	return all
}
