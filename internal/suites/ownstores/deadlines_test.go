package ownstores_test

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
)

// lasting is how long a session lasts, as its own requests see it.
type lasting struct {
	User       string
	Remembered bool
	Lifetime   time.Duration // from the sign-in
	Left       time.Duration // if it is not used again
}

// newLasting adds sign-ins that say how long they last: the nth for n hours, and 10
// minutes and n seconds of idle time, remembered if n is even.
func newLasting(a *site) *site {
	a.POST("/last", func(c *gin.Context) {
		n, _ := strconv.Atoi(c.Query("n"))
		options := []sessionkit.LoginOption{
			sessionkit.IdleTimeout(10*time.Minute + time.Duration(n)*10*time.Second), sessionkit.Lifetime(time.Duration(n) * time.Hour),
		}
		if n%2 == 0 {
			options = append(options, sessionkit.Remember())
		}
		sessionkit.Login(c, "42", options...)
	}, a.waits("after"))
	a.GET("/lasting", func(c *gin.Context) {
		s := sessionkit.Current(c)
		c.JSON(http.StatusOK, lasting{User: s.User, Remembered: s.Remembered, Lifetime: s.EndsAt.Sub(s.SignedInAt), Left: time.Until(s.ExpiresAt)})
	})
	return a
}

func (b *browser) lasting() (l lasting) {
	b.site.t.Helper()
	w := b.do(http.MethodGet, "/lasting")
	require.Equal(b.site.t, http.StatusOK, w.Code)
	require.NoError(b.site.t, json.Unmarshal(w.Body.Bytes(), &l))
	return l
}

// nth returns which sign-in the deadlines are of. It fails if they are a mix.
func (l lasting) nth(t *testing.T) int {
	t.Helper()
	n := int(math.Round(l.Lifetime.Hours()))
	assert.Equal(t, "42", l.User)
	assert.InDelta(t, float64(n)*3600, l.Lifetime.Seconds(), 1)
	assert.Equal(t, n%2 == 0, l.Remembered, "of the %dth", n)
	assert.InDelta(t, 600+10*float64(n), l.Left.Seconds(), 5, "of the %dth", n)
	return n
}

// TestDeadlinesAtOnce: of sign-ins, confirmations and renewals at the same time each
// leaves the deadlines that one of them has set, and what it was itself asked for.
func TestDeadlinesAtOnce(t *testing.T) {
	const parallel = 64
	each(t, func(t *testing.T, p pair) {
		nodes := [2]*site{newLasting(newSite(t, p[0], sessionkit.Config{})), newLasting(newSite(t, p[1], sessionkit.Config{}))}
		for range rounds(2, 20) {
			b := nodes[0].browser()
			b.post("/last?n=23")
			barrier := make(chan struct{})
			var all sync.WaitGroup
			for i := range parallel {
				all.Go(func() {
					<-barrier
					own := b.at(nodes[i%2])
					target := []string{"/last?n=" + strconv.Itoa(1+i%20), "/confirm", "/renew", "/last?n=" + strconv.Itoa(1+i%20)}[i%4]
					w := own.do(http.MethodPost, target)
					cookie, set := sessionCookie(w)
					if w.Code != http.StatusOK || !set {
						return // another one was faster, and it says so
					}
					own.cookie = cookie
					n := own.lasting()
					if n.User == "" {
						return // another one has signed in over it since
					}
					if got := n.nth(t); i%4 == 0 || i%4 == 3 {
						assert.Equal(t, 1+i%20, got, "a sign-in lasts as long as it was asked to")
					}
				})
			}
			close(barrier)
			all.Wait()
			require.NotEmpty(t, list(t, p[0], "42"))
			_, err := p[0].RevokeAll(t.Context(), "42")
			require.NoError(t, err)
		}
	})
}

// TestShorterLifetimeStays: a request that was under way with the longer deadlines does
// not bring them back: neither into the new sign-in nor for the old session.
func TestShorterLifetimeStays(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		nodes := [2]*site{newLasting(newSite(t, p[0], sessionkit.Config{})), newLasting(newSite(t, p[1], sessionkit.Config{}))}
		for _, late := range []string{"/confirm", "/renew", "/visit", "/set?name=a&value=b"} {
			for _, loaded := range []bool{false, true} {
				b := nodes[0].browser()
				b.post("/last?n=20")
				second := b.at(nodes[1])
				w := second.underWay(late, "before", loaded, func() { b.post("/last?n=1") })
				if value, set := sessionCookie(w); set && w.Code == http.StatusOK {
					assert.NotEqual(t, 20, (&browser{nodes[0], value}).lasting().nth(t), "%s, loaded %v", late, loaded)
				}
				assert.Equal(t, 1, b.lasting().nth(t), "%s, loaded %v", late, loaded)
				b.post("/everywhere")
			}
		}
	})
}

// TestDeadlinesPass in real time: with testing/synctest no server could be asked. What
// is looked at in detail over memory, and faster, is in the root package.
func TestDeadlinesPass(t *testing.T) {
	const idle, lifetime, visitor = 2 * time.Second, 5 * time.Second, 3 * time.Second
	for _, name := range allStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := open(t, name, asItIs)
			nodes := two(t, p, sessionkit.Config{VisitorFor: visitor})
			for _, a := range nodes {
				newLasting(a)
				a.POST("/short", func(c *gin.Context) {
					options := []sessionkit.LoginOption{sessionkit.Lifetime(lifetime)}
					switch c.Query("as") {
					case "idle":
						options = append(options, sessionkit.IdleTimeout(idle))
					case "remembered":
						options = append(options, sessionkit.Remember())
					}
					sessionkit.Login(c, "42", options...)
				})
			}
			begin := func(target string) *browser {
				b := nodes[0].browser()
				b.post(target)
				return b.at(nodes[1])
			}
			start := time.Now()
			unused, used, remembered := begin("/short?as=idle"), begin("/short?as=idle"), begin("/short?as=remembered")
			guest, guestInUse := begin("/visit"), begin("/visit")
			signedIn := begin("/visit")
			signedIn.post("/short?as=idle")
			for i := 0; time.Since(start) < lifetime-idle/2; i++ {
				time.Sleep(idle / 4)
				require.Equal(t, "42", used.get("/"), "in use, after %v", time.Since(start))
				guestInUse.post("/set?name=a&value=" + strconv.Itoa(i))
				switch i {
				case 2:
					used.post("/renew")
				case 4:
					used.post("/confirm")
				}
			}
			assert.Empty(t, unused.get("/"), "unused for longer than its IdleTimeout")
			assert.Empty(t, signedIn.get("/"), "signing in ends a visitor's longer life")
			assert.Equal(t, "42", remembered.get("/"), "remembered: no idle timeout")
			assert.NotEmpty(t, guestInUse.get("/values?name=a"))
			assert.Equal(t, http.StatusOK, guest.do(http.MethodGet, "/").Code)
			assert.Empty(t, guest.id(), "a visitor's session, unused for VisitorFor")
			time.Sleep(time.Until(start.Add(lifetime + 300*time.Millisecond)))
			assert.Empty(t, used.get("/"), "its Lifetime is over, in use or not, renewed and confirmed or not")
			assert.Empty(t, remembered.get("/"), "so it is with Remember")
			assert.NotEmpty(t, guestInUse.get("/values?name=a"), "a visitor's has none")
		})
	}
}
