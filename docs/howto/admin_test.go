package howto_test

import (
	"net/http"
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

func TestAdministration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		defer func() { assert.NoError(t, store.Close()) }()
		r := gin.New()
		r.Use(sessionkit.Sessions(store))
		r.GET("/", whoami)
		admins := map[string]bool{"root": true}
		howto.Administration(r, store, func(user string) bool { return admins[user] })
		client := sessionkittest.As(t, r, "42")

		w := client.Get("/admin")
		assert.Equal(t, "/admin/login?next=%2Fadmin&reason=not-signed-in", w.Header().Get("Location"), "a sign-in as a user is none as an administrator")
		client.Post("/admin/login", form("user", "43"))
		assert.Equal(t, http.StatusForbidden, client.Get("/admin").Code)
		w = client.Post("/admin/login", form("user", "root"))
		assert.Equal(t, "/admin", w.Header().Get("Location"))
		assert.Equal(t, http.StatusOK, client.Get("/admin").Code)
		assert.Equal(t, "42", client.Get("/").Body.String(), "both at the same time")

		admins["root"] = false
		assert.Equal(t, http.StatusForbidden, client.Get("/admin").Code)
		admins["root"] = true
		time.Sleep(20 * time.Minute)
		assert.Equal(t, "/admin/login?next=%2Fadmin&reason=expired", client.Get("/admin").Header().Get("Location"))
		assert.Equal(t, "42", client.Get("/").Body.String())
	})
}

func TestOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		defer func() { assert.NoError(t, store.Close()) }()
		r := gin.New()
		r.Use(sessionkit.Sessions(store))
		r.GET("/", whoami)
		howto.OneSession(r, func(user string) bool { return user == "root" })
		user, root := sessionkittest.Visitor(t, r), sessionkittest.Visitor(t, r)
		user.Post("/login", form("user", "42"))
		root.Post("/login", form("user", "root"))
		assert.Equal(t, "root", root.Get("/").Body.String())
		time.Sleep(20 * time.Minute)
		assert.Equal(t, "42", user.Get("/").Body.String())
		assert.Empty(t, root.Get("/").Body.String())
	})
}
