package sessionkit

import (
	"crypto/rand"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/codec"
	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// Level is the severity of a flash message.
type Level string

// The levels. Any other text is fine too.
const (
	Info    Level = "info"
	Success Level = "success"
	Warning Level = "warning"
	Error   Level = "error"
)

// FlashMessage is a message that is shown once.
type FlashMessage struct {
	Level Level  `json:"level"`
	Text  string `json:"text"`
}

// flashes is what one request knows of flash messages beside the stored ones.
type flashes struct {
	now  []FlashMessage // for this request only
	read readFlashes    // are gone unless kept
	at   time.Time      // when the first of them was read: those that are added later are newer
	n    int            // makes names unique, and keeps the order of those of one time

	kept    []string // the names of what KeepFlashes has left, for whoever the session was
	bounded []string // the prefixes of those of which old ones have made room
}

// readFlashes are the messages that a request has read, and how they stood in the session.
type readFlashes struct {
	messages []FlashMessage
	texts    map[string]string // by name
	gin      []any             // were left with AddFlash
}

func (r *readFlashes) add(messages []FlashMessage, texts map[string]string) {
	r.messages = append(r.messages, messages...)
	if r.texts == nil {
		r.texts = texts
	} else {
		maps.Copy(r.texts, texts)
	}
}

// keeps reports whether a message is one that [KeepFlashes] has left.
func (q *request) keeps(name string) bool {
	return q.flashes != nil && slices.Contains(q.flashes.kept, name)
}

// ownFlashes returns the request's flashes. Most requests have none.
func (q *request) ownFlashes() *flashes {
	if q.flashes == nil {
		q.flashes = new(flashes)
	}
	return q.flashes
}

// Every message is a value of its own, so that requests that run at the same time
// lose none of each other's. The names sort by age.
const (
	flashPrefix  = value.OwnPrefix + "flash:"
	latestPrefix = value.OwnPrefix + "latest_flash:"
)

// isFlash reports whether a value of that name is a flash, or says that there are some.
func isFlash(name string) bool {
	return strings.HasPrefix(name, flashPrefix) || strings.HasPrefix(name, latestPrefix)
}

// messages is the key of flash messages among those of typed flashes, whose names
// are never empty.
var messages = newFlashKey("", newCodec[FlashMessage]("NewFlash", ""))

// mostFlashes is how many flashes of a key a session keeps when a request adds one, and
// mostBytes how much of the messages in a store of gin-contrib: most of those refuse a session
// of more than 4096 bytes, encoded twice.
const (
	mostFlashes = 100
	mostBytes   = 1 << 10
)

// Flash leaves a message for the next request that reads it. It survives any
// number of redirects until then. If nobody reads them, the latest 100 stay, over a store
// of gin-contrib the latest 1 KiB: a request that leaves a message drops older ones, but
// none of its own. One that is left once the response has begun, as in a stream, is saved when
// the handler returns.
func Flash(c *gin.Context, level Level, text string) {
	messages.Add(c, FlashMessage{level, text})
}

// FlashNow leaves a message for this request only: the next call of [Flashes]
// returns it, and nothing is stored.
func FlashNow(c *gin.Context, level Level, text string) {
	q := requestOf(c, "FlashNow")
	q.lock()
	defer q.unlock(c)
	f := q.ownFlashes()
	f.now = append(f.now, FlashMessage{level, text})
}

// Flashes returns the messages, oldest first and those of [FlashNow] last, and
// consumes them. They are removed when the response goes out, so each is shown at
// least once: requests at the same time may both show it, but none is lost because the
// handler panics, the status is 500 or more, the session cannot be saved, or the client went
// away before the response, unless the same request has left it. A prefetch or a HEAD request
// gets none, as nobody sees the response. If there are none, nothing changes, and what it
// returns is nil. Texts that were left with AddFlash of gin-contrib/sessions are among them,
// as Info, but for those under a key of their own.
//
// Call it where the page is rendered. Of another response, nobody can tell that it shows none of
// them: before a redirect call [KeepFlashes]. If c.HTML does not find its template, Gin sends an
// empty page with the status 200, and the messages are lost, unless a middleware behind [Sessions]
// answers what is in c.Errors by a status of 500.
func Flashes(c *gin.Context) []FlashMessage {
	q := requestOf(c, "Flashes")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	var stored []FlashMessage
	var texts map[string]string
	if !q.unseen() {
		texts = q.session.WithPrefix(messages.prefix)
		q.removeAll(texts)
		stored = append(q.takeGinFlashes(), messages.decode(texts)...)
	}
	if q.flashes == nil && len(stored) == 0 {
		return nil
	}
	f := q.ownFlashes()
	if len(f.read.messages) == 0 {
		f.at = time.Now()
	}
	f.read.add(stored, texts)
	now := f.now
	f.now = nil
	return append(stored, now...)
}

// KeepFlashes leaves the stored messages that this request has read with [Flashes]
// for one more request. Those of [FlashNow] are not stored, so they are not kept.
func KeepFlashes(c *gin.Context) {
	q := requestOf(c, "KeepFlashes")
	q.lock()
	defer q.unlock(c)
	if q.flashes == nil {
		return
	}
	for _, m := range q.flashes.read.messages {
		if name := messages.add(q, m, q.flashes.at); name != "" {
			q.flashes.kept = append(q.flashes.kept, name)
		}
	}
	q.flashes.read = readFlashes{}
}

// unreadFlashes has the messages that were there before this request stay as they are, so that
// another one that reads them at the same time still consumes them.
func (q *request) unreadFlashes() {
	read := q.flashes.read
	q.session.Undrop(read.texts)
	for _, name := range q.flashes.kept {
		if text, ok := read.texts[name]; ok {
			q.put(name, text)
		}
	}
	if slices.Contains(q.flashes.bounded, messages.prefix) {
		messages.dropOldest(q) // with those of this request they may be too many
	}
	if len(read.gin) > 0 {
		q.putGinFlashes(append(read.gin, q.ginFlashes()...))
	}
	q.flashes.read = readFlashes{}
}

// ginFlashes is where gin-contrib/sessions keeps what AddFlash is given.
const ginFlashes = "_flash"

func (q *request) ginFlashes() []any {
	var flashes any
	if q.view != nil {
		flashes = q.view.Values[ginFlashes]
	} else if text, ok := q.session.Text(ginFlashes); ok {
		flashes, _ = value.Decode(text) // what does not decode is not text either
	}
	list, _ := flashes.([]any)
	return list
}

// takeGinFlashes takes the texts left with gin-contrib's AddFlash. What is not
// text stays for whoever understands it.
func (q *request) takeGinFlashes() []FlashMessage {
	var taken []FlashMessage
	var left []any
	var texts []any
	for _, item := range q.ginFlashes() {
		if text, ok := item.(string); ok {
			taken, texts = append(taken, FlashMessage{Info, text}), append(texts, item)
		} else {
			left = append(left, item)
		}
	}
	if len(taken) > 0 {
		q.putGinFlashes(left)
	}
	if before, _ := q.session.StoredText(ginFlashes); before != "" && len(taken) > 0 {
		q.ownFlashes().read.gin = append(q.ownFlashes().read.gin, texts...)
	}
	return taken
}

func (q *request) putGinFlashes(left []any) {
	switch {
	case q.view != nil && len(left) > 0:
		q.view.Values[ginFlashes] = left
	case q.view != nil:
		delete(q.view.Values, ginFlashes)
	case len(left) > 0:
		if text, err := value.Encode(left); err == nil { // it was decoded from such a text
			q.put(ginFlashes, text)
		}
	default:
		q.remove(ginFlashes)
	}
}

// FlashKey is the name of typed flashes: values of any type that are read once.
// Make it once, at package level, with [NewFlash].
type FlashKey[T any] struct {
	name   string
	prefix string // begins the names of its flashes
	latest string // is the name of a value that changes with each of them, by which [FlashKey.Take] is one step; "": it is not one
	codec  *codec.Codec[T]
}

// NewFlash returns the key of typed flashes. It panics where [NewKey] would.
func NewFlash[T any](name string) FlashKey[T] {
	k := newFlashKey(checkName("NewFlash", name), newCodec[T]("NewFlash", name))
	k.latest = latestPrefix + name
	return k
}

// newFlashKey has the name's length come first, so that no name is the beginning
// of another.
func newFlashKey[T any](name string, c *codec.Codec[T]) FlashKey[T] {
	return FlashKey[T]{name: name, prefix: fmt.Sprintf("%s%d:%s:", flashPrefix, len(name), name), codec: c}
}

// Add leaves a value for the next request that takes it. If nobody takes them, the latest 100
// of the key stay: a request that leaves one drops older ones, but none of its own. If v does
// not encode, the response becomes a 503.
func (k FlashKey[T]) Add(c *gin.Context, v T) {
	q := requestOf(c, "FlashKey.Add")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	k.add(q, v, time.Now())
}

// add returns the name of the value, "" if v does not encode.
func (k FlashKey[T]) add(q *request, v T, at time.Time) (name string) {
	text, err := k.codec.Encode(v)
	if err != nil {
		q.refuse(fmt.Errorf("sessionkit: storing a flash %q: %w", k.name, err))
		return ""
	}
	f := q.ownFlashes()
	if !slices.Contains(f.bounded, k.prefix) {
		k.dropOldest(q)
		f.bounded = append(f.bounded, k.prefix)
	}
	f.n++
	random := rand.Text()
	name = fmt.Sprintf("%s%020d.%04d.%s", k.prefix, at.UnixNano(), f.n, random[:6])
	q.put(name, text)
	if k.latest != "" {
		q.put(k.latest, `"`+random+`"`)
	}
	return name
}

// dropOldest drops flashes of earlier requests: where nobody takes them, the session
// would grow until nothing can be saved any more.
func (k FlashKey[T]) dropOldest(q *request) {
	most := math.MaxInt
	if k.latest == "" && q.kit.directory == nil && q.kit.site.Shared == nil {
		most = mostBytes
	}
	texts := q.session.WithPrefix(k.prefix)
	n, size := 0, 0
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(texts))) {
		n, size = n+1, size+len(name)+len(texts[name])
		if n < mostFlashes && size <= most {
			delete(texts, name)
		}
	}
	q.removeAll(texts)
}

// Take returns the values, oldest first, and consumes them, in one step: of requests
// that take at the same time one gets them. One that is not a T is left out. If there
// are none, or the store fails, nothing changes. As of [Flashes], a prefetch or a HEAD request
// gets none. In a stream it finds what has come since the request began, as [Key.Take] does.
func (k FlashKey[T]) Take(c *gin.Context) []T {
	q := requestOf(c, "FlashKey.Take")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	if q.unseen() {
		return nil
	}
	return k.decode(q.takeValues(k.prefix, k.latest))
}

func (k FlashKey[T]) decode(texts map[string]string) []T {
	var found []T
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if v, ok := k.codec.Decode(texts[name]); ok {
			found = append(found, v)
		}
	}
	return found
}

// removeAll drops values that are there.
func (q *request) removeAll(texts map[string]string) {
	if q.session.RemoveAll(texts); len(texts) > 0 {
		q.changed()
	}
}
