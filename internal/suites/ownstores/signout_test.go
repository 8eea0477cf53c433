package ownstores_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// endings are the calls that end sessions, by a session or, if that is nil, by the
// application. Each says which of two sessions must be dead then.
var endings = map[string]func(t *testing.T, by, other *browser) (byDead, otherDead bool){
	"LogoutOthers": func(_ *testing.T, by, _ *browser) (bool, bool) {
		by.post("/others")
		return false, true
	},
	"LogoutEverywhere": func(_ *testing.T, by, _ *browser) (bool, bool) {
		by.at(by.site).post("/everywhere")
		return true, true
	},
	"RevokeAll": func(t *testing.T, by, _ *browser) (bool, bool) {
		n, err := by.site.store.RevokeAll(t.Context(), "42")
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		return true, true
	},
	"RevokeAll but one": func(t *testing.T, by, _ *browser) (bool, bool) {
		n, err := by.site.store.RevokeAll(t.Context(), "42", by.id())
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		return false, true
	},
	"Revoke": func(_ *testing.T, by, other *browser) (bool, bool) {
		by.post("/revoke?id=" + other.id())
		return false, true
	},
	"Revoke of the store": func(t *testing.T, by, other *browser) (bool, bool) {
		require.NoError(t, by.site.store.Revoke(t.Context(), "42", other.id()))
		return false, true
	},
}

// TestDoubleSignIn: two requests of one session both sign its user in again. That
// makes two sessions, which every list shows and every ending call tells apart.
func TestDoubleSignIn(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		for _, between := range []string{"/login?user=42", "/renew", "/confirm", "/login?user=42 /renew", "/confirm /login?user=42"} {
			for name, end := range endings {
				for _, by := range []string{"the first", "the second"} {
					t.Run(strings.ReplaceAll(between, "?user=42", "")+", "+name+" by "+by, func(t *testing.T) {
						nodes := two(t, p, sessionkit.Config{})
						first := nodes[0].browser().signIn("42")
						secrets := []string{first.cookie}
						second := first.at(nodes[1])
						w := second.underWay("/login?user=42", "before", true, func() {
							for target := range strings.FieldsSeq(between) {
								first.post(target)
								secrets = append(secrets, first.cookie)
							}
						})
						require.Equal(t, http.StatusOK, w.Code, nodes[1].errors())
						secrets = secrets[:len(secrets)-1]
						for _, old := range secrets {
							dead(t, nodes, old, "the ID before")
						}
						require.Equal(t, "42", first.get("/"))
						require.Equal(t, "42", second.get("/"))
						all := list(t, p[0], "42")
						assert.Len(t, all, 2)
						for _, b := range []*browser{first, second} {
							assert.Equal(t, strings.Join(all, " "), b.get("/devices"))
							assert.Equal(t, b.id(), b.do(http.MethodGet, "/devices").Header().Get("X-Own"), "its own is among them")
						}

						caller, other := first, second
						if by == "the second" {
							caller, other = second, first
						}
						callerDead, otherDead := end(t, caller, other)
						for _, is := range []struct {
							b    *browser
							dead bool
						}{{caller, callerDead}, {other, otherDead}} {
							if is.dead {
								dead(t, nodes, is.b.cookie, "it was ended")
							} else {
								assert.Equal(t, "42", is.b.get("/"), "it was spared")
							}
						}
						left := 0
						if !callerDead {
							left++
							assert.Equal(t, caller.id(), caller.get("/devices"))
						}
						assert.Len(t, list(t, p[1], "42"), left)
						for _, s := range []*store.Store{p[0], p[1]} {
							_, err := s.RevokeAll(t.Context(), "42")
							require.NoError(t, err)
						}
						assert.Empty(t, list(t, p[0], "42"))
					})
				}
			}
		}
	})
}

