package sessionkit_test

import (
	"context"
	"encoding/gob"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// TestDeleteOfWhatDoesNotDecode: a value of a type that another version of the
// application has given to gob is not shown here, and can be deleted all the same.
func TestDeleteOfWhatDoesNotDecode(t *testing.T) {
	backend := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(backend), sessionkit.Config{})
	var id string
	a.On("/start", func(c *gin.Context) { kittest.Count.Set(c, 1) })
	a.On("/id", func(c *gin.Context) { id = sessionkit.Current(c).ID })
	for path, test := range map[string]struct {
		handler gin.HandlerFunc
		left    []string
	}{
		"/view": {func(c *gin.Context) { sessions.Default(c).Set("count", 2) }, []string{"count", "coupon", "name"}},
		"/default": {func(c *gin.Context) {
			assert.Nil(t, sessions.Default(c).Get("coupon"))
			sessions.Default(c).Delete("coupon")
		}, []string{"count", "name"}},
		"/again": {func(c *gin.Context) {
			sessions.Default(c).Delete("coupon")
			sessions.Default(c).Set("coupon", "10%")
		}, []string{"count", "coupon", "name"}},
		"/clear": {func(c *gin.Context) { sessions.Default(c).Clear() }, nil},
		"/key": {func(c *gin.Context) {
			sessions.Default(c).Get("count")
			kittest.Name.Delete(c)
		}, []string{"count", "coupon"}},
	} {
		t.Run(path[1:], func(t *testing.T) {
			a.On(path, test.handler)
			b := kittest.NewBrowser(t, a)
			b.Get("/start")
			b.Get("/id")
			unknown := map[string]string{"coupon": `["gob","AAAA"]`, "name": `["gob","AAAA"]`}
			_, err := backend.Backend.Update(t.Context(), id, store.Change{Set: unknown})
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, b.Get(path).Code)
			r, _, err := backend.Backend.Load(t.Context(), id)
			require.NoError(t, err)
			var left []string
			for name := range r.Values {
				left = append(left, name)
			}
			assert.ElementsMatch(t, test.left, left)
			assert.Empty(t, a.Errors())
		})
	}
}

// TestFlashBesideASignOutByValues: what a request leaves for the next one stays, also if the
// session ends because Config.UserOf finds nobody, or another user, in its values.
func TestFlashBesideASignOutByValues(t *testing.T) {
	ticket := sessionkit.NewFlash[int]("ticket")
	leave := func(c *gin.Context) {
		sessionkit.Flash(c, sessionkit.Info, "Goodbye")
		ticket.Add(c, 7)
	}
	keep := func(c *gin.Context) { sessionkit.Flashes(c); sessionkit.KeepFlashes(c) }
	del := func(c *gin.Context) { sessions.Default(c).Delete("uid") }
	save := func(c *gin.Context) { assert.NoError(t, sessions.Default(c).Save()) }
	for name, handlers := range map[string][]gin.HandlerFunc{
		"Delete":               {del, leave},
		"a flash, then Delete": {leave, del},
		"Delete and Save":      {del, save, leave},
		"Clear":                {func(c *gin.Context) { sessions.Default(c).Clear() }, leave},
		"another user":         {func(c *gin.Context) { sessions.Default(c).Set("uid", "2") }, leave},
		"User asks in between": {del, leave, kittest.Whoami},
		"KeepFlashes, before":  {keep, del, leave},
		"KeepFlashes, after":   {func(c *gin.Context) { sessionkit.Flashes(c) }, del, leave, sessionkit.KeepFlashes},
	} {
		t.Run(name, func(t *testing.T) {
			a := kittest.NewSite(memstore.New(), sessionkit.Config{UserOf: func(v map[any]any) string { id, _ := v["uid"].(string); return id }})
			a.On("/login", func(c *gin.Context) {
				sessions.Default(c).Set("uid", "1")
				sessionkit.Flash(c, sessionkit.Info, "for the user before")
				ticket.Add(c, 1)
			})
			a.On("/out", handlers...)
			a.On("/", func(c *gin.Context) {
				c.JSON(http.StatusOK, gin.H{"messages": sessionkit.Flashes(c), "tickets": ticket.Take(c)})
			})
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			require.Equal(t, http.StatusOK, b.Get("/out").Code)
			assert.JSONEq(t, `{"messages":[{"level":"info","text":"Goodbye"}],"tickets":[7]}`, b.Get("/").Body.String())
			assert.Empty(t, a.Errors())
		})
	}
}

