package express

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// A member is a value as it stands in a document.
type member struct{ name, raw string }

// An edit is what a change does to a document.
type edit struct {
	set   []member
	drop  []string
	only  *member       // the edit is made only if this stands, or nothing of the name if its raw is ""
	renew time.Duration // how long the session lives from now on; 0: as before
}

// newEdit returns what is to be done to a document to put and drop values.
func (c Config) newEdit(set map[string]string, drop []string) (edit, error) {
	var e edit
	var errs []error
	for name, text := range set {
		if !isStored(name) || name == value.MaxAge && closes(text) { // which the document says by its cookie
			continue
		}
		raw, err := c.memberOf(name, text)
		if err != nil {
			errs = append(errs, fmt.Errorf("express: the value %q: %w", name, err))
			continue
		}
		e.set = append(e.set, member{name, raw})
	}
	for _, name := range drop {
		if isName(name) {
			e.drop = append(e.drop, name)
		}
	}
	return e, errors.Join(errs...)
}

// document returns a new document with what the edit puts.
func (e *edit) document(cookie string) (string, error) {
	slices.SortFunc(e.set, func(a, b member) int { return strings.Compare(a.name, b.name) })
	var b strings.Builder
	b.WriteString(`{"` + cookieName + `":` + cookie)
	for _, m := range e.set {
		name, err := marshal(m.name)
		if err != nil {
			return "", err
		}
		b.WriteString("," + name + ":" + m.raw)
	}
	return b.String() + "}", nil
}

// put adds a member that is not one of the values.
func (e *edit) put(name string, v any) error {
	raw, err := marshal(v)
	if err != nil {
		return fmt.Errorf("express: the member %q: %w", name, err)
	}
	e.set = append(e.set, member{name, raw})
	return nil
}

// isTouch reports whether the edit leaves the document as it is.
func (e *edit) isTouch() bool { return len(e.set) == 0 && len(e.drop) == 0 && e.only == nil }

// apply returns the text of a document, which has been parsed, with the edit. If what
// the edit depends on does not stand, it returns the conflict. The other members stay as
// they are, to the byte.
func (e *edit) apply(text string) (next string, conflict changed) {
	members := membersOf(text)
	at := func(name string) int {
		return slices.IndexFunc(members, func(m written) bool { return m.name == name })
	}
	if e.only != nil {
		stands := ""
		if i := at(e.only.name); i >= 0 {
			stands = members[i].raw
		}
		if stands != e.only.raw {
			return "", changed{found: true, conflict: true, raw: stands}
		}
	}
	members = slices.DeleteFunc(members, func(m written) bool { return slices.Contains(e.drop, m.name) })
	for _, m := range e.set {
		if i := at(m.name); i >= 0 {
			members[i].raw = m.raw
			continue
		}
		label, _ := marshal(m.name) // it is a string
		members = append(members, written{m, label})
	}
	var b strings.Builder
	b.Grow(len(text))
	for i, m := range members {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(m.label + ":" + m.raw)
	}
	b.WriteByte('}')
	return b.String(), changed{}
}

// written is a member with its name as it is written.
type written struct {
	member

	label string
}

// membersOf returns the members of a document, which has been parsed. Of those of one
// name, the last one counts.
func membersOf(text string) []written {
	var members []written
	place := make(map[string]int)
	for text = strings.TrimLeft(text, " \t\r\n"); text[0] != '}'; {
		var m written
		text, m.label = cut(text[1:])
		if m.label == "" {
			break // there is none
		}
		text, m.raw = cut(text[1:])
		if plain := m.label[1 : len(m.label)-1]; value.Plain(plain) {
			m.name = plain
		} else if _ = json.Unmarshal([]byte(m.label), &m.name); strings.ContainsRune(m.name, utf8.RuneError) {
			if label, _ := marshal(m.name); label != m.label {
				m.name = "\xff" // half a surrogate is like no other name
				members = append(members, m)
				continue
			}
		}
		if i, ok := place[m.name]; ok {
			members[i] = m
			continue
		}
		place[m.name] = len(members)
		members = append(members, m)
	}
	return members
}

// cut cuts what stands in an object up to the next colon, comma or brace off a text, which
// begins with that then.
func cut(text string) (rest, token string) {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case depth == 0 && (c == ':' || c == ',' || c == '}'):
			return text[i:], strings.Trim(text[:i], " \t\r\n")
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		}
	}
	return "}", "" // unreachable: it has been parsed
}