// TestRenewalsAtOnce: of requests that renew one session one does so, and the others
// find that done. It is one session all the time.
func TestRenewalsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		nodes := two(t, p, sessionkit.Config{})
		for _, late := range []string{"/renew", "/confirm", "/visit"} {
			for _, first := range []string{"/renew", "/confirm"} {
				b := nodes[0].browser().signIn("42")
				second := b.at(nodes[1])
				w := second.underWay(late, "before", true, func() { b.post(first) })
				require.Equal(t, http.StatusOK, w.Code, "%s while %s: %v", late, first, nodes[1].errors())
				_, set := sessionCookie(w)
				assert.False(t, set, "the browser has the cookie of the first")
				assert.Len(t, list(t, p[0], "42"), 1)
				assert.Equal(t, "42", b.get("/"))
				b.post("/everywhere")
			}
		}
	})
}

// under are the moments of a sign-in at which something else may come between.
var under = []struct{ name, when string }{{"before the sign-in", "before"}, {"before it is saved", "after"}}

// TestSignInUnderWay: what ends all sessions of a user also ends a sign-in whose
// request began before.
func TestSignInUnderWay(t *testing.T) {
	ends := map[string]func(t *testing.T, a *site, device *browser){
		"RevokeAll": func(t *testing.T, a *site, device *browser) {
			_, err := a.store.RevokeAll(t.Context(), "42", device.id())
			require.NoError(t, err)
		},
		"LogoutOthers":     func(_ *testing.T, a *site, device *browser) { device.at(a).post("/others") },
		"LogoutEverywhere": func(_ *testing.T, a *site, device *browser) { device.at(a).post("/everywhere") },
	}
	each(t, func(t *testing.T, p pair) {
		for name, end := range ends {
			for _, moment := range under {
				for _, with := range []string{"without a session", "a visitor", "signed in"} {
					t.Run(name+" "+moment.name+", "+with, func(t *testing.T) {
						nodes := two(t, p, sessionkit.Config{})
						device, b := nodes[0].browser().signIn("42"), nodes[0].browser()
						switch with {
						case "a visitor":
							b.post("/visit")
						case "signed in":
							b.signIn("42")
						}
						before := b.cookie
						w := b.underWay("/login?user=42", moment.when, false, func() { end(t, nodes[1], device) })
						assert.Equal(t, http.StatusServiceUnavailable, w.Code)
						_, set := sessionCookie(w)
						assert.False(t, set)
						errs := nodes[0].errors()
						require.NotEmpty(t, errs)
						require.ErrorIs(t, errs[0], store.ErrEnded)
						want := 1
						if name == "LogoutEverywhere" {
							want = 0
						}
						assert.Len(t, list(t, p[0], "42"), want, "no session is left but the one that was spared")
						if with == "signed in" {
							dead(t, nodes, before, "the one before was ended as well")
						}

						// At once it is another sign-in, which nothing has ended.
						again := b.at(nodes[1])
						again.signIn("42")
						assert.Len(t, list(t, p[0], "42"), want+1)
						_, err := p[0].RevokeAll(t.Context(), "42")
						require.NoError(t, err)
					})
				}
			}
		}
	})
}

// TestSignInOfAServerThatHangs: what it stores when it goes on, nobody has the token of.
func TestSignInOfAServerThatHangs(t *testing.T) {
	server := testserver.Redis(t)
	for name, direct := range map[string]bool{redisCached: false, redisDirect: true} {
		t.Run(name, func(t *testing.T) {
			config := redisstore.Config{}
			if direct {
				config.CacheBytes = -1
			}
			s := store.New(overRedis(t, []string{server.Address}, config), store.Config{Timeout: 500 * time.Millisecond})
			t.Cleanup(func() { assert.NoError(t, s.Close()) })
			a := two(t, pair{s, s}, sessionkit.Config{})[0]
			phone := a.browser().signIn(name)
			server.Pause()
			for range 3 {
				assert.Equal(t, http.StatusServiceUnavailable, a.browser().do(http.MethodPost, "/login?user="+url.QueryEscape(name)).Code)
			}
			server.Resume()
			assert.Eventually(t, func() bool {
				sessions, err := s.Sessions(t.Context(), name)
				return err == nil && len(sessions) == 1
			}, time.Minute, 10*time.Millisecond)
			assert.Equal(t, name, phone.get("/"))
		})
	}
}

