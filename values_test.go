package sessionkit_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// TestTakeOfNothing: before the header it costs nothing. After that the store is asked, and if
// that fails, what the handler changes once it is back is saved.
func TestTakeOfNothing(t *testing.T) {
	backend := kittest.NewBackend()
	s := kittest.StoreOver(backend)
	a := kittest.NewSite(s, sessionkit.Config{})
	flash := sessionkit.NewFlash[string]("flash")
	a.On("/set", kittest.Increment)
	a.On("/", kittest.ShowCount)
	take := func(c *gin.Context) {
		_, ok := kittest.Name.Take(c)
		assert.False(t, ok)
		assert.Empty(t, flash.Take(c))
	}
	a.On("/take", func(c *gin.Context) {
		kittest.Count.Get(c)
		backend.Called()
		take(c)
		assert.Empty(t, backend.Called())
		c.Writer.Flush()
		take(c)
		assert.Equal(t, []string{"load fresh", "load fresh"}, backend.Called())
		backend.Failing(kittest.ErrDown, "load fresh")
		take(c)
		backend.Failing(nil)
		assert.ErrorIs(t, sessionkit.Err(c), kittest.ErrDown)
		kittest.Count.Set(c, 9)
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/set")
	b.Get("/take")
	assert.Len(t, a.Errors(), 2, "of two takes")
	assert.JSONEq(t, `{"n": 9, "ok": true}`, b.Get("/").Body.String())
}

// TestUpdateOfAnUnreadableSession: the function is not called with a value that nobody knows, and
// nothing is said to be stored.
func TestUpdateOfAnUnreadableSession(t *testing.T) {
	backend := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(backend), sessionkit.Config{})
	a.On("/set", kittest.Increment)
	a.On("/update", func(c *gin.Context) {
		_, err := kittest.Count.Update(c, func(n int) int {
			assert.Fail(t, "called")
			return n + 1
		})
		assert.ErrorIs(t, err, kittest.ErrDown)
	})
	a.On("/", kittest.ShowCount)
	b := kittest.NewBrowser(t, a)
	b.Get("/set")
	backend.Failing(kittest.ErrDown, "load")
	assert.Equal(t, http.StatusServiceUnavailable, b.Get("/update").Code)
	backend.Failing(nil)
	assert.JSONEq(t, `{"n": 1, "ok": true}`, b.Get("/").Body.String())
}

// TestTakeOfWhatIsNotThereToTake: a value is given to nobody while the store cannot remove it, and
// to nobody whose session has ended since it was read.
func TestTakeOfWhatIsNotThereToTake(t *testing.T) {
	backend := kittest.NewBackend()
	s := kittest.StoreOver(backend)
	a := kittest.NewSite(s, sessionkit.Config{})
	taken, meanwhile := 0, func() {}
	a.On("/login", kittest.SignIn("42"), kittest.Increment)
	a.On("/take", func(c *gin.Context) {
		kittest.Count.Get(c)
		meanwhile()
		if _, ok := kittest.Count.Take(c); ok {
			taken++
		}
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	backend.Failing(kittest.ErrDown, "update")
	assert.Equal(t, http.StatusServiceUnavailable, b.Get("/take").Code)
	assert.Zero(t, taken)
	backend.Failing(nil)
	ended := b.Fork()
	meanwhile = func() { assert.NoError(t, s.Revoke(t.Context(), "42", kittest.UserSessions(t, s, "42")[0].ID)) }
	ended.Get("/take")
	assert.Zero(t, taken)

	meanwhile = func() {}
	b.Get("/login")
	b.Get("/take")
	b.Get("/take")
	assert.Equal(t, 1, taken)
}

// TestTakeInAnErrorPage: the page of a failed save does not ask the store that has just failed.
func TestTakeInAnErrorPage(t *testing.T) {
	backend := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(backend), sessionkit.Config{ErrorPage: func(c *gin.Context, p sessionkit.Problem) {
		_, ok := kittest.Name.Take(c)
		c.String(p.Status, "nothing: %v", !ok)
	}})
	a.On("/login", kittest.SignIn("42"))
	a.On("/set", kittest.Increment)
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	backend.Called()
	backend.Failing(kittest.ErrDown, "update", "load fresh")
	assert.Equal(t, "nothing: true", b.Get("/set", "Accept", "text/html").Body.String())
	assert.Equal(t, []string{"load", "update"}, backend.Called())
}

// TestUpdateWhoseFunctionChangesTheValue: it ends, and what the function returns counts.
func TestUpdateWhoseFunctionChangesTheValue(t *testing.T) {
	for name, change := range map[string]func(c *gin.Context, n int){
		"Key.Set":          kittest.Count.Set,
		"sessions.Default": func(c *gin.Context, n int) { sessions.Default(c).Set("count", n) },
	} {
		t.Run(name, func(t *testing.T) {
			a := kittest.NewSite(memstore.New(), sessionkit.Config{})
			a.On("/", func(c *gin.Context) {
				calls := 0
				n, err := kittest.Count.Update(c, func(n int) int {
					calls++
					change(c, n+1)
					return -calls
				})
				assert.NoError(t, err)
				c.String(http.StatusOK, "%d after %d calls", n, calls)
			})
			a.On("/count", kittest.ShowCount)
			b := kittest.NewBrowser(t, a)
			assert.Equal(t, "-101 after 101 calls", b.Get("/").Body.String())
			assert.JSONEq(t, `{"n": -101, "ok": true}`, b.Get("/count").Body.String())
		})
	}
}

// TestNobodyIsTooLateEveryTime: of many requests that change one value without a pause
// none needs more tries than a few, because those of one process take turns.
func TestNobodyIsTooLateEveryTime(t *testing.T) {
	const clients, each = 32, 50
	synctest.Test(t, func(t *testing.T) {
		a := kittest.NewSite(memstore.New(), sessionkit.Config{})
		a.On("/start", kittest.Increment)
		a.On("/count", kittest.ShowCount)
		var mu sync.Mutex
		most := 0
		a.On("/", func(c *gin.Context) {
			tries := 0
			_, err := kittest.Count.Update(c, func(n int) int {
				tries++
				time.Sleep(time.Millisecond) // all others run meanwhile
				return n + 1
			})
			assert.NoError(t, err)
			mu.Lock()
			defer mu.Unlock()
			most = max(most, tries)
		})
		b := kittest.NewBrowser(t, a)
		b.Get("/start")
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				for range each {
					b.Fork().Get("/")
				}
			})
		}
		all.Wait()
		assert.JSONEq(t, `{"n": 1601, "ok": true}`, b.Get("/count").Body.String())
		assert.LessOrEqual(t, most, 10)
	})
}

