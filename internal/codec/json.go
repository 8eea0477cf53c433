package codec

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// newJSON returns the codec of a type that is stored as JSON.
func newJSON[T any](t reflect.Type) *Codec[T] {
	c := &Codec[T]{encode: encodeJSON[T], decode: decodeJSON[T]}
	switch {
	case t == timeType:
		c.encode = any(encodeTime).(func(T) (string, error))
		c.decode = any(decodeTime).(func(string) (T, bool))
		return c
	case t == numberType:
		c.encode = any(encodeNumber).(func(T) (string, error))
		c.decode = any(decodeNumber).(func(string) (T, bool))
		return c
	case t.Kind() == reflect.Slice && t.Elem() == reflect.TypeFor[byte]() && !Marshals(t) && !unmarshals(t):
		c.encode, c.decode = encodeBytes[T], decodeBytes[T]
		return c
	case writesText(t):
		c.encode = encodeText[T]
	case plain(t, make(map[reflect.Type]bool)):
		c.encode = encodePlain[T]
	}
	if reason := unread(t, make(map[reflect.Type]bool)); reason != "" {
		c.encode = readable(c.encode, c.decode, reason)
	}
	if copying, ok := copierOf(t, nil); ok {
		c.memo = newMemo(copying, c.decode)
		c.decode = c.memo.decode
	}
	return c
}

// readable has encode fail on what decode does not read, for a type of which only the
// value tells: else it would be stored, and never found.
func readable[T any](encode func(T) (string, error), decode func(string) (T, bool), reason string) func(T) (string, error) {
	return func(v T) (string, error) {
		text, err := encode(v)
		if err != nil {
			return "", err
		}
		if _, ok := decode(text); !ok {
			return "", fmt.Errorf("what JSON makes of it cannot be read back: %s", reason)
		}
		return text, nil
	}
}

// encodeJSON returns the text of any value.
func encodeJSON[T any](v T) (string, error) {
	j, err := marshal(v)
	if err != nil {
		return "", err
	}
	return value.Encode(value.JSON(j))
}

func marshal[T any](v T) ([]byte, error) {
	p := new(T) // whose methods count as well as those of T
	*p = v
	return json.Marshal(p)
}

// encodePlain is [encodeJSON] for types whose JSON need not be checked again.
func encodePlain[T any](v T) (string, error) {
	j, err := marshal(v)
	if err != nil {
		return "", err
	}
	return value.EncodeValid(j), nil
}

// plain reports whether the JSON of a type is that of encoding/json alone, so that it
// is valid UTF-8, and nested no deeper than the type.
func plain(t reflect.Type, within map[reflect.Type]bool) bool {
	if t == timeType {
		return true
	}
	if Marshals(t) || within[t] {
		return false
	}
	within[t] = true
	defer delete(within, t)
	switch t.Kind() { //nolint:exhaustive // all others can be anything
	case reflect.Slice, reflect.Array, reflect.Pointer:
		return plain(t.Elem(), within)
	case reflect.Map:
		return !Marshals(t.Key()) && plain(t.Elem(), within)
	case reflect.Struct:
		for f := range t.Fields() {
			if !plain(f.Type, within) {
				return false
			}
		}
		return true
	}
	return isBasic(t.Kind())
}

func decodeJSON[T any](text string) (v T, ok bool) {
	if j, found := value.CutJSON(text); found {
		return unmarshal[T](j)
	}
	return decodeAny[T](text)
}

func unmarshal[T any](j string) (v T, ok bool) {
	if json.Unmarshal([]byte(j), &v) != nil {
		var zero T
		return zero, false
	}
	return v, true
}

func encodeTime(t time.Time) (string, error) {
	var room [roomOfText]byte
	text, err := t.AppendText(value.AppendTag(room[:0], "json"))
	if err != nil {
		return encodeJSON(t) // for the error
	}
	return string(value.EndTagged(text)), nil
}

func decodeTime(text string) (t time.Time, ok bool) {
	j, found := value.CutJSON(text)
	if !found {
		return decodeAny[time.Time](text)
	}
	// encoding/json calls it with the same bytes, and it unescapes nothing.
	if t.UnmarshalJSON([]byte(strings.Trim(j, " "))) != nil {
		return unmarshal[time.Time](j)
	}
	return t, true
}

// encodeNumber keeps no number apart from 0, which encoding/json does not.
func encodeNumber(n json.Number) (string, error) {
	if n == "" {
		return value.EncodeString(""), nil
	}
	return encodePlain(n)
}

// decodeNumber also reads a string, as earlier versions stored numbers.
func decodeNumber(text string) (n json.Number, ok bool) {
	if s, isString := value.String(text); isString {
		return json.Number(s), true
	}
	return decodeJSON[json.Number](text)
}

func encodeBytes[T any](v T) (string, error) {
	b := *underlying[T, []byte](&v)
	if b == nil {
		return `["json",null]`, nil
	}
	return value.Tagged("json", base64.StdEncoding.EncodeToString(b)), nil
}

func decodeBytes[T any](text string) (v T, ok bool) {
	payload, found := value.Payload(text, "json")
	if !found {
		return decodeJSON[T](text)
	}
	b, err := base64.StdEncoding.DecodeString(payload)
	if err != nil {
		return v, false
	}
	*underlying[T, []byte](&v) = b
	return v, true
}

// writesText reports whether the JSON of a type is a string that its MarshalText
// returns.
func writesText(t reflect.Type) bool {
	return t.Kind() != reflect.Pointer && !implements[json.Marshaler](t) && implements[encoding.TextMarshaler](t)
}

func encodeText[T any](v T) (string, error) {
	p := new(T)
	*p = v
	text, err := any(p).(encoding.TextMarshaler).MarshalText()
	if s := string(text); err == nil && value.Plain(s) && !strings.ContainsAny(s, "<>&") { // which encoding/json escapes
		return value.Tagged("json", s), nil
	}
	return encodeJSON(v)
}
