package sessionkit_test

import (
	"encoding/gob"
	"fmt"
	"math"
	"math/big"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

type (
	userID string
	points int32
	level  int
	nested struct {
		ID    userID
		Items []item
		Tags  map[string]*item
		When  time.Time
		Any   any
	}
	registered struct{ A, B string }
)

func (l level) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "level %d", int(l)), nil }

func (l *level) UnmarshalText(b []byte) error {
	_, err := fmt.Sscanf(string(b), "level %d", (*int)(l))
	return err
}

// roundTrip stores a value in one request and reads it in another.
func roundTrip[T any](t *testing.T, s sessions.Store, want T) {
	t.Helper()
	key := sessionkit.NewKey[T]("key")
	a := newSite(s, sessionkit.Config{})
	a.on("/set", func(c *gin.Context) {
		if c.Query("untyped") != "" {
			_ = sessions.Default(c).Get("key") // from here on both go through gin-contrib's view
		}
		key.Set(c, want)
		got, ok := key.Get(c)
		assert.True(t, ok, "it is there in the same request")
		assert.Equal(t, want, got)
	})
	a.on("/get", func(c *gin.Context) {
		got, ok := key.Get(c)
		assert.True(t, ok)
		assert.Equal(t, want, got)
		_ = sessions.Default(c).Get("key")
		got, ok = key.Get(c)
		assert.True(t, ok, "also through gin-contrib's view")
		assert.Equal(t, want, got)
	})
	for _, query := range []string{"", "?untyped=1"} {
		b := newBrowser(t, a)
		assert.Equal(t, http.StatusOK, b.get("/set"+query).Code)
		b.get("/get")
	}
	assert.Empty(t, a.errors())
}

func TestRoundTrip(t *testing.T) {
	when := time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC)
	eachStore(t, func(t *testing.T, s sessions.Store) {
		for _, v := range []string{"", "tea", "with \"quotes\" \\ and \n", "日本語 🍵", "nul \x00 byte", "no UTF-8 \xff\xfe", "<&>", "null", "42", `["json",1]`} {
			roundTrip(t, s, v)
		}
		for _, v := range []int{0, -1, math.MaxInt, math.MinInt} {
			roundTrip(t, s, v)
		}
		roundTrip(t, s, true)
		roundTrip(t, s, false)
		roundTrip(t, s, int8(-8))
		roundTrip(t, s, int16(-16))
		roundTrip(t, s, int32(math.MinInt32))
		roundTrip(t, s, int64(math.MaxInt64))
		roundTrip(t, s, uint(8))
		roundTrip(t, s, uint8(255))
		roundTrip(t, s, uint16(16))
		roundTrip(t, s, uint32(32))
		roundTrip(t, s, uint64(math.MaxUint64))
		roundTrip(t, s, 1.5)
		roundTrip(t, s, 5.0)
		roundTrip(t, s, math.MaxFloat64)
		roundTrip(t, s, math.Inf(1))
		roundTrip(t, s, float32(0.1))
		roundTrip(t, s, complex(1, -2))
		roundTrip(t, s, complex64(complex(1, -2)))
		roundTrip(t, s, userID("42"))
		roundTrip(t, s, points(7))
		roundTrip(t, s, level(3))
		roundTrip(t, s, time.Minute)
		roundTrip(t, s, when)
		roundTrip(t, s, []byte("\x00\xff"))
		roundTrip(t, s, [2]string{"a", "b"})
		roundTrip(t, s, []string(nil))
		roundTrip(t, s, map[int]string{1: "a"})
		roundTrip(t, s, &item{"tea", 1})
		roundTrip(t, s, (*item)(nil))
		roundTrip(t, s, netip.MustParseAddr("::1"))
		roundTrip(t, s, big.NewInt(0).Lsh(big.NewInt(1), 100))
		roundTrip(t, s, nested{ID: "1", Items: []item{{"nul \x00", 1}}, Tags: map[string]*item{"a": {"b", 2}, "c": nil}, When: when, Any: "x"})
		roundTrip[any](t, s, "text")
		roundTrip[any](t, s, 7)
		roundTrip[any](t, s, nil)
		roundTrip[any](t, s, map[string]any{"a": []any{"b", 1.5}})
	})
}

// rank has its text form by methods of its pointer.
type rank int

func (r *rank) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "rank %d", int(*r)), nil }

func (r *rank) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "rank %d", (*int)(r))
	return err
}

