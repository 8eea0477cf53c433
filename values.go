package sessionkit

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/codec"
	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// Key is the name of a session value and its type. Make it once, at package
// level, with [NewKey].
//
// A value of a basic kind is stored as itself, so that sessions.Default(c) sees
// the same string or int. Any other is stored as JSON, without gob.Register: a
// field that was added, removed or renamed since is no error. What was decoded is
// remembered, up to 1 MiB for each key, and [Key.Get] returns a copy of it: so methods
// of T that decode it must depend on what they are given alone.
type Key[T any] struct {
	name  string
	codec *codec.Codec[T]
}

// NewKey returns the key of a session value. It panics where T can never be
// stored, such as a channel, and on a name that is empty or begins with an
// underscore: those are the kit's own.
func NewKey[T any](name string) Key[T] {
	return Key[T]{name: checkName("NewKey", name), codec: newCodec[T]("NewKey", name)}
}

func checkName(call, name string) string {
	switch {
	case name == "":
		panic("sessionkit: " + call + `: the name is empty; give the value a name such as "cart"`)
	case strings.HasPrefix(name, "_"):
		panic(fmt.Sprintf("sessionkit: %s(%q): names that begin with an underscore are the kit's own; choose another", call, name))
	case !utf8.ValidString(name) || strings.IndexByte(name, 0) >= 0:
		panic(fmt.Sprintf("sessionkit: %s(%q): the name must be UTF-8 text without NUL", call, name))
	}
	return name
}

// Get returns the value. ok is false if there is no value, if it is not a T, or if
// the session could not be read (see [Err]).
func (k Key[T]) Get(c *gin.Context) (v T, ok bool) {
	q := requestOf(c, "Key.Get")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	return k.get(q)
}

func (k Key[T]) get(q *request) (v T, ok bool) {
	if q.view != nil {
		stored, found := q.view.Values[k.name]
		if !found {
			return v, false
		}
		return k.codec.From(stored)
	}
	text, found := q.text(k.name)
	if !found {
		return v, false
	}
	return k.codec.Decode(text)
}

// Set stores a value. It is saved before the response goes out; later changes to
// what v points to have no effect. A value that does not encode makes the save
// fail, so the response becomes a 503, and [Err] tells it.
func (k Key[T]) Set(c *gin.Context, v T) {
	q := requestOf(c, "Key.Set")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	text, err := k.codec.Encode(v)
	if err != nil {
		q.refuse(fmt.Errorf("sessionkit: storing %q: %w", k.name, err))
		return
	}
	if q.view == nil {
		q.put(k.name, text)
		return
	}
	stored, err := value.Decode(text)
	if err != nil {
		q.refuse(fmt.Errorf("sessionkit: storing %q: %w", k.name, err))
		return
	}
	q.view.Values[k.name] = stored
	q.changed()
}

// Delete removes the value. Where none is set, nothing changes.
func (k Key[T]) Delete(c *gin.Context) {
	q := requestOf(c, "Key.Delete")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	k.delete(q)
}

func (k Key[T]) delete(q *request) {
	if q.view != nil {
		if _, ok := q.view.Values[k.name]; ok {
			delete(q.view.Values, k.name)
			q.changed()
		}
		return
	}
	q.remove(k.name)
}

// Update changes the value in one step: it calls f with the value that stands in
// the store at that moment, the zero value if there is none or it is not a T, and
// stores what f returns only if that value still stands. Otherwise it calls f again,
// with the one that stands now. So requests that change the same value at the same
// time lose nothing of each other's, and of a counter no two callers ever get the
// same number:
//
//	n, err := Attempts.Update(c, func(n int64) int64 { return n + 1 })
//
// When Update returns, the result is stored. It is what every later reader sees, and
// a panic of the handler does not undo it. f may be called several times, and should
// do nothing but compute; what it returns is not changed afterwards.
//
// If there is no stored session yet, or this request begins a new one, f is called
// once, on this request's own value, and the result is saved before the response goes
// out, as by Set. So it is over a store of gin-contrib: requests at the same time may
// overwrite each other's results there. A value that this request has Set is updated
// on top of that, whatever stands in the store.
//
// The error is [store.ErrEnded] if the session has ended meanwhile,
// [store.ErrTooLarge], why the result does not encode, or why the store failed; then
// the response becomes a 503. The value is unchanged, as far as can be known.
func (k Key[T]) Update(c *gin.Context, f func(T) T) (T, error) {
	q := requestOf(c, "Key.Update")
	var result T
	err := q.updateValue(c, k.name, func(text string) (string, error) {
		var v T
		if text != "" {
			v, _ = k.codec.Decode(text)
		}
		result = f(v)
		return k.codec.Encode(result)
	})
	if err != nil {
		var zero T
		return zero, fmt.Errorf("sessionkit: updating %q: %w", k.name, err)
	}
	return result, nil
}

// Take returns the value and removes it, in one step: of any number of requests
// that take it at the same time one gets it. ok is false for all others, if there is
// no value, and if it is not a T. As with [Key.Update], that does not hold over a
// store of gin-contrib.
func (k Key[T]) Take(c *gin.Context) (v T, ok bool) {
	q := requestOf(c, "Key.Take")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	if text := q.takeValue(k.name); text != "" {
		return k.codec.Decode(text)
	}
	return v, false
}

// isOwn reports whether a value is the kit's own.
func isOwn(name string) bool { return strings.HasPrefix(name, value.OwnPrefix) }
