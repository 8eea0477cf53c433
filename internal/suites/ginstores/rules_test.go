package ginstores_test

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
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
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

func savedBeforeTheFirstByte(t *testing.T, s kittest.Tested) (b broken) {
	t.Helper()
	a := kittest.NewRulesSite(s.Store, sessionkit.Config{})
	a.On("/write", func(c *gin.Context) {
		kittest.Count.Set(c, 7)
		c.Writer.Flush()
		_, _ = c.Writer.WriteString("x")
	})
	v := kittest.NewBrowser(t, a)
	b.unless(len(v.Get("/write").Header()["Set-Cookie"]) == 1, "no cookie went out")
	b.unless(v.Get("/count").Body.String() == `{"n":7,"ok":true}`, "the change was not saved")
	return b
}

func nothingChanged(t *testing.T, s kittest.Tested) (b broken) {
	t.Helper()
	counts := &counted{Store: s.Store}
	kept := sessions.Store(counts)
	if _, own := s.Store.(*store.Store); own { // TestNothingTouched counts there
		kept = s.Store
	}
	a := kittest.NewRulesSite(kept, sessionkit.Config{})
	a.On("/untouched", func(c *gin.Context) { c.Status(http.StatusNoContent) })
	a.On("/read", func(c *gin.Context) {
		sessionkit.Flashes(c)
		kittest.Count.Get(c)
		assert.Empty(t, sessions.Default(c).Flashes())
		assert.NoError(t, sessions.Default(c).Save())
	})
	v := kittest.NewBrowser(t, a)
	b.unless(len(v.Get("/read").Header()["Set-Cookie"]) == 0, "a visitor who stores nothing got a cookie")
	v.Get("/set")
	*counts = counted{Store: s.Store}
	b.unless(len(v.Get("/untouched").Header()["Set-Cookie"]) == 0 && counts.news == 0, "an untouched session was read")
	b.unless(len(v.Get("/read").Header()["Set-Cookie"]) == 0 && counts.news <= 1 && counts.saves == 0, "an unchanged session was written")
	return b
}

func failedSave(t *testing.T, s kittest.Tested) (b broken) {
	t.Helper()
	a := kittest.NewRulesSite(s.Store, sessionkit.Config{})
	for path, change := range map[string]gin.HandlerFunc{
		"/set": kittest.Increment, "/login": kittest.SignIn("43"), "/logout": func(c *gin.Context) { sessionkit.Logout(c) },
	} {
		a.On("/failing"+path, func(c *gin.Context) {
			sessionkit.User(c)
			change(c)
			if s.Fail != nil {
				s.Fail()
			} else {
				sessions.Default(c).Set("bad", func() {})
			}
			c.Header("Location", "/welcome")
			c.String(http.StatusOK, "saved!")
		})
	}
	a.On("/grow", func(c *gin.Context) {
		kittest.Name.Set(c, strings.Repeat("x", 5000))
		c.String(http.StatusOK, "saved!")
	})
	a.On("/name", func(c *gin.Context) { v, _ := kittest.Name.Get(c); c.String(http.StatusOK, "%d", len(v)) })
	v := kittest.NewBrowser(t, a)
	v.Get("/login")
	v.Get("/set")
	paths := []string{"/set", "/login"}
	if s.Fail != nil { // a sign-out is carried out if the change alone is refused: see TestSignOutBesideWhatIsRefused
		paths = append(paths, "/logout")
	}
	for _, path := range paths {
		w := v.Get("/failing" + path)
		if s.Fail != nil {
			s.Mend()
		}
		b.unless(w.Code == http.StatusServiceUnavailable && w.Header().Get("Location") == "" &&
			len(w.Header()["Set-Cookie"]) == 0 && !strings.Contains(w.Body.String(), "saved!"), "%s: the failure looked like success", path)
		b.unless(v.Get("/").Body.String() == "42", "%s: the old session did not stand", path)
	}
	b.unless(v.Get("/count").Body.String() == `{"n":1,"ok":true}`, "something was saved")
	saved := v.Get("/grow").Code == http.StatusOK
	b.unless(saved == (v.Get("/name").Body.String() == "5000"), "a value that was too long looked saved")
	return b
}

