package codec_test

import (
	"database/sql"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/codec"
	"github.com/gin-sessionkit/sessionkit/internal/value"
)

type (
	userID int64
	name   string
	secret []byte

	// uuid is what the usual packages for UUIDs have.
	uuid [16]byte

	item struct {
		Name     string
		Quantity int
		Price    float64
	}

	order struct {
		ID    userID            `json:"id"`
		Items []item            `json:"items,omitempty"`
		Tags  map[string]string `json:"tags"`
		Lists map[int][]string
		Note  *string
		When  time.Time
		Grid  [2][]int
		Raw   json.RawMessage
		From  netip.Addr
		cache map[string]int
	}

	node struct {
		Name string
		Next *node
	}
)

func (u uuid) MarshalText() ([]byte, error) {
	h := hex.EncodeToString(u[:])
	return []byte(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]), nil
}

func (u *uuid) UnmarshalText(text []byte) error {
	digits := strings.ReplaceAll(string(text), "-", "")
	if len(text) != 36 || len(digits) != 32 {
		return errors.New("not a UUID")
	}
	_, err := hex.Decode(u[:], []byte(digits))
	return err
}

func newCodec[T any](tb testing.TB) *codec.Codec[T] {
	tb.Helper()
	c, reason := codec.New[T]()
	require.NotNil(tb, c, reason)
	return c
}

// check checks that v is stored as text, and read from it and from how a database may
// write it.
func check[T any](t *testing.T, v T, text string, more ...string) {
	t.Helper()
	c := newCodec[T](t)
	got, err := c.Encode(v)
	require.NoError(t, err)
	assert.Equal(t, text, got)
	require.True(t, json.Valid([]byte(got)))
	for _, text := range append(more, text, text) {
		read, ok := c.Decode(text)
		require.True(t, ok, text)
		assert.Equal(t, v, read, text)
	}
	_, err = value.Decode(text)
	require.NoError(t, err, "older versions read it")
}

func TestTexts(t *testing.T) {
	when := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	check(t, "tea", `"tea"`, `["string","dGVh"]`, `"\u0074ea"`)
	check(t, name("tea"), `"tea"`)
	check(t, 42, `42`)
	check(t, true, `true`)
	check(t, false, `false`)
	check(t, int8(-8), `["int8","-8"]`)
	check(t, int16(-8), `["int16","-8"]`)
	check(t, int32(-8), `["int32","-8"]`)
	check(t, int64(math.MinInt64), `["int64","-9223372036854775808"]`, `["int64", "-9223372036854775808"]`, `["int64" ,"-9223372036854775808"] `)
	check(t, userID(7), `["int64","7"]`, `["int64","\u0037"]`)
	check(t, time.Minute, `["int64","60000000000"]`)
	check(t, uint(7), `["uint","7"]`)
	check(t, uint8(7), `["uint8","7"]`)
	check(t, uint16(7), `["uint16","7"]`)
	check(t, uint32(7), `["uint32","7"]`)
	check(t, uint64(math.MaxUint64), `["uint64","18446744073709551615"]`)
	check(t, uintptr(7), `["uintptr","7"]`)
	check(t, float32(0.1), `["float32","0.1"]`)
	check(t, 1.5, `["float64","1.5"]`)
	check(t, math.Inf(-1), `["float64","-Inf"]`)
	check(t, complex64(1i), `["complex64","(0+1i)"]`)
	check(t, complex(1, 2), `["complex128","(1+2i)"]`)
	check(t, when, `["json","2026-01-02T03:04:05.000000006Z"]`, `["json", "2026-01-02T03:04:05.000000006Z"]`, "[\"json\",\t\"2026-01-02T03:04:05.000000006Z\"]", `["time","2026-01-02T03:04:05.000000006Z"]`)
	check(t, time.Time{}, `["json","0001-01-01T00:00:00Z"]`, `["json",null]`)
	check(t, []byte{1, 2}, `["json","AQI="]`, `["bytes","AQI="]`, `["json", "\u0041QI="]`)
	check(t, []byte(nil), `["json",null]`)
	check(t, []byte{}, `["json",""]`)
	check(t, secret{1, 2}, `["json","AQI="]`)
	check(t, uuid{15: 1}, `["json","00000000-0000-0000-0000-000000000001"]`, `["json", "00000000-0000-0000-0000-000000000001"]`)
	check(t, [2]int{1, 2}, `["json",[1,2]]`, `["json", [1, 2]]`)
	check(t, []item{{"tea", 2, 3.5}}, `["json",[{"Name":"tea","Quantity":2,"Price":3.5}]]`)
	check(t, map[string]int{"a": 1}, `["json",{"a":1}]`)
	check(t, item{Name: "\x00"}, `["json64","eyJOYW1lIjoiXHUwMDAwIiwiUXVhbnRpdHkiOjAsIlByaWNlIjowfQ=="]`)
	check(t, *big.NewInt(12), `["json",12]`)
	check(t, item{"tea", 2, 3.5}, `["json",{"Name":"tea","Quantity":2,"Price":3.5}]`, `["any",{"Name":"tea","Price":3.5,"Quantity":2}]`)
	check(t, []string{"\x00"}, `["json64","WyJcdTAwMDAiXQ=="]`, `["any64","WyJcdTAwMDAiXQ=="]`)
	check(t, json.Number("12.50"), `["json",12.50]`, `["json", 12.50]`, `"12.50"`, `["js",12.50]`, `["string","MTIuNTA="]`)
	check[[]string](t, nil, `["json",null]`, `["nil"]`)
	check[[]byte](t, nil, `["json",null]`, `["nil"]`)
	check[map[string]int](t, nil, `["json",null]`, `["nil"]`)
	check[*item](t, nil, `["json",null]`)
	check(t, json.RawMessage("null"), `["json",null]`, `["nil"]`)
	check[any](t, nil, `["json",null]`, `["nil"]`)
	check(t, json.Number(""), `""`)
	check[any](t, int64(7), `["int64","7"]`)
	check[any](t, map[string]any{"a": "b"}, `["json",{"a":"b"}]`)
}