// TestShownValuesBeforeASignInOverAnother: what sessions.Default(c) has shown of a session that ends in
// this request is not carried over into the one that follows.
func TestShownValuesBeforeASignInOverAnother(t *testing.T) {
	show := func(c *gin.Context) { assert.Equal(t, "alice's", sessions.Default(c).Get("secret")) }
	shown := func(c *gin.Context) { assert.Nil(t, sessions.Default(c).Get("secret")) }
	for name, end := range map[string]gin.HandlersChain{
		"Login":         {kittest.SignIn("bob")},
		"Logout":        {sessionkit.Logout, kittest.Increment},
		"Logout, Login": {sessionkit.Logout, kittest.SignIn("bob")},
		"Clear":         {func(c *gin.Context) { sessions.Default(c).Clear() }, kittest.Increment},
		"Options":       {func(c *gin.Context) { sessions.Default(c).Options(sessions.Options{MaxAge: -1}) }, kittest.Increment},
	} {
		a := kittest.NewSite(memstore.New(), sessionkit.Config{})
		a.On("/login", kittest.SignIn("alice"), func(c *gin.Context) { sessions.Default(c).Set("secret", "alice's") })
		a.On("/end", append(append(gin.HandlersChain{show}, end...), shown)...)
		a.On("/", func(c *gin.Context) { c.JSON(http.StatusOK, sessions.Default(c).Get("secret")) })
		b := kittest.NewBrowser(t, a)
		b.Get("/login")
		w := b.Get("/end")
		assert.NotEmpty(t, b.Session(), name)
		assert.Len(t, w.Header()["Set-Cookie"], 1, name)
		assert.Equal(t, "null", b.Get("/").Body.String(), name)
	}
}

// TestTooLateForASignInByValues: it is refused at once, and the values that would make it are not
// stored: they would sign the user in by an ID that others may know.
func TestTooLateForASignInByValues(t *testing.T) {
	for before, stands := range map[string]string{"": "", "/visit": "", "/login": "1"} {
		for how, ask := range map[string]func(t *testing.T, c *gin.Context){
			"User": func(t *testing.T, c *gin.Context) {
				t.Helper()
				user, _ := sessionkit.User(c)
				assert.Equal(t, stands, user)
			},
			"Save": func(t *testing.T, c *gin.Context) {
				t.Helper()
				assert.ErrorContains(t, sessions.Default(c).Save(), "can no longer be sent")
			},
		} {
			t.Run(how+before, func(t *testing.T) {
				s := memstore.New()
				a := kittest.NewSite(s, sessionkit.Config{UserOf: func(v map[any]any) string { id, _ := v["uid"].(string); return id }})
				a.On("/visit", kittest.Increment)
				a.On("/login", func(c *gin.Context) { sessions.Default(c).Set("uid", "1") }, kittest.Increment)
				a.On("/stream", func(c *gin.Context) {
					c.Writer.Flush()
					sessions.Default(c).Set("uid", "42")
					ask(t, c)
					assert.ErrorContains(t, sessionkit.Err(c), "signing in by values: the session's cookie can no longer be sent")
					assert.NotEqual(t, "42", sessions.Default(c).Get("uid"))
					if before != "" {
						kittest.Increment(c)
					}
				})
				a.On("/", func(c *gin.Context) {
					user, _ := sessionkit.User(c)
					n, _ := kittest.Count.Get(c)
					c.String(http.StatusOK, "%s %d", user, n)
				})
				b := kittest.NewBrowser(t, a)
				if before != "" {
					b.Get(before)
				}
				b.Get("/stream")
				assert.Len(t, a.Errors(), 1)
				want := stands + " 2"
				if before == "" {
					want = " 0"
				}
				assert.Equal(t, want, b.Get("/").Body.String(), "what came after it is saved")
				assert.Empty(t, kittest.UserSessions(t, s, "42"))
			})
		}
	}
}

