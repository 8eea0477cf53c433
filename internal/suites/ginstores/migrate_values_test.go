package ginstores_test

import (
	"bytes"
	"encoding/gob"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boj/redistore"
	"github.com/gin-contrib/sessions"
	gincookie "github.com/gin-contrib/sessions/cookie"
	ginmemstore "github.com/gin-contrib/sessions/memstore"
	ginredis "github.com/gin-contrib/sessions/redis"
	"github.com/gin-gonic/gin"
	"github.com/gorilla/securecookie"
	gsessions "github.com/gorilla/sessions"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// newJSONRedis returns gin-contrib's store over Redis, with records in JSON.
func newJSONRedis(t *testing.T) sessions.Store {
	t.Helper()
	s, err := ginredis.NewStore(2, "tcp", testserver.Redis(t).Address, "", "", kittest.TestSecret)
	require.NoError(t, err)
	rediStore, err := ginredis.GetRedisStore(s)
	require.NoError(t, err)
	rediStore.SetSerializer(redistore.JSONSerializer{})
	return s
}

var jsonValues = map[string]any{
	"cart":   map[string]any{"tea": 2.0, "gift": nil, "lines": []any{map[string]any{"name": "tea"}, nil}},
	"list":   []any{map[string]any{"name": "tea\x00"}, true, "x"},
	"names":  []any{"a", nil},
	"number": 7.5,
	"none":   nil,
}

// TestMigrateJSON: maps and lists as encoding/json decodes them move like all values.
func TestMigrateJSON(t *testing.T) {
	from := newJSONRedis(t)
	old := gin.New()
	old.Use(sessions.Sessions(oldCookie, from))
	old.GET("/set", func(c *gin.Context) {
		for name, v := range jsonValues {
			sessions.Default(c).Set(name, v)
		}
		assert.NoError(t, sessions.Default(c).Save())
	})
	b := kittest.NewBrowser(t, old)
	require.Equal(t, http.StatusOK, b.Get("/set").Code)
	before := b.Fork()

	after := moveSite(from, memstore.New())
	after.On("/same", func(c *gin.Context) {
		for name, v := range jsonValues {
			assert.Equal(t, v, sessions.Default(c).Get(name), name)
		}
	})
	cart := sessionkit.NewKey[map[string]any]("cart")
	after.On("/typed", func(c *gin.Context) {
		v, ok := cart.Get(c)
		assert.True(t, ok)
		assert.Equal(t, jsonValues["cart"], v)
	})
	b.Handler = after
	assert.Len(t, kittest.SetCookies(b.Get("/same")), 2, "it moves")
	assert.Empty(t, kittest.SetCookies(b.Get("/same")))
	b.Get("/typed")
	assert.Empty(t, after.Errors())
	assert.Empty(t, oldValues(t, from, before), "the old store has it no more")
}

// TestMigrateJSONIntoTypes: what encoding/json made of a struct or list is read as one again.
func TestMigrateJSONIntoTypes(t *testing.T) {
	from := newJSONRedis(t)
	old := gin.New()
	old.Use(sessions.Sessions(oldCookie, from))
	old.GET("/set", func(c *gin.Context) {
		sessions.Default(c).Set("item", kittest.Item{Name: "tea", N: 2})
		sessions.Default(c).Set("texts", []string{"a", "b"})
		assert.NoError(t, sessions.Default(c).Save())
	})
	b := kittest.NewBrowser(t, old)
	require.Equal(t, http.StatusOK, b.Get("/set").Code)
	after := moveSite(from, memstore.New())
	item, texts := sessionkit.NewKey[kittest.Item]("item"), sessionkit.NewKey[[]string]("texts")
	after.On("/add", func(c *gin.Context) {
		v, err := item.Update(c, func(v kittest.Item) kittest.Item { return kittest.Item{Name: v.Name, N: v.N + 1} })
		assert.NoError(t, err)
		assert.Equal(t, kittest.Item{Name: "tea", N: 3}, v)
		list, _ := texts.Get(c)
		assert.Equal(t, []string{"a", "b"}, list)
	})
	assert.Equal(t, http.StatusOK, b.At(after).Get("/add").Code)
	assert.Empty(t, after.Errors())
}

// TestJSONStore: the middleware over a store of that kind keeps them as well.
func TestJSONStore(t *testing.T) {
	a := kittest.NewSite(newJSONRedis(t), sessionkit.Config{})
	a.On("/set", func(c *gin.Context) { sessions.Default(c).Set("cart", jsonValues["cart"]) })
	a.On("/same", func(c *gin.Context) { assert.Equal(t, jsonValues["cart"], sessions.Default(c).Get("cart")) })
	b := kittest.NewBrowser(t, a)
	assert.Equal(t, http.StatusOK, b.Get("/set").Code)
	b.Get("/same")
	assert.Empty(t, a.Errors())
}

// oldValues returns what the old cookie of a browser opens in the old store.
func oldValues(t *testing.T, from sessions.Store, b *kittest.Browser) map[any]any {
	t.Helper()
	session, err := from.New(b.Request(http.MethodGet, "/"), oldCookie)
	require.NoError(t, err)
	return session.Values
}

// oddOld is an old store that keeps a value of which nobody has told gob.
type oddOld struct{ sessions.Store }

type odd struct{ N int }

func (s oddOld) New(r *http.Request, name string) (*gsessions.Session, error) {
	session, err := s.Store.New(r, name)
	if !session.IsNew {
		session.Values["odd"], session.Values[odd{}] = odd{7}, 1
	}
	return session, err
}

// TestMigrateOfWhatCannotMove: the session moves without it, which is reported once, and the
// only copy is left where it is.
func TestMigrateOfWhatCannotMove(t *testing.T) {
	for _, path := range []string{"/", "/increment", "/renew", "/login"} {
		t.Run(path, func(t *testing.T) {
			from, to := ginmemstore.NewStore(kittest.TestSecret), memstore.New()
			after := moveSite(oddOld{from}, to)
			before := visited(t, from, "/visit", "/login")
			b := before.At(after)
			assert.Less(t, b.Get(path).Code, http.StatusMultipleChoices)
			errs := after.Errors()
			require.Len(t, errs, 1)
			require.ErrorContains(t, errs[0], `value of "odd": ginstores_test.odd can be stored only`)
			require.ErrorContains(t, errs[0], `key of type ginstores_test.odd`)
			assert.NotContains(t, errs[0].Error(), before.Cookies[oldCookie])
			assert.NotContains(t, b.Cookies, oldCookie)
			assert.Equal(t, "42", b.Get("/").Body.String())
			assert.Contains(t, b.Get("/values").Body.String(), `"name":"Ada"`)
			assert.Equal(t, "Ada", oldValues(t, from, before)["name"], "it stays in the old store")
			b.Get("/logout")
			assert.Empty(t, b.Get("/").Body.String())
			assert.Empty(t, before.At(after).Get("/").Body.String(), "from where nothing brings it back")
			assert.Empty(t, after.Errors())
		})
	}
	for _, path := range []string{"/logout", "/other"} { // what ends is not kept
		from := ginmemstore.NewStore(kittest.TestSecret)
		after := moveSite(oddOld{from}, memstore.New())
		before := visited(t, from, "/visit", "/login")
		before.At(after).Get(path)
		assert.Empty(t, after.Errors(), path)
		assert.Empty(t, oldValues(t, from, before), path)
	}
}

// TestMigrateEarlierCopies: gin-contrib signs the ID of a session anew at each Save, so that it has
// had many cookies. Once it has moved by one of them, it is opened by none, also if the old store
// keeps it for what cannot move, and also if that can move since.
func TestMigrateEarlierCopies(t *testing.T) {
	for name, keep := range map[string]func(sessions.Store) sessions.Store{
		"all moves":       func(s sessions.Store) sessions.Store { return s },
		"one value stays": func(s sessions.Store) sessions.Store { return oddOld{s} },
	} {
		for _, path := range []string{"/nothing", "/logout", "/other", "/renew"} {
			t.Run(name+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					from, to := ginmemstore.NewStore(kittest.TestSecret), memstore.New()
					b := visited(t, from, "/login")
					earlier := b.Fork()
					time.Sleep(2 * time.Second)
					b.Get("/visit")
					require.NotEqual(t, earlier.Cookies, b.Cookies)
					b = b.At(moveSite(keep(from), to))
					require.Equal(t, "42", b.Get("/").Body.String())
					b.Get(path)
					again := moveSite(keep(from), to)
					assert.Empty(t, earlier.Fork().At(again).Get("/").Body.String())
					assert.Empty(t, earlier.Fork().At(moveSite(from, to)).Get("/").Body.String(), "the type is known to gob since")
					assert.Equal(t, http.StatusNoContent, earlier.Fork().At(again).Get("/increment").Code, "it is a visitor's")
					assert.Equal(t, http.StatusOK, earlier.Fork().At(again).Get("/login").Code, "who can sign in")
					assert.Empty(t, again.Errors())
					require.NoError(t, to.Close())
				})
			})
		}
	}
}

