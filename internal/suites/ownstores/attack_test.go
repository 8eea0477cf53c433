package ownstores_test

import (
	crand "crypto/rand"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
	"weak"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
)

// TestEndingAgainstRenewals: who holds sessions cannot keep them alive, or hide them,
// by renewing them without a pause.
func TestEndingAgainstRenewals(t *testing.T) {
	ends := map[string]func(t *testing.T, nodes [2]*site, device *browser, renewing []*browser) (deviceToo bool){
		"RevokeAll": func(t *testing.T, nodes [2]*site, _ *browser, _ []*browser) bool {
			_, err := nodes[1].store.RevokeAll(t.Context(), "42")
			assert.NoError(t, err)
			return true
		},
		"LogoutOthers": func(_ *testing.T, _ [2]*site, device *browser, _ []*browser) bool {
			device.post("/others")
			return false
		},
		"LogoutEverywhere": func(_ *testing.T, _ [2]*site, device *browser, _ []*browser) bool {
			device.post("/everywhere")
			return true
		},
		"Revoke of each that Devices shows": func(_ *testing.T, _ [2]*site, device *browser, _ []*browser) bool {
			own := device.id()
			for others := true; others; {
				others = false
				for id := range strings.FieldsSeq(device.get("/devices")) {
					if id != own {
						device.post("/revoke?id=" + id)
						others = true
					}
				}
			}
			return false
		},
	}
	each(t, func(t *testing.T, p pair) {
		for name, end := range ends {
			for _, clients := range []int{4, 16} {
				nodes := two(t, p, sessionkit.Config{})
				device := nodes[0].browser().signIn("42")
				renewing := make([]*browser, clients)
				for i := range renewing {
					renewing[i] = nodes[i%2].browser().signIn("42")
				}
				orphan(t, p, "42")
				var over atomic.Bool
				var all sync.WaitGroup
				for _, b := range renewing {
					all.Go(func() {
						for alive := true; alive && !over.Load(); {
							alive = b.do(http.MethodPost, "/renew").Code == http.StatusOK
						}
					})
				}
				deviceToo := end(t, nodes, device, renewing)
				over.Store(true)
				all.Wait()
				for _, b := range renewing {
					dead(t, nodes, b.cookie, name)
				}
				want := 1
				if deviceToo {
					want = 0
				}
				assert.Len(t, list(t, p[0], "42"), want, "%s with %d that renew", name, clients)
				_, err := p[0].RevokeAll(t.Context(), "42")
				require.NoError(t, err)
			}
		}
	})
}

// orphan leaves an entry in a user's index whose session is gone, as each leaves that
// has run out, where there is such an index.
func orphan(t *testing.T, p pair, user string) {
	t.Helper()
	server, ok := redisServers.Load(p[0])
	if !ok {
		return
	}
	end := strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli(), 10)
	_, err := server.(*testserver.RedisServer).Command("ZADD", "session:user:"+user, end, crand.Text())
	require.NoError(t, err)
}

// TestLateAnswer: what a request stores that was under way at the sign-in, be it a
// visitor's or that of a user before, does not replace the cookie of the sign-in.
func TestLateAnswer(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		nodes := two(t, p, sessionkit.Config{})
		for _, sent := range []struct{ before, path string }{
			{"", "/visit"},
			{"", "/set?name=a&value=b"},
			{"", "/renew"},
			{"bob", "/visit"},
			{"bob", "/set?name=a&value=b"},
		} {
			for _, moment := range under {
				for _, loaded := range []bool{false, true} {
					if moment.when == "after" && sent.path != "/visit" {
						continue // the others do not wait there after anything else
					}
					b := nodes[0].browser()
					b.post("/visit")
					if sent.before != "" {
						b.signIn(sent.before)
					}
					second := b.at(nodes[1])
					w := second.underWay(sent.path, moment.when, loaded, func() { b.signIn("42") })
					_, set := sessionCookie(w)
					assert.False(t, set, "%s of %q, %s, loaded: %v: the browser has the cookie of the sign-in", sent.path, sent.before, moment.name, loaded)
					assert.Equal(t, "42", b.get("/"))
					if w.Code != http.StatusOK {
						assert.NotEmpty(t, nodes[1].errors(), "the lost change is reported")
					}
					assert.Len(t, list(t, p[0], "42"), 1)
					b.post("/everywhere")
				}
			}
		}
	})
}

