package reliability_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// A client uses the application, one request after the other, and knows what must
// come of it.
type client struct {
	browser

	load *load
	user string
	rand *rand.Rand
	last int // number that it wrote last

	cookie   string   // of its session; "": it is signed out
	ended    []string // cookies of sessions that were ended or have another ID
	doubtful bool     // a request that would end the session or change its ID got no answer
	counter  register
	others   [3]register

	done atomic.Int64 // requests that were acknowledged
}

// step makes one request.
func (c *client) step() {
	if c.cookie == "" {
		c.signIn()
		return
	}
	switch n := c.rand.IntN(100); {
	case n < 20:
		c.increment("/increment")
	case n < 35 && !c.doubtful: // a session that is gone would begin anew
		c.increment("/visit")
	case n < 60:
		c.set()
	case n < 82:
		c.look()
	case n < 89:
		c.renew()
	case n < 96:
		c.replay()
	default:
		c.signOut()
	}
}

func (c *client) signIn() {
	planted := ""
	if len(c.ended) > 0 && c.rand.IntN(2) == 0 {
		planted = c.ended[c.rand.IntN(len(c.ended))]
	}
	r := c.send(c.load.site, http.MethodPost, "/long/login", planted, "user", c.user)
	switch c.judge("a sign-in", r) {
	case acknowledged:
		if r.cookie == "" || r.cookie == planted {
			c.load.found(unsaved, "a sign-in of %s sets no new cookie", c.user)
		}
		c.cookie, c.doubtful = r.cookie, false
		c.counter, c.others = register{}, [3]register{}
		c.compare("a sign-in", r.state)
	case gone:
		c.load.found(signedOut, "a sign-in of %s is answered with 401", c.user)
	case unknown:
	}
}

func (c *client) increment(path string) {
	r := c.send(c.load.site, http.MethodPost, "/long"+path, c.cookie)
	switch c.judge("an increment", r) {
	case acknowledged:
		if r.cookie != "" {
			c.load.found(signedOut, "an increment of %s begins a new session", c.user)
		}
		if !c.counter.added(r.state.Counter) {
			c.load.found(lost, "the counter of %s is %d after an increment", c.user, r.state.Counter)
		}
	case unknown:
		c.counter.attemptedToAdd(c.load.late)
	case gone:
	}
}

func (c *client) set() {
	key := c.rand.IntN(len(c.others))
	c.last++
	r := c.send(c.load.site, http.MethodPost, "/long/set", c.cookie, "key", strconv.Itoa(key), "value", strconv.Itoa(c.last))
	switch c.judge("a write", r) {
	case acknowledged:
		c.others[key].acknowledged(c.last)
	case unknown:
		c.others[key].attempted(c.last, c.load.late)
	case gone:
	}
}

// look reads the session, and reports whether it could.
func (c *client) look() bool {
	r := c.send(c.load.site, http.MethodGet, "/long/state", c.cookie)
	v := c.judge("a read", r)
	if v == acknowledged {
		c.compare("a read", r.state)
	}
	return v != unknown
}

// compare judges a session as it was read.
func (c *client) compare(what string, s state) {
	if s.User != c.user {
		c.load.found(foreign, "%s of %s shows the session of %q", what, c.user, s.User)
	}
	if may := c.counter.all(); !c.counter.read(s.Counter) {
		c.load.found(lost, "%s of %s: the counter is %d and should be of %v", what, c.user, s.Counter, may)
	}
	for i := range c.others {
		if may := c.others[i].all(); !c.others[i].read(s.Others[i]) {
			c.load.found(lost, "%s of %s: value %d is %d and should be of %v", what, c.user, i, s.Others[i], may)
		}
	}
}

