package ginstores_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

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
	for title, after := range map[string]*kittest.Site{
		"of visitors": moveSite(from, memstore.New()),
		"of which nobody knows who they are": func() *kittest.Site {
			a := kittest.NewSite(store.Migrate(from, memstore.New(), oldCookie), sessionkit.Config{})
			a.On("/count", kittest.ShowCount)
			a.On("/increment", kittest.Increment)
			a.On("/login", kittest.SignIn("42"))
			a.On("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
			a.On("/", kittest.Whoami)
			return a
		}(),
	} {
		t.Run(title, func(t *testing.T) {
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

			anna.Get("/logout")
			assert.Equal(t, "0", count(carol), "the first session of the text has ended")
			assert.Equal(t, "42", bert.Get("/").Body.String())
		})
	}
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
