package deviceproofs_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/dbsctest"
	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

func TestMain(m *testing.M) { kittest.Main(m) }

const boundCookie = "__Host-session-bound"

// newBoundSite returns an application that binds sessions.
func newBoundSite(t *testing.T, s sessions.Store, config sessionkit.Config) *kittest.Site {
	t.Helper()
	config.DeviceBound = true
	a := kittest.NewRulesSite(s, config)
	a.POST("/login", kittest.SignIn("42"), func(c *gin.Context) { c.Redirect(http.StatusSeeOther, "/") })
	a.POST("/other", kittest.SignIn("43"))
	a.POST("/confirm", func(c *gin.Context) { sessionkit.Confirm(c) })
	a.POST("/set", kittest.Increment)
	a.On("/current", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Current(c)) })
	a.On("/devices", func(c *gin.Context) {
		list, err := sessionkit.Devices(c)
		if err != nil {
			panic(err)
		}
		c.JSON(http.StatusOK, list)
	})
	a.On("/login-page", func(c *gin.Context) { c.String(http.StatusOK, c.Query("reason")) })
	a.On("/guarded", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login-page"}), kittest.Whoami)
	a.POST("/fresh", sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: 3 * time.Minute}), kittest.Whoami)
	a.On("/demand", sessionkit.RequireSession(sessionkit.GuardConfig{BoundOrFresh: 10 * time.Minute}), kittest.Whoami)
	return a
}

func memory(t *testing.T) *store.Store {
	t.Helper()
	s := store.New(memstore.NewBackend(), store.Config{Timeout: -1})
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// device is a browser that binds sessions in the way that Chromium does: it registers when
// it is offered to, holds requests back while the bound cookie is missing, and makes six
// signatures in nine minutes.
type device struct {
	*kittest.Browser
	key *dbsctest.Key

	id, refreshURL string
	challenge      string    // for the next refresh; "": none
	proof          string    // the one made before, which is sent again if there is no new challenge
	until          time.Time // of the bound cookie
	ended          string    // why the binding is gone
	signed         []time.Time
	refreshes      int // that were carried out
	trips          int // requests of refreshes
}

func newDevice(t *testing.T, handler http.Handler) *device {
	t.Helper()
	return &device{Browser: kittest.NewBrowser(t, handler), key: dbsctest.NewES256(t)}
}

// sign makes a signature unless there have been too many.
func (d *device) sign() bool {
	now := time.Now()
	d.signed = slices.DeleteFunc(d.signed, func(at time.Time) bool { return now.Sub(at) >= 9*time.Minute })
	if len(d.signed) == 6 {
		return false
	}
	d.signed = append(d.signed, now)
	return true
}

var registration = regexp.MustCompile(`^\(ES256 RS256\);path="([^"]+)";challenge="([^"]+)"$`)

// do sends a request of a page.
func (d *device) do(r *http.Request) *httptest.ResponseRecorder {
	skipped := ""
	if d.id != "" && d.lost() {
		skipped = d.refresh()
	}
	fresh := d.Request(r.Method, r.URL.RequestURI())
	fresh.Body = r.Body
	maps.Copy(fresh.Header, r.Header)
	fresh.Header["Cookie"] = d.Request(r.Method, "/").Header["Cookie"]
	if skipped != "" {
		fresh.Header.Set("Secure-Session-Skipped", skipped+`;session_identifier="`+d.id+`"`)
	}
	if d.id != "" && !d.lost() && time.Until(d.until) < 2*time.Minute {
		d.refresh() // while the request is under way, with the old cookie
	}
	w := d.send(fresh)
	if m := registration.FindStringSubmatch(w.Header().Get("Secure-Session-Registration")); m != nil {
		d.register(m[1], m[2])
	}
	if w.Code == http.StatusTemporaryRedirect || w.Code == http.StatusSeeOther {
		method := r.Method
		if w.Code == http.StatusSeeOther {
			method = http.MethodGet
		}
		return d.do(d.Request(method, w.Header().Get("Location")))
	}
	return w
}

// send sends a request as it is.
func (d *device) send(r *http.Request) *httptest.ResponseRecorder {
	w := d.Do(r)
	for _, c := range kittest.SetCookies(w) {
		if c.Name == boundCookie {
			d.until = time.Now().Add(time.Duration(c.MaxAge) * time.Second)
		}
	}
	return w
}

// lost reports whether the bound cookie is missing.
func (d *device) lost() bool {
	if !time.Now().Before(d.until) {
		delete(d.Cookies, boundCookie)
	}
	return d.Cookies[boundCookie] == ""
}

func (d *device) get(target string, headers ...string) *httptest.ResponseRecorder {
	return d.do(d.Request(http.MethodGet, target, headers...))
}

func (d *device) post(target string) *httptest.ResponseRecorder {
	return d.do(d.Request(http.MethodPost, target))
}

func (d *device) register(path, challenge string) {
	if !d.sign() {
		return
	}
	w := d.send(d.Request(http.MethodPost, path, "Secure-Session-Response", d.key.Registration(challenge)))
	var told struct {
		ID          string `json:"session_identifier"`
		RefreshURL  string `json:"refresh_url"`
		Scope       *struct{}
		Credentials []struct{ Type, Name, Attributes string }
	}
	if w.Code != http.StatusOK || json.Unmarshal(w.Body.Bytes(), &told) != nil || told.Scope == nil || len(told.Credentials) != 1 {
		return // silently
	}
	line := w.Header().Get("Set-Cookie")
	assert.Equal(d.T, boundCookie, told.Credentials[0].Name)
	assert.Equal(d.T, told.Credentials[0].Attributes, "Path=/; "+strings.Join(strings.Split(line, "; ")[3:], "; "), "or browsers refresh before every request")
	d.id, d.refreshURL, d.challenge, d.proof, d.ended = told.ID, told.RefreshURL, "", "", ""
}

var challenge = regexp.MustCompile(`^"([^"]+)";id="([^"]+)"$`)

func (d *device) end(why string) { d.id, d.ended = "", why }

// refresh gets the bound cookie anew, or says why it could not.
func (d *device) refresh() (skipped string) {
	for range 5 {
		headers := []string{"Sec-Secure-Session-Id", d.id}
		if d.challenge != "" {
			if !d.sign() {
				return "quota_exceeded"
			}
			d.proof = d.key.Refresh(d.challenge)
		}
		if d.proof != "" {
			headers = append(headers, "Secure-Session-Response", d.proof)
		}
		d.trips++
		w := d.send(d.Request(http.MethodPost, d.refreshURL, headers...))
		d.challenge = ""
		if m := challenge.FindStringSubmatch(w.Header().Get("Secure-Session-Challenge")); m != nil && m[2] == d.id {
			d.challenge = m[1]
		}
		switch {
		case w.Code == http.StatusOK && w.Body.Len() == 0:
			d.refreshes++
			return ""
		case w.Code == http.StatusOK && w.Body.String() == `{"session_identifier":"`+d.id+`","continue":false}`:
			d.end("the server said so")
			return ""
		case w.Code == http.StatusForbidden && d.challenge != "":
			continue
		case w.Code >= http.StatusInternalServerError:
			return "server_error"
		default:
			d.end(http.StatusText(w.Code))
			return ""
		}
	}
	d.end("five challenges")
	return ""
}

// copied returns what somebody has who copied the cookies.
func (d *device) copied() *kittest.Browser { return d.Fork() }

// raw sends a request for the paths of the middleware.
func (d *device) raw(path, proof, id string) *httptest.ResponseRecorder {
	r := d.Request(http.MethodPost, path)
	if proof != "" {
		r.Header.Set("Secure-Session-Response", proof)
	}
	if id != "" {
		r.Header.Set("Sec-Secure-Session-Id", id)
	}
	w := httptest.NewRecorder()
	d.Handler.ServeHTTP(w, r)
	return w
}

func (d *device) current() sessionkit.Session {
	var s sessionkit.Session
	assert.NoError(d.T, json.Unmarshal(d.get("/current").Body.Bytes(), &s))
	return s
}

// pass lets time pass, with a request every half a minute.
func (d *device) pass(minutes int) {
	for range 2 * minutes {
		time.Sleep(30 * time.Second)
		assert.Equal(d.T, "42", d.get("/").Body.String())
	}
}

// inBubble runs a test with a clock of its own.
func inBubble(t *testing.T, config sessionkit.Config, test func(t *testing.T, a *kittest.Site, s *store.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := memory(t)
		test(t, newBoundSite(t, s, config), s)
	})
}

func TestBound(t *testing.T) {
	inBubble(t, sessionkit.Config{}, func(t *testing.T, a *kittest.Site, s *store.Store) {
		d := newDevice(t, a)
		assert.Equal(t, "42", d.post("/login").Body.String())
		require.NotEmpty(t, d.id)
		assert.Equal(t, []sessionkit.EventKind{"created", "signed-in", "bound"}, a.Kinds())
		c := d.current()
		assert.True(t, c.Bound)
		assert.True(t, c.ProvedAt.Equal(time.Now()))

		d.pass(30)
		assert.LessOrEqual(t, d.refreshes, 11, "one in three minutes")
		assert.GreaterOrEqual(t, d.refreshes, 8)
		assert.Equal(t, d.refreshes+1, d.trips, "one round trip, but for the first")
		assert.Empty(t, a.Kinds())
		assert.WithinDuration(t, time.Now(), d.current().ProvedAt, 4*time.Minute)
		list, err := s.Sessions(t.Context(), "42")
		require.NoError(t, err)
		require.Len(t, list, 1)
		assert.True(t, list[0].Bound)
		assert.WithinDuration(t, time.Now(), list[0].ProvedAt, 4*time.Minute)

		before := d.Session()
		d.get("/renew")
		assert.NotEqual(t, before, d.Session())
		d.pass(10)
		assert.Equal(t, []sessionkit.EventKind{"renewed"}, a.Kinds())
		time.Sleep(50 * time.Minute) // the bound cookie is long gone
		assert.Equal(t, "42", d.get("/guarded").Body.String())

		d.get("/logout")
		assert.Empty(t, d.Cookies)
		assert.Empty(t, d.get("/").Body.String())
		assert.Equal(t, "the server said so", d.ended)
		assert.Equal(t, []sessionkit.EventKind{"signed-out"}, a.Kinds())
	})
}