func failedLoad(t *testing.T, s kittest.Tested) (b broken) {
	t.Helper()
	a := kittest.NewRulesSite(s.Store, sessionkit.Config{})
	a.On("/err", func(c *gin.Context) { c.String(http.StatusOK, "%v", sessionkit.Err(c) != nil) })
	v := kittest.NewBrowser(t, a)
	v.Get("/login")
	session := v.Session()
	if s.Fail != nil {
		s.Fail()
		w := v.Get("/account")
		b.unless(w.Code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") != "", "the guard took the user for signed out")
		b.unless(v.Get("/err").Body.String() == "true", "Err reported nothing")
		for _, path := range []string{"/set", "/login", "/logout", "/renew"} {
			w := v.Get(path)
			b.unless(w.Code == http.StatusServiceUnavailable && len(w.Header()["Set-Cookie"]) == 0, "%s: it was written", path)
		}
		s.Mend()
	}
	b.unless(v.Session() == session && v.Get("/account").Body.String() == "42", "the session did not stand")
	return b
}

// nothingToReach is what the stores have in common that keep nothing elsewhere.
func nothingToReach(_ *testing.T, s kittest.Tested) (b broken) {
	b.unless(s.Fail == nil, "it can be out of reach")
	return b
}

func panicSavesNothing(t *testing.T, s kittest.Tested) (b broken) {
	t.Helper()
	a := kittest.NewRulesSite(s.Store, sessionkit.Config{})
	a.Use(gin.RecoveryWithWriter(httptest.NewRecorder()))
	a.On("/panic", func(c *gin.Context) {
		kittest.Increment(c)
		legacy := sessions.Default(c)
		legacy.Set("count", 9)
		_ = legacy.Save()
		panic("oops")
	})
	v := kittest.NewBrowser(t, a)
	b.unless(len(v.Get("/panic").Header()["Set-Cookie"]) == 0, "a cookie went out")
	v.Get("/set")
	v.Get("/panic")
	b.unless(v.Get("/count").Body.String() == `{"n":1,"ok":true}`, "the change was saved")
	return b
}

func changeAfterTheHeader(t *testing.T, s kittest.Tested) (b broken) {
	t.Helper()
	a := kittest.NewRulesSite(s.Store, sessionkit.Config{})
	a.On("/late", func(c *gin.Context) { c.String(http.StatusOK, "begun"); kittest.Increment(c) })
	a.On("/twice", func(c *gin.Context) { kittest.Increment(c); c.String(http.StatusOK, "begun"); kittest.Increment(c) })
	v := kittest.NewBrowser(t, a)
	v.Get("/late")
	b.unless(len(a.Errors()) == 1, "a new session without a cookie was not reported")
	for _, path := range []string{"/late", "/twice"} {
		v = kittest.NewBrowser(t, a)
		v.Get("/set")
		before := v.Get("/count").Body.String()
		v.Get(path)
		saved := v.Get("/count").Body.String() != before
		b.unless(saved || len(a.Errors()) > 0, "%s: the change was dropped silently", path)
	}
	v = kittest.NewBrowser(t, a)
	v.Get("/twice")
	b.unless(v.Get("/count").Body.String() == `{"n":2,"ok":true}` || len(a.Errors()) > 0, "the second change was dropped silently")
	return b
}

func parallelRequests(t *testing.T, s kittest.Tested) (b broken) {
	t.Helper()
	a := kittest.NewRulesSite(s.Store, sessionkit.Config{})
	v := kittest.NewBrowser(t, a)
	v.Get("/set")
	a.On("/name", func(c *gin.Context) { _, ok := kittest.Name.Get(c); c.String(http.StatusOK, "%v", ok) })
	other := underWayIn(a, v, "/paused", func(c *gin.Context) { kittest.Name.Set(c, "x") }, func() { v.Get("/set") })
	b.unless(other.Get("/count").Body.String() == `{"n":2,"ok":true}`, "the last one to save wins")
	b.unless(other.Get("/name").Body.String() == "true", "the last one to save loses")
	return b
}

func oneStep(t *testing.T, s kittest.Tested) (b broken) {
	t.Helper()
	a := kittest.NewRulesSite(s.Store, sessionkit.Config{})
	v := kittest.NewBrowser(t, a)
	v.Get("/set")
	other := underWayIn(a, v, "/update", func(c *gin.Context) { _, _ = kittest.Count.Update(c, func(n int) int { return n + 1 }) }, func() { v.Get("/set") })
	b.unless(other.Get("/count").Body.String() == `{"n":3,"ok":true}`, "Update goes by a value that stands no more")
	taken := 0
	take := func(c *gin.Context) {
		if _, ok := kittest.Count.Take(c); ok {
			taken++
		}
	}
	a.On("/take", take)
	underWayIn(a, v, "/take-too", take, func() { v.Get("/take") })
	b.unless(taken == 1, "%d of two requests took the value", taken)
	return b
}

// underWayIn runs a request that pauses after it has read the session, while
// meanwhile runs, and returns the browser that made it.
func underWayIn(a *kittest.Site, v *kittest.Browser, path string, change gin.HandlerFunc, meanwhile func()) *kittest.Browser {
	paused, goOn, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	a.On(path, func(c *gin.Context) {
		sessionkit.User(c)
		close(paused)
		<-goOn
		change(c)
	})
	other := v.Fork()
	go func() {
		defer close(done)
		other.Get(path)
	}()
	<-paused
	meanwhile()
	close(goOn)
	<-done
	return other
}

func logoutWins(t *testing.T, s kittest.Tested) (b broken) {
	t.Helper()
	for _, ending := range []string{"/logout", "/renew"} {
		for how, change := range map[string]gin.HandlerFunc{"a change": kittest.Increment, "a renewal": sessionkit.Renew} {
			a := kittest.NewRulesSite(s.Store, sessionkit.Config{})
			v := kittest.NewBrowser(t, a)
			v.Get("/login")
			old := v.Fork()
			other := underWayIn(a, v, "/paused", change, func() { v.Get(ending) })
			b.unless(old.Get("/").Body.String() == "" && other.Get("/").Body.String() == "",
				"%s under way brought the session back to life after %s", how, ending)
		}
	}
	return b
}

// logoutWinsAlone is the same with gin-contrib/sessions alone.
func logoutWinsAlone(t *testing.T, s kittest.Tested) (b broken) {
	t.Helper()
	r := gin.New()
	r.Use(sessions.Sessions(kittest.SessionCookie, s.Store))
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
	v := kittest.NewBrowser(t, r)
	v.Get("/login")
	old, other := v.Fork(), v.Fork()
	assert.Equal(t, "42", v.Get("/").Body.String())
	done := make(chan struct{})
	go func() {
		defer close(done)
		other.Get("/paused")
	}()
	<-paused
	v.Get("/logout")
	close(goOn)
	<-done
	b.unless(old.Get("/").Body.String() == "<nil>" && other.Get("/").Body.String() == "<nil>", "the session came back to life")
	return b
}

func foreignIDs(t *testing.T, s kittest.Tested) (b broken) {
	t.Helper()
	a := kittest.NewRulesSite(s.Store, sessionkit.Config{})
	planted := make([]byte, 32)
	_, _ = rand.Read(planted)
	for _, path := range []string{"/set", "/login"} {
		v := kittest.NewBrowser(t, a)
		v.Cookies[kittest.SessionCookie] = base64.RawURLEncoding.EncodeToString(planted)
		before := v.Session()
		v.Get(path)
		b.unless(v.Session() != before, "%s adopted a planted ID", path)
	}
	for _, ending := range []string{"/login", "/renew", "/logout"} {
		v := kittest.NewBrowser(t, a)
		v.Get("/login")
		old := v.Fork()
		v.Get(ending)
		b.unless(old.Session() != v.Session(), "%s did not change the ID", ending)
		b.unless(old.Get("/").Body.String() == "", "the old ID opened the session after %s", ending)
		dead := old.Session()
		w := old.Get("/set")
		b.unless(old.Session() != dead || w.Code == http.StatusServiceUnavailable, "a dead ID was taken up again after %s", ending)
	}
	return b
}

func deadlines(t *testing.T, s kittest.Tested) (b broken) {
	t.Helper()
	config := sessionkit.Config{IdleTimeout: 30 * time.Minute, Lifetime: 4 * time.Hour, RememberFor: 72 * time.Hour}
	synctest.Test(t, func(t *testing.T) {
		a := kittest.NewRulesSite(s.Store, config)
		alive := func(v *kittest.Browser, want bool, why string) {
			b.unless((v.Get("/").Body.String() == "42") == want, "%s", why)
		}
		v := kittest.NewBrowser(t, a)
		v.Get("/login")
		for range 4 {
			time.Sleep(config.IdleTimeout - time.Millisecond)
			alive(v, true, "a session in use ended early")
		}
		time.Sleep(config.IdleTimeout + time.Minute)
		alive(v, false, "an unused session lived on")
		v.Get("/login")
		for range 9 {
			time.Sleep(config.Lifetime / 10)
			alive(v, true, "a session in use ended before Lifetime")
		}
		time.Sleep(config.Lifetime / 10)
		alive(v, false, "a session in use lived on after Lifetime")
		v.Get("/remember")
		time.Sleep(config.RememberFor - time.Millisecond)
		alive(v, true, "a remembered sign-in ended early")
		time.Sleep(2 * time.Millisecond)
		alive(v, false, "a remembered sign-in lived on")
	})
	return b
}

func cookieAttributes(t *testing.T, s kittest.Tested) (b broken) {
	t.Helper()
	for url, want := range map[string]string{
		"https://example.com/":   "__Host-Http-session=*; Path=/; HttpOnly; Secure; SameSite=Lax",
		"http://example.com/":    "__Host-Http-session=*; Path=/; HttpOnly; Secure; SameSite=Lax",
		"http://localhost:8080/": "session=*; Path=/; HttpOnly; SameSite=Lax",
	} {
		a := kittest.NewSite(s.Store, sessionkit.Config{})
		a.On("/", kittest.Increment)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, nil))
		got := kittest.SetCookies(w)
		b.unless(len(got) == 1 && strings.Replace(got[0].String(), got[0].Value, "*", 1) == want, "the cookie over %s", url)
	}
	return b
}