func TestMethodsOfAPointer(t *testing.T) {
	number := sessionkit.NewKey[big.Int]("number")
	ranks := sessionkit.NewKey[rank]("rank")
	cookie := sessionkit.NewCookie[rank]("c")
	price := sessionkit.NewFlash[struct{ Amount big.Int }]("price")
	a := newSite(memstore.New(), sessionkit.Config{})
	a.on("/set", func(c *gin.Context) {
		number.Set(c, *big.NewInt(7))
		ranks.Set(c, 3)
		assert.NoError(t, cookie.Set(c, 4))
		price.Add(c, struct{ Amount big.Int }{*big.NewInt(5)})
	})
	a.on("/get", func(c *gin.Context) {
		n, ok := number.Get(c)
		assert.True(t, ok)
		assert.Equal(t, "7", n.String())
		r, ok := ranks.Get(c)
		assert.True(t, ok)
		assert.Equal(t, rank(3), r)
		r, err := cookie.Get(c)
		assert.NoError(t, err)
		assert.Equal(t, rank(4), r)
		prices := price.Take(c)
		if assert.Len(t, prices, 1) {
			assert.Equal(t, "5", prices[0].Amount.String())
		}
	})
	b := newBrowser(t, a)
	b.get("/set")
	b.get("/get")
	assert.Empty(t, a.errors())
}

func TestTypedAndUntypedAgree(t *testing.T) {
	gob.Register(registered{})
	eachStore(t, func(t *testing.T, s sessions.Store) {
		n, text, named := sessionkit.NewKey[int]("n"), sessionkit.NewKey[string]("text"), sessionkit.NewKey[userID]("named")
		bytes, strs, reg := sessionkit.NewKey[[]byte]("bytes"), sessionkit.NewKey[[]string]("strs"), sessionkit.NewKey[registered]("reg")
		a := newSite(s, sessionkit.Config{})
		a.on("/typed", func(c *gin.Context) { n.Set(c, 5); text.Set(c, "tea"); named.Set(c, "42") })
		a.on("/untyped", func(c *gin.Context) {
			legacy := sessions.Default(c)
			assert.Equal(t, 5, legacy.Get("n").(int))
			assert.Equal(t, "tea", legacy.Get("text").(string))
			assert.Equal(t, "42", legacy.Get("named").(string))
			legacy.Set("n", 6)
			legacy.Set("bytes", []byte{1, 2})
			legacy.Set("strs", []string{"a"})
			legacy.Set("reg", registered{"a", "b"})
			legacy.Set(7, "a key that is no string")
			got, _ := n.Get(c)
			assert.Equal(t, 6, got, "at once")
			text.Delete(c)
			assert.Nil(t, legacy.Get("text"))
			text.Set(c, "coffee")
			assert.Equal(t, "coffee", legacy.Get("text"))
		})
		a.on("/check", func(c *gin.Context) {
			got, ok := n.Get(c)
			assert.True(t, ok)
			assert.Equal(t, 6, got)
			gotBytes, _ := bytes.Get(c)
			assert.Equal(t, []byte{1, 2}, gotBytes)
			gotStrs, _ := strs.Get(c)
			assert.Equal(t, []string{"a"}, gotStrs)
			gotReg, _ := reg.Get(c)
			assert.Equal(t, registered{"a", "b"}, gotReg)
			legacy := sessions.Default(c)
			assert.Equal(t, "a key that is no string", legacy.Get(7))
			assert.Equal(t, registered{"a", "b"}, legacy.Get("reg"))
			legacy.Delete(7)
			legacy.Delete("reg")
		})
		a.on("/gone", func(c *gin.Context) {
			assert.Nil(t, sessions.Default(c).Get(7))
			_, ok := reg.Get(c)
			assert.False(t, ok)
			assert.Equal(t, 6, sessions.Default(c).Get("n"))
		})
		b := newBrowser(t, a)
		for _, path := range []string{"/typed", "/untyped", "/check", "/gone"} {
			assert.Equal(t, http.StatusOK, b.get(path).Code)
		}
		assert.Empty(t, a.errors())
	})
}

func TestChangedStruct(t *testing.T) {
	type before struct{ Name, Gone, Renamed string }
	type after struct {
		Name, Added string
		New         string `json:"renamed_to"`
	}
	eachStore(t, func(t *testing.T, s sessions.Store) {
		a := newSite(s, sessionkit.Config{})
		a.on("/set", func(c *gin.Context) {
			sessionkit.NewKey[before]("v").Set(c, before{"tea", "x", "y"})
			count.Set(c, 1)
		})
		a.on("/get", func(c *gin.Context) {
			got, ok := sessionkit.NewKey[after]("v").Get(c)
			assert.True(t, ok)
			assert.Equal(t, after{Name: "tea"}, got)
			for _, ok := range []bool{
				second(sessionkit.NewKey[int]("v").Get(c)), second(sessionkit.NewKey[string]("v").Get(c)),
				second(sessionkit.NewKey[[]int]("v").Get(c)), second(sessionkit.NewKey[struct{ Name int }]("v").Get(c)),
				second(sessionkit.NewKey[string]("count").Get(c)), second(sessionkit.NewKey[int64]("count").Get(c)),
				second(sessionkit.NewKey[userID]("count").Get(c)), second(sessionkit.NewKey[item]("count").Get(c)),
			} {
				assert.False(t, ok, "what is not a T is not there")
			}
			n, ok := count.Get(c)
			assert.True(t, ok)
			assert.Equal(t, 1, n)
		})
		b := newBrowser(t, a)
		b.get("/set")
		b.get("/get")
	})
}

func second[T any](_ T, ok bool) bool { return ok }

