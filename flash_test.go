package sessionkit_test

import (
	"context"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strconv"
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

// TestTypedFlashesThatCameMeanwhile: also those are taken that another request has left,
// or put in another place, since this one has read the session.
func TestTypedFlashesThatCameMeanwhile(t *testing.T) {
	typed := sessionkit.NewFlash[int]("typed")
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	b := kittest.NewBrowser(t, a)
	a.On("/login", kittest.SignIn("42"))
	a.On("/add", func(c *gin.Context) {
		typed.Add(c, 2)
		if c.Query("renew") != "" {
			sessionkit.Renew(c)
		}
	})
	a.On("/take", func(c *gin.Context) {
		typed.Add(c, 3)
		kittest.Count.Get(c)
		b.Get("/add?renew=" + c.Query("renew"))
		c.Header("X-Taken", fmt.Sprint(typed.Take(c)))
	})
	a.On("/take-own", func(c *gin.Context) {
		kittest.Count.Get(c)
		b.Get("/take")
		c.Header("X-Taken", fmt.Sprint(typed.Take(c)))
	})
	for _, renew := range []string{"", "1"} {
		b.Get("/login")
		b.Get("/add")
		assert.Equal(t, "[2 3 2]", b.Get("/take?renew="+renew).Header().Get("X-Taken"), renew)
		b.Get("/add")
		assert.Equal(t, "[]", b.Get("/take-own").Header().Get("X-Taken"), "another request was faster")
	}
	assert.Empty(t, a.Errors())
}

func TestFlashMessageAsJSON(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/", func(c *gin.Context) {
		sessionkit.FlashNow(c, sessionkit.Info, "x")
		c.JSON(http.StatusOK, sessionkit.Flashes(c))
	})
	w := kittest.NewBrowser(t, a).Get("/")
	require.Equal(t, http.StatusOK, w.Code)
	assert.JSONEq(t, `[{"level":"info","text":"x"}]`, w.Body.String())
	assert.Empty(t, w.Header()["Set-Cookie"], "FlashNow stores nothing")
}

// TestFlashNowAsksNoStore: nor does it need one that works.
func TestFlashNowAsksNoStore(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/", func(c *gin.Context) {
		sessionkit.FlashNow(c, sessionkit.Warning, "maintenance tonight")
		c.String(http.StatusOK, "page")
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	s.Called()
	s.Failing(kittest.ErrDown, "load")
	w := b.Get("/")
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Empty(t, w.Header()["Vary"])
	assert.Empty(t, s.Called())
}

// TestFlashNowIsReadOnce: by the next call of Flashes, as the stored messages are.
func TestFlashNowIsReadOnce(t *testing.T) {
	kittest.Within(t, sessionkit.Config{}, nil, func(c *gin.Context) {
		sessionkit.Flash(c, sessionkit.Info, "stored")
		sessionkit.FlashNow(c, sessionkit.Warning, "now")
		assert.Equal(t, []sessionkit.FlashMessage{{Level: sessionkit.Info, Text: "stored"}, {Level: sessionkit.Warning, Text: "now"}}, sessionkit.Flashes(c))
		assert.Empty(t, sessionkit.Flashes(c))
	})
}

func TestKeptFlashesStayInOrder(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/add", func(c *gin.Context) {
		sessionkit.Flash(c, sessionkit.Info, "one")
		sessionkit.Flash(c, sessionkit.Info, "two")
	})
	a.On("/keep", func(c *gin.Context) {
		sessionkit.Flashes(c)
		sessionkit.Flash(c, sessionkit.Info, "three")
		sessionkit.KeepFlashes(c)
		sessionkit.Flash(c, sessionkit.Info, "four")
	})
	a.On("/read", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Flashes(c)) })
	b := kittest.NewBrowser(t, a)
	b.Get("/add")
	b.Get("/keep")
	assert.Regexp(t, "one.*two.*three.*four", b.Get("/read").Body.String())
}

