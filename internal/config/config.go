// Package config holds what all configurations of this module have in common.
package config

import (
	"errors"
	"fmt"
	"time"
)

// One returns the configuration that was given to a call, the zero value if none was.
func One[T any](call string, given []T) (c T, err error) {
	switch len(given) {
	case 0:
		return c, nil
	case 1:
		return given[0], nil
	}
	return c, fmt.Errorf("%s takes one %s; set all fields in it", call, name(c))
}

func name(v any) string {
	text := fmt.Sprintf("%T", v)
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == '.' {
			return text[i+1:]
		}
	}
	return text
}

// MinDuration is more than any number of seconds that anybody forgets to multiply by
// time.Second: 400 days are 35 ms then.
const MinDuration = 100 * time.Millisecond

// TooShort is what is wrong with a duration below [MinDuration].
const TooShort = "is no more than an instant; multiply by time.Second, time.Minute or time.Hour"

// Fields collects what is wrong with the fields of a configuration.
type Fields struct {
	Prefix string // such as "store: Config."
	errs   []error
}

// Add notes a field that is wrong, its value, and the reason with the remedy.
func (f *Fields) Add(field, value, reason string) {
	f.errs = append(f.errs, fmt.Errorf("%s%s is %s: %s", f.Prefix, field, value, reason))
}

// Err joins what was noted, also errors from elsewhere. It is nil if there is none.
func (f *Fields) Err(others ...error) error { return errors.Join(append(f.errs, others...)...) }

// Shorten returns at most limit bytes of a text that somebody else has chosen, for a
// message.
func Shorten(s string, limit int) string {
	if len(s) > limit {
		return s[:limit] + "…"
	}
	return s
}
