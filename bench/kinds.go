package main

import (
	"encoding/gob"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/session"
	"github.com/google/uuid"

	"github.com/gin-sessionkit/sessionkit"
)

// A kind is a type of value that applications keep. Its handlers start a session of the
// five small values and one of this type, and read or write that one. Every peer keeps it
// as its documentation shows: the libraries that encode with gob are told of the type.
type kind interface {
	content() content
	gin(r *gin.Engine)
	kit(r *gin.Engine)
	scs(manager *scs.SessionManager, handle func(route, http.HandlerFunc))
	fiber(a *fiber.App)
}

// An item is a line of a shopping cart.
type item struct {
	Name            string
	Quantity, Price int
}

// kinds are all of them.
var kinds = []kind{
	newKind("int", func(n int64) int { return 1000 + int(n) }, strconv.Itoa),
	newKind("int64", func(n int64) int64 { return 1<<40 + n }, func(v int64) string { return strconv.FormatInt(v, 10) }),
	newKind("uint", func(n int64) uint { return 1000 + uint(n) }, func(v uint) string { return strconv.FormatUint(uint64(v), 10) }), // #nosec G115 -- a count
	newKind("float64", func(n int64) float64 { return float64(n) + 0.5 }, func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }),
	newKind("bool", func(n int64) bool { return n%2 == 1 }, strconv.FormatBool),
	newKind("time.Time", func(n int64) time.Time { return time.Unix(1_700_000_000+n, 123456789).UTC() }, func(v time.Time) string { return strconv.FormatInt(v.UnixNano(), 10) }),
	newKind("UUID", func(n int64) uuid.UUID { return uuid.UUID{6: 0x40, 8: 0x80, 14: byte(n >> 8), 15: byte(n)} }, func(v uuid.UUID) string { // #nosec G115 -- its last bytes
		return strconv.Itoa(int(v[14])<<8 | int(v[15]))
	}),
	newKind("struct", func(n int64) item { return itemOf(0, n) }, item.tell),
	newKind("list of 20 structs", listOf, func(v []item) string {
		return strconv.Itoa(len(v)) + " " + v[len(v)-1].tell()
	}),
	newKind("map", func(n int64) map[string]string {
		return map[string]string{"size": sizeNames[n%int64(len(sizeNames))], "color": "green", "gift": "no", "country": "NL"}
	}, func(v map[string]string) string { return v["size"] + v["country"] }),
}

var (
	itemNames = [...]string{"green tea", "whole milk", "brown sugar", "rye bread", "salted butter"}
	sizeNames = [...]string{"S", "M", "L", "XL"}
)

func itemOf(i int, n int64) item {
	return item{itemNames[i%len(itemNames)], i + 1, int(n)}
}

func listOf(n int64) []item {
	list := make([]item, 20)
	for i := range list {
		list[i] = itemOf(i, n)
	}
	return list
}

func (i item) tell() string {
	return i.Name + " " + strconv.Itoa(i.Quantity) + " " + strconv.Itoa(i.Price)
}

func init() { //nolint:gochecknoinits // as the documentations of gorilla and scs have it
	for _, v := range []any{time.Time{}, uuid.UUID{}, item{}, []item(nil), map[string]string(nil)} {
		gob.Register(v)
	}
}

// valueKey is the name of the value.
const valueKey = "value"

// kindOf is a [kind] of type T. A write makes the nth value; tell is what proves which
// one was read or written.
type kindOf[T any] struct {
	holds   content
	nth     func(n int64) T
	tell    func(T) string
	written *atomic.Int64
	key     sessionkit.Key[T]
}

func newKind[T any](name content, nth func(int64) T, tell func(T) string) kind {
	k := kindOf[T]{name, nth, tell, new(atomic.Int64), sessionkit.NewKey[T](valueKey)}
	k.written.Store(1) // which every session starts with
	return k
}

func (k kindOf[T]) content() content { return k.holds }

func (k kindOf[T]) next() T { return k.nth(k.written.Add(1)) }

func (k kindOf[T]) answer(name string, v T, ok bool) string {
	if name == "" || !ok {
		return saidNone
	}
	return name + " " + k.tell(v)
}

func (k kindOf[T]) gin(r *gin.Engine) {
	r.POST(routes[k.holds.of(routeStartSmall)].path, func(c *gin.Context) {
		session := sessions.Default(c)
		ginStart(session)
		session.Set(valueKey, k.nth(1))
		ginSave(c, k.answer(valueName, k.nth(1), true))
	})
	r.GET(routes[k.holds.of(routeReadSmall)].path, func(c *gin.Context) {
		session := sessions.Default(c)
		name, _ := session.Get("name").(string)
		v, ok := session.Get(valueKey).(T)
		ginText(c, k.answer(name, v, ok))
	})
	r.POST(routes[k.holds.of(routeWriteSmall)].path, func(c *gin.Context) {
		v := k.next()
		sessions.Default(c).Set(valueKey, v)
		ginSave(c, k.answer(valueName, v, true))
	})
}

func (k kindOf[T]) kit(r *gin.Engine) {
	r.POST(routes[k.holds.of(routeStartSmall)].path, func(c *gin.Context) {
		kitStart(c)
		k.key.Set(c, k.nth(1))
		ginText(c, k.answer(valueName, k.nth(1), true))
	})
	r.GET(routes[k.holds.of(routeReadSmall)].path, func(c *gin.Context) {
		name, _ := keyName.Get(c)
		v, ok := k.key.Get(c)
		ginText(c, k.answer(name, v, ok))
	})
	r.POST(routes[k.holds.of(routeWriteSmall)].path, func(c *gin.Context) {
		v := k.next()
		k.key.Set(c, v)
		ginText(c, k.answer(valueName, v, true))
	})
}

func (k kindOf[T]) scs(manager *scs.SessionManager, handle func(route, http.HandlerFunc)) {
	handle(k.holds.of(routeStartSmall), func(w http.ResponseWriter, r *http.Request) {
		scsStart(manager, r)
		manager.Put(r.Context(), valueKey, k.nth(1))
		httpText(w, k.answer(valueName, k.nth(1), true))
	})
	handle(k.holds.of(routeReadSmall), func(w http.ResponseWriter, r *http.Request) {
		v, ok := manager.Get(r.Context(), valueKey).(T)
		httpText(w, k.answer(manager.GetString(r.Context(), "name"), v, ok))
	})
	handle(k.holds.of(routeWriteSmall), func(w http.ResponseWriter, r *http.Request) {
		v := k.next()
		manager.Put(r.Context(), valueKey, v)
		httpText(w, k.answer(valueName, v, true))
	})
}

func (k kindOf[T]) fiber(a *fiber.App) {
	a.Post(routes[k.holds.of(routeStartSmall)].path, func(c fiber.Ctx) error {
		s := session.FromContext(c)
		fiberStart(s)
		s.Set(valueKey, k.nth(1))
		return c.SendString(k.answer(valueName, k.nth(1), true))
	})
	a.Get(routes[k.holds.of(routeReadSmall)].path, func(c fiber.Ctx) error {
		s := session.FromContext(c)
		name, _ := s.Get("name").(string)
		v, ok := s.Get(valueKey).(T)
		return c.SendString(k.answer(name, v, ok))
	})
	a.Post(routes[k.holds.of(routeWriteSmall)].path, func(c fiber.Ctx) error {
		v := k.next()
		session.FromContext(c).Set(valueKey, v)
		return c.SendString(k.answer(valueName, v, true))
	})
}