// TestManyFlashes: 64 times as many messages do not take the square of that as long to
// read, also if another one is left.
func TestManyFlashes(t *testing.T) {
	const few, many, tolerated = 800, 64 * 800, 24 * 64 // large maps are slower than small ones
	a := kittest.NewSite(memstore.New(memstore.Config{Store: store.Config{MaxBytes: 64 << 20}}), sessionkit.Config{})
	left := 0
	a.On("/add", func(c *gin.Context) {
		for i := range left {
			sessionkit.Flash(c, sessionkit.Info, strconv.Itoa(i))
		}
	})
	a.On("/read", func(c *gin.Context) {
		c.Header("X-Count", strconv.Itoa(len(sessionkit.Flashes(c))))
		sessionkit.Flash(c, sessionkit.Info, "another")
		if c.Query("fails") != "" {
			c.Status(http.StatusBadGateway)
		}
	})
	typed := sessionkit.NewFlash[int]("typed")
	a.On("/add-typed", func(c *gin.Context) {
		for i := range left {
			typed.Add(c, i)
		}
	})
	a.On("/take", func(c *gin.Context) {
		c.Header("X-Count", strconv.Itoa(len(typed.Take(c))))
		typed.Add(c, 1)
	})
	for read, add := range map[string]string{"/read": "/add", "/read?fails=1": "/add", "/take": "/add-typed"} {
		took := func(n int) time.Duration {
			b := kittest.NewBrowser(t, a)
			left = n
			b.Get(add)
			start := time.Now()
			w := b.Get(read)
			require.Equal(t, strconv.Itoa(n), w.Header().Get("X-Count"))
			return time.Since(start)
		}
		forFew, forMany := took(few), took(many)
		for tries := 0; tries < 10 && forMany > tolerated*forFew; tries++ { // the machine may have been busy
			forFew, forMany = min(forFew, took(few)), min(forMany, took(many))
		}
		assert.LessOrEqual(t, forMany, tolerated*forFew, read)
	}
}

// TestFlashesOfAPageThatNobodyWaitedFor: whoever leaves a page before it comes sees its messages
// on the next one.
func TestFlashesOfAPageThatNobodyWaitedFor(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/do", func(c *gin.Context) {
		sessionkit.Flash(c, sessionkit.Success, "Saved.")
		sessionkit.Flash(c, sessionkit.Info, "See you.")
	})
	a.On("/", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Flashes(c)) })
	b := kittest.NewBrowser(t, a)
	b.Get("/do")
	ctx, leave := context.WithCancel(t.Context())
	leave()
	b.Do(b.Request(http.MethodGet, "/").WithContext(ctx))
	const messages = `[{"level":"success","text":"Saved."},{"level":"info","text":"See you."}]`
	assert.JSONEq(t, messages, b.Get("/").Body.String())
	assert.JSONEq(t, "null", b.Get("/").Body.String())
}

