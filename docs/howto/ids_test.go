package howto_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

func TestUserIDs(t *testing.T) {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	client := sessionkittest.Visitor(t, r)
	id := uuid.New()
	within := func(f func(c *gin.Context)) { client.Within(f) }

	within(func(c *gin.Context) {
		_, ok := howto.UserID(c)
		assert.False(t, ok, "nobody is signed in")
		_, ok = howto.UserUUID(c)
		assert.False(t, ok)
		howto.LoginID(c, 42)
	})
	within(func(c *gin.Context) {
		n, ok := howto.UserID(c)
		assert.True(t, ok)
		assert.EqualValues(t, 42, n)
		howto.LoginUUID(c, id)
	})
	within(func(c *gin.Context) {
		got, ok := howto.UserUUID(c)
		assert.True(t, ok)
		assert.Equal(t, id, got)
	})
}

func TestJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		defer func() { assert.NoError(t, s.Close()) }()
		r := gin.New()
		r.Use(sessionkit.Sessions(s))
		goOn := make(chan error)
		r.POST("/report", func(c *gin.Context) {
			howto.StartJob(c, s, func(context.Context) error { return <-goOn })
		})
		client := sessionkittest.As(t, r, "42")
		for _, result := range []error{nil, errors.New("no paper")} {
			assert.Equal(t, http.StatusAccepted, client.Post("/report", nil).Code)
			goOn <- result
			synctest.Wait()
		}
		notices, _ := sessionkittest.Value(client, howto.Notices)
		assert.Equal(t, []string{"Your report is ready.", "Your report failed."}, notices)
	})
}

// TestNoticesWaitForAPage that somebody sees: one that the browser fetches ahead takes none.
func TestNoticesWaitForAPage(t *testing.T) {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.GET("/", func(c *gin.Context) { c.JSON(http.StatusOK, howto.TakeNotices(c)) })
	client := sessionkittest.As(t, r, "42", sessionkittest.With(howto.Notices, []string{"Your report is ready."}))
	for _, header := range [][2]string{
		{"Sec-Purpose", "prefetch"}, {"Sec-Purpose", "prefetch;prerender"}, {"Purpose", "prefetch"}, {"X-Sec-Purpose", "prefetch"}, {"HX-Preloaded", "true"},
	} {
		ahead := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		ahead.Header.Set(header[0], header[1])
		assert.JSONEq(t, "null", client.Do(ahead).Body.String(), header)
	}
	assert.JSONEq(t, `["Your report is ready."]`, client.Get("/").Body.String())
	assert.JSONEq(t, "null", client.Get("/").Body.String())
}

// TestJobOfANewSession: the job tells the session that its request has begun, or signed
// in to.
func TestJobOfANewSession(t *testing.T) {
	begin := func(c *gin.Context) { howto.Name.Set(c, "Ada") }
	signIn := func(c *gin.Context) { sessionkit.Login(c, "42") }
	for name, test := range map[string]struct {
		change func(*gin.Context)
		before []sessionkittest.Option
	}{
		"begun":                   {begin, nil},
		"signed in":               {signIn, nil},
		"signed in, was there":    {signIn, []sessionkittest.Option{sessionkittest.With(howto.Cart, []string{"tea"})}},
		"a visitor's, is renewed": {sessionkit.Renew, []sessionkittest.Option{sessionkittest.With(howto.Cart, []string{"tea"})}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := memstore.New()
				defer func() { assert.NoError(t, s.Close()) }()
				r := gin.New()
				r.Use(sessionkit.Sessions(s))
				goOn := make(chan error)
				r.POST("/report", func(c *gin.Context) {
					test.change(c)
					howto.StartJob(c, s, func(context.Context) error { return <-goOn })
				})
				client := sessionkittest.Visitor(t, r, test.before...)
				assert.Equal(t, http.StatusAccepted, client.Post("/report", nil).Code)
				goOn <- nil
				synctest.Wait()
				notices, _ := sessionkittest.Value(client, howto.Notices)
				assert.Equal(t, []string{"Your report is ready."}, notices)
			})
		})
	}
}

// TestNoJobOfAFailedRequest: whoever is told to try again starts one job, not two.
func TestNoJobOfAFailedRequest(t *testing.T) {
	s := sessionkittest.NewStore()
	r := gin.New()
	r.Use(sessionkit.Sessions(s, sessionkit.Config{OnError: func(*gin.Context, error) {}}))
	r.POST("/report", func(c *gin.Context) {
		howto.Name.Set(c, "Ada")
		howto.StartJob(c, s.Store, func(context.Context) error {
			t.Error("the job has begun")
			return nil
		})
	})
	client := sessionkittest.As(t, r, "42")
	s.FailWrites(errors.New("out of order"))
	assert.Equal(t, http.StatusServiceUnavailable, client.Post("/report", nil).Code)
}

func TestShowSessions(t *testing.T) {
	store := sessionkittest.NewStore()
	r := gin.New()
	r.Use(sessionkit.Sessions(store))
	r.GET("/sessions", howto.ShowSessions(store.Store))
	for range 120 {
		sessionkittest.As(t, r, "42")
	}
	sessionkittest.Visitor(t, r, sessionkittest.With(howto.Cart, []string{"tea"}))
	w := sessionkittest.Visitor(t, r).Get("/sessions")
	var page struct {
		SignedIn int                  `json:"signed_in"`
		Sessions []sessionkit.Session `json:"sessions"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &page))
	assert.Equal(t, 120, page.SignedIn)
	assert.Len(t, page.Sessions, 100)
	assert.Equal(t, "42", page.Sessions[0].User)

	store.FailReads(errors.New("out of order"))
	assert.Equal(t, http.StatusServiceUnavailable, sessionkittest.Visitor(t, r).Get("/sessions").Code)
}
