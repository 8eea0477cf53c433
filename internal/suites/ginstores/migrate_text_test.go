package ginstores_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	gincookie "github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// twins returns two browsers that have the same text of a cookie store: their visitors were given
// the same values in the same second.
func twins(t *testing.T, before *kittest.Browser, after http.Handler) (anna, bert *kittest.Browser) {
	t.Helper()
	anna, bert = before.At(after), before.At(after)
	require.Equal(t, anna.Cookies[oldCookie], bert.Cookies[oldCookie])
	return anna, bert
}

func count(b *kittest.Browser) string {
	var answer struct{ N json.Number }
	_ = json.Unmarshal(b.Get("/count").Body.Bytes(), &answer)
	return answer.N.String()
}

func TestMigrateOneText(t *testing.T) {
	from := gincookie.NewStore(kittest.TestSecret)
	after := moveSite(from, memstore.New())
	anna, bert := twins(t, visited(t, from, "/visit"), after)
	carol := anna.Fork()

	assert.Equal(t, "7", count(anna))
	assert.Empty(t, anna.Session(), "a use alone does not move it")
	anna.Get("/increment")
	assert.Equal(t, "8", count(anna))
	assert.Empty(t, anna.Cookies[oldCookie])
	assert.Equal(t, "7", count(bert), "what anna does is not bert's")
	bert.Get("/increment")
	bert.Get("/increment")
	assert.Equal(t, "9", count(bert))
	assert.Equal(t, "8", count(anna), "nor the other way round")
	assert.NotEqual(t, anna.Session(), bert.Session())
	assert.Empty(t, bert.Cookies[oldCookie])

	bert.Get("/login")
	assert.Equal(t, "42", bert.Get("/").Body.String())
	assert.Equal(t, "8", count(anna))
	assert.Empty(t, anna.Get("/").Body.String())

	carol.Get("/logout")
	assert.Equal(t, "0", count(carol))
	assert.Equal(t, "8", count(anna), "a sign-out by the text ends no session that it has become")
	assert.Equal(t, "42", bert.Get("/").Body.String())
}

// TestMigrateOneTextOfNobodyKnows: without a function that tells who is signed in, a text may be a
// user's: it is one session for all who have it, and a sign-out there holds.
func TestMigrateOneTextOfNobodyKnows(t *testing.T) {
	from := gincookie.NewStore(kittest.TestSecret)
	after := kittest.NewSite(store.Migrate(from, memstore.New(), oldCookie), sessionkit.Config{})
	after.On("/user", func(c *gin.Context) { c.JSON(http.StatusOK, sessions.Default(c).Get("user_id")) })
	after.On("/clear", func(c *gin.Context) { sessions.Default(c).Clear() })
	b, held := twins(t, visited(t, from, "/login"), after)
	require.Equal(t, "42", b.Get("/user").Body.String())
	h := hold(after, "/held", func(c *gin.Context) { kittest.Name.Set(c, "Grace") })
	h.during(held, "/held", func() { b.Get("/clear") })
	assert.Equal(t, "null", b.Get("/user").Body.String())
	assert.Equal(t, "null", held.Get("/user").Body.String())
}

// TestMigrateOneTextExpires: that one browser's session has expired takes nothing from another.
func TestMigrateOneTextExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := gincookie.NewStore(kittest.TestSecret), memstore.New()
		from.Options(sessions.Options{Path: "/"})
		defer func() { require.NoError(t, to.Close()) }()
		anna, bert := twins(t, visited(t, from, "/visit"), moveSite(from, to, sessionkit.Config{IdleTimeout: time.Hour}))
		anna.Get("/increment")
		for range 3 {
			time.Sleep(24 * time.Hour)
			assert.Equal(t, "7", count(bert))
		}
		assert.Equal(t, "0", count(anna))
	})
}