func TestSetKeepsNoReference(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{})
	items := []item{{"tea", 1}}
	a.on("/set", func(c *gin.Context) { cart.Set(c, items); items[0].Name = "changed" })
	a.on("/get", func(c *gin.Context) {
		got, _ := cart.Get(c)
		assert.Equal(t, []item{{"tea", 1}}, got)
		got[0].Name = "changed"
	})
	b := newBrowser(t, a)
	b.get("/set")
	b.get("/get")
	b.get("/get")
}

func TestTake(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		a := newSite(s, sessionkit.Config{})
		a.on("/set", func(c *gin.Context) { count.Set(c, 1); name.Set(c, "x") })
		a.on("/take", func(c *gin.Context) {
			n, ok := count.Take(c)
			assert.True(t, ok)
			assert.Equal(t, 1, n)
			_, ok = count.Take(c)
			assert.False(t, ok)
		})
		a.on("/", showCount)
		b := newBrowser(t, a)
		b.get("/set")
		b.get("/take")
		assert.JSONEq(t, `{"n": 0, "ok": false}`, b.get("/").Body.String())
	})
}

func TestKeysThatCannotWork(t *testing.T) {
	type hidden struct{ a int }
	_ = hidden{}.a
	type withChan struct {
		Name string
		C    chan int
	}
	type recursive struct {
		Next *recursive
		F    func()
	}
	for want, newKey := range map[string]func(){
		"the name is empty": func() { sessionkit.NewKey[int]("") },
		"underscore":        func() { sessionkit.NewKey[int]("_n") },
		"UTF-8":             func() { sessionkit.NewKey[int]("\xff") },
		"chan int":          func() { sessionkit.NewKey[chan int]("n") },
		"field C":           func() { sessionkit.NewKey[withChan]("n") },
		"field F":           func() { sessionkit.NewKey[[]recursive]("n") },
		"no exported field": func() { sessionkit.NewKey[map[string]hidden]("n") },
		"keys of type":      func() { sessionkit.NewKey[map[item]int]("n") },
		"cannot read them":  func() { sessionkit.NewKey[map[rank]int]("n") },
		"embedded pointer":  func() { sessionkit.NewKey[struct{ *recursive }]("n") },
		"decode into":       func() { sessionkit.NewKey[fmt.Stringer]("n") },
		"NewFlash[func()]":  func() { sessionkit.NewFlash[func()]("n") },
		`NewFlash("_n")`:    func() { sessionkit.NewFlash[int]("_n") },
		"NewCookie":         func() { sessionkit.NewCookie[chan int]("n") },
	} {
		t.Run(want, func(t *testing.T) {
			defer func() {
				message := fmt.Sprint(recover())
				assert.Contains(t, message, want)
				assert.Contains(t, message, "sessionkit: ")
			}()
			newKey()
		})
	}
}

func TestWithoutMiddleware(t *testing.T) {
	for name, call := range map[string]gin.HandlerFunc{
		"Key.Get": func(c *gin.Context) { count.Get(c) },
		"Login":   signIn("42"),
		"Flashes": func(c *gin.Context) { sessionkit.Flashes(c) },
		"Err":     func(c *gin.Context) { _ = sessionkit.Err(c) },
		"RequireSession": func(c *gin.Context) {
			sessionkit.RequireSession()(c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := gin.New()
			r.GET("/", call)
			defer func() {
				assert.Equal(t, "sessionkit: "+name+" called before r.Use(sessionkit.Sessions(store))", recover())
			}()
			newBrowser(t, r).get("/")
		})
	}
}

func TestSetAfterDelete(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		a := newSite(s, sessionkit.Config{})
		a.on("/set", increment)
		a.on("/other", func(c *gin.Context) { count.Delete(c); count.Set(c, 5) })
		a.on("/same", func(c *gin.Context) { count.Delete(c); count.Set(c, 5) })
		a.on("/gone", func(c *gin.Context) { count.Set(c, 6); count.Delete(c) })
		a.on("/", showCount)
		b := newBrowser(t, a)
		b.get("/set")
		for _, step := range []struct{ path, want string }{
			{"/other", `{"n": 5, "ok": true}`}, {"/same", `{"n": 5, "ok": true}`}, {"/gone", `{"n": 0, "ok": false}`},
		} {
			b.get(step.path)
			assert.JSONEq(t, step.want, b.get("/").Body.String(), "%s: the last word counts", step.path)
		}
		assert.Empty(t, a.errors())
	})
}

func TestDeleteInARenewal(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		a := newSite(s, sessionkit.Config{})
		a.on("/set", func(c *gin.Context) { count.Set(c, 1); name.Set(c, "x") })
		a.on("/renew", func(c *gin.Context) { count.Delete(c); sessionkit.Renew(c) })
		a.on("/", func(c *gin.Context) {
			_, ok := count.Get(c)
			text, _ := name.Get(c)
			c.String(http.StatusOK, "%v %s", ok, text)
		})
		b := newBrowser(t, a)
		b.get("/set")
		b.get("/renew")
		assert.Equal(t, "false x", b.get("/").Body.String(), "it does not come along")
	})
}