// TestChangesAgainstARenewal: a session's changes follow it to its new ID.
func TestChangesAgainstARenewal(t *testing.T) {
	const parallel = 32
	each(t, func(t *testing.T, p pair) {
		nodes := two(t, p, sessionkit.Config{})
		for range rounds(2, 20) {
			b := nodes[0].browser().signIn("42")
			before := b.at(nodes[0])
			goOn := make(chan struct{})
			var all sync.WaitGroup
			for i := range parallel {
				name, a := strconv.Itoa(i), nodes[i%2]
				arrived := a.pause(name, goOn)
				all.Go(func() {
					w := before.at(a).do(http.MethodPost, "/set?loaded=1&before="+name+"&value=kept&name=v"+name)
					assert.Equal(t, http.StatusOK, w.Code, "%v", a.errors())
					_, set := sessionCookie(w)
					assert.False(t, set)
				})
				<-arrived
			}
			close(goOn)
			b.post("/renew")
			all.Wait()
			for i := range parallel {
				kept := func() bool { return b.get("/values?name=v"+strconv.Itoa(i)) == "kept" }
				if _, cached := caching.Load(p[0]); cached { // the news of what the other node has changed may be on its way
					assert.Eventually(t, kept, time.Second, time.Millisecond)
				} else {
					assert.True(t, kept())
				}
			}
			dead(t, nodes, before.cookie, "it was renewed")
			assert.Len(t, list(t, p[0], "42"), 1)
			b.post("/everywhere")
		}
	})
}

// TestConfirmAgainstRenewals: that the user has shown who they are outlives the renewals
// before and after it, also by a request that has read the session in between.
func TestConfirmAgainstRenewals(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		nodes := two(t, p, sessionkit.Config{})
		b := nodes[0].browser().signIn("42")
		confirming, goOn := b.at(nodes[0]), make(chan struct{})
		arrived, confirmed := nodes[0].pause("confirms", goOn), make(chan int)
		go func() { confirmed <- confirming.do(http.MethodPost, "/confirm?loaded=1&before=confirms").Code }()
		<-arrived
		b.post("/renew")
		w := b.at(nodes[1]).underWay("/renew", "before", true, func() {
			close(goOn)
			assert.Equal(t, http.StatusOK, <-confirmed)
		})
		assert.Equal(t, http.StatusOK, w.Code)
		sessions, err := p[0].Sessions(t.Context(), "42")
		require.NoError(t, err)
		require.Len(t, sessions, 1)
		assert.True(t, sessions[0].ConfirmedAt.After(sessions[0].SignedInAt))
	})
}

// TestFlashesOfAnotherUser: what a request has read of one user's session is not
// written into another's.
func TestFlashesOfAnotherUser(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		a := newSite(t, p[0], sessionkit.Config{})
		own := sessionkit.NewFlash[string]("own")
		a.POST("/leave", func(c *gin.Context) {
			sessionkit.Flash(c, sessionkit.Info, "alice's")
			own.Add(c, "alice's")
			voucher.Set(c, "alice's")
		})
		a.POST("/switch", func(c *gin.Context) {
			sessionkit.Flashes(c)
			before, _ := voucher.Get(c)
			own.Take(c)
			assert.Equal(t, "alice's", before)
			sessionkit.Login(c, "bob")
			sessionkit.KeepFlashes(c)
			_, err := voucher.Update(c, func(now string) string { return "bob's, after " + now })
			assert.NoError(t, err)
		})
		a.GET("/look", func(c *gin.Context) {
			v, _ := voucher.Get(c)
			c.String(http.StatusOK, "%v %v %s", sessionkit.Flashes(c), own.Take(c), v)
		})
		b := a.browser().signIn("alice")
		b.post("/leave")
		b.post("/switch")
		require.Equal(t, "bob", b.get("/"))
		assert.Equal(t, "[] [] bob's, after ", b.get("/look"))
	})
}

// TestSessionsOfHandledContexts: what was changed before Engine.HandleContext is saved.
func TestSessionsOfHandledContexts(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		a := newSite(t, p[0], sessionkit.Config{})
		for path, change := range map[string]gin.HandlerFunc{
			"/login":  func(c *gin.Context) { sessionkit.Login(c, "42") },
			"/set":    func(c *gin.Context) { voucher.Set(c, "set") },
			"/flash":  func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "left") },
			"/renew":  sessionkit.Renew,
			"/logout": sessionkit.Logout,
		} {
			a.POST("/then"+path, change, func(c *gin.Context) {
				c.Request.URL.Path, c.Request.Method = "/shows", http.MethodGet
				a.HandleContext(c)
			})
		}
		a.GET("/shows", func(c *gin.Context) {
			user, _ := sessionkit.User(c)
			v, _ := voucher.Get(c)
			c.String(http.StatusOK, "%s %s %v", user, v, sessionkit.Flashes(c))
		})
		b := a.browser()
		for _, step := range []struct{ path, now, later string }{
			{"/then/set", " set []", " set []"},
			{"/then/login", "42 set []", "42 set []"},
			{"/then/flash", "42 set [{info left}]", "42 set []"},
			{"/then/renew", "42 set []", "42 set []"},
			{"/then/logout", "  []", "  []"},
		} {
			before := b.cookie
			w := b.do(http.MethodPost, step.path)
			require.Equal(t, http.StatusOK, w.Code, "%s: %v", step.path, a.errors())
			assert.Equal(t, step.now, w.Body.String(), step.path)
			assert.Equal(t, step.later, b.get("/shows"), step.path)
			if step.path == "/then/login" || step.path == "/then/renew" {
				assert.NotEqual(t, before, b.cookie, step.path)
			}
		}
		assert.Empty(t, a.errors())
	})
}