// TestFlashesOfAFailedPage: a page that read the messages and then failed has shown none of them. The
// next one does, each once.
func TestFlashesOfAFailedPage(t *testing.T) {
	recovery := gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) { c.AbortWithStatus(http.StatusInternalServerError) })
	onError := func(c *gin.Context) {
		if c.Next(); len(c.Errors) > 0 && !c.Writer.Written() {
			c.Status(http.StatusInternalServerError)
		}
	}
	fails := map[string]gin.HandlerFunc{
		"a status":           func(c *gin.Context) { c.AbortWithStatus(http.StatusInternalServerError) },
		"another page":       func(c *gin.Context) { c.String(http.StatusBadGateway, "Sorry.") },
		"a panic":            func(*gin.Context) { panic("oops") },
		"a lacking template": func(c *gin.Context) { c.HTML(http.StatusOK, "lacking", nil) },
	}
	kit := func() gin.HandlerFunc { return sessionkit.Sessions(memstore.New()) }
	for order, chain := range map[string]gin.HandlersChain{"in front": {recovery, kit(), onError}, "behind": {kit(), onError, recovery}} {
		for name, fail := range fails {
			for _, gone := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, a recovery %s, client gone: %t", name, order, gone), func(t *testing.T) {
					r := gin.New()
					r.SetHTMLTemplate(template.Must(template.New("page").Parse("")))
					r.Use(chain...)
					r.GET("/do", func(c *gin.Context) {
						sessionkit.Flash(c, sessionkit.Success, "Saved.")
						sessions.Default(c).AddFlash("See you.")
					})
					r.GET("/fail", func(c *gin.Context) { _ = sessionkit.Flashes(c) }, fail)
					r.GET("/", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Flashes(c)) })
					b := kittest.NewBrowser(t, r)
					b.Get("/do")
					ctx, leave := context.WithCancel(t.Context())
					defer leave()
					if gone {
						leave()
					}
					assert.GreaterOrEqual(t, b.Do(b.Request(http.MethodGet, "/fail").WithContext(ctx)).Code, http.StatusInternalServerError)
					assert.JSONEq(t, `[{"level":"info","text":"See you."},{"level":"success","text":"Saved."}]`, b.Get("/").Body.String())
					assert.JSONEq(t, "null", b.Get("/").Body.String())
				})
			}
		}
	}
}

// TestFailedPageLeavesMessagesAsTheyAre: it writes nothing, so they are not there twice if the pages of
// two tabs fail, and do not come back if another tab has shown them meanwhile.
func TestFailedPageLeavesMessagesAsTheyAre(t *testing.T) {
	back := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(back), sessionkit.Config{})
	var meanwhile func()
	a.On("/do", func(c *gin.Context) {
		sessionkit.Flash(c, sessionkit.Success, "Saved.")
		sessions.Default(c).AddFlash("See you.")
	})
	a.On("/fail", func(c *gin.Context) {
		_ = sessionkit.Flashes(c)
		meanwhile()
		c.Status(http.StatusBadGateway)
	})
	a.On("/save-and-fail", func(c *gin.Context) {
		_ = sessionkit.Flashes(c)
		assert.NoError(t, sessions.Default(c).Save())
		c.Status(http.StatusBadGateway)
	})
	a.On("/", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Flashes(c)) })
	b := kittest.NewBrowser(t, a)
	const both = `[{"level":"info","text":"See you."},{"level":"success","text":"Saved."}]`
	b.Get("/do")
	other := b.Fork()
	back.Called()
	meanwhile = func() {
		meanwhile = func() {}
		assert.Equal(t, http.StatusBadGateway, other.Get("/fail").Code)
	}
	assert.Equal(t, http.StatusBadGateway, b.Get("/fail").Code)
	assert.Equal(t, []string{"load", "load"}, back.Called())
	assert.Equal(t, http.StatusBadGateway, b.Get("/save-and-fail").Code)
	meanwhile = func() { assert.JSONEq(t, both, other.Get("/").Body.String()) }
	assert.Equal(t, http.StatusBadGateway, b.Get("/fail").Code)
	assert.JSONEq(t, "null", b.Get("/").Body.String())
}

// TestErrorPageThatShowsItsOwnMessage begins no session for it, and does not need one that can be read.
func TestErrorPageThatShowsItsOwnMessage(t *testing.T) {
	back := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(back), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/fail", func(c *gin.Context) {
		_ = sessionkit.Err(c)
		sessionkit.Flash(c, sessionkit.Error, "Back soon.")
		sessions.Default(c).AddFlash("Sorry.")
		c.JSON(http.StatusBadGateway, sessionkit.Flashes(c))
	})
	a.On("/", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Flashes(c)) })
	const own = `[{"level":"info","text":"Sorry."},{"level":"error","text":"Back soon."}]`
	b := kittest.NewBrowser(t, a)
	assert.JSONEq(t, own, b.Get("/fail").Body.String())
	assert.Empty(t, b.Session())
	b.Get("/login")
	assert.JSONEq(t, own, b.Get("/fail").Body.String())
	assert.JSONEq(t, "null", b.Get("/").Body.String())
	back.Failing(kittest.ErrDown, "load")
	assert.JSONEq(t, own, b.Get("/fail").Body.String())
}

