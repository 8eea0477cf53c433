package sessionkit_test

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	gsessions "github.com/gorilla/sessions"
	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
)

// broken says how a rule does not hold.
type broken []string

func (b *broken) unless(ok bool, how string, args ...any) {
	if !ok {
		*b = append(*b, fmt.Sprintf(how, args...))
	}
}

// counted counts what a store is asked.
type counted struct {
	sessions.Store
	news, saves int
}

func (s *counted) New(r *http.Request, name string) (*gsessions.Session, error) {
	s.news++
	return s.Store.New(r, name)
}

func (s *counted) Save(r *http.Request, w http.ResponseWriter, session *gsessions.Session) error {
	s.saves++
	return s.Store.Save(r, w, session)
}

func savedBeforeTheFirstByte(t *testing.T, s tested) (b broken) {
	t.Helper()
	a := newRulesSite(s.Store, sessionkit.Config{})
	a.on("/write", func(c *gin.Context) {
		count.Set(c, 7)
		c.Writer.Flush()
		_, _ = c.Writer.WriteString("x")
	})
	v := newBrowser(t, a)
	b.unless(len(v.get("/write").Header()["Set-Cookie"]) == 1, "no cookie went out")
	b.unless(v.get("/count").Body.String() == `{"n":7,"ok":true}`, "the change was not saved")
	return b
}

func nothingChanged(t *testing.T, s tested) (b broken) {
	t.Helper()
	counts := &counted{Store: s.Store}
	kept := sessions.Store(counts)
	if _, own := s.Store.(*store.Store); own { // TestNothingTouched counts there
		kept = s.Store
	}
	a := newRulesSite(kept, sessionkit.Config{})
	a.on("/untouched", func(c *gin.Context) { c.Status(http.StatusNoContent) })
	a.on("/read", func(c *gin.Context) {
		sessionkit.Flashes(c)
		count.Get(c)
		assert.Empty(t, sessions.Default(c).Flashes())
		assert.NoError(t, sessions.Default(c).Save())
	})
	v := newBrowser(t, a)
	b.unless(len(v.get("/read").Header()["Set-Cookie"]) == 0, "a visitor who stores nothing got a cookie")
	v.get("/set")
	*counts = counted{Store: s.Store}
	b.unless(len(v.get("/untouched").Header()["Set-Cookie"]) == 0 && counts.news == 0, "an untouched session was read")
	b.unless(len(v.get("/read").Header()["Set-Cookie"]) == 0 && counts.news <= 1 && counts.saves == 0, "an unchanged session was written")
	return b
}

func failedSave(t *testing.T, s tested) (b broken) {
	t.Helper()
	a := newRulesSite(s.Store, sessionkit.Config{})
	for path, change := range map[string]gin.HandlerFunc{
		"/set": increment, "/login": signIn("43"), "/logout": func(c *gin.Context) { sessionkit.Logout(c) },
	} {
		a.on("/failing"+path, func(c *gin.Context) {
			sessionkit.User(c)
			change(c)
			if s.fail != nil {
				s.fail()
			} else {
				sessions.Default(c).Set("bad", func() {})
			}
			c.Header("Location", "/welcome")
			c.String(http.StatusOK, "saved!")
		})
	}
	a.on("/grow", func(c *gin.Context) { name.Set(c, strings.Repeat("x", 5000)); c.String(http.StatusOK, "saved!") })
	a.on("/name", func(c *gin.Context) { v, _ := name.Get(c); c.String(http.StatusOK, "%d", len(v)) })
	v := newBrowser(t, a)
	v.get("/login")
	v.get("/set")
	for _, path := range []string{"/set", "/login", "/logout"} {
		w := v.get("/failing" + path)
		if s.fail != nil {
			s.mend()
		}
		b.unless(w.Code == http.StatusServiceUnavailable && w.Header().Get("Location") == "" &&
			len(w.Header()["Set-Cookie"]) == 0 && !strings.Contains(w.Body.String(), "saved!"), "%s: the failure looked like success", path)
		b.unless(v.get("/").Body.String() == "42", "%s: the old session did not stand", path)
	}
	b.unless(v.get("/count").Body.String() == `{"n":1,"ok":true}`, "something was saved")
	saved := v.get("/grow").Code == http.StatusOK
	b.unless(saved == (v.get("/name").Body.String() == "5000"), "a value that was too long looked saved")
	return b
}