// TestFormsAreForgotten: nothing that stays is a part of a form, which would keep all of it in
// memory, the password too. Every text that [url.ParseQuery] returns is such a part.
func TestFormsAreForgotten(t *testing.T) {
	on(t, []string{memory, redisCached}, func(t *testing.T, p pair) {
		s := p[0]
		for name, keep := range map[string]func(c *gin.Context, user, id string) error{
			"Login":  func(c *gin.Context, user, _ string) error { sessionkit.Login(c, user); return nil },
			"UserOf": func(c *gin.Context, user, _ string) error { sessions.Default(c).Set("user", user); return nil },
			"name":   func(c *gin.Context, user, _ string) error { sessions.Default(c).Set(user, 1); return nil },
			"Revoke": func(c *gin.Context, _, id string) error { return sessionkit.Revoke(c, id) },
			"Revoke of a store": func(c *gin.Context, _, id string) error {
				return s.Revoke(c, "43", id)
			},
			"RevokeAll": func(c *gin.Context, _, id string) error {
				_, err := s.RevokeAll(c, "43", id)
				return err
			},
			"GetFrom": func(c *gin.Context, _, id string) error {
				_, _, err := voucher.GetFrom(c, s, id)
				return err
			},
			"UpdateIn": func(c *gin.Context, _, id string) error {
				_, err := voucher.UpdateIn(c, s, id, func(string) string { return "x" })
				return err
			},
		} {
			t.Run(name, func(t *testing.T) {
				config := sessionkit.Config{}
				if name == "UserOf" {
					config.UserOf = func(values map[any]any) string { user, _ := values["user"].(string); return user }
				}
				a := newSite(t, s, config)
				var form weak.Pointer[byte]
				a.POST("/form", func(c *gin.Context) {
					user := c.PostForm("user")
					form = weak.Make(unsafe.StringData(user)) // #nosec G103 -- where it is, not what
					fail(c, keep(c, user, c.PostForm("id")))
				})
				b := a.browser().signIn("43")
				for _, user := range []string{"alice", "bob"} {
					body := strings.NewReader("user=" + user + "&password=secret&id=" + a.browser().signIn("43").id())
					r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://example.com/form", body)
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
					r.AddCookie(&http.Cookie{Name: cookieName, Value: b.cookie})
					w := httptest.NewRecorder()
					a.ServeHTTP(w, r)
					require.Equal(t, http.StatusOK, w.Code, "%v", a.errors())
					if value, set := sessionCookie(w); set {
						b.cookie = value
					}
					assert.Eventually(t, func() bool {
						runtime.GC()
						return form.Value() == nil
					}, 5*time.Second, time.Millisecond, user)
				}
			})
		}
	})
}

// madeAt puts a signed-in session into a store, as a node makes it whose clock is off,
// and returns its cookie.
func madeAt(t *testing.T, p pair, user string, off time.Duration) string {
	t.Helper()
	now := time.Now().Add(off)
	r := store.Record{Name: "session", User: user, Created: now, Seen: now, Expires: now.Add(time.Hour), Values: map[string]string{
		signin.Name: signin.SignIn{At: now, Ends: now.Add(time.Hour), Line: crand.Text()}.Text(),
	}}
	token, _ := stored(t, p[1], r)
	return token
}

// TestClocksApart: the sign-in that is being made is never the one that has to go for
// the limit, whatever the clock of the other node said.
func TestClocksApart(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		nodes := two(t, p, sessionkit.Config{MaxSessions: 1})
		for _, off := range []time.Duration{-3 * time.Second, 0, 3 * time.Second} {
			user := "of a clock " + off.String() + " ahead"
			earlier := madeAt(t, p, user, off)
			b := nodes[0].browser().signIn(user)
			assert.Len(t, list(t, p[0], user), 1)
			dead(t, nodes, earlier, "it is the earlier sign-in")
			for range 3 { // and so on, also from other nodes
				before := b.cookie
				b = nodes[1].browser().signIn(user)
				dead(t, nodes, before, "it is the earlier sign-in")
			}
		}
	})
}

// TestFreshByAnotherClock: a clock that is ahead does not make an old sign-in fresh by
// more than is tolerated.
func TestFreshByAnotherClock(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		a := newSite(t, p[0], sessionkit.Config{})
		a.GET("/fresh", sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: time.Minute}), func(c *gin.Context) { c.Status(http.StatusOK) })
		for off, want := range map[time.Duration]int{
			0: http.StatusOK, 3 * time.Second: http.StatusOK, -50 * time.Second: http.StatusOK,
			7 * time.Second: http.StatusUnauthorized, time.Hour: http.StatusUnauthorized, -61 * time.Second: http.StatusUnauthorized,
		} {
			b := &browser{a, madeAt(t, p, "42", off)}
			assert.Equal(t, want, b.do(http.MethodGet, "/fresh").Code, "a sign-in %v from now", off)
		}
	})
}
