package value_test

import (
	"encoding/gob"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/alloctest"
	"github.com/gin-sessionkit/sessionkit/internal/value"
)

type point struct{ X, Y int }

// texts are values and the texts that stores keep of them. A text must never
// change its meaning: sessions outlive a deployment.
var texts = []struct {
	v    any
	text string
}{
	{"tea", `"tea"`},
	{"", `""`},
	{`"\`, `"\"\\"`},
	{"日本", `"日本"`},
	{"<&>\n", `"<&>\n"`},
	{"\x00", `["string","AA=="]`},
	{"\xff", `["string","/w=="]`},
	{true, `true`},
	{false, `false`},
	{0, `0`},
	{-42, `-42`},
	{math.MinInt, `-9223372036854775808`},
	{int8(-1), `["int8","-1"]`},
	{int64(7), `["int64","7"]`},
	{uint64(math.MaxUint64), `["uint64","18446744073709551615"]`},
	{1.5, `["float64","1.5"]`},
	{float32(0.1), `["float32","0.1"]`},
	{math.Inf(-1), `["float64","-Inf"]`},
	{complex(1, 2), `["complex128","(1+2i)"]`},
	{complex64(1i), `["complex64","(0+1i)"]`},
	{[]byte{1, 2}, `["bytes","AQI="]`},
	{time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), `["time","2026-01-02T03:04:05.000000006Z"]`},
	{nil, `["nil"]`},
	{value.JSON(`{"a":1}`), `["json",{"a":1}]`},
	{value.JSON(`"\u0000"`), `["json64","Ilx1MDAwMCI="]`},
	{map[string]any{}, `["any",{}]`},
	{map[string]any{"tea": 2.0, "a": nil, "b": []any{}}, `["any",{"a":null,"b":[],"tea":2}]`},
	{map[string]any{"": map[string]any{"<": []any{true, nil, "日本", -0.5, 1e300}}}, `["any",{"":{"\u003c":[true,null,"日本",-0.5,1e+300]}}]`},
	{map[string]any{"\x00": `\`}, `["any64","eyJcdTAwMDAiOiJcXCJ9"]`},
	{[]any{map[string]any{}}, `["any",[{}]]`},
	{[]any{map[string]any{"name": "tea"}, []any{nil, "\x00"}}, `["any64","W3sibmFtZSI6InRlYSJ9LFtudWxsLCJcdTAwMDAiXV0="]`},
}

func TestTexts(t *testing.T) {
	for _, test := range texts {
		text, err := value.Encode(test.v)
		require.NoError(t, err)
		assert.Equal(t, test.text, text)
		assert.True(t, json.Valid([]byte(text)))
		got, err := value.Decode(text)
		require.NoError(t, err, text)
		assert.Equal(t, test.v, got)
		assert.True(t, value.Equal(text, test.v), text)
		assert.False(t, value.Equal(text, struct{}{}), text)
	}
}

// jsTexts are texts of a program in JavaScript, and how sessions.Default(c) has them.
var jsTexts = []struct {
	raw string
	v   any
}{
	{`"tea"`, "tea"},
	{`""`, ""},
	{`"2026-01-02T03:04:05.006Z"`, "2026-01-02T03:04:05.006Z"},
	{`7`, 7},
	{`-7`, -7},
	{`-0`, math.Copysign(0, -1)},
	{`7.5`, 7.5},
	{`1e21`, 1e21},
	{`true`, true},
	{`false`, false},
	{`null`, nil},
	{`[]`, value.JSON(`[]`)},
	{`["js",1]`, value.JSON(`["js",1]`)},
	{`{"a":[1, null]}`, value.JSON(`{"a":[1, null]}`)},
	{`"\u0000"`, "\x00"},
	{`["\u0000"]`, value.JSON(`["\u0000"]`)},
}

func TestJSTexts(t *testing.T) {
	for _, test := range jsTexts {
		text := value.EncodeJS(test.raw)
		assert.True(t, json.Valid([]byte(text)))
		assert.NotContains(t, text, `\u0000`)
		got, err := value.Decode(text)
		require.NoError(t, err, text)
		assert.Equal(t, test.v, got)
		assert.True(t, value.Equal(text, test.v), text)
		assert.True(t, value.Equal(strings.Replace(text, ",", ", ", 1), test.v), text)
		if raw, ok := value.JS(text); ok {
			assert.Equal(t, test.raw, raw)
		}
	}
	raw, ok := value.JS(`["js", {"a": 1} ]`)
	assert.True(t, ok)
	assert.Equal(t, `{"a": 1}`, raw)
	for _, text := range []string{`["json",1]`, `"js"`, `7`, `["js"]`, `["js",1,2]`, `["js64","x"]`, `["js64",""]`, `["js64","eA=="]`, ``} {
		if raw, ok := value.JS(text); ok {
			assert.False(t, json.Valid([]byte(raw)), text)
		}
	}
}

// TestEqualTimes: a time is the same in the same zone, however that is named.
func TestEqualTimes(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	text, err := value.Encode(at)
	require.NoError(t, err)
	now := time.Now() // with a reading of the monotonic clock
	textOfNow, err := value.Encode(now)
	require.NoError(t, err)
	assert.True(t, value.Equal(text, at.In(time.FixedZone("GMT", 0))))
	assert.True(t, value.Equal(`["time", "2026-01-02T03:04:05.000000006Z"]`, at))
	assert.True(t, value.Equal(textOfNow, now))
	assert.False(t, value.Equal(text, at.In(time.FixedZone("", 7200))))
	assert.False(t, value.Equal(text, at.Add(1)))
}

func TestSpacedTexts(t *testing.T) {
	for text, want := range map[string]any{
		`["string", "AA=="]`: "\x00", ` `: nil, `["int64", "7"]`: int64(7), `["json", {"a": 1}]`: value.JSON(`{"a": 1}`), `["nil" ]`: nil,
	} {
		got, err := value.Decode(text)
		if text == " " {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err, "databases put spaces where they like: %s", text)
		assert.Equal(t, want, got)
	}
}

var malformed = []string{
	"", " ", "x", `"`, `"a`, `"\x"`, "null", "{}", `{"a":1}`, "[]", "[", `[1]`, `["json"]`, `["json",`, `["json",1,2]`, `["nope","x"]`,
	`["int8","300"]`, `["int64",7]`, `["uint8","-1"]`, `["float64","x"]`, `["time","x"]`, `["bytes","%"]`, `["gob","AA=="]`, `["gob","/A000000"]`, `["json64","eA=="]`,
	`["float64","1e999"]`, `["float32","1e99"]`, `["complex64","(1e99+1i)"]`, `["js"]`, `["js",1e999]`, `["js",`, `["js",x]`, `["js",1,2]`, `["any"]`, `["any",1]`, `["any",null]`, `["any","x"]`, `["any",[1e999]]`, `["any",{}, 1]`, `["any64","eA=="]`, `["any64","MQ=="]`, `["any64",[]]`, `["time","2026-02-30T00:00:00Z"]`, "1.5", "1e3", "+1", "99999999999999999999", "truex", "\"\x01\"", `["nil","x"]`,
}

func TestMalformedTexts(t *testing.T) {
	for _, text := range malformed {
		v, err := value.Decode(text)
		require.Error(t, err, "%q", text)
		assert.Nil(t, v, "%q", text)
		assert.False(t, value.Equal(text, "x"))
	}
}

func TestGob(t *testing.T) {
	_, err := value.Encode(point{1, 2})
	require.ErrorContains(t, err, "gob.Register")
	gob.Register(point{})
	for _, v := range []any{point{1, 2}, []string{"a"}, []any{"a", 1}, []int{1}} {
		text, err := value.Encode(v)
		require.NoError(t, err)
		got, err := value.Decode(text)
		require.NoError(t, err)
		assert.Equal(t, v, got)
		assert.True(t, value.Equal(text, v))
		assert.True(t, value.IsGob(text))
		assert.True(t, value.IsGob(strings.Replace(text, "gob", `\u0067\u006fb`, 1)))
		assert.True(t, value.IsGob(strings.Replace(text, `["gob",`, "[\n\"gob\" , ", 1)))
	}
	for _, text := range []string{``, `"gob"`, `[]`, `["json",["gob",""]]`, `["js",["gob",""]]`, `[["gob"],""]`, `{"gob":""}`, `["go\u0000b",""]`} {
		assert.False(t, value.IsGob(text), text)
	}
	_, err = value.Encode(func() {})
	require.Error(t, err)
	_, err = value.Encode(value.JSON("{"))
	require.Error(t, err)
}

// TestRegisteredMap runs in a process of its own, as nothing takes back what is given to gob.
func TestRegisteredMap(t *testing.T) {
	const registers = "SESSIONKIT_REGISTERS_MAPS"
	if os.Getenv(registers) == "" {
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRegisteredMap$")
		again.Env = append(os.Environ(), registers+"=1")
		out, err := again.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return
	}
	gob.Register(map[string]any{})
	text, err := value.Encode(map[string]any{"a": 1.0})
	require.NoError(t, err)
	assert.Regexp(t, `^\["gob",`, text, "as earlier versions read it")
}

// TestTrees: of maps and lists of any, only what comes back as it was is encoded.
func TestTrees(t *testing.T) {
	loop := map[string]any{}
	loop["loop"] = []any{loop}
	deep := any("deep")
	for range 20_000 {
		deep = map[string]any{"": deep}
	}
	for name, v := range map[string]any{
		"a number that JSON has not": map[string]any{"a": math.NaN()}, "bytes that are no text": map[string]any{"a": "\xff"},
		"a key of such": map[string]any{"\xff": 1.0}, "another type": map[string]any{"a": 1}, "a nil list": map[string]any{"a": []any(nil)},
		"a nil map": []any{map[string]any(nil)}, "of itself": loop, "too deep": deep,
	} {
		_, err := value.Encode(v)
		require.ErrorContains(t, err, "gob.Register", name)
	}
	deep = nil
	for range 9000 {
		deep = map[string]any{"": deep}
	}
	text, err := value.Encode(deep)
	require.NoError(t, err)
	got, err := value.Decode(text)
	require.NoError(t, err)
	assert.Equal(t, deep, got)

	text, err = value.Encode([]any{"a", 1.0, nil})
	require.NoError(t, err)
	assert.Regexp(t, `^\["gob",`, text, "as it always was")
	assert.True(t, value.Equal(`["any",["a",1,null]]`, []any{"a", 1.0, nil}))
}

func TestNames(t *testing.T) {
	for _, key := range []any{"a", "", "ä", "_flash", "_kit:x", `_key:"a"`, "\x00", "\xff", 7, int64(7), true, nil} {
		name, err := value.Name(key)
		require.NoError(t, err)
		got, err := value.Key(name)
		require.NoError(t, err)
		assert.Equal(t, key, got)
		assert.NotRegexp(t, "^_kit:", name, "nobody reaches sessionkit's own values")
	}
	for _, name := range []string{`_key:`, `_key:x`, `_key:["bytes","AA=="]`} {
		_, err := value.Key(name)
		require.Error(t, err, name)
	}
	_, err := value.Name(func() {})
	require.Error(t, err)
	gob.Register([1]any{})
	name, err := value.Name([1]any{[]byte("x")})
	require.NoError(t, err)
	_, err = value.Key(name)
	require.Error(t, err, "a key that no map takes")
}

func TestDiff(t *testing.T) {
	stored := map[string]string{"same": `1`, "changed": `1`, "gone": `1`, "broken": `{`, "_kit:own": `1`, `_key:7`: `"seven"`}
	values := make(map[any]any)
	value.Unpack(stored, values)
	assert.Equal(t, map[any]any{"same": 1, "changed": 1, "gone": 1, 7: "seven"}, values)

	set, drop, err := value.Diff(stored, values)
	require.NoError(t, err)
	assert.Empty(t, set)
	assert.Empty(t, drop)

	values["changed"], values["new"] = 2, "x"
	delete(values, "gone")
	delete(values, 7)
	set, drop, err = value.Diff(stored, values)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"changed": `2`, "new": `"x"`}, set)
	assert.ElementsMatch(t, []string{"gone", `_key:7`}, drop)
	assert.Equal(t, map[string]string{"same": `1`, "changed": `2`, "new": `"x"`, "broken": `{`, "_kit:own": `1`}, value.Apply(stored, set, drop))
	assert.Len(t, stored, 6, "Apply changes a copy")

	values["bad"] = func() {}
	_, _, err = value.Diff(stored, values)
	require.ErrorContains(t, err, `"bad"`)
}

func decodeSeeds() (seeds []string) {
	for _, test := range texts {
		seeds = append(seeds, test.text)
	}
	for _, test := range jsTexts {
		seeds = append(seeds, value.EncodeJS(test.raw))
	}
	for _, v := range []any{[]string{"a"}, []any{"a", 1}, []int{1, 2}, map[string]string{"a": "b"}, []any{nil}} {
		text, _ := value.Encode(v) // what does not encode is one seed less
		seeds = append(seeds, text)
	}
	return append(seeds, malformed...)
}

func nameSeeds() []string {
	return []string{"", "a", "_key:", `_key:7`, `_key:"a"`, `_key:["int64","7"]`, `_key:["bytes","AA=="]`, "_key:x", "_kit:x", "\x00", "\xff", `_key:["nil"]`}
}

func TestFuzzSeeds(t *testing.T) {
	assert.NotEmpty(t, decodeSeeds())
	assert.NotEmpty(t, nameSeeds())
}

// FuzzName checks that a name in the store stands for one key, and that the key has
// a name by which it is found again.
func FuzzName(f *testing.F) {
	for _, seed := range nameSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		var key any
		var err error
		alloctest.Check(t, len(name), func() { key, err = value.Key(name) })
		if err != nil {
			require.Nil(t, key)
		} else {
			require.NotPanics(t, func() { _ = map[any]bool{key: true} })
			again, err := value.Name(key)
			require.NoError(t, err)
			back, err := value.Key(again)
			require.NoError(t, err)
			require.True(t, back == key || key != key, "%q: %v, %v", name, key, back) //nolint:gocritic // NaN is not itself
		}
		named, err := value.Name(name) // the text as a key of its own
		require.NoError(t, err)
		back, err := value.Key(named)
		require.NoError(t, err)
		require.Equal(t, name, back)
	})
}

// FuzzDecode checks that what decodes encodes to a text that means the same, that
// an error leaves nothing, and that nothing panics.
func FuzzDecode(f *testing.F) {
	for _, seed := range decodeSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var v any
		var err error
		alloctest.Check(t, len(text)+claimed(text), func() { v, err = value.Decode(text) })
		if s, ok := value.String(text); ok {
			require.Equal(t, s, v)
		}
		if n, ok := value.Int(text); ok {
			require.Equal(t, n, v)
		}
		if err != nil {
			require.Nil(t, v)
			return
		}
		for range 2 { // blanks around JSON in base64 are gone after the first time
			text, err = value.Encode(v)
			require.NoError(t, err)
			v, err = value.Decode(text)
			require.NoError(t, err)
		}
		stable, err := value.Encode(v)
		require.NoError(t, err)
		require.Equal(t, text, stable)
	})
}

// claimed is by how much a text counts as longer: gob makes room for up to 10 MB of whatever a
// length in its input says.
func claimed(text string) int {
	var parts []json.RawMessage
	var tag string
	if json.Unmarshal([]byte(text), &parts) == nil && len(parts) > 0 && json.Unmarshal(parts[0], &tag) == nil && tag == "gob" {
		return 128 << 10
	}
	return 0
}

// FuzzString checks that every string comes back as it was.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "a", "\x00", "\xff", `"`, "\\", "日本", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text, err := value.Encode(s)
		require.NoError(t, err)
		require.True(t, json.Valid([]byte(text)))
		got, ok := value.String(text)
		require.True(t, ok)
		require.Equal(t, s, got)
		require.True(t, value.Equal(text, s))
	})
}