// TestSignInAfterARevocation: a sign-in that begins when the sessions have been ended
// is accepted, however soon.
func TestSignInAfterARevocation(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		nodes := two(t, p, sessionkit.Config{})
		device := nodes[0].browser().signIn("42")
		for i := range rounds(100, 1000) {
			if i%2 == 0 {
				_, err := p[i%3%2].RevokeAll(t.Context(), "42")
				require.NoError(t, err)
			} else {
				device.post("/everywhere")
			}
			device = nodes[i%2].browser().signIn("42")
			device.post("/renew")
			require.Equal(t, "42", device.get("/"))
		}
	})
}

// TestLogoutOthersOfAnEndedSession: a request whose session is ended while it runs ends no
// other, as a thief's who changes the password while the user revokes that device. One whose
// session goes on, under whatever ID, does.
func TestLogoutOthersOfAnEndedSession(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		for name, test := range map[string]struct {
			meanwhile func(own, other *browser)
			ended     bool
		}{
			"revoked by the other":    {func(own, other *browser) { other.post("/revoke?id=" + own.id()) }, true},
			"revoked by the store":    {func(own, _ *browser) { require.NoError(t, p[1].Revoke(t.Context(), "42", own.id())) }, true},
			"signed out":              {func(own, _ *browser) { own.post("/logout") }, true},
			"another user":            {func(own, _ *browser) { own.post("/login?user=43") }, true},
			"renewed, and signed out": {func(own, _ *browser) { own.post("/renew"); own.post("/logout") }, true},
			"renewed, and revoked": {func(own, other *browser) {
				own.post("/renew")
				other.post("/revoke?id=" + own.id())
			}, true},
			"renewed twice":      {func(own, _ *browser) { own.post("/renew"); own.post("/confirm") }, false},
			"the same user":      {func(own, _ *browser) { own.post("/login?user=42") }, false},
			"the others, before": {func(own, _ *browser) { own.post("/others") }, false},
			"nothing":            {func(*browser, *browser) {}, false},
		} {
			t.Run(name, func(t *testing.T) {
				nodes := two(t, p, sessionkit.Config{})
				own, other := nodes[0].browser().signIn("42"), nodes[1].browser().signIn("42")
				w := own.at(nodes[0]).underWay("/others", "before", true, func() { test.meanwhile(own.at(nodes[1]), other) })
				if !test.ended {
					assert.Equal(t, http.StatusOK, w.Code, nodes[0].errors())
					dead(t, nodes, other.cookie, "it is one of the others")
				} else {
					assert.Equal(t, http.StatusTeapot, w.Code)
					errs := nodes[0].errors()
					require.NotEmpty(t, errs)
					require.ErrorIs(t, errs[0], store.ErrEnded)
					assert.Equal(t, "42", other.get("/"))
					other.post("/renew")
					assert.Equal(t, "42", other.get("/"), "no boundary ends it either")
				}
				_, err := p[0].RevokeAll(t.Context(), "42")
				require.NoError(t, err)
			})
		}
	})
}

// TestRenewalUnderWay: a session that was ended gets no new ID from a request that
// had read it before.
func TestRenewalUnderWay(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		nodes := two(t, p, sessionkit.Config{})
		for _, target := range []string{"/renew", "/confirm", "/visit"} {
			b := nodes[0].browser().signIn("42")
			w := b.underWay(target, "after", true, func() {
				_, err := p[1].RevokeAll(t.Context(), "42")
				require.NoError(t, err)
			})
			assert.Equal(t, http.StatusServiceUnavailable, w.Code, target)
			dead(t, nodes, b.cookie, "it was ended")
			assert.Empty(t, list(t, p[0], "42"))
		}
	})
}