func (c *client) renew() {
	r := c.send(c.load.site, http.MethodPost, "/long/renew", c.cookie)
	switch c.judge("a renewal", r) {
	case acknowledged:
		if r.cookie == "" || r.cookie == c.cookie {
			c.load.found(unsaved, "a renewal of %s sets no new cookie", c.user)
		}
		c.ended = append(c.ended, c.cookie)
		c.cookie = r.cookie
	case unknown:
		c.doubtful = true
	case gone:
	}
}

func (c *client) signOut() {
	switch c.judge("a sign-out", c.send(c.load.site, http.MethodPost, "/long/logout", c.cookie)) {
	case acknowledged:
		c.end()
	case unknown:
		c.doubtful = true
	case gone:
	}
}

// end notes that the session is no more.
func (c *client) end() {
	c.ended = append(c.ended, c.cookie)
	c.cookie, c.doubtful = "", false
}

// replay uses a cookie that must open nothing.
func (c *client) replay() {
	if len(c.ended) > 0 {
		c.replayOf(c.ended[c.rand.IntN(len(c.ended))])
	}
}

// replayOf reports whether there was an answer.
func (c *client) replayOf(cookie string) bool {
	r := c.send(c.load.site, http.MethodGet, "/long/state", cookie)
	if r.status == http.StatusOK {
		c.load.found(revived, "a session of %s that was ended shows the session of %q", c.user, r.state.User)
	}
	return r.status == http.StatusUnauthorized || c.judge("a replay", r) != unknown
}

// A verdict is what an answer means for a request.
type verdict int

const (
	acknowledged verdict = iota
	unknown              // nobody knows whether it was carried out
	gone                 // the session is no more
)

// judge judges an answer, apart from what it says of the session.
func (c *client) judge(what string, r response) verdict {
	c.load.took(r.took)
	switch {
	case r.err != nil:
		if !c.load.refuses {
			c.load.found(unanswered, "%s of %s: %v", what, c.user, r.err)
		}
		c.load.refused.Add(1)
		time.Sleep(retryPause)
		return unknown
	case r.status == http.StatusServiceUnavailable:
		if r.header.Get("Retry-After") == "" || r.cookie != "" || r.header.Get("Location") != "" {
			c.load.found(unsaved, "%s of %s: a 503 with the header %v", what, c.user, r.header)
		}
		c.load.unavailable.Add(1)
		time.Sleep(retryPause)
		return unknown
	case r.status == http.StatusUnauthorized:
		if !c.doubtful && !slices.Contains(c.ended, c.cookie) {
			c.load.found(signedOut, "%s of %s is answered with 401", what, c.user)
		}
		if c.cookie != "" {
			c.end()
		}
		return gone
	case r.status != http.StatusOK:
		c.load.found(unanswered, "%s of %s: status %d", what, c.user, r.status)
		return unknown
	}
	if !c.load.late {
		c.doubtful = false
	}
	c.done.Add(1)
	return acknowledged
}

// retryPause spares a machine that has other things to do, such as to start.
const retryPause = 10 * time.Millisecond

// settle compares everything when the load has ended. It asks again while the
// answer is a 503.
func (c *client) settle() {
	ask := func(what string, answered func() bool) {
		for end := time.Now().Add(recovery); !answered(); {
			if time.Now().After(end) {
				c.load.found(unanswered, "%s of %s: no answer within %v of the end", what, c.user, recovery)
				return
			}
		}
	}
	if c.cookie != "" {
		ask("a read", c.look)
	}
	for _, cookie := range slices.Clone(c.ended) {
		ask("a replay", func() bool { return c.replayOf(cookie) })
	}
	if c.cookie == "" {
		return
	}
	ask("a list", func() bool {
		r := c.send(c.load.site, http.MethodGet, "/long/devices", c.cookie)
		v := c.judge("a list", r)
		if v == acknowledged && !slices.Contains(r.state.Devices, r.state.ID) {
			c.load.found(lost, "the sessions of %s are %v, without %s", c.user, r.state.Devices, r.state.ID)
		}
		return v != unknown
	})
}

func userName(i int) string { return fmt.Sprintf("user-%d", i) }
