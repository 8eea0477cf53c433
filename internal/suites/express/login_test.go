package express_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// What the guide begins with.
func Example_login() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))

	r.POST("/login", func(c *gin.Context) {
		sessionkit.Login(c, "42")
		c.Redirect(http.StatusSeeOther, "/account")
	})

	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "https://example.com/login", nil))
	fmt.Println(w.Code, w.Header().Get("Location"), len(w.Header()["Set-Cookie"]))
	// Output: 303 /account 1
}