// TestAttempt: from there on no sign-in stands whose sessions were ended meanwhile,
// and one that follows in the same request does.
func TestAttempt(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		a := newSite(t, p[0], sessionkit.Config{})
		revoke := func() {
			_, err := p[1].RevokeAll(t.Context(), "42")
			require.NoError(t, err)
		}
		a.POST("/between", func(c *gin.Context) {
			attempt := sessionkit.Attempt(c, "42")
			revoke()
			sessionkit.Login(c, "42", attempt)
		})
		a.POST("/before", func(c *gin.Context) {
			revoke()
			sessionkit.Login(c, "42", sessionkit.Attempt(c, "42"))
		})
		a.POST("/without", func(c *gin.Context) {
			revoke()
			sessionkit.Login(c, "42")
		})
		a.POST("/everywhere-first", func(c *gin.Context) {
			assert.NoError(t, sessionkit.LogoutEverywhere(c))
			sessionkit.Login(c, "42")
		})
		a.POST("/others-first", func(c *gin.Context) {
			assert.NoError(t, sessionkit.LogoutOthers(c))
			sessionkit.Login(c, "42")
		})
		a.POST("/others-then", func(c *gin.Context) {
			sessionkit.Login(c, "42")
			assert.NoError(t, sessionkit.LogoutOthers(c))
		})
		a.POST("/for-another", func(c *gin.Context) { sessionkit.Login(c, "43", sessionkit.Attempt(c, "42")) })
		for target, status := range map[string]int{
			"/between": http.StatusServiceUnavailable, "/without": http.StatusServiceUnavailable,
			"/before": http.StatusOK, "/everywhere-first": http.StatusOK, "/others-first": http.StatusOK, "/others-then": http.StatusOK,
			"/for-another": http.StatusInternalServerError,
		} {
			for range 2 { // the second time the user's boundary is there
				other, b := a.browser().signIn("42"), a.browser().signIn("42")
				w := b.do(http.MethodPost, target)
				assert.Equal(t, status, w.Code, "%s: %v", target, a.errors())
				if status == http.StatusOK {
					assert.Equal(t, "42", b.get("/"), target)
					dead(t, [2]*site{a, a}, other.cookie, target)
					b.post("/renew")
					assert.Equal(t, "42", b.get("/"), target)
				}
				revoke()
			}
		}
	})
}

// TestManySignInsAgainstSignOutEverywhere: nothing is alive that began before it.
func TestManySignInsAgainstSignOutEverywhere(t *testing.T) {
	const parallel = 8
	on(t, []string{memory, sqlite, redisCached}, func(t *testing.T, p pair) {
		nodes := two(t, p, sessionkit.Config{})
		var mu sync.Mutex
		began := make(map[string]time.Time) // by the ID of the session that came of it
		for _, a := range nodes {
			a.POST("/noted", func(c *gin.Context) {
				start := time.Now()
				sessionkit.Login(c, "42")
				c.Status(http.StatusOK)
				c.Writer.WriteHeaderNow()
				mu.Lock()
				defer mu.Unlock()
				began[sessionkit.Current(c).ID] = start
			})
		}
		survivors := 0
		for range rounds(100, 1000) {
			b, device := nodes[0].browser().signIn("42"), nodes[1].browser().signIn("42")
			clear(began)
			var called time.Time
			barrier := make(chan struct{})
			var done sync.WaitGroup
			for i := range parallel {
				done.Go(func() {
					<-barrier
					b.at(nodes[i%2]).do(http.MethodPost, "/noted")
				})
			}
			done.Go(func() {
				<-barrier
				called = time.Now()
				device.post("/everywhere")
			})
			close(barrier)
			done.Wait()
			for _, id := range list(t, p[0], "42") {
				if start, ok := began[id]; !ok || start.Before(called) {
					survivors++
				}
			}
			_, err := p[0].RevokeAll(t.Context(), "42")
			require.NoError(t, err)
		}
		assert.Zero(t, survivors)
	})
}

