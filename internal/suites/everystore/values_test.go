package everystore_test

import (
	"encoding/gob"
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
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/suites/teststores"
)

// roundTrip stores a value in one request and reads it in another.
func roundTrip[T any](t *testing.T, s sessions.Store, want T) {
	t.Helper()
	key := sessionkit.NewKey[T]("key")
	a := kittest.NewSite(s, sessionkit.Config{})
	a.On("/set", func(c *gin.Context) {
		if c.Query("untyped") != "" {
			_ = sessions.Default(c).Get("key") // from here on both go through gin-contrib's view
		}
		key.Set(c, want)
		got, ok := key.Get(c)
		assert.True(t, ok, "it is there in the same request")
		assert.Equal(t, want, got)
	})
	a.On("/get", func(c *gin.Context) {
		got, ok := key.Get(c)
		assert.True(t, ok)
		assert.Equal(t, want, got)
		_ = sessions.Default(c).Get("key")
		got, ok = key.Get(c)
		assert.True(t, ok, "also through gin-contrib's view")
		assert.Equal(t, want, got)
	})
	for _, query := range []string{"", "?untyped=1"} {
		b := kittest.NewBrowser(t, a)
		assert.Equal(t, http.StatusOK, b.Get("/set"+query).Code)
		b.Get("/get")
	}
	assert.Empty(t, a.Errors())
}

func TestRoundTrip(t *testing.T) {
	when := time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC)
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
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
		roundTrip(t, s, kittest.UserID("42"))
		roundTrip(t, s, kittest.Points(7))
		roundTrip(t, s, kittest.Level(3))
		roundTrip(t, s, time.Minute)
		roundTrip(t, s, when)
		roundTrip(t, s, []byte("\x00\xff"))
		roundTrip(t, s, [2]string{"a", "b"})
		roundTrip(t, s, []string(nil))
		roundTrip(t, s, map[int]string{1: "a"})
		roundTrip(t, s, &kittest.Item{Name: "tea", N: 1})
		roundTrip(t, s, (*kittest.Item)(nil))
		roundTrip(t, s, netip.MustParseAddr("::1"))
		roundTrip(t, s, big.NewInt(0).Lsh(big.NewInt(1), 100))
		roundTrip(t, s, kittest.Nested{ID: "1", Items: []kittest.Item{{Name: "nul \x00", N: 1}}, Tags: map[string]*kittest.Item{"a": {Name: "b", N: 2}, "c": nil}, When: when, Any: "x"})
		roundTrip[any](t, s, "text")
		roundTrip[any](t, s, 7)
		roundTrip[any](t, s, nil)
		roundTrip[any](t, s, map[string]any{"a": []any{"b", 1.5}})
	})
}

func TestTypedAndUntypedAgree(t *testing.T) {
	gob.Register(kittest.Registered{})
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		n, text, named := sessionkit.NewKey[int]("n"), sessionkit.NewKey[string]("text"), sessionkit.NewKey[kittest.UserID]("named")
		bytes, strs, reg := sessionkit.NewKey[[]byte]("bytes"), sessionkit.NewKey[[]string]("strs"), sessionkit.NewKey[kittest.Registered]("reg")
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/typed", func(c *gin.Context) { n.Set(c, 5); text.Set(c, "tea"); named.Set(c, "42") })
		a.On("/untyped", func(c *gin.Context) {
			legacy := sessions.Default(c)
			assert.Equal(t, 5, legacy.Get("n").(int))
			assert.Equal(t, "tea", legacy.Get("text").(string))
			assert.Equal(t, "42", legacy.Get("named").(string))
			legacy.Set("n", 6)
			legacy.Set("bytes", []byte{1, 2})
			legacy.Set("strs", []string{"a"})
			legacy.Set("reg", kittest.Registered{A: "a", B: "b"})
			legacy.Set(7, "a key that is no string")
			got, _ := n.Get(c)
			assert.Equal(t, 6, got, "at once")
			text.Delete(c)
			assert.Nil(t, legacy.Get("text"))
			text.Set(c, "coffee")
			assert.Equal(t, "coffee", legacy.Get("text"))
		})
		a.On("/check", func(c *gin.Context) {
			got, ok := n.Get(c)
			assert.True(t, ok)
			assert.Equal(t, 6, got)
			gotBytes, _ := bytes.Get(c)
			assert.Equal(t, []byte{1, 2}, gotBytes)
			gotStrs, _ := strs.Get(c)
			assert.Equal(t, []string{"a"}, gotStrs)
			gotReg, _ := reg.Get(c)
			assert.Equal(t, kittest.Registered{A: "a", B: "b"}, gotReg)
			legacy := sessions.Default(c)
			assert.Equal(t, "a key that is no string", legacy.Get(7))
			assert.Equal(t, kittest.Registered{A: "a", B: "b"}, legacy.Get("reg"))
			legacy.Delete(7)
			legacy.Delete("reg")
		})
		a.On("/gone", func(c *gin.Context) {
			assert.Nil(t, sessions.Default(c).Get(7))
			_, ok := reg.Get(c)
			assert.False(t, ok)
			assert.Equal(t, 6, sessions.Default(c).Get("n"))
		})
		b := kittest.NewBrowser(t, a)
		for _, path := range []string{"/typed", "/untyped", "/check", "/gone"} {
			assert.Equal(t, http.StatusOK, b.Get(path).Code)
		}
		assert.Empty(t, a.Errors())
	})
}

