package sessionkit

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// codec turns values of one type into their text and back.
type codec[T any] struct {
	form form
	base reflect.Type // of formNamed: the basic type that is stored
}

// form says how values of a type are stored.
type form uint8

const (
	formJSON  form = iota
	formBasic      // as itself
	formNamed      // as the basic type underneath, such as string for type Name string
	formAny        // by what it holds
)

// basicTypes are the types that are stored as themselves, by kind.
var basicTypes = map[reflect.Kind]reflect.Type{
	reflect.Bool: reflect.TypeFor[bool](), reflect.String: reflect.TypeFor[string](),
	reflect.Int: reflect.TypeFor[int](), reflect.Int8: reflect.TypeFor[int8](), reflect.Int16: reflect.TypeFor[int16](),
	reflect.Int32: reflect.TypeFor[int32](), reflect.Int64: reflect.TypeFor[int64](),
	reflect.Uint: reflect.TypeFor[uint](), reflect.Uint8: reflect.TypeFor[uint8](), reflect.Uint16: reflect.TypeFor[uint16](),
	reflect.Uint32: reflect.TypeFor[uint32](), reflect.Uint64: reflect.TypeFor[uint64](), reflect.Uintptr: reflect.TypeFor[uintptr](),
	reflect.Float32: reflect.TypeFor[float32](), reflect.Float64: reflect.TypeFor[float64](),
	reflect.Complex64: reflect.TypeFor[complex64](), reflect.Complex128: reflect.TypeFor[complex128](),
}

// newCodec panics where values of T can never be stored; call and name are what
// the programmer wrote.
func newCodec[T any](call, name string) codec[T] {
	t := reflect.TypeFor[T]()
	if t.Kind() == reflect.Interface && t.NumMethod() == 0 {
		return codec[T]{form: formAny}
	}
	if base := basicTypes[t.Kind()]; base != nil && !marshals(t) {
		if base == t {
			return codec[T]{form: formBasic}
		}
		return codec[T]{form: formNamed, base: base}
	}
	if reason := unstorable(t, make(map[reflect.Type]bool)); reason != "" {
		panic(fmt.Sprintf("sessionkit: %s[%v](%q): a %v can never be stored: %s", call, t, name, t, reason))
	}
	return codec[T]{form: formJSON}
}

// marshals reports whether a type brings its own JSON or text form.
func marshals(t reflect.Type) bool {
	return implements[json.Marshaler](t) || implements[encoding.TextMarshaler](t)
}

func implements[I any](t reflect.Type) bool {
	i := reflect.TypeFor[I]()
	return t.Implements(i) || reflect.PointerTo(t).Implements(i)
}

// unstorable returns why JSON cannot hold a type, or "".
func unstorable(t reflect.Type, seen map[reflect.Type]bool) string {
	if seen[t] || marshals(t) && (implements[json.Unmarshaler](t) || implements[encoding.TextUnmarshaler](t)) {
		return ""
	}
	seen[t] = true
	switch t.Kind() { //nolint:exhaustive // the others are fine
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return fmt.Sprintf("JSON has no form for a %v", t)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return fmt.Sprintf("nothing tells which type to decode into a %v", t)
		}
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return unstorable(t.Elem(), seen)
	case reflect.Map:
		switch kind := t.Key().Kind(); {
		case implements[encoding.TextUnmarshaler](t.Key()) && !t.Key().Implements(reflect.TypeFor[encoding.TextMarshaler]()):
			return fmt.Sprintf("JSON writes keys of type %v without their MarshalText, and cannot read them back", t.Key())
		case kind >= reflect.Int && kind <= reflect.Uintptr, kind == reflect.String, implements[encoding.TextMarshaler](t.Key()):
			return unstorable(t.Elem(), seen)
		}
		return fmt.Sprintf("JSON has no form for keys of type %v", t.Key())
	case reflect.Struct:
		return unstorableStruct(t, seen)
	}
	return ""
}

func unstorableStruct(t reflect.Type, seen map[reflect.Type]bool) string {
	stored := 0
	for f := range t.Fields() {
		if !f.IsExported() && !f.Anonymous || f.Tag.Get("json") == "-" {
			continue
		}
		stored++
		if f.Anonymous && !f.IsExported() && f.Type.Kind() == reflect.Pointer {
			return "field " + f.Name + ": JSON cannot decode into an embedded pointer to an unexported type"
		}
		if reason := unstorable(f.Type, seen); reason != "" {
			return "field " + f.Name + ": " + reason
		}
	}
	if stored == 0 && t.NumField() > 0 {
		return "it has no exported field, so all of it would be lost"
	}
	return ""
}

// encode returns the text of v.
func (k codec[T]) encode(v T) (string, error) {
	switch p := any(&v).(type) { // a pointer, which is not put on the heap as v would be
	case *string:
		return value.EncodeString(*p), nil
	case *int:
		return value.EncodeInt(*p), nil
	}
	switch k.form {
	case formBasic:
		return value.Encode(v)
	case formNamed:
		return value.Encode(reflect.ValueOf(v).Convert(k.base).Interface())
	case formAny:
		if basic := basicTypes[reflect.ValueOf(v).Kind()]; basic != nil && basic == reflect.TypeOf(v) {
			return value.Encode(v)
		}
	case formJSON:
	}
	p := new(T) // whose methods count as well as those of T
	*p = v
	j, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return value.Encode(value.JSON(j))
}

// decode reads a text. It is false where the text is not that of a T.
func (k codec[T]) decode(text string) (v T, ok bool) {
	switch p := any(&v).(type) {
	case *string:
		*p, ok = value.String(text)
		return v, ok
	case *int:
		*p, ok = value.Int(text)
		return v, ok
	}
	if raw, isJS := value.JS(text); isJS && k.form != formAny { // its types are not Go's
		if raw == "null" || json.Unmarshal([]byte(raw), &v) != nil {
			var zero T
			return zero, false
		}
		return v, true
	}
	stored, err := value.Decode(text)
	if err != nil {
		return v, false
	}
	return k.fromAny(stored)
}

// fromAny takes what a store of gin-contrib holds. It is false where that is not
// a T.
func (k codec[T]) fromAny(stored any) (v T, ok bool) {
	if j, isJSON := stored.(value.JSON); isJSON && (k.form == formJSON || k.form == formAny) {
		if json.Unmarshal([]byte(j), &v) != nil {
			var zero T
			return zero, false
		}
		return v, true
	}
	if k.form == formNamed && stored != nil && reflect.TypeOf(stored) == k.base {
		return reflect.ValueOf(stored).Convert(reflect.TypeFor[T]()).Interface().(T), true
	}
	v, ok = stored.(T)
	return v, ok
}
