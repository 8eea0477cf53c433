package sessionkit

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// Key is the name of a session value and its type. Make it once, at package
// level, with [NewKey].
//
// A value of a basic kind is stored as itself, so that sessions.Default(c) sees
// the same string or int. Any other is stored as JSON, without gob.Register: a
// field that was added, removed or renamed since is no error.
type Key[T any] struct {
	name  string
	codec codec[T]
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

// Get returns the value. It is false where none is set, where what is stored is
// not a T, and where the session could not be read, which [Err] tells.
func (k Key[T]) Get(c *gin.Context) (T, bool) {
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
		return k.codec.fromAny(stored)
	}
	text, found := q.text(k.name)
	if !found {
		return v, false
	}
	return k.codec.decode(text)
}

// Set stores a value. It is saved before the response goes out; later changes to
// what v points to have no effect. A value that does not encode makes the save
// fail, so the response becomes a 503, and [Err] tells it.
func (k Key[T]) Set(c *gin.Context, v T) {
	q := requestOf(c, "Key.Set")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	text, err := k.codec.encode(v)
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

// Take returns the value and removes it.
func (k Key[T]) Take(c *gin.Context) (T, bool) {
	q := requestOf(c, "Key.Take")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	v, ok := k.get(q)
	k.delete(q)
	return v, ok
}

// isOwn reports whether a value is the kit's own.
func isOwn(name string) bool { return strings.HasPrefix(name, value.OwnPrefix) }