// same checks whether stored texts stand for v.
func same[T any](t *testing.T, want bool, v T, stored ...string) {
	t.Helper()
	c := newCodec[T](t)
	text, err := c.Encode(v)
	require.NoError(t, err)
	for _, stored := range stored {
		assert.Equal(t, want, c.Same(stored, text), "%s and %s", stored, text)
	}
}

// TestSame: the texts of a database, of an earlier version and of a program in JavaScript.
func TestSame(t *testing.T) {
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tea := item{"<tea>", 2, 3.5}
	same(t, true, "tea", `"tea"`, `["string","dGVh"]`, `["js","tea"]`)
	same(t, true, "\u2028", `"\u2028"`, "\"\u2028\"")
	same(t, true, 7, `7`, `["js",7]`, `["js", 7]`)
	same(t, true, true, `true`, `["js",true]`)
	same(t, true, int64(7), `["int64","7"]`, `["int64", "7"]`, `["js",7]`)
	same(t, true, 1e21, `["float64", "1e+21"]`, `["js",1e21]`)
	same(t, true, when, `["json", "2026-01-02T03:04:05Z"]`, `["time","2026-01-02T03:04:05Z"]`, `["js","2026-01-02T03:04:05.000Z"]`)
	same(t, true, tea, `["json", {"Name": "<tea>", "Price": 3.50, "Quantity": 2}]`, `["js",{"Quantity":2,"Price":3.5,"Name":"<tea>"}]`, `["any",{"Name":"<tea>","Price":3.5,"Quantity":2}]`)
	same[any](t, true, nil, `["json",null]`, `["json", null]`, `["nil"]`)
	same[[]string](t, true, nil, `["json", null]`, `["nil"]`)

	same(t, false, "tea", "", `"te"`, `["string","dGU="]`, `["js","te"]`, `7`)
	same(t, false, "\u2028", `"\u2029"`, "\"\u2029\"")
	same(t, false, 7, "", `8`, `["js",8]`, `["js","7"]`, `["int64","7"]`)
	same(t, false, true, `false`, `["js",false]`)
	same(t, false, int64(7), "", `["int64","8"]`, `["int64", "8"]`, `["js",8]`, `7`, `["int64", "x"]`)
	same(t, false, 0.0, `["float64", "-0"]`, `["js",-0]`)
	same(t, false, when, `["json", "2026-01-02T05:04:05+02:00"]`)
	same(t, false, tea, `["json", {"Name": "tea"}]`, `["js",{"Name":"tea"}]`, `["json", {`, `["nil"]`)
}

func refuses[T any](t *testing.T, texts ...string) {
	t.Helper()
	c := newCodec[T](t)
	for _, text := range texts {
		for range 2 {
			v, ok := c.Decode(text)
			assert.False(t, ok, "%T of %q", v, text)
			assert.Zero(t, v)
		}
	}
}