func failedLoad(t *testing.T, s tested) (b broken) {
	t.Helper()
	a := newRulesSite(s.Store, sessionkit.Config{})
	a.on("/err", func(c *gin.Context) { c.String(http.StatusOK, "%v", sessionkit.Err(c) != nil) })
	v := newBrowser(t, a)
	v.get("/login")
	session := v.session()
	if s.fail != nil {
		s.fail()
		w := v.get("/account")
		b.unless(w.Code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") != "", "the guard took the user for signed out")
		b.unless(v.get("/err").Body.String() == "true", "Err reported nothing")
		for _, path := range []string{"/set", "/login", "/logout", "/renew"} {
			w := v.get(path)
			b.unless(w.Code == http.StatusServiceUnavailable && len(w.Header()["Set-Cookie"]) == 0, "%s: it was written", path)
		}
		s.mend()
	}
	b.unless(v.session() == session && v.get("/account").Body.String() == "42", "the session did not stand")
	return b
}

// nothingToReach is what the stores have in common that keep nothing elsewhere.
func nothingToReach(_ *testing.T, s tested) (b broken) {
	b.unless(s.fail == nil, "it can be out of reach")
	return b
}

func panicSavesNothing(t *testing.T, s tested) (b broken) {
	t.Helper()
	a := newRulesSite(s.Store, sessionkit.Config{})
	a.Use(gin.RecoveryWithWriter(httptest.NewRecorder()))
	a.on("/panic", func(c *gin.Context) {
		increment(c)
		legacy := sessions.Default(c)
		legacy.Set("count", 9)
		_ = legacy.Save()
		panic("oops")
	})
	v := newBrowser(t, a)
	b.unless(len(v.get("/panic").Header()["Set-Cookie"]) == 0, "a cookie went out")
	v.get("/set")
	v.get("/panic")
	b.unless(v.get("/count").Body.String() == `{"n":1,"ok":true}`, "the change was saved")
	return b
}

func changeAfterTheHeader(t *testing.T, s tested) (b broken) {
	t.Helper()
	a := newRulesSite(s.Store, sessionkit.Config{})
	a.on("/late", func(c *gin.Context) { c.String(http.StatusOK, "begun"); increment(c) })
	a.on("/twice", func(c *gin.Context) { increment(c); c.String(http.StatusOK, "begun"); increment(c) })
	v := newBrowser(t, a)
	v.get("/late")
	b.unless(len(a.errors()) == 1, "a new session without a cookie was not reported")
	for _, path := range []string{"/late", "/twice"} {
		v = newBrowser(t, a)
		v.get("/set")
		before := v.get("/count").Body.String()
		v.get(path)
		saved := v.get("/count").Body.String() != before
		b.unless(saved || len(a.errors()) > 0, "%s: the change was dropped silently", path)
	}
	v = newBrowser(t, a)
	v.get("/twice")
	b.unless(v.get("/count").Body.String() == `{"n":2,"ok":true}` || len(a.errors()) > 0, "the second change was dropped silently")
	return b
}

func parallelRequests(t *testing.T, s tested) (b broken) {
	t.Helper()
	a := newRulesSite(s.Store, sessionkit.Config{})
	v := newBrowser(t, a)
	v.get("/set")
	a.on("/name", func(c *gin.Context) { _, ok := name.Get(c); c.String(http.StatusOK, "%v", ok) })
	other := underWayIn(a, v, "/paused", func(c *gin.Context) { name.Set(c, "x") }, func() { v.get("/set") })
	b.unless(other.get("/count").Body.String() == `{"n":2,"ok":true}`, "the last one to save wins")
	b.unless(other.get("/name").Body.String() == "true", "the last one to save loses")
	return b
}

func oneStep(t *testing.T, s tested) (b broken) {
	t.Helper()
	a := newRulesSite(s.Store, sessionkit.Config{})
	v := newBrowser(t, a)
	v.get("/set")
	other := underWayIn(a, v, "/update", func(c *gin.Context) { _, _ = count.Update(c, func(n int) int { return n + 1 }) }, func() { v.get("/set") })
	b.unless(other.get("/count").Body.String() == `{"n":3,"ok":true}`, "Update goes by a value that stands no more")
	taken := 0
	take := func(c *gin.Context) {
		if _, ok := count.Take(c); ok {
			taken++
		}
	}
	a.on("/take", take)
	underWayIn(a, v, "/take-too", take, func() { v.get("/take") })
	b.unless(taken == 1, "%d of two requests took the value", taken)
	return b
}

// underWayIn runs a request that pauses after it has read the session, while
// meanwhile runs, and returns the browser that made it.
func underWayIn(a *site, v *browser, path string, change gin.HandlerFunc, meanwhile func()) *browser {
	paused, goOn, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	a.on(path, func(c *gin.Context) {
		sessionkit.User(c)
		close(paused)
		<-goOn
		change(c)
	})
	other := v.fork()
	go func() {
		defer close(done)
		other.get(path)
	}()
	<-paused
	meanwhile()
	close(goOn)
	<-done
	return other
}

func logoutWins(t *testing.T, s tested) (b broken) {
	t.Helper()
	for _, ending := range []string{"/logout", "/renew"} {
		for how, change := range map[string]gin.HandlerFunc{"a change": increment, "a renewal": sessionkit.Renew} {
			a := newRulesSite(s.Store, sessionkit.Config{})
			v := newBrowser(t, a)
			v.get("/login")
			old := v.fork()
			other := underWayIn(a, v, "/paused", change, func() { v.get(ending) })
			b.unless(old.get("/").Body.String() == "" && other.get("/").Body.String() == "",
				"%s under way brought the session back to life after %s", how, ending)
		}
	}
	return b
}

// logoutWinsAlone is the same with gin-contrib/sessions alone.
func logoutWinsAlone(t *testing.T, s tested) (b broken) {
	t.Helper()
	r := gin.New()
	r.Use(sessions.Sessions(sessionCookie, s.Store))
	save := func(c *gin.Context, change func(sessions.Session)) {
		session := sessions.Default(c)
		change(session)
		assert.NoError(t, session.Save())
	}
	paused, goOn := make(chan struct{}), make(chan struct{})
	r.GET("/login", func(c *gin.Context) { save(c, func(s sessions.Session) { s.Set("user", "42") }) })
	r.GET("/logout", func(c *gin.Context) { save(c, func(s sessions.Session) { s.Options(sessions.Options{MaxAge: -1}) }) })
	r.GET("/", func(c *gin.Context) { c.String(http.StatusOK, "%v", sessions.Default(c).Get("user")) })
	r.GET("/paused", func(c *gin.Context) {
		save(c, func(s sessions.Session) {
			s.Get("user")
			close(paused)
			<-goOn
			s.Set("count", 1)
		})
	})
	v := newBrowser(t, r)
	v.get("/login")
	old, other := v.fork(), v.fork()
	assert.Equal(t, "42", v.get("/").Body.String())
	done := make(chan struct{})
	go func() {
		defer close(done)
		other.get("/paused")
	}()
	<-paused
	v.get("/logout")
	close(goOn)
	<-done
	b.unless(old.get("/").Body.String() == "<nil>" && other.get("/").Body.String() == "<nil>", "the session came back to life")
	return b
}

func foreignIDs(t *testing.T, s tested) (b broken) {
	t.Helper()
	a := newRulesSite(s.Store, sessionkit.Config{})
	planted := make([]byte, 32)
	_, _ = rand.Read(planted)
	for _, path := range []string{"/set", "/login"} {
		v := newBrowser(t, a)
		v.cookies[sessionCookie] = base64.RawURLEncoding.EncodeToString(planted)
		before := v.session()
		v.get(path)
		b.unless(v.session() != before, "%s adopted a planted ID", path)
	}
	for _, ending := range []string{"/login", "/renew", "/logout"} {
		v := newBrowser(t, a)
		v.get("/login")
		old := v.fork()
		v.get(ending)
		b.unless(old.session() != v.session(), "%s did not change the ID", ending)
		b.unless(old.get("/").Body.String() == "", "the old ID opened the session after %s", ending)
		dead := old.session()
		w := old.get("/set")
		b.unless(old.session() != dead || w.Code == http.StatusServiceUnavailable, "a dead ID was taken up again after %s", ending)
	}
	return b
}

func deadlines(t *testing.T, s tested) (b broken) {
	t.Helper()
	config := sessionkit.Config{IdleTimeout: 30 * time.Minute, Lifetime: 4 * time.Hour, RememberFor: 72 * time.Hour}
	synctest.Test(t, func(t *testing.T) {
		a := newRulesSite(s.Store, config)
		alive := func(v *browser, want bool, why string) {
			b.unless((v.get("/").Body.String() == "42") == want, "%s", why)
		}
		v := newBrowser(t, a)
		v.get("/login")
		for range 4 {
			time.Sleep(config.IdleTimeout - time.Millisecond)
			alive(v, true, "a session in use ended early")
		}
		time.Sleep(config.IdleTimeout + time.Minute)
		alive(v, false, "an unused session lived on")
		v.get("/login")
		for range 9 {
			time.Sleep(config.Lifetime / 10)
			alive(v, true, "a session in use ended before Lifetime")
		}
		time.Sleep(config.Lifetime / 10)
		alive(v, false, "a session in use lived on after Lifetime")
		v.get("/remember")
		time.Sleep(config.RememberFor - time.Millisecond)
		alive(v, true, "a remembered sign-in ended early")
		time.Sleep(2 * time.Millisecond)
		alive(v, false, "a remembered sign-in lived on")
	})
	return b
}

func cookieAttributes(t *testing.T, s tested) (b broken) {
	t.Helper()
	for url, want := range map[string]string{
		"https://example.com/":   "__Host-Http-session=*; Path=/; HttpOnly; Secure; SameSite=Lax",
		"http://example.com/":    "__Host-Http-session=*; Path=/; HttpOnly; Secure; SameSite=Lax",
		"http://localhost:8080/": "session=*; Path=/; HttpOnly; SameSite=Lax",
	} {
		a := newSite(s.Store, sessionkit.Config{})
		a.on("/", increment)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, nil))
		got := setCookies(w)
		b.unless(len(got) == 1 && strings.Replace(got[0].String(), got[0].Value, "*", 1) == want, "the cookie over %s", url)
	}
	return b
}

