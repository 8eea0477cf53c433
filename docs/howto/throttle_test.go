package howto_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

func TestThrottledLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		defer func() { assert.NoError(t, store.Close()) }()
		r := gin.New()
		r.Use(sessionkit.Sessions(store, secrets))
		howto.ThrottledLogin(r, new(howto.Throttle), func(_, password string) bool { return password == "right" })

		client := sessionkittest.Visitor(t, r)
		for _, want := range []string{`{"forgotten":false}`, `{"forgotten":false}`, `{"forgotten":true}`} {
			w := client.Post("/login", form("user", "ada", "password", "wrong"))
			assert.Equal(t, http.StatusUnauthorized, w.Code)
			assert.JSONEq(t, want, w.Body.String())
		}
		w := sessionkittest.Visitor(t, r).Post("/login", form("user", "ada", "password", "wrong"))
		assert.JSONEq(t, `{"forgotten":false}`, w.Body.String(), "whoever drops the cookie begins anew")

		assert.Equal(t, http.StatusSeeOther, client.Post("/login", form("user", "ada", "password", "right")).Code)
		assert.Equal(t, "ada", client.Session().User)
		w = sessionkittest.Visitor(t, r).Post("/login", form("user", "ada", "password", "right"))
		assert.Equal(t, http.StatusTooManyRequests, w.Code, "but not with the account, nor with the address")
		assert.Equal(t, "60", w.Header().Get("Retry-After"))
		assert.Equal(t, http.StatusTooManyRequests, client.Post("/login", form("user", "bob", "password", "right")).Code)
		fromElsewhere := func(user string) int {
			body := strings.NewReader(form("user", user, "password", "right").Encode())
			q := httptest.NewRequest(http.MethodPost, "/login", body)
			q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			q.RemoteAddr = "198.51.100.7:1234"
			return sessionkittest.Visitor(t, r).Do(q).Code
		}
		assert.Equal(t, http.StatusTooManyRequests, fromElsewhere("ada"), "the account counts from everywhere")
		assert.Equal(t, http.StatusSeeOther, fromElsewhere("bob"))
		time.Sleep(time.Minute)
		assert.Equal(t, http.StatusSeeOther, client.Post("/login", form("user", "ada", "password", "right")).Code)

		time.Sleep(time.Hour)
		for i := range 5 {
			w := client.Post("/login", form("user", strconv.Itoa(i), "password", "wrong"))
			assert.Equal(t, http.StatusUnauthorized, w.Code)
		}
		w = sessionkittest.Visitor(t, r).Post("/login", form("user", "ada", "password", "right"))
		assert.Equal(t, http.StatusTooManyRequests, w.Code)
		assert.Equal(t, http.StatusSeeOther, client.Post("/login", form("user", "ada", "password", "right")).Code)
	})
}

var secrets = sessionkit.Config{Secrets: [][]byte{[]byte(strings.Repeat("s", 32))}}

// TestThrottleLocksNobodyOut: whoever guesses at an account from many addresses gets few
// guesses, and its user signs in all the same.
func TestThrottleLocksNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		defer func() { assert.NoError(t, store.Close()) }()
		guesses := 0
		r := gin.New()
		r.Use(sessionkit.Sessions(store, secrets))
		howto.ThrottledLogin(r, new(howto.Throttle), func(_, password string) bool {
			if password == "wrong" {
				guesses++
			}
			return password == "right"
		})
		post := func(client *sessionkittest.Client, address, user, password string) int {
			return signInFrom(client, address, user, password).Code
		}
		ada, eve := sessionkittest.Visitor(t, r), sessionkittest.Visitor(t, r)
		assert.Equal(t, http.StatusSeeOther, post(ada, "192.0.2.1", "ada", "right"))
		assert.Equal(t, http.StatusSeeOther, post(eve, "192.0.2.2", "eve", "right"), "whose browser is known for another account")
		for second := range 3600 {
			time.Sleep(time.Second)
			if second%10 == 0 {
				post(eve, "10.0.0."+strconv.Itoa(second/10%12), "ada", "wrong")
			}
			if second%60 == 30 {
				assert.Equal(t, http.StatusSeeOther, post(ada, "192.0.2.1", "ada", "right"))
			}
		}
		assert.InDelta(t, 64, guesses, 2, "five at once, then one a minute")
		for range 20 {
			post(ada, "192.0.2.1", "ada", "wrong")
		}
		assert.Less(t, guesses, 90, "a stolen cookie is no way around it")
	})
}