// TestFlashesOfAHead: nobody sees the body of its response, so the messages stay. It counts as use
// of the session all the same.
func TestFlashesOfAHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		typed := sessionkit.NewFlash[int]("typed")
		a := kittest.NewSite(memstore.New(), sessionkit.Config{})
		a.On("/do", func(c *gin.Context) {
			sessionkit.Flash(c, sessionkit.Success, "Saved.")
			typed.Add(c, 7)
			sessions.Default(c).AddFlash("of gin-contrib", "other")
		})
		page := func(c *gin.Context) {
			if c.Query("now") != "" {
				sessionkit.FlashNow(c, sessionkit.Info, "now")
			}
			c.Header("X-Shown", fmt.Sprint(sessionkit.Flashes(c), typed.Take(c), sessions.Default(c).Flashes("other")))
		}
		a.GET("/page", page)
		a.HEAD("/page", page)
		b := kittest.NewBrowser(t, a)
		b.Get("/do")
		head := func(path string) string { return b.Do(b.Request(http.MethodHead, path)).Header().Get("X-Shown") }
		assert.Equal(t, "[] [] []", head("/page"))
		assert.Equal(t, "[{info now}] [] []", head("/page?now=1"))
		for range 4 {
			time.Sleep(40 * time.Minute) // the session would expire within an hour
			head("/page")
		}
		assert.Equal(t, "[{success Saved.}] [7] [of gin-contrib]", b.Get("/page").Header().Get("X-Shown"))
		assert.Equal(t, "[] [] []", b.Get("/page").Header().Get("X-Shown"))
	})
}

// TestFlashesOfEvents: a message that OnEvent leaves is shown, whatever the event, also after a
// sign-out, with which the session has ended that it would have been in.
func TestFlashesOfEvents(t *testing.T) {
	for _, kind := range []sessionkit.EventKind{sessionkit.EventCreated, sessionkit.EventSignedIn, sessionkit.EventRenewed, sessionkit.EventSignedOut} {
		for how, leave := range map[string]func(c *gin.Context){
			"Flash":  func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "seen") },
			"legacy": func(c *gin.Context) { sessions.Default(c).AddFlash("seen") },
			"Save": func(c *gin.Context) {
				sessions.Default(c).AddFlash("seen")
				assert.NoError(t, sessions.Default(c).Save())
			},
			"Update": func(c *gin.Context) {
				_, err := kittest.Name.Update(c, func(string) string { return "seen" })
				assert.NoError(t, err)
			},
		} {
			for over, s := range map[string]sessions.Store{"": memstore.New(), ", a cookie store": gincookie.NewStore(kittest.TestSecret)} {
				t.Run(string(kind)+", "+how+over, func(t *testing.T) {
					var errs []error
					r := gin.New()
					r.Use(sessionkit.Sessions(s, sessionkit.Config{
						OnError: func(_ *gin.Context, err error) { errs = append(errs, err) },
						OnEvent: func(c *gin.Context, e sessionkit.Event) {
							if e.Kind == kind {
								leave(c)
							}
						},
					}))
					r.GET("/login", kittest.SignIn("42"))
					r.GET("/renew", sessionkit.Renew)
					r.GET("/logout", func(c *gin.Context) { sessionkit.Logout(c); c.Redirect(http.StatusSeeOther, "/") })
					r.GET("/", func(c *gin.Context) {
						name, _ := kittest.Name.Get(c)
						c.String(http.StatusOK, "%v%s", sessionkit.Flashes(c), name)
					})
					b := kittest.NewBrowser(t, r)
					b.Get("/login")
					b.Get("/renew")
					if kind == sessionkit.EventSignedOut {
						w := b.Get("/logout")
						assert.Equal(t, http.StatusSeeOther, w.Code)
						assert.Len(t, w.Header()["Set-Cookie"], 1)
					}
					assert.Contains(t, b.Get("/").Body.String(), "seen")
					assert.Empty(t, errs)
				})
			}
		}
	}
}

