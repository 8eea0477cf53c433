package reliability_test

import (
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// The values of a session.
var (
	counter = sessionkit.NewKey[int]("counter")
	others  = [3]sessionkit.Key[int]{
		sessionkit.NewKey[int]("first"), sessionkit.NewKey[int]("second"), sessionkit.NewKey[int]("third"),
	}
)

// state is what the application answers: the session as the handler saw it.
type state struct {
	User    string   `json:"user"`
	ID      string   `json:"id"`
	Counter int      `json:"counter"`
	Others  [3]int   `json:"others"`
	Devices []string `json:"devices,omitempty"`
}

// brief is the life of sessions under /brief.
const (
	briefIdle = 300 * time.Millisecond
	briefLife = 700 * time.Millisecond
)

// newApp returns an application with a route for each thing that can be done to a
// session. The routes under /brief are the same with sessions of a short life.
func newApp(s sessions.Store) http.Handler {
	app := gin.New()
	routes(app.Group("/long", sessionkit.Sessions(s, sessionkit.Config{OnError: ignore})))
	routes(app.Group("/brief", sessionkit.Sessions(s, sessionkit.Config{
		Name: "brief", IdleTimeout: briefIdle, Lifetime: briefLife, OnError: ignore,
	})))
	return app
}

func ignore(*gin.Context, error) {}

func routes(r *gin.RouterGroup) {
	r.POST("/login", func(c *gin.Context) {
		sessionkit.Login(c, c.Query("user"))
		answer(c)
	})
	r.POST("/held", heldSignIn)
	r.GET("/arrived", func(c *gin.Context) { <-arrival(c) })
	r.POST("/visit", increment) // it asks nobody who they are
	r.POST("/slow", func(c *gin.Context) {
		n, _ := counter.Get(c)
		time.Sleep(time.Millisecond)
		counter.Set(c, n+1)
		answer(c)
	})
	signedIn := r.Group("", sessionkit.RequireSession())
	signedIn.GET("/state", answer)
	signedIn.GET("/stream", stream)
	signedIn.POST("/increment", increment)
	signedIn.POST("/set", func(c *gin.Context) {
		key, _ := strconv.Atoi(c.Query("key"))
		value, _ := strconv.Atoi(c.Query("value"))
		others[key].Set(c, value)
		answer(c)
	})
	signedIn.POST("/renew", func(c *gin.Context) {
		sessionkit.Renew(c)
		answer(c)
	})
	signedIn.POST("/logout", func(c *gin.Context) {
		s := current(c)
		sessionkit.Logout(c)
		reply(c, s, nil)
	})
	signedIn.GET("/devices", func(c *gin.Context) {
		devices, err := sessionkit.Devices(c)
		s := current(c)
		for _, d := range devices {
			s.Devices = append(s.Devices, d.ID)
		}
		reply(c, s, err)
	})
	signedIn.POST("/revoke", func(c *gin.Context) {
		reply(c, current(c), sessionkit.Revoke(c, c.Query("id")))
	})
	signedIn.POST("/others", func(c *gin.Context) {
		reply(c, current(c), sessionkit.LogoutOthers(c))
	})
	signedIn.POST("/everywhere", func(c *gin.Context) {
		reply(c, current(c), sessionkit.LogoutEverywhere(c))
	})
}

// arrivals are closed when a sign-in that is held has come so far, by its name.
var arrivals sync.Map

func arrival(c *gin.Context) chan struct{} {
	arrived, _ := arrivals.LoadOrStore(c.Query("name"), make(chan struct{}))
	return arrived.(chan struct{})
}

// heldSignIn signs in, and waits before or after that until its client has sent the
// whole body: so a test in another process can say when it goes on.
func heldSignIn(c *gin.Context) {
	wait := func(when string) {
		if c.Query("when") == when {
			close(arrival(c))
			_, _ = io.Copy(io.Discard, c.Request.Body)
		}
	}
	wait("before")
	sessionkit.Login(c, c.Query("user"))
	wait("after")
	answer(c)
}

func increment(c *gin.Context) {
	n, _ := counter.Get(c)
	counter.Set(c, n+1)
	answer(c)
}

func current(c *gin.Context) (s state) {
	s.User, _ = sessionkit.User(c)
	s.ID = sessionkit.Current(c).ID
	s.Counter, _ = counter.Get(c)
	for i, key := range others {
		s.Others[i], _ = key.Get(c)
	}
	return s
}

func answer(c *gin.Context) { c.JSON(http.StatusOK, current(c)) }

// stream stays until the session ends.
func stream(c *gin.Context) {
	c.Status(http.StatusOK)
	c.Writer.Flush()
	select {
	case <-sessionkit.Done(c):
		_, _ = c.Writer.WriteString("{}")
	case <-c.Request.Context().Done():
	}
}

// reply answers, as an application should, that what failed may be tried again.
func reply(c *gin.Context, s state, err error) {
	if err != nil {
		c.Header("Retry-After", "1")
		c.AbortWithStatus(http.StatusServiceUnavailable)
		return
	}
	c.JSON(http.StatusOK, s)
}
