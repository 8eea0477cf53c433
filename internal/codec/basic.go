package codec

import (
	"reflect"
	"strconv"
	"unsafe"

	"github.com/gin-sessionkit/sessionkit/internal/value"
)

func isBasic(k reflect.Kind) bool {
	return k >= reflect.Bool && k <= reflect.Complex128 || k == reflect.String
}

// basic returns the codec of a type of a basic kind, nil for other kinds. Values of a
// named type, such as type Name string, are stored as the type underneath.
func basic[T any](k reflect.Kind) *Codec[T] { //nolint:gocyclo // a table
	switch k { //nolint:exhaustive // all others are not basic
	case reflect.Bool:
		return as[T](value.Bool, strconv.FormatBool)
	case reflect.String:
		return as[T](value.String, value.EncodeString)
	case reflect.Int:
		return as[T](value.Int, strconv.Itoa)
	case reflect.Int8:
		return signed[T, int8](8)
	case reflect.Int16:
		return signed[T, int16](16)
	case reflect.Int32:
		return signed[T, int32](32)
	case reflect.Int64:
		return signed[T, int64](64)
	case reflect.Uint:
		return unsigned[T, uint](strconv.IntSize)
	case reflect.Uint8:
		return unsigned[T, uint8](8)
	case reflect.Uint16:
		return unsigned[T, uint16](16)
	case reflect.Uint32:
		return unsigned[T, uint32](32)
	case reflect.Uint64:
		return unsigned[T, uint64](64)
	case reflect.Uintptr:
		return unsigned[T, uintptr](strconv.IntSize)
	case reflect.Float32:
		return floating[T, float32](32)
	case reflect.Float64:
		return floating[T, float64](64)
	case reflect.Complex64:
		return complexes[T, complex64](64)
	case reflect.Complex128:
		return complexes[T, complex128](128)
	}
	return nil
}

// roomOfText is enough for the text of a number, which then is its only allocation.
const roomOfText = 48

func signed[T any, B int8 | int16 | int32 | int64](bits int) *Codec[T] {
	tag := reflect.TypeFor[B]().Name()
	return as[T](tagged(tag, func(payload string) (B, error) {
		n, err := strconv.ParseInt(payload, 10, bits)
		return B(n), err
	}), func(n B) string {
		var room [roomOfText]byte
		return string(value.EndTagged(strconv.AppendInt(value.AppendTag(room[:0], tag), int64(n), 10)))
	})
}

func unsigned[T any, B uint | uint8 | uint16 | uint32 | uint64 | uintptr](bits int) *Codec[T] {
	tag := reflect.TypeFor[B]().Name()
	return as[T](tagged(tag, func(payload string) (B, error) {
		n, err := strconv.ParseUint(payload, 10, bits)
		return B(n), err
	}), func(n B) string {
		var room [roomOfText]byte
		return string(value.EndTagged(strconv.AppendUint(value.AppendTag(room[:0], tag), uint64(n), 10)))
	})
}

func floating[T any, B float32 | float64](bits int) *Codec[T] {
	tag := reflect.TypeFor[B]().Name()
	return as[T](tagged(tag, func(payload string) (B, error) {
		f, err := strconv.ParseFloat(payload, bits)
		return B(f), err
	}), func(f B) string {
		var room [roomOfText]byte
		return string(value.EndTagged(strconv.AppendFloat(value.AppendTag(room[:0], tag), float64(f), 'g', -1, bits)))
	})
}

func complexes[T any, B complex64 | complex128](bits int) *Codec[T] {
	tag := reflect.TypeFor[B]().Name()
	return as[T](tagged(tag, func(payload string) (B, error) {
		c, err := strconv.ParseComplex(payload, bits)
		return B(c), err
	}), func(c B) string { return value.Tagged(tag, strconv.FormatComplex(complex128(c), 'g', -1, bits)) })
}

// tagged returns the function that reads a text with a tag.
func tagged[B any](tag string, parse func(payload string) (B, error)) func(string) (B, bool) {
	return func(text string) (b B, ok bool) {
		payload, ok := value.Payload(text, tag)
		if !ok {
			return b, false
		}
		parsed, err := parse(payload)
		if err != nil {
			return b, false
		}
		return parsed, true
	}
}

// as returns the codec of a type whose underlying type is B. What parse does not
// understand is read in the general way: a database may have put spaces into the text,
// and a named type may have been stored with gob.
func as[T, B any](parse func(string) (B, bool), format func(B) string) *Codec[T] {
	return &Codec[T]{
		encode: func(v T) (string, error) { return format(*underlying[T, B](&v)), nil },
		decode: func(text string) (v T, ok bool) {
			if *underlying[T, B](&v), ok = parse(text); ok {
				return v, true
			}
			stored, err := value.Decode(text)
			if err != nil {
				return v, false
			}
			if b, isBase := stored.(B); isBase {
				*underlying[T, B](&v) = b
				return v, true
			}
			v, ok = stored.(T)
			return v, ok
		},
	}
}

// underlying converts a pointer to a T whose underlying type is B. The two have the
// same memory, which Go's type parameters cannot say of types chosen by reflection.
func underlying[T, B any](v *T) *B {
	return (*B)(unsafe.Pointer(v)) // #nosec G103 -- see above; New chooses B by the kind of T
}
