package howto_test

import (
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

func TestThrottledLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		defer func() { assert.NoError(t, store.Close()) }()
		r := gin.New()
		r.Use(sessionkit.Sessions(store))
		howto.ThrottledLogin(r, new(howto.Throttle), func(_, password string) bool { return password == "right" })

		client := sessionkittest.Visitor(t, r)
		for _, want := range []string{`{"forgotten":false}`, `{"forgotten":false}`, `{"forgotten":true}`} {
			w := client.Post("/login", form("user", "ada", "password", "wrong"))
			assert.Equal(t, http.StatusUnauthorized, w.Code)
			assert.JSONEq(t, want, w.Body.String())
		}
		w := sessionkittest.Visitor(t, r).Post("/login", form("user", "ada", "password", "wrong"))
		assert.JSONEq(t, `{"forgotten":false}`, w.Body.String(), "whoever drops the cookie begins anew")

		assert.Equal(t, http.StatusSeeOther, client.Post("/login", form("user", "ada", "password", "right")).Code)
		assert.Equal(t, "ada", client.Session().User)
		w = sessionkittest.Visitor(t, r).Post("/login", form("user", "ada", "password", "right"))
		assert.Equal(t, http.StatusTooManyRequests, w.Code, "but not with the account, nor with the address")
		assert.Equal(t, "60", w.Header().Get("Retry-After"))
		assert.Equal(t, http.StatusTooManyRequests, client.Post("/login", form("user", "bob", "password", "right")).Code)
		time.Sleep(time.Minute)
		assert.Equal(t, http.StatusSeeOther, client.Post("/login", form("user", "ada", "password", "right")).Code)

		time.Sleep(time.Hour)
		for i := range 5 {
			w := client.Post("/login", form("user", strconv.Itoa(i), "password", "wrong"))
			assert.Equal(t, http.StatusUnauthorized, w.Code)
		}
		assert.Equal(t, http.StatusTooManyRequests, client.Post("/login", form("user", "ada", "password", "right")).Code)
	})
}
