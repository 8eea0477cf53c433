package expresslive_test

import (
	"encoding/gob"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store/express"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// An answer is a response, and what OnError was called with as its header Errors.
type answer struct {
	StatusCode int
	Header     http.Header
	cookies    []*http.Cookie
}

func (a answer) Cookies() []*http.Cookie { return a.cookies }

// inside runs a handler in the session of a cookie.
func inside(t *testing.T, s sessions.Store, cookie string, f func(c *gin.Context)) answer {
	t.Helper()
	return insideAt(t, "/", s, cookie, f)
}

// insideAt is inside at an address. The cookies of sessionkit's own stores come back to
// http://localhost/.
func insideAt(t *testing.T, address string, s sessions.Store, cookie string, f func(c *gin.Context)) answer {
	t.Helper()
	r := gin.New()
	var errs []error
	r.Use(sessionkit.Sessions(s, sessionkit.Config{OnError: func(_ *gin.Context, err error) { errs = append(errs, err) }}))
	r.GET("/", func(c *gin.Context) {
		f(c)
		c.Status(http.StatusOK)
	})
	w := httptest.NewRecorder()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if cookie != "" {
		req.Header.Set("Cookie", "connect.sid="+cookie)
	}
	r.ServeHTTP(w, req)
	res := w.Result()
	require.NoError(t, res.Body.Close())
	for _, err := range errs {
		res.Header.Add("Errors", err.Error())
	}
	return answer{res.StatusCode, res.Header, res.Cookies()}
}

type name string

type order struct {
	ID    int64     `json:"id"`
	Total float64   `json:"total"`
	At    time.Time `json:"at"`
	Tags  []string  `json:"tags"`
	Note  *string   `json:"note"`
}

// is checks that a value of Node is read as want.
func is[T any](t *testing.T, c *gin.Context, key string, want T) {
	t.Helper()
	got, ok := sessionkit.NewKey[T](key).Get(c)
	assert.True(t, ok, "%s as %T", key, want)
	assert.Equal(t, want, got)
}

// isNo checks that a value of Node is not read as a T.
func isNo[T any](t *testing.T, c *gin.Context, key string) {
	t.Helper()
	got, ok := sessionkit.NewKey[T](key).Get(c)
	assert.False(t, ok, "%s as %T", key, got)
	assert.Zero(t, got)
}

// TestReadValues: what Node has written has no Go type, so it is read as any that fits.
func TestReadValues(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		m.write(t, "x", `{"cookie":{},"text":"tea","int":7,"float":7.5,"big":9007199254740991,"yes":true,"null":null,"list":[],"at":"2026-11-23T15:41:07.012Z",
			"bytes":"AQI=","order":{"id":7,"total":1.5,"at":"2026-11-23T15:41:07.012Z","tags":["a"],"note":null},"id":"lost","toString":"lost"}`)
		at := time.Date(2026, 11, 23, 15, 41, 7, 12e6, time.UTC)
		res := inside(t, newStore(m), seal(secrets, "x"), func(c *gin.Context) {
			read := func() {
				is(t, c, "text", "tea")
				is(t, c, "text", name("tea"))
				is[any](t, c, "text", "tea")
				is(t, c, "int", 7)
				is(t, c, "int", int8(7))
				is(t, c, "int", int64(7))
				is(t, c, "int", uint64(7))
				is(t, c, "int", 7.0)
				is[any](t, c, "int", 7)
				is(t, c, "float", 7.5)
				is(t, c, "float", float32(7.5))
				is(t, c, "big", 1<<53-1)
				is(t, c, "yes", true)
				is(t, c, "list", []string{})
				is(t, c, "float", json.Number("7.5"))
				is(t, c, "at", at)
				is(t, c, "bytes", []byte{1, 2})
				is(t, c, "null", []string(nil))
				is(t, c, "order", order{ID: 7, Total: 1.5, At: at, Tags: []string{"a"}})
				is(t, c, "order", map[string]any{"id": 7.0, "total": 1.5, "at": "2026-11-23T15:41:07.012Z", "tags": []any{"a"}, "note": nil})

				isNo[int](t, c, "text")
				isNo[string](t, c, "int")
				isNo[int](t, c, "float")
				isNo[uint](t, c, "list")
				isNo[int8](t, c, "big")
				isNo[string](t, c, "null")
				isNo[[]string](t, c, "order")
				isNo[string](t, c, "absent")
				isNo[string](t, c, "id")
				isNo[string](t, c, "toString")
			}
			read()

			plain := sessions.Default(c)
			assert.Equal(t, "tea", plain.Get("text"))
			assert.Equal(t, 7, plain.Get("int"))
			assert.InDelta(t, 7.5, plain.Get("float"), 0)
			assert.Equal(t, true, plain.Get("yes"))
			assert.Nil(t, plain.Get("null"))
			list, ok := plain.Get("list").(fmt.Stringer)
			if assert.True(t, ok) {
				assert.Equal(t, "[]", list.String())
			}
			assert.Nil(t, plain.Get("id"))
			read() // also what sessions.Default(c) has shown
		})
		assert.Empty(t, res.Header["Errors"])
		assert.Empty(t, res.Cookies())
	})
}