// TestUpdateWithinAnUpdate does not wait for itself: neither in one request, nor by
// another request that the function makes.
func TestUpdateWithinAnUpdate(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	var b *kittest.Browser
	a.On("/start", kittest.Increment)
	a.On("/plain", func(c *gin.Context) { _, _ = kittest.Count.Update(c, func(n int) int { return n + 1 }) })
	a.On("/within", func(c *gin.Context) {
		first := true
		n, err := kittest.Count.Update(c, func(n int) int {
			if first {
				b.Fork().Get("/plain") // which makes this one try again, in its turn
			} else {
				_, err := kittest.Name.Update(c, func(string) string { return "within" })
				assert.NoError(t, err)
			}
			first = false
			return n + 1
		})
		assert.NoError(t, err)
		c.JSON(http.StatusOK, n)
	})
	b = kittest.NewBrowser(t, a)
	b.Get("/start")
	start := time.Now()
	assert.Equal(t, "3", b.Get("/within").Body.String())
	assert.Less(t, time.Since(start), 500*time.Millisecond)
}

// rank has its text form by methods of its pointer.
// optional embeds a time and has methods of its own, which write the zero value as those of
// the time would.
type optional struct {
	*time.Time
	Valid bool
}

func (o optional) MarshalJSON() ([]byte, error) {
	if !o.Valid {
		return []byte("null"), nil
	}
	return o.Time.MarshalJSON()
}