// TestDevicesOfASignInByValues: it has taken effect for whatever is asked next in its request.
func TestDevicesOfASignInByValues(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{UserOf: func(v map[any]any) string { id, _ := v["uid"].(string); return id }})
	a.On("/login", func(c *gin.Context) {
		sessions.Default(c).Set("uid", c.Query("id"))
		if c.Query("others") != "" {
			assert.NoError(t, sessionkit.LogoutOthers(c))
		}
	})
	a.On("/", kittest.Whoami)
	alice, bob, again := kittest.NewBrowser(t, a), kittest.NewBrowser(t, a), kittest.NewBrowser(t, a)
	alice.Get("/login?id=alice")
	bob.Get("/login?id=bob")
	again.Get("/login?id=bob")
	again.Get("/login?id=alice&others=1")
	assert.Empty(t, alice.Get("/").Body.String())
	assert.Equal(t, "bob", bob.Get("/").Body.String())
	assert.Equal(t, "alice", again.Get("/").Body.String())
	assert.Empty(t, a.Errors())
}

// TestGuardBehindASignInByValues: what a middleware in front of the guard has signed in or out by values
// of its own counts there.
func TestGuardBehindASignInByValues(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{UserOf: func(v map[any]any) string { id, _ := v["uid"].(string); return id }})
	ran := 0
	guarded := gin.HandlersChain{sessionkit.RequireSession(), kittest.Whoami, func(*gin.Context) { ran++ }}
	a.On("/in", append(gin.HandlersChain{func(c *gin.Context) { sessions.Default(c).Set("uid", "1") }}, guarded...)...)
	a.On("/out", append(gin.HandlersChain{func(c *gin.Context) { sessions.Default(c).Delete("uid") }}, guarded...)...)
	b := kittest.NewBrowser(t, a)
	assert.Equal(t, "1", b.Get("/in").Body.String())
	assert.Equal(t, http.StatusUnauthorized, b.Get("/out").Code)
	assert.Equal(t, 1, ran)
}

// TestOptionsBeforeASignInOverAnother: how long the session lives may be said before somebody
// signs in over another user, too. A sign-out leaves nothing of it to a visitor.
func TestOptionsBeforeASignInOverAnother(t *testing.T) {
	const month = 30 * 24 * time.Hour
	setUID := func(c *gin.Context) { sessions.Default(c).Set("uid", c.Query("id")) }
	signIns := map[string]gin.HandlersChain{
		"Login":         {func(c *gin.Context) { sessionkit.Login(c, c.Query("id")) }},
		"values":        {setUID},
		"Clear, values": {func(c *gin.Context) { sessions.Default(c).Clear() }, setUID},
	}
	for name, signIn := range signIns {
		for _, before := range []string{"", "1", "2"} {
			t.Run(name+" over "+before, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := memstore.New()
					defer func() { _ = s.Close() }()
					a := kittest.NewSite(s, sessionkit.Config{UserOf: func(v map[any]any) string { id, _ := v["uid"].(string); return id }})
					live := func(c *gin.Context) { sessions.Default(c).Options(sessions.Options{MaxAge: int(month / time.Second)}) }
					a.On("/login", signIn...)
					a.On("/remember", append(gin.HandlersChain{live}, signIn...)...)
					a.On("/logout", live, sessionkit.Logout, kittest.Increment)
					a.On("/delete", live, func(c *gin.Context) { sessions.Default(c).Delete("uid") }, kittest.Increment)
					a.On("/", kittest.Whoami)
					b := kittest.NewBrowser(t, a)
					if before != "" {
						b.Get("/login?id=" + before)
					}
					set := kittest.SetCookies(b.Get("/remember?id=2"))
					require.Len(t, set, 1)
					assert.GreaterOrEqual(t, set[0].MaxAge, int(month/time.Second))
					time.Sleep(48 * time.Hour)
					assert.Equal(t, "2", b.Get("/").Body.String())

					outs := []string{"/logout"}
					if name != "Login" {
						outs = append(outs, "/delete")
					}
					for _, out := range outs {
						b.Get("/login?id=2")
						set = kittest.SetCookies(b.Get(out))
						require.Len(t, set, 1, out)
						assert.Zero(t, set[0].MaxAge, out)
					}
				})
			})
		}
	}
}