// TestWriteValues: Node sees the natural JSON of every value.
func TestWriteValues(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		at := time.Date(2026, 11, 23, 15, 41, 7, 12e6, time.UTC)
		m.write(t, "x", `{"cookie":{}}`)
		set := func(f func(c *gin.Context)) answer { return inside(t, newStore(m), seal(secrets, "x"), f) }
		res := set(func(c *gin.Context) {
			sessionkit.NewKey[string]("text").Set(c, `"<ключ>"`)
			sessionkit.NewKey[name]("name").Set(c, "tea")
			sessionkit.NewKey[int64]("int64").Set(c, 1<<53-1)
			sessionkit.NewKey[uint8]("uint8").Set(c, 7)
			sessionkit.NewKey[float64]("float").Set(c, 7.5)
			sessionkit.NewKey[bool]("bool").Set(c, true)
			sessionkit.NewKey[time.Time]("at").Set(c, at)
			sessionkit.NewKey[[]byte]("bytes").Set(c, []byte{1, 2})
			sessionkit.NewKey[[]string]("list").Set(c, []string{})
			sessionkit.NewKey[order]("order").Set(c, order{ID: 7, Total: 1e21, At: at})
			sessionkit.NewKey[json.Number]("number").Set(c, "13.5")
			sessionkit.NewKey[[]string]("none").Set(c, nil)
			sessionkit.NewKey[any]("any").Set(c, nil)
			sessions.Default(c).Set("plain", []byte{1})
			sessions.Default(c).Set(7, int16(7))
			sessions.Default(c).Set("time", at)
			sessions.Default(c).AddFlash("hello")
		})
		require.Equal(t, http.StatusOK, res.StatusCode, res.Header["Errors"])
		assert.JSONEq(t, `{"cookie":{},"text":"\"<ключ>\"","name":"tea","int64":9007199254740991,"uint8":7,"float":7.5,"bool":true,"at":"2026-11-23T15:41:07.012Z",
			"bytes":"AQI=","list":[],"order":{"id":7,"total":1e21,"at":"2026-11-23T15:41:07.012Z","tags":null,"note":null},"number":13.5,"none":null,"any":null,
			"plain":{"_kit:text":"[\"bytes\",\"AQ==\"].Dv8978pym7PC+FHN5mX41rzu5OwwhaknyyRx0R2lk+o"},"_key:7":7,"time":"2026-11-23T15:41:07.012Z"}`, without(t, m.read(t, "x"), "_flash"))
		set(func(c *gin.Context) {
			is(t, c, "int64", int64(1<<53-1))
			is(t, c, "at", at)
			is(t, c, "bytes", []byte{1, 2})
			is(t, c, "list", []string{})
			is(t, c, "none", []string(nil))
			is[any](t, c, "any", nil)
			plain := sessions.Default(c)
			assert.Equal(t, []byte{1}, plain.Get("plain"))
			assert.Equal(t, 7, plain.Get(7))
			assert.Equal(t, []any{"hello"}, plain.Flashes())
		})
	})
}

// TestTypesOfPlainValues: what sessions.Default(c) has set has no type beside its JSON, unless Node
// cannot read it.
func TestTypesOfPlainValues(t *testing.T) {
	at := time.Date(2026, 11, 23, 15, 41, 7, 12e6, time.UTC)
	values := []struct {
		set  any
		json string // "": what only this side reads
		got  any
	}{
		{"tea", `"tea"`, "tea"},
		{true, `true`, true},
		{nil, `null`, nil},
		{7, `7`, 7},
		{int64(7), `7`, 7},
		{uint8(7), `7`, 7},
		{7.0, `7`, 7},
		{float32(7), `7`, 7},
		{1e6, `1000000`, 1000000},
		{7.5, `7.5`, 7.5},
		{float32(0.1), `0.1`, 0.1},
		{1e19, `10000000000000000000`, 1e19},
		{1e21, `1e+21`, 1e21},
		{1e-7, `1e-7`, 1e-7},
		{at, `"2026-11-23T15:41:07.012Z"`, "2026-11-23T15:41:07.012Z"},
		{[]byte{1}, "", []byte{1}},
		{[]string{"a"}, "", []string{"a"}},
		{[]any{"a", 7.0}, "", []any{"a", 7.0}},
		{map[string]any{"a": 7.0}, "", map[string]any{"a": 7.0}},
		{math.Inf(1), "", math.Inf(1)},
		{complex(1, 2), "", complex(1, 2)},
	}
	eachMedium(t, func(t *testing.T, m *medium) {
		b := newSite(t, m, express.Config{}, sessionkit.Config{}).browser(t)
		b.get("/node/set", "name", "a", "value", `1`)
		name := func(i int) string { return fmt.Sprint("value ", i) }
		res := inside(t, newStore(m), b.cookie(), func(c *gin.Context) {
			for i, v := range values {
				sessions.Default(c).Set(name(i), v.set)
			}
		})
		require.Equal(t, http.StatusOK, res.StatusCode, res.Header["Errors"])
		for range 2 {
			var members map[string]json.RawMessage
			require.NoError(t, json.Unmarshal([]byte(m.read(t, b.sid())), &members))
			inside(t, newStore(m), b.cookie(), func(c *gin.Context) {
				for i, v := range values {
					assert.Equal(t, v.got, sessions.Default(c).Get(name(i)), "%T", v.set)
					if raw := string(members[name(i)]); v.json != "" {
						assert.Equal(t, v.json, raw, "%T", v.set)
					} else {
						assert.Contains(t, raw, `_kit:text`, "%T", v.set)
					}
				}
			})
			b.get("/node/set", "name", "a", "value", `2`) // Node writes all of them
		}
	})
}