// TestMigrateEarlierCopyBeside: a sign-out ends what the old store has kept, if the browser has a
// cookie of it from an old node.
func TestMigrateEarlierCopyBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := ginmemstore.NewStore(kittest.TestSecret), memstore.New()
		n := newTwoNodes(t, oddOld{from}, to)
		n.old = oldSite(from)
		n.atOld("/login")
		earlier := n.b.Fork()
		time.Sleep(2 * time.Second)
		n.atOld("/visit")
		require.Equal(t, "42", n.atNew("/"))
		n.b.Cookies[oldCookie] = earlier.Cookies[oldCookie]
		n.atNew("/logout")
		assert.Empty(t, n.b.Cookies)
		assert.Equal(t, "null", earlier.Get("/").Body.String())
		require.NoError(t, to.Close())
	})
}

// TestMigrateEarlierCopyThatFails: as long as the second mark cannot be stored or read, nothing
// moves.
func TestMigrateEarlierCopyThatFails(t *testing.T) {
	from, back := ginmemstore.NewStore(kittest.TestSecret), kittest.NewBackend()
	after := moveSite(oddOld{from}, kittest.StoreOver(back))
	b := visited(t, from, "/login").At(after)
	creates := 0
	back.Before = func(call string) {
		if call != "create" {
			return
		}
		if creates++; creates == 2 { // the session, and the first mark
			back.Failing(kittest.ErrDown, "create")
		}
	}
	assert.Equal(t, http.StatusServiceUnavailable, b.Get("/increment").Code)
	assert.Equal(t, 3, creates)
	back.Failing(nil)
	assert.Equal(t, http.StatusNoContent, b.Get("/increment").Code)
	assert.Equal(t, "42", b.Get("/").Body.String())
}