// TestBoundCopy: both cookies in another browser are good for as long as the bound cookie
// is, and the first browser goes on.
func TestBoundCopy(t *testing.T) {
	for policy, ends := range map[sessionkit.UnboundPolicy]bool{sessionkit.RefuseUnbound: false, sessionkit.EndUnbound: true} {
		inBubble(t, sessionkit.Config{Unbound: policy}, func(t *testing.T, a *kittest.Site, s *store.Store) {
			d := newDevice(t, a)
			d.post("/login")
			id := d.current().ID
			a.Heard()
			thief := d.copied()
			alone := d.copied()
			delete(alone.Cookies, boundCookie)
			assert.Equal(t, "42", thief.Get("/").Body.String(), "nobody can tell them apart yet")
			assert.Equal(t, "42", alone.Get("/").Body.String(), "the browser may have sent that before it had the bound cookie")
			time.Sleep(4 * time.Minute)
			assert.Equal(t, "42", d.get("/").Body.String())
			assert.Equal(t, 1, d.refreshes)
			assert.Equal(t, "42", thief.Get("/").Body.String(), "requests run in parallel with a refresh")
			time.Sleep(61 * time.Second)
			assert.Empty(t, a.Heard())

			assert.Empty(t, thief.Get("/").Body.String())
			events := a.Heard()
			require.NotEmpty(t, events)
			assert.Equal(t, sessionkit.Event{Kind: sessionkit.EventUnbound, User: "42", SessionID: id}, events[0])
			assert.Equal(t, ends, slices.Contains(events, sessionkit.Event{Kind: sessionkit.EventRevoked, User: "42", SessionID: id}))
			for _, path := range []string{"/dbsc/refresh", "/dbsc/register"} {
				r := thief.Request(http.MethodPost, path, "Sec-Secure-Session-Id", d.id, "Secure-Session-Response", dbsctest.NewES256(t).Registration(d.challenge))
				assert.NotContains(t, thief.Do(r).Header().Values("Set-Cookie"), boundCookie)
			}
			list, err := s.Sessions(t.Context(), "42")
			require.NoError(t, err)
			if ends {
				assert.Empty(t, list)
				assert.Empty(t, d.get("/").Body.String())
				return
			}
			assert.Len(t, list, 1)
			w := thief.Get("/guarded", "Accept", "text/html")
			assert.Equal(t, http.StatusSeeOther, w.Code)
			assert.Equal(t, "/login-page?next=%2Fguarded&reason=unbound", w.Header().Get("Location"))
			assert.Empty(t, thief.Get("/", "Secure-Session-Skipped", "server_error").Body.String())
			d.pass(10)
		})
	}
}

// TestBoundCopyAfterAPanic: who signed out with a copy of the cookie, and panicked, is told no
// more by the error page than before.
func TestBoundCopyAfterAPanic(t *testing.T) {
	inBubble(t, sessionkit.Config{}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
		var seen sessionkit.Session
		a.On("/broken", gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) {
			c.String(http.StatusInternalServerError, "sorry")
			seen = sessionkit.Current(c)
		}), sessionkit.Logout, func(*gin.Context) { panic("oops") })
		d := newDevice(t, a)
		d.post("/login")
		time.Sleep(6 * time.Minute)
		assert.Equal(t, "42", d.get("/").Body.String())
		thief := d.copied()
		delete(thief.Cookies, boundCookie)
		assert.Equal(t, http.StatusInternalServerError, thief.Get("/broken").Code)
		assert.Empty(t, seen.User)
		assert.Empty(t, seen.ID)
		assert.Equal(t, "42", d.get("/").Body.String(), "nothing has ended")
	})
}

func TestBoundReportOnly(t *testing.T) {
	inBubble(t, sessionkit.Config{Unbound: sessionkit.ReportUnbound}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
		d := newDevice(t, a)
		d.post("/login")
		d.get("/")
		thief := d.copied()
		a.Heard()
		time.Sleep(6 * time.Minute)
		assert.Equal(t, "42", thief.Get("/").Body.String())
		assert.Equal(t, []sessionkit.EventKind{"unbound"}, a.Kinds())
		assert.Equal(t, http.StatusOK, thief.Get("/guarded").Code)
		a.Heard()
		a.On("/read-again", func(c *gin.Context) { sessionkit.User(c) },
			sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: time.Hour}), kittest.Whoami)
		assert.Equal(t, "42", thief.Get("/read-again").Body.String())
		assert.Equal(t, []sessionkit.EventKind{"unbound"}, a.Kinds(), "once a request, though the session was read twice")
		time.Sleep(10 * time.Minute)
		assert.Equal(t, http.StatusUnauthorized, thief.Get("/demand").Code, "it is as good as one that is not bound")
	})
}

// TestBoundReportOnlyWithAStaleCookie: the response to a request that is only reported takes nothing
// from the browser.
func TestBoundReportOnlyWithAStaleCookie(t *testing.T) {
	inBubble(t, sessionkit.Config{Unbound: sessionkit.ReportUnbound}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
		d := newDevice(t, a)
		d.post("/login")
		d.get("/")
		time.Sleep(6 * time.Minute)
		d.Cookies[boundCookie] = "made up"
		a.Heard()
		w := d.Get("/")
		assert.Equal(t, "42", w.Body.String())
		assert.NotContains(t, strings.Join(w.Header()["Set-Cookie"], " "), boundCookie)
		assert.Equal(t, []sessionkit.EventKind{"unbound"}, a.Kinds())
	})
}

// TestBoundToWhatCannotBeRead: a session whose binding cannot be read is not as good as one that has
// none. It opens for nobody.
func TestBoundToWhatCannotBeRead(t *testing.T) {
	inBubble(t, sessionkit.Config{}, func(t *testing.T, a *kittest.Site, s *store.Store) {
		d := newDevice(t, a)
		d.post("/login")
		d.get("/")
		id, _ := store.ID(d.Session())
		bound := ""
		for name, text := range recordOf(t, s, d.Session()) {
			if strings.Contains(text, d.id) {
				bound = name
			}
		}
		require.NotEmpty(t, bound)
		server, _ := kitstore.Of(s)
		_, err := server.Update(t.Context(), id, store.Record{}, store.Change{Set: map[string]string{bound: `["json",{"id":"x"}]`}})
		require.NoError(t, err)
		a.Heard()
		assert.Empty(t, d.Get("/").Body.String())
		assert.Equal(t, []sessionkit.EventKind{"unbound"}, a.Kinds())
	})
}

// TestBoundAgain: while unbound requests are only reported, a browser that has lost its
// binding gets another one when its user signs in again.
func TestBoundAgain(t *testing.T) {
	inBubble(t, sessionkit.Config{Unbound: sessionkit.ReportUnbound}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
		for _, path := range []string{"/login", "/confirm"} {
			d := newDevice(t, a)
			d.post("/login")
			d.get("/")
			d.post(path)
			first := d.id
			assert.NotEmpty(t, first)
			time.Sleep(6 * time.Minute)
			d.end("a proxy has answered 429")
			delete(d.Cookies, boundCookie)
			d.post(path)
			assert.NotEmpty(t, d.id)
			assert.NotEqual(t, first, d.id)
			a.Heard()
			assert.Equal(t, "42", d.get("/").Body.String())
			assert.Empty(t, a.Kinds())
			thief := d.copied()
			delete(thief.Cookies, boundCookie)
			thief.Get("/")
			assert.Empty(t, a.Kinds(), "the first requests may come without the cookie")
			time.Sleep(time.Minute)
			thief.Get("/")
			assert.Equal(t, []sessionkit.EventKind{"unbound"}, a.Kinds())
		}
	})
}

// TestBoundSwitchedOff: with DeviceBound switched off nothing is checked, and browsers forget their
// bindings. So does the session when its user signs in, and is opened when it is switched on anew.
func TestBoundSwitchedOff(t *testing.T) {
	for _, path := range []string{"/login", "/confirm"} {
		synctest.Test(t, func(t *testing.T) {
			s := memory(t)
			on, off := newBoundSite(t, s, sessionkit.Config{}), kittest.NewRulesSite(s, sessionkit.Config{})
			off.POST("/login", kittest.SignIn("42"))
			off.POST("/confirm", sessionkit.Confirm)
			d := newDevice(t, on)
			d.post("/login")
			d.get("/")
			time.Sleep(6 * time.Minute)
			d.Handler = off
			assert.Equal(t, "42", d.get("/").Body.String())
			assert.Equal(t, http.StatusText(http.StatusNotFound), d.ended)
			d.post(path)
			time.Sleep(20 * time.Minute)
			d.Handler = on
			assert.Equal(t, "42", d.get("/").Body.String())
			assert.False(t, d.current().Bound)
			d.post("/confirm")
			assert.True(t, d.current().Bound)
			assert.NotContains(t, on.Kinds(), sessionkit.EventUnbound)
		})
	}
}

// TestBoundSwitchedByProcess: while one process after the other is switched, ReportUnbound keeps users
// signed in: a browser that refreshes at one without DeviceBound forgets the binding.
func TestBoundSwitchedByProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory(t)
		on, off := newBoundSite(t, s, sessionkit.Config{Unbound: sessionkit.ReportUnbound}), kittest.NewRulesSite(s, sessionkit.Config{})
		d := newDevice(t, on)
		d.post("/login")
		d.get("/")
		time.Sleep(6 * time.Minute)
		d.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/dbsc/") {
				off.ServeHTTP(w, r)
				return
			}
			on.ServeHTTP(w, r)
		})
		assert.Equal(t, "42", d.get("/").Body.String())
		assert.Equal(t, http.StatusText(http.StatusNotFound), d.ended)
		d.Handler = on
		d.post("/login")
		d.pass(10)
		assert.NotZero(t, d.refreshes)
	})
}

// TestBoundClockPutBack: a clock that is put back does not bring back the moment after the registration,
// when the session cookie alone is good.
func TestBoundClockPutBack(t *testing.T) {
	inBubble(t, sessionkit.Config{}, func(t *testing.T, a *kittest.Site, s *store.Store) {
		d := newDevice(t, a)
		d.post("/login")
		d.get("/")
		moment := regexp.MustCompile(`"since":"[^"]+"`)
		server, _ := kitstore.Of(s)
		id, _ := store.ID(d.Session())
		for name, text := range recordOf(t, s, d.Session()) {
			if moment.MatchString(text) {
				text = moment.ReplaceAllString(text, `"since":"`+time.Now().Add(time.Hour).Format(time.RFC3339)+`"`)
				_, err := server.Update(t.Context(), id, store.Record{}, store.Change{Set: map[string]string{name: text}})
				require.NoError(t, err)
			}
		}
		thief := d.copied()
		delete(thief.Cookies, boundCookie)
		assert.Empty(t, thief.Get("/").Body.String())
		assert.Equal(t, "42", d.get("/").Body.String())
	})
}

// TestBoundStaleCookie: a browser that has the key, and a bound cookie that the server no
// longer accepts, as after a step of its clock, is signed in all the same.
func TestBoundStaleCookie(t *testing.T) {
	inBubble(t, sessionkit.Config{}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
		d := newDevice(t, a)
		d.post("/login")
		d.get("/")
		d.until = d.until.Add(time.Hour) // the server's clock goes forward by an hour
		time.Sleep(30 * time.Minute)
		assert.Equal(t, "42", d.get("/guarded").Body.String(), "by way of a 307")
		d.until = d.until.Add(time.Hour)
		time.Sleep(30 * time.Minute)
		assert.Empty(t, d.get("/").Body.String())
		assert.Equal(t, "42", d.get("/").Body.String(), "the answer before has taken the old cookie away")

		d.Cookies[boundCookie], d.until = "made up", time.Now().Add(time.Hour)
		assert.Equal(t, "42", d.get("/guarded").Body.String())
	})
}