// TestFlashOfALateSignOut: a message is saved also if the sign-out came by an ID that another
// request has just replaced, whether the handler leaves it or OnEvent.
func TestFlashOfALateSignOut(t *testing.T) {
	for name, byEvent := range map[string]bool{"the handler": false, "OnEvent": true} {
		t.Run(name, func(t *testing.T) {
			var errs []error
			s := memstore.New()
			r := gin.New()
			r.Use(sessionkit.Sessions(s, sessionkit.Config{
				OnError: func(_ *gin.Context, err error) { errs = append(errs, err) },
				OnEvent: func(c *gin.Context, e sessionkit.Event) {
					if byEvent && e.Kind == sessionkit.EventSignedOut {
						sessionkit.Flash(c, sessionkit.Info, "Goodbye")
					}
				},
			}))
			r.GET("/login", kittest.SignIn("42"))
			r.GET("/renew", sessionkit.Renew)
			r.GET("/logout", func(c *gin.Context) {
				sessionkit.Logout(c)
				if !byEvent {
					sessionkit.Flash(c, sessionkit.Info, "Goodbye")
				}
			})
			r.GET("/", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Flashes(c)) })
			b := kittest.NewBrowser(t, r)
			b.Get("/login")
			late := b.Fork()
			b.Get("/renew")
			late.Get("/logout")
			assert.Contains(t, late.Get("/").Body.String(), "Goodbye")
			assert.Empty(t, kittest.UserSessions(t, s, "42"))
			assert.Empty(t, errs)
		})
	}
}

// TestFlashOfASignOutWhenFull: the user is signed out also if the store has no room for what was
// to follow. A message is no reason to withhold the handler's answer.
func TestFlashOfASignOutWhenFull(t *testing.T) {
	message := func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "Goodbye") }
	for name, test := range map[string]struct {
		logout gin.HandlersChain
		code   int
	}{
		"nothing":   {gin.HandlersChain{sessionkit.Logout}, http.StatusSeeOther},
		"a message": {gin.HandlersChain{sessionkit.Logout, message}, http.StatusSeeOther},
		"a message of gin-contrib": {gin.HandlersChain{func(c *gin.Context) {
			s := sessions.Default(c)
			s.Clear()
			s.AddFlash("Goodbye")
			assert.NoError(t, s.Save())
		}}, http.StatusSeeOther},
		"a value":               {gin.HandlersChain{sessionkit.Logout, kittest.Increment}, http.StatusServiceUnavailable},
		"a message and a value": {gin.HandlersChain{sessionkit.Logout, message, kittest.Increment}, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s := memstore.New(memstore.Config{MaxSessions: 1})
			a := kittest.NewSite(s, sessionkit.Config{ClearSiteData: []string{"cache"}, ErrorPage: func(c *gin.Context, _ sessionkit.Problem) {
				user, _ := sessionkit.User(c)
				c.String(http.StatusServiceUnavailable, "%q", user)
			}})
			a.On("/login", kittest.SignIn("42"))
			a.On("/logout", append(test.logout, func(c *gin.Context) { c.Redirect(http.StatusSeeOther, "/") })...)
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			a.Heard()
			w := b.Get("/logout", "Accept", "text/html")
			assert.Equal(t, test.code, w.Code)
			assert.Equal(t, `"cache"`, w.Header().Get("Clear-Site-Data"))
			assert.Empty(t, b.Session(), "the cookie is gone")
			assert.Empty(t, kittest.UserSessions(t, s, "42"))
			assert.Equal(t, "signed-out", a.KindNames()[0])
			errs := a.Errors()
			if name == "nothing" {
				assert.Empty(t, errs)
				return
			}
			require.Len(t, errs, 1)
			require.ErrorIs(t, errs[0], store.ErrFull)
			if test.code == http.StatusServiceUnavailable {
				assert.Equal(t, `""`, w.Body.String(), "nobody is signed in")
				assert.Empty(t, w.Header().Get("Location"))
			}
		})
	}
}