func without(t *testing.T, text, name string) string {
	t.Helper()
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(text), &members))
	delete(members, name)
	return encoded(t, members)
}

// TestOtherValuesStand: what a change is not about stays as Node has written it.
func TestOtherValuesStand(t *testing.T) {
	squeeze := strings.NewReplacer(" ", "").Replace
	eachMedium(t, func(t *testing.T, m *medium) {
		const text = `{"cookie":{"path":"/","a":1},"cart":{"shirt":2,"mug":1},"empty":{},"null":null,"list":[{"b":1,"a":null}],"n":1.50,"deleted":1,"é":"\u00e9","last":[]}`
		for name, change := range map[string]func(c *gin.Context){
			"one value": func(c *gin.Context) { counter.Set(c, 1) },
			"one step": func(c *gin.Context) {
				_, err := counter.Update(c, func(int) int { return 1 })
				assert.NoError(t, err)
			},
			"a new ID": func(c *gin.Context) {
				counter.Set(c, 1)
				sessionkit.Renew(c)
			},
		} {
			t.Run(name, func(t *testing.T) {
				m.write(t, "x", text)
				inside(t, newStore(m), seal(secrets, "x"), func(c *gin.Context) { sessions.Default(c).Delete("deleted") })
				sid := "x"
				if cookies := inside(t, newStore(m), seal(secrets, "x"), change).Cookies(); len(cookies) > 0 {
					sid, _ = open(secrets, cookies[0].Value)
				}
				want := strings.Replace(text, `"deleted":1,`, ``, 1)
				assert.Equal(t, want, strings.Replace(squeeze(m.read(t, sid)), `,"counter":1`, ``, 1))
			})
		}
		m.write(t, "x", `{"cookie":{},"twice":1,"a":{"b":1,"b":2},"twice":2}`) // the last one counts
		twice := sessionkit.NewKey[int]("twice")
		inside(t, newStore(m), seal(secrets, "x"), func(c *gin.Context) { counter.Set(c, 1) })
		inside(t, newStore(m), seal(secrets, "x"), func(c *gin.Context) {
			is(t, c, "twice", 2)
			twice.Set(c, 3)
		})
		inside(t, newStore(m), seal(secrets, "x"), func(c *gin.Context) {
			is(t, c, "twice", 3)
			twice.Delete(c)
		})
		assert.Equal(t, `{"cookie":{},"a":{"b":1,"b":2},"counter":1}`, squeeze(m.read(t, "x")))
	})
}

// TestFieldsThatTheStructLacks shows a limit: a value is stored whole, and Node's items lose what the
// Go type has no field for.
func TestFieldsThatTheStructLacks(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		m.write(t, "x", `{"cookie":{},"cart":[{"name":"tea","n":1,"gift":{"to":"bob"}}]}`)
		inside(t, newStore(m), seal(secrets, "x"), func(c *gin.Context) {
			_, err := cart.Update(c, func(items []item) []item { return append(items, item{"cake", 1}) })
			assert.NoError(t, err)
		})
		assert.Equal(t, `{"cookie":{},"cart":[{"name":"tea","n":1},{"name":"cake","n":1}]}`, squeezed(m.read(t, "x")))
	})
}

// TestRefusedValues: what Node would lose or change is an error here, and changes nothing.
func TestRefusedValues(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		const text = `{"cookie":{},"a":1}`
		m.write(t, "x", text)
		refused := func(reason string, f func(c *gin.Context)) {
			t.Helper()
			for _, cookie := range []string{seal(secrets, "x"), ""} {
				res := inside(t, newStore(m), cookie, func(c *gin.Context) {
					sessionkit.NewKey[int]("a").Set(c, 2)
					f(c)
				})
				assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
				assert.Contains(t, strings.Join(res.Header["Errors"], "\n"), reason)
				assert.Empty(t, res.Cookies())
				assert.JSONEq(t, text, m.read(t, "x"))
				assert.Equal(t, 1, m.count(t))
			}
		}
		for _, name := range of(nil).Lost() {
			refused("Node would lose it", func(c *gin.Context) { sessions.Default(c).Set(name, 1) })
		}
		refused("2^53", func(c *gin.Context) { sessionkit.NewKey[int]("n").Set(c, 1<<53+1) })
		refused("2^53", func(c *gin.Context) { sessionkit.NewKey[int]("n").Set(c, -1<<53-1) })
		refused("2^53", func(c *gin.Context) { sessionkit.NewKey[uint64]("n").Set(c, 1<<63) })
		refused("2^53", func(c *gin.Context) { sessionkit.NewKey[order]("n").Set(c, order{ID: 1<<53 + 1}) })
		refused("2^53", func(c *gin.Context) {
			sessionkit.NewKey[*big.Int]("n").Set(c, new(big.Int).Exp(big.NewInt(10), big.NewInt(21), nil))
		}) // 1e+21 in Node
		refused("2^53", func(c *gin.Context) { sessionkit.NewKey[[]uint64]("n").Set(c, []uint64{1, 1 << 60}) })
		for _, n := range []json.Number{"90071992547409931.25", "9007199254740993e0", "0.12345678901234567891", "1e400", "-1e400", "1e-400", "1e999999999999999999999"} {
			refused("too many digits", func(c *gin.Context) { sessionkit.NewKey[[]json.Number]("n").Set(c, []json.Number{n}) })
		}
		gob.Register(role{})
		refused("cannot be kept", func(c *gin.Context) { sessions.Default(c).Set(role{"x"}, 1) })
		deep := any(1)
		for range 1000 {
			deep = []any{deep}
		}
		refused("nested deeper", func(c *gin.Context) { sessionkit.NewKey[any]("n").Set(c, deep) })

		refused("2^53", func(c *gin.Context) { sessionkit.NewFlash[order]("n").Add(c, order{ID: 1<<53 + 1}) })
		refused("nested deeper", func(c *gin.Context) { sessionkit.NewFlash[any]("n").Add(c, deep) })
	})
}

