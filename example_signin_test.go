package sessionkit_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// checkPassword stands for the application's own.
func checkPassword(name, password string) (id string, ok bool) {
	return "42", name == "" && password == ""
}

func ExampleLogin() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.POST("/login", func(c *gin.Context) {
		id, ok := checkPassword(c.PostForm("name"), c.PostForm("password"))
		if !ok {
			c.String(http.StatusUnauthorized, "wrong name or password")
			return
		}
		sessionkit.Login(c, id)
		c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/"))
	})
	r.GET("/", func(c *gin.Context) {
		user, ok := sessionkit.User(c)
		c.String(http.StatusOK, "%q, %v", user, ok)
	})

	visit := newVisitor(r)
	visit("GET", "/")
	visit("POST", "/login")
	visit("GET", "/")
	// Output:
	// GET /: 200 "", false
	// POST /login: 303 to /
	// GET /: 200 "42", true
}

func ExampleRequireSession() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.GET("/login", func(c *gin.Context) { c.String(http.StatusOK, "why: %s", c.Query("reason")) })
	account := r.Group("/account", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"}))
	account.GET("", func(c *gin.Context) { c.String(http.StatusOK, "for users") })

	for _, accept := range []string{"text/html", "application/json"} {
		request := httptest.NewRequest(http.MethodGet, "https://example.com/account", nil)
		request.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, request)
		fmt.Println(w.Code, w.Header().Get("Location"))
	}
	// Output:
	// 303 /login?next=%2Faccount&reason=not-signed-in
	// 401
}

func ExampleNextURL() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.POST("/login", func(c *gin.Context) { c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/account")) })

	visit := newVisitor(r)
	visit("POST", "/login?next=/orders/7")
	visit("POST", "/login?next=//elsewhere.example")
	visit("POST", "/login")
	// Output:
	// POST /login?next=/orders/7: 303 to /orders/7
	// POST /login?next=//elsewhere.example: 303 to /account
	// POST /login: 303 to /account
}

func ExampleCurrent() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
	r.GET("/session", func(c *gin.Context) {
		s := sessionkit.Current(c)
		c.String(http.StatusOK, "%s, until %v from now", s.User, time.Until(s.ExpiresAt).Round(time.Minute))
	})

	visit := newVisitor(r)
	visit("POST", "/login")
	visit("GET", "/session")
	// Output:
	// POST /login: 200
	// GET /session: 200 42, until 1h0m0s from now
}

// A stream ends when its user signs out elsewhere.
func ExampleDone() {
	s := memstore.New()
	r := gin.New()
	r.Use(sessionkit.Sessions(s))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
	r.GET("/news", sessionkit.RequireSession(), func(c *gin.Context) {
		_, _ = s.RevokeAll(c, "42") // as another request would do it
		select {
		case <-sessionkit.Done(c):
			c.String(http.StatusOK, "signed out")
		case <-c.Request.Context().Done(): // the client has gone
		}
	})

	visit := newVisitor(r)
	visit("POST", "/login")
	visit("GET", "/news")
	// Output:
	// POST /login: 200
	// GET /news: 200 signed out
}

// Where the store cannot be read, a page for everybody can do without it.
func ExampleErr() {
	s := sessionkittest.NewStore()
	r := gin.New()
	r.Use(sessionkit.Sessions(s))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
	r.GET("/", func(c *gin.Context) {
		if err := sessionkit.Err(c); err != nil {
			c.String(http.StatusOK, "hello, whoever you are")
			return
		}
		user, _ := sessionkit.User(c)
		c.String(http.StatusOK, "hello, %s", user)
	})

	visit := newVisitor(r)
	visit("POST", "/login")
	visit("GET", "/")
	s.FailReads(errors.New("the database is down"))
	visit("GET", "/")
	// Output:
	// POST /login: 200
	// GET /: 200 hello, 42
	// GET /: 200 hello, whoever you are
}

func ExampleSetCookie() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.GET("/set", func(c *gin.Context) {
		if err := sessionkit.SetCookie(c, "tip-"+c.Query("n"), "seen"); err != nil {
			c.String(http.StatusBadRequest, err.Error())
		}
	})
	r.GET("/get", func(c *gin.Context) {
		text, err := sessionkit.GetCookie(c, "tip-7")
		c.String(http.StatusOK, "%s %v", text, err)
	})

	visit := newVisitor(r)
	visit("GET", "/set?n=7")
	visit("GET", "/get")
	// Output:
	// GET /set?n=7: 200
	// GET /get: 200 seen <nil>
}

// Scripts and mobile applications bring their session in a header.
func ExampleConfig_tokenHeader() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{TokenHeader: "Authorization"}))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
	r.GET("/me", sessionkit.RequireSession(), func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		c.String(http.StatusOK, user)
	})

	token := "Bearer" // there is none yet
	for _, call := range [][2]string{{"POST", "/login"}, {"GET", "/me"}} {
		request := httptest.NewRequest(call[0], "https://example.com"+call[1], nil)
		request.Header.Set("Authorization", token)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, request)
		if given := w.Header().Get("Authorization"); given != "" {
			token = given
		}
		fmt.Printf("%d %q\n", w.Code, w.Body)
	}
	// Output:
	// 200 ""
	// 200 "42"
}

// storePassword stands for the application's own.
func storePassword(_ *gin.Context, _, _ string) error { return nil }

// A changed password ends the user's other sessions.
func ExampleLogoutOthers() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
	r.POST("/password", sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: 5 * time.Minute}), func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		if err := storePassword(c, user, c.PostForm("new")); err != nil {
			c.AbortWithStatus(http.StatusInternalServerError)
			return
		}
		if err := sessionkit.LogoutOthers(c); err != nil { // the password is changed, but others may still be signed in
			c.AbortWithStatus(http.StatusServiceUnavailable)
			return
		}
		c.Redirect(http.StatusSeeOther, "/")
	})
	r.GET("/", func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		c.String(http.StatusOK, "user %q", user)
	})

	laptop, phone := newVisitor(r), newVisitor(r)
	laptop("POST", "/login")
	phone("POST", "/login")
	laptop("POST", "/password")
	laptop("GET", "/")
	phone("GET", "/")
	// Output:
	// POST /login: 200
	// POST /login: 200
	// POST /password: 303 to /
	// GET /: 200 user "42"
	// GET /: 200 user ""
}

// A forgotten password: whoever follows the link in the e-mail is signed in, and
// nobody else is any more.
func ExampleAttempt() {
	accounts := memstore.New()
	r := gin.New()
	r.Use(sessionkit.Sessions(accounts))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
	r.POST("/reset", func(c *gin.Context) {
		const user = "42" // the link names the account
		if err := storePassword(c, user, c.PostForm("new")); err != nil {
			c.AbortWithStatus(http.StatusInternalServerError)
			return
		}
		if _, err := accounts.RevokeAll(c, user); err != nil {
			c.AbortWithStatus(http.StatusServiceUnavailable)
			return
		}
		sessionkit.Login(c, user, sessionkit.Attempt(c, user))
		c.Redirect(http.StatusSeeOther, "/")
	})
	r.GET("/", func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		c.String(http.StatusOK, "user %q", user)
	})

	thief, owner := newVisitor(r), newVisitor(r)
	thief("POST", "/login")
	owner("POST", "/reset")
	owner("GET", "/")
	thief("GET", "/")
	// Output:
	// POST /login: 200
	// POST /reset: 303 to /
	// GET /: 200 user "42"
	// GET /: 200 user ""
}

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
