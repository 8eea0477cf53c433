package sessionkit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// A sign-in over HTTPS offers the browser to bind the session to its device. The
// middleware does all the rest.
func ExampleConfig_deviceBound() {
	store := memstore.New()
	r := gin.New()
	r.Use(sessionkit.Sessions(store, sessionkit.Config{DeviceBound: true}))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })

	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "https://example.com/login", nil))
	offer := w.Header().Get("Secure-Session-Registration")
	fmt.Println(offer[:len(`(ES256 RS256);path="/dbsc/register"`)])
	// Output: (ES256 RS256);path="/dbsc/register"
}
