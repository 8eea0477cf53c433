package howto

import (
	"crypto/rand"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"github.com/gin-sessionkit/sessionkit"
)

// Throttle counts attempts by browser, by network and by account, in this process. It
// keeps its keys for some minutes, so they must be short.
type Throttle struct {
	mu     sync.Mutex
	limits map[string]*rate.Limiter
	swept  time.Time
}

// Allow reports whether there may be one more attempt for key.
func (t *Throttle) Allow(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.swept) > time.Minute {
		t.swept = time.Now()
		full := func(_ string, l *rate.Limiter) bool { return l.Tokens() >= float64(l.Burst()) }
		maps.DeleteFunc(t.limits, full) // nobody has tried for a while
	}
	if t.limits == nil {
		t.limits = make(map[string]*rate.Limiter)
	}
	if t.limits[key] == nil {
		t.limits[key] = rate.NewLimiter(rate.Every(time.Minute), 5) // five at once, then one a minute
	}
	return t.limits[key].Allow()
}

var failures = sessionkit.NewKey[int]("failed_sign_ins")

// A knownBrowser is one in which a user has signed in before.
type knownBrowser struct{ User, ID string }

var known = sessionkit.NewCookie[knownBrowser]("known", sessionkit.CookieOptions{
	MaxAge: 365 * 24 * time.Hour, Protection: sessionkit.Signed, // by Config.Secrets
})

// network returns what one customer of a provider has: an address of IPv4, or a /64 of
// IPv6 with its 2^64 addresses.
func network(ip string) string {
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return "" // all of these together
	}
	address = address.Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	return netip.PrefixFrom(address, 64).Masked().String()
}

// ThrottledLogin adds a sign-in that is throttled. It needs Config.Secrets.
func ThrottledLogin(r gin.IRouter, throttle *Throttle, check func(user, password string) bool) {
	r.POST("/login", func(c *gin.Context) {
		user := strings.ToLower(strings.TrimSpace(c.PostForm("user"))) // one account, one name
		if len(user) > 255 {                                           // nobody's, and it would be kept for minutes
			c.AbortWithStatus(http.StatusBadRequest)
			return
		}
		browser, err := known.Get(c)
		allowed := err == nil && browser.User == user && throttle.Allow("browser "+browser.ID) // counts for itself: nobody else can use it up
		if !allowed && (!throttle.Allow("network "+network(c.ClientIP())) || !throttle.Allow("user "+user)) {
			c.Header("Retry-After", "60")
			c.AbortWithStatus(http.StatusTooManyRequests)
			return
		}
		if !check(user, c.PostForm("password")) {
			n, _ := failures.Update(c, func(n int) int { return n + 1 }) // in this browser, as long as it keeps the cookie
			c.JSON(http.StatusUnauthorized, gin.H{"forgotten": n >= 3})
			return
		}
		failures.Delete(c)
		if err := known.Set(c, knownBrowser{user, rand.Text()}); err != nil {
			slog.ErrorContext(c, "throttle", "err", err) // Config.Secrets is missing
		}
		sessionkit.Login(c, user)
		c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/"))
	})
}
