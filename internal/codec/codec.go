// Package codec turns session values of one type into their text and back.
//
// The functions that do so are chosen once, from the type, by [New]. Reading a
// value of a basic type then involves no reflection, and its envelope is cut off
// rather than parsed. What the texts look like is decided by package value.
package codec

import (
	"encoding"
	"encoding/json"
	"reflect"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// A Codec turns values of type T into their text and back. It is safe for
// concurrent use.
type Codec[T any] struct {
	encode func(T) (string, error)
	decode func(string) (T, bool)
	memo   *memo[T] // nil: decoded values are not remembered

	untyped bool // T is any
}

// New returns the codec of T. If values of T can never be stored, it returns nil and
// the reason.
func New[T any]() (c *Codec[T], reason string) {
	t := reflect.TypeFor[T]()
	if t.Kind() == reflect.Interface && t.NumMethod() == 0 {
		return &Codec[T]{untyped: true, encode: encodeAny[T], decode: decodeAny[T]}, ""
	}
	if !Marshals(t) && t != numberType { // which encoding/json does not write as a string
		if c := basic[T](t.Kind()); c != nil {
			return c, ""
		}
	}
	if reason := unstorable(place{t, true}, make(map[place]bool)); reason != "" {
		return nil, reason
	}
	return newJSON[T](t), ""
}

// Encode returns the text of v.
func (c *Codec[T]) Encode(v T) (string, error) { return c.encode(v) }

// Decode returns the value of a text. ok is false if the text is not that of a T.
// Of what a program in JavaScript has stored any T takes what encoding/json decodes into
// it: types there are not Go's.
func (c *Codec[T]) Decode(text string) (v T, ok bool) {
	if value.IsJS(text) && !c.untyped {
		raw, ok := value.JS(text)
		if !ok || raw == "null" {
			return v, false
		}
		return unmarshal[T](raw)
	}
	return c.decode(text)
}

// Same reports whether a stored text stands for the same value as text, which Encode has
// returned.
func (c *Codec[T]) Same(stored, text string) bool {
	if stored == text {
		return true
	}
	if !value.Respelled(stored, text) {
		return false
	}
	v, ok := c.Decode(stored)
	if !ok {
		return false
	}
	again, err := c.encode(v)
	return err == nil && again == text
}

// Marshals reports whether a type brings its own JSON or text form.
func Marshals(t reflect.Type) bool {
	return implements[json.Marshaler](t) || implements[encoding.TextMarshaler](t)
}

// unmarshals reports whether a type reads its own JSON or text form.
func unmarshals(t reflect.Type) bool {
	return implements[json.Unmarshaler](t) || implements[encoding.TextUnmarshaler](t)
}

func implements[I any](t reflect.Type) bool { return has(t, reflect.TypeFor[I]()) }

// has reports whether a type, or a pointer to it, has the methods of an interface.
func has(t, methods reflect.Type) bool {
	return t.Implements(methods) || reflect.PointerTo(t).Implements(methods)
}

// Values of type any are stored as what they hold: a basic type as itself, and
// everything else as JSON.

func encodeAny[T any](v T) (string, error) {
	if t := reflect.TypeOf(v); t != nil && t.PkgPath() == "" && isBasic(t.Kind()) {
		return value.Encode(v)
	}
	return encodeJSON(v)
}

func decodeAny[T any](text string) (v T, ok bool) {
	stored, err := value.Decode(text)
	if err != nil {
		return v, false
	}
	return fromAny[T](stored)
}

func fromAny[T any](stored any) (v T, ok bool) {
	if j, isJSON := stored.(value.JSON); isJSON {
		return unmarshal[T](string(j))
	}
	if v, ok = stored.(T); ok {
		return v, true
	}
	switch stored.(type) {
	case nil: // what a store that keeps JSON made of a nil slice, map or any; to a pointer JavaScript's null is no value
		switch reflect.TypeFor[T]().Kind() { //nolint:exhaustive // nor to the others
		case reflect.Slice, reflect.Map, reflect.Interface:
			return unmarshal[T]("null")
		}
	case map[string]any, []any: // what a store that keeps JSON made of a struct or list
		if j, err := json.Marshal(stored); err == nil {
			return unmarshal[T](string(j))
		}
	}
	return v, false
}

var (
	timeType   = reflect.TypeFor[time.Time]()
	numberType = reflect.TypeFor[json.Number]()
)
