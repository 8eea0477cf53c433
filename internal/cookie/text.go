package cookie

import (
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/gin-sessionkit/sessionkit/internal/codec"
)

// Escape percent-encodes what a cookie's value cannot hold, and the percent
// sign (RFC 6265 section 4.1.1). JavaScript's decodeURIComponent reads it.
func Escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && strings.IndexByte(`",;\%`, c) < 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// Unescape undoes [Escape].
func Unescape(s string) (string, error) { return url.PathUnescape(s) }

// Text returns the text of a value, an error if [Parse] would not read it.
func Text[T any](v T) (string, error) {
	rv := reflect.ValueOf(&v).Elem()
	switch kind := rv.Kind(); {
	case codec.Marshals(rv.Type()):
	case kind == reflect.String:
		return rv.String(), nil
	case kind == reflect.Bool:
		return strconv.FormatBool(rv.Bool()), nil
	case rv.CanInt():
		return strconv.FormatInt(rv.Int(), 10), nil
	case rv.CanUint():
		return strconv.FormatUint(rv.Uint(), 10), nil
	case rv.CanFloat():
		return strconv.FormatFloat(rv.Float(), 'g', -1, rv.Type().Bits()), nil
	case rv.CanComplex():
		return strconv.FormatComplex(rv.Complex(), 'g', -1, rv.Type().Bits()), nil
	}
	j, err := json.Marshal(&v) // a method of *T counts as well
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(j, new(T)); err != nil {
		return "", fmt.Errorf("what JSON makes of it cannot be read back: %w", err)
	}
	return string(j), nil
}

// Parse reads the text of a value. On an error v is of no use.
func Parse[T any](text string, v *T) error {
	rv := reflect.ValueOf(v).Elem()
	var err error
	switch kind := rv.Kind(); {
	case codec.Marshals(rv.Type()):
		err = json.Unmarshal([]byte(text), v)
	case kind == reflect.String:
		rv.SetString(text)
	case kind == reflect.Bool:
		rv.SetBool(text == "true")
		if text != "true" && text != "false" {
			err = strconv.ErrSyntax
		}
	case rv.CanInt():
		var n int64
		n, err = strconv.ParseInt(text, 10, rv.Type().Bits())
		rv.SetInt(n)
	case rv.CanUint():
		var n uint64
		n, err = strconv.ParseUint(text, 10, rv.Type().Bits())
		rv.SetUint(n)
	case rv.CanFloat():
		var f float64
		f, err = strconv.ParseFloat(text, rv.Type().Bits())
		rv.SetFloat(f)
	case rv.CanComplex():
		var x complex128
		x, err = strconv.ParseComplex(text, rv.Type().Bits())
		rv.SetComplex(x)
	default:
		err = json.Unmarshal([]byte(text), v)
	}
	return err
}