// TestFlashOfASignOutThatFails: the sign-out stands, and the answer to it is the handler's.
func TestFlashOfASignOutThatFails(t *testing.T) {
	s := kittest.NewBackend()
	var errs []error
	r := gin.New()
	r.Use(sessionkit.Sessions(kittest.StoreOver(s), sessionkit.Config{
		OnError: func(_ *gin.Context, err error) { errs = append(errs, err) },
		OnEvent: func(c *gin.Context, e sessionkit.Event) {
			if e.Kind == sessionkit.EventSignedOut {
				s.Failing(kittest.ErrDown, "create")
				sessionkit.Flash(c, sessionkit.Info, "Goodbye")
			}
		},
	}))
	r.GET("/login", kittest.SignIn("42"))
	r.GET("/logout", func(c *gin.Context) { sessionkit.Logout(c); c.Redirect(http.StatusSeeOther, "/") })
	r.GET("/", kittest.Whoami)
	b := kittest.NewBrowser(t, r)
	b.Get("/login")
	w := b.Get("/logout")
	assert.Equal(t, http.StatusSeeOther, w.Code)
	assert.Equal(t, "/", w.Header().Get("Location"))
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], kittest.ErrDown)
	assert.Empty(t, b.Session(), "the cookie is gone")
	assert.Empty(t, b.Get("/").Body.String())
}

// TestFlashesOfAStream: what a stream has shown is not shown by the next one, although the client
// leaves before the handler returns.
func TestFlashesOfAStream(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/do", func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Success, "Saved.") })
	leave := make(chan struct{})
	a.On("/stream", func(c *gin.Context) {
		for _, m := range sessionkit.Flashes(c) {
			c.SSEvent("message", m.Text)
		}
		c.Writer.Flush()
		leave <- struct{}{}
		<-c.Request.Context().Done()
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/do")
	for _, want := range []string{"event:message\ndata:Saved.\n\n", ""} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-leave; cancel() }()
		assert.Equal(t, want, b.Do(b.Request(http.MethodGet, "/stream").WithContext(ctx)).Body.String())
	}
}

// TestTakeInAStreamThatAdds: what the stream has put itself, which is not stored yet, hides nothing
// that has come since it began.
func TestTakeInAStreamThatAdds(t *testing.T) {
	typed := sessionkit.NewFlash[string]("typed")
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/add", func(c *gin.Context) { typed.Add(c, "other") })
	b := kittest.NewBrowser(t, a)
	a.On("/stream", func(c *gin.Context) {
		sessionkit.User(c)
		c.Writer.Flush()
		typed.Add(c, "own")
		b.Fork().Get("/add")
		assert.ElementsMatch(t, []string{"own", "other"}, typed.Take(c))
	})
	a.On("/take", func(c *gin.Context) { assert.Empty(t, typed.Take(c)) })
	b.Get("/login")
	b.Get("/stream")
	b.Get("/take")
	assert.Empty(t, a.Errors())
}