// TestBoundCookieOfBefore: the answer to a page that came with the bound cookie of the session before
// takes nothing from a browser that has registered meanwhile.
func TestBoundCookieOfBefore(t *testing.T) {
	for _, used := range []bool{false, true} {
		inBubble(t, sessionkit.Config{}, func(t *testing.T, a *kittest.Site, s *store.Store) {
			d := newDevice(t, a)
			d.post("/login")
			d.get("/")
			_, err := s.RevokeAll(t.Context(), "42")
			require.NoError(t, err)
			time.Sleep(time.Minute)
			m := registration.FindStringSubmatch(d.Browser.Post("/login", nil).Header().Get("Secure-Session-Registration"))
			require.NotNil(t, m)
			page := d.Request(http.MethodGet, "/")
			d.register(m[1], m[2])
			if used {
				d.get("/")
			}
			bound := d.Cookies[boundCookie]
			assert.Equal(t, "42", d.send(page).Body.String())
			assert.Equal(t, bound, d.Cookies[boundCookie], "used: %v", used)
		})
	}
}

// TestBoundFreshWithin: a proof that is older than FreshWithin is made anew, and whoever
// cannot make it is not let through.
func TestBoundFreshWithin(t *testing.T) {
	inBubble(t, sessionkit.Config{BoundFor: 10 * time.Minute}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
		d := newDevice(t, a)
		d.post("/login")
		d.get("/")
		assert.Equal(t, "42", d.post("/fresh").Body.String())
		assert.Zero(t, d.refreshes)
		time.Sleep(4 * time.Minute)
		assert.Equal(t, http.StatusUnauthorized, d.post("/fresh").Code, "the person is not fresh")
		assert.Zero(t, d.refreshes)
		d.post("/confirm")
		thief := d.copied()
		assert.Equal(t, "42", d.post("/fresh").Body.String())
		assert.Equal(t, 1, d.refreshes)
		assert.Equal(t, "42", d.post("/fresh").Body.String())
		assert.Equal(t, 1, d.refreshes)

		delete(thief.Cookies, boundCookie)
		assert.Equal(t, http.StatusUnauthorized, thief.Post("/fresh", nil).Code)
		withOldProof := func() *kittest.Browser { // the cookies of a user who has just confirmed
			e := newDevice(t, a)
			e.post("/login")
			e.get("/")
			time.Sleep(150 * time.Second)
			e.post("/confirm")
			copied := e.copied()
			time.Sleep(45 * time.Second)
			return copied
		}
		thief = withOldProof()
		w := thief.Post("/fresh", nil)
		assert.Equal(t, http.StatusTemporaryRedirect, w.Code)
		assert.Equal(t, "/fresh", w.Header().Get("Location"))
		assert.Empty(t, w.Body.String(), "the handler behind the guard has not run")
		assert.Equal(t, http.StatusUnauthorized, thief.Post("/fresh", nil).Code, "that has cost the thief the bound cookie")
		r := thief.Request(http.MethodPost, "/")
		r.URL.Path, r.RequestURI = "//evil.example", "//evil.example"
		assert.Empty(t, thief.Do(r).Header().Get("Location"))

		thief = withOldProof()
		w = thief.Post("/fresh", nil, "Secure-Session-Skipped", "quota_exceeded")
		assert.Equal(t, http.StatusUnauthorized, w.Code, "whoever says that the device cannot be proved now has not proved it")
		assert.Contains(t, w.Body.String(), `"unbound"`)
	})
}

// TestBoundFreshWithinAMinute: browsers run out of signatures if a guard has them prove the device
// that often, so a proof of the last two minutes will always do.
func TestBoundFreshWithinAMinute(t *testing.T) {
	inBubble(t, sessionkit.Config{BoundFor: 10 * time.Minute}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
		a.POST("/dangerous", sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: time.Minute}), kittest.Whoami)
		d := newDevice(t, a)
		d.post("/login")
		d.get("/")
		time.Sleep(115 * time.Second)
		d.post("/confirm")
		assert.Equal(t, "42", d.post("/dangerous").Body.String())
		assert.Zero(t, d.refreshes)
		time.Sleep(10 * time.Second)
		assert.Equal(t, "42", d.post("/dangerous").Body.String())
		assert.Equal(t, 1, d.refreshes)
	})
}

// TestBoundDemand: a guard demands a bound session, and of a browser that cannot bind one
// a recent sign-in.
func TestBoundDemand(t *testing.T) {
	inBubble(t, sessionkit.Config{}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
		d, old := newDevice(t, a), kittest.NewBrowser(t, a)
		d.post("/login")
		old.Post("/login", nil)
		assert.Equal(t, http.StatusOK, d.get("/demand").Code)
		assert.Equal(t, http.StatusOK, old.Get("/demand").Code)
		time.Sleep(11 * time.Minute)
		assert.Equal(t, http.StatusOK, d.get("/demand").Code)
		w := old.Get("/demand")
		assert.Equal(t, http.StatusUnauthorized, w.Code)
		assert.Contains(t, w.Body.String(), `"stale"`)
		old.Post("/confirm", nil)
		assert.Equal(t, http.StatusOK, old.Get("/demand").Code)
		assert.Equal(t, []sessionkit.EventKind{"created", "signed-in", "bound", "created", "signed-in", "renewed"}, a.Kinds())
	})
	guard := sessionkit.GuardConfig{BoundOrFresh: -time.Second}
	require.ErrorContains(t, guard.Validate(), "GuardConfig.BoundOrFresh")
}

// TestBoundOffer: who is offered registration.
func TestBoundOffer(t *testing.T) {
	a := newBoundSite(t, memory(t), sessionkit.Config{TokenHeader: "X-Token"})
	offered := func(b *kittest.Browser, method, target string, headers ...string) bool {
		return b.Do(b.Request(method, target, headers...)).Header().Get("Secure-Session-Registration") != ""
	}
	plain := func(host string, headers ...string) bool {
		b := kittest.NewBrowser(t, a)
		r := b.Request(http.MethodPost, "/login", headers...)
		r.TLS, r.Host = nil, host
		return b.Do(r).Header().Get("Secure-Session-Registration") != ""
	}
	b := kittest.NewBrowser(t, a)
	assert.False(t, offered(b, http.MethodGet, "/"))
	assert.False(t, offered(b, http.MethodPost, "/set"))
	assert.True(t, offered(b, http.MethodPost, "/login"))
	assert.False(t, offered(b, http.MethodGet, "/"))
	assert.False(t, offered(b, http.MethodGet, "/renew"), "someone with a stolen cookie can do that")
	assert.True(t, offered(b, http.MethodPost, "/confirm"))
	assert.True(t, offered(b, http.MethodPost, "/login"))
	assert.False(t, offered(b, http.MethodPost, "/login", "X-Token", ""))
	assert.False(t, plain("localhost"))
	assert.False(t, plain("example.com"))
	assert.True(t, plain("example.com", "X-Forwarded-Proto", "https"))
	assert.True(t, plain("example.com", "Sec-Fetch-Site", "same-origin"))
	assert.False(t, plain("localhost", "Sec-Fetch-Site", "same-origin"))

	a.POST("/not-after-all", func(c *gin.Context) {
		sessionkit.Login(c, "42")
		assert.NoError(t, sessions.Default(c).Save())
		sessionkit.Logout(c)
	})
	assert.False(t, offered(kittest.NewBrowser(t, a), http.MethodPost, "/not-after-all"), "the session is gone")

	d := newDevice(t, a)
	d.post("/login")
	assert.False(t, offered(d.Browser, http.MethodPost, "/login"), "it is bound")
	assert.False(t, offered(d.Browser, http.MethodPost, "/confirm"), "it is bound")
	assert.True(t, offered(d.Browser, http.MethodPost, "/other"), "another user's session is another one")
}

// TestBoundOfferFromAnotherSite: a provider leads the browser here to sign in. The browser would send
// the registration without the session cookie, so the offer waits for a request of this site.
func TestBoundOfferFromAnotherSite(t *testing.T) {
	const header = "Secure-Session-Registration"
	elsewhere := []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	synctest.Test(t, func(t *testing.T) {
		b := kittest.NewBackend()
		a := newBoundSite(t, kittest.StoreOver(b), sessionkit.Config{})
		a.On("/static", func(c *gin.Context) { c.Status(http.StatusNoContent) })
		a.On("/callback", kittest.SignIn("42"))
		signIn := func() *device {
			d := newDevice(t, a)
			assert.Empty(t, d.get("/callback", elsewhere...).Header().Get(header))
			assert.Equal(t, "42", d.get("/", elsewhere...).Body.String(), "what the sign-in redirects to")
			return d
		}
		for _, site := range []string{"same-origin", "same-site", "none"} {
			d := signIn()
			assert.Empty(t, d.Get("/static", "Sec-Fetch-Site", site).Header().Get(header), "it asks nothing of the session")
			assert.Empty(t, d.Get("/", "Sec-Fetch-Site", site, "Sec-Purpose", "prefetch").Header().Get(header))
			assert.Empty(t, d.Get("/current", elsewhere...).Header().Get(header))
			gone, leave := context.WithCancel(t.Context())
			leave()
			d.Handler.ServeHTTP(httptest.NewRecorder(), d.Request(http.MethodGet, "/", "Sec-Fetch-Site", site).WithContext(gone))
			assert.Empty(t, d.id, "nobody has got an offer")
			w := d.get("/", "Sec-Fetch-Site", site)
			assert.NotEmpty(t, w.Header().Get(header))
			assert.Contains(t, w.Header().Get("Cache-Control"), "no-store")
			require.NotEmpty(t, d.id, site)
			assert.True(t, d.current().Bound)
			assert.Empty(t, d.get("/").Header().Get(header), "it is made once")
			d.pass(10)
			assert.NotZero(t, d.refreshes)
		}

		d := signIn()
		var first string
		var done atomic.Bool
		b.Before = func(call string) {
			if call == "update" && done.CompareAndSwap(false, true) {
				first = d.Browser.Get("/").Header().Get(header)
			}
		}
		second := d.Fork().Get("/").Header().Get(header)
		b.Before = nil
		assert.NotEmpty(t, first)
		assert.Empty(t, second, "one of two requests makes it")

		d = signIn()
		b.Failing(errors.New("down"), "update")
		w := d.get("/")
		assert.Equal(t, "42", w.Body.String())
		assert.Empty(t, w.Header().Get(header))
		b.Failing(nil)
		d.get("/")
		assert.NotEmpty(t, d.id)

		d = signIn()
		time.Sleep(10 * time.Minute)
		assert.Empty(t, d.get("/").Header().Get(header), "it does not wait forever")
		d.post("/confirm")
		assert.NotEmpty(t, d.id)

		all := newDevice(t, newBoundSite(t, memory(t), sessionkit.Config{SameSite: http.SameSiteNoneMode}))
		all.get("/login", elsewhere...)
		assert.NotEmpty(t, all.id, "the session cookie comes along")
	})
}