func crossOrigin(t *testing.T, s kittest.Tested) (b broken) {
	t.Helper()
	a := kittest.NewSite(s.Store, sessionkit.Config{})
	a.POST("/", kittest.Increment)
	v := kittest.NewBrowser(t, a)
	b.unless(v.Post("/", nil, "Origin", "https://evil.example").Code == http.StatusForbidden && v.Session() == "", "a cross-origin POST came through")
	b.unless(v.Post("/", nil, "Origin", "https://example.com").Code == http.StatusNoContent, "a POST of the site itself was refused")
	return b
}

func sealedCookies(t *testing.T, s kittest.Tested) (b broken) {
	t.Helper()
	a := kittest.NewSite(s.Store, sessionkit.Config{Secrets: [][]byte{kittest.TestSecret}})
	for name, protection := range map[string]sessionkit.Protection{"signed": sessionkit.Signed, "encrypted": sessionkit.Encrypted} {
		cookie := sessionkit.NewCookie[string](name, sessionkit.CookieOptions{Protection: protection})
		a.On("/"+name+"/set", func(c *gin.Context) { assert.NoError(t, cookie.Set(c, "tea")) })
		a.On("/"+name, func(c *gin.Context) {
			got, err := cookie.Get(c)
			c.String(http.StatusOK, "%s %v", got, errors.Is(err, sessionkit.ErrCookieTampered))
		})
		v := kittest.NewBrowser(t, a)
		v.Get("/" + name + "/set")
		b.unless(v.Get("/"+name).Body.String() == "tea false", "a %s cookie was not read", name)
		for wire, value := range v.Cookies {
			v.Cookies[wire] = strings.ToUpper(value)
		}
		b.unless(v.Get("/"+name).Body.String() == " true", "a changed %s cookie was read", name)
	}
	return b
}