// TestMigrateOfWhatCannotMoveFails: a move that fails reports no value.
func TestMigrateOfWhatCannotMoveFails(t *testing.T) {
	from, back := ginmemstore.NewStore(kittest.TestSecret), kittest.NewBackend()
	after := moveSite(oddOld{from}, kittest.StoreOver(back))
	b := visited(t, from, "/login").At(after)
	back.Failing(kittest.ErrDown, "create")
	assert.Equal(t, http.StatusServiceUnavailable, b.Get("/increment").Code)
	back.Failing(nil)
	for _, err := range after.Errors() {
		assert.NotContains(t, err.Error(), "odd")
	}
	assert.Equal(t, http.StatusNoContent, b.Get("/increment").Code)
	assert.Len(t, after.Errors(), 1)
}

// TestMigratePlainOfWhatCannotMove: without the middleware of this module it is logged.
func TestMigratePlainOfWhatCannotMove(t *testing.T) {
	var log bytes.Buffer
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(slog.New(slog.DiscardHandler))
	from := ginmemstore.NewStore(kittest.TestSecret)
	after := gin.New()
	after.Use(sessions.Sessions("web", store.Migrate(oddOld{from}, memstore.New(), oldCookie)))
	after.GET("/", func(c *gin.Context) {
		sessions.Default(c).Set("n", 1)
		assert.NoError(t, sessions.Default(c).Save())
	})
	before := visited(t, from, "/visit")
	before.At(after).Get("/")
	assert.Contains(t, log.String(), "ginstores_test.odd can be stored only")
	assert.Equal(t, "Ada", oldValues(t, from, before)["name"])
}

type movedLine struct{ Name string }

// otherName is gob of a program in which the type had another name.
type otherName struct{ securecookie.GobEncoder }

func (o otherName) Serialize(v any) ([]byte, error) {
	b, err := o.GobEncoder.Serialize(v)
	return bytes.ReplaceAll(b, []byte("after.Line"), []byte("older.Line")), err
}

// TestMigrateTypeThatHasMoved: a cookie of the old cookie store that does not decode any more is reported, as a record
// of a server-side store is. One with another signature is not: anybody can send that.
func TestMigrateTypeThatHasMoved(t *testing.T) {
	gob.RegisterName("after.Line", movedLine{})
	for _, secrets := range [][][]byte{{kittest.TestSecret}, {[]byte("a newer secret"), nil, kittest.TestSecret}} {
		after := moveSite(gincookie.NewStore(secrets...), memstore.New())
		b := kittest.NewBrowser(t, after)
		for secret, reports := range map[string]int{string(kittest.TestSecret): 1, "somebody else's": 0} {
			text, err := securecookie.New([]byte(secret), nil).SetSerializer(otherName{}).
				Encode(oldCookie, map[any]any{"user_id": 42, "cart": movedLine{"tea"}})
			require.NoError(t, err)
			b.Cookies[oldCookie] = text
			assert.Equal(t, http.StatusUnauthorized, b.Get("/account").Code)
			errs := after.Errors()
			require.Len(t, errs, reports)
			for _, err := range errs {
				assert.ErrorIs(t, err, store.ErrCorrupt)
			}
		}
	}
}
