package codec

import (
	"encoding/json"
	"maps"
	"net/netip"
	"reflect"
	"slices"
)

// A copier makes dst, which is the zero value, a deep copy of src, and returns how many
// bytes that took beside dst and the bytes of strings. Both are addressable, and src is
// only read.
type copier func(dst, src reflect.Value) (bytes int)

// copierOf composes the copier of a type; nil if an assignment does it. ok is false if a
// decoded value may hold what cannot be copied: an interface, or something that a
// method of the type's own has put there. Such a value is decoded each time, and so are
// those of types that contain themselves.
//
// Fields that encoding/json does not set need no care: in a value that it has decoded they
// are zero. What gob has decoded is not copied.
func copierOf(t reflect.Type, within []reflect.Type) (copying copier, ok bool) {
	if slices.Contains(within, t) {
		return nil, false
	}
	within = append(within, t)
	switch {
	case immutable(t):
		return nil, true
	case t == reflect.TypeFor[json.RawMessage](): // a slice of bytes, whatever its methods
	case unmarshals(t):
		return nil, holdsNothing(t)
	}
	switch t.Kind() { //nolint:exhaustive // all others cannot be copied
	case reflect.Slice:
		return sliceCopier(t, within)
	case reflect.Array:
		return arrayCopier(t, within)
	case reflect.Map:
		return mapCopier(t, within)
	case reflect.Pointer:
		return pointerCopier(t, within)
	case reflect.Struct:
		return structCopier(t, within)
	}
	return nil, isBasic(t.Kind())
}

// immutable reports whether a type is one of the standard library whose values share
// what they point to, and never change it.
func immutable(t reflect.Type) bool {
	switch t {
	case timeType, reflect.TypeFor[netip.Addr](), reflect.TypeFor[netip.AddrPort](), reflect.TypeFor[netip.Prefix]():
		return true
	}
	return false
}

// holdsNothing reports whether a value of a type points to nothing but the bytes of
// strings, whatever its methods do.
func holdsNothing(t reflect.Type) bool {
	switch t.Kind() { //nolint:exhaustive // all others point to something
	case reflect.Array:
		return holdsNothing(t.Elem())
	case reflect.Struct:
		for f := range t.Fields() {
			if !immutable(f.Type) && !holdsNothing(f.Type) {
				return false
			}
		}
		return true
	}
	return isBasic(t.Kind())
}

func sliceCopier(t reflect.Type, within []reflect.Type) (copier, bool) {
	each, ok := copierOf(t.Elem(), within)
	size := int(t.Elem().Size()) // #nosec G115 -- of a type
	return func(dst, src reflect.Value) int {
		if src.IsNil() {
			return 0
		}
		n := src.Len()
		if n == 0 {
			dst.Set(reflect.MakeSlice(t, 0, 0))
			return 0
		}
		dst.Grow(n)
		dst.SetLen(n)
		bytes := dst.Cap() * size
		if each == nil {
			reflect.Copy(dst, src)
			return bytes
		}
		for i := range n {
			bytes += each(dst.Index(i), src.Index(i))
		}
		return bytes
	}, ok
}

func arrayCopier(t reflect.Type, within []reflect.Type) (copier, bool) {
	each, ok := copierOf(t.Elem(), within)
	if each == nil {
		return nil, ok
	}
	return func(dst, src reflect.Value) (bytes int) {
		for i := range src.Len() {
			bytes += each(dst.Index(i), src.Index(i))
		}
		return bytes
	}, ok
}

// mapCopier copies maps whose keys are of a basic kind.
func mapCopier(t reflect.Type, within []reflect.Type) (copier, bool) {
	each, ok := copierOf(t.Elem(), within)
	size := int(t.Key().Size() + t.Elem().Size()) // #nosec G115 -- of types
	switch t {
	case reflect.TypeFor[map[string]string]():
		return cloneMap[string], true
	case reflect.TypeFor[map[string]int]():
		return cloneMap[int], true
	case reflect.TypeFor[map[string]int64]():
		return cloneMap[int64], true
	case reflect.TypeFor[map[string]bool]():
		return cloneMap[bool], true
	case reflect.TypeFor[map[string]float64]():
		return cloneMap[float64], true
	}
	return func(dst, src reflect.Value) int {
		if src.IsNil() {
			return 0
		}
		dst.Set(reflect.MakeMapWithSize(t, src.Len()))
		bytes := 2 * size * (src.Len() + 8)
		key, from, to := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem(), reflect.New(t.Elem()).Elem()
		for entries := src.MapRange(); entries.Next(); {
			key.SetIterKey(entries)
			from.SetIterValue(entries)
			if each == nil {
				dst.SetMapIndex(key, from)
				continue
			}
			to.SetZero()
			bytes += each(to, from)
			dst.SetMapIndex(key, to)
		}
		return bytes
	}, ok && isBasic(t.Key().Kind())
}

// cloneMap copies maps of a common type, a few times faster than reflection does.
func cloneMap[V any](dst, src reflect.Value) (bytes int) {
	from, _ := reflect.TypeAssert[*map[string]V](src.Addr())
	to, _ := reflect.TypeAssert[*map[string]V](dst.Addr())
	*to = maps.Clone(*from)
	return 2 * int(reflect.TypeFor[V]().Size()+16) * (len(*from) + 8) // #nosec G115 -- of a type
}

func pointerCopier(t reflect.Type, within []reflect.Type) (copier, bool) {
	each, ok := copierOf(t.Elem(), within)
	size := int(t.Elem().Size()) // #nosec G115 -- of a type
	return func(dst, src reflect.Value) int {
		if src.IsNil() {
			return 0
		}
		dst.Set(reflect.New(t.Elem()))
		if each == nil {
			dst.Elem().Set(src.Elem())
			return size
		}
		return size + each(dst.Elem(), src.Elem())
	}, ok
}

func structCopier(t reflect.Type, within []reflect.Type) (copier, bool) {
	type fieldCopier struct {
		index   int
		copying copier
	}
	var fields []fieldCopier
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() && !f.Anonymous {
			continue
		}
		copying, ok := copierOf(f.Type, within)
		if !ok {
			return nil, false
		}
		if copying != nil {
			if !f.IsExported() {
				return nil, false // an embedded type's fields, which reflection sets one by one only
			}
			fields = append(fields, fieldCopier{i, copying})
		}
	}
	if len(fields) == 0 {
		return nil, true
	}
	return func(dst, src reflect.Value) (bytes int) {
		dst.Set(src)
		for _, f := range fields {
			field := dst.Field(f.index)
			field.SetZero()
			bytes += f.copying(field, src.Field(f.index))
		}
		return bytes
	}, true
}
