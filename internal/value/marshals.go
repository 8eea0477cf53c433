package value

import (
	"encoding"
	"encoding/json"
	"reflect"
)

// Marshals reports whether a type brings its own JSON or text form.
func Marshals(t reflect.Type) bool {
	return Implements[json.Marshaler](t) || Implements[encoding.TextMarshaler](t)
}

// Implements reports whether a type, or a pointer to it, implements an interface.
func Implements[I any](t reflect.Type) bool {
	i := reflect.TypeFor[I]()
	return t.Implements(i) || reflect.PointerTo(t).Implements(i)
}