func TestOtherTexts(t *testing.T) {
	refuses[int64](t, "", "7", `["int64"]`, `["int64","x"]`, `["int64","9223372036854775808"]`, `["int32","7"]`, `["int64","7"`, `["int64","7",1]`, `["int64""7"]`)
	refuses[int8](t, `["int8","128"]`)
	refuses[userID](t, `["json",7]`)
	refuses[uint](t, `["uint","-1"]`, `["nil"]`)
	refuses[float64](t, `["float64","1e999"]`)
	refuses[bool](t, "truex", `"true"`, "1")
	refuses[string](t, "7", `"`, `["json","x"]`)
	refuses[time.Time](t, "", `["json","x"]`, `["json",]`, `["json","2026-02-30T00:00:00Z"]`, `["json","2026-01-02T03:04:05Z",1]`, `["int64","7"]`)
	refuses[[]byte](t, `["json","%"]`, `["json",7]`, `"AQI="`)
	refuses[uuid](t, `["json","x"]`, `["json",7]`)
	refuses[json.Number](t, "", "7", `["int64","7"]`, `["json","x"]`, `["js","x"]`, `["nil"]`)
	refuses[item](t, `["nil"]`, `["any",[]]`, `["any",{"Name":1}]`)
	refuses[[]item](t, `["json",[}]`, `["json",[],1]`, `["json",{}]`, `["json",[{"Name":1}]]`, `["json"]`, `"x"`)
}

func TestUnencodable(t *testing.T) {
	_, err := newCodec[time.Time](t).Encode(time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC))
	require.ErrorContains(t, err, "year")
	_, err = newCodec[json.Number](t).Encode("x")
	require.ErrorContains(t, err, "number")
	_, err = newCodec[float64](t).Encode(math.NaN())
	require.NoError(t, err)
	_, err = newCodec[[]float64](t).Encode([]float64{math.NaN()})
	require.Error(t, err)
}

// level writes its name, and nothing reads it.
type level int

func (l level) MarshalText() ([]byte, error) { return []byte([]string{"", "low", "high"}[l]), nil }

// cents writes a number, which encoding/json reads without a method.
type cents int

func (c cents) MarshalJSON() ([]byte, error) { return json.Marshal(int(c)) }

func unreadable[T any](t *testing.T, v T) {
	t.Helper()
	text, err := newCodec[T](t).Encode(v)
	require.ErrorContains(t, err, "codec_test.level writes a form of its own", "%T", v)
	assert.Empty(t, text)
}

// TestWhatCannotBeReadBack fails when it is written.
func TestWhatCannotBeReadBack(t *testing.T) {
	unreadable(t, level(1))
	unreadable(t, []*level{new(level)})
	unreadable(t, map[level]int{1: 2})
	unreadable(t, struct{ Level level }{1})
	type task struct {
		Level level `json:",omitempty"`
		Price cents
		Next  *task
	}
	unreadable(t, task{Next: &task{Level: 2}})
	check(t, task{Price: 3}, `["json",{"Price":3,"Next":null}]`)
	check(t, cents(7), `["json",7]`)
	check(t, map[string]cents{"a": 7}, `["json",{"a":7}]`)
}

// TestMapsOfCommonTypes are neither refused nor in doubt.
func TestMapsOfCommonTypes(t *testing.T) {
	check(t, map[string]time.Time{"a": {}}, `["json",{"a":"0001-01-01T00:00:00Z"}]`)
	check(t, map[uuid]uuid{{}: {}}, `["json",{"00000000-0000-0000-0000-000000000000":"00000000-0000-0000-0000-000000000000"}]`)
	check(t, map[netip.Addr]netip.Addr{netip.IPv6Unspecified(): netip.IPv6Unspecified()}, `["json",{"::":"::"}]`)
	check(t, map[string]json.RawMessage{"a": json.RawMessage("1")}, `["json",{"a":1}]`)
	check(t, map[string]json.Number{"a": "1"}, `["json",{"a":1}]`)
	check(t, map[string]sql.NullString{"a": {}}, `["json",{"a":{"String":"","Valid":false}}]`)
	check(t, map[string]url.Values{"a": {"b": {"c"}}}, `["json",{"a":{"b":["c"]}}]`)
	check(t, map[string]*big.Int{"a": big.NewInt(1)}, `["json",{"a":1}]`)
	check(t, map[string]checked{"a": {N: 1}}, `["json",{"a":{"N":1}}]`)
}

// checked is written as JSON would by itself, which it then checks.
type checked struct{ N int }

func (c *checked) MarshalJSON() ([]byte, error) { return json.Marshal(*c) }

func (c *checked) UnmarshalJSON(text []byte) error {
	type plain checked
	if err := json.Unmarshal(text, (*plain)(c)); err != nil {
		return err
	}
	if c.N < 0 {
		return errors.New("it is negative")
	}
	return nil
}