func TestChangedStruct(t *testing.T) {
	type before struct{ Name, Gone, Renamed string }
	type after struct {
		Name, Added string
		New         string `json:"renamed_to"`
	}
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/set", func(c *gin.Context) {
			sessionkit.NewKey[before]("v").Set(c, before{"tea", "x", "y"})
			kittest.Count.Set(c, 1)
		})
		a.On("/get", func(c *gin.Context) {
			got, ok := sessionkit.NewKey[after]("v").Get(c)
			assert.True(t, ok)
			assert.Equal(t, after{Name: "tea"}, got)
			for _, ok := range []bool{
				second(sessionkit.NewKey[int]("v").Get(c)), second(sessionkit.NewKey[string]("v").Get(c)),
				second(sessionkit.NewKey[[]int]("v").Get(c)), second(sessionkit.NewKey[struct{ Name int }]("v").Get(c)),
				second(sessionkit.NewKey[string]("count").Get(c)), second(sessionkit.NewKey[int64]("count").Get(c)),
				second(sessionkit.NewKey[kittest.UserID]("count").Get(c)), second(sessionkit.NewKey[kittest.Item]("count").Get(c)),
			} {
				assert.False(t, ok, "what is not a T is not there")
			}
			n, ok := kittest.Count.Get(c)
			assert.True(t, ok)
			assert.Equal(t, 1, n)
		})
		b := kittest.NewBrowser(t, a)
		b.Get("/set")
		b.Get("/get")
	})
}

func second[T any](_ T, ok bool) bool { return ok }

func TestTake(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/set", func(c *gin.Context) { kittest.Count.Set(c, 1); kittest.Name.Set(c, "x") })
		a.On("/take", func(c *gin.Context) {
			n, ok := kittest.Count.Take(c)
			assert.True(t, ok)
			assert.Equal(t, 1, n)
			_, ok = kittest.Count.Take(c)
			assert.False(t, ok)
		})
		a.On("/", kittest.ShowCount)
		b := kittest.NewBrowser(t, a)
		b.Get("/set")
		b.Get("/take")
		assert.JSONEq(t, `{"n": 0, "ok": false}`, b.Get("/").Body.String())
	})
}

func TestSetAfterDelete(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/set", kittest.Increment)
		a.On("/other", func(c *gin.Context) { kittest.Count.Delete(c); kittest.Count.Set(c, 5) })
		a.On("/same", func(c *gin.Context) { kittest.Count.Delete(c); kittest.Count.Set(c, 5) })
		a.On("/gone", func(c *gin.Context) { kittest.Count.Set(c, 6); kittest.Count.Delete(c) })
		a.On("/", kittest.ShowCount)
		b := kittest.NewBrowser(t, a)
		b.Get("/set")
		for _, step := range []struct{ path, want string }{
			{"/other", `{"n": 5, "ok": true}`}, {"/same", `{"n": 5, "ok": true}`}, {"/gone", `{"n": 0, "ok": false}`},
		} {
			b.Get(step.path)
			assert.JSONEq(t, step.want, b.Get("/").Body.String(), "%s: the last word counts", step.path)
		}
		assert.Empty(t, a.Errors())
	})
}

func TestDeleteInARenewal(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{})
		a.On("/set", func(c *gin.Context) { kittest.Count.Set(c, 1); kittest.Name.Set(c, "x") })
		a.On("/renew", func(c *gin.Context) { kittest.Count.Delete(c); sessionkit.Renew(c) })
		a.On("/", func(c *gin.Context) {
			_, ok := kittest.Count.Get(c)
			text, _ := kittest.Name.Get(c)
			c.String(http.StatusOK, "%v %s", ok, text)
		})
		b := kittest.NewBrowser(t, a)
		b.Get("/set")
		b.Get("/renew")
		assert.Equal(t, "false x", b.Get("/").Body.String(), "it does not come along")
	})
}