func cacheHeaders(t *testing.T, s kittest.Tested) (b broken) {
	t.Helper()
	v := kittest.NewBrowser(t, kittest.NewRulesSite(s.Store, sessionkit.Config{}))
	v.Get("/login")
	header := v.Get("/account").Header()
	b.unless(header.Get("Cache-Control") == "no-store" && header.Get("Vary") == "Cookie", "a guarded response may be cached")
	header = v.Get("/").Header()
	b.unless(header.Get("Cache-Control") == "" && header.Get("Vary") == "Cookie", "a response may be cached for others")
	return b
}

func hostileInput(t *testing.T, s kittest.Tested) (b broken) {
	t.Helper()
	a := kittest.NewRulesSite(s.Store, sessionkit.Config{})
	v := kittest.NewBrowser(t, a)
	v.Get("/login")
	good := kittest.SessionCookie + "=" + v.Session()
	for header, want := range map[string]string{
		good + "A": "", kittest.SessionCookie + "=" + strings.Repeat("A", 1<<20): "", kittest.SessionCookie + "=\x00\xff": "",
		kittest.SessionCookie + "=wrong; " + good: "42", strings.Repeat(kittest.SessionCookie+"=wrong; ", 10000) + good: "",
	} {
		r := v.Request(http.MethodGet, "/")
		r.Header["Cookie"] = []string{header}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		b.unless(w.Code == http.StatusOK && w.Body.String() == want, "the cookie %.40q", header)
	}
	if s.Damage == nil {
		return b
	}
	for _, garbage := range []string{"", "garbage", strings.Repeat("A", 100), strings.Repeat("\x7f", 300)} {
		v := kittest.NewBrowser(t, a)
		v.Get("/login")
		a.Errors()
		s.Damage(garbage)
		w := v.Get("/account")
		fresh := w.Code == http.StatusUnauthorized && v.Get("/set").Code == http.StatusNoContent
		reported := w.Code == http.StatusServiceUnavailable && len(a.Errors()) > 0
		b.unless(fresh || reported, "a record of %.10q", garbage)
	}
	return b
}