func (o *optional) UnmarshalJSON(j []byte) error {
	o.Valid = string(j) != "null"
	return json.Unmarshal(j, &o.Time)
}

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
	stock := sessionkit.NewKey[map[string][]big.Int]("stock")
	limits := sessionkit.NewKey[map[string]*rank]("limits")
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/set", func(c *gin.Context) {
		number.Set(c, *big.NewInt(7))
		ranks.Set(c, 3)
		assert.NoError(t, cookie.Set(c, 4))
		price.Add(c, struct{ Amount big.Int }{*big.NewInt(5)})
		stock.Set(c, map[string][]big.Int{"tea": {*big.NewInt(6)}})
		limits.Set(c, map[string]*rank{"tea": new(rank)})
	})
	a.On("/get", func(c *gin.Context) {
		n, ok := number.Get(c)
		assert.True(t, ok)
		assert.Equal(t, "7", n.String())
		r, ok := ranks.Get(c)
		assert.True(t, ok)
		assert.Equal(t, rank(3), r)
		r, err := cookie.Get(c)
		assert.NoError(t, err)
		assert.Equal(t, rank(4), r)
		numbers, _ := stock.Get(c)
		assert.Equal(t, map[string][]big.Int{"tea": {*big.NewInt(6)}}, numbers)
		most, _ := limits.Get(c)
		assert.Equal(t, map[string]*rank{"tea": new(rank)}, most)
		prices := price.Take(c)
		if assert.Len(t, prices, 1) {
			assert.Equal(t, "5", prices[0].Amount.String())
		}
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/set")
	b.Get("/get")
	assert.Empty(t, a.Errors())
}

func TestSetKeepsNoReference(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	items := []kittest.Item{{Name: "tea", N: 1}}
	a.On("/set", func(c *gin.Context) { kittest.Cart.Set(c, items); items[0].Name = "changed" })
	a.On("/get", func(c *gin.Context) {
		got, _ := kittest.Cart.Get(c)
		assert.Equal(t, []kittest.Item{{Name: "tea", N: 1}}, got)
		got[0].Name = "changed"
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/set")
	b.Get("/get")
	b.Get("/get")
}

// TestSetBesideAnotherRequest: the last one wins, unless what it sets is what it has loaded,
// which is no change. An Update goes on from what this request has changed.
func TestSetBesideAnotherRequest(t *testing.T) {
	plusOne := func(n int) int { return n + 1 }
	for name, test := range map[string]struct {
		set, want, updated int // 5 is loaded, and another request stores 50
	}{
		"another value":    {7, 7, 8},
		"as it was loaded": {5, 50, 51},
	} {
		t.Run(name, func(t *testing.T) {
			a := kittest.NewSite(memstore.New(), sessionkit.Config{})
			for path, n := range map[string]int{"/5": 5, "/50": 50} {
				a.On(path, func(c *gin.Context) { kittest.Count.Set(c, n) })
			}
			a.On("/", func(c *gin.Context) { n, _ := kittest.Count.Get(c); c.String(http.StatusOK, "%d", n) })
			b := kittest.NewBrowser(t, a)
			meanwhile := func() { b.Get("/50") }
			b.Get("/5")
			t.Run("Set", func(t *testing.T) {
				kittest.UnderWay(t, a, b, func(c *gin.Context) { kittest.Count.Set(c, test.set) }, meanwhile)
				assert.Equal(t, fmt.Sprint(test.want), b.Get("/").Body.String())
			})
			b.Get("/5")
			t.Run("Set and Update", func(t *testing.T) {
				kittest.UnderWay(t, a, b, func(c *gin.Context) {
					kittest.Count.Set(c, test.set)
					n, err := kittest.Count.Update(c, plusOne)
					assert.NoError(t, err)
					assert.Equal(t, test.updated, n)
				}, meanwhile)
				assert.Equal(t, fmt.Sprint(test.updated), b.Get("/").Body.String())
			})
		})
	}
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
	type stamped struct {
		time.Time
		Name string
	}
	type seller struct{ Name string }
	type offer struct {
		kittest.Item
		seller
	}
	type alone struct{ time.Time } // its form is all of it
	assert.NotPanics(t, func() { sessionkit.NewKey[alone]("n") })
	assert.NotPanics(t, func() { sessionkit.NewKey[optional]("n") })
	for want, newKey := range map[string]func(){
		"the name is empty":  func() { sessionkit.NewKey[int]("") },
		"underscore":         func() { sessionkit.NewKey[int]("_n") },
		"UTF-8":              func() { sessionkit.NewKey[int]("\xff") },
		"chan int":           func() { sessionkit.NewKey[chan int]("n") },
		"field C":            func() { sessionkit.NewKey[withChan]("n") },
		"field F":            func() { sessionkit.NewKey[[]recursive]("n") },
		"no exported field":  func() { sessionkit.NewKey[map[string]hidden]("n") },
		"keys of type":       func() { sessionkit.NewKey[map[kittest.Item]int]("n") },
		"cannot read them":   func() { sessionkit.NewKey[map[rank]int]("n") },
		"make it a *big.Int": func() { sessionkit.NewKey[map[string]big.Int]("n") },
		"make it a *big.Rat": func() { sessionkit.NewCookie[[]map[string]struct{ Prices [2]big.Rat }]("n") },
		"embedded pointer":   func() { sessionkit.NewKey[struct{ *recursive }]("n") },
		"decode into":        func() { sessionkit.NewKey[fmt.Stringer]("n") },
		"embedded time.Time": func() { sessionkit.NewKey[[]stamped]("n") },
		"both named":         func() { sessionkit.NewKey[offer]("n") },
		"NewFlash[func()]":   func() { sessionkit.NewFlash[func()]("n") },
		`NewFlash("_n")`:     func() { sessionkit.NewFlash[int]("_n") },
		"NewCookie":          func() { sessionkit.NewCookie[chan int]("n") },
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
		"Key.Get": func(c *gin.Context) { kittest.Count.Get(c) },
		"Login":   kittest.SignIn("42"),
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
				assert.Equal(t, "sessionkit: "+name+" called before r.Use(sessionkit.Sessions(store)), or the route was added before r.Use", recover())
			}()
			kittest.NewBrowser(t, r).Get("/")
		})
	}
}

// TestBehindGinContribsMiddleware: the panic names what hides the session.
func TestBehindGinContribsMiddleware(t *testing.T) {
	buffer := func(c *gin.Context) { c.Writer = &struct{ gin.ResponseWriter }{c.Writer} } // as one that compresses does
	for name, before := range map[string][]gin.HandlerFunc{
		"alone":             {sessions.Sessions("old", memstore.New())},
		"behind sessionkit": {sessionkit.Sessions(memstore.New()), buffer, sessions.Sessions("old", memstore.New())},
	} {
		t.Run(name, func(t *testing.T) {
			r := gin.New()
			r.GET("/", append(before, kittest.Whoami)...)
			assert.PanicsWithValue(t, "sessionkit: User called behind gin-contrib's sessions.Sessions, which has a session of its own: "+
				"use sessionkit.Sessions(store) in its place", func() { kittest.NewBrowser(t, r).Get("/") })
		})
	}
}