// signInFrom posts a sign-in from an address.
func signInFrom(client *sessionkittest.Client, address, user, password string) *httptest.ResponseRecorder {
	q := httptest.NewRequest(http.MethodPost, "/login", strings.NewReader(form("user", user, "password", password).Encode()))
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	q.RemoteAddr = net.JoinHostPort(address, "1234")
	return client.Do(q)
}

// TestThrottleCountsAccounts: the accounts are in a database that compares names as
// MySQL does by default. Each spelling of a name is one account's.
func TestThrottleCountsAccounts(t *testing.T) {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New(), secrets))
	guesses := 0
	howto.ThrottledLogin(r, new(howto.Throttle), func(user, password string) bool {
		if !strings.EqualFold(strings.TrimRight(user, " "), "ada") {
			return false
		}
		guesses++
		return password == "right"
	})
	for i, name := range []string{"ada", "Ada", "ADA", "aDa", "ada ", "ada  ", " ada", "Ada\t", "ada\u00a0", "adA \r\n"} {
		for range 5 {
			signInFrom(sessionkittest.Visitor(t, r), "192.0.2."+strconv.Itoa(i), name, "wrong")
		}
	}
	assert.Equal(t, 5, guesses)

	r = gin.New()
	r.Use(sessionkit.Sessions(memstore.New(), secrets))
	howto.ThrottledLogin(r, new(howto.Throttle), func(_, password string) bool { return password == "right" })
	ada := sessionkittest.Visitor(t, r)
	assert.Equal(t, http.StatusSeeOther, signInFrom(ada, "192.0.2.1", "ADA ", "right").Code)
	assert.Equal(t, "ada", ada.Session().User, "one account is one user")
	for range 20 {
		signInFrom(sessionkittest.Visitor(t, r), "192.0.2.1", "ada", "wrong")
	}
	assert.Equal(t, http.StatusSeeOther, signInFrom(ada, "192.0.2.1", "Ada", "right").Code, "her browser is known, whatever she types")
}

// TestThrottleCountsNetworks: a customer of a provider has 2^64 addresses of IPv6.
func TestThrottleCountsNetworks(t *testing.T) {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New(), secrets))
	howto.ThrottledLogin(r, new(howto.Throttle), func(string, string) bool { return false })
	tried, names := map[string]int{}, 0
	for i := range 20 {
		for network, address := range map[string]string{
			"a /64":       "2001:db8:1:1:" + strconv.Itoa(i) + "::1",
			"another /64": "2001:db8:1:2::" + strconv.Itoa(i),
			"IPv4":        "192.0.2." + strconv.Itoa(i),
		} {
			names++
			if signInFrom(sessionkittest.Visitor(t, r), address, strconv.Itoa(names), "wrong").Code == http.StatusUnauthorized {
				tried[network]++
			}
		}
	}
	assert.Equal(t, map[string]int{"a /64": 5, "another /64": 5, "IPv4": 20}, tried)
}

// TestThrottleKeepsLittle: what a form has too much of stays nowhere.
func TestThrottleKeepsLittle(t *testing.T) {
	const size = 4 << 20 // two of them are in a form that is read
	for name, user := range map[string]string{"a long name": strings.Repeat("u", size), "blanks": "u" + strings.Repeat(" ", size), "another field": "u"} {
		r := gin.New()
		r.Use(sessionkit.Sessions(memstore.New(), secrets))
		throttle := new(howto.Throttle)
		howto.ThrottledLogin(r, throttle, func(string, string) bool { return false })
		before := heap()
		for i := range 20 {
			w := signInFrom(sessionkittest.Visitor(t, r), "192.0.2."+strconv.Itoa(i), strconv.Itoa(i)+user, strings.Repeat("p", size))
			if name == "a long name" {
				assert.Equal(t, http.StatusBadRequest, w.Code)
			} else {
				assert.Equal(t, http.StatusUnauthorized, w.Code)
			}
		}
		assert.Less(t, heap()-before, int64(4*size), name) // of 20 requests
		runtime.KeepAlive(throttle)
	}
}

// heap returns how many bytes are in use.
func heap() int64 {
	for range 3 {
		runtime.GC() // more than once, for what pools keep
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