// TestNames: a token opens the session of its own name, and no other.
func TestNames(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		const header = "X-Session-Token"
		customers := newSite(t, p[0], sessionkit.Config{TokenHeader: header, MaxSessions: 2})
		admins := newSite(t, p[1], sessionkit.Config{Name: "admin", TokenHeader: header, MaxSessions: 2})
		customer := customers.browser().signIn("42")
		admin := func(token string) string {
			w := (&browser{site: admins}).do(http.MethodGet, "/", "Cookie", "__Host-Http-admin="+token)
			require.Equal(t, http.StatusOK, w.Code)
			return w.Body.String()
		}
		assert.Empty(t, admin(customer.cookie), "the customer's token is nothing to the administrators' area")
		viaHeader := func(a *site, token string) string {
			return (&browser{site: a}).do(http.MethodGet, "/", header, token).Body.String()
		}
		w := (&browser{site: admins}).do(http.MethodPost, "/login?user=42", header, "")
		require.Equal(t, http.StatusOK, w.Code)
		token := w.Header().Get(header)
		require.Equal(t, "42", viaHeader(admins, token))
		assert.Empty(t, viaHeader(customers, token), "in a header neither")
		require.Equal(t, "42", viaHeader(customers, customer.cookie))
		assert.Empty(t, viaHeader(admins, customer.cookie))

		second := customers.browser().signIn("42")
		assert.Equal(t, 2, len(strings.Fields(customer.get("/devices"))), "a list has the sessions of its name")
		assert.Len(t, list(t, p[0], "42"), 3, "and the application's has all")
		sessions, err := p[0].Sessions(t.Context(), "42")
		require.NoError(t, err)
		names := make(map[string]int)
		adminID := ""
		for _, s := range sessions {
			if names[s.Name]++; s.Name == "admin" {
				adminID = s.ID
			}
		}
		assert.Equal(t, map[string]int{"session": 2, "admin": 1}, names)

		customers.browser().signIn("42")
		assert.Equal(t, "42", viaHeader(admins, token), "MaxSessions counts those of its name")
		assert.Empty(t, customer.get("/"))
		second.post("/revoke?id=" + adminID)
		assert.Equal(t, "42", viaHeader(admins, token), "Revoke ends those of its name")
		second.post("/others")
		assert.Equal(t, "42", viaHeader(admins, token), "LogoutOthers too")
		w = (&browser{site: admins}).do(http.MethodPost, "/renew", header, token)
		require.Equal(t, http.StatusOK, w.Code, admins.errors())
		token = w.Header().Get(header)
		assert.Equal(t, "42", viaHeader(admins, token), "a renewal does not find it ended")
		n, err := p[1].RevokeAll(t.Context(), "42")
		require.NoError(t, err)
		assert.Equal(t, 2, n, "RevokeAll of a store ends all")
		assert.Empty(t, viaHeader(admins, token))
	})
}

// TestSessionsWithoutAName: those of earlier versions open under the name with which
// they are used.
func TestSessionsWithoutAName(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		for _, name := range []string{"session", "admin"} {
			a := newSite(t, p[0], sessionkit.Config{Name: name, TokenHeader: "X-Session-Token"})
			now := time.Now()
			user := "a user of " + name // whose sessions nothing has ended
			r := store.Record{User: user, Created: now, Seen: now, Expires: now.Add(time.Hour), Values: map[string]string{
				"_kit:sign_in": `["json",{"at":"` + now.UTC().Format(time.RFC3339Nano) + `","line":"` + name + `"}]`,
			}}
			token, _ := stored(t, p[0], r)
			w := (&browser{site: a}).do(http.MethodGet, "/", "X-Session-Token", token)
			assert.Equal(t, user, w.Body.String())
			assert.Len(t, list(t, p[0], user), 1)
			w = (&browser{site: a}).do(http.MethodPost, "/renew", "X-Session-Token", token)
			require.Equal(t, http.StatusOK, w.Code)
			sessions, err := p[0].Sessions(t.Context(), user)
			require.NoError(t, err)
			require.Len(t, sessions, 1)
			assert.Equal(t, name, sessions[0].Name, "from its next ID on it has that name")
		}
	})
}