// TestClearThatComesLate: a sign-out by Clear that the browser has sent before it had the cookie of a renewal ends the
// session, as one by Logout does.
func TestClearThatComesLate(t *testing.T) {
	for _, in := range []string{"/login", "/values"} {
		a := kittest.NewSite(memstore.New(), sessionkit.Config{UserOf: func(v map[any]any) string { id, _ := v["uid"].(string); return id }})
		a.On("/", kittest.Whoami)
		a.On("/login", kittest.SignIn("42"))
		a.On("/values", func(c *gin.Context) { sessions.Default(c).Set("uid", "42") })
		a.On("/confirm", sessionkit.Confirm)
		a.On("/clear", func(c *gin.Context) {
			sessions.Default(c).Clear()
			assert.NoError(t, sessions.Default(c).Save())
		})
		b := kittest.NewBrowser(t, a)
		b.Get(in)
		late := b.Fork()
		b.Get("/confirm") // in another tab
		require.Equal(t, "42", b.Get("/").Body.String())
		assert.Equal(t, http.StatusOK, late.Get("/clear").Code)
		assert.Empty(t, b.Get("/").Body.String(), in)
	}
}

// visit is of a type that is stored with gob. It has a reference.
type visit struct{ Pages []string }

// TestGetBesideGinContrib: what Get returns is the caller's, also if sessions.Default(c) has
// shown the same value or has been given it.
func TestGetBesideGinContrib(t *testing.T) {
	gob.Register(visit{})
	key := sessionkit.NewKey[visit]("visit")
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	changeCopy := func(c *gin.Context) {
		v, ok := key.Get(c)
		assert.True(t, ok)
		v.Pages[0] = "changed"
	}
	a.On("/set", func(c *gin.Context) {
		sessions.Default(c).Set("visit", visit{[]string{"home"}})
		changeCopy(c)
	})
	a.On("/alone", changeCopy)
	a.On("/beside", func(c *gin.Context) {
		assert.Equal(t, visit{[]string{"home"}}, sessions.Default(c).Get("visit"))
		changeCopy(c)
	})
	b := kittest.NewBrowser(t, a)
	for _, path := range []string{"/set", "/alone", "/beside", "/beside"} {
		assert.Equal(t, http.StatusOK, b.Get(path).Code)
	}
	assert.Empty(t, a.Errors())
}

func TestTimeInAnotherZone(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/utc", func(c *gin.Context) { sessions.Default(c).Set("at", at) })
	a.On("/local", func(c *gin.Context) { sessions.Default(c).Set("at", at.In(time.FixedZone("", 7200))) })
	a.On("/", func(c *gin.Context) { c.String(http.StatusOK, "%v", sessions.Default(c).Get("at")) })
	b := kittest.NewBrowser(t, a)
	b.Get("/utc")
	b.Get("/local")
	assert.Equal(t, "2026-01-02 05:04:05 +0200 +0200", b.Get("/").Body.String())
}

// TestPointerOfGinContrib: what a handler changes through a pointer that sessions.Default(c)
// has returned is saved, whatever else the handler does meanwhile.
func TestPointerOfGinContrib(t *testing.T) {
	type tour struct{ Stops []string }
	gob.Register(&tour{})
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/set", func(c *gin.Context) {
		sessions.Default(c).Set("tour", &tour{})
		kittest.Count.Set(c, 1)
	})
	for path, meanwhile := range map[string]gin.HandlerFunc{
		"/update": func(c *gin.Context) {
			_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
			assert.NoError(t, err)
		},
		"/take":  func(c *gin.Context) { kittest.Count.Take(c) },
		"/login": kittest.SignIn("42"),
	} {
		a.On(path, func(c *gin.Context) {
			found, _ := sessions.Default(c).Get("tour").(*tour)
			meanwhile(c)
			found.Stops = append(found.Stops, path)
		})
		a.On(path+"/get", func(c *gin.Context) {
			assert.Equal(t, &tour{[]string{path}}, sessions.Default(c).Get("tour"))
		})
		b := kittest.NewBrowser(t, a)
		b.Get("/set")
		assert.Equal(t, http.StatusOK, b.Get(path).Code)
		b.Get(path + "/get")
	}
	assert.Empty(t, a.Errors())
}

