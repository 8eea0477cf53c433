package migrations_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// jar keeps cookies as Chromium does: Secure ones only if they came over TLS or from
// localhost, those with a prefix only with its attributes, and those without an end
// until the browser is closed. Tests have one path and no domains.
type jar struct {
	mu      sync.Mutex
	cookies map[string]*http.Cookie // by host and name
}

func newJar() *jar { return &jar{cookies: make(map[string]*http.Cookie)} }

func trustworthy(u *url.URL) bool { return u.Scheme == "https" || u.Hostname() == "localhost" }

func (j *jar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range cookies {
		key := u.Hostname() + " " + c.Name
		host := strings.HasPrefix(c.Name, "__Host-")
		switch old := j.cookies[key]; {
		case c.Secure && !trustworthy(u),
			(host || strings.HasPrefix(c.Name, "__Secure-")) && !c.Secure,
			host && (c.Path != "/" || c.Domain != ""),
			strings.HasPrefix(c.Name, "__Host-Http-") && !c.HttpOnly,
			old != nil && old.Secure && !trustworthy(u): // a Secure cookie is left alone
			continue
		}
		if c.MaxAge > 0 {
			c.Expires = time.Now().Add(time.Duration(c.MaxAge) * time.Second)
		}
		if c.MaxAge < 0 || !c.Expires.IsZero() && time.Now().After(c.Expires) {
			delete(j.cookies, key)
			continue
		}
		j.cookies[key] = c
	}
}

func (j *jar) Cookies(u *url.URL) (sent []*http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for key, c := range j.cookies {
		host, _, _ := strings.Cut(key, " ")
		if host == u.Hostname() && (!c.Secure || trustworthy(u)) && (c.Expires.IsZero() || time.Now().Before(c.Expires)) {
			sent = append(sent, &http.Cookie{Name: c.Name, Value: c.Value})
		}
	}
	return sent
}

// close forgets what a browser forgets that is closed.
func (j *jar) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for key, c := range j.cookies {
		if c.Expires.IsZero() {
			delete(j.cookies, key)
		}
	}
}

// copied is a copy that somebody has made.
func (j *jar) copied() *jar {
	j.mu.Lock()
	defer j.mu.Unlock()
	return &jar{cookies: maps.Clone(j.cookies)}
}
