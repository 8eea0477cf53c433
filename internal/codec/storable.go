package codec

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
)

// A place is where a value of a type stands. encoding/json calls the methods of a pointer
// only if the value is addressable, which what stands in a map is not.
type place struct {
	t           reflect.Type
	addressable bool
}

// unstorable returns why JSON cannot hold what stands at a place, or "".
func unstorable(at place, seen map[place]bool) string {
	t := at.t
	if !at.addressable && unmarshals(t) && marshalsByPointer(t) && !readsDefault(t) {
		return fmt.Sprintf("JSON writes a %v in a map without the methods of its pointer, and cannot read it back; make it a *%[1]v", t)
	}
	if seen[at] {
		return ""
	}
	seen[at] = true
	switch {
	case t.Kind() == reflect.Pointer:
		return unstorable(place{t.Elem(), true}, seen)
	case t.Kind() == reflect.Interface && t.NumMethod() > 0:
		return fmt.Sprintf("nothing tells which type to decode into a %v", t)
	}
	if reason := promoted(t); reason != "" {
		return reason
	}
	if Marshals(t) && unmarshals(t) {
		return ""
	}
	switch t.Kind() { //nolint:exhaustive // the others are fine
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return fmt.Sprintf("JSON has no form for a %v", t)
	case reflect.Slice:
		return unstorable(place{t.Elem(), true}, seen)
	case reflect.Array:
		return unstorable(place{t.Elem(), at.addressable}, seen)
	case reflect.Map:
		if reason := promotedOfKey(t.Key()); reason != "" {
			return fmt.Sprintf("keys of type %v: %s", t.Key(), reason)
		}
		switch kind := t.Key().Kind(); {
		case implements[encoding.TextUnmarshaler](t.Key()) && !t.Key().Implements(reflect.TypeFor[encoding.TextMarshaler]()):
			return fmt.Sprintf("JSON writes keys of type %v without their MarshalText, and cannot read them back", t.Key())
		case kind >= reflect.Int && kind <= reflect.Uintptr, kind == reflect.String, implements[encoding.TextMarshaler](t.Key()):
			return unstorable(place{t.Elem(), false}, seen)
		}
		return fmt.Sprintf("JSON has no form for keys of type %v", t.Key())
	case reflect.Struct:
		return unstorableStruct(at, seen)
	}
	return ""
}

func unstorableStruct(at place, seen map[place]bool) string {
	members, reason := membersOf(at, nil, nil)
	if reason == "" {
		reason = ambiguous(members)
	}
	if reason != "" {
		return reason
	}
	for _, m := range members {
		if reason := unstorable(m.place, seen); reason != "" {
			return ofField(m.path, reason)
		}
	}
	return ""
}

// marshalsByPointer reports whether it takes a pointer to a value to write its own form.
func marshalsByPointer(t reflect.Type) bool {
	if implements[json.Marshaler](t) {
		return !t.Implements(reflect.TypeFor[json.Marshaler]())
	}
	return implements[encoding.TextMarshaler](t) && !t.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

// readsDefault reports whether the methods of a pointer read what JSON writes without them,
// as they do if they come down to that with defaults or checks.
func readsDefault(t reflect.Type) bool {
	j, err := json.Marshal(reflect.Zero(t).Interface())
	return err == nil && string(j) != "{}" && json.Unmarshal(j, reflect.New(t).Interface()) == nil
}

// unread returns why encoding/json may not read back what it writes for a type, or "".
// Whether it does depends on what the methods of the type write.
func unread(t reflect.Type, seen map[reflect.Type]bool) string {
	if seen[t] {
		return ""
	}
	seen[t] = true
	if Marshals(t) {
		if implements[json.Unmarshaler](t) || implements[encoding.TextUnmarshaler](t) && !implements[json.Marshaler](t) {
			return ""
		}
		return fmt.Sprintf("a %v writes a form of its own, and has no method that reads it", t)
	}
	switch t.Kind() { //nolint:exhaustive // the others hold nothing
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return unread(t.Elem(), seen)
	case reflect.Map:
		if reason := unread(t.Key(), seen); reason != "" {
			return reason
		}
		return unread(t.Elem(), seen)
	case reflect.Struct:
		for f := range t.Fields() {
			if !f.IsExported() && !f.Anonymous || f.Tag.Get("json") == "-" {
				continue
			}
			if reason := unread(f.Type, seen); reason != "" {
				return "field " + f.Name + ": " + reason
			}
		}
	}
	return ""
}
