package value

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"unicode/utf8"
)

// OwnPrefix begins the names of the values that the middleware and its stores keep for
// themselves. Code that uses gin-contrib/sessions directly does not see them.
const OwnPrefix = "_kit:"

// The names of values that say how long a session lives, in place of the
// configuration.
const (
	// MaxAge is in seconds, after its last use or, if somebody is signed in, after the
	// sign-in. Below 0 it is as many after its last use, unless somebody is signed in, and the
	// cookie ends with the browser: so it is in a session that another program has begun.
	MaxAge = OwnPrefix + "max_age"

	Until = OwnPrefix + "until" // Unix seconds: at least until then
)

// CookieDue is the name of a value that is there if the browser is to get its cookie again,
// which a response could not send that recorded a use.
const CookieDue = OwnPrefix + "cookie_due"

// KeyPrefix begins the name of a value whose key is not a string, or is one that
// would be taken for another name. Behind it stands the key's text.
const KeyPrefix = "_key:"

// Name returns the name under which a store keeps the value of key. A string is
// its own name. gin-contrib/sessions also takes keys of other types.
func Name(key any) (string, error) {
	s, ok := key.(string)
	if ok && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 &&
		!strings.HasPrefix(s, KeyPrefix) && !strings.HasPrefix(s, OwnPrefix) {
		return s, nil
	}
	text, err := Encode(key)
	if err != nil {
		return "", fmt.Errorf("key of type %T: %w", key, err)
	}
	return KeyPrefix + text, nil
}

// Key is the inverse of [Name].
func Key(name string) (any, error) {
	text, ok := strings.CutPrefix(name, KeyPrefix)
	if !ok {
		return name, nil
	}
	key, err := Decode(text)
	if err != nil {
		return nil, err
	}
	if key != nil && !reflect.ValueOf(key).Comparable() { // a struct or an array may hold what is not
		return nil, errMalformed
	}
	return key, nil
}

// Unpack puts the values that the texts stand for into values, under their keys.
// It leaves out what does not decode, and sessionkit's own.
func Unpack(texts map[string]string, values map[any]any) {
	for name, text := range texts {
		if strings.HasPrefix(name, OwnPrefix) {
			continue
		}
		key, keyErr := Key(name)
		v, err := Decode(text)
		if keyErr == nil && err == nil {
			values[key] = v
		}
	}
}

// Diff returns the texts to put and the names to drop that turn the stored texts
// into values. What [Unpack] leaves out stays stored.
func Diff(texts map[string]string, values map[any]any) (set map[string]string, drop []string, err error) {
	kept := make(map[string]bool, len(values))
	var errs []error
	for key, v := range values {
		name, err := Name(key)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		kept[name] = true
		if text, ok := texts[name]; ok && Equal(text, v) {
			continue
		}
		text, err := Encode(v)
		if err != nil {
			errs = append(errs, fmt.Errorf("value of %q: %w", name, err))
			continue
		}
		if set == nil {
			set = make(map[string]string)
		}
		set[strings.Clone(name)] = text // it may be a part of a form, and stays for as long as the value
	}
	for name, text := range texts {
		if kept[name] || strings.HasPrefix(name, OwnPrefix) {
			continue
		}
		if _, err := Decode(text); err == nil {
			drop = append(drop, name)
		}
	}
	return set, drop, errors.Join(errs...)
}

// With returns a copy of texts with one more put.
func With(texts map[string]string, name, text string) map[string]string {
	next := make(map[string]string, len(texts)+1)
	maps.Copy(next, texts)
	next[name] = text
	return next
}

// Apply returns a copy of texts with drop dropped and set put.
func Apply(texts, set map[string]string, drop []string) map[string]string {
	next := maps.Clone(texts)
	if next == nil {
		next = make(map[string]string, len(set))
	}
	for _, name := range drop {
		delete(next, name)
	}
	maps.Copy(next, set)
	return next
}

// Exceeds reports whether texts that are overlaid with set, less drop, take more than
// most bytes, their names among them, and more than before. If so, size is how many.
func Exceeds(texts, set map[string]string, drop []string, most int) (size int, exceeds bool) {
	grows := 0
	for name, text := range set {
		if old, replaced := texts[name]; replaced {
			grows += len(text) - len(old)
		} else {
			grows += len(name) + len(text)
		}
	}
	if grows <= 0 {
		return 0, false
	}
	size = grows
	for name, text := range texts {
		size += len(name) + len(text)
	}
	if size <= most {
		return 0, false
	}
	gone := make(map[string]struct{}, len(drop))
	for _, name := range drop {
		text, there := texts[name]
		_, replaced := set[name]
		if _, counted := gone[name]; there && !replaced && !counted {
			gone[name] = struct{}{}
			size -= len(name) + len(text)
			grows -= len(name) + len(text)
		}
	}
	return size, size > most && grows > 0
}

// IsOwn reports whether the value of a name is sessionkit's own.
func IsOwn(name string) bool { return strings.HasPrefix(name, OwnPrefix) }