// TestRefusedValueIsReportedOnce: also if the handler calls Save, which says so as well.
func TestRefusedValueIsReportedOnce(t *testing.T) {
	type unregistered struct{ N int }
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/", func(c *gin.Context) {
		sessions.Default(c).Set("x", unregistered{1})
		assert.ErrorContains(t, sessions.Default(c).Save(), "gob.Register")
	})
	w := kittest.NewBrowser(t, a).Get("/")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	errs := a.Errors()
	require.Len(t, errs, 1)
	assert.Equal(t, 1, strings.Count(errs[0].Error(), "gob.Register"))
}

// TestSavedSignInThatDoesNotStand: what Save has stored ends no session of another device before it is
// certain that it stays, and does not stay if the browser does not get its cookie.
func TestSavedSignInThatDoesNotStand(t *testing.T) {
	for name, test := range map[string]struct {
		then gin.HandlerFunc
		code int
	}{
		"it stands":           {func(*gin.Context) {}, http.StatusOK},
		"a panic":             {func(*gin.Context) { panic("oops") }, http.StatusInternalServerError},
		"a refused value":     {func(c *gin.Context) { sessions.Default(c).Set("f", func() {}) }, http.StatusServiceUnavailable},
		"the time is over":    {func(*gin.Context) { time.Sleep(time.Minute) }, http.StatusServiceUnavailable},
		"a sign-out after it": {sessionkit.Logout, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := memstore.New()
				defer func() { assert.NoError(t, s.Close()) }()
				a := kittest.NewSite(s, sessionkit.Config{MaxSessions: 1}, gin.RecoveryWithWriter(io.Discard))
				a.On("/login", kittest.SignIn("42"))
				a.On("/", kittest.Whoami)
				a.On("/save", kittest.SignIn("42"), func(c *gin.Context) { assert.NoError(t, sessions.Default(c).Save()) }, test.then)
				phone, laptop := kittest.NewBrowser(t, a), kittest.NewBrowser(t, a)
				phone.Get("/login")
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				assert.Equal(t, test.code, laptop.Do(laptop.Request(http.MethodGet, "/save").WithContext(ctx)).Code)
				one, other := phone, laptop
				if name == "it stands" {
					one, other = laptop, phone
				}
				assert.Equal(t, "42", one.Get("/").Body.String())
				assert.Empty(t, other.Get("/").Body.String())
				assert.Len(t, kittest.UserSessions(t, s, "42"), 1)
			})
		})
	}
}

// TestSavedSignInThatHasEnded: if what Save has stored is ended before the response goes out, its
// cookie would open nothing, and would take the place of that of a later sign-in.
func TestSavedSignInThatHasEnded(t *testing.T) {
	for name, meanwhile := range map[string]string{"a sign-in past MaxSessions": "/login", "a sign-out everywhere": "/everywhere"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := memstore.New()
				defer func() { assert.NoError(t, s.Close()) }()
				a := kittest.NewSite(s, sessionkit.Config{MaxSessions: 1})
				a.On("/login", kittest.SignIn("42"))
				a.On("/everywhere", kittest.SignIn("42"), func(c *gin.Context) { assert.NoError(t, sessionkit.LogoutEverywhere(c)) }, kittest.SignIn("42"))
				a.On("/", kittest.Whoami)
				a.On("/save", kittest.SignIn("42"), func(c *gin.Context) { assert.NoError(t, sessions.Default(c).Save()) },
					func(*gin.Context) { time.Sleep(5 * time.Second) })
				b := kittest.NewBrowser(t, a)
				saved := make(chan *httptest.ResponseRecorder)
				go func() { saved <- b.Fork().Get("/save") }()
				time.Sleep(time.Second)
				assert.Equal(t, http.StatusOK, b.Get(meanwhile).Code)
				w := <-saved
				assert.Equal(t, http.StatusServiceUnavailable, w.Code)
				assert.Empty(t, kittest.SetCookies(w))
				assert.Equal(t, "42", b.Get("/").Body.String())
				assert.Len(t, kittest.UserSessions(t, s, "42"), 1)
			})
		})
	}
}