func TestWhatIsRemembered(t *testing.T) {
	assert.True(t, codec.Remembers[uuid]())
	assert.True(t, codec.Remembers[[]item]())
	assert.True(t, codec.Remembers[map[string][]item]())
	assert.True(t, codec.Remembers[order]())
	assert.True(t, codec.Remembers[struct{ item }](), "an embedded type whose copy is an assignment")
	assert.False(t, codec.Remembers[struct{ order }](), "reflection cannot set the fields of what is embedded")
	assert.False(t, codec.Remembers[node](), "it contains itself")
	assert.False(t, codec.Remembers[big.Int](), "its method has put something there")
	assert.False(t, codec.Remembers[struct{ V any }](), "it may hold anything")
	assert.False(t, codec.Remembers[map[netip.Addr]int]())
}

// change changes all that it can reach.
func change(v reflect.Value) {
	switch v.Kind() { //nolint:exhaustive // the others of the test
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			change(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			elem := reflect.New(v.Type().Elem()).Elem()
			elem.Set(v.MapIndex(key))
			change(elem)
			v.SetMapIndex(key, elem)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			change(v.Elem())
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			if field.CanSet() && v.Type() != reflect.TypeFor[time.Time]() {
				change(field)
			}
		}
	case reflect.String:
		v.SetString("changed")
	case reflect.Int, reflect.Int64:
		v.SetInt(-1)
	case reflect.Uint8:
		v.SetUint(255)
	case reflect.Float64:
		v.SetFloat(-1)
	}
}

func newOrder(i int) order {
	note := fmt.Sprint("note ", i)
	return order{
		ID: userID(i), Items: []item{{"tea", i, 3.5}, {"milk", 1, 1}}, Tags: map[string]string{"a": "b"}, Lists: map[int][]string{1: {"x", "y"}, 2: nil},
		Note: &note, When: time.Unix(int64(i), 0).UTC(), Grid: [2][]int{{1, 2}, {}}, Raw: json.RawMessage(`{"a":1}`), From: netip.MustParseAddr("192.0.2.1"),
	}
}

// TestCopiesAreTheCallers changes every value that is read, by many readers at a time.
func TestCopiesAreTheCallers(t *testing.T) {
	c := newCodec[order](t)
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 200 {
				want := newOrder((i + g) % 20)
				text, err := c.Encode(want)
				assert.NoError(t, err)
				got, ok := c.Decode(text)
				assert.True(t, ok)
				if !assert.Equal(t, want, got) {
					return
				}
				change(reflect.ValueOf(&got).Elem())
				got.Items = append(got.Items[:1], item{"sugar", 1, 1})
				got.Tags["c"], got.cache = "d", map[string]int{"e": 1}
			}
		})
	}
	group.Wait()
	entries, bytes := codec.Remembered(c)
	assert.Positive(t, entries)
	assert.Positive(t, bytes)
}

// prefs is a type that gob decodes into something that no copier sees.
type prefs struct {
	Theme string
	seen  map[string]int
}

func (p prefs) GobEncode() ([]byte, error) { return json.Marshal(p.seen) }

func (p *prefs) GobDecode(b []byte) error { return json.Unmarshal(b, &p.seen) }

// TestGobIsNotRemembered: what a method of the type has hidden in a value is the reader's
// own, too.
func TestGobIsNotRemembered(t *testing.T) {
	gob.Register(prefs{})
	c := newCodec[prefs](t)
	text, err := value.Encode(prefs{seen: map[string]int{"home": 1}})
	require.NoError(t, err)
	for range 3 {
		got, ok := c.Decode(text)
		require.True(t, ok)
		assert.Equal(t, map[string]int{"home": 1}, got.seen)
		got.seen["changed"] = 1
	}
	_, ok := c.Decode(`["json",{"Theme":"dark"}]`)
	require.True(t, ok)
	entries, _ := codec.Remembered(c)
	assert.Equal(t, 1, entries, "the JSON")
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	c := newCodec[[]string](t)
	text := func(i, n int) string {
		s, err := c.Encode([]string{fmt.Sprint(i), strings.Repeat("x", n)})
		require.NoError(t, err)
		return s
	}
	_, ok := c.Decode(text(0, codec.MemoBytes))
	require.True(t, ok)
	entries, _ := codec.Remembered(c)
	assert.Zero(t, entries, "too large to be remembered")
	for i := range 4 * codec.MemoSlots {
		_, ok := c.Decode(text(i, 8))
		require.True(t, ok)
	}
	entries, bytes := codec.Remembered(c)
	assert.LessOrEqual(t, entries, codec.MemoSlots)
	assert.LessOrEqual(t, bytes, int64(codec.MemoBytes))
	for i := range 4 * codec.MemoSlots {
		_, ok := c.Decode(text(i, 8<<10))
		require.True(t, ok)
		_, bytes = codec.Remembered(c)
		require.LessOrEqual(t, bytes, int64(codec.MemoBytes))
	}
	many := newCodec[[]struct{ A [512]int }](t)
	_, ok = many.Decode(`["json",[` + strings.Repeat(`{},`, 1000) + `{}]]`)
	require.True(t, ok)
	entries, _ = codec.Remembered(many)
	assert.Zero(t, entries, "a short text of a large value")
}

