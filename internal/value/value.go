// Package value turns session values into text and back.
//
// The text of a value is JSON, so that an operator can read it in any database.
// It is never an object and never null: a database that merges by RFC 7396
// (JSON merge patch) would merge an object into the one it replaces, and would
// take null for a deletion.
//
//	"text"  true  42          a string, a bool, an int
//	["int64","7"]             another basic kind, its name in front
//	["json",{"Name":"tea"}]   a value that the middleware encoded: see [JSON]
//	["any",{"tea":[1,null]}]  a map[string]any or a []any of what encoding/json decodes
//	["gob","…"]               anything else, if its type was given to gob.Register
//	["js",7.5]                what a program in JavaScript keeps: see [EncodeJS]
package value

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// JSON is a value in its JSON form. It is what typed keys put into the session
// where T is not a basic kind.
type JSON string

// String returns the JSON text.
func (j JSON) String() string { return string(j) }

func init() {
	// Stores of gin-contrib encode with gob, which must know the type by name.
	gob.RegisterName("sessionkit.JSON", JSON(""))
	gob.Register([]any(nil)) // what AddFlash of gorilla/sessions keeps
}

var errMalformed = errors.New("malformed value")

// Encode returns the text of v.
func Encode(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return EncodeString(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return EncodeInt(v), nil
	case nil:
		return `["nil"]`, nil
	case JSON:
		return encodeJSON(v)
	case int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, uintptr:
		return Tagged(fmt.Sprintf("%T", v), fmt.Sprint(v)), nil
	case float64:
		return Tagged("float64", strconv.FormatFloat(v, 'g', -1, 64)), nil
	case float32:
		return Tagged("float32", strconv.FormatFloat(float64(v), 'g', -1, 32)), nil
	case complex64:
		return Tagged("complex64", strconv.FormatComplex(complex128(v), 'g', -1, 64)), nil
	case complex128:
		return Tagged("complex128", strconv.FormatComplex(v, 'g', -1, 128)), nil
	case []byte:
		return inBase64("bytes", v), nil
	case time.Time:
		text, err := v.MarshalText()
		if err != nil {
			return "", err
		}
		return Tagged("time", string(text)), nil
	case map[string]any, []any:
		text, err := encodeGob(v) // as earlier versions read it
		if err != nil && isTree(v, 0) {
			return encodeTree(v)
		}
		return text, err
	}
	return encodeGob(v)
}