// TestLargeNumbers: what JavaScript keeps as it is comes back as it was, whichever type it has.
func TestLargeNumbers(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		b := s.browser(t)
		b.get("/node/set", "name", "order", "value", `{"id":1,"total":100000000000000000}`)
		res := inside(t, newStore(m), b.cookie(), func(c *gin.Context) {
			key := sessionkit.NewKey[order]("order")
			o, ok := key.Get(c)
			assert.True(t, ok)
			o.ID, o.Total = 1<<53, 2*o.Total
			key.Set(c, o)
			sessionkit.NewKey[[]float64]("floats").Set(c, []float64{1 << 60, -1e20, 123456789012345678})
			sessionkit.NewKey[int64]("n").Set(c, -1<<60)
		})
		assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode, "2^60 is 1152921504606847000 in JavaScript, which is another integer")
		res = inside(t, newStore(m), b.cookie(), func(c *gin.Context) {
			sessionkit.NewKey[order]("order").Set(c, order{ID: 1 << 53, Total: 2e17})
			sessionkit.NewKey[[]float64]("floats").Set(c, []float64{1 << 60, -1e20, 123456789012345678})
		})
		assert.Equal(t, http.StatusOK, res.StatusCode, res.Header["Errors"])
		for range 2 {
			inside(t, newStore(m), b.cookie(), func(c *gin.Context) {
				is(t, c, "order", order{ID: 1 << 53, Total: 2e17})
				is(t, c, "floats", []float64{1 << 60, -1e20, 123456789012345678})
			})
			b.get("/node/set", "name", "a", "value", `1`) // Node writes all of them
		}
	})
}

// TestNumbersOfNode: refused are those numbers that Node writes as others, and none of Go's
// float64 and float32.
func TestNumbersOfNode(t *testing.T) {
	stored := func(n string) bool {
		_, err := of(nil).MemberOf(secrets, "n", `["json",[`+n+`]]`)
		return err == nil
	}
	b := newSite(t, newRedis(t), express.Config{}, sessionkit.Config{}).browser(t)
	b.get("/node/set", "name", "a", "value", "1")
	writes := func(numbers []string) (written []json.Number) {
		b.get("/node/set", "name", "n", "value", "["+strings.Join(numbers, ",")+"]")
		require.NoError(t, json.Unmarshal([]byte(b.get("/node/get", "name", "n")), &written))
		require.Len(t, written, len(numbers))
		return written
	}
	numbers := []string{
		"0", "-0", "0.0", "-0.0", "0e400", "1", "-1", "1.50", "1.5E+2", "15e-1", "100e-2", "0.1", "0.30000000000000004", "0.1234567890123456789",
		"0.1000000000000000055511151231257827021181583404541015625", "9007199254740991", "9007199254740992", "9007199254740993", "9007199254740993e0",
		"9007199254740993.0", "90071992547409931.25", "123456789012345680000", "123456789012345678901", "1152921504606846976", "1152921504606847000",
		"5e-324", "4.9e-324", "2e-324", "1.7976931348623157e308", "1.7976931348623158e308", "1.8e308", "-1e400", "1e-400", "0.000001", "1e-7", "1e21", "12e20",
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 150 {
		numbers = append(numbers, fmt.Sprintf("%d.%0*d", random.IntN(1000), 11+random.IntN(8), random.Int64N(1e11)))
	}
	refused := 0
	for some := range slices.Chunk(numbers, 60) {
		for i, n := range writes(some) {
			was, ok := new(big.Rat).SetString(some[i])
			require.True(t, ok)
			is, ok := new(big.Rat).SetString(n.String()) // "": null
			assert.Equal(t, ok && is.Cmp(was) == 0, stored(some[i]), "%s is %s", some[i], n)
			if !stored(some[i]) {
				refused++
			}
		}
	}
	assert.Less(t, 20, refused)
	assert.Less(t, refused, len(numbers)-20)

	for range 10_000 {
		for _, f := range []any{math.Float64frombits(random.Uint64()), math.Float32frombits(random.Uint32())} {
			n, err := json.Marshal(f)
			if err == nil { // no NaN, nor infinite
				assert.True(t, stored(string(n)), string(n))
			}
		}
	}
	assert.False(t, stored("1000000000000000000000"), "an integer that Node writes with an exponent")
	assert.False(t, stored("1e-999999999999999999999"))
}

// TestTextThatIsNoUTF8: bytes that JSON has no form for come back, and Node keeps them.
func TestTextThatIsNoUTF8(t *testing.T) {
	const text = "\xff\x80ab"
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		b := s.browser(t)
		b.get("/node/set", "name", "a", "value", `1`)
		res := inside(t, newStore(m), b.cookie(), func(c *gin.Context) {
			sessionkit.NewKey[string]("text").Set(c, text)
			sessionkit.NewKey[name]("name").Set(c, text)
			sessions.Default(c).Set("plain", text)
			sessions.Default(c).Set("json", value.JSON(`["`+text+`"]`))
		})
		assert.Equal(t, http.StatusOK, res.StatusCode, res.Header["Errors"])
		b.get("/node/set", "name", "a", "value", `2`)
		inside(t, newStore(m), b.cookie(), func(c *gin.Context) {
			is(t, c, "a", 2)
			is(t, c, "text", text)
			is(t, c, "name", name(text))
			assert.Equal(t, text, sessions.Default(c).Get("plain"))
			assert.Equal(t, value.JSON(`["`+text+`"]`), sessions.Default(c).Get("json"))
		})
		assert.Contains(t, b.get("/node/get", "name", "text"), "_kit:text")

		own := memstore.New()
		defer func() { assert.NoError(t, own.Close()) }()
		for _, s := range []sessions.Store{newStore(m), own} { // inside of a value encoding/json replaces them
			inside(t, s, b.cookie(), func(c *gin.Context) {
				list := sessionkit.NewKey[[]string]("list")
				list.Set(c, []string{text})
				got, _ := list.Get(c)
				assert.Equal(t, []string{"\ufffd\ufffdab"}, got)
			})
		}
	})
}

