package storetest

import (
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// outcome makes a change that may have a condition.
func (s *suite) outcome(id string, c store.Change) store.Outcome {
	s.Helper()
	o, err := s.b.Update(s.Context(), id, c)
	s.must(err)
	return o
}

// condition checks changes that depend on what stands.
func condition(s *suite) {
	values := map[string]string{"n": `1`, "other": `1`}
	id := s.create(record("alice", values))
	before, _ := s.load(id)
	o := s.outcome(id, store.Change{
		Set: map[string]string{"n": `3`, "new": `1`}, Delete: []string{"other"}, Seen: time.Now().Add(time.Hour), Expires: time.Now().Add(3 * time.Hour),
		If: &store.Condition{Name: "n", Text: `2`},
	})
	if !o.Found || !o.Conflict || o.Text != `1` {
		s.Errorf("a condition that does not hold is a conflict, which tells what stands: %+v, want 1", o)
	}
	s.wantValues(id, values, "a conflict must leave everything untouched")
	if r, _ := s.load(id); !r.Seen.Equal(before.Seen) || !r.Expires.Equal(before.Expires) {
		s.Error("a conflict must leave the times untouched")
	}
	if o := s.outcome(id, store.Change{Set: map[string]string{"n": `2`}, Delete: []string{"other"}, If: &store.Condition{Name: "n", Text: `1`}}); !o.Changed() {
		s.Errorf("a change whose condition holds must be made: %+v", o)
	}
	s.wantValues(id, map[string]string{"n": `2`}, "a change whose condition holds must be made as a whole")
	if o := s.outcome(id, store.Change{Delete: []string{"n"}, If: &store.Condition{Name: "n", Text: `2`}}); !o.Changed() {
		s.Errorf("a value must be dropped if it stands as given: %+v", o)
	}
	if o := s.outcome(id, store.Change{Set: map[string]string{"n": `9`}, If: &store.Condition{Name: "n", Text: `2`}}); !o.Conflict || o.Text != "" {
		s.Errorf("that there is no value must be told apart from every text: %+v", o)
	}
	if o := s.outcome(id, store.Change{Set: map[string]string{"n": `9`}, If: &store.Condition{Name: "n"}}); !o.Changed() {
		s.Errorf("that there is no value is a condition as well: %+v", o)
	}
	if o := s.outcome(id, store.Change{Set: map[string]string{"n": `8`}, If: &store.Condition{Name: "n"}}); !o.Conflict || o.Text != `9` {
		s.Errorf("a value that is there is a conflict with its absence: %+v", o)
	}
	if o := s.outcome(id, store.Change{Seen: time.Now(), If: &store.Condition{Name: "n", Text: `9`}}); !o.Changed() {
		s.Errorf("a change of the times alone may have a condition: %+v", o)
	}
}

// conditionOnTexts: comparing goes by what Load returns, also where the medium writes it
// another way.
func conditionOnTexts(s *suite) {
	id := s.create(record("alice", nil))
	for _, text := range []string{
		`""`, `"text"`, `true`, `-0`, `0`, `1e3`, `1.0`, `1.10`, `12345678901234567890`, `0.1234567890123456789`, `"\u00e9"`, `"\/"`, `"\ud83c\udf75"`,
		`["json",{"b":1,"a":[1, 2.50, null]}]`, `["json",{"a":1,"a":2}]`, `["json",{"":{"x":null}}]`, `["raw","[1]"]`, `["json","é\n\"\\"]`,
		`["json",[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]`,
	} {
		s.update(id, store.Change{Set: map[string]string{"n": text}})
		r, _ := s.load(id)
		stands := r.Values["n"]
		if o := s.outcome(id, store.Change{Set: map[string]string{"n": `["json",{"c":0}]`}, If: &store.Condition{Name: "n", Text: stands}}); !o.Changed() {
			s.Errorf("a condition must hold that was loaded as %s: %+v", stands, o)
			continue
		}
		s.update(id, store.Change{Set: map[string]string{"n": text}})
		o := s.outcome(id, store.Change{Set: map[string]string{"n": `0`}, If: &store.Condition{Name: "n", Text: `"other"`}})
		if !o.Conflict || compact(o.Text) != compact(stands) {
			s.Errorf("a conflict must tell what stands as Load does: %+v, want %s", o, stands)
			continue
		}
		if o := s.outcome(id, store.Change{Set: map[string]string{"n": `1`}, If: &store.Condition{Name: "n", Text: o.Text}}); !o.Changed() {
			s.Errorf("a condition must hold that a conflict told: %+v", o)
		}
	}
}

// alike are texts that databases take for each other if they are set to: by case, width,
// accents, normal form, or blanks at the end.
var alike = []string{
	`"tea"`, `"TEA"`, `"ＴＥＡ"`, `"tea "`, `" tea"`, `"téa"`, "\"te\u0301a\"", `"straße"`, `"strasse"`, `["json",["tea"]]`, `["json",["TEA"]]`, `["json",["tea "]]`,
}

func conditionOnAlike(s *suite) {
	id := s.create(record("alice", nil))
	for _, stands := range alike {
		s.update(id, store.Change{Set: map[string]string{"n": stands}})
		for _, text := range alike {
			if text == stands {
				continue
			}
			o := s.outcome(id, store.Change{Set: map[string]string{"n": `"changed"`}, If: &store.Condition{Name: "n", Text: text}})
			if !o.Conflict || compact(o.Text) != stands {
				s.Fatalf("a condition must tell a text from those that look alike: with %s it is %+v, and %s stands", text, o, stands)
			}
		}
	}
}

func conditionOnNames(s *suite) {
	others := make(map[string]string, len(oddNames))
	for _, name := range oddNames {
		others[name] = `"other"`
	}
	id := s.create(record("alice", others))
	for _, name := range oddNames {
		s.update(id, store.Change{Set: map[string]string{name: `"a"`}})
		if o := s.outcome(id, store.Change{Set: map[string]string{name: `"c"`}, If: &store.Condition{Name: name, Text: `"b"`}}); !o.Conflict || o.Text != `"a"` {
			s.Errorf("a condition on %q must reach that value and no other: %+v", name, o)
		}
		if o := s.outcome(id, store.Change{Set: map[string]string{name: `"c"`}, If: &store.Condition{Name: name, Text: `"a"`}}); !o.Changed() {
			s.Errorf("a condition on %q that holds must let the change be made: %+v", name, o)
		}
		s.update(id, store.Change{Delete: []string{name}})
		if o := s.outcome(id, store.Change{If: &store.Condition{Name: name}}); !o.Changed() {
			s.Errorf("a condition that there is no %q must hold: %+v", name, o)
		}
	}
}

func conditionOnTheDead(s *suite) {
	ended, expired := s.create(record("alice", map[string]string{"n": `1`})), record("alice", map[string]string{"n": `1`})
	s.end("alice", store.Revoked, ended)
	expired.Expires = time.Now().Add(-time.Second)
	for _, id := range []string{ended, s.create(expired), s.id()} {
		for _, text := range []string{"", `1`} {
			o := s.outcome(id, store.Change{Set: map[string]string{"n": `2`}, If: &store.Condition{Name: "n", Text: text}})
			if o.Found || o.Conflict {
				s.Errorf("a session that is not live is not found, whatever the condition: %+v", o)
			}
		}
	}
}