// TestMigrateOneTextWithoutAnAnswer: a sign-in or renewal whose answer from the store is lost stands, or
// leaves the text as it was.
func TestMigrateOneTextWithoutAnAnswer(t *testing.T) {
	for title, lands := range map[string]func(update func()){
		"carried out":      func(update func()) { update() },
		"carried out late": func(update func()) { time.AfterFunc(3*time.Second, update) },
		"not carried out":  func(func()) {},
	} {
		for path, user := range map[string]string{"/login": "42", "/renew": ""} {
			t.Run(title+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := &lostUpdate{Backend: kittest.NewBackend()}
					from, to := gincookie.NewStore(kittest.TestSecret), store.New(b, store.Config{Timeout: -1})
					anna, bert := twins(t, visited(t, from, "/visit"), moveSite(from, to))
					anna.Get("/increment")
					b.lands = lands
					code, want := bert.Get(path).Code, http.StatusOK
					if title != "carried out" {
						user, want = "", http.StatusServiceUnavailable
					}
					assert.Equal(t, want, code)
					time.Sleep(3 * time.Minute)
					assert.Equal(t, "7", count(bert))
					assert.Equal(t, user, bert.Get("/").Body.String())
					assert.Equal(t, user != "", len(kittest.UserSessions(t, to, "42")) == 1)
					assert.Equal(t, "8", count(anna))
					require.NoError(t, to.Close())
				})
			})
		}
	}
}

// lostUpdate is a backend that loses the answer to the next conditional Update.
type lostUpdate struct {
	store.Backend
	lands func(update func()) // what becomes of it; nil: none is lost
}

func (b *lostUpdate) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	lands := b.lands
	if lands == nil || c.If == nil {
		return b.Backend.Update(ctx, id, c)
	}
	b.lands = nil
	lands(func() { _, _ = b.Backend.Update(context.WithoutCancel(ctx), id, c) })
	return store.Outcome{}, kittest.ErrDown
}

// TestMigrateOneTextSignsIn: a request that was sent before a sign-in sets no cookie over it,
// whether or not the text has been a session before.
func TestMigrateOneTextSignsIn(t *testing.T) {
	for title, first := range map[string]func(bert *kittest.Browser){
		"first": func(*kittest.Browser) {},
		"after another visitor's": func(bert *kittest.Browser) {
			bert.Get("/increment")
			time.Sleep(time.Hour)
		},
	} {
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, to := gincookie.NewStore(kittest.TestSecret), memstore.New()
				defer func() { require.NoError(t, to.Close()) }()
				after := moveSite(from, to)
				anna, bert := twins(t, visited(t, from, "/visit"), after)
				first(bert)
				h := hold(after, "/held", func(c *gin.Context) { kittest.Name.Set(c, "Grace") })
				late := anna.Fork()
				w := h.during(late, "/held", func() {
					require.Equal(t, http.StatusOK, anna.Get("/login").Code)
				})
				assert.Empty(t, kittest.SetCookies(w))
				assert.Equal(t, "42", anna.Get("/").Body.String())
				assert.Equal(t, "7", count(anna), "the sign-in takes the values along")
				later := late.Get("/increment")
				assert.Empty(t, kittest.SetCookies(later))
				if bert.Session() != "" {
					assert.Equal(t, "8", count(bert))
					assert.Empty(t, bert.Get("/").Body.String())
				}
			})
		})
	}
}

// TestMigrateOneTextBeside: changes of two requests that move a text at the same time are as they
// were with the old store: each answer has all values, and the browser keeps one of them.
func TestMigrateOneTextBeside(t *testing.T) {
	from := gincookie.NewStore(kittest.TestSecret)
	after := moveSite(from, memstore.New())
	before := visited(t, from, "/visit")
	h := hold(after, "/held", func(c *gin.Context) { kittest.Name.Set(c, "Grace") })
	first, second := before.At(after), before.At(after)
	w := h.during(first, "/held", func() { second.Get("/increment") })
	require.Equal(t, http.StatusOK, w.Code)
	assert.NotEqual(t, second.Session(), first.Session())
	assert.JSONEq(t, `{"name":"Grace","count":7,"cart":[{"Name":"tea","N":2}],"flashes":[{"level":"info","text":"Saved"}]}`, first.Get("/values").Body.String())
	assert.JSONEq(t, `{"name":"Ada","count":8,"cart":[{"Name":"tea","N":2}],"flashes":[{"level":"info","text":"Saved"}]}`, second.Get("/values").Body.String())
}

// TestMigrateTextAfterASignIn: once somebody has signed in by a visitor's text it opens nothing, also when no trace of
// that sign-in is left.
func TestMigrateTextAfterASignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := gincookie.NewStore(kittest.TestSecret), memstore.New()
		before := visited(t, from, "/visit")
		after := moveSite(from, to)
		b := before.At(after)
		b.Get("/login")
		b.Get("/logout")
		for range 2 {
			assert.JSONEq(t, `{"n":0,"ok":false}`, before.At(after).Get("/count").Body.String())
			time.Sleep(2 * time.Hour)
		}
		require.NoError(t, to.Close())
	})
}