// TestNameWithHalfASurrogate: a name that JSON cannot decode is in the way of no change.
// PostgreSQL cannot change such a session.
func TestNameWithHalfASurrogate(t *testing.T) {
	m := newRedis(t)
	m.write(t, "x", `{"cookie":{},"\ud800":1,"\\ud800":2,"a":"\ud83d","\ud800":3}`)
	res := inside(t, newStore(m), seal(secrets, "x"), func(c *gin.Context) {
		counter.Set(c, 1)
		sessionkit.NewKey[int](`\ud800`).Set(c, 4)
	})
	assert.Equal(t, http.StatusOK, res.StatusCode, res.Header["Errors"])
	assert.Equal(t, `{"cookie":{},"\ud800":1,"\\ud800":4,"a":"\ud83d","\ud800":3,"counter":1}`, m.read(t, "x"))
}

// TestLostNames: the list is that of Node.
func TestLostNames(t *testing.T) {
	s := newSite(t, newRedis(t), express.Config{}, sessionkit.Config{})
	for _, name := range of(nil).Lost() {
		if name == "req" || name == "id" || name == "cookie" || name == "__proto__" {
			continue // an assignment to these fails, or does something else
		}
		s.write(t, "x", `{"cookie":{"originalMaxAge":null,"expires":null},"`+name+`":"kept?","a":1}`)
		b := s.browser(t)
		b.put(seal(secrets, "x"))
		assert.NotEqual(t, `"kept?"`, b.get("/node/get", "name", name), name)
		b.get("/node/set", "name", "a", "value", "2")
		assert.NotContains(t, s.read(t, "x"), "kept?")
	}
	for _, name := range []string{"length", "name", "prototype", "user", "then"} {
		b := s.browser(t)
		b.get("/gin/plain-set", "name", name, "value", `"kept"`)
		assert.Equal(t, `"kept"`, b.get("/node/get", "name", name))
	}
}

// TestUserFunctions: who is signed in, in an object.
func TestUserFunctions(t *testing.T) {
	passport := express.Passport[int]()
	eachMedium(t, func(t *testing.T, m *medium) {
		s := m.store(express.Config{Secrets: secrets, User: passport})
		m.write(t, "x", `{"cookie":{},"passport":{"user":7},"a":1}`)
		inside(t, s, seal(secrets, "x"), func(c *gin.Context) {
			user, _ := sessionkit.User(c)
			assert.Equal(t, "7", user)
		})
		assert.JSONEq(t, `{"cookie":{},"passport":{"user":7},"a":1}`, m.read(t, "x"))
		res := inside(t, s, "", func(c *gin.Context) { sessionkit.Login(c, "42") })
		require.Len(t, res.Cookies(), 1)
		sid, _ := open(secrets, res.Cookies()[0].Value)
		assert.Contains(t, strings.ReplaceAll(m.read(t, sid), " ", ""), `"passport":{"user":42}`)

		for _, user := range []string{"042", "1e2", "1.50", "-0", "9007199254740993", "ada"} {
			res = inside(t, s, "", func(c *gin.Context) { sessionkit.Login(c, user) })
			assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode, "Node would read another number: %s", user)
		}

		texts := m.store(express.Config{Secrets: secrets, User: express.Passport[string]()})
		res = inside(t, texts, "", func(c *gin.Context) { sessionkit.Login(c, "42") })
		sid, _ = open(secrets, res.Cookies()[0].Value)
		assert.Contains(t, squeezed(m.read(t, sid)), `"passport":{"user":"42"}`)
		for _, s := range []sessions.Store{s, texts} {
			for _, user := range []string{`"7"`, `7`} {
				m.write(t, "y", `{"cookie":{},"passport":{"user":`+user+`}}`)
				inside(t, s, seal(secrets, "y"), func(c *gin.Context) {
					user, _ := sessionkit.User(c)
					assert.Equal(t, "7", user)
				})
			}
			for _, nobody := range []string{`{}`, `{"user":null}`, `{"user":{"id":7}}`, `{"user":true}`, `[7]`, `7`} {
				m.write(t, "y", `{"cookie":{},"passport":`+nobody+`}`)
				inside(t, s, seal(secrets, "y"), func(c *gin.Context) {
					_, ok := sessionkit.User(c)
					assert.False(t, ok, nobody)
				})
			}
		}
	})
	m := newRedis(t)
	s := m.store(express.Config{Secrets: secrets}) // Node does not know
	res := inside(t, s, "", func(c *gin.Context) { sessionkit.Login(c, "42") })
	inside(t, s, res.Cookies()[0].Value, func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		assert.Equal(t, "42", user)
	})
}

