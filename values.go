package sessionkit

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/codec"
	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// Key is the name of a session value and its type. Make it once, at package
// level, with [NewKey].
//
// A value of a basic kind is stored as itself, so that sessions.Default(c) sees
// the same string or int. Any other is stored as JSON, as encoding/json does it and without
// gob.Register: fields that are not exported are left out, and one that was added, removed or
// renamed since is no error. What was decoded is
// remembered, up to 1 MiB for each key, and [Key.Get] returns a copy of it: so methods
// of T that decode it must depend on what they are given alone. PostgreSQL and MySQL keep the
// members of an object in an order of their own, and one of each name: what a MarshalJSON of T
// writes must not depend on more.
type Key[T any] struct {
	name  string
	codec *codec.Codec[T]
}

// NewKey returns the key of a session value. It panics if T can never be stored, such as a
// channel, or if encoding/json would lose a part of every T: a struct{ time.Time; Name string }
// is written by the methods of the time alone, and of two fields with one name in JSON it has one at
// most. A field of an embedded struct that another one of its name hides is not stored.
// It also panics if the name is empty, is no UTF-8 text, holds a NUL or begins with an
// underscore: those are sessionkit's own.
//
// The name alone tells values apart. Two keys of one name are one value of the session, also if
// they are made in different packages or are of different types: a package that others import
// begins its names with its own, such as "cart.items".
func NewKey[T any](name string) Key[T] {
	return Key[T]{name: checkName("NewKey", name), codec: newCodec[T]("NewKey", name)}
}

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

func checkName(call, name string) string {
	switch {
	case name == "":
		panic("sessionkit: " + call + `: the name is empty; give the value a name such as "cart"`)
	case strings.HasPrefix(name, "_"):
		panic(fmt.Sprintf("sessionkit: %s(%q): names that begin with an underscore are sessionkit's own; choose another", call, name))
	case !utf8.ValidString(name) || strings.IndexByte(name, 0) >= 0:
		panic(fmt.Sprintf("sessionkit: %s(%q): the name must be UTF-8 text without NUL", call, name))
	}
	return name
}

// Get returns the value. ok is false if there is no value, if it is not a T, or if
// the session could not be read (see [Err]).
//
// It is the value that this request has loaded, or set. In a stream, which may have loaded
// it hours ago, call [Key.GetFrom], [Key.Update] or [Key.Take]: they ask the store.
func (k Key[T]) Get(c *gin.Context) (v T, ok bool) {
	q := requestOf(c, "Key.Get")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	return k.get(q)
}

func (k Key[T]) get(q *request) (v T, ok bool) {
	text, found := q.session.Text(k.name)
	if q.view != nil {
		text, found = q.textInView(k.name, text)
	}
	if !found {
		return v, false
	}
	return k.codec.Decode(text)
}

// Set stores a value. It is saved before the response goes out; later changes to
// what v points to have no effect. A value that does not encode, or that T writes by a
// method of its own and cannot read back, makes the save fail, so the response becomes a
// 503, and [Err] tells it.
//
// The last of several requests wins. But setting the value that this request has loaded is
// no change, and writes nothing: if another request has changed it since, that stands. Only a
// value that another version of T has stored may be written once more.
//
// Once the response has begun, a change is saved when the handler returns, or not at all if it
// panics. A stream may return hours later, and would then overwrite what other requests have
// saved meanwhile: call [Key.Update] there, which stores the value at once.
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
	if stored, _ := q.session.StoredText(k.name); k.codec.Same(stored, text) {
		text = stored
	}
	if q.view != nil {
		shown, err := value.Decode(text)
		if err != nil {
			q.refuse(fmt.Errorf("sessionkit: storing %q: %w", k.name, err))
			return
		}
		q.view.Values[k.name] = shown
	}
	q.put(k.name, text)
}

// Delete removes the value. If none is set, nothing changes.
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
	}
	q.remove(k.name) // the view need not show what is stored
}