// TestBoundAnotherUser: signing in as another user ends the binding of the first, and the
// new session has one of its own.
func TestBoundAnotherUser(t *testing.T) {
	inBubble(t, sessionkit.Config{}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
		d := newDevice(t, a)
		d.post("/login")
		first := d.id
		d.post("/other")
		assert.NotEqual(t, first, d.id)
		assert.Equal(t, "43", d.get("/").Body.String())
		w := d.raw("/dbsc/refresh", "", first)
		assert.Equal(t, http.StatusOK, w.Code)
		assert.JSONEq(t, `{"session_identifier":"`+first+`","continue":false}`, w.Body.String())
		time.Sleep(10 * time.Minute)
		assert.Equal(t, "43", d.get("/").Body.String())
	})
}

// TestBoundLostAnswer: if the answer to the registration is lost, the browser knows of no
// binding, and is not shut out. If that to a refresh is, it tries again.
func TestBoundLostAnswer(t *testing.T) {
	inBubble(t, sessionkit.Config{}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
		b := kittest.NewBrowser(t, a)
		w := b.Post("/login", nil)
		m := registration.FindStringSubmatch(w.Header().Get("Secure-Session-Registration"))
		d := &device{Browser: b, key: dbsctest.NewES256(t)}
		assert.Equal(t, http.StatusOK, d.raw(m[1], d.key.Registration(m[2]), "").Code)
		time.Sleep(10 * time.Minute)
		assert.Equal(t, "42", b.Get("/").Body.String())

		d = newDevice(t, a)
		d.post("/login")
		d.get("/")
		time.Sleep(4 * time.Minute)
		d.get("/") // refreshes
		d.challenge, d.proof = "", d.key.Refresh(d.challenge)
		require.Equal(t, http.StatusOK, d.raw("/dbsc/refresh", d.proof, d.id).Code) // and the answer is lost
		time.Sleep(4 * time.Minute)
		assert.Equal(t, "42", d.get("/").Body.String())
		time.Sleep(10 * time.Minute)
		assert.Equal(t, "42", d.get("/").Body.String())
		assert.Empty(t, d.ended)
		assert.NotContains(t, a.Kinds(), sessionkit.EventProofRefused, "a proof that comes twice is no attack")
	})
}

// TestBoundLostRegistration: as long as no bound cookie has come, the binding is nobody's:
// the next sign-in has the browser bind the session anew.
func TestBoundLostRegistration(t *testing.T) {
	for _, path := range []string{"/login", "/confirm"} {
		inBubble(t, sessionkit.Config{}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
			d, e := newDevice(t, a), newDevice(t, a)
			m := registration.FindStringSubmatch(e.Post("/login", nil).Header().Get("Secure-Session-Registration"))
			e.register(m[1], m[2])
			time.Sleep(time.Minute)
			assert.Empty(t, e.Post(path, nil).Header().Get("Secure-Session-Registration"), "it is the first that has the bound cookie")
			a.Heard()

			m = registration.FindStringSubmatch(d.Post("/login", nil).Header().Get("Secure-Session-Registration"))
			first := dbsctest.NewES256(t)
			assert.Equal(t, http.StatusOK, d.copied().Do(d.Request(http.MethodPost, m[1], "Secure-Session-Response", first.Registration(m[2]))).Code)
			assert.Empty(t, d.Post(path, nil).Header().Get("Secure-Session-Registration"), "the answer may be under way")
			time.Sleep(time.Minute)
			d.post(path)
			assert.NotEmpty(t, d.id)
			d.pass(10)
			assert.NotZero(t, d.refreshes)
			assert.Equal(t, []sessionkit.EventKind{"created", "signed-in", "bound"}, a.Kinds()[:3])
			thief := d.copied()
			delete(thief.Cookies, boundCookie)
			assert.Empty(t, thief.Get("/").Body.String())
			assert.Equal(t, []sessionkit.EventKind{"unbound"}, a.Kinds())
		})
	}
}

// TestBoundFullSession: what is noted of the device has room in a session that is full, at
// whatever step it was filled: no sign-in, refresh or protection depends on it.
func TestBoundFullSession(t *testing.T) {
	const most = 4 << 10
	large := sessionkit.NewKey[string]("large")
	full := func(c *gin.Context) { large.Set(c, strings.Repeat("x", most-len(`large""`))) }
	for name, test := range map[string]func(t *testing.T, d *device){
		"before the sign-in": func(t *testing.T, d *device) {
			t.Helper()
			require.Equal(t, http.StatusOK, d.Get("/fill").Code)
			d.post("/login")
			require.NotEmpty(t, d.id)
			d.pass(30)
			assert.GreaterOrEqual(t, d.refreshes, 6)
		},
		"after the registration": func(t *testing.T, d *device) {
			t.Helper()
			d.post("/login")
			d.get("/") // notes that the bound cookie is used
			require.Equal(t, http.StatusOK, d.Get("/fill").Code)
			d.pass(30)
			assert.GreaterOrEqual(t, d.refreshes, 6)
			assert.Empty(t, d.ended)
		},
		"before the first use of the bound cookie": func(t *testing.T, d *device) {
			t.Helper()
			m := registration.FindStringSubmatch(d.Post("/login", nil).Header().Get("Secure-Session-Registration"))
			d.register(m[1], m[2])
			require.NotEmpty(t, d.id)
			thief := d.copied()
			delete(thief.Cookies, boundCookie)
			require.Equal(t, http.StatusOK, thief.Fork().Get("/fill").Code) // which the browser has sent before it had it
			d.get("/")
			time.Sleep(time.Minute)
			assert.Empty(t, thief.Get("/").Body.String(), "a copy without the bound cookie is good for nothing")
			assert.Empty(t, thief.Post("/confirm", nil).Header().Get("Secure-Session-Registration"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := store.New(memstore.NewBackend(), store.Config{Timeout: -1, MaxBytes: most})
				t.Cleanup(func() { require.NoError(t, s.Close()) })
				a := newBoundSite(t, s, sessionkit.Config{})
				a.On("/fill", full)
				d := newDevice(t, a)
				test(t, d)
				assert.Equal(t, "42", d.get("/").Body.String())
				assert.Empty(t, a.Errors())
				a.On("/grow", func(c *gin.Context) { large.Set(c, strings.Repeat("x", most)) })
				assert.Equal(t, http.StatusServiceUnavailable, d.Get("/grow").Code)
				assert.Len(t, a.Errors(), 1)
			})
		})
	}
}

// TestBoundHostileProofs: whatever comes, it is refused with the answer that keeps the
// binding, and changes nothing.
func TestBoundHostileProofs(t *testing.T) {
	inBubble(t, sessionkit.Config{}, func(t *testing.T, a *kittest.Site, s *store.Store) {
		d, other := newDevice(t, a), newDevice(t, a)
		for _, d := range []*device{d, other} {
			d.post("/login")
			d.get("/")
			time.Sleep(4 * time.Minute)
			d.get("/") // has it get a challenge
		}
		require.NotEmpty(t, d.challenge)
		stranger := dbsctest.NewES256(t)
		header := dbsctest.Object{"alg": "ES256", "typ": "dbsc+jwt"}
		stored := func() map[string]string {
			return recordOf(t, s, d.Session())
		}
		a.Heard()
		before := stored()
		spent := d.key.Refresh(d.challenge)
		refused := map[string]struct {
			proof string
			kind  []sessionkit.EventKind
		}{
			"none":                          {"", nil},
			"forged":                        {stranger.Refresh(d.challenge), []sessionkit.EventKind{"proof-refused"}},
			"forged, with a key":            {stranger.Registration(d.challenge), []sessionkit.EventKind{"proof-refused"}},
			"truncated":                     {spent[:len(spent)-8], []sessionkit.EventKind{"proof-refused"}},
			"huge":                          {strings.Repeat("a", 1<<16), []sessionkit.EventKind{"proof-refused"}},
			"garbage":                       {"a.b.c", []sessionkit.EventKind{"proof-refused"}},
			"unsigned":                      {"eyJhbGciOiJub25lIiwidHlwIjoiZGJzYytqd3QifQ.eyJqdGkiOiJ4In0.", []sessionkit.EventKind{"proof-refused"}},
			"another session's challenge":   {d.key.Refresh(other.challenge), nil},
			"another session's proof":       {other.key.Refresh(other.challenge), []sessionkit.EventKind{"proof-refused"}},
			"a challenge that is made up":   {d.key.Refresh("x"), nil},
			"for another address":           {d.key.Sign(header, dbsctest.Object{"jti": d.challenge, "aud": "https://evil.example/dbsc/refresh"}), []sessionkit.EventKind{"proof-refused"}},
			"for the registration":          {d.key.Sign(header, dbsctest.Object{"jti": d.challenge, "aud": "https://example.com/dbsc/register"}), []sessionkit.EventKind{"proof-refused"}},
			"for the same over plain HTTP":  {d.key.Sign(header, dbsctest.Object{"jti": d.challenge, "aud": "http://example.com/dbsc/refresh"}), []sessionkit.EventKind{"proof-refused"}},
			"the registration, once more":   {d.key.Registration("x"), nil},
			"with a challenge of the other": {stranger.Refresh(other.challenge), []sessionkit.EventKind{"proof-refused"}},
		}
		for name, test := range refused {
			w := d.raw("/dbsc/refresh", test.proof, d.id)
			assert.Equal(t, http.StatusForbidden, w.Code, name)
			assert.Equal(t, `"`+d.challenge+`";id="`+d.id+`"`, w.Header().Get("Secure-Session-Challenge"), name)
			assert.Empty(t, w.Header()["Set-Cookie"], name)
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"), name)
			assert.Equal(t, test.kind, a.Kinds(), name)
			assert.Equal(t, before, stored(), name)
		}
		for name, proof := range map[string]string{
			"registration twice":              d.key.Registration(d.challenge),
			"by another key":                  stranger.Registration(d.challenge),
			"without a proof":                 "",
			"with the challenge of the other": stranger.Registration(other.challenge),
		} {
			w := d.raw("/dbsc/register", proof, "")
			assert.Equal(t, http.StatusForbidden, w.Code, name)
			assert.Empty(t, w.Header()["Set-Cookie"], name)
			assert.Empty(t, w.Header().Get("Secure-Session-Challenge"), name)
			assert.Equal(t, before, stored(), name)
		}
		assert.Equal(t, http.StatusBadRequest, d.raw("/dbsc/refresh", spent, "").Code)
		assert.Equal(t, http.StatusBadRequest, d.raw("/dbsc/refresh", spent, `a"b`).Code)
		assert.Equal(t, before, stored())

		// Quoted, as the specification has it, and with the address that is right.
		good := d.key.Sign(header, dbsctest.Object{"jti": d.challenge, "aud": "https://example.com/dbsc/refresh"})
		assert.Equal(t, http.StatusOK, d.raw("/dbsc/refresh", `"`+good+`"`, `"`+d.id+`"`).Code)
		w := d.raw("/dbsc/refresh", good, d.id)
		assert.Equal(t, http.StatusForbidden, w.Code, "replayed")
		assert.Regexp(t, challenge, w.Header().Get("Secure-Session-Challenge"))
		assert.NotContains(t, w.Header().Get("Secure-Session-Challenge"), d.challenge)

		// A challenge times out.
		m := challenge.FindStringSubmatch(w.Header().Get("Secure-Session-Challenge"))
		time.Sleep(7 * time.Minute)
		w = d.raw("/dbsc/refresh", d.key.Refresh(m[1]), d.id)
		assert.Equal(t, http.StatusForbidden, w.Code)
		m2 := challenge.FindStringSubmatch(w.Header().Get("Secure-Session-Challenge"))
		require.NotNil(t, m2)
		assert.NotEqual(t, m[1], m2[1])

		// After the sign-out there is nothing to refresh.
		saved := d.copied()
		d.get("/logout")
		r := saved.Request(http.MethodPost, "/dbsc/refresh", "Sec-Secure-Session-Id", d.id, "Secure-Session-Response", d.key.Refresh(m2[1]))
		w = saved.Do(r)
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Contains(t, w.Body.String(), `"continue":false`)
		assert.Empty(t, w.Header()["Set-Cookie"])
		assert.Empty(t, saved.Get("/").Body.String())
	})
}

