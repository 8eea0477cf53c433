package codec

import (
	"encoding"
	"fmt"
	"reflect"
)

// unstorable returns why JSON cannot hold a type, or "".
func unstorable(t reflect.Type, seen map[reflect.Type]bool) string {
	if seen[t] || Marshals(t) && unmarshals(t) {
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
