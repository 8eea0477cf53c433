package sessionkit

import (
	"fmt"
	"reflect"

	"github.com/gin-sessionkit/sessionkit/internal/codec"
)

// newCodec returns what turns values of T into their text and back. It panics if
// values of T can never be stored; call and name are what the programmer wrote.
func newCodec[T any](call, name string) *codec.Codec[T] {
	c, reason := codec.New[T]()
	if c == nil {
		t := reflect.TypeFor[T]()
		panic(fmt.Sprintf("sessionkit: %s[%v](%q): a %v can never be stored: %s", call, t, name, t, reason))
	}
	return c
}