// TestBoundRegistration: an offer is good once, for its session, and not for long.
func TestBoundRegistration(t *testing.T) {
	inBubble(t, sessionkit.Config{}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
		offer := func() (*device, string) {
			d := newDevice(t, a)
			m := registration.FindStringSubmatch(d.Browser.Post("/login", nil).Header().Get("Secure-Session-Registration"))
			return d, m[2]
		}
		d, challenge := offer()
		other, another := offer()
		visitor := newDevice(t, a)
		visitor.Post("/set", nil)
		assert.Equal(t, http.StatusForbidden, d.raw("/dbsc/register", d.key.Registration(another), "").Code)
		assert.Equal(t, http.StatusForbidden, d.raw("/dbsc/register", d.key.Refresh(challenge), "").Code)
		assert.Equal(t, http.StatusForbidden, d.raw("/dbsc/register", d.key.Registration("x"), "").Code)
		for _, aud := range []string{"https://evil.example/dbsc/register", "https://example.com/dbsc/refresh"} { // from where somebody passes it on
			proof := d.key.Sign(dbsctest.Object{"alg": "ES256", "jwk": d.key.JWK(), "typ": "dbsc+jwt"}, dbsctest.Object{"jti": challenge, "aud": aud})
			assert.Equal(t, http.StatusForbidden, d.raw("/dbsc/register", proof, "").Code, aud)
		}
		assert.Equal(t, http.StatusForbidden, visitor.raw("/dbsc/register", d.key.Registration(challenge), "").Code)
		assert.Equal(t, http.StatusForbidden, newDevice(t, a).raw("/dbsc/register", d.key.Registration(challenge), "").Code)
		assert.Equal(t, http.StatusOK, d.raw("/dbsc/register", d.key.Registration(challenge), "").Code)
		assert.Equal(t, http.StatusForbidden, d.raw("/dbsc/register", d.key.Registration(challenge), "").Code)
		time.Sleep(2 * time.Minute)
		assert.Equal(t, http.StatusForbidden, other.raw("/dbsc/register", other.key.Registration(another), "").Code)
		assert.Equal(t, http.StatusNotFound, d.get("/dbsc/register").Code, "a GET is the application's")
	})
}

// TestBoundRegistrationOfAnEndedSession: there is nothing to bind any more, and no reason for the
// browser to try again.
func TestBoundRegistrationOfAnEndedSession(t *testing.T) {
	b := kittest.NewBackend()
	s := kittest.StoreOver(b)
	a := newBoundSite(t, s, sessionkit.Config{})
	d := newDevice(t, a)
	m := registration.FindStringSubmatch(d.Browser.Post("/login", nil).Header().Get("Secure-Session-Registration"))
	var once sync.Once
	b.Before = func(call string) {
		if call == "update" {
			once.Do(func() { assert.NoError(t, s.Revoke(t.Context(), "42", kittest.UserSessions(t, s, "42")[0].ID)) })
		}
	}
	w := d.raw(m[1], d.key.Registration(m[2]), "")
	assert.Equal(t, http.StatusForbidden, w.Code)
	assert.Empty(t, w.Header()["Set-Cookie"])
	assert.Empty(t, a.Errors())
}

// TestBoundSurvivesParallelRequests: neither a page that is loaded at the same time nor
// another one's change undoes a registration or a refresh, and none of them survives the
// sign-out.
func TestBoundSurvivesParallelRequests(t *testing.T) {
	b := kittest.NewBackend()
	s := kittest.StoreOver(b)
	a := newBoundSite(t, s, sessionkit.Config{})
	for _, path := range []string{"/set", "/renew", "/confirm"} {
		d := newDevice(t, a)
		var done atomic.Bool
		var again []string // a Confirm offers registration anew, and that offer counts
		page := http.MethodPost
		if path == "/renew" {
			page = http.MethodGet
		}
		between := func(call string) { // when the other has been judged, and is about to be stored
			if call == "update" && done.CompareAndSwap(false, true) {
				again = registration.FindStringSubmatch(d.Browser.Do(d.Request(page, path)).Header().Get("Secure-Session-Registration"))
			}
		}
		w := d.Post("/login", nil)
		b.Before = between
		m := registration.FindStringSubmatch(w.Header().Get("Secure-Session-Registration"))
		d.register(m[1], m[2])
		b.Before = nil
		assert.Equal(t, path == "/confirm", d.id == "")
		if again != nil {
			d.register(again[1], again[2])
		}
		require.NotEmpty(t, d.id, path)
		assert.True(t, d.current().Bound, path)

		assert.True(t, done.Swap(false), path)
		b.Before = between
		assert.Empty(t, d.refresh(), path)
		b.Before = nil
		assert.Empty(t, d.ended, path)
		assert.Equal(t, 1, d.refreshes, path)
		assert.Equal(t, "42", d.get("/").Body.String(), path)
	}

	d := newDevice(t, a)
	d.post("/login")
	d.get("/")
	d.refresh()
	saved := d.copied()
	var done atomic.Bool
	b.Before = func(call string) {
		if call == "update" && done.CompareAndSwap(false, true) {
			saved.Get("/logout")
		}
	}
	d.refresh()
	b.Before = nil
	assert.Equal(t, "the server said so", d.ended)
	list, err := s.Sessions(t.Context(), "42")
	require.NoError(t, err)
	assert.Len(t, list, 3, "those of the others")
}

// TestBoundParallelRefreshes: of two refreshes with the same proof one counts, and the
// other gets a challenge.
func TestBoundParallelRefreshes(t *testing.T) {
	a := newBoundSite(t, memory(t), sessionkit.Config{})
	d := newDevice(t, a)
	d.post("/login")
	d.refresh()
	proof := d.key.Refresh(d.challenge)
	codes := make(chan int, 16)
	var all sync.WaitGroup
	for range cap(codes) {
		all.Go(func() { codes <- d.raw("/dbsc/refresh", proof, d.id).Code })
	}
	all.Wait()
	close(codes)
	count := make(map[int]int)
	for code := range codes {
		count[code]++
	}
	assert.Equal(t, map[int]int{http.StatusOK: 1, http.StatusForbidden: 15}, count)
}

// TestBoundStorm: the server is down for a minute just when everybody's cookie ends, the
// clock is stepped, and each browser has 64 tabs. In the end everybody is signed in, and
// none has run out of signatures.
func TestBoundStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kittest.NewBackend()
		a := newBoundSite(t, kittest.StoreOver(b), sessionkit.Config{})
		var devices []*device
		for range 8 {
			d := newDevice(t, a)
			d.post("/login")
			d.get("/")
			devices = append(devices, d)
		}
		tabs := func(want string) {
			for _, d := range devices {
				for range 64 {
					w := d.get("/guarded")
					if want != "" {
						assert.Equal(d.T, want, w.Body.String())
					}
				}
			}
		}
		tabs("42")
		time.Sleep(290 * time.Second) // all bound cookies are gone
		b.Failing(errors.New("down"), "load", "load fresh", "update")
		for range 6 {
			tabs("")
			time.Sleep(10 * time.Second)
		}
		b.Failing(nil)
		tabs("42")
		for _, d := range devices { // the clock goes forward, and the cookies have an hour left in the browser
			d.until = d.until.Add(time.Hour)
		}
		time.Sleep(time.Hour)
		tabs("42")
		for range 20 {
			time.Sleep(time.Minute)
			tabs("42")
		}
		for _, d := range devices {
			assert.Empty(t, d.ended)
			assert.Less(t, len(d.signed), 6)
		}
		assert.NotContains(t, a.Kinds(), sessionkit.EventSignedOut)
	})
}

// TestBoundWhileSkipped: as long as a browser that has the key cannot refresh, it keeps its
// cookie: nothing that it does begins another session. One without the key may begin one.
func TestBoundWhileSkipped(t *testing.T) {
	inBubble(t, sessionkit.Config{Unbound: sessionkit.EndUnbound}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
		d := newDevice(t, a)
		d.post("/login")
		d.get("/")
		token := d.Session()
		time.Sleep(6 * time.Minute)
		delete(d.Cookies, boundCookie)
		w := d.Do(d.Request(http.MethodPost, "/set", "Secure-Session-Skipped", `server_error;session_identifier="x"`))
		assert.Equal(t, http.StatusServiceUnavailable, w.Code)
		assert.Equal(t, token, d.Session())
		assert.Equal(t, "42", d.get("/").Body.String())
	})
	inBubble(t, sessionkit.Config{}, func(t *testing.T, a *kittest.Site, s *store.Store) {
		d := newDevice(t, a)
		d.post("/login")
		d.get("/")
		time.Sleep(6 * time.Minute)
		moved := d.copied() // to a new machine, without the key
		delete(moved.Cookies, boundCookie)
		old := moved.Session()
		assert.Equal(t, http.StatusNoContent, moved.Post("/set", nil).Code)
		assert.NotEqual(t, old, moved.Session())
		moved.Post("/login", nil)
		assert.Equal(t, "42", moved.Get("/").Body.String())
		list, err := s.Sessions(t.Context(), "42")
		require.NoError(t, err)
		assert.Len(t, list, 2)

		a.On("/clear", func(c *gin.Context) { sessions.Default(c).Clear() })
		for _, out := range []string{"/logout", "/clear"} {
			d := newDevice(t, a)
			d.post("/login")
			d.get("/")
			time.Sleep(6 * time.Minute)
			thief := d.copied()
			delete(thief.Cookies, boundCookie)
			thief.Get(out)
			assert.Empty(t, d.get("/").Body.String(), "whoever has the cookie may end the session")
			assert.Equal(t, "the server said so", d.ended, out)
		}
	})
}