// TestFlashesThatNobodyReads: the latest stay, and the session does not grow without end.
func TestFlashesThatNobodyReads(t *testing.T) {
	typed, rare := sessionkit.NewFlash[int]("typed"), sessionkit.NewFlash[int]("rare")
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	n := 0
	add := func(c *gin.Context) {
		n++
		sessionkit.Flash(c, sessionkit.Info, strconv.Itoa(n))
		typed.Add(c, n)
		if n == 1 {
			rare.Add(c, n)
		}
	}
	a.On("/add", add)
	a.On("/many", func(c *gin.Context) {
		for range 150 {
			add(c)
		}
	})
	a.On("/show", func(c *gin.Context) {
		messages := sessionkit.Flashes(c)
		if assert.Equal(t, c.Query("want"), strconv.Itoa(len(messages))) {
			for i, m := range messages {
				assert.Equal(t, strconv.Itoa(n-len(messages)+1+i), m.Text)
			}
		}
		values := typed.Take(c)
		if assert.Len(t, values, len(messages)) {
			for i, v := range values {
				assert.Equal(t, n-len(values)+1+i, v)
			}
		}
		assert.Equal(t, []int{1}, rare.Take(c), "those of another key make no room")
		n = 0
	})
	b := kittest.NewBrowser(t, a)
	for range 120 {
		b.Get("/add")
	}
	b.Get("/show?want=100")
	b.Get("/many")
	b.Get("/show?want=150")
	b.Get("/many")
	b.Get("/add")
	b.Get("/show?want=100")
	assert.Empty(t, a.Errors())
}

// TestFailedPageReadsWhatWasKept: an error page reads the messages once more that the handler has kept
// for a redirect, and shows none of them either.
func TestFailedPageReadsWhatWasKept(t *testing.T) {
	for name, leave := range map[string]gin.HandlerFunc{
		"flash": func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Success, "Saved.") },
		"gin":   func(c *gin.Context) { sessions.Default(c).AddFlash("Saved.") },
	} {
		t.Run(name, func(t *testing.T) {
			a := kittest.NewSite(memstore.New(), sessionkit.Config{})
			a.On("/do", leave)
			a.On("/fail", func(c *gin.Context) {
				_ = sessionkit.Flashes(c)
				sessionkit.KeepFlashes(c)
				_ = sessionkit.Flashes(c)
				c.Status(http.StatusBadGateway)
			})
			a.On("/", func(c *gin.Context) { c.String(http.StatusOK, "%v", sessionkit.Flashes(c)) })
			b := kittest.NewBrowser(t, a)
			b.Get("/do")
			b.Get("/fail")
			assert.Contains(t, b.Get("/").Body.String(), "Saved.")
		})
	}
}

// TestFailedPageThatFollowsTheSession brings no message back that another tab has shown.
func TestFailedPageThatFollowsTheSession(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/do", func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Success, "Saved.") })
	a.On("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
	var meanwhile func()
	a.On("/fail", func(c *gin.Context) {
		_ = sessionkit.Flashes(c)
		meanwhile()
		_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
		assert.NoError(t, err)
		c.Status(http.StatusBadGateway)
	})
	a.On("/", func(c *gin.Context) { c.String(http.StatusOK, "%v", sessionkit.Flashes(c)) })
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	b.Get("/do")
	other := b.Fork()
	meanwhile = func() {
		other.Get("/renew")
		assert.Contains(t, other.Get("/").Body.String(), "Saved.")
	}
	assert.Equal(t, http.StatusBadGateway, b.Get("/fail").Code)
	assert.NotContains(t, other.Get("/").Body.String(), "Saved.")
}

// TestFailedPagesThatReadAndLeave: the bounds hold for pages that read the messages, leave one, and fail.
func TestFailedPagesThatReadAndLeave(t *testing.T) {
	for name, s := range map[string]sessions.Store{"cookie": gincookie.NewStore(kittest.TestSecret), "own": memstore.New()} {
		t.Run(name, func(t *testing.T) {
			a := kittest.NewSite(s, sessionkit.Config{})
			count := 0
			a.On("/login", kittest.SignIn("42"))
			a.On("/fail", func(c *gin.Context) {
				count = len(sessionkit.Flashes(c))
				kittest.Increment(c)
				sessionkit.Flash(c, sessionkit.Error, "The shop cannot be reached. Try again.")
				c.Status(http.StatusBadGateway)
			})
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			for i := range 120 {
				w := b.Get("/fail")
				require.Equal(t, http.StatusBadGateway, w.Code, "%d: %v", i, a.Errors())
				require.LessOrEqual(t, count, 100)
			}
		})
	}
}