func crossOrigin(t *testing.T, s tested) (b broken) {
	t.Helper()
	a := newSite(s.Store, sessionkit.Config{})
	a.POST("/", increment)
	v := newBrowser(t, a)
	b.unless(v.post("/", nil, "Origin", "https://evil.example").Code == http.StatusForbidden && v.session() == "", "a cross-origin POST came through")
	b.unless(v.post("/", nil, "Origin", "https://example.com").Code == http.StatusNoContent, "a POST of the site itself was refused")
	return b
}

func sealedCookies(t *testing.T, s tested) (b broken) {
	t.Helper()
	a := newSite(s.Store, sessionkit.Config{Secrets: [][]byte{testSecret}})
	for name, protection := range map[string]sessionkit.Protection{"signed": sessionkit.Signed, "encrypted": sessionkit.Encrypted} {
		cookie := sessionkit.NewCookie[string](name, sessionkit.CookieOptions{Protection: protection})
		a.on("/"+name+"/set", func(c *gin.Context) { assert.NoError(t, cookie.Set(c, "tea")) })
		a.on("/"+name, func(c *gin.Context) {
			got, err := cookie.Get(c)
			c.String(http.StatusOK, "%s %v", got, errors.Is(err, sessionkit.ErrCookieTampered))
		})
		v := newBrowser(t, a)
		v.get("/" + name + "/set")
		b.unless(v.get("/"+name).Body.String() == "tea false", "a %s cookie was not read", name)
		for wire, value := range v.cookies {
			v.cookies[wire] = strings.ToUpper(value)
		}
		b.unless(v.get("/"+name).Body.String() == " true", "a changed %s cookie was read", name)
	}
	return b
}