// TestBoundAfterAnOutage: a browser that could not reach the server pauses before it refreshes again, and says so. A
// guard has its user wait, and not sign in again. That lets nobody in who says so without the key.
func TestBoundAfterAnOutage(t *testing.T) {
	inBubble(t, sessionkit.Config{BoundFor: 10 * time.Minute}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
		var told []sessionkit.Denial
		a.On("/own", sessionkit.RequireSession(sessionkit.GuardConfig{OnDenied: func(_ *gin.Context, d sessionkit.Denial) { told = append(told, d) }}), kittest.Whoami)
		d := newDevice(t, a)
		d.post("/login")
		d.get("/")
		token := d.Session()
		time.Sleep(11 * time.Minute)
		delete(d.Cookies, boundCookie)
		for reason, status := range map[string]int{
			`server_error;session_identifier="` + d.id + `"`: http.StatusServiceUnavailable,
			`server_error;session_identifier="x"`:            http.StatusUnauthorized, // another one of the host
			`unreachable`:                                    http.StatusServiceUnavailable,
			`quota_exceeded;session_identifier="y" ,  unreachable ; session_identifier="` + d.id + `"`: http.StatusServiceUnavailable,
			`quota_exceeded;session_identifier="x"`:                                                    http.StatusUnauthorized,
			`quota_exceeded;session_identifier="unreachable"`:                                          http.StatusUnauthorized,
			`unreachable_`: http.StatusUnauthorized,
			``:             http.StatusUnauthorized,
		} {
			w := d.Get("/guarded", "Secure-Session-Skipped", reason)
			assert.Equal(t, status, w.Code, reason)
			assert.Equal(t, status == http.StatusServiceUnavailable, w.Header().Get("Retry-After") != "")
			assert.Contains(t, w.Body.String(), map[int]string{http.StatusServiceUnavailable: `"unavailable"`, http.StatusUnauthorized: `"unbound"`}[status])
			if status == http.StatusUnauthorized {
				status = http.StatusSeeOther
			}
			assert.Equal(t, status, d.Get("/guarded", "Secure-Session-Skipped", reason, "Accept", "text/html").Code, reason)
			d.Get("/own", "Secure-Session-Skipped", reason)
			require.Len(t, told, 1)
			assert.Equal(t, status == http.StatusServiceUnavailable, told[0] == sessionkit.Unavailable, reason)
			told = nil
		}
		assert.Equal(t, token, d.Session())
		assert.Equal(t, "42", d.get("/guarded").Body.String(), "it refreshes again")

		time.Sleep(150 * time.Second)
		d.post("/confirm")
		thief := d.copied()
		time.Sleep(45 * time.Second) // the proof is too old, and the bound cookie counts
		assert.Equal(t, http.StatusServiceUnavailable, thief.Post("/fresh", nil, "Secure-Session-Skipped", `server_error;session_identifier="`+d.id+`"`).Code)
		assert.Equal(t, http.StatusUnauthorized, thief.Post("/fresh", nil, "Secure-Session-Skipped", `server_error;session_identifier="x"`).Code)
	})
}

// TestBoundStaleCookieAndAChange: a browser that has the key, and a bound cookie that the server does not
// accept, as after a failover that has lost the last refresh, keeps its session: the change of a page without a
// guard begins no other one. The response takes the bound cookie away, so the next request proves the device.
func TestBoundStaleCookieAndAChange(t *testing.T) {
	inBubble(t, sessionkit.Config{}, func(t *testing.T, a *kittest.Site, s *store.Store) {
		d := newDevice(t, a)
		d.post("/login")
		d.get("/")
		before := recordOf(t, s, d.Session())
		time.Sleep(4 * time.Minute)
		d.get("/")
		require.Equal(t, 1, d.refreshes)
		server, _ := kitstore.Of(s)
		id, _ := store.ID(d.Session())
		_, err := server.Update(t.Context(), id, store.Record{}, store.Change{Set: before})
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		token := d.Session()
		w := d.post("/set")
		assert.Equal(t, http.StatusServiceUnavailable, w.Code)
		assert.NotEmpty(t, w.Header().Get("Retry-After"))
		assert.NotContains(t, d.Cookies, boundCookie)
		assert.Equal(t, token, d.Session())
		assert.Equal(t, http.StatusNoContent, d.post("/set").Code)
		assert.Equal(t, "42", d.get("/").Body.String())
		assert.Equal(t, 2, d.refreshes)

		moved := d.copied() // without the key
		time.Sleep(6 * time.Minute)
		assert.Equal(t, http.StatusServiceUnavailable, moved.Post("/set", nil).Code)
		assert.Equal(t, http.StatusNoContent, moved.Post("/set", nil).Code)
		assert.NotEqual(t, token, moved.Session())
	})
	inBubble(t, sessionkit.Config{Unbound: sessionkit.EndUnbound}, func(t *testing.T, a *kittest.Site, s *store.Store) {
		d := newDevice(t, a)
		d.post("/login")
		d.get("/")
		moved := d.copied()
		time.Sleep(6 * time.Minute)
		assert.Equal(t, http.StatusNoContent, moved.Post("/set", nil).Code, "there is no session to keep")
		assert.Empty(t, kittest.UserSessions(t, s, "42"))
	})
}

// TestBoundToken: the cookie of a bound session is no token either.
func TestBoundToken(t *testing.T) {
	inBubble(t, sessionkit.Config{TokenHeader: "Authorization"}, func(t *testing.T, a *kittest.Site, s *store.Store) {
		w := kittest.NewBrowser(t, a).Post("/login", nil, "Authorization", "Bearer")
		token := strings.TrimPrefix(w.Header().Get("Authorization"), "Bearer ")
		for name := range recordOf(t, s, token) {
			assert.NotContains(t, name, "bound", "a program cannot bind its session, and pays for nothing")
		}
		d := newDevice(t, a)
		d.post("/login")
		d.get("/")
		time.Sleep(time.Minute)
		b := kittest.NewBrowser(t, a)
		assert.Empty(t, b.Get("/", "Authorization", "Bearer "+d.Session()).Body.String())
		b.Cookies = d.copied().Cookies
		assert.Empty(t, b.Get("/", "Authorization", "Bearer "+d.Session()).Body.String())
		assert.Equal(t, "42", d.get("/").Body.String())
	})
}

// TestBoundDevices: a list says which of the sessions are bound, also over a backend whose
// lists have no more than they must.
func TestBoundDevices(t *testing.T) {
	b := &lists{Backend: kittest.NewBackend()}
	s := kittest.StoreOver(b)
	a := newBoundSite(t, s, sessionkit.Config{})
	d, old := newDevice(t, a), kittest.NewBrowser(t, a)
	d.post("/login")
	old.Post("/login", nil)
	for name, own := range map[string]func(string, ...string) *httptest.ResponseRecorder{"bound": d.get, "not bound": old.Get} {
		var list []sessionkit.Session
		require.NoError(t, json.Unmarshal(own("/devices").Body.Bytes(), &list), name)
		bound := 0
		require.Len(t, list, 2)
		for _, s := range list {
			if s.Bound {
				bound++
				assert.WithinDuration(t, time.Now(), s.ProvedAt, time.Minute)
			} else {
				assert.Zero(t, s.ProvedAt)
			}
		}
		assert.Equal(t, 1, bound, name)
	}
	b.Failing(errors.New("down"), "load fresh")
	_, err := s.Sessions(t.Context(), "42")
	require.Error(t, err)
}

// TestBoundDevicesAfterASecondSignIn: a bound session whose user signs in again is bound in a list too.
func TestBoundDevicesAfterASecondSignIn(t *testing.T) {
	s := kittest.StoreOver(&lists{Backend: kittest.NewBackend()})
	d := newDevice(t, newBoundSite(t, s, sessionkit.Config{}))
	d.post("/login")
	d.get("/")
	for _, path := range []string{"/confirm", "/login"} {
		d.post(path)
		list := kittest.UserSessions(t, s, "42")
		require.Len(t, list, 1)
		assert.True(t, list[0].Bound, path)
		assert.False(t, list[0].ProvedAt.IsZero(), path)
	}
}

// TestBoundConfig is what cannot work, and what is said of it.
func TestBoundConfig(t *testing.T) {
	for field, config := range map[string]sessionkit.Config{
		"Config.DeviceBound":   {Domain: "example.com"},
		"Config.DeviceBound ":  {Partitioned: true, SameSite: http.SameSiteNoneMode},
		"Config.DeviceBound  ": {InsecureHTTP: true},
		"Config.BoundFor":      {BoundFor: 3 * time.Minute},
		"Config.BoundFor ":     {BoundFor: 2 * time.Hour},
		"Config.BoundFor  ":    {BoundFor: -time.Minute},
		"Config.BoundPath":     {BoundPath: "dbsc"},
		"Config.BoundPath ":    {BoundPath: "/dbsc/"},
		"Config.BoundPath  ":   {BoundPath: `/d"`},
		"Config.BoundPath   ":  {BoundPath: "/dbsc", Path: "/app"},
		"Config.Unbound":       {Unbound: 7},
	} {
		config.DeviceBound = true
		require.ErrorContains(t, config.Validate(), strings.TrimSpace(field)+" is")
	}
	require.ErrorContains(t, sessionkit.Config{Unbound: sessionkit.EndUnbound}.Validate(), "Config.Unbound")
	for _, path := range []string{"/", "/a/../dbsc", "/./dbsc", "/dbsc/.", "/a//b"} {
		require.ErrorContains(t, sessionkit.Config{DeviceBound: true, BoundPath: path}.Validate(), "Config.BoundPath is", path)
	}
	require.NoError(t, sessionkit.Config{DeviceBound: true, BoundFor: 4 * time.Minute, BoundPath: "/a/b", SameSite: http.SameSiteStrictMode}.Validate())
	require.NoError(t, sessionkit.Config{DeviceBound: true, Path: "/app"}.Validate())
	assert.PanicsWithError(t, "sessionkit: Config.DeviceBound is true: a *cookie.store cannot change one value of a session without overwriting the others, "+
		"so that a page loaded at the same time would undo the binding; use memstore, sqlstore or redisstore", func() {
		sessionkit.Sessions(cookie.NewStore(kittest.TestSecret), sessionkit.Config{DeviceBound: true})
	})
}