// TestUserWithALargeNumber: integers over 2^53 are refused when this side writes them. What
// Node has written is read.
func TestUserWithALargeNumber(t *testing.T) {
	object := express.User{
		Name: "user",
		Read: func(raw json.RawMessage) string {
			var u struct{ ID json.Number }
			_ = json.Unmarshal(raw, &u)
			return u.ID.String()
		},
		Write: func(user string) any { return map[string]any{"id": json.Number(user)} },
	}
	eachMedium(t, func(t *testing.T, m *medium) {
		for _, test := range []struct {
			text, user string
			config     express.User
		}{
			{`{"id":42,"seen":1732845600000}`, "42", object},
			{`{"id":42,"seen":1732845600000000000}`, "42", object},
			{`{"id":9007199254740992}`, "9007199254740992", object},
			{`9007199254740992`, "9007199254740992", express.User{Name: "user"}},
		} {
			m.write(t, "x", `{"cookie":{},"user":`+test.text+`}`)
			s := m.store(express.Config{Secrets: secrets, User: test.config})
			res := inside(t, s, seal(secrets, "x"), func(c *gin.Context) {
				user, _ := sessionkit.User(c)
				assert.Equal(t, test.user, user, test.text)
				counter.Set(c, 1)
			})
			assert.Equal(t, http.StatusOK, res.StatusCode)
			assert.Empty(t, res.Cookies())
			assert.Contains(t, strings.ReplaceAll(m.read(t, "x"), " ", ""), test.text)
		}
	})
}

// TestDeadlines: a sign-in of this side has the deadlines of this side, as long as Node leaves
// it the user and the ID. One of Node has those of Node.
func TestDeadlines(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		at := func(ago time.Duration) string {
			return `"_kit:session":{"user":"ada"},"userId":"ada","_kit:sign_in":["json",{"at":` + encoded(t, time.Now().Add(-ago)) +
				`,"ends":` + encoded(t, time.Now().Add(24*time.Hour-ago)) + `,"line":"x"}]`
		}
		for _, test := range []struct {
			name, text string
			user       string
		}{
			{"in use", `{"cookie":{"originalMaxAge":3600000},` + at(23*time.Hour) + `}`, "ada"},
			{"past its lifetime", `{"cookie":{"originalMaxAge":3600000},` + at(25*time.Hour) + `}`, ""},
			{"past its idle timeout", `{"cookie":{"originalMaxAge":86400000},` + at(23*time.Hour) + `}`, ""}, // an hour is left of a day
			{"shortened by Node", `{"cookie":{"originalMaxAge":86400000},` + at(2*time.Hour) + `}`, "ada"},   // a day that it never had since
			{"of Node", `{"cookie":{"originalMaxAge":86400000},"userId":"ada"}`, "ada"},
			{"of Node, for long", `{"cookie":{"originalMaxAge":864000000,"expires":"2001-01-01T00:00:00.000Z"},"userId":"ada"}`, "ada"},
			{"another user by Node", `{"cookie":{"originalMaxAge":3600000},` + strings.Replace(at(25*time.Hour), `"userId":"ada"`, `"userId":"bob"`, 1) + `}`, "bob"},
			{"signed out by Node", `{"cookie":{"originalMaxAge":3600000},` + strings.Replace(at(25*time.Hour), `"userId":"ada"`, `"x":1`, 1) + `}`, ""},
		} {
			t.Run(test.name, func(t *testing.T) {
				m.write(t, "x", test.text) // for an hour
				inside(t, newStore(m), seal(secrets, "x"), func(c *gin.Context) {
					user, _ := sessionkit.User(c)
					assert.Equal(t, test.user, user)
				})
				switch test.name {
				case "past its lifetime":
					assert.Empty(t, m.read(t, "x"), "and Node does not keep it")
				case "past its idle timeout":
					assert.Equal(t, test.text, m.read(t, "x"), "that it was not used is not certain")
				}
			})
		}
	})
}

// TestLoginOfARememberedUser: Node remembers a user for 30 days, who signs in again on this
// side. That lasts as the sign-in before.
func TestLoginOfARememberedUser(t *testing.T) {
	const month = 30 * 24 * time.Hour
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newStore(m)
		m.write(t, "x", `{"cookie":{"originalMaxAge":2592000000},"userId":"ada"}`)
		res := inside(t, s, seal(secrets, "x"), func(c *gin.Context) { sessionkit.Login(c, "ada") })
		require.Len(t, res.Cookies(), 1)
		assert.InDelta(t, month.Seconds(), res.Cookies()[0].MaxAge, 3)
		sid, _ := open(secrets, res.Cookies()[0].Value)
		assert.InDelta(t, month.Seconds(), m.left(t, sid).Seconds(), 3)
		m.write(t, sid, m.read(t, sid)) // an hour is left: it was not used for long
		inside(t, s, res.Cookies()[0].Value, func(c *gin.Context) {
			user, _ := sessionkit.User(c)
			assert.Equal(t, "ada", user)
			assert.WithinDuration(t, time.Now().Add(month), sessionkit.Current(c).EndsAt, time.Minute)
		})

		m.write(t, "y", `{"cookie":{"originalMaxAge":2592000000},"userId":"ada"}`)
		res = inside(t, s, seal(secrets, "y"), func(c *gin.Context) { sessionkit.Login(c, "ada", sessionkit.Lifetime(time.Hour)) })
		assert.Zero(t, res.Cookies()[0].MaxAge, "unless it says how long")
		sid, _ = open(secrets, res.Cookies()[0].Value)
		assert.NotContains(t, m.read(t, sid), "max_age")
	})
}