var fuzzSeeds = []string{
	`["json",{"id":7,"items":[{"Name":"tea","Quantity":2,"Price":3.5},{"name":"milk"}],"tags":{"a":"b"},"Lists":{"1":["x"],"2":null},"Note":"n","Grid":[[1],[2]]}]`,
	`["json",{"Raw":{"a":[1, 2]},"From":"192.0.2.1","When":"2026-01-02T03:04:05Z"}]`, `["json",null]`, `["json",[]]`, `["json",{}]`, `["json", {"tags":{}}]`,
	`["json",{"Note":null,"Grid":[[],[1,2],[3]]}]`, `["json64","e30="]`, `["json",{"id":1,"id":2}]`, `["json",{"items":[{"Name":"\ud800"}]}]`,
	`["json","2026-01-02T03:04:05.5+02:00"]`, `["json","AQI="]`, `["json","00000000-0000-0000-0000-000000000001"]`, `["json",[{"Name":"tea"}]]`,
	`["nil"]`, `["int64","7"]`, `["int64", "7"]`, `["bytes","AQI="]`, `["time","2026-01-02T03:04:05Z"]`, `["json","\u0041QI="]`, `["json",1],`, `["json",[1,2]]`, "7", `"x"`, "",
}

func TestFuzzSeeds(t *testing.T) { assert.NotEmpty(t, fuzzSeeds) }

// FuzzDecode compares what is read with what encoding/json makes of the same text, once
// more when it is remembered and a reader has changed its copy.
func FuzzDecode(f *testing.F) {
	for _, text := range fuzzSeeds {
		f.Add(text)
	}
	checks := []func(*testing.T, string){
		sameAsJSON(newCodec[order](f)), sameAsJSON(newCodec[[]item](f)), sameAsJSON(newCodec[time.Time](f)), sameAsJSON(newCodec[[]byte](f)),
		sameAsJSON(newCodec[uuid](f)), sameAsJSON(newCodec[int64](f)), sameAsJSON(newCodec[map[string]*[]int](f)), sameAsJSON(newCodec[name](f)), sameAsJSON(newCodec[map[string]string](f)), sameAsJSON(newCodec[struct{ M map[string]int }](f)),
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, check := range checks {
			check(t, text)
		}
	})
}

func sameAsJSON[T any](c *codec.Codec[T]) func(*testing.T, string) {
	return func(t *testing.T, text string) {
		want, ok := plainly[T](text)
		for range 3 {
			got, found := c.Decode(text)
			require.Equal(t, ok, found, "%T of %q", got, text)
			require.Equal(t, want, got, "%q", text)
			if found {
				change(reflect.ValueOf(&got).Elem())
			}
		}
		if ok {
			again, err := c.Encode(want)
			require.NoError(t, err)
			_, ok = plainly[T](again)
			require.True(t, ok, "%q", again)
		}
	}
}

// plainly reads a text in the plain way.
func plainly[T any](text string) (v T, ok bool) {
	if value.IsJS(text) { // of a program whose types are not Go's
		raw, isJS := value.JS(text)
		if !isJS || raw == "null" || json.Unmarshal([]byte(raw), &v) != nil {
			var zero T
			return zero, false
		}
		return v, true
	}
	stored, err := value.Decode(text)
	if err != nil {
		return v, false
	}
	t := reflect.TypeFor[T]()
	if kind := t.Kind(); stored == nil && (kind == reflect.Slice || kind == reflect.Map) {
		return v, true
	}
	j, isJSON := stored.(value.JSON)
	switch basic := t.Kind() == reflect.String || t.Kind() == reflect.Int64; {
	case isJSON && !basic:
		if json.Unmarshal([]byte(j), &v) != nil {
			var zero T
			return zero, false
		}
		return v, true
	case basic && !isJSON && stored != nil && reflect.TypeOf(stored).Kind() == t.Kind():
		return reflect.ValueOf(stored).Convert(t).Interface().(T), true
	}
	v, ok = stored.(T)
	return v, ok
}