// TestBoundPlace: the browser's requests reach the middleware on the engine, whatever else
// stands there, also by a redirect to the path with a slash; on a group they do if it has the routes, and else that is said.
func TestBoundPlace(t *testing.T) {
	login := func(t *testing.T, handler http.Handler, path string) *device {
		d := newDevice(t, handler)
		d.post(path)
		return d
	}
	var errs []error
	config := sessionkit.Config{DeviceBound: true, BoundPath: "/app/dbsc", OnError: func(_ *gin.Context, err error) { errs = append(errs, err) }}
	refuse := func(c *gin.Context) { c.AbortWithStatus(http.StatusTooManyRequests) }

	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.Use(sessionkit.Sessions(memory(t), config), func(c *gin.Context) {
		if strings.HasPrefix(c.Request.URL.Path, "/app/dbsc") {
			refuse(c)
		}
	})
	engine.POST("/login", kittest.SignIn("42"))
	engine.GET("/app/*any", refuse)
	engine.NoRoute(refuse)
	assert.NotEmpty(t, login(t, engine, "/login").id)
	assert.NotEmpty(t, login(t, http.StripPrefix("/app", stripped(t, config)), "/app/login").id, "the browser's address counts")
	assert.Empty(t, errs)

	engine = gin.New()
	engine.Use(sessionkit.Sessions(memory(t), config))
	engine.POST("/login", kittest.SignIn("42"))
	engine.POST("/:a/:b/:c/", refuse)
	d := newDevice(t, engine)
	m := registration.FindStringSubmatch(d.Post("/login", nil).Header().Get("Secure-Session-Registration"))
	require.Equal(t, http.StatusTemporaryRedirect, d.raw(m[1], "", "").Code, "gin answers before any middleware")
	d.register(m[1]+"/", m[2])
	require.NotEmpty(t, d.id)
	d.refreshURL += "/"
	assert.Empty(t, d.refresh())
	assert.Equal(t, 1, d.refreshes)
	assert.Empty(t, errs)

	for range 2 {
		engine = gin.New()
		group := engine.Group("/app", sessionkit.Sessions(memory(t), config))
		group.POST("/login", kittest.SignIn("42"))
		assert.Empty(t, login(t, engine, "/app/login").id)
		login(t, engine, "/app/login")
		require.Len(t, errs, 1, "it is said once")
		require.ErrorContains(t, errs[0], "the middleware stands on a group, so the browser's POST /app/dbsc/register and POST /app/dbsc/refresh would not reach it")
		errs = nil
	}
	engine = gin.New()
	group := engine.Group("/app", sessionkit.Sessions(memory(t), config))
	group.POST("/login", kittest.SignIn("42"))
	group.POST("/dbsc/register", refuse)
	group.POST("/dbsc/refresh", refuse)
	assert.NotEmpty(t, login(t, engine, "/app/login").id)
	assert.Empty(t, errs)

	// Behind a proxy that takes /app away, gin has shorter paths. Those of the application are not it.
	for routes, placed := range map[string]bool{"/x/dbsc": true, "": false} {
		config.BoundPath, errs = "/app/x/dbsc", nil
		engine = gin.New()
		group := engine.Group("", sessionkit.Sessions(memory(t), config))
		group.POST("/x/login", kittest.SignIn("42"))
		group.POST(routes+"/register", refuse)
		group.POST(routes+"/refresh", refuse)
		assert.Equal(t, placed, login(t, http.StripPrefix("/app", engine), "/app/x/login").id != "", routes)
		assert.Equal(t, placed, len(errs) == 0, "%v", errs)
	}
}

func stripped(t *testing.T, config sessionkit.Config) http.Handler {
	t.Helper()
	engine := gin.New()
	engine.Use(sessionkit.Sessions(memory(t), config))
	engine.POST("/login", kittest.SignIn("42"))
	return engine
}

// TestBoundAllocations: with the field on, a visitor costs what they did. With it off, all
// that TestAllocations shows is the same.
func TestBoundAllocations(t *testing.T) {
	if kittest.RaceEnabled {
		return
	}
	on := newBoundSite(t, memory(t), sessionkit.Config{})
	on.On("/nothing", func(c *gin.Context) { c.Status(http.StatusNoContent) })
	assert.LessOrEqual(t, kittest.Allocations(on, httptest.NewRequest(http.MethodGet, "https://example.com/nothing", nil)), 3.0)
}

// TestBoundCrossSite: another site can send a browser to the paths, and gets nothing by it.
func TestBoundCrossSite(t *testing.T) {
	a := newBoundSite(t, memory(t), sessionkit.Config{})
	d := newDevice(t, a)
	d.post("/login")
	d.refresh()
	w := d.Do(d.Request(http.MethodPost, "/dbsc/refresh", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example", "Sec-Secure-Session-Id", d.id))
	assert.Equal(t, http.StatusForbidden, w.Code)
	assert.Contains(t, w.Header().Get("Secure-Session-Challenge"), d.challenge, "so that the browser keeps the binding")
	assert.Equal(t, "42", d.get("/").Body.String())
	assert.Equal(t, http.StatusForbidden, d.Browser.Post("/set", url.Values{}, "Sec-Fetch-Site", "cross-site").Code)
}

// TestBoundOtherOrigins: browsers refresh for a page of another origin only if the binding
// names its host, so a request from one may come without the bound cookie. It ends nothing,
// and puts no other session in the place of the user's.
func TestBoundOtherOrigins(t *testing.T) {
	for _, policy := range []sessionkit.UnboundPolicy{sessionkit.RefuseUnbound, sessionkit.EndUnbound} {
		for _, site := range []string{"same-site", "cross-site"} {
			inBubble(t, sessionkit.Config{Unbound: policy}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
				a.On("/flash", func(c *gin.Context) { sessionkit.Flash(c, sessionkit.Info, "hello") })
				d := newDevice(t, a)
				d.post("/login")
				d.get("/")
				time.Sleep(6 * time.Minute)
				assert.True(t, d.lost())
				w := d.Get("/", "Sec-Fetch-Site", site, "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image")
				assert.Empty(t, w.Body.String(), "nobody is signed in")
				d.Get("/flash", "Sec-Fetch-Site", site, "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image")
				assert.Equal(t, "42", d.get("/").Body.String(), "%d, %s", policy, site)
			})
		}
	}
	d := newDevice(t, newBoundSite(t, memory(t), sessionkit.Config{TrustedOrigins: []string{
		"https://app.example.com:8443", "https://deep.in.example.com", "https://example.com", // of this site
		"http://plain.example.com", "https://partner.example", "https://example.co.uk", "https://notexample.com", "https://192.0.2.1", "https://[2001:db8::1]", // of others
	}}))
	m := registration.FindStringSubmatch(d.Browser.Post("/login", nil).Header().Get("Secure-Session-Registration"))
	require.NotNil(t, m)
	w := d.raw(m[1], d.key.Registration(m[2]), "")
	assert.Contains(t, w.Body.String(), `"allowed_refresh_initiators":["app.example.com","deep.in.example.com","example.com"]`,
		"for pages of another site a refresh would come without the session cookie, and end the binding")
}

// TestBoundBeforeTheMove: a bound session that has yet to move from another store is as hard
// to steal as it was there.
func TestBoundBeforeTheMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := memory(t), memory(t)
		a := newBoundSite(t, from, sessionkit.Config{})
		d, fresh := newDevice(t, a), newDevice(t, a)
		d.post("/login")
		d.get("/")
		time.Sleep(6 * time.Minute)
		thief := d.copied()
		delete(thief.Cookies, boundCookie)
		assert.Empty(t, thief.Get("/").Body.String())
		fresh.post("/login") // and has not sent the bound cookie yet

		a = newBoundSite(t, store.Migrate(from, to, "session"), sessionkit.Config{})
		thief.Handler, d.Handler, fresh.Handler = a, a, a
		assert.Empty(t, thief.Get("/", "Sec-Purpose", "prefetch").Body.String())
		assert.Empty(t, thief.Get("/").Body.String())
		assert.Equal(t, []sessionkit.EventKind{"unbound", "unbound"}, a.Kinds())
		assert.Equal(t, "42", d.get("/").Body.String())
		assert.Equal(t, "42", fresh.get("/").Body.String())
		time.Sleep(time.Minute)
		assert.Empty(t, thief.Get("/").Body.String())
		assert.Equal(t, "42", d.get("/").Body.String())
		assert.Equal(t, "42", fresh.get("/").Body.String())
		copied := fresh.copied()
		delete(copied.Cookies, boundCookie)
		assert.Empty(t, copied.Get("/").Body.String())
		assert.Empty(t, a.Errors())
	})
}

// TestBoundByTwo: two middlewares cannot both answer the same paths.
func TestBoundByTwo(t *testing.T) {
	s := memory(t)
	serve := func(admin sessionkit.Config) {
		a := gin.New()
		a.Use(sessionkit.Sessions(s, sessionkit.Config{DeviceBound: true}), sessionkit.Sessions(s, admin))
		a.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com/", nil))
	}
	assert.PanicsWithError(t, `sessionkit: Config.BoundPath is "/dbsc": another Sessions in the same request answers there; give this one another BoundPath`, func() {
		serve(sessionkit.Config{Name: "admin", DeviceBound: true})
	})
	assert.NotPanics(t, func() { serve(sessionkit.Config{Name: "admin", DeviceBound: true, BoundPath: "/admin/dbsc"}) })
	assert.NotPanics(t, func() { serve(sessionkit.Config{Name: "admin"}) })
}

// TestBoundForTheShortest: the signatures that a browser makes are enough for a user who is
// always there, however short BoundFor may be.
func TestBoundForTheShortest(t *testing.T) {
	inBubble(t, sessionkit.Config{BoundFor: 4 * time.Minute}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
		d := newDevice(t, a)
		d.post("/login")
		for range 60 * 12 {
			time.Sleep(5 * time.Second)
			require.Equal(t, "42", d.get("/").Body.String())
		}
		assert.Greater(t, d.refreshes, 20)
	})
}

// TestBoundTwice: two bindings of one site share the signatures that a browser makes. With a longer
// BoundFor they are enough, whenever the user comes back.
func TestBoundTwice(t *testing.T) {
	for _, away := range []time.Duration{30 * time.Second, 3 * time.Minute, 390 * time.Second, 9 * time.Minute, 10 * time.Minute, 11*time.Minute + time.Second} {
		synctest.Test(t, func(t *testing.T) {
			config := sessionkit.Config{BoundFor: 10 * time.Minute}
			one, two := newDevice(t, newBoundSite(t, memory(t), config)), newDevice(t, newBoundSite(t, memory(t), config))
			both := func(use func(d *device)) {
				use(one)
				two.signed = one.signed
				use(two)
				one.signed = two.signed
			}
			both(func(d *device) { d.post("/login") })
			for range 40 {
				time.Sleep(away)
				both(func(d *device) { assert.Equal(t, "42", d.get("/").Body.String(), away) })
			}
		})
	}
}

// lists is a backend whose lists have nothing of the values but the sign-in.
type lists struct{ *kittest.Backend }

func (b *lists) List(ctx context.Context, user string) (map[string]store.Record, error) {
	records, err := b.Backend.List(ctx, user)
	for id, r := range records {
		r.Values = map[string]string{store.SignInValue: r.Values[store.SignInValue]}
		records[id] = r
	}
	return records, err
}

// recordOf returns the values of a session.
func recordOf(t *testing.T, s *store.Store, token string) map[string]string {
	t.Helper()
	server, _ := kitstore.Of(s)
	_, r, found, err := server.Load(t.Context(), "session", token, true)
	require.NoError(t, err)
	require.True(t, found)
	return maps.Clone(r.Values)
}