// Update changes the value in one step: it calls f with the value that stands in
// the store at that moment, the zero value if there is none or it is not a T (of a map
// that is nil, which f makes before it writes to it), and stores what f returns only if that value still stands. Otherwise it calls f again,
// with the one that stands now. So requests that change the same value at the same
// time lose nothing of each other's, and of a counter no two callers ever get the
// same number:
//
//	n, err := Attempts.Update(c, func(n int64) int64 { return n + 1 })
//
// When Update returns, the result is stored. It is what every later reader sees, and
// a panic of the handler does not undo it. f may be called several times, and should
// do nothing but compute; what it returns is not changed afterwards. Other requests may be
// waiting for f, so f waits for nothing: what it needs of the request, such as a field of
// the form, is read before Update.
//
// If there is no stored session yet, or this request begins a new one, f is called
// once, on this request's own value, and the result is saved before the response goes
// out, as by Set. So it is over a store of gin-contrib: requests at the same time may
// overwrite each other's results there. A value that this request has Set to another than
// it had loaded is updated on top of that, whatever stands in the store.
//
// Once the response has begun, or in a connection that was hijacked, there is no cookie for a
// new session. If there is none yet, Update returns an error at once, which [Err] and
// Config.OnError tell as well.
//
// The error is [store.ErrEnded] if the session has ended meanwhile,
// [store.ErrTooLarge], or why the result does not encode: these are the handler's to
// answer. Or it is why the store failed: then the response becomes a 503, unless it has begun.
// The value is unchanged, as far as can be known.
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
//
// If this request has loaded no value, there is none, and the store is not asked. Once the
// response has begun it is, by each call, so that a stream finds what has come since.
//
// A prefetch takes the value as any other request does, because it need not be meant
// for a page: it may be the state of a sign-in at a provider. To show something once,
// use [NewFlash], or do not call Take if the request has the header "Sec-Purpose:
// prefetch" (Turbo: X-Sec-Purpose; older browsers: Purpose): nobody sees the response yet.
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

// GetFrom returns the value in the session with the given ID, outside of any request:
// to a job that works for a user, for instance. The ID is [Session].ID, also one that a
// signed-in session had before it was renewed within the last hour, or that a session had
// before [store.Migrate] moved it. ok is false if the value is not there or not a T. It is
// read from the store and no cache, and does not count as use of the session.
//
// A request that begins the session, or calls [Login] or [Renew], knows the ID once its
// response has begun: [Current] tells it after c.Writer.WriteHeaderNow(). Until then the
// ID is empty, or the one before, which does not lead on if it was a visitor's.
//
// The error is [store.ErrEnded] if there is no such session, it has ended or expired;
// or why the store failed.
func (k Key[T]) GetFrom(ctx context.Context, s *store.Store, id string) (v T, ok bool, err error) {
	_, r, err := find(ctx, s, id)
	if err != nil {
		return v, false, fmt.Errorf("sessionkit: reading %q outside of a request: %w", k.name, err)
	}
	text, ok := r.Values[k.name]
	if !ok {
		return v, false, nil
	}
	v, ok = k.codec.Decode(text)
	return v, ok, nil
}

// UpdateIn is [Key.Update] outside of any request: it changes the value in the session
// with the given ID in one step, and the next request sees it. The ID and the use are as
// of [Key.GetFrom], and so is the error, which can also be [store.ErrTooLarge] or why the
// result does not encode. The value is unchanged then, as far as can be known.
//
//	_, err := Notices.UpdateIn(ctx, sessions, order.SessionID, func(all []string) []string {
//		return append(all, "Your order is ready")
//	})
func (k Key[T]) UpdateIn(ctx context.Context, s *store.Store, id string, f func(T) T) (T, error) {
	result, err := k.updateIn(ctx, s, id, f)
	if err != nil {
		var zero T
		return zero, fmt.Errorf("sessionkit: updating %q outside of a request: %w", k.name, err)
	}
	return result, nil
}

func (k Key[T]) updateIn(ctx context.Context, s *store.Store, id string, f func(T) T) (result T, err error) {
	server, _ := kitstore.Of(s)
	for range mostRenewals {
		id, r, err := find(ctx, s, id)
		if err != nil {
			return result, err
		}
		for {
			var v T
			before := r.Values[k.name]
			if before != "" {
				v, _ = k.codec.Decode(before)
			}
			result = f(v)
			text, err := k.codec.Encode(result)
			if err != nil {
				return result, err
			}
			set := map[string]string{k.name: text}
			outcome, err := server.Update(ctx, id, r, store.Change{Set: set, If: &store.Condition{Name: k.name, Text: before}})
			if err != nil || outcome.Changed() {
				return result, err
			}
			if !outcome.Found {
				break // it may have another ID
			}
			if outcome.Text == "" {
				r.Values = value.Apply(r.Values, nil, []string{k.name})
			} else {
				r.Values = value.Apply(r.Values, map[string]string{k.name: outcome.Text}, nil)
			}
		}
	}
	return result, store.ErrEnded
}

// find returns the live session that has an ID, or had it, as it stands in the store.
func find(ctx context.Context, s *store.Store, id string) (now string, r store.Record, err error) {
	server, _ := kitstore.Of(s)
	now, r, found, err := server.Find(ctx, id)
	if err == nil && !found {
		err = store.ErrEnded
	}
	return now, r, err
}