// EncodeString returns the text of s. What JSON or a database cannot hold (bytes that are no
// UTF-8, NUL, which PostgreSQL refuses in jsonb) is kept in base64.
func EncodeString(s string) string {
	if Plain(s) {
		return `"` + s + `"`
	}
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return inBase64("string", []byte(s))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return inBase64("string", []byte(s)) // unreachable: every valid UTF-8 string encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// EncodeInt returns the text of n.
func EncodeInt(n int) string { return strconv.Itoa(n) }

func encodeJSON(j JSON) (string, error) {
	text := jsonBegins + string(j) + "]"
	if !json.Valid([]byte(text)) { // with what is around it, which encoding/json counts when it reads it
		return "", errors.New("invalid JSON, or JSON that is nested too deeply to be read back")
	}
	if strings.Contains(string(j), `\u0000`) || !utf8.ValidString(string(j)) {
		return inBase64("json64", []byte(j)), nil
	}
	return text, nil
}

// deepestTree is less than how deep encoding/json decodes, which counts what is around it.
const deepestTree = 9000

// isTree reports whether v is of what encoding/json decodes into an any, and comes back as it
// was. Gob takes no such map unless the application has registered its type.
func isTree(v any, depth int) bool {
	switch v := v.(type) {
	case nil, bool:
		return true
	case string:
		return utf8.ValidString(v)
	case float64:
		return !math.IsNaN(v) && !math.IsInf(v, 0)
	case map[string]any:
		if v == nil || depth == deepestTree {
			return false
		}
		for key, element := range v {
			if !utf8.ValidString(key) || !isTree(element, depth+1) {
				return false
			}
		}
		return true
	case []any:
		return v != nil && depth < deepestTree && !slices.ContainsFunc(v, func(element any) bool { return !isTree(element, depth+1) })
	}
	return false
}

func encodeTree(v any) (string, error) {
	j, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	if bytes.Contains(j, []byte(`\u0000`)) {
		return inBase64("any64", j), nil
	}
	return `["any",` + string(j) + "]", nil
}

func decodeTree(j []byte) (any, error) {
	var v any
	if err := json.Unmarshal(j, &v); err != nil {
		return nil, errMalformed
	}
	switch v.(type) {
	case map[string]any, []any:
		return v, nil
	}
	return nil, errMalformed
}

func encodeGob(v any) (string, error) {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(&v); err != nil {
		return "", fmt.Errorf("%T can be stored only as a typed key or after gob.Register: %w", v, err)
	}
	return inBase64("gob", b.Bytes()), nil
}

// IsGob reports whether [Decode] decodes a text with gob. That is for bytes of this
// module's own: others can make it exhaust the stack, which ends the process.
func IsGob(text string) bool {
	d := json.NewDecoder(strings.NewReader(text))
	first, _ := d.Token()
	tag, _ := d.Token()
	return first == json.Delim('[') && tag == "gob"
}

func inBase64(tag string, b []byte) string { return Tagged(tag, base64.StdEncoding.EncodeToString(b)) }

const (
	jsTag   = `["js",`
	js64Tag = `["js64","`
)

// EncodeJS returns the text of a value that has no Go type: a JSON text that a
// program of another language has written. A typed key reads it as encoding/json
// does, and [Decode] as a string, a bool, an int, a float64, nil or a [JSON].
func EncodeJS(raw string) string {
	if raw == "null" {
		return `["nil"]`
	}
	if strings.Contains(raw, `\u0000`) { // which PostgreSQL refuses in jsonb
		return js64Tag + base64.StdEncoding.EncodeToString([]byte(raw)) + `"]`
	}
	return jsTag + raw + "]"
}

// IsJS reports whether a text may be one that [EncodeJS] has encoded.
func IsJS(text string) bool {
	return strings.HasPrefix(text, `["js`) && !strings.HasPrefix(text, `["json`)
}

// JS returns the JSON text of a value that [EncodeJS] has encoded.
func JS(text string) (raw string, ok bool) {
	if encoded, is64 := strings.CutPrefix(text, `["js64",`); is64 {
		encoded = strings.Trim(strings.TrimSuffix(encoded, "]"), `" `)
		b, err := base64.StdEncoding.DecodeString(encoded)
		return string(b), err == nil
	}
	raw, ok = strings.CutPrefix(text, jsTag)
	if !ok || !strings.HasSuffix(raw, "]") {
		return "", false
	}
	return strings.Trim(raw[:len(raw)-1], " \t\r\n"), true // a database may have put spaces in
}

func decodeJS(raw string) (any, error) {
	switch {
	case strings.HasPrefix(raw, `"`):
		var s string
		if err := json.Unmarshal([]byte(raw), &s); err != nil {
			return nil, errMalformed
		}
		return s, nil
	case raw == "true" || raw == "false":
		return raw == "true", nil
	case raw == "null":
		return nil, nil //nolint:nilnil // nil is the value
	case raw == "" || !json.Valid([]byte(raw)):
		return nil, errMalformed
	case raw[0] == '{' || raw[0] == '[':
		return JSON(raw), nil
	}
	if n, err := strconv.Atoi(raw); err == nil && raw != "-0" {
		return n, nil
	}
	f, err := strconv.ParseFloat(raw, 64)
	if err != nil {
		return nil, errMalformed
	}
	return f, nil
}

// Decode returns the value that text stands for.
func Decode(text string) (any, error) {
	switch {
	case strings.HasPrefix(text, `"`):
		if s, ok := String(text); ok {
			return s, nil
		}
		return nil, errMalformed
	case text == "true":
		return true, nil
	case text == "false":
		return false, nil
	case !strings.HasPrefix(text, "["):
		if n, ok := Int(text); ok {
			return n, nil
		}
		return nil, errMalformed
	}
	var parts []json.RawMessage
	if err := json.Unmarshal([]byte(text), &parts); err != nil {
		return nil, errMalformed
	}
	var tag, payload string
	if len(parts) == 0 || len(parts) > 2 || json.Unmarshal(parts[0], &tag) != nil {
		return nil, errMalformed
	}
	switch {
	case len(parts) == 1:
		if tag == "nil" {
			return nil, nil //nolint:nilnil // nil is the value
		}
		return nil, errMalformed
	case tag == "json":
		return JSON(parts[1]), nil
	case tag == "js":
		return decodeJS(string(parts[1]))
	case tag == "any":
		return decodeTree(parts[1])
	case json.Unmarshal(parts[1], &payload) != nil:
		return nil, errMalformed
	}
	v, err := decodeTagged(tag, payload)
	if err != nil {
		return nil, errMalformed
	}
	return v, nil
}

func decodeTagged(tag, payload string) (any, error) {
	switch tag {
	case "int8", "int16", "int32", "int64":
		return parseInt(tag, payload)
	case "uint", "uint8", "uint16", "uint32", "uint64", "uintptr":
		return parseUint(tag, payload)
	case "float64":
		return strconv.ParseFloat(payload, 64)
	case "float32":
		f, err := strconv.ParseFloat(payload, 32)
		return float32(f), err
	case "complex64":
		c, err := strconv.ParseComplex(payload, 64)
		return complex64(c), err
	case "complex128":
		return strconv.ParseComplex(payload, 128)
	case "time":
		var t time.Time
		err := t.UnmarshalText([]byte(payload))
		return t, err
	}
	b, err := base64.StdEncoding.DecodeString(payload)
	if err != nil {
		return nil, errMalformed
	}
	switch tag {
	case "bytes":
		return b, nil
	case "string":
		return string(b), nil
	case "js64":
		return decodeJS(string(b))
	case "json64":
		if !json.Valid(b) {
			return nil, errMalformed
		}
		return JSON(b), nil
	case "any64":
		return decodeTree(b)
	case "gob":
		return decodeGob(b)
	}
	return nil, errMalformed
}

// integerTypes are the types of the tags that name one.
var integerTypes = map[string]reflect.Type{
	"int8": reflect.TypeFor[int8](), "int16": reflect.TypeFor[int16](), "int32": reflect.TypeFor[int32](), "int64": reflect.TypeFor[int64](),
	"uint": reflect.TypeFor[uint](), "uint8": reflect.TypeFor[uint8](), "uint16": reflect.TypeFor[uint16](),
	"uint32": reflect.TypeFor[uint32](), "uint64": reflect.TypeFor[uint64](), "uintptr": reflect.TypeFor[uintptr](),
}

func parseInt(kind, payload string) (any, error) {
	t := integerTypes[kind]
	n, err := strconv.ParseInt(payload, 10, t.Bits())
	if err != nil {
		return nil, errMalformed
	}
	return reflect.ValueOf(n).Convert(t).Interface(), nil
}

func parseUint(kind, payload string) (any, error) {
	t := integerTypes[kind]
	n, err := strconv.ParseUint(payload, 10, t.Bits())
	if err != nil {
		return nil, errMalformed
	}
	return reflect.ValueOf(n).Convert(t).Interface(), nil
}

func decodeGob(b []byte) (v any, err error) {
	defer func() {
		if recover() != nil { // gob calls GobDecode methods of the application's types
			v, err = nil, errMalformed
		}
	}()
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&v); err != nil {
		return nil, errMalformed
	}
	return v, nil
}

