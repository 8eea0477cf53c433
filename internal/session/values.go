package session

import (
	"slices"
	"strings"

	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// values are the values of a session, each as a text: as the store has them, and
// what the request has changed.
type values struct {
	base  map[string]string // as the store has them; read-only
	set   map[string]string
	drop  []string
	saved bool // set and drop stand in the store; base has yet to take them over
}

// settle has base take over what was saved, and reports whether there was anything.
// Most requests are over by then, and need no copy.
func (v *values) settle() bool {
	if !v.saved {
		return false
	}
	v.base = v.all()
	v.set, v.drop, v.saved = nil, nil, false
	return true
}

// unsaved reports whether there are changes that the store does not have.
func (v *values) unsaved() bool { return !v.saved && (len(v.set) > 0 || len(v.drop) > 0) }

// beginsSession reports whether the changes are enough to begin a session with: how long it is to
// live is not.
func (v *values) beginsSession() bool {
	for name := range v.set {
		if name != value.MaxAge {
			return true
		}
	}
	return false
}

// all returns the texts of all values. They must not be changed.
func (v *values) all() map[string]string {
	if len(v.set) == 0 && len(v.drop) == 0 {
		return v.base
	}
	return value.Apply(v.base, v.set, v.drop)
}

func (v *values) text(name string) (string, bool) {
	if text, ok := v.set[name]; ok {
		return text, true
	}
	text, ok := v.base[name]
	if !ok || slices.Contains(v.drop, name) {
		return "", false
	}
	return text, true
}

// put changes a value, and reports whether that is a change: it is not if the store
// has that text.
func (v *values) put(name, text string) bool {
	v.undrop(name)
	if base, ok := v.base[name]; ok && base == text {
		delete(v.set, name)
		return false
	}
	if v.set == nil {
		v.set = make(map[string]string, 1)
	}
	v.set[name] = text
	return true
}

// remove drops a value that is there.
func (v *values) remove(name string) {
	delete(v.set, name)
	if _, ok := v.base[name]; ok {
		v.drop = append(v.drop, name)
	}
}

func (v *values) undrop(name string) {
	if i := slices.Index(v.drop, name); i >= 0 {
		v.drop = slices.Delete(v.drop, i, i+1)
	}
}

// stands notes that a value has a text in the store, "" if it is not there.
func (v *values) stands(name, text string) {
	delete(v.set, name)
	v.undrop(name)
	if text == "" {
		v.base = value.Apply(v.base, nil, []string{name})
	} else {
		v.base = value.Apply(v.base, map[string]string{name: text}, nil)
	}
}

// withPrefix returns the texts of the values whose names begin with prefix.
func (v *values) withPrefix(prefix string) (texts map[string]string) {
	for _, from := range []map[string]string{v.base, v.set} {
		for name, text := range from {
			if strings.HasPrefix(name, prefix) {
				if texts == nil {
					texts = make(map[string]string)
				}
				texts[name] = text
			}
		}
	}
	for _, name := range v.drop {
		delete(texts, name)
	}
	return texts
}

// removeAll drops values that are there, in time in proportion to their number.
func (v *values) removeAll(texts map[string]string) {
	for name := range texts {
		v.remove(name)
	}
}

// undropAll is undrop for many, in time in proportion to their number.
func (v *values) undropAll(texts map[string]string) {
	v.drop = slices.DeleteFunc(v.drop, func(name string) bool {
		_, ok := texts[name]
		return ok
	})
}