func cacheHeaders(t *testing.T, s tested) (b broken) {
	t.Helper()
	v := newBrowser(t, newRulesSite(s.Store, sessionkit.Config{}))
	v.get("/login")
	header := v.get("/account").Header()
	b.unless(header.Get("Cache-Control") == "no-store" && header.Get("Vary") == "Cookie", "a guarded response may be cached")
	header = v.get("/").Header()
	b.unless(header.Get("Cache-Control") == "" && header.Get("Vary") == "Cookie", "a response may be cached for others")
	return b
}

func hostileInput(t *testing.T, s tested) (b broken) {
	t.Helper()
	a := newRulesSite(s.Store, sessionkit.Config{})
	v := newBrowser(t, a)
	v.get("/login")
	good := sessionCookie + "=" + v.session()
	for header, want := range map[string]string{
		good + "A": "", sessionCookie + "=" + strings.Repeat("A", 1<<20): "", sessionCookie + "=\x00\xff": "",
		sessionCookie + "=wrong; " + good: "42", strings.Repeat(sessionCookie+"=wrong; ", 10000) + good: "",
	} {
		r := v.request(http.MethodGet, "/")
		r.Header["Cookie"] = []string{header}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		b.unless(w.Code == http.StatusOK && w.Body.String() == want, "the cookie %.40q", header)
	}
	if s.damage == nil {
		return b
	}
	for _, garbage := range []string{"", "garbage", strings.Repeat("A", 100), strings.Repeat("\x7f", 300)} {
		v := newBrowser(t, a)
		v.get("/login")
		a.errors()
		s.damage(garbage)
		w := v.get("/account")
		fresh := w.Code == http.StatusUnauthorized && v.get("/set").Code == http.StatusNoContent
		reported := w.Code == http.StatusServiceUnavailable && len(a.errors()) > 0
		b.unless(fresh || reported, "a record of %.10q", garbage)
	}
	return b
}