// TestLoginBesideAMaxAge: Login signs in for as long as it says, whatever the cookies of Node are told.
func TestLoginBesideAMaxAge(t *testing.T) {
	const untilADate = 399*24*time.Hour + 1 // as time.Until has it, in nanoseconds that JavaScript would round
	eachMedium(t, func(t *testing.T, m *medium) {
		s := m.store(express.Config{Secrets: secrets, User: express.User{Name: "userId"}, Cookie: express.Cookie{MaxAge: week}})
		for _, test := range []struct {
			options []sessionkit.LoginOption
			life    time.Duration
			maxAge  float64
		}{
			{nil, 24 * time.Hour, 0},
			{[]sessionkit.LoginOption{sessionkit.Remember(), sessionkit.Lifetime(week)}, week, week.Seconds()},
			{[]sessionkit.LoginOption{sessionkit.Remember(), sessionkit.Lifetime(untilADate), sessionkit.IdleTimeout(untilADate)}, untilADate, untilADate.Seconds()},
		} {
			res := inside(t, s, "", func(c *gin.Context) { sessionkit.Login(c, "ada", test.options...) })
			require.Len(t, res.Cookies(), 1)
			assert.InDelta(t, test.maxAge, res.Cookies()[0].MaxAge, 3)
			inside(t, s, res.Cookies()[0].Value, func(c *gin.Context) {
				assert.WithinDuration(t, time.Now().Add(test.life), sessionkit.Current(c).EndsAt, time.Minute)
			})
		}
	})
}

// TestLoginEndsWithTheBrowser: also if it is Node that sends the cookie, and once the session was renewed.
func TestLoginEndsWithTheBrowser(t *testing.T) {
	config := express.Config{Secrets: secrets, User: express.User{Name: "userId"}, Cookie: express.Cookie{MaxAge: week}}
	anHour := func(c *gin.Context) { sessions.Default(c).Options(sessions.Options{MaxAge: 3600}) }
	renewWithout := func(c *gin.Context) {
		sessions.Default(c).Options(sessions.Options{})
		sessionkit.Renew(c)
	}
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, config, sessionkit.Config{}, "MAX_AGE=604800000")
		for name, before := range map[string][]string{
			"nobody": {"/gin/me"}, "a visitor": {"/gin/add", "item", "tea"}, "a user of Node": {"/node/login", "user", "ada"},
		} {
			t.Run(name, func(t *testing.T) {
				b := s.browser(t)
				b.get(before[0], before[1:]...)
				b.get("/gin/login", "user", "ada")
				assert.Empty(t, s.send(t, "/node/set?name=a&value=1", b.cookie()), "Node sends a cookie that has a maxAge again")
				assert.InDelta(t, (24 * time.Hour).Seconds(), m.left(t, b.sid()).Seconds(), 3, "as the stores of Node have it without a maxAge")
				inside(t, m.store(config), b.cookie(), anHour)
				require.Contains(t, m.read(t, b.sid()), "3600000")
				res := inside(t, m.store(config), b.cookie(), renewWithout)
				require.Len(t, res.Cookies(), 1)
				assert.Zero(t, res.Cookies()[0].MaxAge)
				sid, _ := open(secrets, res.Cookies()[0].Value)
				assert.Contains(t, squeezed(m.read(t, sid)), `"originalMaxAge":null`)
			})
		}
		m.write(t, "x", `{"cookie":{"originalMaxAge":604800000},"userId":"ada"}`)
		inside(t, m.store(config), seal(secrets, "x"), anHour)
		res := inside(t, m.store(config), seal(secrets, "x"), renewWithout)
		require.Len(t, res.Cookies(), 1)
		sid, _ := open(secrets, res.Cookies()[0].Value)
		assert.Contains(t, squeezed(m.read(t, sid)), `"originalMaxAge":604800000`, "a sign-in of Node lasts as the configuration says")

		res = inside(t, m.store(config), "", func(c *gin.Context) {
			sessionkit.Login(c, "ada", sessionkit.IdleTimeout(48*time.Hour), sessionkit.Lifetime(week))
		})
		require.Len(t, res.Cookies(), 1)
		assert.Zero(t, res.Cookies()[0].MaxAge)
		sid, _ = open(secrets, res.Cookies()[0].Value)
		assert.InDelta(t, (48 * time.Hour).Seconds(), m.left(t, sid).Seconds(), 120, "Node would end it too early, so it has a maxAge there")
	})
}