// String reads the text of a string without allocating where it can: most
// strings stand in their text as they are.
func String(text string) (string, bool) {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return taggedString(text)
	}
	if inner := text[1 : len(text)-1]; Plain(inner) {
		return inner, true
	}
	var s string
	if json.Unmarshal([]byte(text), &s) != nil {
		return "", false
	}
	return s, true
}

func taggedString(text string) (string, bool) {
	if !strings.HasPrefix(text, `["string"`) && !strings.HasPrefix(text, `["js`) {
		return "", false
	}
	v, err := Decode(text)
	s, ok := v.(string)
	return s, err == nil && ok
}

// Int reads the text of an int.
func Int(text string) (int, bool) {
	if text == "" || text[0] == '+' {
		return 0, false
	}
	if text[0] == '[' {
		v, err := Decode(text)
		n, ok := v.(int)
		return n, ok && err == nil
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// Equal reports whether text stands for v.
func Equal(text string, v any) bool {
	switch v := v.(type) {
	case string:
		s, ok := String(text)
		return ok && s == v
	case int:
		n, ok := Int(text)
		return ok && n == v
	case time.Time:
		stored, err := Decode(text)
		t, ok := stored.(time.Time)
		return err == nil && ok && t.Format(time.RFC3339Nano) == v.Format(time.RFC3339Nano) // another zone is another value
	}
	stored, err := Decode(text)
	return err == nil && reflect.DeepEqual(stored, v)
}