// TestSaveBeforeAReverseProxy: the proxy empties the header when the other server sends early hints, after
// Save has set the cookie.
func TestSaveBeforeAReverseProxy(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "page")
	}))
	defer other.Close()
	target, err := url.Parse(other.URL)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}

	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/", kittest.Whoami)
	a.On("/login", kittest.SignIn("42"), func(c *gin.Context) {
		assert.NoError(t, sessions.Default(c).Save())
		proxy.ServeHTTP(c.Writer, c.Request)
	})
	server := httptest.NewTLSServer(a)
	defer server.Close()
	browser := server.Client()
	browser.Jar, _ = cookiejar.New(nil)
	for _, page := range []struct{ path, body string }{{"/login", "page"}, {"/", "42"}} {
		w, err := browser.Get(server.URL + page.path)
		require.NoError(t, err)
		body, err := io.ReadAll(w.Body)
		require.NoError(t, err)
		require.NoError(t, w.Body.Close())
		assert.Equal(t, page.body, string(body), page.path)
	}
}

// TestSaveThatFailsInAGoroutine: the handler may be writing the header meanwhile. It is for -race.
func TestSaveThatFailsInAGoroutine(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
	a.On("/logout", sessionkit.Logout, func(c *gin.Context) {
		sessionkit.Flash(c, sessionkit.Info, "Goodbye")
		done := make(chan struct{})
		go func() {
			defer close(done)
			assert.NoError(t, sessions.Default(c).Save(), "a message alone is lost")
		}()
		for range 100 {
			c.SetCookie("own", "value", 0, "/", "", true, true)
		}
		<-done
	})
	s.Failing(kittest.ErrDown, "create")
	b := kittest.NewBrowser(t, a)
	for range 20 {
		assert.Equal(t, http.StatusOK, b.Get("/logout").Code)
	}
}

// TestUserOfThatPanics: the panic comes through to the recovery, and the request does not
// wait for itself.
func TestUserOfThatPanics(t *testing.T) {
	recovery := gin.RecoveryWithWriter(io.Discard)
	for name, before := range map[string]gin.HandlerFunc{
		"a value of another type": func(c *gin.Context) { sessions.Default(c).Set("user_id", 42) },
		"a visitor":               kittest.Increment,
	} {
		for order, around := range map[string]func(kit gin.HandlerFunc) gin.HandlersChain{
			"in front": func(kit gin.HandlerFunc) gin.HandlersChain { return gin.HandlersChain{recovery, kit} },
			"behind":   func(kit gin.HandlerFunc) gin.HandlersChain { return gin.HandlersChain{kit, recovery} },
		} {
			t.Run(name+", the recovery "+order, func(t *testing.T) {
				s := memstore.New()
				a := kittest.NewSite(s, sessionkit.Config{})
				a.On("/before", before)
				b := kittest.NewBrowser(t, a)
				b.Get("/before")

				r := gin.New()
				r.Use(around(sessionkit.Sessions(s, sessionkit.Config{UserOf: func(values map[any]any) string { return values["user_id"].(string) }}))...)
				r.GET("/", kittest.Whoami)
				b.Handler = r
				for range 2 {
					assert.Equal(t, http.StatusInternalServerError, codeWithin(t, b, "/"))
				}
			})
		}
	}
}

// TestStoreThatPanicsAfterThePanic: nor does it if the store panics as well, when what Save
// has stored is removed again.
func TestStoreThatPanicsAfterThePanic(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{}, gin.RecoveryWithWriter(io.Discard))
	a.On("/", func(c *gin.Context) {
		sessions.Default(c).Set("n", 1)
		assert.NoError(t, sessions.Default(c).Save())
		s.Before = func(string) { panic("oops") }
		panic("oops")
	})
	assert.Equal(t, http.StatusInternalServerError, codeWithin(t, kittest.NewBrowser(t, a), "/"))
}

// codeWithin is the status of a request that must not hang.
func codeWithin(t *testing.T, b *kittest.Browser, target string) int {
	t.Helper()
	code := make(chan int, 1)
	go func() { code <- b.Get(target).Code }()
	select {
	case code := <-code:
		return code
	case <-time.After(30 * time.Second):
		require.Fail(t, "the request hangs")
		return 0
	}
}