// TestOptionsWithoutMaxAge: the session lives as the configuration says again, whoever had
// given it a life of its own.
func TestOptionsWithoutMaxAge(t *testing.T) {
	options := func(seconds int) func(c *gin.Context) {
		return func(c *gin.Context) { sessions.Default(c).Options(sessions.Options{MaxAge: seconds}) }
	}
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newStore(m)
		for name, user := range map[string]string{"a user of Node": `,"userId":"ada"`, "a visitor": ""} {
			for by, begin := range map[string]func(sid string){
				"Node": func(sid string) { m.write(t, sid, `{"cookie":{"originalMaxAge":2592000000}`+user+`}`) },
				"this side": func(sid string) {
					m.write(t, sid, `{"cookie":{"originalMaxAge":null}`+user+`}`)
					inside(t, s, seal(secrets, sid), options(2592000))
				},
			} {
				for as, finish := range map[string]func(c *gin.Context){"": func(*gin.Context) {}, ", renewed": func(c *gin.Context) { sessionkit.Renew(c) }} {
					t.Run(name+", by "+by+as, func(t *testing.T) {
						begin("x")
						res := inside(t, s, seal(secrets, "x"), func(c *gin.Context) {
							options(0)(c)
							finish(c)
						})
						require.Len(t, res.Cookies(), 1)
						assert.Zero(t, res.Cookies()[0].MaxAge)
						sid, _ := open(secrets, res.Cookies()[0].Value)
						assert.Contains(t, strings.ReplaceAll(m.read(t, sid), " ", ""), `"originalMaxAge":null`)
						assert.InDelta(t, (24 * time.Hour).Seconds(), m.left(t, sid).Seconds(), 3)
					})
				}
			}
		}
	})
}

// TestConfirm: someone shows again who they are, whichever side has signed them in.
func TestConfirm(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newStore(m)
		m.write(t, "x", `{"cookie":{"originalMaxAge":null},"userId":"ada"}`)
		for name, cookie := range map[string]string{
			"signed in by Node": seal(secrets, "x"),
			"signed in here":    inside(t, s, "", func(c *gin.Context) { sessionkit.Login(c, "ada") }).Cookies()[0].Value,
		} {
			t.Run(name, func(t *testing.T) {
				fresh := sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: time.Hour})
				inside(t, s, cookie, func(c *gin.Context) {
					fresh(c)
					assert.Equal(t, name == "signed in by Node", c.IsAborted(), "Node does not say when it has signed in")
				})
				for range 2 {
					res := inside(t, s, cookie, func(c *gin.Context) {
						sessionkit.Confirm(c)
						assert.WithinDuration(t, time.Now(), sessionkit.Current(c).ConfirmedAt, time.Minute)
					})
					require.Len(t, res.Cookies(), 1)
					cookie = res.Cookies()[0].Value
				}
				res := inside(t, s, cookie, func(c *gin.Context) {
					assert.WithinDuration(t, time.Now(), sessionkit.Current(c).ConfirmedAt, time.Minute)
					fresh(c)
					assert.False(t, c.IsAborted())
				})
				assert.Equal(t, http.StatusOK, res.StatusCode)
				sid, _ := open(secrets, cookie)
				text := strings.ReplaceAll(m.read(t, sid), " ", "")
				m.write(t, sid, strings.Replace(text, `"userId":"ada"`, `"userId":"bob"`, 1)) // by Node
				inside(t, s, cookie, func(c *gin.Context) {
					assert.Zero(t, sessionkit.Current(c).ConfirmedAt, "not that user")
				})
			})
		}
	})
}

// TestUnsupported: what needs to know the sessions of a user, or values that nobody overwrites.
func TestUnsupported(t *testing.T) {
	s := newStore(newRedis(t))
	res := inside(t, s, "", func(c *gin.Context) { sessionkit.Login(c, "ada", sessionkit.Attempt(c, "ada"), sessionkit.Remember()) })
	require.Len(t, res.Cookies(), 1)
	assert.Equal(t, int((30 * 24 * time.Hour).Seconds()), res.Cookies()[0].MaxAge)
	res = inside(t, s, res.Cookies()[0].Value, func(c *gin.Context) {
		_, err := sessionkit.Devices(c)
		assert.ErrorContains(t, err, "unsupported")
		assert.Error(t, sessionkit.LogoutEverywhere(c))
		assert.True(t, sessionkit.Current(c).Remembered)
		assert.WithinDuration(t, time.Now().Add(30*24*time.Hour), sessionkit.Current(c).EndsAt, time.Minute)
	})
	assert.Equal(t, http.StatusOK, res.StatusCode)
	assert.PanicsWithError(t, "sessionkit: Config.MaxSessions is 3: a *express.Store does not know the sessions of a user; use memstore, sqlstore or redisstore", func() {
		sessionkit.Sessions(s, sessionkit.Config{MaxSessions: 3})
	})
	assert.PanicsWithError(t, "sessionkit: Config.DeviceBound is true: a *express.Store cannot change one value of a session without overwriting the others, "+
		"so that a page loaded at the same time would undo the binding; use memstore, sqlstore or redisstore", func() {
		sessionkit.Sessions(s, sessionkit.Config{DeviceBound: true})
	})
	for _, c := range []sessionkit.Config{
		{Name: "sid"}, {Name: "my sid"}, {Path: "/x"}, {Domain: "example.com"}, {Domain: "co.uk"}, {SameSite: http.SameSiteStrictMode}, {VisitorFor: time.Hour}, {Partitioned: true},
	} {
		func() {
			defer func() { assert.ErrorContains(t, recover().(error), "set it there") }()
			sessionkit.Sessions(s, c)
		}()
	}
}