// TestBoundArrival: a link on another site leads to a page without the bound cookie, since
// Chromium does not refresh for other sites. The browser comes again by itself. That is no
// event and ends nothing, and whoever has no key is refused then.
func TestBoundArrival(t *testing.T) {
	for policy := range sessionkit.EndUnbound + 1 {
		synctest.Test(t, func(t *testing.T) {
			b := kittest.NewBackend()
			a := newBoundSite(t, kittest.StoreOver(b), sessionkit.Config{Unbound: policy})
			a.On("/static", func(c *gin.Context) { c.String(http.StatusOK, "static") })
			d := newDevice(t, a)
			d.post("/login")
			d.get("/")
			time.Sleep(10 * time.Minute)
			assert.True(t, d.lost())
			a.Heard()
			arrive := func(path string, more ...string) *httptest.ResponseRecorder {
				headers := append([]string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, more...)
				return d.Get(path, headers...)
			}
			w := arrive(`/guarded?a=1&b="><script>`)
			assert.Equal(t, http.StatusOK, w.Code)
			assert.Contains(t, w.Body.String(), `<meta http-equiv="refresh" content="0;url=/guarded?a=1&amp;b=&#34;&gt;&lt;script&gt;">`)
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			assert.NotContains(t, w.Body.String(), "42")
			assert.Empty(t, a.Heard())
			assert.Contains(t, arrive("/static").Body.String(), "refresh")
			assert.Contains(t, arrive("/static", "Sec-Fetch-Site", "same-site").Body.String(), "refresh")
			for _, other := range []string{"same-origin", "none"} {
				assert.Equal(t, "static", arrive("/static", "Sec-Fetch-Site", other).Body.String(), other)
			}
			assert.Equal(t, "static", arrive("/static", "Sec-Fetch-Dest", "iframe").Body.String())
			assert.Equal(t, "static", arrive("/static", "Sec-Fetch-Mode", "no-cors").Body.String())
			b.Failing(errors.New("down"), "load", "load fresh")
			assert.Equal(t, "static", arrive("/static").Body.String(), "it asks nothing of the session")
			b.Failing(nil)
			a.Heard()

			assert.Equal(t, "42", d.get("/guarded").Body.String())
			assert.Equal(t, "42", arrive("/guarded").Body.String(), "the bound cookie has come")
			other := kittest.NewBrowser(t, a)
			other.Get("/login") // by a browser that binds nothing
			b.Called()
			assert.Equal(t, "42", other.Get("/guarded", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document").Body.String())
			assert.Equal(t, []string{"load"}, b.Called(), "it is read once")
			gone := other.Fork()
			other.Get("/logout")
			time.Sleep(time.Millisecond) // no request of before the sign-out is that late
			a.Heard()
			assert.Empty(t, gone.Get("/", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document").Body.String())
			assert.Equal(t, []sessionkit.EventKind{"rejected"}, a.Kinds())
			thief := d.copied()
			delete(thief.Cookies, boundCookie)
			assert.Empty(t, a.Heard())
			thief.Get("/guarded")
			assert.Contains(t, a.Kinds(), sessionkit.EventUnbound)
			assert.NotContains(t, kittest.NewBrowser(t, a).Get("/", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document").Body.String(), "refresh")
		})
	}
}

// TestArrivalWhereNothingIsBound: without DeviceBound a link on another site leads to its page.
func TestArrivalWhereNothingIsBound(t *testing.T) {
	a := kittest.NewRulesSite(memory(t), sessionkit.Config{})
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	w := b.Get("/", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	assert.Equal(t, "42", w.Body.String())
}

// TestBoundArrivalOfAForm: what another site sends is not sent again as a GET, which would lose it.
func TestBoundArrivalOfAForm(t *testing.T) {
	inBubble(t, sessionkit.Config{TrustedOrigins: []string{"https://partner.example"}}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
		a.POST("/callback", func(c *gin.Context) { c.String(http.StatusOK, "taken") })
		d := newDevice(t, a)
		d.post("/login")
		d.get("/")
		time.Sleep(10 * time.Minute)
		assert.True(t, d.lost())
		headers := []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Origin", "https://partner.example"}
		assert.Contains(t, d.Get("/", headers...).Body.String(), "refresh")
		assert.Equal(t, "taken", d.Post("/callback", nil, headers...).Body.String())
	})
}

// TestBoundOnlyOnce: a session that was bound while it was offered once more is not bound
// to another key.
func TestBoundOnlyOnce(t *testing.T) {
	b := kittest.NewBackend()
	a := newBoundSite(t, kittest.StoreOver(b), sessionkit.Config{})
	d := newDevice(t, a)
	first := registration.FindStringSubmatch(d.Browser.Post("/login", nil).Header().Get("Secure-Session-Registration"))
	var done atomic.Bool
	b.Before = func(call string) {
		if call == "rotate" && done.CompareAndSwap(false, true) {
			d.register(first[1], first[2])
		}
	}
	second := registration.FindStringSubmatch(d.Browser.Post("/confirm", nil).Header().Get("Secure-Session-Registration"))
	b.Before = nil
	require.NotEmpty(t, d.id)
	require.NotNil(t, second)
	assert.Equal(t, http.StatusForbidden, d.raw(second[1], dbsctest.NewES256(t).Registration(second[2]), "").Code)
	assert.Empty(t, d.refresh())
	assert.Equal(t, 1, d.refreshes)

	// Nor do two registrations with the same challenge both count.
	e := newDevice(t, a)
	m := registration.FindStringSubmatch(e.Browser.Post("/login", nil).Header().Get("Secure-Session-Registration"))
	done.Store(false)
	b.Before = func(call string) {
		if call == "update" && done.CompareAndSwap(false, true) {
			e.register(m[1], m[2])
		}
	}
	assert.Equal(t, http.StatusForbidden, e.raw(m[1], dbsctest.NewES256(t).Registration(m[2]), "").Code)
	b.Before = nil
	require.NotEmpty(t, e.id)
	assert.Empty(t, e.refresh())
	assert.Equal(t, 1, e.refreshes)
}

// TestBoundConfirmTwice: of two tabs that confirm at the same time, the one that comes too late sends no
// cookie, and so no offer. It leaves alone what the other one has offered, and the binding that follows.
func TestBoundConfirmTwice(t *testing.T) {
	b := kittest.NewBackend()
	a := newBoundSite(t, kittest.StoreOver(b), sessionkit.Config{})
	d := newDevice(t, a)
	d.Post("/login", nil)
	var first []string
	confirm := func(overtake func()) {
		other := d.Fork()
		var done atomic.Bool
		b.Before = func(call string) {
			if call == "rotate" && done.CompareAndSwap(false, true) {
				overtake()
			}
		}
		w := other.Post("/confirm", nil)
		b.Before = nil
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Empty(t, w.Header().Get("Secure-Session-Registration"))
	}
	confirm(func() {
		first = registration.FindStringSubmatch(d.Browser.Post("/confirm", nil).Header().Get("Secure-Session-Registration"))
	})
	require.NotNil(t, first)
	d.register(first[1], first[2])
	assert.NotEmpty(t, d.id)

	synctest.Test(t, func(t *testing.T) {
		b = kittest.NewBackend()
		d = newDevice(t, newBoundSite(t, kittest.StoreOver(b), sessionkit.Config{Unbound: sessionkit.ReportUnbound}))
		d.post("/login")
		d.get("/")
		time.Sleep(6 * time.Minute)
		d.end("a proxy has answered 429")
		delete(d.Cookies, boundCookie)
		confirm(func() { d.post("/confirm") }) // and registers
		require.NotEmpty(t, d.id)
		assert.True(t, d.current().Bound)
		assert.Empty(t, d.refresh())
		assert.Empty(t, d.ended)
	})
}

// TestBoundOpenRedirect: no address leads from here to another site.
func TestBoundOpenRedirect(t *testing.T) {
	inBubble(t, sessionkit.Config{}, func(t *testing.T, a *kittest.Site, s *store.Store) {
		d := newDevice(t, a)
		d.post("/login")
		d.get("/")
		time.Sleep(10 * time.Minute)
		all := gin.New()
		all.Use(sessionkit.Sessions(s, sessionkit.Config{DeviceBound: true}), sessionkit.RequireSession())
		d.Cookies[boundCookie] = "an old one"
		for path, status := range map[string]int{"/page": http.StatusTemporaryRedirect, "//evil.example/x": http.StatusUnauthorized, `/\evil.example`: http.StatusUnauthorized} {
			r := d.Request(http.MethodGet, "/")
			r.URL.Path, r.RequestURI = path, path
			w := httptest.NewRecorder()
			all.ServeHTTP(w, r)
			assert.Equal(t, status, w.Code, path)
			assert.NotContains(t, w.Header().Get("Location"), "evil", path)

			r.Header.Del("Cookie")
			r.AddCookie(&http.Cookie{Name: kittest.SessionCookie, Value: d.Session()})
			for name, value := range map[string]string{"Site": "cross-site", "Mode": "navigate", "Dest": "document"} {
				r.Header.Set("Sec-Fetch-"+name, value)
			}
			w = httptest.NewRecorder()
			all.ServeHTTP(w, r)
			assert.NotContains(t, w.Body.String(), "evil", path)
		}
	})
}

// TestBoundRefreshIsNoUse: a refresh alone does not keep a session from its idle timeout.
func TestBoundRefreshIsNoUse(t *testing.T) {
	inBubble(t, sessionkit.Config{}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
		d := newDevice(t, a)
		d.post("/login")
		d.get("/")
		for range 7 {
			time.Sleep(10 * time.Minute)
			d.refresh()
		}
		assert.Equal(t, "the server said so", d.ended)
	})
}

// TestBoundSlowRequest: it counts what the browser had when it sent a request, however late
// the session is asked for: a handler may have to read a body first. A copy is good for no
// longer by that.
func TestBoundSlowRequest(t *testing.T) {
	for _, policy := range []sessionkit.UnboundPolicy{sessionkit.RefuseUnbound, sessionkit.EndUnbound} {
		inBubble(t, sessionkit.Config{Unbound: policy}, func(t *testing.T, a *kittest.Site, _ *store.Store) {
			body := func(c *gin.Context) {
				takes, _ := time.ParseDuration(c.Query("takes"))
				time.Sleep(takes)
			}
			a.POST("/upload", body, sessionkit.RequireSession(), kittest.Whoami)
			upload := func(b *kittest.Browser, takes time.Duration) <-chan string {
				done := make(chan string, 1)
				b = b.Fork() // it has the cookies of now
				go func() { done <- b.Post("/upload?takes="+takes.String(), nil).Body.String() }()
				time.Sleep(time.Second)
				return done
			}
			d := newDevice(t, a)
			m := registration.FindStringSubmatch(d.Post("/login", nil).Header().Get("Secure-Session-Registration"))
			done := upload(d.Browser, time.Minute)
			d.register(m[1], m[2])
			d.pass(1)
			assert.Equal(t, "42", <-done, "it was sent before the browser had the bound cookie")

			time.Sleep(time.Until(d.until) - 121*time.Second) // too early for a refresh
			done = upload(d.Browser, 3*time.Minute)
			assert.Equal(t, "42", <-done)
			assert.Zero(t, d.refreshes)

			d.get("/")
			done = upload(d.Browser, 12*time.Minute)
			d.pass(12)
			assert.Equal(t, "42", <-done, "%d refreshes ago", d.refreshes)
			assert.NotContains(t, a.Kinds(), sessionkit.EventUnbound)

			thief := d.copied()
			time.Sleep(3 * time.Minute)
			d.pass(2)
			for _, takes := range []time.Duration{0, time.Minute} {
				assert.NotEqual(t, "42", <-upload(thief, takes))
			}
			assert.Equal(t, sessionkit.EventUnbound, a.Kinds()[0])
		})
	}
}
